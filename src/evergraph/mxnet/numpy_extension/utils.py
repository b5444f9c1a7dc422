"""`mx.npx.save` and `mx.npx.load`: arrays of `mx.np` in MXNet's files, of shapes with and without sizes of 0."""

from collections.abc import Mapping
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.ndarray import utils
from evergraph.mxnet.numpy.multiarray import ndarray
from evergraph.mxnet.util import is_np_array, is_np_shape

__all__ = ["load", "save"]


class _OffError(UsageError, ValueError):
    """NumPy's semantics are off."""


class _KindError(UsageError, TypeError):
    """What is to be saved is no array of `mx.np`."""


def save(file: str, arr: Any) -> None:
    """Save arrays in MXNet's format, whole or not at all.

    Args:
        file: a path or a URI.
        arr: an array, a list of arrays, or a dict from names to arrays.

    Raises:
        ValueError: NumPy's semantics are off, or `arr` is none of these.
        TypeError: other keys or values.
    """
    if not (is_np_shape() and is_np_array()):
        raise _OffError("mx.npx.save wants NumPy's semantics", fix="call mx.npx.set_np() first, or use mx.nd.save")
    found = [arr] if isinstance(arr, ndarray) else arr
    if not isinstance(found, (list, tuple, Mapping)):
        raise ValueError("data needs to either be a ndarray, dict of str, ndarray pairs or a list of ndarrays.")
    values = list(found.values()) if isinstance(found, Mapping) else list(found)
    wrong = sorted({type(v).__name__ for v in values if not isinstance(v, ndarray)})
    if wrong:
        raise _KindError(
            "save only accept dict str->ndarray or list of ndarray",
            found=", ".join(wrong),
            fix="call as_np_ndarray() on legacy arrays, mx.np.array on others",
        )
    utils.save(file, found if isinstance(found, Mapping) else list(found))


def load(file: str) -> Any:
    """The arrays of a file: a dict where they are named, else a list.

    Args:
        file: a path or a URI.

    Raises:
        TypeError: the name is no text.
        DamagedError: naming what is damaged, and where.
    """
    found = utils.load(file)
    if isinstance(found, dict):
        return {name: value.as_np_ndarray() for name, value in found.items()}
    return [value.as_np_ndarray() for value in found]
