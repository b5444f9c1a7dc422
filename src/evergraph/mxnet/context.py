"""Devices as MXNet names them, on torch."""

import functools
import threading
import warnings
from typing import Any, ClassVar

from evergraph.errors import UsageError

__all__ = ["Context", "cpu", "cpu_pinned", "current_context", "gpu", "gpu_memory_info", "num_gpus"]

_TYPES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
_IDS = {name: number for number, name in _TYPES.items()}


class _Default(threading.local):
    context: "Context | None" = None

    def __init__(self) -> None:
        self.outer: list[Context | None] = []

    @property
    def value(self) -> "Context":
        """The default, as old programs read and set it."""
        return self.context or cpu()

    @value.setter
    def value(self, ctx: "Context") -> None:
        self.context = ctx


class _DefaultContext:
    """`Context.default_ctx`: the thread's default, readable on the class as programs do."""

    def __get__(self, instance: object, owner: type) -> "Context":
        warnings.warn(
            "Context.default_ctx has been deprecated. Please use Context.current_context() instead. Please use"
            " test_utils.set_default_context to set a default context",
            DeprecationWarning,
            stacklevel=2,
        )
        return current_context()

    def __set__(self, instance: object, value: "Context") -> None:
        Context._default_ctx.context = value


class _DeviceKindError(UsageError, KeyError):
    """A kind of device that there is not."""

    __str__ = UsageError.__str__  # KeyError's shows a representation


class Context:
    """A device: `Context("gpu", 1)`, or another context to copy.

    As a context manager it is the default of everything made inside.

    Raises:
        UsageError: no such kind of device.

    >>> with cpu(1):
    ...     print(current_context())
    cpu(1)
    """

    _default_ctx: ClassVar[_Default] = _Default()
    default_ctx = _DefaultContext()
    devtype2str: ClassVar[dict[int, str]] = _TYPES
    devstr2type: ClassVar[dict[str, int]] = _IDS

    __slots__ = ("_device", "device_id", "device_typeid")

    def __init__(self, device_type: "str | Context", device_id: int = 0) -> None:
        if isinstance(device_type, Context):
            self.device_typeid, self.device_id = device_type.device_typeid, device_type.device_id
        elif device_type in _IDS:
            self.device_typeid, self.device_id = _IDS[device_type], int(device_id)
        else:
            raise _DeviceKindError("no such kind of device", expected=", ".join(_IDS), found=repr(device_type))
        self._device: Any = None

    @property
    def device_type(self) -> str:
        """The kind of device: "cpu", "gpu", "cpu_pinned" or "cpu_shared"."""
        return _TYPES[self.device_typeid]

    @property
    def torch_device(self) -> Any:
        """The torch device that stands for this one; every cpu(i) is the same memory.

        Raises:
            UsageError: the device is not there.
        """
        if self._device is None:
            self._device = _find_device(self.device_type, self.device_id)
        return self._device

    def empty_cache(self) -> None:
        """Give the device's unused cached memory back."""
        import torch

        if self.torch_device.type == "cuda":
            torch.cuda.empty_cache()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Context)
            and self.device_typeid == other.device_typeid
            and self.device_id == other.device_id
        )

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    __repr__ = __str__

    def __enter__(self) -> "Context":
        Context._default_ctx.outer.append(Context._default_ctx.context)
        Context._default_ctx.context = self
        return self

    def __exit__(self, *_: object) -> None:
        Context._default_ctx.context = Context._default_ctx.outer.pop()

    def __reduce__(self) -> tuple[Any, ...]:
        return Context, (self.device_type, self.device_id)


def _find_device(kind: str, index: int) -> Any:
    import torch

    if kind != "gpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        if index < torch.cuda.device_count():
            return torch.device("cuda", index)
        found = f"{torch.cuda.device_count()} GPUs: gpu(0) to gpu({torch.cuda.device_count() - 1})"
    elif torch.backends.mps.is_available() and index == 0:
        return torch.device("mps")
    else:
        found = "no GPU that this PyTorch can use"
    raise UsageError(
        f"gpu({index}) is not there", found=found, fix="use mx.cpu(), or install a PyTorch built for this GPU"
    )


@functools.cache
def cpu(device_id: int = 0) -> Context:
    """The CPU; numbers tell contexts apart, their memory is one."""
    return Context("cpu", device_id)


@functools.cache
def cpu_pinned(device_id: int = 0) -> Context:
    """The CPU's memory, pinned for faster copies to a GPU where torch does so."""
    return Context("cpu_pinned", device_id)


@functools.cache
def gpu(device_id: int = 0) -> Context:
    """A GPU: torch's cuda device of this number (the one mps device on a Mac)."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """How many GPUs torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else int(torch.backends.mps.is_available())


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Free and total memory of a GPU, in bytes.

    Raises:
        UsageError: the GPU is not there, or does not tell.
    """
    import torch

    device = gpu(device_id).torch_device
    if device.type != "cuda":
        raise UsageError("this GPU does not tell its memory", found=str(device))
    return torch.cuda.mem_get_info(device)


def current_context() -> Context:
    """The thread's default device."""
    return Context._default_ctx.context or cpu()
