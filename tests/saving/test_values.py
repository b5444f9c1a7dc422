"""Plain values with arrays among them come back as they were, and trees that lie are refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergraph.errors import DamagedError
from evergraph.saving.values import Packer, Stored, unpack

KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False) | st.tuples(st.integers())
LEAVES = KEYS | st.floats() | st.binary(max_size=5) | st.sampled_from([np.float32(0.1), np.int64(3), np.bool_(True)])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(st.text(alphabet="$ab", max_size=3), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
        | st.frozensets(st.integers() | st.frozensets(st.text(max_size=2), max_size=2), max_size=3)
        | st.binary(max_size=3).map(bytearray)
    ),
)


def same(a, b):
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(x, y) for p, q in zip(a.items(), b.items(), strict=True) for x, y in zip(p, q, strict=True)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b and (isinstance(a, (set, frozenset)) or repr(a) == repr(b))  # a set's order is nobody's


@given(VALUES)
def test_values_come_back_through_json_as_they_were(value):
    packer = Packer()
    text = json.dumps(packer.pack(value, "v"), allow_nan=False)
    assert not packer.unknown
    assert same(unpack(json.loads(text), packer.tensors), value)


def test_arrays_stand_among_tensors_under_names_of_their_own():
    value = {"a/b": np.arange(3), "a": {"b": np.eye(2)}, "rows": [np.zeros((0, 2), "float16")]}
    packer = Packer()
    found = unpack(json.loads(json.dumps(packer.pack(value, "v"))), packer.tensors)
    assert list(packer.tensors) == ["v/a/b", "v/a/b'", "v/rows/0"]
    assert isinstance(found["a"]["b"], Stored)
    np.testing.assert_array_equal(found["a/b"].tensor.numpy(), value["a/b"])
    np.testing.assert_array_equal(found["a"]["b"].tensor.numpy(), np.eye(2))
    assert found["rows"][0].tensor.dtype == "float16"


def test_says_where_values_stand_that_no_file_can_hold():
    packer = Packer()
    packer.pack({"good": 1, "bad": [object(), np.array([object()])]}, "state")
    assert packer.unknown == ["state/bad/0: object", "state/bad/1: ndarray"]


@pytest.mark.parametrize(
    "tree",
    [
        {"$tensor": "missing", "kind": "numpy"},
        {"$tensor": ["x"], "kind": "numpy"},
        {"$tensor": "w"},
        {"$run": "code"},
        {"$tuple": 3},
        {"$map": [[1]]},
        {"$map": [[[1], 2]]},
        {"$float": "1.5"},
        {"$number": ["O", "00"]},
        {"$number": ["float32", "00"]},
        {"$bytes": "zz"},
        {"$bytes": 3},
        {"$bytearray": 3},
        {"$frozenset": 3},
        {"$frozenset": [[1]]},
        {"$tuple": [], "$set": []},
    ],
    ids=json.dumps,
)
def test_rejects_trees_that_lie(tree):
    with pytest.raises(DamagedError, match="cannot be read"):
        unpack({"deep": [tree]}, {"w": None})


def test_rejects_trees_without_a_bottom():
    tree = 1
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(DamagedError):
        unpack(tree, {})
