"""NDArray: MXNet's array over a torch tensor, without copies."""

import ctypes
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from evergraph.errors import ShapeError
from evergraph.mxnet._later import later
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import integer_types
from evergraph.mxnet.context import Context
from evergraph.mxnet.history import end_used
from evergraph.mxnet.ndarray import arithmetic, pickling
from evergraph.mxnet.ndarray.base import Array, Mark, holds
from evergraph.mxnet.ndarray.fluent import FLUENT, fluent
from evergraph.mxnet.ndarray.functions import function
from evergraph.mxnet.ndarray.indexing import get_item, plain_part, set_item, stored_plainly
from evergraph.mxnet.ndarray.invoke import invoke, require_unrecorded
from evergraph.mxnet.ndarray.types import numpy_type, tensor_of, torch_type
from evergraph.ops import Operator, get
from evergraph.ops.families.array.reshape import reshaped
from evergraph.ops.sparse import dense_value

__all__ = ["NDArray", "torch_type"]

__getattr__ = later(__name__, "evergraph.mxnet.ndarray")

# plain tuples by torch's sizes: finding one takes half the time of making it
_SHAPES: dict[Any, tuple[int, ...]] = {}
# shapes without codes, with which `reshape` need not look at the array's own
_PLAIN_SHAPES: set[tuple[Any, ...]] = set()
# what shapes with codes come to, by the array's own
_RESOLVED: dict[tuple[Any, Any], tuple[Any, ...]] = {}
_MOST_SHAPES = 1024
_NEW = object.__new__  # without a value: a recorded one has it from its leaf
_REQUESTS = ("null", "write", "add")
# operators whose result may go into an array of another type
_CONVERTING = frozenset(("_copyto", "Cast", "amp_cast", "_set_value", "cast_storage"))


def _plain_sizes(sizes: Any) -> tuple[int, ...]:
    if len(_SHAPES) >= _MOST_SHAPES:
        _SHAPES.clear()
    found = _SHAPES[sizes] = tuple(sizes)
    return found


