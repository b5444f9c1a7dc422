"""Every layer, loss and operator of `cells` gives MindSpore 2.10's outputs, gradients and state."""

import json
import warnings

import numpy as np
import pytest

import evergraph.mindspore as ms
from evergraph.mindspore import nn, ops
from tests.goldens import MINDSPORE, near
from tests.mindspore.cells import FAULTS, evaluated

LINES = json.loads((MINDSPORE / "cells.json").read_text())
ARRAYS = dict(np.load(MINDSPORE / "cells.npz"))
# what MindSpore returns besides the value itself
KEYS = {n: [k for k in ARRAYS if k.startswith(f"{n}|")] for n in range(len(LINES))}


def compare(text, found, wanted, keys, mark):
    for key in keys:
        name = key.partition("|")[2]
        if not name.startswith(mark) or name.startswith(f"{mark}names:") or name in FAULTS.get(text, ()):
            continue
        assert name.removeprefix(mark) in found, f"{text}: {name} is not there"
        got, want = np.asarray(found[name.removeprefix(mark)]), wanted[key]
        assert got.dtype == want.dtype, f"{text}, {name}: {got.dtype} for {want.dtype}"
        near(got, want, 2e-4, 2e-5, f"{text}, {name}")


@pytest.mark.parametrize("number", range(len(LINES)), ids=[row["text"] for row in LINES])
def test_gives_mindspores_values(number):
    row = LINES[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = evaluated(ms, nn, ops, row["text"], row["inputs"], False)
        names = [k for k in found if k.startswith("names:")]
        recorded = [k.partition("|")[2] for k in KEYS[number]]
        assert names == [k for k in recorded if k.startswith("names:")]
        compare(row["text"], found, ARRAYS, [k for k in KEYS[number] if "|train " not in k], "")
        if row["group"] != "operators":
            trained = evaluated(ms, nn, ops, row["text"], row["inputs"], True)
            compare(row["text"], trained, ARRAYS, [k for k in KEYS[number] if "|train " in k], "train ")
