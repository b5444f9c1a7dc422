"""safetensors files: what the library and MindSpore wrote and read is the oracle."""

import itertools
import json
import struct
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load as library_load
from safetensors.numpy import save as library_save

import evergraph as eg
from evergraph.errors import ConversionError, DamagedError, EvergraphError, IntegrityError, UsageError
from evergraph.formats import by_name
from evergraph.stores import BytesSource
from evergraph.tensors import DTYPES, Held, Tensor
from tests.formats.battery import FormatBattery, opened, same, sample_arrays, written
from tests.formats.test_mindspore_ckpt import CKPT, name, recorded, saved
from tests.goldens import MINDSPORE

RECORDED = sorted(CKPT.glob("*.safetensors"))
FILES = RECORDED + sorted((MINDSPORE / "convert").rglob("*.safetensors"))
KINDS = (
    *(
        "float64",
        "int64",
        "uint64",
        "float32",
        "int32",
        "uint32",
        "float16",
        "int16",
        "uint16",
        "int8",
        "uint8",
        "bool",
    ),
    *("complex64", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
)


def header_of(data):
    (length,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + length])


def normal(data):
    """A file with the names of its metadata in order: the library writes them in a new order each time."""
    header = header_of(data)
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    return json.dumps(header), data[8 + struct.unpack_from("<Q", data)[0] :]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(MINDSPORE)))
def test_saves_to_the_same_bytes(path, tmp_path):
    eg.save(eg.open(path), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", RECORDED, ids=name)
def test_opens_to_what_was_saved(path):
    found, given = eg.open(path), saved(path)
    assert set(found) == set(given)
    for key, tensor in given.items():
        assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape), key
        assert bytes(found[key].blob.read()) == bytes(tensor.blob.read()), key


@pytest.mark.parametrize("path", RECORDED, ids=name)
def test_writes_what_mindspore_wrote(path):
    options = {"crc_check": True} if path.stem == "crc" else {}
    options |= {"remove_redundancy": False} if path.stem == "rr" else {}
    data = written("safetensors", eg.Checkpoint(saved(path)), dialect="ms", **options)
    assert normal(data) == normal(path.read_bytes())
    if len(header_of(data)["__metadata__"]) == 1:
        assert data == path.read_bytes()


def test_converts_a_checkpoint_as_mindspore_does():
    found = eg.open(MINDSPORE / "convert" / "one.ckpt")
    data = written("safetensors", found, dialect="ms")
    assert normal(data) == normal((MINDSPORE / "convert" / "one.safetensors").read_bytes())


def test_checks_mindspores_checksum(tmp_path):
    data = (CKPT / "crc.safetensors").read_bytes()
    same(opened(data, crc_check=True), opened(data))
    damaged = data[:-1] + bytes((data[-1] ^ 1,))
    with pytest.raises(IntegrityError, match="checksum disagrees") as caught:
        opened(damaged, crc_check=True)
    assert "4270037854" in str(caught.value)
    with pytest.raises(IntegrityError, match="no checksum"):
        opened((CKPT / "rr.safetensors").read_bytes(), crc_check=True)
    # what was changed is summed anew
    changed = opened(data).replace({"w": np.ones(3), "step": np.int64(5)})
    same(opened(written("safetensors", changed), crc_check=True), opened(written("safetensors", changed)))


def test_rejects_a_checksum_that_mindspore_cannot_compute():
    with pytest.raises(UsageError, match="checksum of this scalar") as caught:
        written("safetensors", eg.Checkpoint({"step": np.int64(-1)}), dialect="ms", crc_check=True)
    assert "step" in str(caught.value)


def library_arrays():
    rng = np.random.default_rng(4)
    found = {}
    for index, kind in enumerate(KINDS):
        found[f"t{(index * 7) % 16}.{kind}"] = (rng.normal(size=(index, 3)) * 5).astype(DTYPES[kind].numpy())
    return found | {"scalar": np.array(2.5), "é\x01/": np.arange(3)}


# the library's NumPy functions write these types, PyTorch's the others
NUMPY_KINDS = [k for k in KINDS if k not in ("float8_e4m3fn", "float8_e5m2", "complex64")]


