"""MindSpore's Tensor, over a torch tensor: the same memory, MindSpore's constructor, methods and printing."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common import printing
from evergraph.mindspore.common.methods import Methods

__all__ = ["Tensor", "fresh", "from_numpy", "is_tensor", "tensor", "unwrap", "wrap"]


def wrap(value: Any) -> Any:
    """Torch tensors as Tensors, also inside tuples and lists; anything else as it is."""
    if isinstance(value, torch.Tensor):
        found = object.__new__(Tensor)
        found._torch = value
        return found
    if isinstance(value, (tuple, list)):
        return tuple(wrap(v) for v in value)
    return value


def fresh(value: torch.Tensor) -> "Tensor":
    """A Tensor of values that nobody else holds: a Parameter takes its memory instead of copying it."""
    found = wrap(value)
    found._fresh = True
    return found


def unwrap(value: Any) -> Any:
    """Tensors as torch tensors, also inside tuples, lists and dicts; element types as torch's."""
    if isinstance(value, Tensor):
        return value._torch
    if isinstance(value, (tuple, list)):
        return type(value)(unwrap(v) for v in value) if type(value) in (tuple, list) else tuple(map(unwrap, value))
    if isinstance(value, dict):
        return {k: unwrap(v) for k, v in value.items()}
    return value.torch if isinstance(value, mstype.DType) else value


_TAKEN = "Tensor, ndarray, torch tensor, list, tuple, float, int, bool, complex or bytes"


def _numbers(data: Any, where: str = "Tensor(input_data)") -> torch.Tensor:
    """A torch tensor of a Python value or a NumPy array, copied."""
    if isinstance(data, (bool, np.bool_)):
        return torch.tensor(bool(data))
    if isinstance(data, np.generic):
        data = np.asarray(data)
    if isinstance(data, np.ndarray):
        return _of_array(data)
    if isinstance(data, (int, float, complex)):
        kind = {int: torch.int64, float: torch.float32, complex: torch.complex128}
        if isinstance(data, int) and not -(2**63) <= data < 2**63:
            raise UsageError("a whole number of a Tensor has 64 bits", where=where, found=printable(data))
        return torch.tensor(data, dtype=next(k for t, k in kind.items() if isinstance(data, t)))
    if isinstance(data, (list, tuple)):
        if any(isinstance(v, Tensor) for v in data):
            return torch.stack([v._torch if isinstance(v, Tensor) else _numbers(v) for v in data])
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ShapeError("the rows of the list differ in length", where=where) from error
        if array.dtype.kind == "f" and not _holds_numpy(data):
            array = array.astype("f4")
        return _of_array(array)
    if isinstance(data, bytes):
        return torch.frombuffer(bytearray(data), dtype=torch.uint8)
    raise _WrongTypeError(
        "a Tensor cannot be made of this", where=where, expected=_TAKEN, found=printable(type(data).__name__)
    )


class _WrongTypeError(UsageError, TypeError):
    """A value of a type that the call does not take: a TypeError too, as in MindSpore."""


def _holds_numpy(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def _of_array(array: np.ndarray[Any, Any]) -> torch.Tensor:
    if array.dtype.kind not in "biufc" and array.dtype.name not in mstype.BY_NAME:
        raise _WrongTypeError(
            "a Tensor cannot hold these elements", expected="numbers or truth values", found=printable(array.dtype)
        )
    array = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):  # torch knows no NumPy extension types
        bits = torch.from_numpy(array.view(f"i{array.dtype.itemsize}"))
        return bits.view(getattr(torch, array.dtype.name))
    return torch.from_numpy(array)


