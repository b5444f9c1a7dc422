"""URIs as dmlc's stream layer reads them: protocol, host and name; and what each protocol needs."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from evergraph.errors import UsageError, printable

__all__ = ["PROTOCOLS", "Location", "Protocol", "locate", "redact", "register"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a protocol is served.

    Args:
        fsspec: fsspec's name for it.
        module: what fsspec needs for it.
        extra: the extra of this package that installs that.
        writable: False where it is only read.
        renames: True where a new file is seen while it grows, as on HDFS: it is written beside and renamed.
    """

    fsspec: str
    module: str
    extra: str
    writable: bool = True
    renames: bool = False


_protocols = {
    "azure": Protocol("abfs", "adlfs", "azure"),
    "gs": Protocol("gcs", "gcsfs", "gcs"),
    "hdfs": Protocol("hdfs", "pyarrow", "hdfs", renames=True),
    "http": Protocol("http", "aiohttp", "http", writable=False),
    "https": Protocol("https", "aiohttp", "http", writable=False),
    "memory": Protocol("memory", "fsspec", "all", renames=True),
    "s3": Protocol("s3", "s3fs", "s3"),
    "viewfs": Protocol("hdfs", "pyarrow", "hdfs", renames=True),
}

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(_protocols)
"""The remote protocols; `file` and plain paths are local, `-`, `stdin` and `stdout` the standard streams."""


def register(name: str, protocol: Protocol) -> None:
    """Make a protocol known, from a program or a package of its own.

    Args:
        name: what stands before `://`, in small letters.
        protocol: how fsspec serves it.

    Raises:
        UsageError: the name is taken.
    """
    if name == "file" or _protocols.get(name, protocol) != protocol:
        raise UsageError(f"there is a protocol {printable(name)}://", found=_protocols.get(name, "local files"))
    _protocols[name] = protocol


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_STREAMS = frozenset(("-", "stdin", "stdout", "file://stdin", "file://stdout"))


@dataclass(frozen=True, slots=True)
class Location:
    """Where a URI points.

    Args:
        uri: as it was given.
        protocol: "file", "stream", or a name of `PROTOCOLS`.
        host: bucket, namenode or server; empty for local files.
        name: path below the host; for local files the path itself.
    """

    uri: str
    protocol: str
    host: str
    name: str

    @property
    def is_local(self) -> bool:
        """Whether this is a file of this machine."""
        return self.protocol == "file"

    @property
    def is_stream(self) -> bool:
        """Whether this is standard input or output."""
        return self.protocol == "stream"

    @property
    def shown(self) -> str:
        """The URI as it may stand in a message: escaped, without credentials."""
        return printable(redact(self.uri))

    @property
    def basename(self) -> str:
        """The last part of the name."""
        return self.name.rstrip("/").rsplit("/", 1)[-1]

    def sibling(self, basename: str) -> "Location":
        """The location of another name in the same folder."""
        stem, slash, _ = self.uri.partition("?")[0].rpartition("/")
        return locate(f"{stem}{slash}{basename}")


def locate(uri: object) -> Location:
    """Split a URI as dmlc does: `protocol://host/name`; without a protocol it is a local path.

    Raises:
        UsageError: an unknown protocol, or an empty URI.

    >>> locate("s3://bucket/models/a.params").host
    'bucket'
    >>> locate("C://models/a.json").protocol
    'file'
    """
    text = os.fspath(uri) if isinstance(uri, os.PathLike) else uri
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError("a URI or a path is needed", found=printable(repr(uri)))
    if text in _STREAMS:
        return Location(text, "stream", "", text.removeprefix("file://"))
    found = _SCHEME.match(text)
    # a single letter is a drive of Windows
    if found is None or len(found[1]) == 1:
        return Location(text, "file", "", text)
    protocol, rest = found[1].lower(), text[found.end() :]
    if protocol == "file":
        return Location(text, "file", "", rest if rest.startswith("/") or "/" not in rest else _local(rest))
    if protocol not in PROTOCOLS:
        raise UsageError(
            f"unknown protocol {printable(protocol)}://",
            where=printable(redact(text)),
            expected=", ".join(sorted((*PROTOCOLS, "file"))),
        )
    host, slash, name = rest.partition("/")
    return Location(text, protocol, host, slash + name)


def _local(rest: str) -> str:
    host, _, path = rest.partition("/")
    return "/" + path if host in ("", "localhost") else rest


def redact(uri: str) -> str:
    """The URI without user, password, query and fragment: they may hold credentials.

    >>> redact("https://me:secret@host/a.params?X-Amz-Signature=1")
    'https://...@host/a.params?...'
    """
    if "://" not in uri:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri.split("://", 1)[0] + "://..."
    host = parts.netloc.rpartition("@")
    netloc = ("...@" if host[1] else "") + host[2]
    tail = ("?..." if parts.query else "") + ("#..." if parts.fragment else "")
    return f"{parts.scheme}://{netloc}{parts.path}{tail}"
