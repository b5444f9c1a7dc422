"""MXNet's parameter files: every recorded file opens to the recorded values and saves to the same bytes."""

import struct

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import ConversionError, DamagedError, FormatError
from evergraph.tensors import DTYPES, Held, Tensor
from tests.formats.battery import FormatBattery, opened, sample_arrays, written
from tests.goldens import MXNET, RELEASES, near

FILES = sorted(MXNET.glob("[0-9]*/**/*.nd")) + sorted(MXNET.glob("[0-9]*/**/*.params"))
names = [str(f.relative_to(MXNET)) for f in FILES]


@pytest.mark.parametrize("path", FILES, ids=names)
def test_saves_to_the_same_bytes(path, tmp_path):
    eg.save(eg.open(path), tmp_path / "again.params")
    assert (tmp_path / "again.params").read_bytes() == path.read_bytes()


RECORDED = [f for f in FILES if f.with_suffix(".npz").exists()]


@pytest.mark.parametrize("path", RECORDED, ids=[str(f.relative_to(MXNET)) for f in RECORDED])
def test_opens_to_the_recorded_values(path):
    opened, recorded = eg.open(path), np.load(path.with_suffix(".npz"))
    found = list(opened)
    for key in set(recorded.files) - {"original_float32"}:
        name, _, part = key.rpartition(":")
        if part not in ("data", "indices", "indptr"):
            name, part = key, ""
        name = name if name in found else found[int(name)] if name.isdigit() else name
        if name.endswith("_as_float32"):
            near(opened[name.removesuffix("_as_float32")].numpy().astype("f4"), recorded[key], 0, 0, key)
        elif part:
            near(opened[name].parts[part].numpy(), recorded[key], 0, 0, key)
        elif recorded[key].dtype.kind != "V":
            near(opened[name].numpy(), recorded[key], 0, 0, key)
            assert opened[name].dtype == recorded[key].dtype.name


def written_for(version):
    """A checkpoint's arrays without what their file said about their record."""
    path = MXNET / version / "checkpoints" / "lenet-0001.params"
    return path.read_bytes(), {k: v.numpy() for k, v in eg.open(path).items()}


@pytest.mark.parametrize(
    ("release", "version"), [("0.9.5", "0.9.5"), ("0.11", "0.11.0"), ("1.0", "1.0.0"), ("1.9.1", "1.9.1")]
)
def test_writes_what_the_release_wrote(release, version, tmp_path):
    recorded, arrays = written_for(version)
    eg.save(arrays, tmp_path / "new.params", release=release)
    assert (tmp_path / "new.params").read_bytes() == recorded


@pytest.mark.parametrize(
    ("release", "kind"), [("0.10", "int64"), ("0.10", "int8"), ("1.5", "bool"), ("1.6", "bfloat16"), ("1.9.1", "int16")]
)
def test_lists_element_types_that_a_release_does_not_know(release, kind, tmp_path):
    odd = Tensor(DTYPES[kind], (1,), Held(bytes(DTYPES[kind].itemsize)))
    arrays = {"w": np.zeros(2, "float32"), "k": odd}
    with pytest.raises(ConversionError) as caught:
        eg.save(arrays, tmp_path / "new.params", release=release)
    assert len(caught.value.details) == 1
    assert caught.value.details[0].startswith(f"k: {kind} is new in MXNet ")
    eg.save(arrays, tmp_path / "new.params", release=release, lossy=True)
    assert list(eg.open(tmp_path / "new.params")) == ["w"]


def test_says_which_element_types_only_a_later_mxnet_opens(tmp_path):
    layout = eg.save({"k": np.zeros(2, "int16"), "w": np.zeros(2, "int64")}, tmp_path / "new.params")
    assert layout.notes == ("k: no MXNet before 2.0 opens int16",)


def test_arrays_of_one_file_have_one_meaning_of_shapes():
    # MXNet 1.9.1 refuses to load a scalar's record (version 3) beside others (version 2), under either meaning
    data = written("mxnet-params", eg.Checkpoint({"s": np.float32(2), "w": np.ones(3, "float32")}))
    assert data.count(struct.pack("<I", 0xF993FACA)) == 2
    assert struct.pack("<I", 0xF993FAC9) not in data


def test_every_release_is_covered():
    assert len(RELEASES) == 14
    assert {f.relative_to(MXNET).parts[0] for f in FILES} == set(RELEASES)


class TestBattery(FormatBattery):
    format_name = "mxnet-params"

    def examples(self):
        arrays = sample_arrays("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
        sparse = Tensor.sparse(
            "csr",
            (2, 5),
            Tensor.of(np.array([1.0, 2.0], "float32")),
            Tensor.of(np.array([0, 4])),
            Tensor.of(np.array([0, 1, 2])),
        )
        rows = Tensor.sparse("row_sparse", (4, 2), Tensor.of(np.ones((1, 2), "float32")), Tensor.of(np.array([3])))
        return {
            "dict": (eg.Checkpoint(arrays), {}),
            "sparse": (eg.Checkpoint({"a": sparse, "b": rows}), {}),
            "numpy shapes": (eg.Checkpoint({"scalar": np.float32(3), "zero": np.zeros((0, 3), "float32")}), {}),
            "0.9.5": (eg.Checkpoint({"arg:w": np.ones((2, 2), "float32")}), {"release": "0.9.5"}),
        }


@pytest.mark.parametrize("count", [2**60, 10**8])
def test_rejects_a_count_that_the_file_cannot_hold(count):
    with pytest.raises(DamagedError, match="more arrays than it can hold"):
        opened(struct.pack("<QQQ", 0x112, 0, count) + bytes(64))


def record(version=0xF993FAC9, storage=0, shape=(2,), dtype=0):
    head = struct.pack("<Ii", version, storage) + struct.pack(f"<i{len(shape)}q", len(shape), *shape)
    return struct.pack("<QQQ", 0x112, 0, 1) + head + struct.pack("<iii", 1, 0, dtype) + bytes(8) + struct.pack("<Q", 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"shape": (2**32, 2**32)}, "larger than the file"),
        ({"shape": (-2,)}, "negative size"),
        ({"shape": (1,) * 33}, "number of dimensions"),
        ({"dtype": 99}, "unknown element type"),
        ({"storage": 7}, "unknown storage type"),
        ({"version": 0xF993FACB}, "newer or damaged"),
    ],
)
def test_rejects_fields_that_lie(damage, message):
    with pytest.raises(DamagedError) as caught:
        opened(record(**damage))
    assert message in str(caught.value)


def test_rejects_names_that_stand_twice():
    data = bytearray(written("mxnet-params", eg.Checkpoint({"arg:a": np.ones(1, "f4"), "arg:b": np.ones(1, "f4")})))
    data[-1:] = b"a"
    with pytest.raises(DamagedError, match="names stand twice"):
        opened(bytes(data))


def test_names_that_are_not_utf8_come_back():
    data = written("mxnet-params", eg.Checkpoint({"arg:a": np.ones(1, "f4")}))[:-1] + b"\xff"
    assert written("mxnet-params", opened(data)) == data


def test_tells_what_other_content_is():
    with pytest.raises(FormatError, match="git lfs pull"):
        opened(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(FormatError, match="empty"):
        opened(b"")
    with pytest.raises(FormatError, match="HTML page"):
        opened(b"\n<!DOCTYPE html><html></html>")
