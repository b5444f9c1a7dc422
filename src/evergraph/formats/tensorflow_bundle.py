"""TensorFlow's checkpoints of version 2: `NAME.index` is a table of entries, `NAME.data-00000-of-00001` has the bytes.

Layout: docs/formats/tensorflow-bundle.md.
"""

import errno
import math
from collections.abc import Iterator, Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, FormatError, StoreError, UsageError, collect, printable
from evergraph.formats.base import Format
from evergraph.formats.leveldb_table import ends_as_table, read_table
from evergraph.formats.tensorflow_entries import STRING, Entry, Header, entry, header, slice_key
from evergraph.formats.tensorflow_values import Checked, assembled, read_strings, swapped
from evergraph.stores import Source, open_source
from evergraph.tensors import DTYPES, Blob, Tensor

__all__ = ["SUFFIX", "TensorFlowBundle"]

SUFFIX = ".index"


class TensorFlowBundle(Format):
    """Checkpoints of `tf.train.Checkpoint`, `tf.train.Saver` and SavedModel's `variables`, without TensorFlow."""

    name = "tensorflow-bundle"
    title = "a TensorFlow checkpoint (NAME.index and NAME.data-...)"

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content ends as a table does."""
        return ends_as_table(source)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The variables by name, in the index's order (that of their bytes); values are compared with their checksums.

        Partitioned variables are whole again. Texts are texts where they are one text in UTF-8, and otherwise their
        bytes as uint8, with their lengths in the details.

        Raises:
            DamagedError: listing entries whose sizes do not fit the data files.
            IntegrityError: a block of the index has another checksum; for values, when they are read.
            FormatError: a checkpoint of version 1.
            StoreError: listing data files that are missing.
        """
        self.check_options(options, self.read_options)
        table = read_table(source)
        key, first = next(table, (b"\1", b""))
        if key or first[:1] == b"\n":
            raise _older(source) if not key else DamagedError("the index has no header", where=source.name)
        about = header(first, source.name)
        entries = {k: entry(v, f"{source.name}, entry {printable(k)}") for k, v in table}
        _require_sizes(entries, source.name)
        used = {e.shard for e in entries.values() if not e.slices}
        shards = _open_shards(source, about, used)
        _require_places(entries, shards, source.name)
        work = _Reader(entries, shards, about, source.name)
        # pieces of partitioned variables stand under keys that begin with a zero
        tensors = {_name(k): work.tensor(k, e) for k, e in entries.items() if not k.startswith(b"\0")}
        work.require_used()
        return Checkpoint(tensors, format=self.name, name=source.name)


