"""Ranged reads over HTTP that believe nothing: status, range, length and identity of every answer are checked.

The client of fsspec (aiohttp) carries the requests; a server without ranges is read once, to its end.
"""

import errno
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from evergraph.errors import StoreError
from evergraph.stores.progress import advance
from evergraph.stores.remote import failed
from evergraph.stores.source import BLOCK, Source, human
from evergraph.stores.uri import Location

__all__ = ["HttpSource"]

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_REDIRECTS = 5
_QUIET = 30.0
"""Seconds without a byte after which a server counts as stalled; the option `timeout` sets another number."""


class HttpSource(Source):
    """A file behind HTTP.

    Raises:
        StoreError: refused, stalled, cut short, changed, or answered with another range than asked for.
    """

    def __init__(self, location: Location, system: Any, timeout: float = _QUIET) -> None:
        self.location = location
        self._system, self._quiet = system, timeout
        self._whole: memoryview | None = None
        self._identity: str | None = None
        status, headers, body = self._request(0, BLOCK)
        if status == 206:
            found = self._range(headers)
            self.size = self._require_total(found)
            self._identity = headers.get("ETag") or headers.get("Last-Modified")
            self._check_length(body, 0, min(BLOCK, self.size))
        elif status == 416:
            self.size, body = 0, b""  # an empty file has no first byte to ask for
        else:
            self._whole = memoryview(body)
            self.size = len(body)
        self._block: tuple[int, memoryview] = (0, memoryview(body))

    def _read(self, offset: int, length: int) -> memoryview:
        if self._whole is not None:
            return self._whole[offset : offset + length]
        start, block = self._block
        if start <= offset and offset + length <= start + len(block):
            return block[offset - start : offset - start + length]
        want = max(length, min(BLOCK, self.size - offset))
        status, headers, body = self._request(offset, want)
        if status != 206:
            raise StoreError("the server stopped answering with ranges", where=self.name, found=f"status {status}")
        first, last, total = self._range(headers)
        if (first, last) != (offset, offset + want - 1) or total not in (None, self.size):
            raise StoreError(
                "the server sent another range than asked for",
                where=self.name,
                expected=f"bytes {offset} to {offset + want - 1} of {self.size}",
                found=f"bytes {first} to {last} of {total}",
            )
        if (headers.get("ETag") or headers.get("Last-Modified")) != self._identity:
            raise StoreError("the file was changed while it was being read", where=self.name, fix="open it again")
        self._check_length(body, offset, want)
        advance("reading", want)
        view = memoryview(body)
        if want <= BLOCK:
            self._block = (offset, view)
        return view[:length]

    def _range(self, headers: Mapping[str, str]) -> tuple[int, int, int | None]:
        found = _RANGE.match(headers.get("Content-Range", ""))
        if found is None:
            raise StoreError("the server answered with a part of the file and did not say which", where=self.name)
        return int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])

    def _require_total(self, found: tuple[int, int, int | None]) -> int:
        if found[0] != 0 or found[2] is None:
            raise StoreError(
                "the server does not tell the file's size", where=self.name, found=f"bytes {found[0]} of {found[2]}"
            )
        return found[2]

    def _check_length(self, body: bytes, offset: int, want: int) -> None:
        if len(body) != want:
            raise StoreError(
                "the server sent another number of bytes than asked for",
                where=f"{self.name}, byte {offset}",
                expected=want,
                found=len(body),
            )

    def _request(self, offset: int, length: int) -> tuple[int, Mapping[str, str], Any]:
        from fsspec.asyn import sync

        try:
            found: Any = sync(self._system.loop, self._fetch, offset, length)
        except Exception as error:
            raise failed(self.location, "the server cannot be read from", error) from error
        return found

    async def _fetch(self, offset: int, length: int) -> tuple[int, Mapping[str, str], Any]:
        import aiohttp

        session = await self._system.set_session()
        request = session.get(
            self.location.uri,
            # compressed transfers have other offsets than the file
            headers={"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._quiet, sock_read=self._quiet),
            max_redirects=_REDIRECTS,
        )
        async with request as answer:
            if answer.status not in (200, 206, 416):
                words = f"status {answer.status} {answer.reason or ''}".strip()
                refused = StoreError("the server refused", where=self.name, found=words)
                refused.errno = errno.ENOENT if answer.status in (404, 410) else None
                raise refused
            if answer.status == 206:
                return answer.status, answer.headers, await _bounded(answer.content, length)
            if answer.status == 416:
                return answer.status, answer.headers, b""
            return answer.status, answer.headers, await self._everything(answer)

    async def _everything(self, answer: Any) -> memoryview:
        """The whole body, in an unnamed temporary file that is mapped."""
        import mmap

        declared = answer.content_length
        with tempfile.TemporaryFile() as spool:
            async for chunk in answer.content.iter_chunked(1 << 20):
                spool.write(chunk)
                advance("reading", len(chunk), declared)
            spool.flush()
            size = spool.tell()
            if declared is not None and size != declared:
                raise StoreError(
                    "the download was cut short", where=self.name, expected=human(declared), found=human(size)
                )
            return memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")


async def _bounded(stream: Any, length: int) -> bytes:
    """At most one byte more than `length`: a server that sends on is noticed, not followed."""
    parts, total = [], 0
    while total <= length:
        chunk = await stream.read(length + 1 - total)
        if not chunk:
            break
        parts.append(chunk)
        total += len(chunk)
    return b"".join(parts)
