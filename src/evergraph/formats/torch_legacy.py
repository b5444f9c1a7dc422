"""PyTorch's files before 1.6: several pickles and the storages in a row, or (before 0.2) a tar archive of them.

Layout: docs/formats/torch.md.
"""

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, FormatError, printable
from evergraph.formats.base import Format
from evergraph.formats.cursor import Cursor
from evergraph.formats.pickle_machine import Machine
from evergraph.formats.pickle_values import Global, Unreadable
from evergraph.formats.pickles import INERT, TORCH_MAGIC
from evergraph.formats.tar_reader import TarTable, looks_like_tar
from evergraph.formats.torch_values import STORAGES, Storage, Values
from evergraph.formats.torch_zip import flattened
from evergraph.stores import Source
from evergraph.tensors import DTYPES, DType, Extent, Tensor

__all__ = ["TorchLegacy", "TorchTar"]

PROTOCOL = 1001


class TorchLegacy(Format):
    """Files of PyTorch 0.2 to 1.5, and of `_use_new_zipfile_serialization=False`."""

    name = "torch-legacy"
    title = "a PyTorch file of the form before 1.6"
    read_options = MappingProxyType({"inert": INERT})

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins with PyTorch's number."""
        return head.startswith(TORCH_MAGIC)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """As `TorchZip.read`.

        Raises:
            UnsafeError: naming every global that is not one of PyTorch's data types.
            DamagedError: cut short, or storages that do not fit.
        """
        self.check_options(options, self.read_options)
        values = Values(source.name, options.get("inert", ()))
        system, at = self._head(source, values)
        storages = _LaterStorages(source, system.get("little_endian") is False)
        machine = Machine(source, at, values.resolve, storages)
        value = machine.run()
        keys = Machine(source, machine.position, values.resolve)
        storages.place(keys.run(), keys.position)
        return flattened(values.settled(value), source, self.name)

    def _head(self, source: Source, values: Values) -> tuple[dict, int]:
        protocol = Machine(source, len(TORCH_MAGIC), values.resolve)
        if protocol.run() != PROTOCOL:
            raise DamagedError("an unknown version of PyTorch's format", where=source.name, expected=PROTOCOL)
        machine = Machine(source, protocol.position, values.resolve)
        system = machine.run()
        if not isinstance(system, dict):
            raise DamagedError("the description of the system is none", where=source.name)
        return system, machine.position


