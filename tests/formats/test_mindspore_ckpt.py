"""MindSpore's checkpoints: every recorded file opens to the recorded values, and is written again to the byte."""

import json
import tracemalloc
import zlib

import ml_dtypes
import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, EvergraphError, FormatError, IntegrityError, UsageError
from evergraph.formats import by_name
from evergraph.formats.protobuf import encode_varint
from evergraph.stores import BytesSource
from evergraph.tensors import DTYPES, Held, Tensor
from tests.formats.battery import FormatBattery, opened, same, sample_arrays, written
from tests.goldens import MINDSPORE

CKPT = MINDSPORE / "ckpt"
KEYS = {name: bytes.fromhex(row["key_hex"]) for name, row in json.loads((CKPT / "KEYS.json").read_text()).items()}
FILES = sorted(CKPT.glob("*.ckpt"))
REFUSED = {"craft_long", "craft_short", "craft_negative_dim", "craft_nonadjacent_dup", "craft_unknown_type"}
ENCRYPTED = [f for f in FILES if f.stem.startswith("enc_")]
PLAIN = [f for f in FILES if f not in ENCRYPTED and f.stem not in REFUSED]
GUIDE = sorted((MINDSPORE / "seed004").glob("*.ckpt")) + sorted((MINDSPORE / "convert").rglob("*.ckpt"))
TYPES = {
    "Bool": "bool",
    "BFloat16": "bfloat16",
    "Int4": "int4",
    "HiFloat8": "hifloat8",
    "Float8E4M3FN": "float8_e4m3fn",
    "Float8E5M2": "float8_e5m2",
}


def name(path):
    return path.name


def key_of(path) -> bytes:
    return KEYS[path.stem.removeprefix("enc_")]


def recorded(path):
    return json.loads(path.with_suffix(path.suffix + ".json").read_text())


def recorded_tensor(row, arrays) -> Tensor:
    """A saved value as a tensor: its recorded bits under its recorded type."""
    if row["kind"] == "str":
        return Tensor.text(row["value"])
    bits = arrays[row["npz"]]
    kind = DTYPES[str(TYPES.get(row["dtype"], row["dtype"].lower()))]
    return Tensor(kind, tuple(row["shape"]), Held(np.ascontiguousarray(bits).tobytes()))


def saved(path):
    """What MindSpore was given to save."""
    arrays = np.load(path.with_suffix(path.suffix + ".npz"))
    return {row["name"]: recorded_tensor(row, arrays) for row in recorded(path)["saved"]}


@pytest.mark.parametrize("path", PLAIN + GUIDE, ids=name)
def test_saves_to_the_same_bytes(path, tmp_path):
    eg.save(eg.open(path), tmp_path / "again.ckpt")
    assert (tmp_path / "again.ckpt").read_bytes() == path.read_bytes()


# what was saved without a record, or under one name twice, does not stand in the file as it was given
COMPLETE = [f for f in PLAIN if recorded(f)["saved"] and f.stem not in ("empties_sync", "dup_names_saved", "choice")]


@pytest.mark.parametrize("path", COMPLETE, ids=name)
def test_opens_to_what_was_saved(path):
    found, given = eg.open(path), saved(path)
    assert list(found) == list(given)
    for key, tensor in given.items():
        assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape), key
        assert bytes(found[key].blob.read()).rstrip(b"\0") == bytes(tensor.blob.read()).rstrip(b"\0"), key


@pytest.mark.parametrize("path", COMPLETE, ids=name)
def test_writes_what_mindspore_wrote(path):
    wire = recorded(path).get("wire") or []
    sliced = len(wire) > len({row["tag"] for row in wire})
    options = {"slices": "rows" if "async" in path.stem else "bytes", "slice_size": 2048}
    options = (options if sliced else {}) | ({"crc_check": True} if "crc" in path.stem else {})
    assert written("mindspore-ckpt", eg.Checkpoint(saved(path)), **options) == path.read_bytes()


