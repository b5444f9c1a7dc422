"""What a safetensors file can store, and its bytes: a header, then values. Layout: docs/formats/safetensors.md."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from evergraph.formats.base import Piece
from evergraph.formats.carry import Target
from evergraph.formats.safetensors_header import DTYPE_NAMES, METADATA, header_bytes, parse_text
from evergraph.tensors import Tensor

__all__ = ["STORED", "Written", "accepts", "as_before", "library_type", "plain_target", "write_tensors"]

STORED = {ours: ours for ours in DTYPE_NAMES} | {"int4": "int8", "hifloat8": "uint8", "complex128": "float64"}
"""Element type -> what it is stored as."""


def accepts(name: str) -> bool:
    """Whether a tensor may have this name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name != METADATA


def plain_target() -> Target:
    """What a safetensors file stores by itself."""
    return Target("safetensors", "a safetensors file", STORED, metadata="texts", accepts=accepts)


def library_type(tensor: Tensor) -> str:
    """The element type that the header names: 4-bit numbers are stored as int8."""
    return "int8" if tensor.dtype == "int4" else str(tensor.dtype)


class Written(NamedTuple):
    """A file's header and what follows it."""

    header: bytes
    tensors: Sequence[Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole file."""
        return len(self.header) + sum(t.blob.nbytes for t in self.tensors)

    def pieces(self) -> Iterator[Piece]:
        """The file's bytes in order."""
        yield self.header
        for tensor in self.tensors:
            yield tensor.blob


def write_tensors(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], layout: Iterable[str] | None = None
) -> Written:
    """One file of tensors.

    Args:
        tensors: dense ones, in the order that the header lists them in.
        metadata: texts by name.
        layout: names in the order of the data; widest elements first where not given, so that all are aligned.
    """
    order = list(layout or sorted(tensors, key=lambda n: -tensors[n].dtype.itemsize))
    begin, places = 0, {}
    for name in order:
        end = begin + tensors[name].blob.nbytes
        places[name] = (begin, end)
        begin = end
    rows = {
        name: {"dtype": DTYPE_NAMES[library_type(t)], "shape": list(t.shape or ()), "data_offsets": list(places[name])}
        for name, t in tensors.items()
    }
    return Written(header_bytes(rows, metadata), [tensors[name] for name in order])


def as_before(written: Written, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], text: bytes) -> Written:
    """The same tensors behind the header that their file was read with, where it still says the same.

    Writers differ in the order of the data, of metadata, and in white space; readers do not see it.

    Args:
        written: the file as `write_tensors` plans it.
        tensors: what it holds.
        metadata: its metadata.
        text: the header's text, or nothing.
    """
    if not text or not isinstance(text, bytes):
        return written
    before = parse_text(text, "the header it was read with")
    same = list(before.entries) == list(tensors) and all(
        e.shape == tensors[n].shape and e.dtype == library_type(tensors[n]) for n, e in before.entries.items()
    )
    if not same or before.metadata != dict(metadata):
        return written
    names = sorted(before.entries, key=lambda n: (before.entries[n].begin, before.entries[n].end))
    return Written(struct.pack("<Q", len(text)) + text, [tensors[n] for n in names])
