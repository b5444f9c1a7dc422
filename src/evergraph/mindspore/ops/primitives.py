"""`ops` as Primitive classes: made with settings, then called with tensors."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import unwrap, wrap

__all__ = ["Primitive"]


class Primitive:
    """An operator that was made with settings.

    Args:
        settings: in the order of the operator.
    """

    _run: Any = None
    _settings: dict[str, Any] = {}

    def __init__(self, *settings: Any, **named: Any) -> None:
        if len(settings) > len(self._settings) or named.keys() - self._settings.keys():
            raise UsageError("no such setting", where=type(self).__name__, expected=", ".join(self._settings) or "none")
        self.settings = self._settings | dict(zip(self._settings, settings, strict=False)) | named

    def __call__(self, *inputs: Any) -> Any:
        """Compute."""
        return wrap(type(self)._run(*map(unwrap, inputs), **self.settings))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


def _primitive(name: str, run: Callable[..., Any], **settings: Any) -> None:
    body = {"_run": staticmethod(run), "_settings": settings, "__doc__": f"{name}.", "__module__": __name__}
    globals()[name] = type(name, (Primitive,), body)


def _axes(x: torch.Tensor, axis: Any) -> Any:
    return tuple(range(x.dim())) if axis in ((), None) else axis


_primitive("Add", torch.add)
_primitive("Sub", torch.sub)
_primitive("Mul", torch.mul)
_primitive("Div", torch.div)
_primitive("RealDiv", torch.div)
_primitive("Neg", torch.neg)
_primitive("Exp", torch.exp)
_primitive("Log", torch.log)
_primitive("Sqrt", torch.sqrt)
_primitive("Rsqrt", torch.rsqrt)
_primitive("Square", torch.square)
_primitive("Abs", torch.abs)
_primitive("Pow", torch.pow)
_primitive("Tanh", torch.tanh)
_primitive("Sigmoid", torch.sigmoid)
_primitive("ReLU", torch.relu)
_primitive("ReLU6", F.relu6)
_primitive("Maximum", torch.maximum)
_primitive("Minimum", torch.minimum)
_primitive("Equal", torch.eq)
_primitive("Greater", torch.gt)
_primitive("Less", torch.lt)
_primitive("Select", torch.where)
_primitive("ZerosLike", torch.zeros_like)
_primitive("OnesLike", torch.ones_like)
_primitive("Reshape", lambda x, shape: x.reshape(shape))
_primitive("Transpose", lambda x, order: x.permute(*order))
_primitive("ExpandDims", lambda x, axis: x.unsqueeze(axis))
_primitive("Tile", lambda x, times: x.repeat(*times) if len(times) >= x.dim() else torch.tile(x, times))
_primitive("Shape", lambda x: tuple(x.shape))
_primitive("Cast", lambda x, kind: x.to(mstype.of(kind).torch))
_primitive("Squeeze", lambda x, axis: x.squeeze() if axis == () else x.squeeze(axis), axis=())
_primitive("Concat", lambda parts, axis: torch.cat(list(parts), axis), axis=0)
_primitive("Stack", lambda parts, axis: torch.stack(list(parts), axis), axis=0)
_primitive("Flatten", lambda x: x.flatten(1))
_primitive("GeLU", lambda x: F.gelu(x, approximate="tanh"))
_primitive("Softmax", lambda x, axis: torch.softmax(x, dim=axis), axis=-1)
_primitive("LogSoftmax", lambda x, axis: torch.log_softmax(x, dim=axis), axis=-1)
_primitive("Gather", lambda x, where, axis: x.index_select(axis, where.flatten()).unflatten(axis, where.shape))
_primitive(
    "Argmax", lambda x, axis, output_type: x.argmax(axis).to(mstype.of(output_type).torch), axis=-1, output_type="int32"
)
_primitive("ReduceMean", lambda x, axis=(), *, keep_dims: x.mean(_axes(x, axis), keep_dims), keep_dims=False)
_primitive("ReduceSum", lambda x, axis=(), *, keep_dims: x.sum(_axes(x, axis), keep_dims), keep_dims=False)
_primitive("ReduceMax", lambda x, axis=(), *, keep_dims: x.amax(_axes(x, axis), keep_dims), keep_dims=False)
_primitive("ReduceMin", lambda x, axis=(), *, keep_dims: x.amin(_axes(x, axis), keep_dims), keep_dims=False)


def _product(x: torch.Tensor, y: torch.Tensor, transpose_a: bool, transpose_b: bool) -> torch.Tensor:
    return torch.matmul(x.mT if transpose_a else x, y.mT if transpose_b else y)


_primitive("MatMul", _product, transpose_a=False, transpose_b=False)
_primitive("BatchMatMul", _product, transpose_a=False, transpose_b=False)
_primitive(
    "OneHot",
    lambda where, depth, on, off, axis: torch.where(F.one_hot(where.long(), depth).bool(), on, off).movedim(-1, axis),
    axis=-1,
)
