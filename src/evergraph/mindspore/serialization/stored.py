"""Parameters whose values stay in their file until they are asked for."""

import math
import os
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter
from evergraph.stores import Source
from evergraph.stores.source import LocalSource
from evergraph.tensors import Blob, Extent, Joined
from evergraph.tensors import Tensor as Stored
from evergraph.tensors.memory import Arena, fill

__all__ = ["StoredParameter", "may_wait", "read", "read_all"]

MOST_FILES = 64
"""So many files may be open for Parameters that are not read yet: a process may open 1,024 at once."""

WORTH_THREADS = 8 << 20
"""Bytes above which two threads read faster than one."""

_NUMPY_HAS = frozenset(("float32", "float16", "float64", "int32", "int64", "int8", "uint8", "int16", "bool"))

_LOCK = threading.Lock()
_OPEN: weakref.WeakKeyDictionary[Source, Arena] = weakref.WeakKeyDictionary()


class StoredParameter(Parameter):
    """A Parameter that knows its name, shape and type, and reads its values at their first use.

    The values are in memory of their own then: what is written to them never reaches the file. Once it has been read
    it is a Parameter like any other, of that class.

    Args:
        name: its name.
        stored: where its values are.

    Raises:
        StoreError: at the first use, where the file was changed in place after it was opened. A file that was
            replaced or deleted is still there for those who opened it.
    """

    layerwise_parallel = False
    parallel_optimizer = True
    comm_fusion = 1
    sliced = False
    init_in_server = False

    def __init__(self, name: str, stored: Stored) -> None:
        self._stored, self._name, self._generated, self._requires_grad = stored, name, False, True

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_torch":
            return _materialise(self)
        raise AttributeError(f"'Parameter' object has no attribute {attribute!r}")

    @property
    def stored(self) -> Stored | None:
        """Where the values are, while they are not read; None afterwards."""
        return self.__dict__.get("_stored")

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        stored = self.stored
        return tuple(self._torch.shape) if stored is None else stored.shape or ()

    @property
    def dtype(self) -> mstype.DType:
        """The element type."""
        stored = self.stored
        return mstype.of_torch(self._torch.dtype if stored is None else stored.dtype.torch())

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    @property
    def requires_grad(self) -> bool:
        """Whether it is trained."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.stored is None:
            Parameter.requires_grad.__set__(self, value)  # type: ignore[attr-defined]
        else:
            self._requires_grad = bool(value)


def _materialise(param: StoredParameter) -> torch.nn.Parameter:
    """Read the values; of two threads that ask at once, both get the first one's."""
    stored = param.__dict__.get("_stored")
    data = None if stored is None else read(stored)
    with _LOCK:
        held = param.__dict__
        if "_torch" not in held and data is not None:
            trained = param._requires_grad and (data.is_floating_point() or data.is_complex())
            held["_torch"] = torch.nn.Parameter(data, requires_grad=trained)
            for name, value in _FLAGS.items():
                held.setdefault(name, value)
            param.__class__ = Parameter  # type: ignore[assignment]
            held.pop("_stored", None)
        return held["_torch"]


_FLAGS = {
    name: getattr(StoredParameter, name)
    for name in ("layerwise_parallel", "parallel_optimizer", "comm_fusion", "sliced", "init_in_server")
}


def read(stored: Stored, arena: Arena | None = None) -> torch.Tensor:
    """A dense entry's values in memory of their own, as aligned as vector instructions want them.

    Args:
        stored: where they are.
        arena: whose memory they get; that of their file where not given, and where that has none torch's.

    Records of checkpoints begin at any byte; so a mapping of the file would do for few of them.
    """
    blob, shape = stored.blob, stored.shape or ()
    arena = arena or _arena(blob)
    if arena is None or not blob.nbytes:
        data = torch.empty(shape, dtype=stored.dtype.torch())
        if blob.nbytes:
            raw: Any = data.reshape(-1).view(torch.uint8).numpy()
            fill(blob, memoryview(raw))
        return data
    memory = arena.take(blob.nbytes)
    fill(blob, memory)
    if stored.dtype in _NUMPY_HAS:  # half of the time that torch takes for a view
        return torch.from_numpy(np.ndarray(shape, stored.dtype.numpy(), memory))
    return torch.frombuffer(memory, dtype=stored.dtype.torch()).view(shape)


def _arena(blob: Blob) -> Arena | None:
    """What the values of one file share that are read one by one, where there is one."""
    first = blob.pieces[0] if isinstance(blob, Joined) else blob
    return _OPEN.get(first.source) if isinstance(first, Extent) else None


def may_wait(source: Source) -> bool:
    """Whether values of a file may stay in it: local ones, while few are open so."""
    if not isinstance(source, LocalSource) or len(_OPEN) >= MOST_FILES:
        return False
    _OPEN[source] = Arena()
    return True


def read_all(params: Iterable[Any]) -> None:
    """Read the values of all Parameters that are still in files, with several threads where it pays."""
    waiting = [p for p in params if isinstance(p, StoredParameter)]
    if sum(p.nbytes for p in waiting) < WORTH_THREADS:
        for param in waiting:
            _materialise(param)
        return
    # a few large portions: handing thousands of Parameters over one by one costs more than reading them
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, "evergraph-load") as pool:
        list(pool.map(_materialise_several, (waiting[i :: workers * 4] for i in range(workers * 4))))


def _materialise_several(params: list[StoredParameter]) -> None:
    for param in params:
        _materialise(param)
