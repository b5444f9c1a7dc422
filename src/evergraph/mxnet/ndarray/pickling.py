"""Arrays in pickles: MXNet's own form, a `handle` that holds one array record."""

from typing import Any

import torch

from evergraph.errors import DamagedError
from evergraph.formats.cursor import Cursor
from evergraph.formats.mxnet_params import array_record, read_array
from evergraph.mxnet import alias
from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.ndarray.base import Array
from evergraph.ops.sparse import CSR, RowSparse
from evergraph.stores import BytesSource
from evergraph.tensors import NONE, Tensor

__all__ = ["from_tensor", "reduced", "restore", "to_record", "to_tensor"]

_CODES = dict(Context.devtype2str.items())


def to_tensor(array: Array) -> Tensor:
    """An array as a checkpoint's tensor, over the same memory."""
    value = array._data
    details = {"device": (array._ctx.device_typeid, array._ctx.device_id)}
    if isinstance(value, torch.Tensor):
        return Tensor.of(value, {"version": 3, **details} if STATE.np_shape else details)
    data, indices = Tensor.of(value.data), Tensor.of(value.indices)
    indptr = Tensor.of(value.indptr) if isinstance(value, CSR) else None
    return Tensor.sparse(value.kind, tuple(value.shape), data, indices, indptr, details)


def from_tensor(tensor: Tensor, where: str = "") -> Any:
    """A checkpoint's tensor as the value of an array: a torch tensor or a sparse value.

    Raises:
        DamagedError: the sparse parts lie.
    """
    from evergraph.tensors.sparse import check_parts

    if tensor.storage == NONE:
        return torch.empty((0,))
    if not tensor.parts:
        return tensor.torch()
    wrong = check_parts(tensor)
    if wrong:
        raise DamagedError(f"the {tensor.storage} array's parts lie", where=where or None, details=wrong)
    data, indices = tensor.data.torch(), tensor.indices.torch().to(torch.int64)
    if "indptr" in tensor.parts:
        return CSR(data, indices, tensor.indptr.torch().to(torch.int64), tuple(tensor.shape or ()))
    return RowSparse(data, indices, tuple(tensor.shape or ()))


def to_record(array: Array) -> bytearray:
    """The array record that MXNet's pickles hold."""
    pieces, _ = array_record(to_tensor(array), None)
    found = bytearray()
    for piece in pieces:
        found += piece if isinstance(piece, bytes) else bytes(piece.read())
    return found


def restore(array: Array, state: Any) -> None:
    """Fill an array from a pickle's state.

    Raises:
        DamagedError: the state is not MXNet's.
    """
    handle = state.get("handle") if isinstance(state, dict) else None
    if handle is None:
        array._data, array._ctx = torch.empty((0,)), cpu()
        return
    # Python 2's text, read as latin-1, is the bytes
    data = handle.encode("latin-1") if isinstance(handle, str) else bytes(handle)
    source = BytesSource(data, "a pickled array")
    cursor = Cursor(source)
    tensor = read_array(cursor)
    if cursor.position != source.size:
        raise DamagedError("bytes stand behind a pickled array", expected=source.size, found=cursor.position)
    value = from_tensor(tensor)
    code, index = tensor.details.get("device", (1, 0))
    kind = _CODES.get(code, "cpu")
    # the device is that of the saving program; a GPU that is not here is no reason to refuse the values
    array._data, array._ctx = value, Context(kind, index) if kind != "gpu" else cpu()


def reduced(array: Any) -> Any:
    """What `__reduce__` returns: the class by MXNet's name where that leads here, so that MXNet reads it too."""
    kind = type(array)
    if alias.serves(kind):
        return kind, (None,), array.__getstate__()
    return _rebuilt, (kind.__name__, to_record(array))


def _rebuilt(name: str, record: bytearray) -> Any:
    from evergraph.mxnet import ndarray, numpy

    kind = numpy.ndarray if name == "ndarray" else getattr(ndarray, name)
    found = kind.__new__(kind)
    restore(found, {"handle": record})
    return found