def test_every_recorded_file_is_covered():
    index = json.loads((CKPT / "INDEX.json").read_text())
    assert {row["file"] for row in index if row["format"] == "ckpt"} == {f.name for f in FILES}
    assert len(COMPLETE) == 37
    assert len(ENCRYPTED) == 7


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("craft_dims0_scalar", {"old": (), "new": ()}),
        ("craft_one_message", {"a": (4,), "b": (1,)}),
        ("empties_async", {"a": (2,), "e1": (0,), "e3": (2, 0, 3), "b": ()}),
        ("empties_sync", {"a": (2,), "b": ()}),
        ("dup_names_saved", {"x": (2,), "y": (1,)}),
    ],
)
def test_opens_odd_files_to_their_shapes(file, values):
    assert {k: t.shape for k, t in eg.open(CKPT / f"{file}.ckpt").items()} == values


def test_joins_a_text_of_two_records():
    assert str(eg.open(CKPT / "craft_str_sliced.ckpt")["s"]) == "abcdef"


def test_reads_a_map_as_its_three_arrays():
    found = eg.open(CKPT / "craft_map.ckpt")["m"]
    assert found.storage == "map"
    assert [p.numpy().tolist() for p in found.parts.values()] == [[1, 2], [[1, 2, 3], [4, 5, 6]], [0, 1]]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("craft_short", "'a' at byte 0: sizes [4] of float32 take 16 bytes, and its content has 8"),
        ("craft_long", "'a' at byte 0: sizes [1] of float32 take 4 bytes, and its content has 8"),
        ("craft_negative_dim", "'a' at byte 0: a negative size in [-1]"),
        ("craft_unknown_type", "'a' at byte 0: unknown element type 'Float99'"),
        ("craft_nonadjacent_dup", "'a': at bytes 0 and 52"),
    ],
)
def test_rejects_what_mindspore_misreads(file, message):
    with pytest.raises(DamagedError) as caught:
        eg.open(CKPT / f"{file}.ckpt")
    assert message in str(caught.value)
    assert f"{file}.ckpt" in str(caught.value)


def test_takes_the_last_of_two_where_asked():
    path = CKPT / "craft_nonadjacent_dup.ckpt"
    found = eg.open(path, duplicates="last")
    values = np.load(path.with_suffix(".ckpt.npz"))
    assert list(found) == ["a", "b"]
    assert found["a"].numpy().tolist() == values["L0000"].tolist()


class TestBattery(FormatBattery):
    format_name = "mindspore-ckpt"

    def examples(self):
        kinds = (
            "float32",
            "float64",
            "float16",
            "uint8",
            "int32",
            "int8",
            "int64",
            "bool",
            "int16",
            "uint64",
            "complex64",
        )
        arrays = {k.removeprefix("arg:"): v for k, v in sample_arrays(*kinds).items()}
        odd = {
            "bfloat16": np.arange(6, dtype="f4").astype(ml_dtypes.bfloat16).reshape(2, 3),
            "float8": np.arange(6, dtype="f4").astype(ml_dtypes.float8_e4m3fn),
            "int4": Tensor(DTYPES["int4"], (3,), Held(b"abc")),
            "hifloat8": Tensor(DTYPES["hifloat8"], (2, 1), Held(b"xy")),
            "scalar": np.float32(3),
            "empty": np.zeros((2, 0, 3), "float16"),
            "none": np.zeros(0, "float32"),
            "text": Tensor.text("héé 漢字 😀"),
        }
        parts = {"keys": np.arange(2, dtype="i4"), "values": np.ones((2, 3), "f4"), "status": np.zeros(2, "i4")}
        parts = {k: Tensor.of(v) for k, v in parts.items()}
        table = Tensor(parts["values"].dtype, (2, 3), parts["values"].blob, "map", parts)
        return {
            "arrays": (eg.Checkpoint(arrays), {}),
            "odd": (eg.Checkpoint(odd), {}),
            "map": (eg.Checkpoint({"w": np.ones(1, "f4"), "map": table}), {}),
            "sliced": (eg.Checkpoint({"w": np.arange(40, dtype="f4").reshape(10, 4)}), {"slice_size": 64}),
            "rows": (
                eg.Checkpoint({"w": np.arange(9, dtype="f4").reshape(3, 3)}),
                {"slice_size": 12, "slices": "rows"},
            ),
        }

    def cut_is_undetected(self, data, at):
        # the format has no length and no end mark: a file that ends behind a record is a file with fewer records,
        # unless it carries a checksum
        return at in ends(data)


