"""The header of a safetensors file: one JSON object that must describe every byte behind it exactly once."""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evergraph.errors import DamagedError, collect, printable
from evergraph.graph.strict_json import load_json
from evergraph.stores import Source, human
from evergraph.tensors import DTYPES
from evergraph.tensors.shapes import impossible

__all__ = ["DTYPE_NAMES", "LONGEST_HEADER", "METADATA", "Entry", "Header", "header_bytes", "parse_header", "parse_text"]

METADATA = "__metadata__"

LONGEST_HEADER = 100_000_000
"""The format's own limit."""

_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
_SIZES = {theirs: DTYPES[ours].itemsize for theirs, ours in _TYPES.items()}
DTYPE_NAMES: Mapping[str, str] = {ours: theirs for theirs, ours in _TYPES.items()}
"""Our names of element types -> the format's."""

_KEYS = ["dtype", "shape", "data_offsets"]
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LARGEST = 1 << 63
_PADDING = 8


class Entry(NamedTuple):
    """One tensor: our name of its type, its sizes, and its bytes behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What a header says.

    Attributes:
        text: its bytes.
        entries: tensors in the header's order.
        metadata: texts by name.
        canonical: whether it is spelled as `header_bytes` spells it, with the data of the widest elements first.
    """

    text: bytes
    entries: dict[str, Entry]
    metadata: dict[str, str]
    canonical: bool

    @property
    def start(self) -> int:
        """Where the data begins."""
        return 8 + len(self.text)


def header_bytes(rows: Mapping[str, Mapping[str, Any]], metadata: Mapping[str, str]) -> bytes:
    r"""A header with its length before it, padded so that the data begins at a multiple of eight bytes.

    >>> header_bytes({}, {})
    b'\x08\x00\x00\x00\x00\x00\x00\x00{}      '
    """
    text = _text(({METADATA: dict(metadata)} if metadata else {}) | dict(rows))
    return struct.pack("<Q", len(text)) + text


def _text(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return text + b" " * (-len(text) % _PADDING)


def parse_header(source: Source) -> Header:
    """The header of a file, checked against the file's size.

    Raises:
        DamagedError: listing what breaks the format's rules.
    """
    length = _length(source)
    header = parse_text(source.peek(8, length), source.name)
    collect(
        DamagedError,
        "the header does not describe the file",
        _coverage(header, source.size - header.start),
        where=f"{source.name}, data from byte {header.start}",
        expected="tensors side by side, from the header's end to the end of the file",
        fix="the file is cut short or damaged: fetch it again",
    )
    return header


def _length(source: Source) -> int:
    if source.size < 8:
        raise _cut(source, "8 bytes with the header's length")
    (length,) = struct.unpack("<Q", source.peek(0, 8))
    if length > LONGEST_HEADER:
        raise DamagedError(
            "the header is longer than the format allows",
            where=f"{source.name}, byte 0",
            expected=f"at most {LONGEST_HEADER} bytes",
            found=length,
        )
    if 8 + length > source.size:
        raise _cut(source, f"a header of {length} bytes")
    return length


def _cut(source: Source, expected: str) -> DamagedError:
    return DamagedError(
        "the file is cut short in its header",
        where=f"{source.name}, byte {min(8, source.size)}",
        expected=expected,
        found=f"the end at byte {source.size}",
        fix="fetch or copy the file again; its end is missing",
    )


def parse_text(text: bytes, name: str) -> Header:
    """A header's text, checked by itself.

    Args:
        text: the bytes behind the length.
        name: the file, for messages.

    Raises:
        DamagedError: listing every entry that is not what it must be.
    """
    value = _object(text, f"{name}, header from byte 8")
    metadata = value.pop(METADATA, None)
    findings: list[str] = []
    entries = {}
    for key, row in value.items():
        entry = _entry(row)
        if isinstance(entry, Entry):
            entries[key] = entry
        else:
            findings.append(f"{printable(key)!r}: {entry}")
    if metadata is not None and not _are_texts(metadata):
        findings.append(f"{METADATA}: {printable(metadata, 60)}, and texts by name are expected")
    if b"\\u" in text:
        findings += [f"{printable(k)!r}: a name that is no valid text" for k in value if not _is_text(k)]
    collect(
        DamagedError, "the header's entries are not what they must be", findings, where=f"{name}, header from byte 8"
    )
    found = Header(text, entries, metadata or {}, False)
    rows = value if metadata is None else {METADATA: metadata} | value
    spelled = _text(rows) == text and metadata != {} and all(list(r) == _KEYS for r in value.values())
    return found._replace(canonical=spelled and _widest_first(entries))


def _object(text: bytes, where: str) -> dict[str, Any]:
    if text[:1] != b"{":
        raise DamagedError("the header is no JSON object", where=where, expected="{", found=printable(text[:1]))
    control = _CONTROL.search(text)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise DamagedError(
            "the header is not UTF-8", where=where, found=f"{error.reason} at byte {8 + error.start}"
        ) from error
    if control is not None:
        raise DamagedError("the header has control characters", where=where, found=f"at byte {8 + control.start()}")
    return load_json(text, where)


def _are_texts(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(
        isinstance(v, str) and _is_text(v) and _is_text(k) for k, v in metadata.items()
    )


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _entry(row: Any) -> Entry | str:
    """An entry, or what is wrong with it."""
    try:
        kind, shape, (begin, end) = row["dtype"], row["shape"], row["data_offsets"]
        itemsize = _SIZES.get(kind)
    except (KeyError, TypeError, ValueError):
        return "a dtype, a shape and two data_offsets are expected"
    if itemsize is None:
        return f"unknown element type {printable(kind, 40)!r}; known are {', '.join(_TYPES)}"
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end < _LARGEST:
        return f"data_offsets {printable([begin, end], 80)}, and a beginning and an end are expected"
    if not isinstance(shape, list) or any(type(d) is not int or not 0 <= d < _LARGEST for d in shape):
        return f"shape {printable(shape, 80)}, and sizes of at least 0 are expected"
    wrong = impossible(shape, itemsize)
    if wrong:
        return f"shape {printable(shape, 80)}: {wrong}"
    needed = math.prod(shape) * itemsize
    if needed != end - begin:
        return f"shape {printable(shape, 80)} of {kind} takes {needed} bytes, and data_offsets hold {end - begin}"
    return Entry(_TYPES[kind], tuple(shape), begin, end)


def _widest_first(entries: Mapping[str, Entry]) -> bool:
    """Whether the data stands in the header's order, but for wider elements before narrower ones."""
    at = 0
    for entry in sorted(entries.values(), key=_width):
        if entry.begin != at:
            return False
        at = entry.end
    return True


def _width(entry: Entry) -> int:
    return -_SIZES[DTYPE_NAMES[entry.dtype]]


def _coverage(header: Header, size: int) -> Iterator[str]:
    """Where tensors overlap, leave holes, or do not end with the file."""
    at, before = 0, "the header"
    for name, entry in sorted(header.entries.items(), key=lambda e: (e[1].begin, e[1].end)):
        shown = printable(name)
        if entry.begin != at:
            kind = "a hole before it" if entry.begin > at else "it overlaps what stands before"
            yield f"{shown!r}: {kind}: it begins at data byte {entry.begin}, and {before} ends at {at}"
        if entry.end > size:
            yield f"{shown!r}: its data ends at byte {header.start + entry.end}, the file at {header.start + size}"
        at, before = max(at, entry.end), repr(shown)
    if at < size:
        yield f"behind the last tensor, from byte {header.start + at} on: {human(size - at)} too many"
