"""MXNet's `.params` / `.nd` files: `mx.nd.save` of every release, V0 to V3. Layout: docs/formats/mxnet-params.md."""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, UsageError, collect, printable
from evergraph.formats.base import File, Format, Layout, Piece
from evergraph.formats.carry import encodable, known
from evergraph.formats.cursor import Cursor
from evergraph.stores import Location, Source
from evergraph.tensors import CSR, DENSE, DTYPES, NONE, ROW_SPARSE, Extent, Held, Tensor

__all__ = ["MAGIC", "RELEASES", "V2", "V3", "MXNetParams", "array_record", "read_array"]

MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_VERSIONS = {V1: 1, V2: 2, V3: 3}
_MAGICS = {version: magic for magic, version in _VERSIONS.items()}

RELEASES: Mapping[str, int] = MappingProxyType(
    {"0.9.5": 0, "0.10": 0, "0.11": 1, "0.12": 2} | dict.fromkeys([*(f"1.{n}" for n in range(9)), "1.9.1"], 2)
)
"""Releases to write for, and the version of the array record that each writes."""

_TYPES = (
    *("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"),
    *("int16", "uint16", "uint32", "uint64", "bfloat16"),
)
_CODES = {name: code for code, name in enumerate(_TYPES)}
_ORDER = tuple(RELEASES)
_SINCE = {"int8": "0.11", "int64": "0.11", "bool": "1.6", "bfloat16": "1.7"} | dict.fromkeys(_TYPES[8:12], "2.0")
_AUXILIARIES = {ROW_SPARSE: ("indices",), CSR: ("indptr", "indices")}
_STORAGES = {0: DENSE, 1: ROW_SPARSE, 2: CSR}
_STORAGE_CODES = {name: code for code, name in _STORAGES.items()}

MAX_DIMENSIONS = 32
_PLAIN_HEAD, _PLAIN_SHAPES = struct.Struct("<Iii"), {r: struct.Struct(f"<{r}qiii") for r in range(1, 5)}
_MOST_NEAR, _LENGTH = 1 << 16, struct.Struct("<Q")
_LONGEST_PLAIN = _PLAIN_HEAD.size + _PLAIN_SHAPES[4].size
_LEAST_RECORD = 4
CPU = (1, 0)


