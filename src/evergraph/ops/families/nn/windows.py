"""What the operators with sliding windows share: parameters for each space axis, layouts."""

from typing import Any

from evergraph.errors import ShapeError

__all__ = ["CHANNELS_LAST", "check_rank", "first", "last", "spread"]

CHANNELS_LAST = frozenset(("NWC", "NHWC", "NDHWC"))


def spread(value: tuple[int, ...] | None, rank: int, default: int) -> tuple[int, ...]:
    """A parameter for each space axis: as given, or the default for all."""
    return tuple(value) if value else (default,) * rank


def check_rank(operator: str, found: int, rank: int) -> None:
    """Raise ShapeError unless data of `found` axes has `rank` space axes beside batch and channels."""
    if found != rank + 2:
        raise ShapeError(f"data of {operator} has another rank than its kernel", expected=rank + 2, found=found)


def first(x: Any, layout: str | None) -> Any:
    """A tensor with its channels on axis 1."""
    return x.movedim(-1, 1) if layout in CHANNELS_LAST else x


def last(x: Any, layout: str | None) -> Any:
    """The way back of `first`."""
    return x.movedim(1, -1) if layout in CHANNELS_LAST else x
