"""safetensors in several files: an index names the shard of each tensor. Layout: docs/formats/safetensors.md."""

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, EvergraphError, UnsafeError, UsageError, collect, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.carry import CARRY, KEY, Carried, describe, known, restore
from evergraph.formats.safetensors_header import Header, parse_header
from evergraph.formats.safetensors_layout import as_before, plain_target, write_tensors
from evergraph.graph.strict_json import load_json
from evergraph.stores import Location, Source, exists, open_source
from evergraph.tensors import DTYPES, Extent, Tensor

__all__ = ["SUFFIX", "SafeTensorsIndex", "plan_shards", "takes_several"]

SUFFIX = ".safetensors.index.json"
SHARD_SIZE = 5 * 10**9
"""Bytes of a shard where none is asked for."""

LARGEST_INDEX = 100_000_000
_SEPARATOR = re.compile(r"[/\\:\0]")
_SIZE = re.compile(r"(\d+)\s*([kMGT]?i?B)?")
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 1 << 10, "kiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "B": 1, None: 1}


_TARGET = dataclasses.replace(plain_target(), name="safetensors-sharded", metadata="json")


class SafeTensorsIndex(Format):
    """An index of safetensors shards in one folder."""

    name = "safetensors-sharded"
    title = "a safetensors index with its shards"
    suffixes = (SUFFIX,)
    read_options = MappingProxyType(
        {
            "carried": "False: show the shards' own tensors only, without what evergraph keeps beside them",
            "follow_links": "True: read shards that are links out of the folder, as in a download cache",
        }
    )
    write_options = MappingProxyType(
        {
            "shard_size": "bytes of the largest shard, as a number or such as '5GB' (the default)",
            "carry": CARRY,
            "metadata": "texts by name for each shard's metadata, such as {'format': 'pt'}",
        }
    )

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content is a JSON object with a map from tensors to shards."""
        return head.lstrip()[:1] == b"{" and b'"weight_map"' in head

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The tensors of all shards in the index's order, read when asked.

        Raises:
            DamagedError: listing every shard and tensor that is missing, damaged, or not where the index says.
            UnsafeError: the index names files outside its folder.
        """
        self.check_options(options, self.read_options)
        index = _read_index(source)
        homes: dict[str, str] = index["weight_map"]
        shards = _open_shards(source.location, dict.fromkeys(homes.values()), bool(options.get("follow_links")))
        _compare(homes, shards, source.name)
        tensors = {name: shards[file].tensor(name) for name, file in homes.items()}
        metadata = {k: v for k, v in (index.get("metadata") or {}).items() if k != "total_size"}
        details = {
            "index": source.peek(0, source.size),
            "nbytes": sum(t.nbytes for t in tensors.values()),
            "stem": source.location.basename.removesuffix(SUFFIX),
            "shards": tuple(shard.told(file) for file, shard in shards.items()),
        }
        found = Checkpoint(tensors, metadata=metadata, format=self.name, details=details, name=source.name)
        manifest = index.get(KEY)
        return restore(found, manifest) if isinstance(manifest, str) and options.get("carried", True) else found

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The shards and, last, their index."""
        self.check_options(options, self.write_options)
        return plan_shards(checkpoint, target, options)


class _Shard(NamedTuple):
    source: Source
    header: Header

    def tensor(self, name: str) -> Tensor:
        entry = self.header.entries[name]
        blob = Extent(self.source, self.header.start + entry.begin, entry.end - entry.begin)
        return Tensor(DTYPES[entry.dtype], entry.shape, blob)

    def told(self, file: str) -> tuple[str, tuple[str, ...], Mapping[str, str], bytes]:
        """What saving needs to give the same file again: a header is kept where it is spelled in another way."""
        header = self.header
        return file, tuple(header.entries), header.metadata, b"" if header.canonical else header.text


def _read_index(source: Source) -> dict[str, Any]:
    if source.size > LARGEST_INDEX:
        raise DamagedError("an index of this size is not one", where=source.name, found=f"{source.size} bytes")
    index = load_json(source.peek(0, source.size), source.name)
    homes = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(homes, dict) or not all(isinstance(f, str) for f in homes.values()):
        raise DamagedError(
            "the index has no map from tensors to shards",
            where=source.name,
            expected='{"weight_map": {tensor: file, ...}}',
            found=printable(homes, 60),
        )
    if not isinstance(index.get("metadata") or {}, dict):
        raise DamagedError(
            "the index's metadata is no object", where=source.name, found=printable(index["metadata"], 60)
        )
    return index


def _open_shards(index: Location, files: Iterable[str], follow_links: bool) -> dict[str, _Shard]:
    files = list(files)
    outside = [f"{printable(f)!r}" for f in files if f in ("", ".", "..") or _SEPARATOR.search(f)]
    if index.is_local and not outside and not follow_links:
        outside += _links_out(index, files)
    collect(
        UnsafeError,
        "the index names files outside its folder",
        outside,
        where=index.shown,
        expected="names of files beside the index",
        fix="a link of your own (a download cache) is followed with follow_links=True",
    )
    shards, findings = {}, []
    for file in files:
        try:
            source = open_source(index.sibling(file))
            shards[file] = _Shard(source, parse_header(source))
        except EvergraphError as error:
            found = f" ({error.found})" if error.found else ""
            findings.append(f"{printable(file)}: {error.what}{found}{''.join(f'; {d}' for d in error.details)}")
    collect(
        DamagedError,
        "shards are missing or damaged",
        findings,
        where=index.shown,
        fix="fetch the named files again, into the index's folder",
    )
    return shards


def _links_out(index: Location, files: Iterable[str]) -> Iterator[str]:
    folder = os.path.realpath(os.path.dirname(index.name) or ".")
    for file in files:
        found = os.path.realpath(index.sibling(file).name)
        if os.path.dirname(found) != folder:
            yield f"{printable(file)!r}, a link to {printable(found)}"


def _compare(homes: Mapping[str, str], shards: Mapping[str, _Shard], name: str) -> None:
    findings = [
        f"{printable(tensor)!r}: the index says it is in {printable(file)}, which does not have it"
        for tensor, file in homes.items()
        if tensor not in shards[file].header.entries
    ]
    for file, shard in shards.items():
        for tensor in shard.header.entries:
            if tensor not in homes:
                findings.append(f"{printable(tensor)!r}: in {printable(file)}, and not in the index")
            elif homes[tensor] != file:
                findings.append(f"{printable(tensor)!r}: also in {printable(file)}, where the index does not say so")
    collect(
        DamagedError,
        "the index and its shards do not agree",
        findings,
        where=name,
        fix="files of different versions stand side by side: fetch all of them again",
    )


def _bytes_of(size: Any) -> int:
    found = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if found and found[2] in _UNITS:
        size = int(found[1]) * _UNITS[found[2]]
    if type(size) is not int or size < 1:
        raise UsageError(
            "shard_size is no number of bytes", expected="such as 5000000000 or '5GB'", found=printable(size)
        )
    return size


class _Draft(NamedTuple):
    """A shard to be written: its tensors' names in order, its metadata, and the header it was read with."""

    names: tuple[str, ...]
    metadata: Mapping[str, str]
    header: bytes = b""
    ending: str = ""


