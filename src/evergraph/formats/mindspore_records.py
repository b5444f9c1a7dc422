"""MindSpore's checkpoint records made into tensors. Layout: docs/formats/mindspore-ckpt.md."""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.errors import DamagedError, collect, printable
from evergraph.formats.mindspore_messages import MAP_PARTS, TYPES, Proto, Reader, Record
from evergraph.stores import Source
from evergraph.tensors import DTYPES, MAP, TEXT, DType, Extent, Joined, Tensor
from evergraph.tensors.shapes import impossible

__all__ = ["OWN", "TYPE_NAMES", "read_records"]

OWN = "mindspore-ckpt"
"""Under this key a tensor's details keep what this format alone knows: `dims`, `pieces`, `rows`, `type`, `frames`."""

TYPE_NAMES: Mapping[str, str] = MappingProxyType({ours: theirs for theirs, ours in TYPES.items()})

_KINDS: dict[bytes, DType] = {name.encode(): DTYPES[ours] for name, ours in TYPES.items()}
_MAP_KINDS = {name.encode(): kind for name, kind in DTYPES.items()} | _KINDS
_KEEP = "keep"


def read_records(
    source: Source, limit: int, duplicates: str | None = None, unknown_fields: str | None = None
) -> dict[str, Tensor]:
    """The tensors of the records in the first `limit` bytes.

    Args:
        source: plain (decrypted) content.
        limit: where the records end.
        duplicates: "last" takes the last of several entries of one name, as MindSpore does.
        unknown_fields: "keep" keeps fields that the schema does not have.

    Raises:
        DamagedError: listing every record that is not what it must be.
    """
    reader = Reader(source, limit, unknown_fields == _KEEP)
    records = list(reader.records())
    whole = {r.tag: r.tensor for r in records if r.tensor is not None}
    # each name once, each record a whole tensor: what nearly every file is
    if len(whole) == len(records):
        return whole
    found: dict[str, Tensor] = {}
    first: dict[str, int] = {}
    findings, twice = list(reader.findings), []
    for group in _adjacent(records):
        record = group[0]
        tag, tensor = record.tag, record.tensor
        if len(group) > 1 or tensor is None:
            pieces = [reader.walk(r.at, 0) if r.tensor else r for r in group]
            tensor = _tensor(source, _last_of_repeated(pieces, None if duplicates else twice), findings)
        if tag in first and not duplicates:
            twice.append(f"{printable(tag)!r}: at bytes {first[tag]} and {record.at}")
        first.setdefault(tag, record.at)
        if tensor is not None:
            found[tag] = tensor
    wrong = [*findings, *(f"{line}: one name twice" for line in twice)] if findings else twice
    collect(
        DamagedError,
        "the checkpoint's records are not what they must be" if findings else "names stand twice",
        wrong,
        where=source.name,
        fix="decide which one is meant: duplicates='last' takes the last, as MindSpore does" if twice else None,
    )
    return found


