"""Types of mixed operands: what MXNet's NumPy operators compute in, with tensors and by name."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch

__all__ = ["aligned", "division_dtype", "promote", "promoted_dtype", "real", "truncated"]

_RANK = {
    "bool": 0,
    "uint8": 1,
    "int8": 1,
    "int32": 2,
    "int64": 3,
    "float16": 4,
    "bfloat16": 4,
    "float32": 5,
    "float64": 6,
}


def aligned(lhs: Any, rhs: Any) -> tuple[Any, Any]:
    """Both tensors in their common type: the wider one, and a floating one before an integer one.

    A 0-d array counts as much as any other, unlike in PyTorch.
    """
    if lhs.dtype == rhs.dtype:
        return lhs, rhs
    common = torch.promote_types(lhs.dtype, rhs.dtype)
    if common == torch.int16:  # MXNet has no such type
        common = torch.int32
    return lhs.to(common), rhs.to(common)


def promote(lhs: str | None, rhs: str | None) -> str | None:
    """The common type of two types, by name; an unknown one is taken to be the other.

    Raises:
        ShapeError: a name that is no type.

    >>> promote("int64", "float16"), promote("uint8", "int8"), promote(None, "int8")
    ('float16', 'int32', 'int8')
    """
    if lhs == rhs or rhs is None:
        return lhs
    if lhs is None:
        return rhs
    if lhs not in _RANK or rhs not in _RANK:
        raise ShapeError("operands have no common type", found=f"{lhs} and {rhs}")
    if _RANK[lhs] == _RANK[rhs]:
        return "int32" if _RANK[lhs] == 1 else "float32"
    return max(lhs, rhs, key=_RANK.__getitem__)


def promoted_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The output has the common type of all inputs; an input of unknown type has the type of the others."""
    found = outs[0] if all(d is None for d in ins) else None
    for each in ins:
        found = promote(found, each)
    return [found if d is None else d for d in ins], [found] * len(outs)


def division_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The common type of all inputs where it is floating, and float32 for integers."""
    ins, (found, *_) = promoted_dtype(p, ins, outs)
    return ins, ["float32" if found is not None and "float" not in found else found]


def real(data: Any) -> Any:
    """The array as floating numbers: integers become float32."""
    return data if data.is_floating_point() else data.to(torch.float32)


def truncated(data: Any, dtype: Any) -> Any:
    """Computed values in the type they are wanted in; the fraction is cut off for integers."""
    return data if data.dtype == dtype else data.to(dtype)
