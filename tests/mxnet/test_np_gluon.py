"""Gluon gives under `mx.npx.set_np()` what MXNet 1.9.1 gave: classes of arrays, shapes, graphs, files and numbers."""

import pytest

import evergraph.mxnet as mx
from tests.mxnet.np_gluon_programs import PROGRAMS
from tests.mxnet.np_recording import recorded, rounded
from tests.mxnet.programs import described, difference

RECORDED = recorded("np_gluon")


@pytest.fixture(autouse=True)
def _classic_afterwards():
    yield
    mx.npx.reset_np()


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_gives_what_mxnet_gave(name):
    found = difference(RECORDED[name], rounded(described(PROGRAMS[name](mx), mx)), rtol=1e-3, atol=1e-4)
    assert not found
