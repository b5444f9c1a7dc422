"""Record files: byte for byte what MXNet 1.9.1 wrote, and damage named by its offset."""

import hashlib
import multiprocessing
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evergraph.mxnet as mx

MAGIC = struct.pack("<I", 0xCED7230A)


def _records():
    rng = random.Random(3)
    made = [b"", b"a", MAGIC, MAGIC * 2, b"abcd" + MAGIC + b"xyz", b"ab" + MAGIC + b"xy" + MAGIC]
    made += [MAGIC + b"12", b"1234" + MAGIC]
    for _ in range(60):
        made.append(b"".join(rng.choice([MAGIC, b"abcd", b"x", b"\0\0"]) for _ in range(rng.randrange(12))))
    return made


@pytest.fixture
def packed(tmp_path):
    names = str(tmp_path / "a.idx"), str(tmp_path / "a.rec")
    writer = mx.recordio.MXIndexedRecordIO(*names, "w")
    for key, record in enumerate(_records()):
        writer.write_idx(key, record)
    writer.close()
    return names


def test_writes_the_bytes_that_mxnet_wrote(packed):
    index, records = (Path(name).read_bytes() for name in packed)
    # of the files that MXNet 1.9.1 wrote from the same records
    assert (
        hashlib.sha256(records + index).hexdigest()
        == "f401d30b43d1d3befcda2d26b3af9ce0889caf712afd7567d135db98f0beec83"
    )


def test_packs_the_bytes_that_mxnet_packed():
    both = mx.recordio.pack(mx.recordio.IRHeader(0, 3, 17, 1), b"abc")
    both += mx.recordio.pack((5, [1.5, 2], 2**40, 0), b"xyz")
    assert hashlib.sha256(both).hexdigest() == "13fa504dcce15451eeb5380fdd121d8b2212ce73ae5fdd54002ec165a326c8ea"


def test_reads_in_order_by_key_and_again(packed):
    reader = mx.recordio.MXIndexedRecordIO(*packed, "r")
    for _ in range(2):
        assert [reader.read() for _ in _records()] == _records()
        assert reader.read() is None
        reader.reset()
    assert reader.keys == list(range(68))
    assert [reader.read_idx(k) for k in (67, 4, 0)] == [_records()[k] for k in (67, 4, 0)]
    with pytest.raises(KeyError, match="999"):
        reader.read_idx(999)


@given(st.lists(st.lists(st.sampled_from([MAGIC, b"a", b"bcde", MAGIC[:2], MAGIC[2:]])).map(b"".join)))
def test_records_come_back(tmp_path_factory, records):
    path = str(tmp_path_factory.mktemp("records") / "x.rec")
    with mx.recordio.MXRecordIO(path, "w") as writer:
        for record in records:
            writer.write(record)
    with mx.recordio.MXRecordIO(path, "r") as reader:
        assert [reader.read() for _ in records] == records
        assert reader.read() is None


def test_names_the_offset_of_damage(packed):
    whole = Path(packed[1]).read_bytes()
    for broken, offset in ((whole[:-1], None), (whole[:8] + b"x" + whole[9:], "byte 8"), (whole[:12], "byte 8")):
        Path(packed[1]).write_bytes(broken)
        reader = mx.recordio.MXRecordIO(packed[1], "r")
        with pytest.raises(mx.MXNetError, match=offset or "byte") as caught:
            list(iter(reader.read, None))
        assert "a.rec" in str(caught.value)


def test_a_lying_length_allocates_nothing(tmp_path):
    (tmp_path / "x.rec").write_bytes(MAGIC + struct.pack("<I", (1 << 29) - 1) + b"abcd")
    with pytest.raises(mx.MXNetError, match="file's end"):
        mx.recordio.MXRecordIO(str(tmp_path / "x.rec"), "r").read()


def test_names_the_wrong_line_of_an_index(packed):
    Path(packed[0]).write_text(Path(packed[0]).read_text() + "oops\n")
    with pytest.raises(mx.MXNetError, match="line 69"):
        mx.recordio.MXIndexedRecordIO(*packed, "r")


def test_rejects_the_wrong_direction_and_flag(packed):
    with pytest.raises(AssertionError, match="writing"):
        mx.recordio.MXRecordIO(packed[1], "r").write(b"x")
    with pytest.raises(ValueError, match="Invalid flag"):
        mx.recordio.MXRecordIO(packed[1], "a")
    with pytest.raises(mx.MXNetError, match=r"none\.rec"):
        mx.recordio.MXRecordIO("none.rec", "r")


def test_a_pickled_reader_starts_anew(packed):
    reader = mx.recordio.MXIndexedRecordIO(*packed, "r")
    reader.read_idx(5)
    again = pickle.loads(pickle.dumps(reader))  # noqa: TID251
    assert again.read() == _records()[0]
    assert again.read_idx(5) == _records()[5]


def _read_elsewhere(reader, queue):
    try:
        queue.put(reader.read())
    except RuntimeError as error:
        queue.put(str(error))


def test_rejects_sequential_reading_in_another_process(packed):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    reader = mx.recordio.MXRecordIO(packed[1], "r")
    child = context.Process(target=_read_elsewhere, args=(reader, queue))
    child.start()
    assert "not shared between processes" in queue.get(timeout=60)
    child.join()


def test_images_come_back_in_blue_green_red():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    packed = mx.recordio.pack_img(mx.recordio.IRHeader(0, 2, 1, 0), image, quality=3, img_fmt=".png")
    header, found = mx.recordio.unpack_img(packed)
    assert header.label == 2
    assert np.array_equal(found, image)
    smooth = np.full((16, 16, 3), (250, 20, 90), np.uint8)
    _, jpeg = mx.recordio.unpack_img(mx.recordio.pack_img((0, 2, 1, 0), smooth))
    assert np.abs(jpeg.astype(int) - smooth).max() <= 3
    assert mx.recordio.unpack_img(packed, iscolor=0)[1].shape == (5, 7)


def test_rejects_bytes_that_are_no_image():
    with pytest.raises(mx.MXNetError, match="no image"):
        mx.recordio.unpack_img(mx.recordio.pack((0, 1, 1, 0), b"nonsense"))


def test_rejects_a_record_shorter_than_its_header():
    with pytest.raises(mx.MXNetError, match="too short"):
        mx.recordio.unpack(struct.pack("<IfQQ", 1000, 0, 0, 0))