def _name(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _older(source: Source) -> FormatError:
    return FormatError(
        "this is a TensorFlow checkpoint of version 1",
        where=source.name,
        expected="version 2: NAME.index with NAME.data-00000-of-00001",
        fix="in TensorFlow, restore it and save it with tf.compat.v1.train.Saver(), whose files are of version 2",
    )


def _require_sizes(entries: Mapping[bytes, Entry], name: str) -> None:
    """Hold that each entry's bytes are as many as its type and shape say."""
    wrong = []
    for key, found in entries.items():
        kind = found.dtype
        if kind is not None and not found.slices and found.size != found.count * kind.itemsize:
            wrong.append(f"{printable(key)}: {found.size} bytes for {found.shape} of {kind}")
        if found.shape and math.prod(d for d in found.shape if d) >= 1 << 62:
            wrong.append(f"{printable(key)}: no array has the shape {found.shape}")
    collect(DamagedError, "entries of the index are damaged", wrong, where=name, fix="fetch or copy the file again")


def _open_shards(source: Source, about: Header, used: set[int]) -> dict[int, Source]:
    location = source.location
    beyond = [f"data file {n} of {about.shards}" for n in used if n >= about.shards]
    collect(DamagedError, "entries name data files that there are not", beyond, where=source.name)
    if used and (location.is_stream or location.protocol == "member"):
        raise UsageError(
            "the values stand in other files, which are not there",
            where=source.name,
            expected="a file or URI NAME.index, with NAME.data-... beside it",
            fix="unpack the archive" if location.protocol == "member" else "give the path of the index",
        )
    stem, shards, missing = location.basename.removesuffix(SUFFIX), {}, []
    for number in sorted(used):
        name = f"{stem}.data-{number:05d}-of-{about.shards:05d}"
        try:
            shards[number] = open_source(location.sibling(name))
        except StoreError as error:
            if error.errno not in (errno.ENOENT, None):
                raise
            missing.append(printable(name))
    fix = "fetch them into the folder of the index; files that were renamed keep the index's name"
    collect(StoreError, "data files of the checkpoint are missing", missing, where=location.shown, fix=fix)
    return shards


def _require_places(entries: Mapping[bytes, Entry], shards: Mapping[int, Source], name: str) -> None:
    """Hold that each entry's bytes lie within its data file, and that nothing else does."""
    wrong = []
    ends = dict.fromkeys(shards, 0)
    for key, found in entries.items():
        if found.slices:
            continue
        end, size = found.offset + found.size, shards[found.shard].size
        ends[found.shard] = max(ends[found.shard], end)
        if end > size:
            wrong.append(f"{printable(key)}: bytes {found.offset} to {end} of {size}")
    fix = "fetch the data file again; it is cut short, or of another checkpoint"
    collect(DamagedError, "entries reach beyond their data files", wrong, where=name, fix=fix)
    longer = [f"{shards[n].name}: {shards[n].size} bytes, {e} are used" for n, e in ends.items() if e < shards[n].size]
    collect(DamagedError, "data files are longer than the index says", longer, where=name, fix=fix)


class _Reader:
    """Makes tensors of entries."""

    def __init__(self, entries: Mapping[bytes, Entry], shards: Mapping[int, Source], about: Header, name: str) -> None:
        self._entries, self._shards, self._big, self._name = entries, shards, about.big, name
        self._pieces = {k for k in entries if k.startswith(b"\0")}

    def tensor(self, key: bytes, found: Entry) -> Tensor:
        """The tensor of an entry."""
        kind = found.dtype
        if found.slices:
            return self._joined(key, found)
        if found.code == STRING:
            return read_strings(self._shards[found.shard], found, _name(key))
        if kind is None:
            # variants and resources: kept as they are stored
            note = {"dtype": found.type_name, "shape": list(found.shape)}
            blob = self._blob(found, checked=False)
            return Tensor(DTYPES["uint8"], (found.size,), blob, details={"tensorflow-bundle": note})
        details = {"tensorflow-bundle": {"dtype": found.type_name}} if found.type_name != kind else {}
        return Tensor(kind, found.shape, self._blob(found), details=details)

    def _blob(self, found: Entry, checked: bool = True) -> Blob:
        blob = Checked(self._shards[found.shard], found.offset, found.size, found.crc if checked else None)
        kind = found.dtype
        return swapped(blob, kind) if self._big and kind is not None and kind.itemsize > 1 else blob

    def _joined(self, key: bytes, found: Entry) -> Tensor:
        """A partitioned variable from its pieces."""
        where = f"{self._name}, entry {printable(key)}"
        kind = found.dtype
        if kind is None:
            raise DamagedError(f"a partitioned variable of {found.type_name}", where=where)
        pieces, missing = [], []
        for part in found.slices:
            name = slice_key(key, part)
            piece = self._entries.get(name)
            box = part.box(found.shape)
            if piece is None or piece.slices or piece.code != found.code:
                missing.append(f"from {[a for a, _ in box]} to {[b for _, b in box]}")
                continue
            self._pieces.discard(name)
            pieces.append((box, piece.shape, self._blob(piece)))
        collect(DamagedError, "pieces of a partitioned variable are missing", missing, where=where)
        return assembled(kind, found.shape, pieces, where)

    def require_used(self) -> None:
        """Hold that every piece belongs to a variable."""
        left = list(self._strays())
        collect(DamagedError, "pieces belong to no variable", left, where=self._name)

    def _strays(self) -> Iterator[str]:
        yield from (printable(k) for k in sorted(self._pieces))
