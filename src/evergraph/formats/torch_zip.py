"""PyTorch's `.pt` / `.pth` files since 1.6: a zip archive of one pickle and a member for each storage.

Layout: docs/formats/torch.md.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, FormatError, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.carry import CARRY, ROLES, Target, describe, known, restore
from evergraph.formats.pickle_machine import Machine
from evergraph.formats.pickle_values import Global, Table, Unreadable
from evergraph.formats.pickle_writer import PickleWriter
from evergraph.formats.pickles import INERT
from evergraph.formats.torch_values import STORAGES, Storage, Values, require_readable, storage_class
from evergraph.formats.tree import Flattened
from evergraph.formats.tree import restore as rebuild
from evergraph.formats.zip_reader import LOCAL, ZipTable, zip_table
from evergraph.formats.zip_writer import Entry, ZipLayout
from evergraph.stores import BytesSource, Location, Source
from evergraph.tensors import DTYPES, Blob, Tensor

__all__ = ["TorchZip", "flattened", "storage_of"]

MANIFEST = "evergraph/manifest"
NEWEST = 10
MAX_PICKLE = 1 << 28
MAX_MANIFEST = 1 << 28
_FOLDER = "archive"
FORMS = ("torch", "torch-legacy", "torch-tar")

TARGET = Target(
    "torch",
    "a PyTorch file",
    {n: n for n in DTYPES if n not in ("int4", "hifloat8", "str")} | {"int4": "int8", "hifloat8": "uint8"},
)


class TorchZip(Format):
    """State dicts and whatever else `torch.save` writes, nested or not, without PyTorch."""

    name = "torch"
    title = "a PyTorch file"
    suffixes = (".pt", ".pth")
    read_options = MappingProxyType(
        {"inert": INERT + " (patterns such as torch.nn.* work)", "carried": "as in `carry`"}
    )
    write_options = MappingProxyType({"carry": CARRY})

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a zip archive with PyTorch's pickle in one folder."""
        return head.startswith(LOCAL) and _root(zip_table(source)) is not None

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The tensors by their place in the saved value: `state_dict.conv1.weight` for nested dictionaries.

        Raises:
            UnsafeError: naming every global that is not one of PyTorch's data types.
            FormatError: listing sparse and quantized tensors.
            DamagedError: the archive or the pickle is broken, or a tensor reaches beyond its storage.
        """
        self.check_options(options, self.read_options)
        table = zip_table(source)
        root = _root(table)
        if root is None:
            raise FormatError("the zip archive is not PyTorch's", where=source.name, expected="a member data.pkl")
        _require_version(table, root)
        pickle = BytesSource(table.members[f"{root}data.pkl"].content(MAX_PICKLE), f"{source.name}!/{root}data.pkl")
        values = Values(source.name, options.get("inert", ()))
        storages = _Storages(table, root)
        value = Machine(pickle, 0, values.resolve, storages).run()
        found = flattened(values.settled(value), source, self.name)
        manifest = table.members.get(f"{root}{MANIFEST}")
        if manifest is None or not options.get("carried", True):
            return found
        text = manifest.content(MAX_MANIFEST).decode("utf-8", "surrogateescape")
        return restore(found, text).replace(original=source)

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """One archive that `torch.load(..., weights_only=True)` reads: the kept structure, or a flat state dict."""
        self.check_options(options, self.write_options)
        if (layout := self.unchanged(checkpoint, target, options)) is not None:
            return layout
        structured = _has_structure(checkpoint)
        own = _known(checkpoint)
        kept = {k: v for k, v in checkpoint.metadata.items() if not (structured and k == "structure")}
        carried = describe(checkpoint.replace(metadata=kept), TARGET, options.get("carry", True))
        losses = list(carried.losses)
        value: Any = Table("collections.OrderedDict", carried.tensors)
        value.state, _ = rebuild(own.get("state"), {})
        if structured:
            value, left = rebuild(checkpoint.metadata["structure"], checkpoint)
            if left and isinstance(value, dict):
                value.update({n: checkpoint[n] for n in left})
            elif left:
                losses += [f"{printable(n)}: it has no place in the kept structure" for n in left]
        pickled = _Pickled(_aliases(checkpoint, own.get("aliases")))
        entries = [Entry(f"{_FOLDER}/data.pkl", pickled.pieces(value)), Entry(f"{_FOLDER}/byteorder", [b"little"])]
        if carried.manifest:
            entries.append(Entry(f"{_FOLDER}/{MANIFEST}", [carried.manifest.encode("utf-8", "surrogateescape")]))
        entries += [Entry(f"{_FOLDER}/data/{key}", [blob]) for key, blob in enumerate(pickled.storages)]
        entries.append(Entry(f"{_FOLDER}/version", [b"3\n"]))
        found = ZipLayout(entries, b"Z")
        return Layout((File(target, found.pieces, found.size),), tuple(losses), carried.notes)


def _root(table: ZipTable) -> str | None:
    """The folder that holds the pickle, with its slash; None where there is none."""
    found = [n[: -len("data.pkl")] for n in table.members if n == "data.pkl" or n.endswith("/data.pkl")]
    return min(found, key=len) if found else None


def _require_version(table: ZipTable, root: str) -> None:
    """The archive's own version; 1 to 10 were written so far, and say the same."""
    member = table.members.get(f"{root}version")
    stated = member.content(64).strip() if member is not None else b"1"
    if not stated.isdigit() or int(stated) > NEWEST:
        raise DamagedError(
            "an unknown version of PyTorch's archive",
            where=table.source.name,
            expected=f"1 to {NEWEST}",
            found=printable(stated),
            fix="a damaged file, or one of a newer PyTorch",
        )