@holds(torch.Tensor)
class NDArray(Array):
    """An array of one element type on one device; see `Array` for what it is made of.

    Args:
        data: the tensor; shared.
        ctx: the device as MXNet names it; the current one where it is not given.
    """

    __slots__ = ()
    __array_priority__ = 1000.0
    writable = True

    # values and what describes them

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        value = self._value
        sizes = self._data.shape if value is None else value.shape
        try:
            return _SHAPES[sizes]
        except KeyError:
            return _plain_sizes(sizes)

    @property
    def dtype(self) -> Any:
        """Element type as a NumPy scalar type, such as `numpy.float32`."""
        return numpy_type(self._data.dtype)

    @property
    def context(self) -> Context:
        """The device."""
        return self._ctx

    ctx = context

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.numel()

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        value = self._value
        return self._data.dim() if value is None else value.dim()

    @property
    def handle(self) -> ctypes.c_void_p:
        """The address of the values; there is no C object behind an array here."""
        return ctypes.c_void_p(dense_value(self._data).data_ptr())

    @property
    def T(self) -> "NDArray":
        """A copy with the axes in reverse order; the array itself where it has fewer than two."""
        return self if self.ndim < 2 else function("transpose")(self)

    def asnumpy(self) -> np.ndarray:
        """A copy of the values as a NumPy array; bfloat16 as ml_dtypes' type."""
        tensor = self._data
        if tensor.dtype is torch.float32 and tensor.is_cpu:
            return tensor.numpy().copy()
        tensor = tensor.cpu()
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(np.dtype(self.dtype)).copy()
        return tensor.numpy().copy()

    def asscalar(self) -> Any:
        """The one value of an array of size 1, as a NumPy scalar.

        Raises:
            ValueError: the array has another size.
        """
        data = self._data
        try:
            if data.dtype is torch.float32:
                return np.float32(data.item())  # torch counts the values itself
        except RuntimeError:
            pass
        if data.numel() != 1:
            raise ValueError("The current array is not a scalar")
        found = self.asnumpy()
        return found[0] if found.ndim == 1 else found[()]

    def item(self) -> Any:
        """The one value of an array of size 1, as a Python number.

        Raises:
            ValueError: the array has another size.
        """
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._data.item()

    def __repr__(self) -> str:
        sizes = "x".join(map(str, self.shape))
        return f"\n{self.asnumpy()}\n<{type(self).__name__} {sizes} @{self._ctx}>"

    def __bool__(self) -> bool:
        if not self.size:
            return False
        if self.size == 1:
            return bool(self.item())
        raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")

    __nonzero__ = __bool__

    def __len__(self) -> int:
        shape = self._data.shape
        if not shape:
            raise TypeError("len() of a 0-d array")
        return shape[0]

    def __iter__(self) -> Iterator["NDArray"]:
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        return id(self) // 16

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not np.issubdtype(self.dtype, np.integer):
            raise TypeError("only integer arrays of one element can be an index")
        return int(self.item())

    # parts

    def __getitem__(self, key: Any) -> "NDArray":
        if not STATE.recording:
            data = self._value
            if data is None:
                data = self._data
            kind = key.__class__
            if kind is slice and key.step is None:
                if key.start is None and key.stop is None:
                    return self
                if data.dim():
                    return NDArray(data[key], self._ctx)
            elif kind is int and data.dim() > 1:
                try:
                    return NDArray(data[key], self._ctx)
                except IndexError:
                    pass  # said below
            elif kind is slice or kind is tuple or kind is np.ndarray:
                found = plain_part(data, key)
                if found is not None:
                    return NDArray(found, self._ctx)
        elif key.__class__ is slice and key.step is None and self._leaf is not None and self._leaf.ndim:
            array = _NEW(NDArray)
            array._ctx, array._leaf, array._value = self._ctx, self._leaf[key], None
            return array
        if (isinstance(key, tuple) and not key) or (
            isinstance(key, slice) and key.start is None and key.stop is None and key.step in (None, 1)
        ):
            return self
        return self._part(key)

    def _part(self, key: Any) -> Any:
        """The part under any key, of the array's own class."""
        found, ready = get_item(self, key)
        if not found.requires_grad:
            # what shares memory, and is no view for MXNet, is made its own
            return type(self)(found if ready else found.clone(memory_format=torch.contiguous_format), self._ctx)
        array = type(self)(found.data if ready else found.data.contiguous().clone(), self._ctx)
        array._leaf = found
        return array

    def __setitem__(self, key: Any, value: Any) -> None:
        if STATE.recording:
            require_unrecorded(self)
        elif stored_plainly(self._data, key, value):
            return
        if not self.size:
            return
        if not self.ndim and isinstance(key, slice):
            key = ()
        found, history = self._assignable(value)
        set_item(self, key, found)
        if history is not None:
            changed = type(self)(self._data.clone(), self._ctx)
            set_item(changed, key, history)
            self._leaf = changed._data

    def _assignable(self, value: Any) -> tuple[Any, Any]:
        """A value that a tensor takes, on the array's device, and the same with its history if it is recorded."""
        if isinstance(value, Array):
            tensor = dense_value(value._data)
            if tensor is self._data or tensor.untyped_storage().data_ptr() == self._data.untyped_storage().data_ptr():
                tensor = tensor.clone()
            history = value._leaf if STATE.recording else None
            return tensor.to(self._data.device), history if history is not None and history.requires_grad else None
        if isinstance(value, (bool, int, float)):
            return value, None
        try:
            return tensor_of(value, self._data.dtype).to(self._data.device), None
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"NDArray does not support assignment with non-array-like object {value!r} of type {type(value)}"
            ) from error

    def slice_assign(self, rhs: "NDArray", begin: Any, end: Any, step: Any) -> "NDArray":
        """Write an array over a part of this one."""
        params = {"begin": begin, "end": end, "step": step}
        return function("_slice_assign")(self, rhs, out=self, **params)

    def slice_assign_scalar(self, value: float, begin: Any, end: Any, step: Any) -> "NDArray":
        """Write a number over a part of this array."""
        return function("_slice_assign_scalar")(self, out=self, scalar=value, begin=begin, end=end, step=step)

    def _at(self, idx: int) -> "NDArray":
        return self[idx]

    def _slice(self, start: int | None, stop: int | None) -> "NDArray":
        return self[start:stop]

    def _full(self, value: float) -> "NDArray":
        self[:] = value
        return self

    def _sync_copyfrom(self, source_array: Any) -> None:
        """Write an array-like of this shape over the array.

        Raises:
            ValueError: the source has another shape.
        """
        tensor = tensor_of(source_array, self._data.dtype)
        if tensor.shape != self._data.shape:
            raise ValueError(f"Shape inconsistent: expected {tuple(tensor.shape)} vs got {self.shape}")
        self._data.copy_(tensor)

    def _assign(self, result: Any, op: Operator | None = None) -> None:
        """Take an operator's result: the memory stays."""
        value = dense_value(result)
        if value.shape != self._data.shape:
            if not (op is not None and op.name == "_set_value"):
                raise ShapeError(
                    "the result does not fit into `out`",
                    where=f"operator {op.name}" if op is not None else None,
                    expected=tuple(value.shape),
                    found=self.shape,
                )
        elif op is not None and op.inputs and value.dtype != self._data.dtype and op.name not in _CONVERTING:
            raise ShapeError(
                "the result has another type than `out`",
                where=f"operator {op.name}",
                expected=numpy_type(value.dtype).__name__,
                found=np.dtype(self.dtype).name,
            )
        self._data.copy_(value.detach())
        if value.requires_grad:
            self._leaf = value

    # other shapes

    def reshape(self, *shape: Any, **kwargs: Any) -> "NDArray":
        """The same memory under another shape; 0, -1, -2, -3 and -4 are Reshape's codes.

        Args:
            shape: sizes and codes, as one tuple or as several arguments.
            kwargs: `shape`, and `reverse` to match codes from the right.

        Raises:
            ShapeError: (a ValueError) the sizes do not fit.
        """
        sizes = shape[0] if len(shape) == 1 else shape
        if sizes.__class__ is tuple and not kwargs and sizes in _PLAIN_SHAPES and not STATE.recording:
            try:
                return type(self)(self._data.view(sizes), self._ctx)
            except RuntimeError:
                pass  # said below
        if sizes.__class__ is tuple and not kwargs:
            resolved = _RESOLVED.get((sizes, self.shape))
            if resolved is not None:
                return self._viewed(resolved)
        unknown = kwargs.keys() - {"shape", "reverse"}
        if unknown:
            raise TypeError(
                f"Got unknown keywords in reshape: {', '.join(sorted(unknown))}. "
                "Accepted keyword arguments are 'shape' and 'reverse'."
            )
        wanted: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], (list, tuple)) else shape
        if not shape:
            wanted = kwargs.get("shape")
            wanted = (wanted,) if isinstance(wanted, integer_types) else wanted
            if wanted is None or (not wanted and self.size != 1):
                raise AssertionError("Shape must be provided.")
        codes = [int(d) for d in wanted]
        if sizes.__class__ is tuple and codes and min(codes) >= -1 and 0 not in codes and codes.count(-1) < 2:
            if len(_PLAIN_SHAPES) >= _MOST_SHAPES:
                _PLAIN_SHAPES.clear()
            _PLAIN_SHAPES.add(sizes)
        found = tuple(reshaped(self.shape, codes, bool(kwargs.get("reverse", False))))
        if sizes.__class__ is tuple and not kwargs:
            if len(_RESOLVED) >= _MOST_SHAPES:
                _RESOLVED.clear()
            _RESOLVED[sizes, self.shape] = found
        return self._viewed(found)

    def _viewed(self, sizes: tuple[Any, ...]) -> "NDArray":
        try:
            found = type(self)(self._data.view(sizes), self._ctx)
        except RuntimeError as error:
            raise ShapeError(
                f"Cannot reshape array of size {self.size} into shape {sizes}", found=self.shape
            ) from error
        if STATE.recording and self._leaf is not None:
            found._leaf = self._leaf.reshape(sizes)
        return found

    def flatten(self, inplace: bool = False) -> "NDArray":
        """All axes but the first as one; `inplace` shares the memory."""
        return self.reshape((0, -1)) if inplace else function("Flatten")(self)

    def expand_dims(self, axis: int, inplace: bool = False) -> "NDArray":
        """A new axis of size 1; `inplace` shares the memory."""
        if not inplace:
            return function("expand_dims")(self, axis=axis)
        if not -self.ndim - 1 <= axis <= self.ndim:
            raise AssertionError(f"axis {axis} is out of range for {self.ndim}d array")
        sizes = list(self.shape)
        sizes.insert(axis if axis >= 0 else axis + self.ndim + 1, 1)
        return self._viewed(tuple(sizes))

    def squeeze(self, axis: Any = None, inplace: bool = False) -> "NDArray":
        """Without axes of size 1; `inplace` shares the memory."""
        if not inplace:
            return function("squeeze")(self, axis=axis)
        rank = self.ndim
        axes = [i for i, d in enumerate(self.shape) if d == 1] if axis is None else axis
        axes = [axes] if isinstance(axes, int) else list(axes)
        if len(set(axes)) != len(axes):
            raise AssertionError(f"axis {axes} contains duplicate which is not allowed.")
        for each in axes:
            if not -rank <= each < rank:
                raise AssertionError(f"axis {each} is out of range for {rank}d array")
            if self.shape[each] != 1:
                raise AssertionError(f"Squeeze target axis {each} must be size 1, got {self.shape[each]}.")
        dropped = {a % rank for a in axes}
        return self._viewed(tuple(d for i, d in enumerate(self.shape) if i not in dropped) or (1,))

    def broadcast_to(self, shape: Any) -> "NDArray":
        """The values repeated along axes of size 1; new axes stand in front.

        Raises:
            ShapeError: (a ValueError) the shapes do not fit.
        """
        sizes = tuple(shape)
        own = (1,) * (len(sizes) - self.ndim) + self.shape
        if len(own) != len(sizes) or any(a not in (1, b) for a, b in zip(own, sizes, strict=True)):
            raise ShapeError(
                "operands could not be broadcast together with remapped shapes", expected=sizes, found=self.shape
            )
        return function("broadcast_to")(self if own == self.shape else self.reshape(own), shape=sizes)

    def broadcast_like(self, other: "NDArray") -> "NDArray":
        """The values repeated to another array's shape."""
        return self.broadcast_to(other.shape)

    def diag(self, k: int = 0, **kwargs: Any) -> "NDArray":
        """The k-th diagonal, or a matrix with the array on it."""
        return function("diag")(self, k=k, **kwargs)

    def split_v2(self, *args: Any, **kwargs: Any) -> Any:
        """Parts of the array; see `mx.nd.split_v2`."""
        from evergraph.mxnet.ndarray.creation import split_v2

        return split_v2(self, *args, **kwargs)

    # copies

    def copy(self) -> "NDArray":
        """A copy on the same device."""
        return self._copied(self._ctx, self._data)

    def copyto(self, other: Any) -> Any:
        """Copy the values into an array, or to a new array on a device.

        Raises:
            TypeError: `other` is neither.
        """
        if other is self:
            warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
            return False
        if isinstance(other, Array):
            if STATE.recording:
                require_unrecorded(other)
            elif other.__class__ is self.__class__ is NDArray and other._data.shape == self._data.shape:
                other._data.copy_(self._data)
                return other
            source = self._leaf if STATE.recording and self._leaf is not None else self._data
            other._assign(source, _COPYTO)
            return other
        if not isinstance(other, Context):
            raise TypeError(f"copyto does not support type {type(other)}")
        return self._copied(other, self._data)

    def _copied(self, ctx: Context, data: Any, dtype: torch.dtype | None = None) -> Any:
        """A copy on a device, with its history while recording."""
        if dtype is None and ctx is self._ctx and not STATE.recording and data.__class__ is torch.Tensor:
            return type(self)(data.clone(), ctx)
        target = ctx.torch_device
        found = type(self)(data.to(target, dtype, copy=True), ctx)
        if STATE.recording and self._leaf is not None:
            history = self._leaf.to(target, dtype, copy=True)
            found._leaf = history if history.requires_grad else None
        return found

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The values in another type; always a copy, unless `copy` is false and the type is the same."""
        kind = torch_type(dtype)
        if not copy and kind == self._data.dtype:
            return self
        return self._copied(self._ctx, self._data, kind)

    def as_in_context(self, context: Context) -> Any:
        """The array itself where it is on the device, else a copy there."""
        return self if self._ctx == context else self.copyto(context)

    as_in_ctx = as_in_context

    def as_nd_ndarray(self) -> "NDArray":
        """The array itself."""
        return self

    def as_np_ndarray(self) -> Any:
        """The array as `mx.np.ndarray`, over the same memory and with the same history."""
        from evergraph.mxnet.numpy import ndarray

        return self._as(ndarray)

    def _as(self, kind: Any) -> Any:
        """An array of another class over the same memory, with the same history and gradient."""
        found = kind(self._data, self._ctx)
        found._leaf, found._mark = self._leaf, self._mark
        return found

    def tostype(self, stype: str) -> Any:
        """A copy in another storage: "default", "row_sparse" or "csr".

        Raises:
            ValueError: csr of other than two axes.
        """
        if stype == "csr" and len(self.shape) != 2:
            raise ValueError(f"To convert to a CSR, the NDArray should be 2 Dimensional. Current shape is {self.shape}")
        return invoke(_CAST_STORAGE, (self,), _CAST_STORAGE.convert({"stype": stype}))

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.copy()

    def __reduce__(self) -> Any:
        return pickling.reduced(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"handle": pickling.to_record(self)}

    def __setstate__(self, state: Any) -> None:
        pickling.restore(self, state)

    # exchange with other libraries

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            found = self._data.numpy()
            if dtype is not None and np.dtype(dtype) != found.dtype:
                raise ValueError("another dtype needs a copy")
            return found
        found = self.asnumpy()
        return found if dtype is None else found.astype(dtype, copy=False)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._data.__dlpack_device__()

    def to_dlpack_for_read(self) -> Any:
        """A DLPack capsule over the array's memory."""
        return self._data.__dlpack__()

    to_dlpack_for_write = to_dlpack_for_read

    def wait_to_read(self) -> None:
        """Wait until the values are computed."""
        if self._ctx.torch_device.type == "cuda":
            torch.cuda.synchronize(self._ctx.torch_device)

    wait_to_write = wait_to_read

    # gradients

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Ask for the array's gradient: `x.grad` is zeros until `backward` fills it, and the array's history ends.

        Args:
            grad_req: "write", "add" to what is there, or "null".
            stype: storage of the gradient; the array's own where it is not given.
        """
        from evergraph.mxnet.autograd import mark_variables
        from evergraph.mxnet.ndarray.creation import zeros

        if grad_req not in _REQUESTS:
            raise KeyError(grad_req)
        kind = stype if stype is not None else self.stype
        mark_variables([self], [zeros(self.shape, self._ctx, self.dtype, stype=kind)], grad_req)

    @property
    def grad(self) -> Any:
        """The array that takes the gradient, or None."""
        return self._mark.grad if self._mark is not None and self._mark.req != "null" else None

    @property
    def _grad(self) -> Any:
        return self._mark.grad if self._mark is not None and self._mark.req != "null" else None

    @property
    def _grad_req(self) -> str:
        return self._mark.req if self._mark is not None else "null"

    @property
    def _fresh_grad(self) -> bool:
        """Whether the gradient was written since this was last set to false."""
        return self._mark is not None and self._mark.fresh

    @_fresh_grad.setter
    def _fresh_grad(self, state: Any) -> None:
        if self._mark is None:
            self._mark = Mark(None, "null")
        self._mark.fresh = bool(state)

    def detach(self) -> Any:
        """The same memory without a history; the array's own ends too where a backward pass has used it up."""
        if self._leaf is not None and not STATE.recording:
            end_used(self)
        return type(self)(self._data, self._ctx)

    def backward(self, out_grad: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Compute the gradients of everything that this array was recorded from."""
        from evergraph.mxnet import autograd

        autograd.backward([self], [out_grad], retain_graph, train_mode)

    # Python's operators

    __add__ = arithmetic.method("add")
    __sub__ = arithmetic.method("subtract")
    __mul__ = arithmetic.method("multiply")
    __truediv__ = __div__ = arithmetic.method("divide")
    __mod__ = arithmetic.method("modulo")
    __pow__ = arithmetic.method("power")
    __radd__, __rmul__ = __add__, __mul__
    __rsub__ = arithmetic.reflected_method("subtract")
    __rtruediv__ = __rdiv__ = arithmetic.reflected_method("divide")
    __rmod__ = arithmetic.reflected_method("modulo")
    __rpow__ = arithmetic.reflected_method("power")
    __iadd__ = arithmetic.in_place_method("add")
    __isub__ = arithmetic.in_place_method("subtract")
    __imul__ = arithmetic.in_place_method("multiply")
    __itruediv__ = __idiv__ = arithmetic.in_place_method("divide")
    __imod__ = arithmetic.in_place_method("modulo")
    __eq__ = arithmetic.method("equal")  # type: ignore[assignment]
    __ne__ = arithmetic.method("not_equal")  # type: ignore[assignment]
    __gt__ = arithmetic.method("greater")
    __ge__ = arithmetic.method("greater_equal")
    __lt__ = arithmetic.method("lesser")
    __le__ = arithmetic.method("lesser_equal")

    def __neg__(self) -> "NDArray":
        if not STATE.recording and self._data.dtype is torch.float32:
            return NDArray(-self._data, self._ctx)
        return self * -1.0

    def __abs__(self) -> "NDArray":
        return self.abs()


for _name in FLUENT:
    setattr(NDArray, _name, fluent(_name))

_COPYTO, _CAST_STORAGE = get("_copyto"), get("cast_storage")

# pickles name the class by its module: this is the name that MXNet reads (see `evergraph.mxnet.alias`)
NDArray.__module__ = "mxnet.ndarray.ndarray"