class Tensor(Methods):
    """An n-dimensional array.

    Args:
        input_data: Tensor, NumPy array (copied), number, list or tuple of them.
        dtype: element type; of a Python int Int64, of a float Float32, otherwise that of the data.
        shape: shape, where `init` gives the values.
        init: an initializer that fills `shape` with `dtype`, at once.
        const_arg: taken and unused, as without graph compilation.

    Raises:
        UsageError: the data are of no type that it takes (a TypeError too), or `init` comes without shape or type.

    >>> Tensor([[1, 2], [3, 4]]) + 0.5
    Tensor(shape=[2, 2], dtype=Float32, value=
    [[ 1.50000000e+00,  2.50000000e+00],
     [ 3.50000000e+00,  4.50000000e+00]])
    """

    _torch: torch.Tensor
    _fresh = False

    def __init__(
        self,
        input_data: Any = None,
        dtype: Any = None,
        shape: Any = None,
        init: Any = None,
        const_arg: bool = False,
        device: str | None = None,
    ) -> None:
        if init is not None:
            self._torch = _initialised(input_data, dtype, shape, init)
            return
        if isinstance(input_data, Tensor):
            data = input_data._torch.detach()
        elif isinstance(input_data, torch.Tensor):
            data = input_data
        elif input_data is None and shape is not None and dtype is not None:
            data = torch.empty(_sizes(shape), dtype=mstype.of(dtype).torch)
        else:
            data = _numbers(input_data)
        self._torch = data if dtype is None else data.to(mstype.of(dtype).torch)

    # what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        return tuple(self._torch.shape)

    @property
    def dtype(self) -> mstype.DType:
        """The element type."""
        return mstype.of_torch(self._torch.dtype)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self._torch.numel()

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return self._torch.dim()

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._torch.element_size()

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._torch.numel() * self._torch.element_size()

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next, for each dimension."""
        return tuple(s * self.itemsize for s in self._torch.stride())

    @property
    def T(self) -> "Tensor":
        """All dimensions in reverse order."""
        return wrap(self._torch.permute(*range(self._torch.dim() - 1, -1, -1)))

    @property
    def has_init(self) -> bool:
        """Whether values are still to be made: never, here they are made at once."""
        return False

    @property
    def init(self) -> None:
        """The initializer that is still to run: none."""
        return

    @property
    def torch(self) -> torch.Tensor:
        """The torch tensor that holds the values: the same memory."""
        return self._torch

    @property
    def grad_fn(self) -> Any:
        """How torch records that it was computed, or None."""
        return self._torch.grad_fn

    # from and to other forms

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array that shares this tensor's memory."""
        data = self._torch.detach()
        data = data if data.device.type == "cpu" else data.cpu()
        data = data.resolve_conj().resolve_neg()
        if data.dtype in _NUMPY_LACKS:
            kind = mstype.dtype_to_nptype(self.dtype)
            return data.contiguous().view(_NUMPY_LACKS[data.dtype]).numpy().view(kind)
        return data.numpy()

    numpy = asnumpy

    @staticmethod
    def from_numpy(array: np.ndarray[Any, Any]) -> "Tensor":
        """A tensor that shares a NumPy array's memory."""
        if not isinstance(array, np.ndarray):
            raise _WrongTypeError("from_numpy takes a NumPy array", found=printable(type(array).__name__))
        return wrap(torch.from_numpy(array if array.flags.writeable else array.copy()))

    def init_data(self, *_: Any) -> "Tensor":
        """This tensor, whose values are there already."""
        return self

    def set_dtype(self, dtype: Any) -> mstype.DType:
        """Cast in place, and return the type."""
        self._torch = self._torch.to(mstype.of(dtype).torch)
        return self.dtype

    def get_bytes(self) -> bytes:
        """The values as they lie in memory."""
        return self.asnumpy().tobytes()

    @property
    def data(self) -> "Tensor":
        """The values, without what gradients need: the same memory."""
        return wrap(self._torch.detach())

    @property
    def device(self) -> str:
        """Where the values are: CPU or GPU."""
        return "CPU" if self._torch.device.type == "cpu" else "GPU"

    @property
    def mT(self) -> "Tensor":
        """The last two dimensions in each other's place."""
        return wrap(self._torch.mT)

    def register_hook(self, hook_fn: Any) -> Any:
        """Call `hook_fn(gradient)` when this tensor's gradient is known; what it returns takes its place.

        Raises:
            UsageError: no gradient is asked for.
        """
        if not self._torch.requires_grad:
            raise UsageError(
                "a hook needs a tensor that gradients flow through", fix="register it where grad() computes"
            )
        return self._torch.register_hook(lambda gradient: unwrap(hook_fn(wrap(gradient))))

    def assign_value(self, value: "Tensor") -> "Tensor":
        """Take another tensor's values, shape and type; its memory is shared from now on."""
        if self._torch.requires_grad or isinstance(self._torch, torch.nn.Parameter):
            self._torch.data = value._torch.detach()
        else:
            self._torch = value._torch
        return self

    # printing

    def __str__(self) -> str:
        return str(self.asnumpy())

    def __repr__(self) -> str:
        kind = self.dtype.title
        return f"Tensor(shape={list(self.shape)}, dtype={kind}, value={printing.values(self.asnumpy(), kind)})"

    # as Python's own

    def __bool__(self) -> bool:
        if self._torch.numel() != 1:
            raise UsageError(
                "the truth of a tensor of several elements is ambiguous", found=f"{self._torch.numel()} elements"
            )
        return bool(self._torch.item())

    def __int__(self) -> int:
        return int(self._torch.item())

    def __float__(self) -> float:
        return float(self._torch.item())

    def __index__(self) -> int:
        return self._torch.__index__()

    def __len__(self) -> int:
        if not self._torch.dim():
            raise _WrongTypeError("a tensor of no dimensions has no length")
        return len(self._torch)

    def __iter__(self) -> Iterator["Tensor"]:
        return (wrap(row) for row in self._torch)

    def __contains__(self, value: Any) -> bool:
        return bool((self._torch == unwrap(value)).any())

    def __hash__(self) -> int:
        return id(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.asnumpy()
        return array.astype(dtype) if dtype is not None else array.copy() if copy else array

    def __format__(self, how: str) -> str:
        return format(self.item() if how else str(self), how)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.asnumpy(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tensor":
        return wrap(self._torch.detach().clone())

    def __getitem__(self, index: Any) -> "Tensor":
        return wrap(self._torch[_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        value = value if isinstance(value, (int, float, bool)) else Tensor(value)._torch.to(self._torch.dtype)
        self._torch.data[_index(index)] = value


_NUMPY_LACKS = {
    torch.bfloat16: torch.int16,
    torch.float8_e4m3fn: torch.int8,
    torch.float8_e5m2: torch.int8,
}


def _unpickled(array: Any) -> Tensor:
    return Tensor(array)


def _index(index: Any) -> Any:
    """What torch indexes with: lists are index arrays, Tensors their torch tensors."""
    if isinstance(index, tuple):
        return tuple(_index(i) for i in index)
    if isinstance(index, (list, np.ndarray)):
        return torch.as_tensor(np.asarray(index))
    found = unwrap(index)
    if isinstance(found, torch.Tensor) and found.dtype in (torch.int8, torch.int16):
        return found.long()
    return found


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def _initialised(data: Any, dtype: Any, shape: Any, init: Any) -> torch.Tensor:
    if data is not None or dtype is None or shape is None:
        raise UsageError("init= needs shape= and dtype=, and no data", where="Tensor(init=...)")
    from evergraph.mindspore.common.initializer import initializer

    return initializer(init, _sizes(shape), dtype)._torch


def tensor(
    input_data: Any = None,
    dtype: Any = None,
    shape: Any = None,
    init: Any = None,
    const_arg: bool = False,
    device: str | None = None,
) -> Tensor:
    """A Tensor; see the class."""
    return Tensor(input_data, dtype, shape, init, const_arg, device)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares a NumPy array's memory."""
    return Tensor.from_numpy(array)


def is_tensor(obj: Any) -> bool:
    """Whether a value is a Tensor."""
    return isinstance(obj, Tensor)