class _LaterStorages:
    """Storages that are named before it is known where they are: offsets are filled in when the file's end is read."""

    def __init__(self, source: Source, swapped: bool) -> None:
        self._source, self._swapped = source, swapped
        self._roots: dict[str, _Root] = {}

    def __call__(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "module":
            # a class with its source text: only its name matters
            return key[1]
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or type(key[4]) is not int:
            raise DamagedError("a reference to something that is no storage", where=self._source.name)
        kind = key[1].name.rsplit(".", 1)[-1] if isinstance(key[1], Global) else ""
        if kind not in STORAGES:
            return Unreadable(f"quantized tensors ({printable(kind)}) cannot be read")
        element = DTYPES[STORAGES[kind]]
        root = self._roots.setdefault(str(key[2]), _Root(self._source, element, key[4]))
        if root.element != element or root.count != key[4] or key[4] < 0:
            raise DamagedError("a storage is named with two sizes", where=self._source.name, found=printable(key[2]))
        start, count = 0, root.count
        view = key[5] if len(key) > 5 else None
        if isinstance(view, tuple) and len(view) == 3 and type(view[1]) is int and type(view[2]) is int:
            start, count = view[1], view[2]
        if start < 0 or count < 0 or start + count > root.count:
            raise DamagedError("a view reaches beyond its storage", where=self._source.name, found=printable(view))
        return root.storage(start, count, str(key[3]), self._swapped)

    def place(self, keys: Any, at: int) -> None:
        """Give each storage its place: in the order of the keys, each with its number of elements before it."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self._roots):
            raise DamagedError(
                "the list of storages is not that of the pickle",
                where=f"{self._source.name}, byte {at}",
                expected=len(self._roots),
                found=printable(keys),
            )
        cursor = Cursor(self._source, at)
        for key in keys:
            cursor.what = f"storage {printable(key)}"
            root, count = self._roots[str(key)], cursor.u64()
            if count != root.count:
                raise DamagedError(
                    "a storage has another size than its tensors say",
                    where=f"{self._source.name}, byte {cursor.position - 8}, storage {printable(key)}",
                    expected=root.count,
                    found=count,
                )
            root.offset = cursor.skip(count * root.element.itemsize)
        if cursor.position != self._source.size:
            raise DamagedError(
                f"{self._source.size - cursor.position} bytes stand behind the last storage",
                where=f"{self._source.name}, byte {cursor.position}",
                expected="the end of the file",
            )


class _Root:
    """A storage of the file, and the views of it."""

    def __init__(self, source: Source, element: DType, count: int) -> None:
        self.source, self.element, self.count = source, element, count
        self.offset = 0
        self._views: dict[tuple[int, int, str], Storage] = {}

    def storage(self, start: int, count: int, device: str, swapped: bool) -> Storage:
        key = (start, count, device)
        if key not in self._views:
            size = self.element.itemsize
            part = _later(self, start * size)
            self._views[key] = Storage(self.element, count * size, part, device, swapped, self.source.name)
        return self._views[key]


def _later(root: _Root, start: int) -> Callable[[int, int], Extent]:
    return lambda offset, nbytes: _Later(root, start + offset, nbytes)


class _Later(Extent):
    """A range of a storage whose place is known once the whole table is read."""

    __slots__ = ("_root", "_start")

    def __init__(self, root: _Root, start: int, nbytes: int) -> None:
        self._root, self._start = root, start
        self.source, self.nbytes = root.source, nbytes

    @property
    def offset(self) -> int:  # type: ignore[override]
        return self._root.offset + self._start


class TorchTar(Format):
    """Files of PyTorch before 0.2: a tar archive with `sys_info`, `pickle`, `tensors` and `storages`."""

    name = "torch-tar"
    title = "a PyTorch file of the form before 0.2"
    read_options = MappingProxyType({"inert": INERT})

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a tar archive of just those members."""
        if not looks_like_tar(head):
            return False
        # the first member's name tells it from other archives without reading their tables
        first = head[:100].split(b"\0", 1)[0]
        return first in (b"sys_info", b"pickle", b"tensors", b"storages") and set(TarTable(source).members) >= _MEMBERS

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """As `TorchZip.read`.

        Raises:
            UnsafeError: naming every global that is not one of PyTorch's data types.
            DamagedError: the archive or a part of it is broken.
        """
        self.check_options(options, self.read_options)
        members = TarTable(source).members
        if not set(members) >= _MEMBERS:
            raise FormatError("the tar archive is not PyTorch's", where=source.name, expected=", ".join(_MEMBERS))
        values = Values(source.name, options.get("inert", ()))
        system = Machine(members["sys_info"].source(), 0, values.resolve).run()
        swapped = isinstance(system, dict) and system.get("little_endian") is False
        storages = _tar_storages(members["storages"].source(), values, swapped)
        tensors = _tar_tensors(members["tensors"].source(), values, storages)

        def persistent(key: Any) -> Any:
            if isinstance(key, tuple) and key:
                return key[0]
            found = tensors.get(str(key), storages.get(str(key)))
            if found is None:
                raise DamagedError("a reference to a tensor that is not there", where=source.name, found=printable(key))
            return found

        value = Machine(members["pickle"].source(), 0, values.resolve, persistent).run()
        return flattened(values.settled(value), source, self.name)


_MEMBERS = frozenset(("sys_info", "pickle", "tensors", "storages"))


def _count(source: Source, values: Values) -> tuple[int, int]:
    machine = Machine(source, 0, values.resolve)
    count = machine.run()
    if type(count) is not int or not 0 <= count <= source.size:
        raise DamagedError("the number of entries is none", where=source.name, found=printable(count))
    return count, machine.position


def _tar_storages(source: Source, values: Values, swapped: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    count, at = _count(source, values)
    for _ in range(count):
        machine = Machine(source, at, values.resolve)
        entry = machine.run()
        if not isinstance(entry, tuple) or len(entry) != 3 or not isinstance(entry[2], Global):
            raise DamagedError("a storage without key, device and class", where=source.name)
        kind = entry[2].name.rsplit(".", 1)[-1]
        if kind not in STORAGES:
            raise FormatError("a storage of a class that is not read", where=source.name, found=printable(kind))
        element = DTYPES[STORAGES[kind]]
        cursor = Cursor(source, machine.position)
        cursor.what = f"storage {printable(entry[0])}"
        nbytes = cursor.u64() * element.itemsize
        start = cursor.skip(nbytes)
        at = cursor.position
        part = _part(source, start)
        found[str(entry[0])] = Storage(element, nbytes, part, str(entry[1]), swapped, source.name)
    views = Machine(source, at, values.resolve).run()
    for view in views if isinstance(views, list) else ():
        if not isinstance(view, tuple) or len(view) != 4 or str(view[1]) not in found:
            raise DamagedError("a view of a storage that is not there", where=source.name)
        root = found[str(view[1])]
        if any(type(v) is not int or v < 0 for v in view[2:]):
            raise DamagedError("a view of a storage with an impossible size", where=source.name)
        start, nbytes = view[2] * root.kind.itemsize, view[3] * root.kind.itemsize
        if start + nbytes > root.nbytes:
            raise DamagedError("a view reaches beyond its storage", where=source.name)
        part = _shifted(root.part, start)
        found[str(view[0])] = Storage(root.kind, nbytes, part, root.device, swapped, source.name)
    return found


def _part(source: Source, start: int) -> Callable[[int, int], Extent]:
    return lambda offset, nbytes: Extent(source, start + offset, nbytes)


def _shifted(part: Callable[[int, int], Any], start: int) -> Callable[[int, int], Any]:
    return lambda offset, nbytes: part(start + offset, nbytes)


def _tar_tensors(source: Source, values: Values, storages: dict[str, Any]) -> dict[str, Tensor]:
    found = {}
    count, at = _count(source, values)
    for _ in range(count):
        machine = Machine(source, at, values.resolve)
        entry = machine.run()
        if not isinstance(entry, tuple) or len(entry) != 3 or str(entry[1]) not in storages:
            raise DamagedError("a tensor without key and storage", where=source.name)
        cursor = Cursor(source, machine.position)
        cursor.what = f"tensor {printable(entry[0])}"
        rank = cursor.i32()
        cursor.skip(4)
        if not 0 <= rank <= 64:
            raise DamagedError("an impossible number of dimensions", where=source.name, found=rank)
        shape, strides = cursor.integers("q", rank), cursor.integers("q", rank)
        offset = cursor.u64()
        at = cursor.position
        if min((*shape, *strides), default=0) < 0 or math.prod(shape) > 1 << 62:
            raise DamagedError("a tensor with an impossible shape", where=source.name, found=shape)
        storage = storages[str(entry[1])]
        found[str(entry[0])] = storage.tensor(storage.kind, offset, shape, strides)
    return found