def takes_several(checkpoint: Checkpoint, options: Mapping[str, Any]) -> bool:
    """Whether a checkpoint takes more than one file of the size that is asked for."""
    carried = describe(checkpoint, _TARGET, options.get("carry", True))
    return len(_drafts(known(checkpoint, SafeTensorsIndex.name), carried, options)) > 1


def plan_shards(checkpoint: Checkpoint, target: Location, options: Mapping[str, Any]) -> Layout:
    """The shards of a checkpoint and their index, which becomes visible last.

    Args:
        checkpoint: what to save.
        target: the index, or the one file that there would be without shards; shards stand beside it.
        options: those of `SafeTensorsIndex`.

    Raises:
        UsageError: the target is a stream.
    """
    if target.is_stream:
        raise UsageError("several files cannot go down one stream", where=target.shown, fix="give a path")
    carried = describe(checkpoint, _TARGET, options.get("carry", True))
    own = known(checkpoint, SafeTensorsIndex.name)
    drafts = _drafts(own, carried, options)
    stem = target.basename.removesuffix(SUFFIX).removesuffix(".safetensors")
    names, left = _free_names(target, stem, drafts)
    files, homes = [], {}
    for name, draft in zip(names, drafts, strict=True):
        metadata = options.get("metadata") or draft.metadata
        tensors = {n: carried.tensors[n] for n in draft.names}
        written = as_before(write_tensors(tensors, metadata), tensors, metadata, draft.header)
        files.append(File(target.sibling(name), written.pieces, written.nbytes))
        homes |= dict.fromkeys(draft.names, name)
    text = _index_text({n: homes[n] for n in carried.tensors}, carried, own)
    files.append(File(target.sibling(stem + SUFFIX), lambda: (text,), len(text)))
    return Layout(tuple(files), carried.losses, (*carried.notes, *left))