def ends(data):
    """The byte behind each record, but for pieces of one tensor."""
    found, at = [], 0
    records = []
    while at < len(data):
        size, shift, start = 0, 0, at + 1
        while True:
            size |= (data[start] & 127) << shift
            shift, start = shift + 7, start + 1
            if data[start - 1] < 128:
                break
        at = start + size
        records.append((data[start : start + 2 + data[start + 1]], at))
    for index, (tag, end) in enumerate(records):
        if index + 1 == len(records) or records[index + 1][0] != tag:
            found.append(end)
    return found


class TestBatteryWithChecksum(TestBattery):
    read_options = {"crc_check": True}

    def examples(self):
        return {k: (c, o | {"crc_check": True}) for k, (c, o) in super().examples().items()}

    def cut_is_undetected(self, data, at):
        return False

    def damage_is_detected(self, data, at):
        return True


def field(number, content):
    return encode_varint(number << 3 | 2) + encode_varint(len(content)) + content


def proto(dims=(2,), kind=b"Float32", content=bytes(8), extra=b""):
    sizes = b"".join(b"\x08" + encode_varint(d) for d in dims)
    return sizes + field(2, kind) + field(3, content) + extra


def record(tag=b"w", extra=b"", **changes):
    return field(1, field(1, tag) + field(2, proto(**changes)) + extra)


def rejected(data, *words, **options):
    """The message of the error that reading these bytes ends in."""
    with pytest.raises(EvergraphError) as caught:
        by_name("mindspore-ckpt").read(BytesSource(data, "memory://battery/file"), **options)
    text = str(caught.value)
    assert "memory://battery/file" in text
    for word in words:
        assert word in text, text
    return text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (record(dims=(2**32, 2**32)), ["'w' at byte 0", "more bytes than an address counts", "4294967296"]),
        (record(dims=(2**63 - 1, 4)), ["'w' at byte 0"]),
        (record(dims=(2**62, 0), content=b""), ["'w' at byte 0", "more bytes than an address counts"]),
        (record(dims=(2**40, 2)), ["'w' at byte 0", "8796093022208 bytes, and its content has 8"]),
        (record(dims=(200, 300), content=bytes(24)), ["'w' at byte 0", "240000 bytes, and its content has 24"]),
        (record(dims=(2**64 - 2, 4)), ["'w' at byte 0", "a negative size in [-2, 4]"]),
        (record(dims=(1,) * 33 + (2,)), ["too many dimensions", "at most 32", "'w'"]),
        (record(kind=b"Float128"), ["unknown element type 'Float128'", "'w' at byte 0", "HiFloat8"]),
        (record(kind=b"str", content=b"abc"), ["'w' at byte 0", "a text of 3 bytes"]),
        (record(tag=b"a") + record(tag=b"b") + record(tag=b"a"), ["names stand twice", "'a': at bytes 0 and 56"]),
        (record() + record(), ["names stand twice", "'w': 2 whole tensors in a row, at bytes 0, 28"]),
        (record() + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x3f", ["cut short", "byte 28"]),
        (b"\x0a" + b"\xff" * 11, ["a varint of at most ten bytes", "byte 1"]),
        (b"\x0a" + b"\xff" * 9 + b"\x02", ["a varint below 2**64", "byte 1"]),
        (record() + b"\x10\x01", ["bytes that are no record", "byte 28", "field 2"]),
        (record() + b"\x08\x01", ["wrong wire type", "record 1", "length and bytes", "a varint"]),
        (field(1, field(1, b"w") + b"\x10\x01"), ["field 2 of a record is of a wrong wire type", "record 0 'w'"]),
        (field(1, field(1, b"w") + field(2, b"\x12\x07Float32\x18\x08")), ["tensor_content", "wrong wire type"]),
        (field(1, field(1, b"w") + field(2, b"\x0d\0\0\0\0")), ["dims", "wrong wire type", "4 bytes"]),
        (record() + b"\x0b" + b"\x13" * 5000, ["at most 64 groups in each other"]),
        (record() + b"\x13\x1c", ["the end of the group"]),
        (field(1, field(1, b"w")), ["a record has no tensor", "byte 0", "'w'"]),
        (field(1, field(2, proto())), ["a record has no name", "byte 0"]),
        (field(1, field(1, b"w") + field(2, field(3, b"ab"))), ["a record has no tensor_type", "'w'"]),
        (field(1, field(1, b"w") + field(1, b"v") + field(2, proto())), ["a record has two fields name"]),
        (field(1, field(1, b"w") + field(2, proto()) + field(2, proto())), ["a record has two fields tensor"]),
        (field(1, field(1, b"m") + field(3, field(1, proto()) * 2)), ["3: keys, values, status", "'m'"]),
        (
            field(1, field(1, b"w") + b"\x12\x7f" + proto()) + record() * 8,
            ["longer than the message it stands in", "byte 5"],
        ),
        (record(dims=(4,), content=bytes(8)) + record(kind=b"Int32", dims=(4,)), ["unlike sizes or types"]),
        (record() + b"crc_num\0\0", ["checksum at the end of the file is cut short", "byte 28", "17 bytes"]),
        (record() + b"crc", ["checksum at the end of the file is cut short", "byte 28"]),
    ],
)
def test_rejects_damaged_records_by_offset_and_name(data, words):
    rejected(data, *words)


