"""`mx.operator`: operators written in Python, and what is known of all operators.

>>> import evergraph.mxnet as mx
>>> class Twice(CustomOp):
...     def forward(self, is_train, req, in_data, out_data, aux):
...         self.assign(out_data[0], req[0], in_data[0] * 2)
...     def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
...         self.assign(in_grad[0], req[0], out_grad[0] * 2)
>>> @register("doctest_twice")
... class TwiceProp(CustomOpProp):
...     def create_operator(self, ctx, in_shapes, in_dtypes): return Twice()
>>> mx.nd.Custom(mx.nd.array([1, 2]), op_type="doctest_twice").asnumpy()
array([2., 4.], dtype=float32)
"""

import itertools
import warnings
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from evergraph import ops
from evergraph.errors import OperatorError, UsageError, printable
from evergraph.mxnet import autograd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, cpu, gpu
from evergraph.mxnet.ndarray.base import wrap
from evergraph.ops.families.control.registry import register_custom

__all__ = [
    "CustomOp",
    "CustomOpProp",
    "NDArrayOp",
    "NumpyOp",
    "PythonOp",
    "get_all_registered_operators",
    "get_operator_arguments",
    "register",
]


class _StorageError(UsageError, AssertionError):
    """Sparse arrays for an operator that takes none."""


class CustomOp:
    """A computation written in Python: subclasses define `forward` and `backward` on arrays."""

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        """Compute out_data from in_data.

        Args:
            is_train: whether a gradient may follow.
            req: what happens to each output: "write", "add" or "null"; `assign` does it.
            in_data: the inputs.
            out_data: arrays that take the outputs.
            aux: auxiliary states, which may be changed.
        """

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        """Compute in_grad from the gradients of the outputs and from what `forward` had.

        Args:
            req: what happens to each gradient: "write", "add" or "null"; `assign` does it.
            out_grad: gradients of the outputs.
            in_data: the inputs.
            out_data: the outputs.
            in_grad: arrays that take the inputs' gradients.
            aux: auxiliary states, which may be changed.
        """

    def assign(self, dst: Any, req: str, src: Any) -> None:
        """Put a result where it belongs, as its request says."""
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst[:] += src


class CustomOpProp:
    """What a Python operator takes and gives; made with the node's attributes as keywords, all text.

    Args:
        need_top_grad: whether `backward` reads the gradients of the outputs; a loss does not.
    """

    def __init__(self, need_top_grad: bool = True) -> None:
        self.need_top_grad_ = need_top_grad

    def infer_shape(self, in_shape: list[Any]) -> Sequence[Any]:
        """Shapes of the arguments, the outputs and the auxiliary states."""
        return in_shape, (in_shape[0],) * len(self.list_outputs()), ()

    def infer_type(self, in_type: list[Any]) -> Sequence[Any]:
        """NumPy types of the arguments, the outputs and the auxiliary states."""
        first = in_type[0]
        return in_type, [first] * len(self.list_outputs()), [first] * len(self.list_auxiliary_states())

    def infer_storage_type(self, in_stype: list[str]) -> Sequence[Any]:
        """Storage of the arguments, the outputs and the auxiliary states: dense.

        Raises:
            AssertionError: sparse arguments.
        """
        self._require_dense(in_stype)
        return in_stype, ["default"] * len(self.list_outputs()), ["default"] * len(self.list_auxiliary_states())

    def infer_storage_type_backward(
        self,
        ograd_stype: list[str],
        in_stype: list[str],
        out_stype: list[str],
        igrad_stype: list[str],
        aux_stype: list[str],
    ) -> Sequence[Any]:
        """Storage of all that `backward` reads and writes: dense.

        Raises:
            AssertionError: sparse gradients.
        """
        self._require_dense(ograd_stype)
        self._require_dense([s for s in igrad_stype if s != "undefined"])
        parts = (ograd_stype, in_stype, out_stype, igrad_stype, aux_stype)
        return tuple(["default"] * len(part) for part in parts)

    def _require_dense(self, stypes: Sequence[str]) -> None:
        wrong = [s for s in stypes if s != "default"]
        if wrong:
            raise _StorageError(
                f"{type(self).__name__} takes dense arrays",
                found=", ".join(wrong),
                fix="define infer_storage_type and infer_storage_type_backward, or cast: x.tostype('default')",
            )

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def list_auxiliary_states(self) -> list[str]:
        """Names of the auxiliary states."""
        return []

    def declare_backward_dependency(
        self, out_grad: Sequence[int], in_data: Sequence[int], out_data: Sequence[int]
    ) -> list[int]:
        """What `backward` reads, by number."""
        return [*(out_grad if self.need_top_grad_ else ()), *in_data, *out_data]

    def create_operator(self, ctx: str, in_shapes: list[Any], in_dtypes: list[Any]) -> CustomOp:
        """The computation, for a device and the inputs' shapes and types."""
        return CustomOp()


