"""Files of other machines, through fsspec: ranged reads, and writes that appear whole or not at all."""

import errno
import importlib.util
import re
import secrets
from collections.abc import Sequence
from typing import Any

from evergraph._lazy import load
from evergraph.errors import EvergraphError, MissingDependencyError, StoreError, printable
from evergraph.stores.commit import TEMPORARY, Sink, joined
from evergraph.stores.progress import advance
from evergraph.stores.source import BLOCK, Source
from evergraph.stores.uri import PROTOCOLS, Location, redact

__all__ = ["RemoteSource", "failed", "file_system", "open_remote", "remote_exists", "remote_list", "remote_sink"]


_URL = re.compile(r"\w+://[^\s'\"<>]+")


def file_system(location: Location, **options: Any) -> tuple[Any, str]:
    """The fsspec file system for a location, and the path in it.

    Raises:
        MissingDependencyError: the protocol's library is not installed.
    """
    protocol = PROTOCOLS[location.protocol]
    if importlib.util.find_spec(protocol.module) is None:
        raise MissingDependencyError(
            f"{location.protocol}:// needs {protocol.module}, which is not installed",
            where=location.shown,
            fix=f"pip install 'evergraph[{protocol.extra}]'",
        )
    fsspec = load("fsspec", "all")
    system, path = fsspec.core.url_to_fs(f"{protocol.fsspec}://{location.host}{location.name}", **options)
    return system, path


def failed(location: Location, what: str, error: BaseException) -> EvergraphError:
    """The error of this family for whatever a library raised, without credentials."""
    if isinstance(error, EvergraphError):
        return error
    reason = printable(_URL.sub(lambda found: redact(found[0]), str(error)), 500)
    kind = type(error).__name__
    found = StoreError(what, where=location.shown, found=f"{kind}: {reason}" if reason else kind)
    found.errno = errno.ENOENT if isinstance(error, FileNotFoundError) else getattr(error, "errno", None)
    return found


def open_remote(location: Location, **options: Any) -> Source:
    """A source for a remote location.

    Args:
        location: where.
        options: for the protocol's fsspec file system; for HTTP also `timeout`, seconds without a byte.
    """
    if location.protocol not in ("http", "https"):
        return RemoteSource(location, **options)
    from evergraph.stores.http import HttpSource

    timeout = {k: options.pop(k) for k in ("timeout",) if k in options}
    system, _ = file_system(location, **options)
    return HttpSource(location, system, **timeout)


class RemoteSource(Source):
    """A remote file, read by ranges.

    Raises:
        StoreError: it cannot be reached.
    """

    def __init__(self, location: Location, **options: Any) -> None:
        self.location = location
        self._system, self._path = file_system(location, **options)
        try:
            self.size = int(self._system.info(self._path)["size"])
        except Exception as error:
            raise failed(location, "the file cannot be reached", error) from error
        self._block: tuple[int, memoryview] = (0, memoryview(b""))

    def _read(self, offset: int, length: int) -> memoryview:
        start, block = self._block
        if start <= offset and offset + length <= start + len(block):
            return block[offset - start : offset - start + length]
        want = max(length, min(BLOCK, self.size - offset))
        try:
            data = memoryview(self._system.cat_file(self._path, start=offset, end=offset + want))
        except Exception as error:
            raise failed(self.location, "the file cannot be read", error) from error
        if len(data) != want:
            raise StoreError(
                "the server sent another number of bytes than asked for",
                where=f"{self.name}, byte {offset}",
                expected=want,
                found=len(data),
            )
        advance("reading", want)
        if want <= BLOCK:
            self._block = (offset, data)
        return data[:length]


