"""The one place that replaces files: whatever fails, the old content or the new one is there, whole."""

import contextlib
import errno
import os
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from evergraph.errors import StoreError, printable
from evergraph.stores.progress import advance
from evergraph.stores.source import LocalSource, Source, human
from evergraph.stores.uri import Location, locate
from evergraph.stores.writeback import Writeback, free_behind, hold, wait_until_freed

__all__ = ["Sink", "Transaction", "commit", "joined"]

GATHER = 1 << 20
"""Small pieces are gathered up to this size before they are written."""

MOST = 1000
"""So many pieces at most are written by one call: systems take 1,024."""

LARGEST = 1 << 26
"""No single write is larger: progress stays visible, and some file systems refuse more."""

TEMPORARY = ".evg-tmp"


class Sink(ABC):
    """Takes the bytes of one file in order. `position` counts them."""

    position: int = 0
    check: Callable[[Source], object] | None = None

    def __init__(self, location: Location, total: int | None = None) -> None:
        self.location, self.total, self.position = location, total, 0
        self._waiting: list[Any] = []
        self._gathered = 0

    def write(self, data: Any) -> None:
        """Append bytes, which must not change before they are written; small pieces are gathered, not copied."""
        if not isinstance(data, bytes):
            data = memoryview(data)
            if data.ndim != 1 or data.format != "B":
                data = data.cast("B")
        size = len(data)
        self.position += size
        if size > LARGEST - GATHER:
            self.flush()
            view = memoryview(data)
            for start in range(0, size, LARGEST):
                self._put([view[start : start + LARGEST]], min(LARGEST, size - start))
        elif size:
            self._waiting.append(data)
            self._gathered += size
            if self._gathered >= GATHER or len(self._waiting) == MOST:
                self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._waiting:
            waiting, size, self._waiting, self._gathered = self._waiting, self._gathered, [], 0
            self._put(waiting, size)

    def _put(self, pieces: Sequence[Any], size: int) -> None:
        self._write(pieces)
        advance("writing", size, self.total)

    @abstractmethod
    def _write(self, pieces: Sequence[Any]) -> None: ...

    @abstractmethod
    def settle(self) -> None:
        """Make the bytes durable, not yet visible: the first step of a commit."""

    def source(self) -> Source | None:
        """The bytes as they stand, for a last check before they are made visible; None where that is impossible."""
        return None

    def keep_old(self) -> None:  # noqa: B027 - a stream and an object store have nothing to put back
        """Be ready for `put_back`: several files are made visible one after the other."""

    def publish(self) -> None:  # noqa: B027 - a stream has nothing to publish
        """Make the bytes visible under their name, at one instant."""

    def put_back(self) -> bool:
        """Make the old content visible again, after `publish`; whether that was possible."""
        return False

    def confirm(self) -> None:  # noqa: B027 - only local folders are synced apart
        """Make the name durable."""

    def abandon(self) -> None:  # noqa: B027 - what went down a stream is gone
        """Take the bytes away; the old content stays."""


