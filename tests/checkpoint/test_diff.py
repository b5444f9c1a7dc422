"""Two checkpoints compared: everything that differs, in bounded memory."""

import json
import tracemalloc

import numpy as np
import pytest

import evergraph as eg
from evergraph.checkpoint import diff
from evergraph.graph import Graph, Node
from evergraph.tensors import Computed, Tensor
from tests.goldens import MXNET


def test_a_checkpoint_equals_itself_in_every_format(tmp_path):
    found = eg.open(MXNET / "1.9.1/checkpoints/lenet-0001.params")
    for name in ("a.npz", "a.pth", "a.safetensors"):
        eg.save(found, tmp_path / name)
        result = diff(found, eg.open(tmp_path / name))
        assert result.same, result.lines()
        assert result.equal == len(found)


def test_everything_that_differs_is_listed():
    one = {
        "same": np.ones(3),
        "gone": np.ones(2),
        "shape": np.ones((2, 3)),
        "type": np.ones(2, "float32"),
        "value": np.array([1.0, 2.0, np.nan]),
    }
    two = {
        "same": np.ones(3),
        "shape": np.ones((3, 2)),
        "type": np.ones(2, "float16"),
        "value": np.array([1.0, 2.5, np.nan]),
        "new": np.ones(1),
    }
    found = diff(eg.Checkpoint(one), eg.Checkpoint(two))
    assert [(t.name, t.kind) for t in found.tensors] == [
        *(("gone", "missing"), ("shape", "shape"), ("type", "dtype"), ("value", "values"), ("new", "extra")),
    ]
    assert found.lines() == [
        "only in the first: gone float64 2",
        "shape: shape: (2, 3) and (3, 2)",
        "dtype: type: float32 and float16",
        "values: value: 1 of 3 differ, by up to 0.5",
        "only in the second: new float64 1",
        "1 tensor is the same",
    ]
    assert json.loads(json.dumps(found.report()))["same"] is False


@pytest.mark.parametrize(
    ("one", "two", "largest", "count"),
    [
        (np.array([-(2**63), 5]), np.array([2**63 - 1, 5]), 2.0**64, 1),
        (np.array([0, 7], "uint64"), np.array([2**64 - 1, 7], "uint64"), 2.0**64, 1),
        (np.array([0, 255], "uint8"), np.array([255, 0], "uint8"), 255, 2),
        (np.array([True, False]), np.array([True, True]), 1, 1),
        (np.array([np.inf, np.nan]), np.array([np.inf, 1.0]), np.inf, 1),
        (np.array([1 + 1j]), np.array([1 - 1j]), 2, 1),
        (np.array([1e300]), np.array([-1e300]), 2e300, 1),
    ],
)
def test_distances_do_not_overflow(one, two, largest, count):
    (found,) = diff(eg.Checkpoint({"a": one}), eg.Checkpoint({"a": two})).tensors
    assert (found.largest, found.count) == (pytest.approx(largest), count)


def test_small_types_and_sparse_parts_compare():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    one, two = np.array([1, 2], ml_dtypes.bfloat16), np.array([1, 3], ml_dtypes.bfloat16)
    assert diff(eg.Checkpoint({"a": one}), eg.Checkpoint({"a": two})).tensors[0].largest == 1
    sparse = eg.open(MXNET / "1.9.1/ndarray/sparse.nd")
    assert diff(sparse, eg.open(MXNET / "1.9.1/ndarray/sparse.nd")).same


def test_a_tolerance_forgives_small_differences():
    one, two = eg.Checkpoint({"a": np.array([1.0])}), eg.Checkpoint({"a": np.array([1.0001])})
    assert not diff(one, two).same
    assert diff(one, two, tolerance=1e-3).same


def test_order_and_graphs_count():
    a, b = eg.Checkpoint({"x": np.ones(1), "y": np.ones(1)}), eg.Checkpoint({"y": np.ones(1), "x": np.ones(1)})
    assert diff(a, b).order
    assert not diff(a, b).same
    graphs = [Graph((Node("null", n),), heads=((0, 0, 0),)) for n in "uv"]
    found = diff(a.replace(graph=graphs[0]), a.replace(graph=graphs[1]))
    assert found.graph == "in 1 nodes, the first is node 0 'u'"
    assert diff(a.replace(graph=graphs[0]), a).graph == "only the first has one"


def test_hostile_names_do_not_reach_the_terminal():
    found = diff(eg.Checkpoint({"a\x1b[31m": np.ones(1)}), eg.Checkpoint({}))
    assert "\x1b" not in "".join(found.lines())


def test_memory_stays_bounded():
    class Chunks(Computed):
        """100 MB that exist one chunk at a time."""

        def __init__(self, byte):
            super().__init__(100 << 20, bytes, "test")
            self.byte = byte

        def chunks(self):
            for _ in range(100):
                yield bytes([self.byte]) * (1 << 20)

    def huge(byte):
        return eg.Checkpoint({"a": Tensor(eg.Tensor.of(np.uint8(0)).dtype, (100 << 20,), Chunks(byte))})

    tracemalloc.start()
    assert diff(huge(1), huge(2)).tensors[0].count == 100 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
