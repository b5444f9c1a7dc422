"""Eight-bit operators against random inputs that MXNet 1.9.1 ran with oneDNN.

Weights lie within 7 bits: on processors without integer dot products, oneDNN's sums of pairs overflow 16 bits beyond.
"""

import json

import numpy as np
import pytest

from evergraph.mxnet import nd
from evergraph.mxnet.ndarray.functions import function
from tests.goldens import MXNET, near

CASES = json.loads((MXNET / "recorded" / "quantized.json").read_text())
ARRAYS = np.load(MXNET / "recorded" / "quantized.npz")


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{c['op']}-{i}" for i, c in enumerate(CASES)])
def test_gives_the_recorded_integers_and_ranges(number):
    case = CASES[number]
    values = [ARRAYS[f"{number}:in:{i}"] for i in range(case["inputs"])]
    found = function(case["op"])(*[nd.array(v, dtype=v.dtype) for v in values], **case["params"])
    found = found if isinstance(found, list) else [found]
    assert len(found) == case["outputs"]
    for i, each in enumerate(found):
        want, got = ARRAYS[f"{number}:out:{i}"], each.asnumpy()
        assert got.dtype == want.dtype
        if want.dtype.kind in "iu":
            assert got.shape == want.shape
            assert np.array_equal(got, want), f"output {i}"
        else:
            near(got, want, 1e-5, 1e-6, f"output {i}")


def test_records_every_eight_bit_operator_of_the_quantizer():
    kinds = [
        "conv",
        "fully_connected",
        "pooling",
        "flatten",
        "act",
        "concat",
        "elemwise_add",
        "batch_norm",
        "embedding",
    ]
    wanted = {f"_contrib_quantized_{k}" for k in kinds}
    wanted |= {"_contrib_quantize", "_contrib_quantize_v2", "_contrib_dequantize", "_contrib_requantize"}
    assert wanted <= {c["op"] for c in CASES}