def _adjacent(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Neighbours with one name, which are pieces of one tensor."""
    group: list[Record] = []
    for record in records:
        if group and record.tag != group[0].tag:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _last_of_repeated(group: list[Record], findings: list[str] | None) -> list[Record]:
    """The last record of a group whose records each hold a whole tensor: no pieces, but one name given again.

    Joined, as MindSpore does, they would overrun the tensor's memory.
    """
    if len(group) == 1 or any(r.is_map or not r.nbytes for r in group):
        return group
    whole = [r for r in group if _expected(r.protos[0]) == r.nbytes]
    if len(whole) < len(group):
        return group
    if findings is not None:
        places = ", ".join(str(r.at) for r in group[:5])
        findings.append(f"{printable(group[0].tag)!r}: {len(group)} whole tensors in a row, at bytes {places}")
    return group[-1:]


def _expected(proto: Proto) -> int | None:
    """Bytes that a tensor's sizes and type take; None where the sizes do not say."""
    kind = _KINDS.get(proto.type)
    if kind is None or kind == "str" or any(d < 0 for d in proto.dims):
        return None
    dims = () if proto.dims == (0,) and proto.stop > proto.start else proto.dims
    return math.prod(dims) * kind.itemsize


def _tensor(source: Source, group: list[Record], findings: list[str]) -> Tensor | None:
    """The tensor of one record or of several pieces; what is wrong with it is added to the findings."""
    record = group[0]
    where = f"{printable(record.tag)!r} at byte {record.at}"
    if len(group) > 1:
        alike = {(r.is_map, tuple((p.type, () if r.is_map else p.dims) for p in r.protos)) for r in group}
        if len(alike) > 1:
            findings.append(f"{where}: its {len(group)} pieces are of unlike sizes or types")
            return None
    if record.is_map:
        return _map_tensor(source, group, where, findings)
    proto = record.protos[0]
    kind = _kind(proto, _KINDS, where, findings)
    if kind is None:
        return None
    extents = [Extent(source, r.protos[0].start, r.nbytes) for r in group]
    blob = extents[0] if len(extents) == 1 else Joined(extents)
    own: dict[str, Any] = {"pieces": tuple(e.nbytes for e in extents)} if len(extents) > 1 else {}
    if any(r.literals for r in group):
        own |= {"frames": tuple(r.literals for r in group), "of": tuple(map(_identity, group))}
    if kind == "str":
        own |= {"dims": proto.dims} if proto.dims != (0,) else {}
        if blob.nbytes % 4 or not blob.nbytes:
            findings.append(f"{where}: a text of {blob.nbytes} bytes, and its characters take 4 each")
            return None
        return Tensor(kind, (), blob, TEXT, details={OWN: own} if own else {})
    shape = proto.dims
    # old releases write a scalar's sizes as [0]; with no content it is what it says
    if shape == (0,) and blob.nbytes:
        own["dims"], shape = shape, ()
    if _lies(shape, kind, blob.nbytes, where, findings):
        return None
    return Tensor(kind, shape, blob, details={OWN: own}) if own else Tensor(kind, shape, blob)


def _identity(record: Record) -> tuple[Any, ...]:
    """What a frame belongs to: it is used again only for a tensor of this name, these sizes and this type."""
    return record.tag, tuple((p.dims, p.type, p.stop - p.start) for p in record.protos)


def _kind(proto: Proto, known: Mapping[bytes, DType], where: str, findings: list[str]) -> DType | None:
    kind = known.get(proto.type)
    if kind is None:
        shown = printable(proto.type.decode("utf-8", "backslashreplace"), 60)
        findings.append(f"{where}: unknown element type {shown!r}; known are {', '.join(TYPES)}")
    return kind


def _lies(shape: tuple[int, ...], kind: DType, nbytes: int, where: str, findings: list[str]) -> bool:
    wrong = impossible(shape, kind.itemsize)
    if wrong:
        findings.append(f"{where}: {wrong} in {list(shape)}")
        return True
    needed = math.prod(shape) * kind.itemsize
    if needed != nbytes:
        findings.append(f"{where}: sizes {list(shape)} of {kind!s} take {needed} bytes, and its content has {nbytes}")
    return needed != nbytes


def _map_tensor(source: Source, group: list[Record], where: str, findings: list[str]) -> Tensor | None:
    parts: dict[str, Tensor] = {}
    for index, name in enumerate(MAP_PARTS):
        protos = [r.protos[index] for r in group]
        kind = _kind(protos[0], _MAP_KINDS, f"{where}, {name}", findings)
        if (
            kind is None
            or kind == "str"
            or len({p.dims[1:] for p in protos}) > 1
            or (len(group) > 1 and not protos[0].dims)
        ):
            findings += [f"{where}, {name}: its pieces do not fit together"] if kind is not None else []
            return None
        if any(_lies(p.dims, kind, p.stop - p.start, f"{where}, {name}", findings) for p in protos):
            return None
        extents = [Extent(source, p.start, p.stop - p.start) for p in protos]
        blob = extents[0] if len(extents) == 1 else Joined(extents)
        shape = protos[0].dims if len(group) == 1 else (sum(p.dims[0] for p in protos), *protos[0].dims[1:])
        own: dict[str, Any] = {"rows": tuple(p.dims[0] for p in protos)} if len(group) > 1 else {}
        if protos[0].type != kind.encode():
            own["type"] = protos[0].type.decode()
        parts[name] = Tensor(kind, shape, blob, details={OWN: own} if own else {})
    values = parts["values"]
    own = {}
    if any(r.literals for r in group):
        own = {"frames": tuple(r.literals for r in group), "of": tuple(map(_identity, group))}
    return Tensor(values.dtype, values.shape, values.blob, MAP, MappingProxyType(parts), {OWN: own} if own else {})
