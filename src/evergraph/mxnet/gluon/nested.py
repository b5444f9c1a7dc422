"""Nested inputs and outputs of blocks, as flat lists and back."""

from typing import Any

from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.symbol import Symbol

__all__ = ["flatten", "regroup"]

_NOTHING = -1


def flatten(args: Any, what: str) -> tuple[list[Any], Any]:
    """Arrays or symbols in nested lists as one list, and the form to nest them again.

    Args:
        args: an array, a symbol, None, or nested lists of them.
        what: "input" or "output", for the error.

    Raises:
        ValueError: something else.
    """
    if args is None:
        return [None], _NOTHING
    if isinstance(args, Array):
        return [args], 0
    if isinstance(args, Symbol):
        return [args], len(args) if len(args) > 1 else 0
    if not isinstance(args, (list, tuple)):
        raise BlockValueError(
            f"the {what} of a hybridized block must be (nested) lists of Symbol or NDArray", found=type(args).__name__
        )
    flat, form = [], []
    for each in args:
        found, its = flatten(each, what)
        flat += found
        form.append(its)
    return flat, form


def regroup(flat: list[Any], form: Any) -> Any:
    """The nested form of a flat list."""
    found, rest = _take(list(flat), form)
    if rest:
        raise BlockValueError("more values than the block was traced with", found=len(flat))
    return found


def _take(flat: list[Any], form: Any) -> tuple[Any, list[Any]]:
    if not isinstance(form, int):
        found = []
        for each in form:
            value, flat = _take(flat, each)
            found.append(value)
        return found, flat
    if form > 0:
        return flat[:form], flat[form:]
    if not flat:
        raise BlockValueError("fewer values than the block was traced with")
    return flat[0], flat[1:]
