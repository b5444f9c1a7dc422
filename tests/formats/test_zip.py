"""Zip archives: what is written every reader reads; what is read is checked before any content is."""

import io
import struct
import zipfile

import numpy as np
import pytest

from evergraph.errors import DamagedError, IntegrityError
from evergraph.formats import zip_writer
from evergraph.formats.zip_reader import ZipTable
from evergraph.formats.zip_writer import Entry, ZipLayout, compressed
from evergraph.stores import BytesSource
from evergraph.tensors import Held

CONTENT = np.arange(5000, dtype="float32")


def joined(pieces):
    return b"".join(p if isinstance(p, bytes) else b"".join(map(bytes, p.chunks())) for p in pieces)


def entries():
    return [Entry("a.txt", [b"hello"]), Entry("ü/data", [b"head", Held(CONTENT)]), Entry("empty", [])]


@pytest.mark.parametrize("data", [joined(ZipLayout(entries()).pieces()), joined(compressed(entries()))])
def test_pythons_own_reader_reads_what_is_written(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.txt", "ü/data", "empty"]
        assert archive.read("ü/data") == b"head" + CONTENT.tobytes()
    table = ZipTable(BytesSource(data))
    assert {n: m.content(1 << 20) for n, m in table.members.items()} == {
        "a.txt": b"hello",
        "ü/data": b"head" + CONTENT.tobytes(),
        "empty": b"",
    }


def test_a_layout_knows_its_size_and_aligns_its_content():
    layout = ZipLayout([Entry("x" * n, [Held(CONTENT)]) for n in range(1, 140)])
    data = joined(layout.pieces())
    assert len(data) == layout.size
    assert data == joined(layout.pieces())
    table = ZipTable(BytesSource(data))
    assert all(table.content_offset(m) % 64 == 0 for m in table.members.values())


def test_sizes_beyond_32_bits_are_written_and_read():
    """A directory of members at 5 GB and of 6 GB, without their content."""

    class Huge(Entry):
        size = 6 << 30

    placed = [
        zip_writer._Placed(Huge("big", []), 5 << 30, 0, 0),
        zip_writer._Placed(Entry("small", []), 12 << 30, 0, 0),
    ]
    directory = zip_writer._directory(placed, [7, 8], 13 << 30)

    class Far(BytesSource):
        """An archive whose first 13 GB are zeros."""

        def __init__(self):
            super().__init__(bytes(1 << 16) + directory, "memory://far")
            self.before = (13 << 30) - (1 << 16)
            self.size += self.before

        def _read(self, offset, length):
            return super()._read(offset - self.before, length)

    big, small = ZipTable(Far()).members.values()
    assert (big.size, big.header, big.crc) == (6 << 30, 5 << 30, 7)
    assert (small.size, small.header) == (0, 12 << 30)


def test_long_fields_of_others_are_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"content")
    plain = out.getvalue()
    at = plain.rfind(b"PK\1\2")
    entry = bytearray(plain[at : plain.rfind(b"PK\5\6")])
    extra = struct.pack("<2H3Q", 1, 24, 7, 7, 0)
    entry[20:28], entry[42:46], entry[30:32] = b"\xff" * 8, b"\xff" * 4, struct.pack("<H", len(extra))
    entry += extra
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), at, 0)
    for data in (plain, plain[:at] + bytes(entry) + end):
        assert ZipTable(BytesSource(data)).members["a"].content(100) == b"content"


def test_damage_is_noticed_when_content_is_streamed():
    data = bytearray(joined(ZipLayout(entries()).pieces()))
    data[data.index(CONTENT[100:].tobytes()[:64]) + 3] ^= 1
    member = ZipTable(BytesSource(bytes(data))).members["ü/data"]
    with pytest.raises(IntegrityError, match=r"(?s)not what was saved.*data"):
        joined([member.blob(4, member.size - 4)])


END = b"PK\5\6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d + b"x", "bytes behind it"),
        (lambda d: d[: d.rfind(END)], "cut short"),
        (lambda d: d[: d.rfind(END) + 16] + b"\0\0\0\0" + d[d.rfind(END) + 20 :], "not where it should be"),
        (lambda d: d[: d.rfind(END) + 8] + b"\xff\x7f\xff\x7f" + d[d.rfind(END) + 12 :], "more members are declared"),
        (lambda d: d[: d.rfind(END) + 4] + b"\1\0" + d[d.rfind(END) + 6 :], "several volumes"),
        (lambda d: b"junk" + d, "not where it should be"),
        (lambda d: d.replace(b"PK\1\2", b"PK\1\3", 1), "entry of its directory is broken"),
    ],
)
def test_rejects_directories_that_lie(change, message):
    data = joined(ZipLayout([Entry("a", [b"x" * 100]), Entry("b", [b"y" * 100])]).pieces())
    with pytest.raises(DamagedError, match=message):
        ZipTable(BytesSource(change(data)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rejects_packing_that_is_not_read(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a", b"x" * 100)
    with pytest.raises(DamagedError, match=r"(?s)packed in a way.*(bzip2|LZMA)"):
        ZipTable(BytesSource(out.getvalue()))