def _drafts(own: Mapping[str, Any], carried: Carried, options: Mapping[str, Any]) -> list[_Draft]:
    """The shards: those that were read, or as many as the size that is asked for makes."""
    limit = options.get("shard_size")
    drafts = _as_read(own, carried.tensors) if limit is None else []
    return drafts or _fill(carried.tensors, SHARD_SIZE if limit is None else _bytes_of(limit))


def _as_read(own: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[_Draft]:
    """The shards as they were read, where they still hold exactly these tensors."""
    stem = own.get("stem", "")
    drafts = [
        _Draft(names, metadata, header, f.removeprefix(stem)) for f, names, metadata, header in own.get("shards", ())
    ]
    held = [n for d in drafts for n in d.names]
    return drafts if len(held) == len(tensors) and all(n in tensors for n in held) else []


def _fill(tensors: Mapping[str, Tensor], limit: int) -> list[_Draft]:
    """Tensors in order, a new shard where one would grow over the limit."""
    groups: list[list[str]] = [[]]
    room = limit
    for name, tensor in tensors.items():
        if tensor.blob.nbytes > room and groups[-1]:
            groups.append([])
            room = limit
        groups[-1].append(name)
        room -= tensor.blob.nbytes
    return [_Draft(tuple(g), {}) for g in groups]


def _free_names(target: Location, stem: str, drafts: list[_Draft]) -> tuple[list[str], list[str]]:
    """Names for the shards that no file has, and a note about files that stay behind.

    Shards that stand there already belong to an older index until the new one takes its place: replaced one by one,
    they would be a mixture of both for as long as that takes.
    """
    count = len(drafts)
    usual = [f"-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]
    endings = [d.ending or e for d, e in zip(drafts, usual, strict=True)]
    names = [stem + e for e in endings]
    taken = [n for n in names if exists(target.sibling(n))]
    if not taken:
        return names, []
    generation = 2
    while any(exists(target.sibling(f"{stem}.{generation}{e}")) for e in endings):
        generation += 1
    note = f"the older shards stay until they are removed: {', '.join(map(printable, taken))}"
    return [f"{stem}.{generation}{e}" for e in endings], [note]


def _index_text(homes: Mapping[str, str], carried: Carried, own: Mapping[str, Any]) -> bytes:
    """The index; the very bytes it was read from, where they still say the same."""
    total = sum(t.blob.nbytes for t in carried.tensors.values())
    index: dict[str, Any] = {"metadata": {"total_size": total} | dict(carried.metadata), "weight_map": dict(homes)}
    if carried.manifest:
        index[KEY] = carried.manifest
    if own.get("index") and own.get("nbytes") == total:
        before = load_json(own["index"], "the index it was read from")
        same = list(before.get("weight_map", ())) == list(homes) and before.get(KEY) == index.get(KEY)
        before_metadata = {k: v for k, v in (before.get("metadata") or {}).items() if k != "total_size"}
        if same and before["weight_map"] == homes and before_metadata == dict(carried.metadata):
            return own["index"]
    return (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