def test_rejects_several_faults_at_once():
    data = record(tag=b"a", dims=(9,)) + record(tag=b"b", kind=b"X") + record(tag=b"c") + record(tag=b"a")
    rejected(data, "'a' at byte 0: sizes [9]", "'b' at byte 28: unknown element type", "'a': at bytes 0 and 78")


@pytest.mark.parametrize("length", [2**31, 2**62, 2**64 - 1])
def test_rejects_lengths_beyond_the_file_without_memory(length):
    data = b"\x0a" + encode_varint(length) + b"\x0a\x01w\x12" + encode_varint(length)
    tracemalloc.start()
    rejected(data, "cut short")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_rejects_unknown_fields_unless_they_are_kept():
    odd = record(extra=b"\x28\x07" + field(9, b"new"), tag=b"v") + record(extra=b"", tag=b"w")
    odd += field(1, field(1, b"x") + field(2, proto(extra=b"\x35\0\0\0\0" + b"\x39" + bytes(8) + b"\x43\x08\x01\x44")))
    rejected(
        odd, "unknown field 5 (a varint)", "unknown field 9", "unknown field 6 (4 bytes)", "unknown field 8 (a group)"
    )
    kept = opened(odd, unknown_fields="keep")
    assert list(kept) == ["v", "w", "x"]
    assert written("mindspore-ckpt", kept) == odd


def test_keeps_other_spellings_of_the_same_content():
    packed = field(1, field(1, b"w") + field(2, b"\x0a\x02\x02\x01" + field(2, b"Float32") + field(3, bytes(8))))
    swapped = field(1, field(2, field(3, bytes(8)) + field(2, b"Float32") + b"\x08\x02") + field(1, b"v"))
    long = b"\x0a\x9a\x00" + record(tag=b"u")[2:]
    data = packed + swapped + long
    found = by_name("mindspore-ckpt").read(BytesSource(data))
    assert {k: t.shape for k, t in found.items()} == {"w": (2, 1), "v": (2,), "u": (2,)}
    assert written("mindspore-ckpt", found) == data
    # a changed tensor is written as MindSpore writes it
    changed = found.replace({"w": found["w"].replace(shape=(1, 2)), "v": found["v"], "z": found["u"]})
    assert written("mindspore-ckpt", changed) == record(dims=(1, 2)) + swapped + record(tag=b"z")


@pytest.mark.parametrize("tag", [b"\xff\xfe", b"a\0b", b"\x1b[31m\n", b"<script>", b"../../x", b"", "é".encode() * 200])
def test_names_of_any_bytes_come_back(tag):
    data = record(tag=b"first") + record(tag=tag)
    found = opened(data)
    assert written("mindspore-ckpt", found) == data
    message = rejected(data + record(tag=tag, dims=(7,)))
    assert message.replace("\n", "").isprintable()