class MXNetParams(Format):
    """MXNet's parameter files: lists or dicts of arrays, dense, row_sparse or csr."""

    name = "mxnet-params"
    title = "an MXNet parameter file"
    suffixes = (".params", ".nd")
    write_options = MappingProxyType({"release": "MXNet release to write for: " + ", ".join(RELEASES)})

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins with MXNet's number for lists of arrays."""
        return len(head) >= 8 and struct.unpack_from("<Q", head)[0] == MAGIC

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The arrays of a file, read when asked.

        Raises:
            DamagedError: naming byte offset and array, what was expected and found.
        """
        self.check_options(options, self.read_options)
        cursor = Cursor(source)
        cursor.skip(8)
        reserved = cursor.u64()
        count = cursor.u64()
        _require_room(cursor, count, "arrays", _LEAST_RECORD)
        arrays = []
        for index in range(count):
            cursor.what = f"array {index} of {count}"
            arrays.append(read_array(cursor))
        cursor.what = "the names"
        names = _read_names(cursor, count)
        trailing = source.size - cursor.position
        if trailing:
            raise DamagedError(
                f"{trailing} bytes stand behind the end of the file's content",
                where=f"{source.name}, byte {cursor.position}",
                expected="the end of the file",
                fix="two files joined, or a download gone wrong: fetch it again, or cut it at that byte",
            )
        details = {"named": names is not None, "reserved": reserved}
        keys = names if names is not None else [str(i) for i in range(count)]
        return Checkpoint(dict(zip(keys, arrays, strict=True)), format=self.name, details=details, name=source.name)

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The one file that holds these arrays.

        Arrays keep the record version that they were read with; others get the release's (1.9.1 where none is named).
        Where a new array needs version 3 (a scalar, a size of 0), all get it: MXNet loads no file of both kinds.
        """
        self.check_options(options, self.write_options)
        release = options.get("release")
        if release is not None and release not in RELEASES:
            raise UsageError(f"no release {printable(release)} to write for", expected=", ".join(RELEASES))
        version = RELEASES[release] if release is not None else 3 if _needs_numpy_shapes(checkpoint) else None
        records, names, losses = [], [], []
        for name, tensor in checkpoint.items():
            record, loss = array_record(tensor, version)
            if not encodable(name):
                record, loss = [], "no file can hold half of a UTF-16 pair as a name"
            elif release is not None and _is_newer(tensor, release):
                record, loss = [], f"{tensor.dtype} is new in MXNet {_SINCE[tensor.dtype]}"
            if record:
                records.append(record)
                names.append(name)
            losses += [f"{printable(name)}: {loss}"] if loss else []
        losses += [f"metadata: {printable(k)}" for k in checkpoint.metadata]
        if checkpoint.graph is not None and checkpoint.format != self.name:
            losses.append("the graph: save a prefix to keep it (prefix-symbol.json beside prefix-0000.params)")
        own = known(checkpoint, self.name)
        named, reserved = bool(own.get("named", True)), own.get("reserved", 0)
        if type(reserved) is not int or not 0 <= reserved < 1 << 64:
            raise DamagedError(
                "the details of the file are not those of MXNet's", found=f"reserved {printable(reserved)}"
            )
        head = struct.pack("<QQQ", MAGIC, reserved, len(records))
        tail = _names(names if named else [])
        size = len(head) + len(tail) + sum(len(p) if isinstance(p, bytes) else p.nbytes for r in records for p in r)

        def pieces() -> Iterator[Piece]:
            yield head
            for record in records:
                yield from record
            yield tail

        newer = [
            f"{printable(n)}: no MXNet before 2.0 opens {checkpoint[n].dtype}" for n in names if _is_two(checkpoint[n])
        ]
        return Layout((File(target, pieces, size),), tuple(losses), tuple(newer))


def _is_newer(tensor: Tensor, release: str) -> bool:
    since = _SINCE.get(tensor.dtype, _ORDER[0])
    return since not in _ORDER or _ORDER.index(since) > _ORDER.index(release)


def _is_two(tensor: Tensor) -> bool:
    return "version" not in tensor.details and _SINCE.get(tensor.dtype) == "2.0"


def _needs_numpy_shapes(checkpoint: Checkpoint) -> bool:
    """Whether an array that no file holds yet can only be written under NumPy's meaning of shapes."""
    return any(
        t.storage != NONE and "version" not in t.details and (not t.shape or 0 in t.shape) for t in checkpoint.values()
    )


def _require_room(cursor: Cursor, count: int, what: str, least: int) -> None:
    left = cursor.source.size - cursor.position
    if count * least > left:
        raise DamagedError(
            f"the file declares more {what} than it can hold",
            where=f"{cursor.source.name}, byte {cursor.position - 8}",
            expected=f"at most {left // least} in the {left} bytes that are left",
            found=count,
        )


def _read_names(cursor: Cursor, count: int) -> list[str] | None:
    declared = cursor.u64()
    if declared not in (0, count):
        raise DamagedError(
            "the numbers of arrays and names differ",
            where=f"{cursor.source.name}, byte {cursor.position - 8}",
            expected=f"{count} names (or none, for a list)",
            found=declared,
        )
    if not declared and count:
        return None
    names: dict[str, int] = {}
    twice = []
    for index, raw in enumerate(_near_names(cursor, declared) or _each_name(cursor, declared)):
        name = raw.decode("utf-8", "surrogateescape")
        if name in names:
            twice.append(f"{printable(name)!r}: arrays {names[name]} and {index}")
        names[name] = index
    collect(
        DamagedError,
        "names stand twice",
        twice,
        where=cursor.source.name,
        fix="MXNet keeps the last of them without a word; decide which one is meant",
    )
    return list(names)


