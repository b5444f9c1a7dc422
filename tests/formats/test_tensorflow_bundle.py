"""TensorFlow's checkpoints, as TensorFlow 2.21 wrote them, read without it; and what lies or is damaged is refused."""

import json
import random
import shutil

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, EvergraphError, FormatError, StoreError, UsageError
from evergraph.formats.crc32c import crc32c, masked
from evergraph.formats.snappy import decompress
from evergraph.formats.tensorflow_entries import Slice, slice_key
from tests.formats import tensorflow_tables as tables
from tests.formats.battery import read_everything
from tests.goldens import DATA

FOLDER = DATA / "tensorflow"
RECORDED = ("keras", "types", "tf1.ckpt-7", "many.ckpt", "merged")


def recorded(name):
    return json.loads((FOLDER / f"{name}-values.json").read_text())


def put(folder, index, *shards):
    (folder / "net.index").write_bytes(index)
    for number, data in enumerate(shards):
        (folder / f"net.data-{number:05d}-of-{len(shards):05d}").write_bytes(data)
    return folder / "net.index"


@pytest.mark.parametrize("name", RECORDED)
def test_every_variable_has_the_recorded_value(name):
    found = eg.open(FOLDER / name)
    wanted = recorded(name)
    assert set(found) == set(wanted)
    for key, (kind, shape, value) in wanted.items():
        tensor = found[key]
        if kind == "string":
            texts = b"".join(map(bytes.fromhex, value))
            data = str(tensor).encode() if tensor.storage == "text" else bytes(tensor.blob.read())
            assert data == texts, key
            assert shape == tensor.details.get("tensorflow-bundle", {}).get("shape", []), key
        else:
            assert (tensor.dtype, list(tensor.shape)) == (kind, shape), key
            assert bytes(tensor.blob.read()).hex() == value == b"".join(tensor.blob.chunks()).hex(), key


