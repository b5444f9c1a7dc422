"""LevelDB's tables: sorted keys and values in checksummed blocks, as TensorFlow's indexes are written.

Layout: docs/formats/tensorflow-bundle.md.
"""

from collections.abc import Iterator

from evergraph.errors import DamagedError, IntegrityError, UnsafeError, printable
from evergraph.formats.crc32c import crc32c, masked
from evergraph.formats.snappy import decompress
from evergraph.stores import Source

__all__ = ["FOOTER", "MAGIC", "ends_as_table", "read_table"]

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48
TRAILER = 5
"""Bytes behind each block: how it is compressed, and its checksum."""
STORED, SNAPPY = 0, 1
KEYS = 100
"""How many times as long as the file all keys together may be: shared beginnings are stored once."""


def ends_as_table(source: Source) -> bool:
    """Whether content ends with the mark of a table."""
    return source.size >= FOOTER and source.peek(source.size - 8, 8) == MAGIC


def read_table(source: Source) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table in order, each block checked before it is believed.

    Raises:
        DamagedError: naming the byte at which the content is no table.
        IntegrityError: a block's checksum disagrees.
        UnsafeError: the keys are far larger than the file.
    """
    if not ends_as_table(source):
        raise _damaged(source, source.size, "the mark of a table at the end", "another end")
    start = source.size - FOOTER
    footer = source.peek(start, FOOTER)
    at = 0
    handles = []
    for _ in range(4):
        value, at = _varint(source, footer, at, start)
        handles.append(value)
    if footer[at:40].strip(b"\0"):
        raise _damaged(source, start + at, "zeros up to the mark", footer[at:40].hex(" "))
    meta = _block(source, handles[0], handles[1], start)
    index = _block(source, handles[2], handles[3], start)
    end = 0
    budget = (1 << 20) + KEYS * source.size
    before = None
    for _, handle in _entries(source, index, handles[2], [budget]):
        offset, at = _varint(source, handle, 0, handles[2])
        size, at = _varint(source, handle, at, handles[2])
        if at != len(handle) or offset != end:
            raise _damaged(source, handles[2], f"a block that begins at byte {end}", f"one at {offset}")
        end = offset + size + TRAILER
        block = _block(source, offset, size, start)
        for key, value in _entries(source, block, offset, budgets := [budget]):
            if before is not None and key <= before:
                raise _damaged(source, offset, "keys in ascending order", printable(key, 60))
            before = key
            yield key, value
        budget = budgets[0]
    _require_whole(source, handles, end, start, meta)


def _require_whole(source: Source, handles: list[int], end: int, start: int, meta: bytes) -> None:
    """Hold that blocks stand side by side and end with the footer: nothing hides between them."""
    list(_entries(source, meta, handles[0], [1 << 20]))
    ends = (handles[0] + handles[1] + TRAILER, handles[2] + handles[3] + TRAILER)
    if handles[0] != end or handles[2] != ends[0] or ends[1] != start:
        raise _damaged(source, end, "blocks without holes up to the footer", f"blocks that end at {ends}")


def _block(source: Source, offset: int, size: int, limit: int) -> bytes:
    if offset + size + TRAILER > limit:
        raise _damaged(source, offset, f"a block that ends before byte {limit}", f"{size} bytes")
    data = source.peek(offset, size + TRAILER)
    body, kind, stored = data[:size], data[size], int.from_bytes(data[size + 1 :], "little")
    found = masked(crc32c(data[: size + 1]))
    if found != stored:
        raise IntegrityError(
            "a block of the table is not what was written",
            where=f"{source.name}, byte {offset}",
            expected=f"CRC-32C {stored:08x}",
            found=f"{found:08x}",
            fix=_FIX,
        )
    if kind == SNAPPY:
        return decompress(body, f"{source.name}, byte {offset}")
    if kind != STORED:
        raise _damaged(source, offset + size, "a block that is stored or compressed with Snappy", f"kind {kind}")
    return body


def _entries(source: Source, block: bytes, offset: int, budget: list[int]) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block; keys are stored without what they share with the one before."""
    count = int.from_bytes(block[-4:], "little") if len(block) >= 4 else 0
    end = len(block) - 4 * (count + 1)
    if not count or end < 0:
        raise _damaged(source, offset, "a block with its restarts", f"{len(block)} bytes, {count} restarts")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(source, block, at, offset)
        own, at = _varint(source, block, at, offset)
        size, at = _varint(source, block, at, offset)
        if shared > len(key) or at + own + size > end:
            raise _damaged(source, offset, "an entry within its block", f"{shared} shared, {own} and {size} bytes")
        key = key[:shared] + block[at : at + own]
        budget[0] -= len(key)
        if budget[0] < 0:
            raise UnsafeError("the keys of the table are far larger than the file", where=source.name)
        yield key, block[at + own : at + own + size]
        at += own + size


def _varint(source: Source, data: bytes, at: int, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        # a last byte of zero is one that no writer needs: a flipped bit of the byte before
        if not byte and shift:
            break
        if byte < 128:
            return value, at
    raise _damaged(source, offset + at, "a varint", data[max(at - 10, 0) : at].hex(" "))


_FIX = "fetch or copy the file again; it is cut short or damaged"


def _damaged(source: Source, at: int, expected: str, found: str) -> DamagedError:
    what, where = "the table is damaged", f"{source.name}, byte {at}"
    return DamagedError(what, where=where, expected=expected, found=found, fix=_FIX)