def test_reads_what_the_library_writes():
    arrays = {k: v for k, v in library_arrays().items() if v.dtype.name in NUMPY_KINDS}
    data = library_save(arrays, {"one": "1"})
    found = opened(data)
    assert dict(found.metadata) == {"one": "1"}
    assert set(found) == set(arrays)
    for key, array in arrays.items():
        assert found[key].shape == array.shape
        assert found[key].numpy().tobytes() == array.tobytes()
    assert written("safetensors", found) == data


def test_the_library_reads_what_is_written(tmp_path):
    arrays = library_arrays()
    eg.save(arrays, tmp_path / "x.safetensors", metadata={"format": "pt", "ü": '\x1f"\\/'})
    with safe_open(tmp_path / "x.safetensors", "pt") as found:
        assert found.metadata() == {"format": "pt", "ü": '\x1f"\\/'}
        assert set(found.keys()) == set(arrays)
        for key, array in arrays.items():
            tensor = found.get_tensor(key)
            assert tuple(tensor.shape) == array.shape
            assert Tensor.of(tensor).dtype == array.dtype.name
            assert bytes(Tensor.of(tensor).blob.read()) == array.tobytes(), key
    assert list(eg.open(tmp_path / "x.safetensors")) == list(arrays)


def test_every_tensor_stands_aligned():
    data = written("safetensors", eg.Checkpoint(library_arrays()))
    start = 8 + struct.unpack_from("<Q", data)[0]
    assert start % 8 == 0
    header = header_of(data)
    for key, array in library_arrays().items():
        assert (start + header[key]["data_offsets"][0]) % array.dtype.itemsize == 0, key


def test_writes_the_librarys_bytes_for_names_in_its_order():
    arrays = {f"w{i}": np.full((2, i), i, "float32") for i in range(5)}
    assert written("safetensors", eg.Checkpoint(arrays)) == library_save(arrays)
    assert written("safetensors", eg.Checkpoint({})) == library_save({})


