"""Values read into memory of their own: the same values, apart from the file and from each other."""

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import StoreError
from evergraph.stores import open_source
from evergraph.tensors import CSR, MAP, Extent, Joined, Tensor
from evergraph.tensors.memory import ALIGNED, BLOCK, Arena, fill


def address(memory):
    return np.frombuffer(memory, "u1").ctypes.data


def test_memory_is_aligned_writable_and_nobody_elses():
    arena, sizes = Arena(), [1, 63, 64, 65, 0, 4096, BLOCK // 4, BLOCK // 4 + 1, BLOCK - 1, BLOCK * 2, 7] * 3
    taken = [arena.take(n) for n in sizes]
    for number, memory in enumerate(taken):
        assert len(memory) == sizes[number]
        memory[:] = bytes((number,)) * len(memory)
    for number, memory in enumerate(taken):
        assert bytes(memory[:1]) in (b"", bytes((number,)))
        assert bytes(memory[-1:]) in (b"", bytes((number,)))
        assert not len(memory) or address(memory) % ALIGNED == 0


def test_loads_the_same_values_and_leaves_the_file(tmp_path):
    path, rng = tmp_path / "w.ckpt", np.random.default_rng(0)
    arrays = {f"w{i}": rng.standard_normal((i, 7)).astype(kind) for i, kind in enumerate(["f4", "f2", "i8", "u1"])}
    eg.save(arrays, path)
    found = eg.open(path)
    held = found.load()
    assert (held.format, list(held)) == (found.format, list(found))
    path.write_bytes(b"something else")
    for name, array in arrays.items():
        np.testing.assert_array_equal(held[name].numpy(), array)
        assert held[name].numpy().flags.aligned
        assert held[name].dtype == found[name].dtype
    with pytest.raises(StoreError, match="changed"):
        found["w1"].numpy()


def test_loads_sparse_entries_with_their_parts(tmp_path):
    path = tmp_path / "sparse.params"
    data, indices, indptr = (Tensor.of(np.array(v)) for v in ([1.0, 2.0], [0, 2], [0, 1, 2]))
    eg.save({"arg:s": Tensor.sparse(CSR, (2, 3), data, indices, indptr)}, path)
    held = eg.open(path).load()["arg:s"]
    path.unlink()
    assert (held.storage, sorted(held.parts)) == (CSR, ["data", "indices", "indptr"])
    assert held.blob is held.data.blob
    np.testing.assert_array_equal(held.numpy(), [[1, 0, 0], [0, 0, 2]])


def test_what_was_loaded_is_saved_as_what_was_opened(tmp_path):
    path, again = tmp_path / "m.ckpt", tmp_path / "again.ckpt"
    keys, status = Tensor.of(np.arange(3, dtype="int32")), Tensor.of(np.zeros(3, "int32"))
    values = Tensor.of(np.ones((3, 2), "float32"))
    parts = {"keys": keys, "values": values, "status": status}
    table = Tensor(values.dtype, values.shape, values.blob, MAP, parts)
    eg.save({"table": table, "text": "words", "none": np.zeros((0, 3), "float32")}, path, crc_check=True)
    eg.save(eg.open(path).load(), again)
    assert again.read_bytes() == path.read_bytes()


def test_fills_from_pieces_that_stand_apart(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(100)))
    with open_source(path) as source:
        into = memoryview(bytearray(5))
        fill(Joined([Extent(source, 90, 3), Extent(source, 2, 2)]), into)
    assert bytes(into) == bytes([90, 91, 92, 2, 3])[:5]