class _Storages:
    """Gives the storage for a persistent id."""

    def __init__(self, table: ZipTable, root: str) -> None:
        self._table, self._root = table, root
        order = table.members.get(f"{root}byteorder")
        self._swapped = order is not None and order.content(16).strip() == b"big"
        self._found: dict[tuple[Any, ...], Any] = {}

    def __call__(self, key: Any) -> Any:
        name = self._table.source.name
        if (
            not isinstance(key, tuple)
            or len(key) < 5
            or key[0] != "storage"
            or not isinstance(key[2], str)
            or not all(isinstance(part, (str, int, type(None))) for part in key[3:])
        ):
            raise DamagedError("a reference to something that is no storage", where=name)
        if key[2:] in self._found and key[1] is self._found[key[2:]][0]:
            return self._found[key[2:]][1]
        member = self._table.members.get(f"{self._root}data/{key[2]}")
        if member is None:
            raise DamagedError(
                "a storage is missing from the archive", where=name, expected=f"data/{printable(key[2])}"
            )
        storage = storage_of(key, member.size, member.blob, self._swapped, member.shown)
        self._found[key[2:]] = (key[1], storage)
        return storage


def storage_of(key: tuple, nbytes: int, part: Any, swapped: bool, place: str) -> Any:
    """The storage that a persistent id names.

    Args:
        key: ("storage", class, key, device, number of elements, ...).
        nbytes: bytes that are there.
        part: gives the blob of a range of them.
        swapped: whether they are big endian.
        place: where they are.

    Raises:
        DamagedError: they are not as many as the id says.
    """
    kind = key[1].name.rsplit(".", 1)[-1] if isinstance(key[1], Global) else ""
    if kind not in STORAGES:
        return Unreadable(f"quantized tensors ({printable(kind)}) cannot be read")
    element = DTYPES[STORAGES[kind]]
    count = key[4]
    if type(count) is not int or count * element.itemsize != nbytes:
        raise DamagedError(
            "a storage has another size than its tensors say",
            where=place,
            expected=f"{printable(count)} elements of {element}",
            found=f"{nbytes} bytes",
            fix="fetch or copy the file again",
        )
    return Storage(element, nbytes, part, str(key[3]), swapped, place)


def flattened(value: Any, source: Source, form: str) -> Checkpoint:
    """The checkpoint of a loaded value."""
    found = Flattened(value, source.size, source.name)
    require_readable(found.unreadable, source.name)
    metadata: dict[str, Any] = {}
    details: dict[str, Any] = {}
    structure = found.structure
    if isinstance(structure, dict) and structure.get("dict") == [[n, {"tensor": n}] for n in found.tensors]:
        # a plain state dict says no more than its names; the versions of its modules are PyTorch's own affair
        details |= {k: v for k, v in structure.items() if k == "state"}
    else:
        metadata["structure"] = structure
    first: dict[int, str] = {}
    aliases = {n: first[id(t.blob)] for n, t in found.tensors.items() if first.setdefault(id(t.blob), n) != n}
    if aliases:
        details["aliases"] = aliases
    return Checkpoint(found.tensors, metadata=metadata, format=form, details=details, name=source.name, original=source)