def _each_name(cursor: Cursor, count: int) -> Iterator[bytes]:
    for index in range(count):
        length = cursor.u64()
        _require_room(cursor, length, f"bytes in name {index}", 1)
        yield cursor.take(length)


def _near_names(cursor: Cursor, count: int) -> list[bytes]:
    """The names where all stand in one block up to the file's end, in one step; none where anything is unusual."""
    left = cursor.source.size - cursor.position
    found = cursor.look(left) if left <= _MOST_NEAR else None
    if found is None:
        return []
    data, at, names = bytes(found[0][found[1] : found[1] + left]), 0, []
    for _ in range(count):
        if at + 8 > left:
            return []
        begin = at + 8
        at = begin + _LENGTH.unpack_from(data, at)[0]
        names.append(data[begin:at])
    if at > left:
        return []
    cursor.position += at
    return names


def read_array(cursor: Cursor) -> Tensor:
    """The array record at a cursor, which it leaves behind the record.

    Raises:
        DamagedError: naming the byte, what was expected and found.
    """
    plain = _read_plain(cursor)
    if plain is not None:
        return plain
    first = cursor.u32()
    if first in (V2, V3):
        return _read_current(cursor, _VERSIONS[first])
    version = _VERSIONS.get(first, 0)
    rank = cursor.u32() if version else first
    if rank > MAX_DIMENSIONS:
        raise DamagedError(
            "neither a known array version nor a number of dimensions",
            where=f"{cursor.source.name}, byte {cursor.position - 4}, {cursor.what}",
            expected=f"{V1:#x}, {V2:#x}, {V3:#x}, or at most {MAX_DIMENSIONS} dimensions",
            found=f"{first:#x}" if not version else rank,
            fix="a newer or damaged file" if first >> 16 == V1 >> 16 else None,
        )
    shape = cursor.integers("q" if version else "I", rank)
    if not shape:
        return _none(version, None)
    return _read_dense(cursor, version, shape)


def _read_plain(cursor: Cursor) -> Tensor | None:
    """A dense array of one to four dimensions, as nearly all are, in two steps; None where anything is unusual.

    What is wrong with a record, the long way says.
    """
    found = cursor.look(_LONGEST_PLAIN)
    if found is None:
        return None
    block, at = found
    magic, storage, rank = _PLAIN_HEAD.unpack_from(block, at)
    if storage or magic not in (V2, V3) or not 1 <= rank <= 4:
        return None
    body = _PLAIN_SHAPES[rank]
    *shape, device, number, code = body.unpack_from(block, at + _PLAIN_HEAD.size)
    if not 0 <= code < len(_TYPES) or min(shape) < 0:
        return None
    kind = DTYPES[_TYPES[code]]
    begin = cursor.position + _PLAIN_HEAD.size + body.size
    nbytes = math.prod(shape) * kind.itemsize
    if nbytes > cursor.source.size - begin:
        return None
    cursor.position = begin + nbytes
    details = {"version": _VERSIONS[magic], "device": (device, number)}
    return Tensor(kind, tuple(shape), Extent(cursor.source, begin, nbytes), details=details)


def _read_shape(cursor: Cursor, version: int) -> tuple[int, ...] | None:
    """A shape of V2 or V3; None where it says that there is no array."""
    rank = cursor.i32()
    if rank == -1 and version == 3:
        return None
    if not 0 <= rank <= MAX_DIMENSIONS:
        raise DamagedError(
            "an impossible number of dimensions",
            where=f"{cursor.source.name}, byte {cursor.position - 4}, {cursor.what}",
            expected=f"0 to {MAX_DIMENSIONS}",
            found=rank,
        )
    return cursor.integers("q", rank)


