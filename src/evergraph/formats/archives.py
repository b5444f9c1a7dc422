"""Archives, opened in place: zip, tar, tar.gz and MXNet Model Server's `.mar`, with one checkpoint inside.

What is promised: docs/formats/archives.md.
"""

import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, UnsafeError, collect, printable
from evergraph.formats.base import Format
from evergraph.formats.bundle import Bundle
from evergraph.formats.candidates import OPTIONS
from evergraph.formats.members import PIECE, Budget, Inflated, require_shallow
from evergraph.formats.tar_reader import TarTable, looks_like_tar
from evergraph.formats.zip_reader import END, LOCAL, zip_table
from evergraph.graph.strict_json import load_json
from evergraph.stores import Source
from evergraph.stores.progress import advance

__all__ = ["Archive", "unsafe_names"]

GZIP = b"\x1f\x8b\x08"
MAX_MANIFEST = 1 << 20
_MAR_MANIFEST = "MAR-INF/MANIFEST.json"
_DRIVE = re.compile(r"[A-Za-z]:")


class Archive(Format):
    """A zip, tar, gzip or `.mar` archive that holds a checkpoint."""

    name = "archive"
    title = "an archive with a checkpoint in it"
    read_options = MappingProxyType({**OPTIONS, "...": "what the checkpoint's own format takes"})

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a zip, gzip or tar archive of any kind."""
        return head.startswith((LOCAL, GZIP)) or (head.startswith(END) and source.size >= 22) or looks_like_tar(head)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The checkpoint inside, as its own format; `details["archive"]` says what the archive holds.

        Members stay where they are: stored ones are read in place, compressed ones unpacked once to memory or to an
        unnamed temporary file.

        Raises:
            UnsafeError: naming members that would leave the archive's folder, links and devices, or what unpacks to far
                more than its size.
            UsageError: several checkpoints, and none is chosen.
            FormatError: none.
        """
        require_shallow(source)
        kind, bundle = _opened(source)
        if bundle is None:
            from evergraph.formats.registry import by_content

            content = _gunzipped(source)
            return by_content(content).read(content, **options)
        checkpoint = bundle.open(**options)
        noted = {"kind": kind, "members": bundle.names[:1000]} | _mar(bundle)
        return checkpoint.replace(details={**checkpoint.details, "archive": noted})


def _opened(source: Source) -> tuple[str, Bundle | None]:
    """The kind of archive and its members; None for a single compressed file."""
    head = source.head(1024)
    if head.startswith(GZIP):
        content = _gunzipped(source)
        if not looks_like_tar(content.head(1024)):
            return "gz", None
        return "tar.gz", _tar(content, source)
    if looks_like_tar(head):
        return "tar", _tar(source, source)
    return "zip", _zip(source)


def _gunzipped(source: Source) -> Source:
    kept = vars(source)
    if "gunzipped" not in kept:
        kept["gunzipped"] = Inflated(source, "", _inflate(source))
    return kept["gunzipped"]


def _inflate(source: Source) -> Iterator[bytes]:
    """The content of a gzip stream of one or more parts, under a budget; its checksums are compared by zlib."""
    budget = Budget(source)
    at, waiting = 0, b""
    while at < source.size or waiting:
        stream = zlib.decompressobj(31)
        while not stream.eof:
            if not waiting:
                if at >= source.size:
                    raise _broken(source, "it is cut short", at)
                taken = min(PIECE, source.size - at)
                waiting, at = bytes(source.read(at, taken)), at + taken
                advance("unpacking", taken, source.size)
            try:
                piece = stream.decompress(waiting, PIECE)
            except zlib.error as error:
                raise _broken(source, printable(error), at) from error
            waiting = stream.unconsumed_tail
            budget.spend(len(piece), "")
            yield piece
        waiting = stream.unused_data or waiting
        if waiting and not waiting.startswith(GZIP[: len(waiting)]):
            # tapes and some tools pad with zeros
            if waiting.strip(b"\0") or bytes(source.read(at, source.size - at)).strip(b"\0"):
                raise _broken(source, "bytes stand behind its end", at - len(waiting))
            return


def _broken(source: Source, what: str, at: int) -> DamagedError:
    return DamagedError(
        f"the gzip stream is damaged: {what}",
        where=f"{source.name}, byte {at}",
        fix="fetch or copy the file again",
    )


def _tar(content: Source, outer: Source) -> Bundle:
    members = TarTable(content).members
    return _bundle({n: m.source for n, m in members.items()}, outer)


def _zip(source: Source) -> Bundle:
    members = {n: m for n, m in zip_table(source).members.items() if not n.endswith("/")}
    links = [f"{printable(n)}: symbolic link" for n, m in members.items() if stat.S_ISLNK(m.mode)]
    kinds = (stat.S_ISCHR, stat.S_ISBLK, stat.S_ISFIFO, stat.S_ISSOCK)
    links += [f"{printable(n)}: a device or pipe" for n, m in members.items() if any(k(m.mode) for k in kinds)]
    collect(UnsafeError, "the archive holds members that are no plain files", links, where=source.name)
    return _bundle({n: m.source for n, m in members.items()}, source)


def _bundle(openers: Mapping[str, Any], source: Source) -> Bundle:
    collect(
        UnsafeError,
        "members of the archive would leave its folder",
        unsafe_names(openers),
        where=source.name,
        fix="do not unpack this archive anywhere: it was made to write outside of where it is unpacked",
    )
    # tar writes ./name where it was given a folder
    plain = {n.removeprefix("./"): opener for n, opener in openers.items()}
    if len(plain) != len(openers):
        twice = [printable(n) for n in plain if n in openers and f"./{n}" in openers]
        collect(DamagedError, "members of the archive have one name", twice, where=source.name)
    opened: dict[str, Source] = {}

    def open_member(name: str) -> Source:
        # a compressed member is unpacked once, however often it is looked at
        if name not in opened:
            opened[name] = plain[name]()
        return opened[name]

    return Bundle(plain, open_member, source.name)


def unsafe_names(names: Any) -> list[str]:
    r"""The names that would lead out of a folder that they are unpacked in, one line each.

    >>> unsafe_names(["a/b", "../x", "/etc/passwd", "a\\..\\b", "C:x"])
    ['../x: leads upwards', '/etc/passwd: absolute', 'a\\..\\b: a backslash', 'C:x: a drive']
    """
    found = []
    for name in names:
        reason = None
        if name.startswith("/"):
            reason = "absolute"
        elif "\\" in name:
            reason = "a backslash"
        elif ".." in name.split("/"):
            reason = "leads upwards"
        elif _DRIVE.match(name):
            reason = "a drive"
        elif "\0" in name or not name.strip():
            reason = "no name"
        if reason:
            found.append(f"{printable(name)}: {reason}")
    return found


def _mar(bundle: Bundle) -> dict[str, Any]:
    """What a model server's archive says about itself."""
    if _MAR_MANIFEST not in bundle.names:
        return {}
    source = bundle.source(_MAR_MANIFEST)
    if source.size > MAX_MANIFEST:
        raise DamagedError("a manifest of this size is not one", where=source.name, found=source.size)
    return {"manifest": load_json(source.head(source.size), source.name)}
