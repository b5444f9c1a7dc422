"""Values for many parameters: all are taken over, or none."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from evergraph.errors import printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.ndarray.base import Array

__all__ = ["load_values", "or_as_before"]


def load_values(
    pairs: Sequence[tuple[Any, str, Any]], ctx: Any, cast_dtype: bool, dtype_source: str, where: str | None = None
) -> None:
    """Give parameters their values.

    Args:
        pairs: for each its parameter, the value's name, and the value.
        ctx: one or several devices.
        cast_dtype: whether other element types are cast.
        dtype_source: "current" to cast the values, "saved" to change the parameters.
        where: the file that they are from.

    Raises:
        AssertionError: values of other shapes or types, or parameters on other devices; all are listed, and nothing is
            changed.
    """
    found, errors = [], []
    for parameter, name, value in pairs:
        held = value if isinstance(value, Array) else nd.array(value, dtype=np.asarray(value).dtype)
        error = parameter._misfit(held, ctx, cast_dtype)
        found.append((parameter, held))
        if error is not None:
            errors.append((name, error))
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        fixes = dict.fromkeys(error.fix for _, error in errors if error.fix)
        raise ParameterFitError(
            f"{len(errors)} parameters do not fit; nothing was changed",
            where=None if where is None else printable(where),
            details=[f"{printable(n)}: {e.found}, where {e.expected} is expected" for n, e in errors],
            fix="; ".join(fixes),
        )
    for parameter, held in found:
        parameter._load_init(held, ctx, cast_dtype=cast_dtype, dtype_source=dtype_source)


@contextmanager
def or_as_before(parameters: Iterable[Any]) -> Iterator[None]:
    """Leave parameters as they were where what is done inside raises; for what makes their arrays anew."""
    before = [(each, dict(vars(each))) for each in parameters]
    try:
        yield
    except BaseException:
        for each, held in before:
            vars(each).clear()
            vars(each).update(held)
        raise
