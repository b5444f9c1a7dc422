"""Snappy's raw blocks, as LevelDB's tables compress with them: a length, then literals and copies of earlier bytes."""

from evergraph.errors import DamagedError

__all__ = ["decompress"]

LARGEST = 1 << 26
"""Bytes that a block may unpack to; tables are written in blocks of a few kilobytes."""


def decompress(data: bytes, where: str) -> bytes:
    r"""The bytes that a raw block stands for.

    Args:
        data: the block.
        where: its place, for messages.

    Raises:
        DamagedError: the block is none, or unpacks to another length than it says.

    >>> decompress(b"\x0a\x04ab\x11\x02", "x")
    b'ababababab'
    """
    expected, at = _length(data, where)
    # a copy of three bytes makes at most 64: more than that is a lie, told before memory is taken
    if expected > min(LARGEST, 64 * len(data)):
        raise _damaged(where, f"at most {min(LARGEST, 64 * len(data))} bytes", f"{expected} announced")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size, at = _literal(data, at, tag >> 2, where)
            out += data[at : at + size]
            at += size
        else:
            size, offset, at = _copy(data, at, tag, where)
            if not 0 < offset <= len(out):
                raise _damaged(where, f"a copy from at most {len(out)} bytes before", f"{offset}")
            start = len(out) - offset
            out += (out[start:] * (size // offset + 1))[:size] if offset < size else out[start : start + size]
        if len(out) > expected:
            break
    if len(out) != expected:
        raise _damaged(where, f"{expected} bytes", f"{len(out)} or more" if len(out) > expected else str(len(out)))
    return bytes(out)


def _length(data: bytes, where: str) -> tuple[int, int]:
    value = 0
    for at, byte in enumerate(data[:5]):
        value |= (byte & 127) << (7 * at)
        if byte < 128:
            return value, at + 1
    raise _damaged(where, "a length of up to five bytes", data[:5].hex(" "))


def _literal(data: bytes, at: int, code: int, where: str) -> tuple[int, int]:
    """Length of a literal, and where it begins."""
    extra = max(code - 59, 0)
    size = (int.from_bytes(data[at : at + extra], "little") if extra else code) + 1
    at += extra
    if at + size > len(data):
        raise _damaged(where, f"a literal of {size} bytes", f"{max(len(data) - at, 0)}")
    return size, at


def _copy(data: bytes, at: int, tag: int, where: str) -> tuple[int, int, int]:
    """Length of a copy, how far back it begins, and where the next tag is."""
    width = {1: 1, 2: 2, 3: 4}[tag & 3]
    if at + width > len(data):
        raise _damaged(where, f"an offset of {width} bytes", f"{len(data) - at}")
    offset = int.from_bytes(data[at : at + width], "little")
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, (tag >> 5) << 8 | offset, at + 1
    return (tag >> 2) + 1, offset, at + width


def _damaged(where: str, expected: str, found: str) -> DamagedError:
    fix = "fetch or copy the file again"
    return DamagedError("a compressed block is damaged", where=where, expected=expected, found=found, fix=fix)
