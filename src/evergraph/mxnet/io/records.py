"""Where the records of a file stand, divided into parts as MXNet divides them."""

import mmap
import os
import struct

import numpy as np

from evergraph.errors import DamagedError, StoreError, UsageError, printable

__all__ = ["listed_labels", "record_offsets"]

_MAGIC = 0xCED7230A


def _scanned(path: str) -> tuple[list[int], int]:
    """The offset of each record, and the file's size."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return [], 0
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _heads(data, size, path), size
    except OSError as error:
        raise StoreError("the record file cannot be read", where=printable(path), found=error.strerror) from error


def _heads(data: mmap.mmap, size: int, path: str) -> list[int]:
    offsets, at = [], 0
    while at < size:
        magic, word = struct.unpack_from("<II", data, at) if at + 8 <= size else (0, 0)
        code, padded = word >> 29, (word & 0x1FFFFFFF) + 3 & ~3
        if magic != _MAGIC or at + 8 + padded > size:
            raise DamagedError(
                "the record file is damaged",
                where=f"{printable(path)}, byte {at:,}",
                expected="the magic word 0xced7230a and a whole record",
                found="other bytes" if magic != _MAGIC else f"{size - at - 8:,} of {padded:,} bytes",
            )
        if code in (0, 1):
            offsets.append(at)
        at += 8 + padded
    return offsets


def record_offsets(path: str, index: str = "", num_parts: int = 1, part_index: int = 0) -> np.ndarray:
    """The offsets of one part's records.

    Args:
        path: of the records.
        index: path of the index; with it parts have equal numbers of records, without it equal numbers of bytes.
        num_parts: how many parts.
        part_index: which of them.

    Raises:
        UsageError: no such part, or it is empty.
        DamagedError: the file or its index.
    """
    if not 0 <= part_index < num_parts:
        raise UsageError("no such part", expected=f"part_index below num_parts={num_parts}", found=part_index)
    if index:
        offsets = _indexed(index)
        step = -(-len(offsets) // num_parts)
        chosen = offsets[step * part_index : step * (part_index + 1)]
    else:
        offsets, size = _scanned(path)
        step = -(-size // num_parts) + 3 & ~3
        chosen = [o for o in offsets if step * part_index <= o < step * (part_index + 1)]
    if not chosen:
        raise UsageError(
            "this part of the record file is empty",
            where=printable(path),
            found=f"{len(offsets)} records in {num_parts} parts",
        )
    return np.array(chosen, np.int64)


def _indexed(path: str) -> list[int]:
    try:
        with open(path) as file:
            return sorted(int(line.split("\t")[1]) for line in file if line.strip())
    except OSError as error:
        raise StoreError("the index cannot be read", where=printable(path), found=error.strerror) from error
    except (ValueError, IndexError) as error:
        raise DamagedError("a line of the index is no key and offset", where=printable(path)) from error


def listed_labels(path: str) -> dict[int, np.ndarray]:
    """The labels of a list's images, by their keys.

    Raises:
        DamagedError: lines that are no key, labels and path, all at once.
    """
    labels, wrong = {}, []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                fields = line.rstrip("\n").split("\t")
                try:
                    labels[int(fields[0])] = np.array([float(f) for f in fields[1:-1]], np.float32)
                except ValueError:
                    wrong.append(f"line {number}: {printable(line, 60)}")
    except OSError as error:
        raise StoreError("the image list cannot be read", where=printable(path), found=error.strerror) from error
    if wrong:
        raise DamagedError(
            "the image list is damaged", where=printable(path), expected="key, labels, path", details=wrong[:20]
        )
    return labels
