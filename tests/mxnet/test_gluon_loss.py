"""Gluon's losses, values and gradients, against what MXNet 1.9.1 computed."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.gluon import loss

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/gluon_losses.json").read_text())


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("name", RECORDED)
def test_losses_are_those_of_1_9_1(name, hybrid):
    row = RECORDED[name]
    if hybrid and row["loss"].startswith("SDML"):
        pytest.skip("asks arrays for their shapes, as MXNet's does")
    made = eval("loss." + row["loss"], {"loss": loss})
    made.hybridize(hybrid)
    assert repr(made) == row["repr"]
    inputs = [mx.nd.array(v) for v in row["inputs"]]
    inputs[0].attach_grad()
    with mx.autograd.record():
        found = made(*inputs)
    found.backward()
    assert np.allclose(found.asnumpy(), row["out"], rtol=1e-5, atol=1e-5)
    assert np.allclose(inputs[0].grad.asnumpy(), row["grad"], rtol=1e-4, atol=1e-5)


def test_refuses_layouts_that_it_does_not_know():
    with pytest.raises(AssertionError, match="NTC or TNC"):
        loss.CTCLoss(layout="CNT")
    with pytest.raises(ValueError, match="signed or binary"):
        loss.LogisticLoss(label_format="plain")