_REMEDIES = {
    errno.ENOENT: "create the folder {folder} first; nothing was changed",
    errno.ENOTDIR: "name a folder: {folder} is none; nothing was changed",
    errno.ENAMETOOLONG: "choose a shorter name; nothing was changed",
    errno.EFBIG: "choose a place that takes files of this size; nothing was changed",
} | {
    code: text
    for codes, text in (
        ((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder that you may write to; nothing was changed"),
        ((errno.ENOSPC, errno.EDQUOT), "free some space or save elsewhere; nothing was changed"),
    )
    for code in codes
}


class _LocalSink(Sink):
    """A unique temporary file in the target's own folder, renamed over the target."""

    def __init__(self, location: Location, total: int | None, mode: int | None) -> None:
        super().__init__(location, total)
        # through links: what they point to is replaced, the link stays
        self._path = os.path.realpath(location.name)
        self._folder, base = os.path.split(self._path)
        if os.path.isdir(self._path):
            raise StoreError("the target is a folder", where=location.shown, fix="give the name of a file in it")
        _remove_orphans(self._folder, base)
        self._replaced, self._old = -1, None
        self._temporary = os.path.join(self._folder, f".{base[:180]}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        with self._explained("the file cannot be created"):
            self._descriptor = os.open(self._temporary, flags, 0o666)
        try:
            with self._explained("the file's permissions cannot be kept"):
                if mode is None and os.path.exists(self._path):
                    mode = os.stat(self._path).st_mode & 0o7777
                if mode is not None:
                    os.fchmod(self._descriptor, mode)
            self._require_room(total)
            self._writeback, self._written = Writeback(self._descriptor, total), 0
        except BaseException:
            self.abandon()
            raise

    def _require_room(self, total: int | None) -> None:
        if total is None or not hasattr(os, "statvfs"):
            return
        try:
            free = self._room()
            if total > free:
                wait_until_freed()  # what an earlier save gives back counts
                free = self._room()
        except OSError:
            return  # an early word only: a full disk is told by the write itself
        if total > free:
            raise StoreError(
                "the disk has no room for this file",
                where=self.location.shown,
                expected=human(total),
                found=f"{human(free)} free",
                fix="free some space or save elsewhere; nothing was changed",
            )

    def _room(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            remedy = _REMEDIES.get(error.errno or 0, "nothing was changed")
            found = StoreError(
                what,
                where=self.location.shown,
                found=error.strerror or error,
                fix=remedy.format(folder=printable(self._folder)),
            )
            found.errno = error.errno
            raise found from error

    def _write(self, pieces: Sequence[Any]) -> None:
        with self._explained("the file cannot be written"):
            while pieces:
                done = os.writev(self._descriptor, pieces)
                self._written += done
                pieces = _behind(pieces, done)
            self._writeback.reached(self._written)

    def settle(self) -> None:
        self.flush()
        with self._explained("the file cannot be made durable"):
            # a failed fsync may have dropped the pages: the bytes are abandoned, never synced a second time
            os.fsync(self._descriptor)
            size = os.fstat(self._descriptor).st_size
        if size != self.position:
            raise StoreError(
                "the file system kept another number of bytes than were written",
                where=self.location.shown,
                expected=self.position,
                found=size,
                fix="the old content is untouched",
            )
        with self._explained("the file cannot be closed"):
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def source(self) -> Source:
        return LocalSource(locate(self._temporary))

    def keep_old(self) -> None:
        self._old = f"{self._temporary.removesuffix(TEMPORARY)}.old{TEMPORARY}"
        try:
            os.link(self._path, self._old)
        except FileNotFoundError:
            self._old = ""
        except OSError:
            self._old = None  # not every file system has links

    def publish(self) -> None:
        self._replaced = hold(self._path)
        with self._explained("the file cannot be put in place"):
            os.replace(self._temporary, self._path)  # noqa: TID251 - this is the one place
        self._temporary = ""

    def put_back(self) -> bool:
        if self._temporary and os.path.exists(self._temporary):
            return True  # it was not replaced
        try:
            if self._old:
                os.replace(self._old, self._path)  # noqa: TID251 - this is the one place
            elif self._old is not None:
                os.unlink(self._path)
        except OSError:
            return False
        return self._old is not None

    def confirm(self) -> None:
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(
                "the new content is in place, but its name may not survive a power failure",
                where=self.location.shown,
                found=error.strerror or error,
                fix="save again when the disk is well",
            ) from error

    def abandon(self) -> None:
        if self._old:
            with contextlib.suppress(OSError):  # put back, or removed by the next commit to this name
                os.unlink(self._old)
            self._old = None
        if self._replaced >= 0:
            replaced, self._replaced = self._replaced, -1
            free_behind(replaced)
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):  # the error that led here is the one to tell
                os.close(descriptor)
        if self._temporary:
            with contextlib.suppress(OSError):  # a leftover is removed by the next commit to this name
                os.unlink(self._temporary)
            self._temporary = ""


class _StreamSink(Sink):
    """Standard output: what is written is gone, so there is nothing to commit."""

    def _write(self, pieces: Sequence[Any]) -> None:
        with self._explained() as stream:
            stream.write(joined(pieces))

    def settle(self) -> None:
        self.flush()
        with self._explained() as stream:
            stream.flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[Any]:
        place = "standard output"
        try:
            # a command that was started without one says nothing, into os.devnull by its name
            if sys.stdout is None or sys.stdout.closed or getattr(sys.stdout, "name", "") == os.devnull:
                raise StoreError(f"{place} is closed", fix="give the name of a file, or open it")
            yield sys.stdout.buffer
        except BrokenPipeError as error:
            fix = "let it read to the end, or write a file"
            raise StoreError("the reader of the output has gone away", where=place, fix=fix) from error
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            fix = _REMEDIES.get(error.errno or 0, "write a file").partition(";")[0]
            found = error.strerror or error
            raise StoreError("the output cannot be written", where=place, found=found, fix=fix) from error


def joined(pieces: Sequence[Any]) -> Any:
    """Pieces as one, for what takes one block at a time."""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _behind(pieces: Sequence[Any], done: int) -> list[Any]:
    """What is left of pieces when so many bytes of them are written."""
    for index, piece in enumerate(pieces):
        if done < len(piece):
            return [memoryview(piece)[done:], *pieces[index + 1 :]]
        done -= len(piece)
    return []


def _remove_orphans(folder: str, base: str) -> None:
    """Remove temporary files for this name whose process on this machine has died."""
    prefix = f".{base[:180]}."
    try:
        names = [n for n in os.listdir(folder) if n.startswith(prefix) and n.endswith(TEMPORARY)]
    except OSError:
        return  # creating the file will say what is wrong with the folder
    for name in names:
        owner = name[len(prefix) :].split(".", 1)[0]
        if owner.isdigit() and not _alive(int(owner)):
            with contextlib.suppress(OSError):  # another process may be removing it too
                os.unlink(os.path.join(folder, name))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Transaction:
    """One or more files that become visible together, the last one last.

    Every file is written and durable before the first is made visible; they are made visible in the order in which
    they were added, so that a manifest added last exists only beside what it describes. Where one cannot be put in
    place, local files that were before it get their old content back.

    >>> import tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> with Transaction() as work:
    ...     work.add(os.path.join(folder, "a")).write(b"data")
    >>> os.listdir(folder)
    ['a']
    """

    def __init__(self) -> None:
        self._sinks: list[Sink] = []

    def add(
        self,
        uri: object,
        *,
        total: int | None = None,
        mode: int | None = None,
        check: Callable[[Source], object] | None = None,
    ) -> Sink:
        """A sink for the new content of `uri`.

        Args:
            uri: where the content goes.
            total: its size, where it is known: checked against the free space, and shown as progress.
            mode: permissions of the file; those of the file it replaces, or the process's default, where not given.
            check: called with the durable bytes before anything is made visible; an exception keeps the old content.
        """
        sink = _sink(uri if isinstance(uri, Location) else locate(uri), total, mode)
        sink.check = check
        self._sinks.append(sink)
        return sink

    def finish(self) -> None:
        """Make everything durable, check it, make it visible."""
        for sink in self._sinks:
            sink.settle()
        for sink in self._sinks:
            source = sink.source() if sink.check is not None else None
            if sink.check is not None and source is not None:
                with source:
                    sink.check(source)
        if len(self._sinks) > 1:
            for sink in self._sinks:
                sink.keep_old()
        self._publish()
        for sink in self._sinks:
            sink.confirm()

    def _publish(self) -> None:
        begun: list[Sink] = []
        try:
            for sink in self._sinks:
                begun.append(sink)
                sink.publish()
        except BaseException as error:  # an interrupt may come between two files too
            back = [(sink, sink.put_back()) for sink in reversed(begun)]
            stay = [sink.location.shown for sink, done in reversed(back[1:]) if not done]
            if stay and isinstance(error, StoreError):
                error.details = (*error.details, *(f"{name} holds its new content already" for name in stay))
                error.fix = "save again elsewhere: the files here are of two saves"
            raise

    def abandon(self) -> None:
        """Take every unpublished file away."""
        for sink in self._sinks:
            sink.abandon()

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.abandon()


@contextlib.contextmanager
def commit(
    uri: object,
    *,
    total: int | None = None,
    mode: int | None = None,
    check: Callable[[Source], object] | None = None,
) -> Iterator[Sink]:
    """Replace the content of `uri` atomically and durably by what is written inside.

    Local files: a unique temporary file in the same folder, streamed, fsynced, checked, renamed over the target, the
    folder fsynced. If anything fails, the old content stays and the temporary file goes.

    Args:
        uri: where the content goes.
        total: its size, where it is known.
        mode: permissions of the new file.
        check: called with the written bytes before they are made visible; an exception keeps the old content.

    Raises:
        StoreError: naming the step that failed, and what is on disk now.
    """
    with Transaction() as work:
        yield work.add(uri, total=total, mode=mode, check=check)


def _sink(location: Location, total: int | None, mode: int | None) -> Sink:
    if location.is_stream:
        return _StreamSink(location, total)
    if location.is_local:
        return _LocalSink(location, total, mode)
    from evergraph.stores.remote import remote_sink

    return remote_sink(location, total)
