"""Exact products of eight-bit integers on floating-point hardware.

Single precision adds integers without error as long as no partial sum reaches 2**24, in whatever order it adds. Where
the weights' magnitudes allow more than that, the inputs are cut into pieces that do not, whose sums int32 holds.
"""

from dataclasses import dataclass
from typing import Any

from evergraph.ops.lazy import F, torch

__all__ = ["Weights", "connect", "convolve", "prepare"]

_EXACT = 2**24
_LARGEST = 255 * 128  # of one product
_MOST_PIECES = 64
_PIECE_STEP = 16  # channels: what vectors and oneDNN's blocks hold


@dataclass(frozen=True, slots=True)
class Weights:
    """Integers as floating-point numbers (out, inputs, *kernel), and how many inputs at a time are summed exactly."""

    values: Any
    pieces: tuple[int, ...]


def _single_precision(device: Any) -> bool:
    # elsewhere torch may choose algorithms that transform the data, and those round
    return device.type == "cpu" and torch.backends.mkldnn.is_available()


def _even_pieces(inputs: int, each: int) -> tuple[int, ...]:
    each = max(_PIECE_STEP, each // _PIECE_STEP * _PIECE_STEP) if each >= _PIECE_STEP else max(each, 1)
    return tuple(min(each, inputs - start) for start in range(0, inputs, each))


def _pieces(values: Any, most: int) -> tuple[int, ...] | None:
    """Numbers of inputs whose sums are exact with data of at most this magnitude; None for more pieces than pay."""
    inputs = values.shape[1]
    if torch.compiler.is_compiling():  # pyright: ignore[reportPrivateImportUsage]
        found = _even_pieces(inputs, _EXACT // (_LARGEST * max(values[0, 0].numel(), 1)))
        return found if values[0, 0].numel() * _LARGEST < _EXACT and len(found) <= _MOST_PIECES else None
    sums = values.abs().flatten(2).sum(2) if values.ndim > 2 else values.abs()
    reach = float(sums.sum(1).max()) * most if sums.numel() else 0.0
    if reach < _EXACT:
        return (inputs,)
    for count in range(int(reach / _EXACT) + 1, _MOST_PIECES):
        found = _even_pieces(inputs, -(-inputs // count))
        if all(float(part.sum(1).max()) * most < _EXACT for part in sums.split(found, 1)):
            return found
    return None


def prepare(values: Any, most: int, groups: int = 1) -> Weights:
    """Weights for exact products.

    Args:
        values: integers -128 to 127 of any type, (out, inputs, *kernel).
        most: the largest magnitude that the data can have, 128 for int8 and 255 for uint8.
        groups: groups of a convolution.
    """
    values = values.float()
    found = _pieces(values, most) if _single_precision(values.device) else None
    if found is None or (groups > 1 and len(found) > 1):
        return Weights(values.double(), (values.shape[1],))
    return Weights(values, found)


def _summed(data: Any, weights: Weights, multiply: Any, axis: int) -> Any:
    data = data.to(weights.values.dtype)
    if len(weights.pieces) == 1:
        return multiply(data, weights.values)
    parts = zip(data.split(weights.pieces, axis), weights.values.split(weights.pieces, 1), strict=True)
    total: Any = None
    for part, values in parts:
        found = multiply(part, values).to(torch.int32)
        total = found if total is None else total.add_(found)
    return total


def convolve(data: Any, weights: Weights, stride: Any, pad: Any, dilate: Any, groups: int) -> Any:
    """Cross-correlation of integers (n, c, *space) with weights; integers in a type that holds them.

    >>> import torch
    >>> data, weight = torch.full((1, 2, 2), 255), torch.full((1, 2, 2), -128)
    >>> float(convolve(data, prepare(weight, 255), (1,), (0,), (1,), 1))
    -130560.0
    """

    def multiply(part: Any, values: Any) -> Any:
        return torch.convolution(part, values, None, stride, pad, dilate, False, (0,) * len(stride), groups)

    return _summed(data, weights, multiply, 1)


def connect(data: Any, weights: Weights) -> Any:
    """Integers (..., inputs) times the transpose of weights (out, inputs); integers in a type that holds them."""
    return _summed(data, weights, F.linear, data.ndim - 1)