class _Kernel:
    """A `CustomOp` as the engine calls it: on tensors."""

    def __init__(self, op: CustomOp, ctx: Context, numpy: bool) -> None:
        self._op, self._ctx, self._numpy = op, ctx, numpy

    def _arrays(self, tensors: Sequence[Any]) -> list[Any]:
        found = [wrap(t.detach(), self._ctx) for t in tensors]
        return [a.as_np_ndarray() for a in found] if self._numpy else found

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        with autograd.pause(train_mode=is_train):
            self._op.forward(is_train, req, *map(self._arrays, (in_data, out_data, aux)))

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        with autograd.pause(train_mode=True):
            self._op.backward(req, *map(self._arrays, (out_grad, in_data, out_data, in_grad, aux)))


class _Properties:
    """A `CustomOpProp` as the operator Custom asks it."""

    def __init__(self, prop: CustomOpProp, numpy: bool = False) -> None:
        self._prop, self._numpy = prop, numpy
        self.list_arguments, self.list_outputs = prop.list_arguments, prop.list_outputs
        self.list_auxiliary_states, self.infer_type = prop.list_auxiliary_states, prop.infer_type

    @property
    def reads_head_gradient(self) -> bool:
        """Whether the gradient depends on the outputs' gradients."""
        return self._prop.need_top_grad_

    def infer_shape(self, in_shape: list[tuple[int, ...]]) -> Sequence[Any]:
        """Shapes of arguments, outputs and states; programs expect lists, which they may add to."""
        return self._prop.infer_shape([list(s) for s in in_shape])

    def create_operator(self, ctx: Any, in_shapes: list[tuple[int, ...]], in_dtypes: list[Any]) -> _Kernel:
        """The computation on a torch device."""
        context = gpu(ctx.index or 0) if ctx.type == "cuda" else cpu()
        return _Kernel(
            self._prop.create_operator(str(context), [list(s) for s in in_shapes], in_dtypes), context, self._numpy
        )


def register(reg_name: str) -> Callable[[type], type]:
    """A decorator that makes a `CustomOpProp` known as `op_type` of `mx.nd.Custom` and `mx.sym.Custom`.

    Where it is used under `mx.npx.set_np()`, the operator computes on `mx.np.ndarray`.

    Args:
        reg_name: the op_type; a later class replaces an earlier one.
    """

    def decorate(prop_cls: type) -> type:
        numpy = STATE.np_array

        def made(**attributes: str) -> _Properties:
            found = prop_cls(**attributes)
            if not isinstance(found, CustomOpProp):
                raise OperatorError(
                    f"{printable(reg_name)} is registered with a class that is no CustomOpProp",
                    found=type(found).__name__,
                )
            return _Properties(found, numpy)

        register_custom(reg_name, made)
        return prop_cls

    return decorate


# ---- the older way: an instance is an operator


_NUMBERS = itertools.count()