def test_an_empty_file_is_an_empty_checkpoint_only_by_name():
    with pytest.raises(FormatError, match="empty"):
        opened(b"")
    assert len(by_name("mindspore-ckpt").read(BytesSource(b""))) == 0
    assert written("mindspore-ckpt", eg.Checkpoint({})) == b""


def test_checks_the_checksum_on_request():
    data = record() + record(tag=b"v")
    whole = data + b"crc_num" + zlib.crc32(data).to_bytes(10, "big")
    assert list(opened(whole, crc_check=True)) == ["w", "v"]
    wrong = data + b"crc_num" + (1).to_bytes(10, "big")
    assert list(opened(wrong)) == ["w", "v"]
    with pytest.raises(IntegrityError, match="checksum disagrees") as caught:
        opened(wrong, crc_check=True)
    assert f"{zlib.crc32(data):08x}" in str(caught.value)
    with pytest.raises(IntegrityError, match="no checksum to compare"):
        opened(data, crc_check=True)


@pytest.mark.parametrize(("rows", "size"), [(5, 12), (3, 7), (2, 1), (7, 28), (4, 1000)])
def test_cuts_between_rows_as_numpy_does(rows, size):
    array = np.arange(rows * 3, dtype="f4").reshape(rows, 3)
    pieces = np.array_split(array, -(-array.nbytes // size)) if array.nbytes > size else [array]
    expected = b"".join(record(dims=array.shape, content=p.tobytes()) for p in pieces)
    data = written("mindspore-ckpt", eg.Checkpoint({"w": array}), slices="rows", slice_size=size)
    assert data == expected
    assert written("mindspore-ckpt", opened(data)) == data


class CountingSource(BytesSource):
    """Bytes in memory that count how many of them are read."""

    def __init__(self, data):
        super().__init__(data)
        self.count = 0

    def _read(self, offset, length):
        self.count += length
        return super()._read(offset, length)


def test_lists_without_reading_contents():
    given = {f"layer.{i}": np.full(100_000, i, "f4") for i in range(8)}
    source = CountingSource(written("mindspore-ckpt", eg.Checkpoint(given)))
    found = by_name("mindspore-ckpt").read(source)
    assert source.count < 40_000
    assert found["layer.3"].numpy()[0] == 3
    assert source.count < 450_000


def test_verify_compares_the_checksum_where_there_is_one(tmp_path):
    for file in ("crc.ckpt", "zoo.ckpt", "crc.safetensors", "zoo.safetensors"):
        assert eg.verify(CKPT / file).ok
    for file, at in (("crc.ckpt", 50), ("crc.safetensors", -5)):
        data = bytearray((CKPT / file).read_bytes())
        data[at] ^= 1
        (tmp_path / file).write_bytes(data)
        report = eg.verify(tmp_path / file)
        assert not report.ok
        assert "checksum disagrees" in report.findings[0]


def test_rejects_options_that_it_does_not_know():
    with pytest.raises(UsageError, match="duplicates cannot be first"):
        opened(record(), duplicates="first")
    with pytest.raises(UsageError, match="does not take: strict"):
        opened(record(), strict=True)
    with pytest.raises(UsageError, match="slice_size"):
        written("mindspore-ckpt", eg.Checkpoint({}), slice_size=0)


def test_content_of_other_formats_is_not_taken_for_records():
    # a TensorFlow graph begins with a node, in it a name and an operator's name
    graph = field(1, field(1, b"x") + field(2, b"Placeholder"))
    with pytest.raises(FormatError, match="TensorFlow graph"):
        opened(graph)


def test_a_file_for_its_owner_alone(tmp_path):
    eg.save({"w": np.ones(1)}, tmp_path / "w.ckpt", read_only=True)
    assert (tmp_path / "w.ckpt").stat().st_mode & 0o777 == 0o400
    eg.save({"w": np.ones(2)}, tmp_path / "w.ckpt")
    same(eg.open(tmp_path / "w.ckpt"), eg.Checkpoint({"w": np.ones(2)}))