def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, dtype="F32", shape=None):
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "header",
    [
        b'{"b":{"shape":[8],"dtype":"I8","data_offsets":[0,8]},\n "a":{"dtype":"I8","shape":[0],"data_offsets":[8,8]}}',
        {"b": entry(4, 8), "a": entry(0, 4)},
        {"b": entry(0, 8), "a": entry(8, 8), "c": entry(0, 0), "__metadata__": {"z": "1", "a": "2"}},
        {"__metadata__": {}, "b": entry(0, 8)},
        {"b": entry(0, 8), "__metadata__": None},
    ],
)
def test_keeps_other_spellings_of_a_header(header, tmp_path):
    data = file(header, bytes(range(8)))
    found = opened(data)
    assert written("safetensors", found) == data
    # and through another format and back
    eg.save(found, tmp_path / "x.ckpt")
    assert written("safetensors", eg.open(tmp_path / "x.ckpt")) == data
    # a changed tensor gets a header of our spelling
    changed = found.replace({"b": np.ones(3, "f4"), "a": np.ones(1, "f4")})
    same(opened(written("safetensors", changed)), changed)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack("<Q", 2**40) + b"{", ["longer than the format allows", "100000000", "byte 0"]),
        (struct.pack("<Q", 500) + b"{}", ["cut short in its header", "500 bytes"]),
        (file(b'{"a": 1', b""), ["column 8", "byte 8"]),
        (file(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":1}', bytes(4)), ["'a' a second time"]),
        (file(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)), ["'dtype' a second"]),
        (file(b'{"\xff": 1}'), ["not UTF-8", "byte 10"]),
        (file(b'{"a\x1b": 1}'), ["control characters", "byte 11"]),
        (file(b'{"a\\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', bytes(4)), ["no valid text"]),
        (file(b'{"a": NaN}'), ["not finite"]),
        (file(b'{"a": [' + b"[" * 100000), ["nested without end"]),
        (file({"a": 1}), ["'a': a dtype, a shape and two data_offsets"]),
        (file({"a": entry(0, 4) | {"data_offsets": [0]}}, bytes(4)), ["two data_offsets are expected"]),
        (file({"a": entry(0, 4) | {"data_offsets": [4, 0]}}, bytes(4)), ["data_offsets [4, 0]"]),
        (file({"a": entry(0, 4) | {"data_offsets": [-4, 0]}}, bytes(4)), ["data_offsets [-4, 0]"]),
        (file({"a": entry(0, 4, shape=[1.0])}, bytes(4)), ["shape [1.0]"]),
        (file({"a": entry(0, 4, shape=[True])}, bytes(4)), ["shape [True]"]),
        (file({"a": entry(0, 4, shape=[-1])}, bytes(4)), ["shape [-1]", "at least 0"]),
        (file({"a": entry(0, 4, shape=[2**32, 2**32])}, bytes(4)), ["more bytes than an address counts"]),
        (file({"a": entry(0, 0, shape=[2**62, 0])}), ["more bytes than an address counts"]),
        (file({"a": entry(0, 4, shape=[1] * 33)}, bytes(4)), ["33 dimensions"]),
        (file({"a": entry(0, 4, shape=[2**40])}, bytes(4)), ["takes 4398046511104 bytes"]),
        (file({"a": entry(0, 4, shape=[2**59, 8])}, bytes(4)), ["'a'", "more bytes"]),
        (file({"a": entry(0, 4, dtype="F4", shape=[8])}, bytes(4)), ["unknown element type 'F4'", "F8_E5M2"]),
        (file({"a": entry(0, 4, dtype="F6_E2M3")}, bytes(4)), ["unknown element type 'F6_E2M3'"]),
        (file({"a": entry(0, 4, dtype="F8_E8M0", shape=[4])}, bytes(4)), ["unknown element type 'F8_E8M0'"]),
        (file({"__metadata__": {"a": 1}}), ["texts by name are expected"]),
        (file({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), ["'b': a hole before it", "'a' ends at 4"]),
        (file({"a": entry(4, 8)}, bytes(8)), ["'a': a hole before it", "the header ends at 0"]),
        (file({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), ["'b': it overlaps what stands before"]),
        (file({"a": entry(0, 8), "b": entry(2, 2)}, bytes(8)), ["'b': it overlaps"]),
        (file({"a": entry(0, 4), "b": entry(4, 12)}, bytes(8)), ["'b': its data ends at byte"]),
        (file({"a": entry(0, 4)}, bytes(5)), ["behind the last tensor", "1 byte too many"]),
        (file({}, b"x"), ["behind the last tensor, from byte 10 on: 1 byte too many"]),
    ],
)
def test_rejects_headers_that_lie(data, words):
    with pytest.raises(EvergraphError) as caught:
        by_name("safetensors").read(BytesSource(data, "memory://battery/file"))
    message = str(caught.value)
    assert "memory://battery/file" in message
    for word in words:
        assert word in message


def test_rejects_several_faults_at_once():
    with pytest.raises(DamagedError) as caught:
        opened(file({"a": entry(0, 4, dtype="F4"), "b": 1, "c": entry(0, 4, shape=[-1])}, bytes(4)))
    assert len(caught.value.details) == 3


def test_rejects_lengths_without_memory():
    data = file({"a": entry(0, 2**62, shape=[2**60])}, bytes(8))
    tracemalloc.start()
    with pytest.raises(DamagedError, match="does not describe the file"):
        opened(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


DAMAGE = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(DAMAGE)
def test_refuses_whatever_the_library_refuses(damage):
    data = bytearray(
        library_save({"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.arange(3, dtype="i8")}, {"k": "v"})
    )
    for at, value in damage:
        data[at % len(data)] = value
    try:
        library_load(bytes(data))
    except Exception:  # noqa: BLE001 - whatever the library raises, it refuses the file
        with pytest.raises(EvergraphError):
            opened(bytes(data))


class TestBattery(FormatBattery):
    format_name = "safetensors"

    def examples(self):
        arrays = sample_arrays(
            "float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "uint16", "complex64"
        )
        odd = {
            "bfloat16": np.arange(6, dtype="f4").astype(ml_dtypes.bfloat16).reshape(2, 3),
            "scalar": np.float32(3),
            "zero": np.zeros((0, 3), "float32"),
            "int4": Tensor(DTYPES["int4"], (3,), Held(b"abc")),
            "hifloat8": Tensor(DTYPES["hifloat8"], (2, 1), Held(b"xy")),
            "complex128": np.ones((2, 2), "complex128"),
            "text": Tensor.text("héé 漢字 😀"),
            "nul": Tensor.text("a\0"),
        }
        sparse = Tensor.sparse("row_sparse", (4, 2), Tensor.of(np.ones((1, 2), "f4")), Tensor.of(np.array([3])))
        mixed = {"arg:a": np.ones(2, "f4"), "aux:b": sparse, "none": Tensor(DTYPES["float32"], None, Held(b""), "none")}
        return {
            "arrays": (eg.Checkpoint({k[4:]: v for k, v in arrays.items()}), {}),
            "odd": (eg.Checkpoint(odd), {}),
            "mixed": (eg.Checkpoint(mixed | {"arg:b": np.ones(1), "\udcff": np.ones(1)}), {}),
        }


class TestBatteryOfMindSporesDialect(TestBattery):
    read_options = {"crc_check": True}

    def examples(self):
        plain, _ = super().examples()["arrays"]
        marked = {"w": np.ones((2, 2), "f4"), "q": Tensor(DTYPES["int4"], (3,), Held(b"abc")), "step": np.int64(7)}
        options = {"dialect": "ms", "crc_check": True, "carry": True}
        return {"arrays": (plain, options), "marked": (eg.Checkpoint(marked), options)}


def test_the_dialect_follows_the_librarys_order():
    arrays = {k: v for k, v in library_arrays().items() if v.dtype.name in NUMPY_KINDS}
    for shuffled in itertools.islice(itertools.permutations(arrays), 0, 5000, 999):
        data = written("safetensors", eg.Checkpoint({k: arrays[k] for k in shuffled}), dialect="ms")
        assert normal(data) == normal(library_save(arrays, {"format": "ms"}))


def test_a_dialect_can_be_left():
    found = opened((CKPT / "dtypes.safetensors").read_bytes())
    plain = opened(written("safetensors", found, dialect="plain"))
    assert "format" not in plain.metadata
    same(plain, found)
    again = written("safetensors", plain, dialect="ms")
    assert normal(again) == normal((CKPT / "dtypes.safetensors").read_bytes())


def test_lists_what_plain_tensors_cannot_carry(tmp_path):
    checkpoint = eg.Checkpoint({"text": "abc", "w": np.ones(2, "complex128")}, metadata={"epoch": 3})
    with pytest.raises(ConversionError) as caught:
        eg.save(checkpoint, tmp_path / "x.safetensors", carry=False)
    assert set(caught.value.details) == {
        "text: a safetensors file has no texts",
        "w: a safetensors file has no complex128",
        "metadata: epoch",
    }
    assert not list(tmp_path.iterdir())
    layout = eg.save(checkpoint, tmp_path / "x.safetensors")
    assert "text: the text stands in the manifest" in layout.notes
    same(eg.open(tmp_path / "x.safetensors"), checkpoint)
    assert dict(eg.open(tmp_path / "x.safetensors").metadata) == {"epoch": 3}


@pytest.mark.parametrize(
    "options",
    [
        {"dialect": "tf"},
        {"crc_check": True},
        {"remove_redundancy": True},
        {"metadata": {"a": 1}},
        {"metadata": {"evergraph": "x"}},
    ],
)
def test_rejects_options_that_do_not_go_together(options):
    with pytest.raises(UsageError):
        written("safetensors", eg.Checkpoint({"w": np.ones(1)}), **options)


def test_reads_what_mindspore_writes_and_cannot_read():
    assert opened((CKPT / "complex64.safetensors").read_bytes())["c"].dtype == "complex64"
    assert recorded(CKPT / "complex64.safetensors")["load_error"]["type"] == "KeyError"
