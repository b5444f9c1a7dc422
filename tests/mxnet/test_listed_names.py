"""Operators that programs use and that no table of values holds, each in a small use whose results MXNet 1.9.1 gave."""

import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.goldens import MXNET

RECORDED = json.loads((MXNET / "recorded" / "listed_names.json").read_text())


def told(value):
    """A result as it was recorded: kind, element type, shape, values, and the parts of sparse arrays."""
    if isinstance(value, mx.nd.NDArray):
        row = ["nd", np.dtype(value.dtype).name, list(value.shape)]
        if value.stype != "default":
            row += [value.stype, told(value.data.asnumpy()), told(value.indices.asnumpy())]
        return [*row, numbers(value.asnumpy())]
    if isinstance(value, np.ndarray):
        return ["np", value.dtype.name, list(value.shape), numbers(value)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(told, value)]
    return value


def numbers(array):
    return [round(float(v), 4) for v in array.ravel().astype("f8")]


def same(found, wanted):
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, float):
        return found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    return found == wanted


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_gives_what_mxnet_gave(number):
    program = RECORDED[number]["program"]
    names = {"mx": mx, "nd": mx.nd, "sym": mx.sym, "np": np, "I": mx.nd._internal, "x": mx.nd.array([1, 2, 3])}
    names["c"] = mx.nd.sparse.csr_matrix(([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3]), shape=(2, 3))
    names["r"] = mx.nd.sparse.row_sparse_array(([[1.0, 2.0], [3.0, 4.0]], [0, 2]), shape=(4, 2))
    *lines, last = program.split("\n")
    exec("\n".join(lines), names)
    found = told(eval(last, names))
    assert same(found, RECORDED[number]["result"]), f"{program}\n{found}\n{RECORDED[number]['result']}"
