"""What a quantized value stands for: scales, rounding, and the ranges that travel beside the numbers.

A quantized tensor comes with its range, two arrays (1,) float32: the real value of the number q is q times
max(|min|, |max|) / 127.5 for int8, / 255.5 for uint8, and / 2147483647 for int32, as oneDNN's operators of MXNet have
it since 1.7. Zero is always 0.
"""

from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.lazy import torch

__all__ = ["LEVELS", "constant_range", "kind_of", "most_of", "peak", "per", "quantized", "scale_of", "store"]

LEVELS = {"int8": 127.5, "uint8": 255.5, "int32": 2147483647.0}
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


def kind_of(data: Any) -> str:
    """The name of the type of eight-bit data.

    Raises:
        OperatorError: they are of another type.
    """
    if data.dtype is torch.int8:
        return "int8"
    if data.dtype is torch.uint8:
        return "uint8"
    raise OperatorError(
        "a quantized operator was given other data", expected="int8 or uint8", found=str(data.dtype)[len("torch.") :]
    )


def most_of(data: Any) -> int:
    """The largest magnitude of eight-bit data."""
    return 255 if kind_of(data) == "uint8" else 128


def peak(low: Any, high: Any) -> Any:
    """The larger of two absolute values (1,)."""
    return torch.maximum(low.abs(), high.abs())


def per(levels: float, reach: Any) -> Any:
    """So many levels for a reach (1,): their quotient in float32, 1 where the reach is 0.

    A number divided by a tensor is computed by its reciprocal, which rounds twice: halves would fall to the other side.
    """
    return torch.where(reach == 0, 1.0, torch.full_like(reach, levels) / reach)


def scale_of(kind: str, low: Any, high: Any) -> Any:
    """Levels for one unit (1,) of a type in a range; 1 for an empty range."""
    return per(LEVELS[kind], peak(low, high))


def store(levels: Any, kind: str) -> Any:
    """Real numbers of levels as int8 or uint8: rounded with halves to even, limited. The numbers are overwritten.

    >>> import torch
    >>> store(torch.tensor([0.5, 1.5, 300.0, -3.0]), "uint8").tolist()
    [0, 2, 255, 0]
    """
    return levels.round_().clamp_(*_LIMITS[kind]).to(getattr(torch, kind))


def quantized(data: Any, kind: str, low: Any, high: Any) -> Any:
    """Real data in the levels of a range, as int8 or uint8."""
    return store(data * scale_of(kind, low, high), kind)


def constant_range(low: float, high: float, like: Any) -> tuple[Any, Any]:
    """A range that is known beforehand, as two arrays (1,)."""
    return (torch.full((1,), v, dtype=torch.float32, device=like.device) for v in (low, high))  # type: ignore[return-value]
