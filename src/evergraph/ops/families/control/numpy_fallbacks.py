"""Operators that MXNet itself has written in Python: graphs of `mx.sym.np` call them by the name of Custom.

No gradient passes through them, there and here.
"""

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evergraph.errors import OperatorError, printable
from evergraph.ops.families.control.registry import CustomOperator, CustomProperties, register_custom
from evergraph.ops.lazy import torch

__all__ = []


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise OperatorError("an attribute has to be a number, None or a tuple", found=printable(text)) from error


def _shape(text: str) -> tuple[int, ...]:
    found = _literal(text)
    return (int(found),) if isinstance(found, int) else tuple(int(d) for d in found)


class _Fallback:
    """What the three have in common: one input, one output, no states, no gradient."""

    called, reads_head_gradient = "", True

    def list_arguments(self) -> Sequence[str]:
        """One input."""
        return ["data"]

    def list_outputs(self) -> Sequence[str]:
        """One output."""
        return ["output"]

    def list_auxiliary_states(self) -> Sequence[str]:
        """None."""
        return []

    def infer_shape(self, in_shape: list[tuple[int, ...]]) -> Sequence[Sequence[Any]]:
        """The input's shape goes on."""
        return in_shape, [in_shape[0]]

    def infer_type(self, in_type: list[Any]) -> Sequence[Sequence[Any]]:
        """The input's type goes on."""
        return in_type, [in_type[0]]

    def create_operator(self, ctx: Any, in_shapes: list[tuple[int, ...]], in_dtypes: list[Any]) -> CustomOperator:
        """The object itself: it keeps nothing."""
        return self

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        """Compute the output."""
        out_data[0].copy_(self.compute(in_data[0], tuple(out_data[0].shape)))

    def compute(self, data: Any, shape: tuple[int, ...]) -> Any:
        """The output's values."""
        return data.new_zeros(shape)

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        """There is none.

        Raises:
            OperatorError: always.
        """
        raise OperatorError(f"no gradient passes through {self.called}", fix="stop it before: BlockGrad")


class _EmptyLike(_Fallback):
    """`numpy.empty_like`, of zeros."""

    called = "empty_like"

    def __init__(self, dtype: str = "None", **_: str) -> None:
        self._dtype = dtype

    def infer_type(self, in_type: list[Any]) -> Sequence[Sequence[Any]]:
        """The type that was asked for, or the input's."""
        return in_type, [in_type[0] if self._dtype == "None" else np.dtype(self._dtype).type]


class _Resize(_Fallback):
    """`numpy.resize`: the values over and over."""

    called = "resize"

    def __init__(self, new_shape: str, **_: str) -> None:
        self._shape = _shape(new_shape)

    def infer_shape(self, in_shape: list[tuple[int, ...]]) -> Sequence[Sequence[Any]]:
        """The shape that was asked for."""
        return in_shape, [self._shape]

    def compute(self, data: Any, shape: tuple[int, ...]) -> Any:
        """The values in their order, from the beginning again where they end."""
        count, flat = math.prod(shape), data.reshape(-1)
        if not flat.numel():
            return data.new_zeros(shape)
        return flat.repeat(-(-count // flat.numel()))[:count].reshape(shape)


class _UnravelIndex(_Fallback):
    """`numpy.unravel_index`, one row for each axis."""

    called = "unravel_index"

    def __init__(self, shape: str, **_: str) -> None:
        self._shape = _shape(shape)

    def infer_shape(self, in_shape: list[tuple[int, ...]]) -> Sequence[Sequence[Any]]:
        """An axis in front for the axes of the shape."""
        return in_shape, [(len(self._shape), *in_shape[0])]

    def compute(self, data: Any, shape: tuple[int, ...]) -> Any:
        """The places along each axis."""
        rows, rest = [], data.to(torch.int64)
        for size in reversed(self._shape):
            rows.append(rest % size)
            rest = rest // size
        return torch.stack(rows[::-1]).reshape(shape)


_FACTORIES: dict[str, Any] = {"empty_like": _EmptyLike, "resize": _Resize, "unravel_index": _UnravelIndex}


def _made(kind: Any) -> Any:
    def factory(**attributes: str) -> CustomProperties:
        try:
            return kind(**attributes)
        except TypeError as error:
            raise OperatorError(f"{kind.called} lacks an attribute", found=", ".join(attributes)) from error

    return factory


for _name, _kind in _FACTORIES.items():
    register_custom(f"{_name}_fallback", _made(_kind))
