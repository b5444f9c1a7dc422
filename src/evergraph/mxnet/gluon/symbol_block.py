"""A block made of a symbol: checkpoints inside gluon."""

import copy
from typing import Any

import numpy as np

from evergraph.errors import collect, printable
from evergraph.mxnet import symbol as sym
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import BlockTypeError, BlockValueError
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.kinds import grouped
from evergraph.mxnet.gluon.nested import flatten
from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.ndarray.base import Array

__all__ = ["SymbolBlock"]


class SymbolBlock(HybridBlock):
    """A block that computes a symbol; the symbol's other variables become its parameters.

    Args:
        outputs: a symbol, or a list of them.
        inputs: the variables that it is called with.
        params: a dictionary whose parameters are shared.

    Raises:
        ValueError: inputs that are no variables.

    >>> import evergraph.mxnet as mx
    >>> x = mx.sym.var("x")
    >>> SymbolBlock(x * 2, x)(mx.nd.array([1, 2])).asnumpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(self, outputs: Any, inputs: Any, params: ParameterDict | None = None) -> None:
        super().__init__(prefix="", params=ParameterDict("", params))
        flat, self._in_format = flatten([inputs] if isinstance(inputs, sym.Symbol) else list(inputs), "input")
        if len(flat) == 1:
            self._in_format = 0
        found, self._out_format = flatten(outputs, "output")
        out = grouped(found)
        collect(
            BlockValueError,
            "Input symbols must be variables",
            [repr(i) for i in flat if i.get_children() is not None],
        )
        names = {i.name for i in flat}
        types = dict(zip(out.list_arguments(), out.infer_type_partial(**_types(flat))[0], strict=True))
        for name in out.list_arguments():
            if name not in names:
                self.params.get(name, allow_deferred_init=True, dtype=types[name] or np.float32)
        for name in out.list_auxiliary_states():
            if name not in names:
                self.params.get(name, grad_req="null", allow_deferred_init=True)
        self._known = flat, out
        self._cached_graph = self._known
        skip = len(_common(list(self._params.keys())))
        self._reg_params = {name[skip:]: p for name, p in self._params.items()}

    @staticmethod
    def imports(
        symbol_file: str,
        input_names: Any,
        param_file: str | None = None,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
    ) -> "SymbolBlock":
        """The block of a checkpoint's files, at any URI.

        Args:
            symbol_file: the `-symbol.json` file.
            input_names: name, or names, of the inputs.
            param_file: the `.params` file; without it, parameters wait to be initialized.
            ctx: one or several devices.
            allow_missing: whether parameters that the file does not have wait to be initialized.
            ignore_extra: whether the file's others are passed over.
        """
        names = [input_names] if isinstance(input_names, str) else list(input_names)
        kind = np.float32 if param_file is None else None
        outputs, inputs = sym.load(symbol_file), [sym.var(n, dtype=kind) for n in names]
        if STATE.np_array:
            outputs, inputs = outputs.as_np_ndarray(), [i.as_np_ndarray() for i in inputs]
        found = SymbolBlock(outputs, inputs)
        if param_file is not None:
            found.collect_params().load(
                param_file, ctx, allow_missing, ignore_extra, cast_dtype=True, dtype_source="saved"
            )
        return found

    def reset_ctx(self, ctx: Any) -> None:
        """Move the parameters to one or several devices."""
        self.collect_params().reset_ctx(ctx)
        self._clear_cached_op()

    def __repr__(self) -> str:
        inputs, out = self._known
        shown = ", ".join(repr(i) for i in inputs)
        return f"<{type(self).__name__}: {out!r} of {shown}>"

    def _clear_cached_op(self) -> None:
        super()._clear_cached_op()
        self._cached_graph = getattr(self, "_known", None)

    def forward(self, *args: Any) -> Any:
        """The outputs for arrays, or for symbols."""
        flat = flatten(list(args), "input")[0]
        if all(isinstance(a, Array) for a in flat):
            return self._call_cached_op(*args)
        if not all(isinstance(a, sym.Symbol) for a in flat):
            raise BlockTypeError("a block takes arrays or symbols", found=printable([type(a).__name__ for a in flat]))
        inputs, out = self._known
        made = copy.copy(out)
        made._compose(**{i.name: a for i, a in zip(inputs, flat, strict=True)})
        return made


def _types(inputs: list[Any]) -> dict[str, Any]:
    found = {i.name: i.infer_type_partial()[0][0] for i in inputs}
    return {n: t for n, t in found.items() if t is not None}


def _common(names: list[str]) -> str:
    """What all names begin with, up to an underscore."""
    common = ""
    if len(names) > 1:
        first, last = min(names), max(names)
        common = first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
    return common[: common.rfind("_") + 1]
