"""`mx.np.ndarray`: MXNet's array with NumPy's semantics, over a torch tensor."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as onp

from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context
from evergraph.mxnet.ndarray.indexing import plain_part
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.mxnet.ndarray.types import numpy_type
from evergraph.mxnet.numpy.face import ArrayFace
from evergraph.mxnet.numpy.methods import NumpyMethods

__all__ = ["FACE", "ndarray"]


_NEW = object.__new__
_FLAGS = (bool, onp.bool_)
_INTEGERS = {int}
_PLAIN = frozenset((int, slice))
_DTYPES: dict[Any, onp.dtype] = {}


def _flags(key: Any) -> list[int]:
    """Where True and False stand in a key: for NumPy, each is a new axis of size 1 or 0, and all of them are one."""
    entries = key if key.__class__ is tuple else (key,)
    return [i for i, each in enumerate(entries) if isinstance(each, _FLAGS)]


class ndarray(NumpyMethods, NDArray):  # type: ignore[misc]  # its methods are NumPy's, with NumPy's parameters
    """An array of one element type on one device, with NumPy's shapes, operators and methods.

    Arrays are made by `mx.np.array` and its like, or by `as_np_ndarray()` over the memory of an `NDArray`. Functions
    and methods are those of NumPy; what needs () as a shape, or sizes of 0, wants `mx.npx.set_np()` first, as in MXNet.

    Args:
        data: the tensor; shared.
        ctx: the device as MXNet names it; the current one where it is not given.

    >>> from evergraph.mxnet import np
    >>> np.ones((2, 2)) + np.arange(2)
    array([[1., 2.],
           [1., 2.]])
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> "ndarray":
        kind = key.__class__
        if kind is int or (kind is slice and key.step is None):
            recorded = self._leaf if STATE.recording else None
            data = self._value if recorded is None else recorded
            if data is None:
                data = self._data
            if data.dim() > (kind is int and not STATE.np_shape):
                try:
                    found = data[key]
                except (IndexError, RuntimeError, TypeError):
                    return self._part(key)  # says it better
                array = _NEW(ndarray)
                array._ctx = self._ctx
                if recorded is None:
                    array._value = found
                else:
                    array._leaf, array._value = found, None
                return array
        elif kind is tuple and not STATE.recording:
            data = self._data
            if STATE.np_shape and len(key) == data.dim() and set(map(type, key)) == _INTEGERS:
                try:
                    return ndarray(data[key], self._ctx)
                except IndexError:
                    return self._part(key)  # says it better
            found = plain_part(data, key)
            if found is not None:
                return ndarray(found, self._ctx)
        if kind is tuple and not key:
            return self
        flags = _flags(key)
        if not flags:
            return self._part(key)
        entries = key if kind is tuple else (key,)
        place = flags[0]
        found = self._part((*entries[:place], None, *(e for e in entries[place:] if not isinstance(e, _FLAGS))))
        if all(entries[i] for i in flags):
            return found
        return found._part((slice(None),) * (place - entries[:place].count(None)) + (slice(0, 0),))

    def __setitem__(self, key: Any, value: Any) -> None:
        flags = [] if key.__class__ in _PLAIN else _flags(key)
        if flags:
            entries = key if isinstance(key, tuple) else (key,)
            if not all(entries[i] for i in flags):
                return
            key = (None, *(e for e in entries if not isinstance(e, _FLAGS)))
        super().__setitem__(key, onp.nan if value is None else value)

    # text

    def __repr__(self) -> str:
        values = self.asnumpy()
        if values.dtype == onp.float32:
            shown = onp.array2string(values, separator=", ", prefix="array(")
            shown = f"{shown}, shape={values.shape}" if not values.size and values.shape != (0,) else shown
            return f"array({shown}{self._place()})"
        shown = repr(values)
        shown = shown if "dtype=" in shown or values.dtype == onp.bool_ else f"{shown[:-1]}, dtype={values.dtype})"
        return f"{shown[:-1]}{self._place()})"

    def _place(self) -> str:
        return "" if self._ctx.device_type == "cpu" else f", ctx={self._ctx}"

    def __str__(self) -> str:
        return str(self.asnumpy()) + ("" if self._ctx.device_type == "cpu" else f" @{self._ctx}")

    def __format__(self, spec: str) -> str:
        return format(self.item() if not self.ndim else self.asnumpy(), spec) if spec else str(self)

    # values

    def item(self, *args: Any) -> Any:
        """One value as a Python number: the only one, or the one at a place."""
        return self.asnumpy().item(*args)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.asnumpy().tolist()

    def asscalar(self) -> Any:
        """`mx.np.ndarray` has no such method; `item` is meant.

        Raises:
            AttributeError: always.
        """
        raise AttributeError("mxnet.numpy.ndarray object has no attribute asscalar")

    def __bool__(self) -> bool:
        if not self.size:
            warnings.warn(
                "The truth value of an empty array is ambiguous. Returning False, but in future this will result in an"
                " error.",
                DeprecationWarning,
                stacklevel=2,
            )
            return False
        if self.size > 1:
            raise ValueError(
                "The truth value of an ndarray with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def _only(self) -> Any:
        if self.size != 1:
            raise TypeError("only size-1 arrays can be converted to Python scalars")
        return self.item()

    def __iter__(self) -> Iterator["ndarray"]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        return id(self) // 16

    # devices, types, copies

    @property
    def dtype(self) -> onp.dtype:
        """The element type, as NumPy's arrays have it."""
        kind = self._data.dtype
        found = _DTYPES.get(kind)
        if found is None:
            found = _DTYPES[kind] = onp.dtype(numpy_type(kind))
        return found

    def as_nd_ndarray(self) -> NDArray:
        """The array as an `NDArray`, over the same memory and with the same history."""
        return self._as(NDArray)

    def as_np_ndarray(self) -> "ndarray":
        """The array itself."""
        return self

    def astype(  # type: ignore[override]
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """The values in another type.

        Args:
            dtype: the type.
            order: NumPy's; "K" alone.
            casting: NumPy's; "unsafe" alone.
            subok: NumPy's; true alone.
            copy: whether an array of the same type is copied.
        """
        if order not in ("K", "A", "C") or casting != "unsafe" or not subok:
            raise ValueError("astype takes order='K', casting='unsafe' and subok=True alone")
        return super().astype(dtype, copy)

    def reshape_view(self, *shape: Any, **kwargs: Any) -> Any:
        """The same memory under another shape; see `NDArray.reshape`."""
        return NDArray.reshape(self, *shape, **kwargs)

    def copy(self, order: str = "C") -> Any:
        """A copy on the same device.

        Raises:
            NotImplementedError: another order than "C".
        """
        if order != "C":
            raise NotImplementedError('ndarray.copy only supports order="C"')
        return super().copy()

    def as_in_context(self, context: Context) -> "ndarray":
        """The earlier name of `as_in_ctx`."""
        warnings.warn("ndarray.as_in_context has been renamed to ndarray.as_in_ctx", DeprecationWarning, stacklevel=2)
        return self.as_in_ctx(context)

    def as_in_ctx(self, ctx: Context) -> "ndarray":
        """The array itself where it is on the device, else a copy there."""
        return self if self._ctx == ctx else self.copyto(ctx)

    @property
    def ctx(self) -> Context:
        """The device."""
        return self._ctx

    def tostype(self, stype: str) -> NoReturn:
        """Arrays with NumPy's semantics are dense.

        Raises:
            AttributeError: always.
        """
        raise AttributeError("mxnet.numpy.ndarray object has no attribute tostype")

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Ask for the array's gradient; see `NDArray.attach_grad`."""
        super().attach_grad(grad_req)
        if self._mark is not None and self._mark.grad is not None:
            self._mark.grad = self._mark.grad.as_np_ndarray()

    # NumPy's own functions on these arrays

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`numpy.sin(x)` and its like give arrays of this class."""
        from evergraph.mxnet.numpy.dispatch import array_ufunc

        return array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """`numpy.mean(x)` and its like give arrays of this class."""
        from evergraph.mxnet.numpy.dispatch import array_function

        return array_function(func, types, args, kwargs)


ndarray.__module__ = "mxnet.numpy"

FACE = ndarray._op = ArrayFace(ndarray)
"""Functions over these arrays."""