def _read_current(cursor: Cursor, version: int) -> Tensor:
    code = cursor.i32()
    if code not in _STORAGES and code != -1:
        raise _unknown(cursor, "storage type", code, ", ".join(f"{c} {n}" for c, n in _STORAGES.items()))
    storage = _STORAGES.get(code, DENSE)
    stored_shape = _read_shape(cursor, version) if storage != DENSE else None
    shape = _read_shape(cursor, version)
    if shape is None or (not shape and version == 2):
        return _none(version, shape, code, stored_shape)
    if storage == DENSE:
        return _read_dense(cursor, version, shape, code)
    return _read_sparse(cursor, version, storage, shape, stored_shape or ())


def _read_dense(cursor: Cursor, version: int, shape: tuple[int, ...], code: int = 0) -> Tensor:
    device = cursor.integers("i", 2)
    kind = _read_type(cursor)
    nbytes = _count(cursor, shape) * DTYPES[kind].itemsize
    blob = Extent(cursor.source, cursor.skip(nbytes), nbytes)
    details = {"version": version, "device": device} | ({"storage": code} if code else {})
    return Tensor(DTYPES[kind], shape, blob, details=details)


def _read_sparse(
    cursor: Cursor, version: int, storage: str, shape: tuple[int, ...], stored_shape: tuple[int, ...]
) -> Tensor:
    device = cursor.integers("i", 2)
    kinds = [_read_type(cursor)]
    shapes: list[tuple[int, ...]] = []
    names = _AUXILIARIES[storage]
    for _ in names:
        kinds.append(_read_type(cursor))
        shapes.append(_read_shape(cursor, version) or ())
    # after astype, MXNet 1.0 to 1.6 save a stale storage shape beside whole data: the auxiliary arrays are right
    count = shapes[-1][:1]
    data_shape = count if storage == CSR else (*count, *shape[1:])
    parts = {}
    for name, kind, size in zip(("data", *names), kinds, (data_shape, *shapes), strict=True):
        nbytes = _count(cursor, size) * DTYPES[kind].itemsize
        parts[name] = Tensor(DTYPES[kind], size, Extent(cursor.source, cursor.skip(nbytes), nbytes))
    details = {"version": version, "device": device, "stored_shape": stored_shape}
    return Tensor.sparse(storage, shape, parts["data"], parts["indices"], parts.get("indptr"), details)


def _read_type(cursor: Cursor) -> str:
    code = cursor.i32()
    if not 0 <= code < len(_TYPES):
        raise _unknown(cursor, "element type", code, ", ".join(f"{c} {n}" for c, n in enumerate(_TYPES)))
    return _TYPES[code]


def _unknown(cursor: Cursor, what: str, code: int, known: str) -> DamagedError:
    return DamagedError(
        f"an unknown {what}",
        where=f"{cursor.source.name}, byte {cursor.position - 4}, {cursor.what}",
        expected=known,
        found=code,
        fix="a damaged file, or one of a newer MXNet",
    )


def _count(cursor: Cursor, shape: tuple[int, ...]) -> int:
    """Number of elements; a shape that no file can hold is an error before anything is made of it."""
    if any(d < 0 for d in shape):
        raise DamagedError(
            "a negative size in an array's shape",
            where=f"{cursor.source.name}, byte {cursor.position}, {cursor.what}",
            expected="sizes of at least 0 where the array has values",
            found=shape,
        )
    count = math.prod(shape)
    left = cursor.source.size - cursor.position
    if count > left:
        raise DamagedError(
            "an array's shape is larger than the file",
            where=f"{cursor.source.name}, byte {cursor.position}, {cursor.what}",
            expected=f"at most the {left} bytes that are left",
            found=f"shape {shape}, {count} elements",
            fix="the file is cut short or damaged: fetch it again",
        )
    return count


def _none(
    version: int, shape: tuple[int, ...] | None, code: int = 0, stored_shape: tuple[int, ...] | None = None
) -> Tensor:
    details = {"version": version, "storage": code, "stored_shape": stored_shape, "scalar": shape == ()}
    return Tensor(DTYPES["float32"], None, Held(b""), NONE, details=details)