class PythonOp:
    """A computation written in Python, in the style of the first releases; `CustomOp` took its place.

    Args:
        need_top_grad: whether `backward` reads the gradients of the outputs.
    """

    _numpy = False

    def __init__(self, need_top_grad: bool = True) -> None:
        for kind in (PythonOp, NumpyOp, NDArrayOp):
            if isinstance(self, kind):
                warnings.warn(f"{kind.__name__} has been deprecated. Please use CustomOp", stacklevel=2)
        self.need_top_grad_ = need_top_grad
        self._registered = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol of the operator; see `get_symbol`."""
        return self.get_symbol(*args, **kwargs)

    def get_symbol(self, *args: Any, **kwargs: Any) -> Any:
        """The symbol of the operator with these inputs, by position or by name."""
        from evergraph.mxnet.symbol import Custom  # type: ignore[attr-defined]

        if not self._registered:
            self._registered = f"_{type(self).__name__}_{next(_NUMBERS)}"
            register_custom(self._registered, lambda **_: _Properties(_LegacyProp(self)))
        kwargs.setdefault("name", None)
        return Custom(*args, op_type=self._registered, **kwargs)

    def forward(self, in_data: list[Any], out_data: list[Any]) -> None:
        """Compute out_data from in_data: by default a copy."""
        out_data[0][:] = in_data[0]

    def backward(self, out_grad: list[Any], in_data: list[Any], out_data: list[Any], in_grad: list[Any]) -> None:
        """Compute in_grad: by default ones."""
        in_grad[0][:] = 1.0

    def infer_shape(self, in_shape: list[Any]) -> Sequence[Any]:
        """Shapes of the arguments and the outputs."""
        return in_shape, [in_shape[0]]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def need_top_grad(self) -> bool:
        """Whether `backward` reads the gradients of the outputs."""
        return self.need_top_grad_


class NumpyOp(PythonOp):
    """A Python operator on NumPy arrays."""

    _numpy = True


class NDArrayOp(PythonOp):
    """A Python operator on `NDArray`."""

    def declare_backward_dependency(
        self, out_grad: Sequence[int], in_data: Sequence[int], out_data: Sequence[int]
    ) -> list[int]:
        """What `backward` reads, by number."""
        return [*(out_grad if self.need_top_grad() else ()), *in_data, *out_data]


class _LegacyOp(CustomOp):
    def __init__(self, owner: PythonOp) -> None:
        self._owner = owner

    def _call(self, method: Callable[..., None], groups: Sequence[list[Any]], req: Sequence[str]) -> None:
        """Run a method on arrays; its last group takes what it computes."""
        if not self._owner._numpy:
            method(*groups)
            return
        found = [[a.asnumpy() for a in group] for group in groups]
        method(*found)
        for target, value, each in zip(groups[-1], found[-1], req, strict=True):
            self.assign(target, each, value)

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        self._call(self._owner.forward, (in_data, out_data), req)

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        self._call(self._owner.backward, (out_grad, in_data, out_data, in_grad), req)


class _LegacyProp(CustomOpProp):
    def __init__(self, owner: PythonOp) -> None:
        super().__init__(owner.need_top_grad())
        self._owner = owner
        self.list_arguments, self.list_outputs = owner.list_arguments, owner.list_outputs  # type: ignore[method-assign]

    def infer_shape(self, in_shape: list[Any]) -> Sequence[Any]:
        return (*self._owner.infer_shape(in_shape)[:2], [])

    def create_operator(self, ctx: str, in_shapes: list[Any], in_dtypes: list[Any]) -> CustomOp:
        return _LegacyOp(self._owner)


# ---- what is known of all operators


OperatorArguments = namedtuple("OperatorArguments", ["narg", "names", "types"])
"""What `get_operator_arguments` returns."""


def get_all_registered_operators() -> list[str]:
    """The names of all operators."""
    return sorted(ops.names())


def get_operator_arguments(op_name: str) -> OperatorArguments:
    """The number, names and types (as MXNet words them) of an operator's inputs and parameters.

    Raises:
        MXNetError: there is no such operator.

    >>> get_operator_arguments("Flatten")
    OperatorArguments(narg=1, names=['data'], types=['NDArray-or-Symbol'])
    """
    rows = ops.get(op_name).arguments
    return OperatorArguments(len(rows), [n for n, _ in rows], [t for _, t in rows])
