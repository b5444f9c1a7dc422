"""CRC-32C (Castagnoli's polynomial), as LevelDB and TensorFlow use it; the standard library has only CRC-32.

One byte after the other takes Python 100 ns each. Here the bytes are cut into lanes of equal length that advance side
by side in NumPy, four bytes at a step, and the lanes' sums are joined by the linear map that so many bytes of zeros
make of a sum.
"""

import functools
from typing import Any

__all__ = ["crc32c", "masked"]

_POLYNOMIAL = 0x82F63B78
_ALONE = 1 << 14
"""Bytes below which lanes do not pay."""
_LANES = 1 << 14
_PIECE = 1 << 24
"""Bytes that are turned into lanes at once, which copies them."""


def crc32c(data: Any, value: int = 0) -> int:
    """The checksum of bytes, going on from that of those before them.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    import numpy as np

    view = np.frombuffer(data, np.uint8)
    register = value ^ 0xFFFFFFFF
    for start in range(0, len(view), _PIECE):
        piece = view[start : start + _PIECE]
        lanes = min(_LANES, 1 << max(len(piece).bit_length() - 7, 0))
        length = len(piece) // lanes & ~3
        if len(piece) >= _ALONE:
            rows = piece[: lanes * length].reshape(lanes, length)
            register = _shift(register, lanes * length) ^ _joined(_lanes(rows), length)
            piece = piece[lanes * length :]
        table = _table()[1]
        for byte in piece.tobytes():
            register = table[(register ^ byte) & 255] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def masked(value: int) -> int:
    """A checksum as LevelDB stores it beside the bytes that it was made from.

    >>> hex(masked(0xe3069283))
    '0xc78ab0e5'
    """
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _table() -> tuple[Any, list[int]]:
    import numpy as np

    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return np.array(found, np.uint32), found


@functools.cache
def _wide_tables() -> tuple[Any, Any]:
    """What four bytes make of the register's low half, and two of what was its high half."""
    import numpy as np

    table = _table()[0].astype(np.int64)

    def two(value: Any) -> Any:
        for _ in range(2):
            value = table[value & 255] ^ (value >> 8)
        return value

    high = two(np.arange(1 << 16))
    return two(high), high


def _lanes(rows: Any) -> Any:
    """The register of each lane after all of its bytes, begun with zero."""
    import numpy as np

    low_table, high_table = _wide_tables()
    register, low, high, one, two = (np.zeros(len(rows), np.int64) for _ in range(5))
    for words in np.ascontiguousarray(rows.view("<u4").T):
        np.bitwise_xor(register, words, out=register)
        np.bitwise_and(register, 0xFFFF, out=low)
        np.right_shift(register, 16, out=high)
        # without "clip" take checks and copies
        np.take(low_table, low, out=one, mode="clip")
        np.take(high_table, high, out=two, mode="clip")
        np.bitwise_xor(one, two, out=register)
    return register.astype(np.uint32)


def _joined(lanes: Any, length: int) -> int:
    """The register after all lanes in order: pairs are joined until one is left."""
    import numpy as np

    while len(lanes) > 1:
        first, second = lanes[::2], lanes[1::2]
        tables = _byte_tables(length)
        moved = np.zeros(len(first), np.uint32)
        for part in range(4):
            moved ^= tables[part][(first >> (8 * part)) & 255]
        lanes = moved ^ second
        length *= 2
    return int(lanes[0])


def _shift(register: int, count: int) -> int:
    """A register after so many bytes of zeros."""
    tables = _byte_tables(count)
    return int(
        tables[0][register & 255]
        ^ tables[1][register >> 8 & 255]
        ^ tables[2][register >> 16 & 255]
        ^ tables[3][register >> 24]
    )


@functools.lru_cache(64)
def _byte_tables(count: int) -> Any:
    """What `count` bytes of zeros make of a register, for each value of each of its four bytes."""
    import numpy as np

    columns = _zeros(count)
    found = np.zeros((4, 256), np.uint32)
    for part in range(4):
        for bit in range(8):
            has = (np.arange(256) >> bit & 1).astype(bool)
            found[part][has] ^= np.uint32(columns[8 * part + bit])
    return found


def _zeros(count: int) -> list[int]:
    """The images of the 32 unit registers under `count` bytes of zeros, by repeated squaring."""
    table = _table()[1]
    power = [table[(1 << bit) & 255] ^ ((1 << bit) >> 8) for bit in range(32)]
    result = [1 << bit for bit in range(32)]
    while count:
        if count & 1:
            result = [_apply(power, v) for v in result]
        power = [_apply(power, v) for v in power]
        count >>= 1
    return result


def _apply(columns: list[int], value: int) -> int:
    found, bit = 0, 0
    while value:
        if value & 1:
            found ^= columns[bit]
        value >>= 1
        bit += 1
    return found
