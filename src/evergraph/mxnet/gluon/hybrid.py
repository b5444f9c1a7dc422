"""Hybrid blocks: written once, run on arrays or as a graph."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.cached import CachedOp
from evergraph.mxnet.gluon.errors import (
    BlockTypeError,
    BlockValueError,
    DeferredInitializationError,
    NotInitializedError,
)
from evergraph.mxnet.gluon.kinds import grouped, is_np
from evergraph.mxnet.gluon.nested import flatten, regroup
from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.keeping import write_files
from evergraph.mxnet.ndarray.base import Array

__all__ = ["HybridBlock"]


class HybridBlock(Block):
    """A block that is defined by `hybrid_forward(F, x, ..., weight=...)`, where F is `mx.nd` or `mx.sym`.

    `hybridize()` runs it as a graph; `export` saves the graph and its parameters for every language and for Module.

    Args:
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.

    >>> class Net(HybridBlock):
    ...     def hybrid_forward(self, F, x): return F.relu(x) * 2
    >>> net = Net(); net.hybridize()
    >>> net(nd.array([-1, 2])).asnumpy()
    array([0., 4.], dtype=float32)
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        self._cached_graph: Any = None
        self._cached_op: CachedOp | None = None
        self._cached_params: ParameterDict | None = None
        self._in_format: Any = None
        self._out_format: Any = None
        self._active = False
        self._op_hook: tuple[Any, bool] | None = None
        self._flags: dict[str, Any] = {}
        super().__init__(prefix, params)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, HybridBlock):
            self._clear_cached_op()

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Take a hybrid block as a child.

        Raises:
            ValueError: another block, which could not be part of a graph.
        """
        if not isinstance(block, HybridBlock):
            raise BlockValueError(
                "Children of HybridBlock must also be HybridBlock",
                found=f"{block} has type {type(block)}",
                fix="If you are using Sequential, please try HybridSequential instead.",
            )
        super().register_child(block, name)
        self._clear_cached_op()

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Run as a graph from now on, or not.

        Args:
            active: whether it does.
            kwargs: MXNet's flags (static_alloc, static_shape, ...); the engine decides these things itself.
        """
        self._active, self._flags = active, kwargs
        self._clear_cached_op()
        super().hybridize(active, **kwargs)

    def register_op_hook(self, callback: Callable[..., Any], monitor_all: bool = False) -> None:
        """Show every operator's outputs to `callback(name, operator, array)` while this block runs as a graph.

        Args:
            callback: takes the output's name and the operator's, both as bytes as MXNet gives them, and the array.
            monitor_all: whether inputs are shown too.
        """
        self._op_hook = callback, monitor_all
        if self._cached_op is not None:
            self._cached_op.register_op_hook(callback, monitor_all)

    def cast(self, dtype: Any) -> None:
        """Change the element type of all parameters."""
        self._clear_cached_op()
        super().cast(dtype)

    def _clear_cached_op(self) -> None:
        self._cached_graph = self._cached_op = self._cached_params = None

    # ---- as a graph

    def _get_graph(self, *args: Any) -> Any:
        if not self._cached_graph:
            flat, self._in_format = flatten(args[0] if len(args) == 1 else args, "input")
            names = ["data"] if len(flat) == 1 else [f"data{i}" for i in range(len(flat))]
            inputs = [None if a is None else _input(n, a) for a, n in zip(flat, names, strict=True)]
            found = regroup(list(inputs), self._in_format)
            params = {k: p.var() for k, p in self._reg_params.items()}
            with self.name_scope():
                out = self.hybrid_forward(sym, *(found if len(args) > 1 else [found]), **params)
            outputs, self._out_format = flatten(out, "output")
            self._cached_graph = [i for i in inputs if i is not None], grouped(outputs)
        return self._cached_graph

    def infer_shape(self, *args: Any) -> None:
        """Give the parameters the shapes that follow from these inputs.

        Raises:
            ValueError: shapes do not follow from the inputs.
        """
        self._infer("shape", lambda a: a.shape, *args)

    def infer_type(self, *args: Any) -> None:
        """Give the parameters the element types that follow from these inputs."""
        self._infer("dtype", lambda a: a.dtype, *args)

    def _infer(self, what: str, of: Callable[[Any], Any], *args: Any) -> None:
        inputs, out = self._get_graph(*args)
        flat = [a for a in flatten(args[0] if len(args) == 1 else args, "input")[0] if a is not None]
        known = {i.name: of(a) for i, a in zip(inputs, flat, strict=True)}
        infer = out.infer_shape if what == "shape" else out.infer_type
        found, _, states = infer(**known)
        if found is None:
            raise UsageError(f"the {what}s of parameters do not follow from the inputs", found=printable(known))
        values = dict(zip(out.list_arguments(), found, strict=True))
        values.update(zip(out.list_auxiliary_states(), states, strict=True))
        for name, each in self.collect_params().items():
            if name in values:
                setattr(each, what, values[name])

    def _deferred_infer_shape(self, *args: Any) -> None:
        try:
            self.infer_shape(*args)
        except Exception as error:
            raise BlockValueError(
                "Deferred initialization failed because shape cannot be inferred",
                where=f"block {self.name}",
                found=printable(error, 2000),
            ) from error

    def _call_cached_op(self, *args: Any) -> Any:
        inputs, out = self._get_graph(*args)
        flat, form = flatten(args[0] if len(args) == 1 else args, "input")
        if form != self._in_format:
            raise BlockValueError(
                "The inputs of a hybridized block have another structure than those it was traced with",
                expected=self._in_format,
                found=form,
            )
        params = self._cached_params
        if params is None:
            params = self._cached_params = self.collect_params()
        given = [a for a in flat if a is not None]
        ctx = given[0].context
        if self._cached_op is None:
            self._complete(params, args)
            self._cached_op = CachedOp(out)
            if self._op_hook is not None:
                self._cached_op.register_op_hook(*self._op_hook)
        arrays = {i.name: a for i, a in zip(inputs, given, strict=True)}
        try:
            arrays.update({n: p.data(ctx) for n, p in params.items()})
        except DeferredInitializationError:
            self._complete(params, args)
            arrays.update({n: p.data(ctx) for n, p in params.items()})
        return regroup(self._cached_op(arrays), self._out_format)

    def _complete(self, params: ParameterDict, args: Any) -> None:
        waiting = [p for p in params.values() if p._deferred_init]
        if waiting:
            self._deferred_infer_shape(*args)
            for each in waiting:
                each._finish_deferred_init()

    # ---- running

    def forward(self, *args: Any) -> Any:
        """The outputs for arrays, or for symbols."""
        first = args[0] if len(args) == 1 else None
        if not isinstance(first, Array):
            flat = [a for a in flatten(list(args), "input")[0] if a is not None]
            if len({isinstance(a, Array) for a in flat}) != 1:
                raise BlockTypeError("a block takes arrays or symbols, not both and not neither", found=len(flat))
            first = flat[0]
        if not isinstance(first, Array):
            params = {k: p.var() for k, p in self._reg_params.items()}
            with self.name_scope():
                return self.hybrid_forward(sym, *args, **params)
        if self._active:
            return self._call_cached_op(*args)
        ctx = first.context
        try:
            params = {k: p.data(ctx) for k, p in self._reg_params.items()}
        except DeferredInitializationError:
            self._complete(self.params, args)
            params = {k: p.data(ctx) for k, p in self._reg_params.items()}
        return self.hybrid_forward(nd, *args, **params)

    def hybrid_forward(self, F: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs: `F` is `mx.nd` or `mx.sym`, parameters come by the names of their attributes.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define hybrid_forward")

    def optimize_for(self, x: Any, *args: Any, backend: str | None = None, **kwargs: Any) -> None:
        """Hybridize and run once; the engine optimizes what it runs, whatever backend is named."""
        self.hybridize(True, **({} if backend is None else {"backend": backend}), **kwargs)
        self(x, *args)

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True) -> tuple[str, str]:
        """Save the graph and its parameters as `path-symbol.json` and `path-0000.params`: both, or neither.

        Args:
            path: what both names begin with; any URI.
            epoch: number in the parameters' name.
            remove_amp_cast: whether casts of automatic mixed precision are left out.

        Returns:
            the two names.

        Raises:
            RuntimeError: it was not hybridized and run before.
        """
        if not self._cached_graph:
            raise NotInitializedError(
                "Please first call block.hybridize() and then run forward with this block at least once before calling"
                " export."
            )
        symbol = self._cached_graph[1]
        arguments, states = set(symbol.list_arguments()), set(symbol.list_auxiliary_states())
        saved = {}
        for name, each in self.collect_params().items():
            if name in arguments or name in states:
                saved[("arg:" if name in arguments else "aux:") + name] = each._reduce()
        wrong = [printable(n) for n in (*arguments, *states) if f"arg:{n}" not in saved and f"aux:{n}" not in saved]
        inputs = {i.name for i in self._cached_graph[0]}
        collect(NotInitializedError, "the graph has variables that are no parameters", set(wrong) - inputs)
        names = f"{path}-symbol.json", f"{path}-{epoch:04d}.params"
        text = symbol.tojson(remove_amp_cast).encode("utf-8", "surrogateescape")
        write_files({names[0]: text, names[1]: saved})
        return names


def _input(name: str, array: Any) -> Any:
    """The variable that stands for an array while a block is traced."""
    found = sym.var(name)
    return found.as_np_ndarray() if STATE.np_array and is_np(array) else found
