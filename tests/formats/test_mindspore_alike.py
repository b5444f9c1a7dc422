"""Records of layers that are alike are read by the one before them: whatever differs is seen all the same."""

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "layers.ckpt"
    eg.save({f"layer{i}": np.full((3, 5), i, "float32") for i in range(8)}, path)
    return path.read_bytes()


def opened(tmp_path, data):
    path = tmp_path / "changed.ckpt"
    path.write_bytes(data)
    return eg.open(path, format="mindspore-ckpt")


def test_reads_each_of_many_alike(tmp_path, whole):
    found = opened(tmp_path, whole)
    assert [t.numpy()[0, 0] for t in found.values()] == list(range(8))


def test_lists_layers_whose_sizes_types_and_names_alternate(tmp_path):
    kinds, shapes = ["float32", "int8", "float16", "int32"], [(3, 4), (4, 3), (12,), (2, 6)]
    arrays = {}
    for i in range(64):
        kind = kinds[i % 4 if i % 3 else 0]
        arrays[f"{'n' * (i % 5 + 1)}{i:02}"] = np.arange(12).astype(kind).reshape(shapes[i // 2 % 4])
    path = tmp_path / "mixed.ckpt"
    eg.save(arrays, path)
    found = eg.open(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (str(array.dtype), array.shape)
        np.testing.assert_array_equal(found[name].numpy(), array)


@pytest.mark.parametrize("missing", [1, 30, 59, 60, 61, 80])
def test_rejects_a_last_layer_that_is_cut_short(tmp_path, whole, missing):
    with pytest.raises(DamagedError, match="cut short"):
        opened(tmp_path, whole[:-missing])


@pytest.mark.parametrize("place", ["total", "name", "tensor", "size", "type", "content"])
def test_rejects_a_layer_that_says_something_else_than_those_before(tmp_path, whole, place):
    size = len(whole) // 8
    record = whole[size * 5 : size * 6]
    at = {
        "total": 1,
        "name": 3,
        "tensor": record.index(b"\x12", 3) + 1,
        "size": record.index(b"\x08") + 1,
        "type": record.index(b"Float32"),
        "content": record.index(b"\x1a") + 1,
    }[place]
    data = bytearray(whole)
    data[size * 5 + at] += 1
    with pytest.raises(DamagedError):
        opened(tmp_path, bytes(data))


def test_rejects_two_layers_of_one_name(tmp_path, whole):
    with pytest.raises(DamagedError, match="twice"):
        opened(tmp_path, whole.replace(b"layer6", b"layer2"))


@pytest.mark.parametrize("first", [0, 255])
def test_rejects_a_file_that_begins_with_something_else(tmp_path, whole, first):
    for data in (bytes((first,)), bytes((first,)) * 3000, bytes((first,)) + whole):
        with pytest.raises(DamagedError):
            opened(tmp_path, data)


def test_names_that_are_no_text_come_back(tmp_path, whole):
    odd = whole.replace(b"layer6", b"lay\xff\xfe6")
    found = opened(tmp_path, odd)
    eg.save(found, tmp_path / "again.ckpt")
    assert (tmp_path / "again.ckpt").read_bytes() == odd
