"""Arrays in files and pickles of every release, and arrays that other libraries share."""

import copy
import pickle

import numpy as np
import pytest
import torch

import evergraph.mxnet as mx
from evergraph.mxnet import nd
from tests.goldens import MXNET, RELEASES

FILES = sorted(p for r in RELEASES for p in (MXNET / r / "ndarray").glob("*.nd"))
PICKLES = sorted(p for r in RELEASES for p in (MXNET / r / "pickle").glob("ndarray_*.pkl"))


def named(path):
    return "/".join(path.parts[-3:])


@pytest.mark.parametrize("path", FILES, ids=named)
def test_loads_what_a_release_saved(path):
    found = nd.load(str(path))
    arrays = found if isinstance(found, dict) else {str(i): v for i, v in enumerate(found)}
    if not path.with_suffix(".npz").exists():
        return
    for key, want in np.load(path.with_suffix(".npz"), allow_pickle=False).items():
        if key == "original_float32":  # before it was rounded
            continue
        name, _, part = key.rpartition(":")
        if name and name in arrays:
            got = getattr(arrays[name], part).asnumpy()
        elif key == "x_as_float32":
            got = next(iter(arrays.values())).asnumpy().astype("float32")
        else:
            got = arrays[key].asnumpy()
        assert got.shape == want.shape
        assert np.array_equal(got, want.astype(got.dtype), equal_nan=want.dtype.kind == "f")


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[-3] == "1.9.1" and "mp" not in p.name], ids=named)
def test_saves_the_same_bytes_again(path, tmp_path):
    nd.save(str(tmp_path / "again"), nd.load(str(path)))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", PICKLES, ids=named)
def test_reads_pickles_of_every_release(path):
    # trusted files of our own; programs unpickle in this way
    with path.open("rb") as file:
        found = pickle.load(file, encoding="latin1")  # noqa: TID251
    wanted = dict(np.load(path.with_name("ndarray.npz")))
    arrays = {"a": found["a"], "b": found["l"][0]} if isinstance(found, dict) else {path.name[8]: found}
    for name, array in arrays.items():
        assert isinstance(array, nd.NDArray)
        assert np.array_equal(array.asnumpy(), wanted[name])


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("stype", ["default", "csr", "row_sparse"])
def test_pickles_name_mxnets_classes_and_hold_one_record(protocol, stype):
    content = pickle.dumps(nd.eye(3).tostype(stype), protocol)
    assert b"mxnet.ndarray" in content
    assert b"evergraph" not in content
    again = pickle.loads(content)  # noqa: TID251
    assert (again.stype, again.asnumpy().tolist()) == (stype, np.eye(3).tolist())


def test_copies_own_their_memory():
    x = nd.ones((2,))
    for made in (copy.copy(x), copy.deepcopy(x), x.copy(), nd.array(x)):
        made[:] = 5
    assert x.asnumpy().tolist() == [1, 1]


def test_shares_memory_through_dlpack_and_numpy_both_ways():
    x = nd.ones((2, 2))
    tensor = torch.from_dlpack(x.to_dlpack_for_write())
    tensor[0, 0] = 4
    assert x[0, 0].asscalar() == 4
    torch.from_dlpack(x)[1, 1] = 6
    assert x[1, 1].asscalar() == 6
    source = torch.zeros(3)
    y = nd.from_dlpack(source)
    y[1] = 2
    assert source.tolist() == [0, 2, 0]
    values = np.zeros(3, "float32")
    z = nd.from_numpy(values)
    z[2] = 9
    assert values.tolist() == [0, 0, 9]
    assert not values.flags.writeable


def test_numpy_functions_take_arrays():
    x = nd.array([[3, 1], [2, 4]])
    assert np.argmax(x) == 3
    assert np.all(x)
    assert np.array(x, dtype="int64").tolist() == [[3, 1], [2, 4]]
    assert np.asarray(x).dtype == np.float32
    changed = np.array(x)
    changed[:] = 0
    assert x.asnumpy().sum() == 10


def test_says_where_a_damaged_file_is_damaged(tmp_path):
    nd.save(str(tmp_path / "a"), {"w": nd.ones((100,))})
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "b").write_bytes(content[:200])
    with pytest.raises(mx.MXNetError, match="b"):
        nd.load(str(tmp_path / "b"))


def test_a_failed_save_keeps_the_old_file(tmp_path):
    nd.save(str(tmp_path / "a"), [nd.ones((2,))])
    with pytest.raises(TypeError):
        nd.save(str(tmp_path / "a"), [nd.ones((2,)), "text"])
    assert nd.load(str(tmp_path / "a"))[0].asnumpy().tolist() == [1, 1]