def _known(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What the file that a checkpoint once was in said of itself, in whichever of PyTorch's forms."""
    return next((found for form in FORMS if (found := known(checkpoint, form))), {})


def _has_structure(checkpoint: Checkpoint) -> bool:
    """Whether the kept structure is PyTorch's, and every tensor can stand in it as it is."""
    origin = checkpoint.details.get("source") or checkpoint.format
    return (
        str(origin).startswith("torch")
        and "structure" in checkpoint.metadata
        and all(t.storage == "dense" and TARGET.dtypes.get(t.dtype) == t.dtype for t in checkpoint.values())
        and not any(n.startswith(ROLES) for n in checkpoint)
    )


def _aliases(checkpoint: Checkpoint, noted: Any) -> dict[int, Blob]:
    """For each blob that repeats another one, that other one: what was one storage becomes one again."""
    found: dict[int, Blob] = {}
    for name, other in noted.items() if isinstance(noted, Mapping) else ():
        if name in checkpoint and other in checkpoint:
            one, two = checkpoint[name], checkpoint[other]
            # they may have been edited apart since
            if (one.dtype, one.shape) == (two.dtype, two.shape) and _equal(one.blob, two.blob):
                found[id(one.blob)] = two.blob
    return found


def _equal(one: Blob, two: Blob) -> bool:
    if one is two:
        return True
    return all(bytes(a) == bytes(b) for a, b in zip(_even(one), _even(two), strict=True))


def _even(blob: Blob) -> Iterator[memoryview]:
    """Chunks cut at the same places, whatever kind of blob they come from."""
    whole = blob.read()
    for start in range(0, len(whole), 1 << 24):
        yield whole[start : start + (1 << 24)]


class _Pickled:
    """The pickle of a value, and the storages it names, each once."""

    def __init__(self, aliases: Mapping[int, Blob]) -> None:
        self.storages: list[Blob] = []
        self._aliases = aliases
        self._keys: dict[int, int] = {}

    def pieces(self, value: Any) -> list[bytes]:
        found = PickleWriter(self._leaf, protocol=2).pieces(value)
        return [p for p in found if isinstance(p, bytes)]

    def _leaf(self, writer: PickleWriter, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            raise DamagedError("a value that cannot be saved", found=type(tensor).__name__)
        details = tensor.details.get("torch", {})
        if details.get("parameter"):
            writer.named("torch._utils", "_rebuild_parameter")
            writer.raw(b"(")
            self._tensor(writer, tensor, requires_grad=False)
            writer.write(bool(details.get("requires_grad", True)))
            writer.write(Table("collections.OrderedDict"))
            writer.raw(b"tR")
        else:
            self._tensor(writer, tensor, bool(details.get("requires_grad", False)))

    def _tensor(self, writer: PickleWriter, tensor: Tensor, requires_grad: bool) -> None:
        shape, stored = tensor.shape or (), storage_class(tensor.dtype)
        untyped = stored == "UntypedStorage"
        writer.named("torch._utils", "_rebuild_tensor_v3" if untyped else "_rebuild_tensor_v2")
        writer.raw(b"((")
        writer.text("storage")
        writer.named("torch.storage" if untyped else "torch", stored)
        writer.text(str(self._key(tensor)))
        writer.text("cpu")
        writer.write(tensor.blob.nbytes if untyped else tensor.size)
        writer.raw(b"tQK\0")
        strides, step = [], 1
        for size in reversed(shape):
            strides.append(step)
            step *= max(size, 1)
        writer.tuple(shape)
        writer.tuple(tuple(reversed(strides)))
        writer.write(requires_grad)
        writer.write(Table("collections.OrderedDict"))
        if untyped:
            writer.named("torch", str(tensor.dtype))
        writer.raw(b"tR")

    def _key(self, tensor: Tensor) -> int:
        blob = self._aliases.get(id(tensor.blob), tensor.blob)
        if id(blob) not in self._keys:
            self._keys[id(blob)] = len(self.storages)
            self.storages.append(blob)
        return self._keys[id(blob)]
