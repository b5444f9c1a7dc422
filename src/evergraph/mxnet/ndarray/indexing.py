"""Indexing: which keys are views that write through, and what the others copy or change."""

from typing import Any

import numpy as np
import torch

from evergraph.errors import ShapeError
from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.base import Array

__all__ = ["get_item", "is_basic", "plain_part", "set_item", "stored_plainly"]

_INTEGERS = (int, np.integer)
_BOUNDS = frozenset((int, type(None)))
_HELD = (np.ndarray, *_INTEGERS)
_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


class _ShapeIndexError(ShapeError, IndexError):
    """An index outside the array."""


class _FitError(ShapeError, ValueError):
    """A value that does not broadcast to its place."""


def _outside(index: Any, axis: int, size: int) -> IndexError:
    return _ShapeIndexError(
        f"index {index} is out of bounds for axis {axis} with size {size}", expected=f"{-size} to {size - 1}"
    )


def _expanded(key: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The key as one entry for each axis (None for new ones), the ellipsis written out."""
    entries = list(key) if isinstance(key, tuple) else [key]
    used = sum(_axes_of(e) for e in entries if e is not None and e is not Ellipsis)
    if used > len(shape):
        raise _ShapeIndexError(f"too many indices ({used}) for array with {len(shape)} dimensions")
    whole = [slice(None)] * (len(shape) - used)
    holes = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(holes) > 1:
        raise IndexError("Cannot use more than one ellipsis (`...`) for indexing")
    if holes:
        entries[holes[0] : holes[0] + 1] = whole
    else:
        entries += whole
    return tuple(entries)


def _axes_of(entry: Any) -> int:
    """How many axes an entry takes: a boolean mask takes as many as it has."""
    found = entry if isinstance(entry, (Array, np.ndarray)) else np.asarray(entry) if _is_list(entry) else None
    if found is not None and np.dtype(found.dtype) == np.bool_:
        return found.ndim
    return 1


def _is_list(entry: Any) -> bool:
    return isinstance(entry, (list, tuple, range))


def is_basic(key: tuple[Any, ...]) -> bool:
    """Whether a key holds only integers, slices and None.

    Raises:
        ValueError: an entry that indexes nothing.
    """
    basic = True
    for entry in key:
        if isinstance(entry, (Array, np.ndarray)) or _is_list(entry):
            basic = False
        elif not (entry is None or isinstance(entry, (slice, *_INTEGERS))) or isinstance(entry, bool):
            raise ValueError(f"NDArray does not support slicing with key {entry} of type {type(entry)}.")
    return basic


def _scalars(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays without axes as the integers that they hold."""
    return tuple(
        int(e.item()) if isinstance(e, (Array, np.ndarray)) and not e.ndim and e.dtype != np.bool_ else e for e in key
    )


def _stepped(key: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[int]]:
    """A basic key that torch takes, and the axes of the result that are then to be turned round.

    Raises:
        IndexError: an integer outside its axis.
        ValueError: a step of 0.
    """
    entries, turned, axis, place = [], [], 0, 0
    for entry in key:
        if entry is None:
            entries.append(None)
            place += 1
            continue
        size = shape[axis]
        if isinstance(entry, slice):
            if entry.step == 0:
                raise ValueError("slice step cannot be zero")
            span = range(size)[_integers(entry)]
            if span.step < 0:
                turned.append(place)
                span = span[::-1]
            entries.append(slice(span.start, max(span.stop, span.start), span.step))
            place += 1
        else:
            if not -size <= entry < size:
                raise _outside(entry, axis, size)
            entries.append(int(entry))
        axis += 1
    return tuple(entries), turned


def _integers(entry: slice) -> slice:
    return slice(*(None if v is None else int(v) for v in (entry.start, entry.stop, entry.step)))


def _as_index(entry: Any, device: Any) -> Any:
    """An advanced key's entry as torch takes it; integers keep their rank, so that they broadcast as NumPy's do."""
    if isinstance(entry, Array):
        found = entry._data
    elif isinstance(entry, _HELD) or _is_list(entry):
        array = np.asarray(entry)
        wanted = _BOOL if array.dtype == _BOOL else _INT64
        # what is recorded keeps its index for the backward pass, and the caller may change the array before
        if array.dtype != wanted or STATE.recording or not (array.flags.c_contiguous and array.flags.writeable):
            array = np.ascontiguousarray(array.astype(wanted))
        found = torch.from_numpy(array)
        found = found.reshape(1) if isinstance(entry, _INTEGERS) else found
    else:
        return entry
    return (found if found.dtype == torch.bool else found.to(torch.int64)).to(device)


def _advanced(key: tuple[Any, ...], tensor: torch.Tensor) -> tuple[Any, ...] | torch.Tensor:
    """An advanced key as torch takes it; as flat places where a slice goes backwards, which torch has not."""
    if any(isinstance(e, slice) and e.step is not None and e.step < 0 for e in key):
        keys = tuple(e.asnumpy() if isinstance(e, Array) else e for e in key)
        keys = tuple(k.astype(np.int64) if isinstance(k, np.ndarray) and k.dtype.kind == "f" else k for k in keys)
        return torch.from_numpy(np.arange(tensor.numel()).reshape(tuple(tensor.shape))[keys]).to(tensor.device)
    return tuple(_as_index(e, tensor.device) for e in key)


def _is_plain(key: tuple[Any, ...]) -> bool:
    """Whether torch takes a key as NumPy does: integers, and slices without a step."""
    for entry in key:
        kind = entry.__class__
        if kind is not int and (kind is not slice or entry.step is not None):
            return False
    return bool(key)


def plain_part(data: torch.Tensor, key: Any) -> torch.Tensor | None:
    """The part under a key that torch takes as it is; None for every other key.

    These are tuples of integers and slices, slices with a step, and NumPy's arrays of a boolean for each row.
    """
    if key.__class__ is tuple:
        if not _is_plain(key):
            return None
    elif key.__class__ is np.ndarray:
        if key.dtype != _BOOL or key.ndim != 1 or not data.dim() or len(key) != data.shape[0] or not data.is_cpu:
            return None
        # the places of so few rows are found by NumPy in a tenth of the time
        return torch.index_select(data, 0, torch.from_numpy(key.nonzero()[0]))
    else:
        whole = key.start.__class__ in _BOUNDS and key.stop.__class__ in _BOUNDS and key.step.__class__ is int
        if not whole or key.step < 2 or not data.dim():
            return None
    try:
        found = data[key]
    except IndexError:
        return None  # said better elsewhere
    if not found.dim():
        return None if STATE.np_shape else found.view(1)
    return found if found.is_contiguous() else found.contiguous()


def stored_plainly(data: Any, key: Any, value: Any) -> bool:
    """Write a number or an array under a simple key, as torch does; whether it could be done."""
    if key.__class__ is tuple:
        if not _is_plain(key):
            return False
    elif key.__class__ is not int and (key.__class__ is not slice or key.step is not None):
        return False
    if not data.ndim or not data.numel():
        return False
    if isinstance(value, Array):
        value = value._data
        if value.__class__ is not torch.Tensor or not value.ndim or value.device != data.device:
            return False
        if value.untyped_storage().data_ptr() == data.untyped_storage().data_ptr():
            return False
    elif value.__class__ is not float and value.__class__ is not int:
        return False
    try:
        data[key] = value
    except (RuntimeError, IndexError):
        return False  # said better elsewhere
    return True


def get_item(array: Array, key: Any) -> tuple[Any, bool]:
    """The values under a key, with their history, and whether they can be taken as they are: contiguous ones.

    Contiguous parts under integers, slices and None are views of the array; everything else is a copy.

    Raises:
        IndexError: too many indices, or one outside its axis.
    """
    data = array._data
    source = array._leaf if STATE.recording and array._leaf is not None else data
    if isinstance(key, (Array, np.ndarray)) and key.ndim and _axes_of(key) <= data.ndim:
        found = source[_as_index(key, data.device)]
        return found, found.is_contiguous()
    key = _scalars(_expanded(key, tuple(data.shape)))
    if not is_basic(key):
        places = _advanced(key, data)
        found = source[places] if isinstance(places, tuple) else source.reshape(-1)[places]
        return found, found.is_contiguous()
    entries, turned = _stepped(key, tuple(data.shape))
    found = source[entries]
    if turned:
        found = found.flip(turned)
    if not found.dim() and not STATE.np_shape:
        found = found.reshape(1)
    return found, not turned and found.is_contiguous()


def set_item(array: Array, key: Any, value: Any) -> None:
    """Write a value, which broadcasts, under a key.

    Raises:
        IndexError: too many indices, or one outside its axis.
        ShapeError: the value does not broadcast to the place.
    """
    data = array._data
    key = _scalars(_expanded(key, tuple(data.shape)))
    if is_basic(key):
        entries, turned = _stepped(key, tuple(data.shape))
        _store(data, entries, value, turned)
        return
    places = _advanced(key, data)
    if isinstance(places, tuple):
        _store(data, places, value, [])
    else:
        _store(data.view(-1), (places,), value, [])


def _fits(value: torch.Tensor, place: torch.Tensor) -> bool:
    """Whether a value broadcasts to a place."""
    pairs = zip(reversed(value.shape), reversed(place.shape), strict=False)
    return value.dim() <= place.dim() and all(a in (1, b) for a, b in pairs)


def _store(data: torch.Tensor, places: tuple[Any, ...], value: Any, turned: list[int]) -> None:
    if not turned and isinstance(value, torch.Tensor) and any(p is None for p in places):
        # as MXNet, which leaves new axes aside where a value fits without them
        fewer = tuple(p for p in places if p is not None)
        if value.dim() and _fits(value, data[fewer]):
            places = fewer
    try:
        if isinstance(value, torch.Tensor) and value.dim():
            value = value.to(data.dtype)
            if turned:
                value = value.broadcast_to(data[places].shape).flip(turned)
        data[places] = value
    except (RuntimeError, IndexError) as error:
        found = tuple(value.shape) if isinstance(value, torch.Tensor) else value
        raise _FitError(
            "the value does not fit where it is assigned", expected=str(error).splitlines()[0], found=found
        ) from error
