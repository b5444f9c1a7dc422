"""safetensors files, plain ones and MindSpore's dialect. Layout: docs/formats/safetensors.md."""

import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import ConversionError, IntegrityError, UsageError, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.carry import CARRY, KEY, Carried, Target, describe, known, restore
from evergraph.formats.safetensors_header import LONGEST_HEADER, parse_header
from evergraph.formats.safetensors_index import plan_shards, takes_several
from evergraph.formats.safetensors_layout import (
    STORED,
    Written,
    accepts,
    as_before,
    library_type,
    plain_target,
    write_tensors,
)
from evergraph.stores import Location, Source
from evergraph.stores.progress import advance
from evergraph.tensors import DTYPES, Extent, Tensor
from evergraph.tensors.blob import CHUNK

__all__ = ["DIALECTS", "SafeTensors"]

MS = "ms"
DIALECTS = ("plain", MS)

CRC = "crc_num"
MOST_ZEROS = 1 << 30
INT4 = "Int4"
"""What MindSpore notes in the metadata under the name of a tensor of packed 4-bit numbers, stored as I8."""

# the library's own order of element types, widest first, which MindSpore's files follow
_RANK = {
    name: rank
    for rank, name in enumerate(
        (
            *("uint64", "int64", "float64", "complex64", "float32", "uint32", "int32", "bfloat16", "float16"),
            *("uint16", "int16", "float8_e4m3fn", "float8_e5m2", "int8", "int4", "uint8", "bool"),
        )
    )
}


def _mindspore_target() -> Target:
    return Target(
        "safetensors",
        "a safetensors file of MindSpore",
        STORED | {"int4": "int4"},
        metadata="texts",
        accepts=accepts,
        order=_mindspore_order,
    )


def _mindspore_order(tensors: Mapping[str, Tensor]) -> list[str]:
    return sorted(tensors, key=lambda n: (_RANK[library_type(tensors[n])], n.encode()))