class _RemoteSink(Sink):
    """An upload that the store makes visible when it is complete."""

    def __init__(self, location: Location, total: int | None) -> None:
        super().__init__(location, total)
        self._system, self._path = file_system(location)
        self._file: Any = None
        try:
            self._file = self._system.open(self._path, "wb", autocommit=False)
        except Exception as error:
            raise failed(location, "the file cannot be created", error) from error

    def _write(self, pieces: Sequence[Any]) -> None:
        try:
            self._file.write(joined(pieces))
        except Exception as error:
            raise failed(self.location, "the file cannot be written", error) from error

    def settle(self) -> None:
        self.flush()
        try:
            self._file.close()
        except Exception as error:
            raise failed(self.location, "the upload cannot be finished", error) from error

    def publish(self) -> None:
        try:
            self._file.commit()
        except Exception as error:
            raise failed(self.location, "the file cannot be put in place", error) from error
        self._file = None

    def abandon(self) -> None:
        if self._file is not None:
            found, self._file = self._file, None
            # fsspec's files upload what they hold when they are collected, unless they count as closed
            unfinished, found.closed = not found.closed, True
            try:
                if unfinished or found.autocommit is False:
                    found.discard()
            except Exception as error:
                raise failed(self.location, "an unfinished upload could not be removed", error) from error


class _RenamedSink(Sink):
    """A file written beside its target and renamed, for stores whose files are seen while they grow.

    Where a rename does not replace (HDFS), the old file steps aside first, and comes back if the new one cannot take
    its place: at every moment one of the two is there and whole.
    """

    def __init__(self, location: Location, total: int | None) -> None:
        super().__init__(location, total)
        self._system, self._path = file_system(location)
        folder, _, base = self._path.rpartition("/")
        self._beside = f"{folder}/.{base}.{secrets.token_hex(4)}"
        self._temporary = self._beside + TEMPORARY
        self._file: Any = None
        try:
            self._file = self._system.open(self._temporary, "wb")
        except Exception as error:
            raise failed(location, "the file cannot be created", error) from error

    def _write(self, pieces: Sequence[Any]) -> None:
        try:
            self._file.write(joined(pieces))
        except Exception as error:
            raise failed(self.location, "the file cannot be written", error) from error

    def settle(self) -> None:
        self.flush()
        try:
            found, self._file = self._file, None
            found.close()
            size = self._system.info(self._temporary)["size"]
        except Exception as error:
            raise failed(self.location, "the upload cannot be finished", error) from error
        if size != self.position:
            what = "the store kept another number of bytes than were written"
            raise StoreError(what, where=self.location.shown, expected=self.position, found=size)

    def publish(self) -> None:
        old = None
        try:
            if self._system.exists(self._path):
                old = self._beside + ".old"
                self._system.mv(self._path, old)
            self._system.mv(self._temporary, self._path)
        except Exception as error:
            raise self._put_back(old, error) from error
        self._temporary = ""
        if old is not None:
            try:
                self._system.rm_file(old)
            except Exception as error:
                what = f"the new content is in place, but the old file could not be removed: {printable(old)}"
                raise failed(self.location, what, error) from error

    def _put_back(self, old: str | None, error: Exception) -> EvergraphError:
        what = "the file cannot be put in place"
        if old is not None and self._system.exists(old):
            try:
                self._system.mv(old, self._path)
            except Exception:  # noqa: BLE001 - the first error is told, with where the old file is now
                what += f", and the old one stands at {printable(old)}"
        return failed(self.location, what, error)

    def abandon(self) -> None:
        found, self._file = self._file, None
        temporary, self._temporary = self._temporary, ""
        try:
            if found is not None:
                found.close()
            if temporary and self._system.exists(temporary):
                self._system.rm_file(temporary)
        except Exception as error:
            raise failed(self.location, "an unfinished upload could not be removed", error) from error


def remote_sink(location: Location, total: int | None) -> Sink:
    """A sink for a remote location.

    Raises:
        StoreError: the protocol cannot be written to.
    """
    protocol = PROTOCOLS[location.protocol]
    if not protocol.writable:
        raise StoreError(
            f"{location.protocol}:// cannot be written to", where=location.shown, fix="write a file, and upload it"
        )
    return (_RenamedSink if protocol.renames else _RemoteSink)(location, total)


def remote_exists(location: Location) -> bool:
    """Whether there is a file at a remote location."""
    system, path = file_system(location)
    try:
        return bool(system.isfile(path))
    except Exception as error:
        raise failed(location, "the server cannot be asked", error) from error


def remote_list(location: Location) -> list[str]:
    """Names of the files in a remote folder, sorted."""
    system, path = file_system(location)
    try:
        rows = system.ls(path, detail=True)
    except Exception as error:
        raise failed(location, "the folder cannot be listed", error) from error
    return sorted(r["name"].rstrip("/").rsplit("/", 1)[-1] for r in rows if r.get("type") == "file")
