"""Arrays in files: `mx.nd.save` and `mx.nd.load`, in MXNet's format of any release, at any URI."""

from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError
from evergraph.formats import by_name
from evergraph.mxnet.context import cpu
from evergraph.mxnet.ndarray.base import Array, wrap
from evergraph.mxnet.ndarray.creation import array, empty, zeros
from evergraph.mxnet.ndarray.pickling import from_tensor, to_tensor
from evergraph.saving.save import save as save_checkpoint
from evergraph.stores import BytesSource
from evergraph.stores.opening import open_source

__all__ = ["array", "empty", "load", "load_frombuffer", "save", "zeros"]

_FORMAT = "mxnet-params"


class _SaveTypeError(UsageError, TypeError):
    """What is to be saved is no array."""


def load(fname: str) -> Any:
    """The arrays of a file: a dict where they are named, else a list.

    Args:
        fname: a path or a URI (s3, hdfs, azure, http, ...).

    Raises:
        TypeError: the name is no text.
        DamagedError: naming what is damaged, and where.
    """
    if not isinstance(fname, str):
        raise TypeError("fname required to be a string")
    return _loaded(open_source(fname))


def load_frombuffer(buf: Any) -> Any:
    """The arrays of a file's bytes; see `load`.

    Raises:
        TypeError: no bytes.
    """
    if not isinstance(buf, (str, bytes, bytearray, memoryview)):
        raise TypeError("buf required to be a string or bytes")
    return _loaded(BytesSource(buf.encode("latin-1") if isinstance(buf, str) else buf, "the buffer"))


def _loaded(source: Any) -> Any:
    found = by_name(_FORMAT).read(source)
    arrays = {name: wrap(from_tensor(tensor, f"{source.name}, {name}"), cpu()) for name, tensor in found.items()}
    return arrays if found.details.get("named") and arrays else list(arrays.values())


def save(fname: str, data: Any) -> None:
    """Save arrays in MXNet's format, whole or not at all.

    Args:
        fname: a path or a URI.
        data: an array, a list of arrays, or a dict from names to arrays.

    Raises:
        TypeError: other keys or values.
        ValueError: none of these.
        StoreError: the file cannot be written; what stood there stays.
    """
    if isinstance(data, Array):
        data = [data]
    if isinstance(data, Mapping):
        named = dict(data)
        if not all(isinstance(k, str) for k in named):
            raise _SaveTypeError("save only accept dict str->NDArray or list of NDArray", found="keys that are no text")
    elif isinstance(data, list):
        named = {str(i): v for i, v in enumerate(data)}
    else:
        raise ValueError("data needs to either be a NDArray, dict of str, NDArray pairs or a list of NDarrays.")
    wrong = sorted({type(v).__name__ for v in named.values() if not isinstance(v, Array)})
    if wrong:
        raise _SaveTypeError("save only accept dict str->NDArray or list of NDArray", found=", ".join(wrong))
    tensors = {k: to_tensor(v) for k, v in named.items()}
    details = {"named": isinstance(data, Mapping), "reserved": 0}
    save_checkpoint(Checkpoint(tensors, format=_FORMAT, details=details), fname, to=_FORMAT)