class SafeTensors(Format):
    """safetensors files: dense tensors and texts about them; MindSpore's dialect with its checksum and 4-bit marks."""

    name = "safetensors"
    title = "a safetensors file"
    suffixes = (".safetensors",)
    read_options = MappingProxyType(
        {
            "crc_check": "True: compare the checksum that MindSpore kept",
            "carried": "False: show the file's own tensors only, without what evergraph keeps beside them",
        }
    )
    write_options = MappingProxyType(
        {
            "carry": f"{CARRY}; the default of the dialect 'ms' is False",
            "metadata": "texts by name for the file's metadata, such as {'format': 'pt'}",
            "dialect": "'plain' (the caller's order), or 'ms' (as MindSpore writes)",
            "crc_check": "True: keep MindSpore's checksum (dialect 'ms')",
            "remove_redundancy": "what MindSpore notes under this name (dialect 'ms')",
            "shard_size": "bytes of the largest file: more are written, with an index",
        }
    )

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins with the length of a JSON object, and the object."""
        # eight characters of a text would be an absurd length; zeros are in no text
        return len(head) > 8 and head[8:9] == b"{" and b"\0" in head[:8]

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The tensors of a file in the header's order, read when asked.

        Raises:
            DamagedError: listing what in the header breaks the format's rules.
            IntegrityError: with `crc_check`, the checksum disagrees.
        """
        self.check_options(options, self.read_options)
        header = parse_header(source)
        metadata, details = dict(header.metadata), {}
        tensors = {
            name: Tensor(DTYPES[e.dtype], e.shape, Extent(source, header.start + e.begin, e.end - e.begin))
            for name, e in header.entries.items()
        }
        if metadata.get("format") == MS:
            details["dialect"] = MS
            tensors = _marked(tensors, metadata)
        if options.get("crc_check"):
            _check_crc(tensors, metadata.get(CRC), f"{source.name}, data from byte {header.start}")
        if details and metadata.pop(CRC, None) is not None:
            details["crc"] = True
        # the library writes metadata in any order
        if not header.canonical or (details and len(header.metadata) > 1):
            details["header"] = header.text
        manifest = metadata.pop(KEY, None) if options.get("carried", True) else None
        found = Checkpoint(tensors, metadata=metadata, format=self.name, details=details, name=source.name)
        return restore(found, manifest) if manifest is not None else found

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The one file that holds these tensors; with `shard_size`, as many as it takes and an index."""
        self.check_options(options, self.write_options)
        own = known(checkpoint, self.name)
        dialect = options.get("dialect") or own.get("dialect", DIALECTS[0])
        _check_dialect(dialect, options)
        if options.get("shard_size") is not None and takes_several(checkpoint, options):
            return plan_shards(checkpoint, target, options)
        # MindSpore's own bytes are why its dialect is asked for
        carry = options.get("carry", dialect != MS or "source" in checkpoint.details)
        if dialect == MS:
            carried = describe(checkpoint, _mindspore_target(), carry)
            written = _write_mindspore(carried, own, options)
        else:
            carried = describe(checkpoint, plain_target(), carry)
            written = _write_plain(carried, own, options)
        _check_header(written, carried, target)
        return Layout((File(target, written.pieces, written.nbytes),), carried.losses, carried.notes)


def _check_dialect(dialect: str, options: Mapping[str, Any]) -> None:
    if dialect not in DIALECTS:
        raise UsageError(f"no dialect {printable(dialect)} of safetensors", expected=", ".join(DIALECTS))
    misplaced = [o for o in ("crc_check", "remove_redundancy") if options.get(o) is not None and dialect != MS]
    misplaced += ["shard_size"] if dialect == MS and options.get("shard_size") is not None else []
    if misplaced:
        raise UsageError(f"{', '.join(misplaced)} does not go with the dialect {dialect!r}", fix="choose dialect='ms'")
    texts = options.get("metadata") or {}
    if any(not isinstance(k, str) or not isinstance(v, str) or k == KEY for k, v in texts.items()):
        raise UsageError("metadata of safetensors are texts by name", found=printable(texts))


def _write_plain(carried: Carried, own: Mapping[str, Any], options: Mapping[str, Any]) -> Written:
    metadata = dict(carried.metadata)
    if metadata.get("format") == MS:
        # it would be read as MindSpore's
        del metadata["format"]
    metadata |= options.get("metadata") or {}
    if carried.manifest:
        metadata[KEY] = carried.manifest
    return as_before(write_tensors(carried.tensors, metadata), carried.tensors, metadata, own.get("header", b""))


def _write_mindspore(carried: Carried, own: Mapping[str, Any], options: Mapping[str, Any]) -> Written:
    metadata = {"format": MS} | {k: v for k, v in carried.metadata.items() if k != "format"}
    if options.get("remove_redundancy") is not None:
        metadata["remove_redundancy"] = str(bool(options["remove_redundancy"]))
    metadata |= options.get("metadata") or {}
    metadata |= {n: INT4 for n in sorted(carried.tensors) if carried.tensors[n].dtype == "int4"}
    if carried.manifest:
        metadata[KEY] = carried.manifest
    if options.get("crc_check", own.get("crc", False)):
        metadata[CRC] = str(_crc(carried.tensors))
    order = _mindspore_order(carried.tensors)
    tensors = {name: carried.tensors[name] for name in order}
    # MindSpore gives the library no metadata where there is no tensor
    metadata = metadata if tensors else {}
    return as_before(write_tensors(tensors, metadata, order), tensors, metadata, own.get("header", b""))


def _check_header(written: Written, carried: Carried, target: Location) -> None:
    if len(written.header) - 8 > LONGEST_HEADER:
        raise ConversionError(
            "the header would be longer than the format allows",
            where=target.shown,
            expected=f"at most {LONGEST_HEADER} bytes",
            found=f"{len(written.header) - 8}, of which the manifest takes {len(carried.manifest)}",
            fix="drop the graph or texts, or save with carry=False",
        )


def _marked(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> dict[str, Tensor]:
    """The tensors with MindSpore's 4-bit marks taken out of the metadata into their types."""
    marked = [n for n, t in tensors.items() if metadata.get(n) == INT4 and t.dtype == "int8"]
    for name in marked:
        del metadata[name]
    return {n: t.replace(dtype=DTYPES["int4"]) if n in marked else t for n, t in tensors.items()}


def _crc(tensors: Mapping[str, Tensor]) -> int:
    """MindSpore's checksum: over each name and its bytes, names sorted.

    It computes `bytes(array)`, which for an integer scalar makes not its bytes but as many zeros as its value says.
    """
    total = 0
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(name.encode(), total)
        chunks = _zeros(name, tensor) if tensor.shape == () and tensor.dtype.kind in "iu" else tensor.blob.chunks()
        for chunk in chunks:
            total = zlib.crc32(chunk, total)
            advance("checking", len(chunk))
    return total


def _zeros(name: str, tensor: Tensor) -> Iterator[bytes]:
    count = int.from_bytes(tensor.blob.read(), "little", signed=tensor.dtype.kind == "i")
    if not 0 <= count <= MOST_ZEROS:
        raise UsageError(
            "MindSpore's checksum of this scalar cannot be computed, there or here",
            where=printable(name),
            expected=f"a value from 0 to {MOST_ZEROS}",
            found=count,
            fix="leave crc_check out",
        )
    for start in range(0, count, CHUNK):
        yield bytes(min(CHUNK, count - start))


def _check_crc(tensors: Mapping[str, Tensor], stated: str | None, where: str) -> None:
    if stated is None:
        raise IntegrityError(
            "the file carries no checksum to compare",
            where=where,
            expected=f"{CRC} in its metadata, as MindSpore writes it with crc_check=True",
            fix="open it without crc_check",
        )
    found = _crc(tensors)
    if stated != str(found):
        raise IntegrityError(
            "the checksum disagrees: the file is not what was saved",
            where=where,
            expected=f"{CRC} {printable(stated, 20)}",
            found=found,
            fix="fetch the file again; without crc_check its values are read as they are",
        )