def test_an_index_a_prefix_a_folder_and_its_newest_are_one_checkpoint(tmp_path):
    for name in ("many.ckpt", "tf1.ckpt-7"):
        for path in FOLDER.glob(f"{name}.*"):
            shutil.copy(path, tmp_path)
    with pytest.raises(UsageError, match="several"):
        eg.open(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/home/them/tf1.ckpt-7"\n')
    first = eg.open(tmp_path / "tf1.ckpt-7.index")
    assert eg.diff(first, eg.open(tmp_path)).same
    assert eg.diff(first, eg.open(tmp_path / "tf1.ckpt-7")).same
    assert len(eg.open(tmp_path, member="many.ckpt")) == 200


def test_the_folder_of_a_saved_model_is_its_variables(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    for ending in ("index", "data-00000-of-00001"):
        shutil.copy(FOLDER / f"keras.{ending}", tmp_path / "variables" / f"variables.{ending}")
    assert eg.diff(eg.open(FOLDER / "keras"), eg.open(tmp_path)).same


def test_reads_from_a_remote_store():
    import fsspec

    memory = fsspec.filesystem("memory")
    for ending in ("index", "data-00000-of-00001"):
        memory.pipe_file(f"/tensorflow/types.{ending}", (FOLDER / f"types.{ending}").read_bytes())
    assert eg.diff(eg.open(FOLDER / "types"), eg.open("memory://tensorflow/types.index")).same


@pytest.mark.parametrize("name", ["merged", "types", "tf1.ckpt-7"])
def test_rejects_an_index_cut_at_every_byte(name, tmp_path):
    data = (FOLDER / f"{name}.index").read_bytes()
    path = put(tmp_path, data)
    for at in range(len(data)):
        path.write_bytes(data[:at])
        with pytest.raises(EvergraphError):
            eg.open(path)
    for tail in (b"\0", b"garbage"):
        path.write_bytes(data + tail)
        with pytest.raises(EvergraphError):
            eg.open(path)


@pytest.mark.parametrize("name", ["merged", "tf1.ckpt-7"])
def test_notices_every_flipped_bit_of_an_index(name, tmp_path):
    data = (FOLDER / f"{name}.index").read_bytes()
    for path in FOLDER.glob(f"{name}.data-*"):
        shutil.copy(path, tmp_path / path.name.replace(name, "net"))
    path = tmp_path / "net.index"
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        with pytest.raises(EvergraphError):
            eg.open(path)


def test_notices_every_flipped_bit_of_the_values_and_names_the_place(tmp_path):
    shutil.copy(FOLDER / "types.index", tmp_path)
    data = (FOLDER / "types.data-00000-of-00001").read_bytes()
    path = tmp_path / "types.data-00000-of-00001"
    for at in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"CRC|lengths") as caught:
            read_everything(eg.open(tmp_path / "types"))
        assert "byte " in str(caught.value)
    assert eg.verify(tmp_path / "types").findings


def test_a_good_checkpoint_verifies_by_its_own_checksums():
    report = eg.verify(FOLDER / "types")
    assert not report.findings
    assert any("checksums" in line for line in report.checked)
    assert not report.notes


def test_rejects_missing_short_and_long_data_files(tmp_path):
    path = put(tmp_path, (FOLDER / "merged.index").read_bytes())
    with pytest.raises(StoreError, match="are missing") as caught:
        eg.open(path)
    assert "net.data-00000-of-00002" in str(caught.value)
    assert "net.data-00001-of-00002" in str(caught.value)
    parts = [(FOLDER / f"merged.data-0000{i}-of-00002").read_bytes() for i in (0, 1)]
    put(tmp_path, path.read_bytes(), parts[0][:-1], parts[1])
    with pytest.raises(DamagedError, match="reach beyond"):
        eg.open(path)
    put(tmp_path, path.read_bytes(), parts[0], parts[1] + b"\0")
    with pytest.raises(DamagedError, match="longer"):
        eg.open(path)


def test_tells_version_1_from_version_2():
    with pytest.raises(FormatError, match="version 1"):
        eg.open(FOLDER / "v1.ckpt")


def test_a_data_file_says_what_to_open_instead():
    with pytest.raises(FormatError, match=r"open types\.index"):
        eg.open(FOLDER / "types.data-00000-of-00001")


DATA_8 = np.arange(2, dtype="float32").tobytes()
GOOD = (b"a", tables.entry(1, (2,), 0, DATA_8))
LIES = {
    "no header": ([GOOD], "no header"),
    "no shards": ([(b"", tables.header(0)), GOOD], "data files"),
    "size": ([(b"", tables.header()), (b"a", tables.entry(1, (3,), 0, DATA_8))], "8 bytes for"),
    "huge shape": ([(b"", tables.header()), (b"a", tables.entry(1, (1 << 40, 1 << 40), 0, b""))], "bytes for"),
    "negative size": ([(b"", tables.header()), (b"a", tables.entry(1, (-1,), 0, b""))], "at least 0"),
    "huge and empty": ([(b"", tables.header()), (b"a", tables.entry(1, (0, 1 << 62, 8), 0, b""))], "no array"),
    "offset": ([(b"", tables.header()), (b"a", tables.entry(1, (2,), 1 << 62, DATA_8))], "reach beyond"),
    "shard": ([(b"", tables.header()), (b"a", tables.entry(1, (2,), 0, DATA_8, shard=9))], "there are not"),
    "order": ([(b"", tables.header()), (b"b", GOOD[1]), GOOD], "ascending"),
    "stray piece": ([(b"", tables.header()), (b"\0a", GOOD[1])], "no variable"),
    "no piece": ([(b"", tables.header()), (b"a", tables.entry(1, (4,), slices=[[(0, 2)], [(2, 2)]]))], "missing"),
    "rank": ([(b"", tables.header()), (b"a", tables.entry(1, (4,), slices=[[(0, 2), (0, 2)]]))], "dimensions"),
    "text": ([(b"", tables.header()), (b"a", tables.entry(7, (1 << 50,), 0, DATA_8))], "no lengths"),
}


@pytest.mark.parametrize("name", LIES)
def test_rejects_entries_that_lie(name, tmp_path):
    pairs, said = LIES[name]
    with pytest.raises(DamagedError, match=said):
        eg.open(put(tmp_path, tables.table(pairs), DATA_8))


def test_rejects_pieces_that_overlap(tmp_path):
    boxes = [[(0, 2)], [(1, 2)]]
    pairs = [(slice_key(b"a", Slice(tuple(b))), tables.entry(1, (2,), 0, DATA_8)) for b in boxes]
    pairs = [(b"", tables.header()), *sorted(pairs), (b"a", tables.entry(1, (4,), slices=boxes))]
    with pytest.raises(DamagedError, match="overlap"):
        eg.open(put(tmp_path, tables.table(pairs), DATA_8))


def test_several_blocks_big_endian_and_compressed(tmp_path):
    def literal(data):
        # one literal: the simplest block that Snappy's format knows
        return tables.varint(len(data)) + b"\xf4" + (len(data) - 1).to_bytes(2, "little") + data

    data = np.arange(2, dtype=">f4").tobytes()
    groups = ([(b"", tables.header(big=True)), (b"a", tables.entry(1, (2,), 0, data))],)
    groups += ([(b"b", tables.entry(1, (1, 2), 0, data))],)
    for options in ({}, {"kind": 1, "compress": literal}):
        found = eg.open(put(tmp_path, tables.table(*groups, **options), data))
        assert {n: t.numpy().tolist() for n, t in found.items()} == {"a": [0, 1], "b": [[0, 1]]}


@pytest.mark.parametrize("name", ["keras", "types", "tf1.ckpt-7"])
def test_changed_entries_with_right_checksums_end_in_a_checkpoint_or_one_error(name, tmp_path):
    from evergraph.formats.leveldb_table import read_table
    from evergraph.stores import open_source

    pairs = list(read_table(open_source(FOLDER / f"{name}.index")))
    data = (FOLDER / f"{name}.data-00000-of-00001").read_bytes()
    rng, opened = random.Random(4), 0
    for _ in range(300):
        changed = [list(p) for p in pairs]
        for _ in range(rng.choice((1, 1, 2, 8))):
            row = rng.choice(changed)
            side = rng.random() < 0.85
            text = bytearray(row[side])
            if text:
                at = rng.randrange(len(text))
                text[at] = rng.choice((text[at] ^ 1 << rng.randrange(8), 255, 128, 0, rng.randrange(256)))
                del text[rng.randrange(len(text)) : rng.choice((0, 0, 0, len(text)))]
            row[side] = bytes(text)
        path = put(tmp_path, tables.table(sorted(dict(changed).items())), data)
        try:
            read_everything(eg.open(path))
            opened += 1
        except EvergraphError:
            continue
    assert opened < 300


def test_keys_that_multiply_are_refused(tmp_path):
    pairs = [(b"", tables.header()), *((b"k" * 60_000 + b"%05d" % i, GOOD[1]) for i in range(400))]
    with pytest.raises(EvergraphError, match="far larger"):
        eg.open(put(tmp_path, tables.table(pairs), DATA_8))


@pytest.mark.parametrize("size", [0, 1, 4095, 16384, 16385, 70_001, 300_007])
def test_the_fast_checksum_is_that_of_one_byte_after_another(size):
    data = np.random.default_rng(size).integers(0, 256, size, "uint8").tobytes()
    table = [tables.crc32c(bytes((b,))) for b in range(4)]
    assert table == [crc32c(bytes((b,))) for b in range(4)]
    half = size // 3
    assert crc32c(data) == crc32c(data[half:], crc32c(data[:half]))
    if size < 20_000:
        assert crc32c(data) == tables.crc32c(data)
    assert masked(crc32c(data)) == tables.mask(crc32c(data))


BLOCKS = {
    b"": "00",
    b"a": "010061",
    b"abc" * 21: "3f08616263ee0300",
    bytes(200): "c8010000fe0100fe0100fe01000d01",
    b"hello world, hello world; hello": "1f3068656c6c6f20776f726c642c201d0d183b2068656c6c6f",
}
"""What Google's snappy writes."""


@pytest.mark.parametrize("text", BLOCKS, ids=["empty", "letter", "period", "zeros", "words"])
def test_snappys_blocks_unpack(text):
    assert decompress(bytes.fromhex(BLOCKS[text]), "here") == text


@pytest.mark.parametrize(
    "block",
    ["", "ff", "ffffffff0f00", "05", "0500", "020061", "0800616211ff", "02fc", "0100610062"],
    ids=lambda b: b or "-",
)
def test_rejects_blocks_that_are_none(block):
    with pytest.raises(DamagedError):
        decompress(bytes.fromhex(block), "here")