def array_record(tensor: Tensor, version: int | None) -> tuple[list[Piece], str]:
    """One array as its record's pieces, and what the record cannot hold (an empty text where it holds all).

    Args:
        tensor: any tensor.
        version: 0 to 3; None keeps the version that the tensor was read with, or takes 2 (3 where 2 cannot hold it).
    """
    details = _recorded(tensor)
    kept = details.get("version")
    wanted = version if version is not None else kept if kept is not None else 2
    if tensor.storage == NONE:
        return _none_record(tensor, wanted), ""
    if tensor.dtype not in _CODES or tensor.storage not in _STORAGE_CODES:
        return [], f"MXNet has no array of {tensor.dtype} with {tensor.storage} storage"
    if tensor.storage != DENSE and wanted < 2:
        return [], f"releases before 0.12 have no {tensor.storage} arrays"
    shape = tensor.shape or ()
    loss = ""
    # under the older meaning of shapes, () is no array and 0 an unknown size
    if version is None and kept is None and (not shape or 0 in shape):
        wanted = 3
    elif wanted < 3 and not shape:
        loss, shape = "a scalar would be read as no array at all: shape () becomes (1,)", (1,)
    device = tensor.details.get("device", CPU)
    code = _CODES[tensor.dtype]
    if wanted < 2:
        letter = "q" if wanted else "I"
        head = (struct.pack("<I", V1) if wanted else b"") + struct.pack(f"<I{len(shape)}{letter}", len(shape), *shape)
        return [head + struct.pack("<iii", *device, code), tensor.blob], loss
    storage = tensor.details.get("storage", _STORAGE_CODES[tensor.storage])
    head = struct.pack("<Ii", _MAGICS[wanted], storage)
    if tensor.storage == DENSE:
        return [head + _shape(shape) + struct.pack("<iii", *device, code), tensor.blob], loss
    names = _AUXILIARIES[tensor.storage]
    head += (
        _shape(tensor.details.get("stored_shape", tensor.data.shape))
        + _shape(shape)
        + struct.pack("<iii", *device, code)
    )
    for name in names:
        part = tensor.parts[name]
        head += struct.pack("<i", _CODES[part.dtype]) + _shape(part.shape)
    return [head, tensor.data.blob, *(tensor.parts[n].blob for n in names)], loss


_RECORDED: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "version": lambda v: v is None or (type(v) is int and 0 <= v <= max(_MAGICS)),
        "device": lambda v: isinstance(v, tuple) and len(v) == 2 and all(_fits(n, 31) for n in v),
        "storage": lambda v: _fits(v, 31),
        "stored_shape": lambda v: v is None or (isinstance(v, tuple) and all(_fits(n, 63) for n in v)),
    }
)


def _fits(value: Any, bits: int) -> bool:
    return type(value) is int and -(1 << bits) <= value < 1 << bits


def _recorded(tensor: Tensor) -> Mapping[str, Any]:
    """What the tensor's record was read with; checked, because another format's manifest may say anything."""
    wrong = [k for k, sound in _RECORDED.items() if k in tensor.details and not sound(tensor.details[k])]
    if wrong:
        found = ", ".join(f"{k} {printable(tensor.details[k], 40)}" for k in wrong)
        raise DamagedError("the details of an array are not those of an MXNet record", found=found)
    return tensor.details


def _shape(shape: tuple[int, ...] | None) -> bytes:
    found = shape or ()
    return struct.pack(f"<i{len(found)}q", len(found), *found)


def _none_record(tensor: Tensor, version: int) -> list[Piece]:
    if version < 2:
        return [(struct.pack("<I", V1) if version else b"") + struct.pack("<I", 0)]
    code = tensor.details.get("storage", 0)
    head = struct.pack("<Ii", _MAGICS[version], code)
    if code in (1, 2):
        head += _shape(tensor.details.get("stored_shape"))
    return [head + struct.pack("<i", -1 if version == 3 else 0)]


def _names(names: list[str]) -> bytes:
    encoded = [n.encode("utf-8", "surrogateescape") for n in names]
    return struct.pack("<Q", len(encoded)) + b"".join(struct.pack("<Q", len(n)) + n for n in encoded)
