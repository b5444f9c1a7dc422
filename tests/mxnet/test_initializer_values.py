"""Initializers: moments of large arrays, exact values, attributes and descriptions as of MXNet 1.9.1."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/initializers.json").read_text())
I = mx.init  # noqa: E741

RANDOM = {
    "Uniform": I.Uniform(),
    "Uniform.5": I.Uniform(0.5),
    "Normal": I.Normal(),
    "Normal2": I.Normal(2.0),
    "Zero": I.Zero(),
    "One": I.One(),
    "Constant": I.Constant(3.5),
    "Orthogonal": I.Orthogonal(),
    "OrthogonalN": I.Orthogonal(scale=2.0, rand_type="normal"),
    **{
        f"Xavier-{kind}-{factor}": I.Xavier(rnd_type=kind, factor_type=factor, magnitude=2.5)
        for kind in ("uniform", "gaussian")
        for factor in ("avg", "in", "out")
    },
    **{f"MSRA-{factor}": I.MSRAPrelu(factor, slope=0.1) for factor in ("avg", "in", "out")},
}


def filled(initializer, name, shape, attrs=None, **description):
    array = mx.nd.array(np.full(shape, 9.0))
    initializer(I.InitDesc(name, attrs or {}, **description), array)
    return array.asnumpy()


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("shape", [(64, 96, 5, 5), (300, 200)], ids=["kernel", "matrix"])
def test_draws_from_the_distribution_of_1_9_1(name, shape):
    mean, deviation, least, most, size = RECORDED["stats"][f"{name}{shape}"]
    mx.random.seed(3)
    np.random.seed(3)
    found = filled(RANDOM[name], "w_weight", shape).astype("f8")
    near = 0.02 * max(abs(least), abs(most))
    assert found.mean() == pytest.approx(mean, abs=near)
    assert found.std() == pytest.approx(deviation, rel=0.02, abs=1e-9)
    assert np.abs(found).mean() == pytest.approx(size, rel=0.02, abs=1e-9)
    # extremes: of bounded distributions nearly exact, of others in the right order
    bounded = "Uniform" in name or "uniform" in name or name in ("Zero", "One", "Constant")
    assert found.max() == pytest.approx(most, rel=0.01 if bounded else 0.35)
    assert found.min() == pytest.approx(least, rel=0.01 if bounded else 0.35)


def _fused():
    inner = I.FusedRNN(I.Constant(0.5), num_hidden=2, num_layers=1, mode="lstm", forget_bias=3.0)
    return filled(inner, "r_parameters", (4 * 2 * 3 + 4 * 2 * 2 + 2 * 4 * 2,))


def _mixed(*names):
    return I.Mixed(list(names), [I.Constant(2.0), I.Constant(5.0)][: len(names)])


def _loaded(default=None):
    return I.Load({"arg:a": mx.nd.array([1, 2.0])}, default)


EXACT = {
    "bilinear": lambda: filled(I.Bilinear(), "up_weight", (2, 1, 4, 4)),
    "lstmbias": lambda: filled(I.LSTMBias(2.0), "l_bias", (12,)),
    "lstmbias_attr": lambda: filled(I.Uniform(), "l_bias", (12,), {"__init__": I.LSTMBias(forget_bias=3.0).dumps()}),
    "mixed": lambda: filled(_mixed(".*bias", ".*"), "a_bias", (2,)),
    "mixed2": lambda: filled(_mixed(".*bias", ".*"), "a_weight", (2,)),
    "mixednone": lambda: filled(_mixed(".*bias"), "a_weight", (2,)),
    "load": lambda: filled(_loaded(I.One()), "a", (2,)),
    "loaddefault": lambda: filled(_loaded(I.One()), "b_weight", (2,)),
    "loadbad": lambda: filled(_loaded(), "a", (3,)),
    "loadnone": lambda: filled(_loaded(), "b", (3,)),
    "xavier1d": lambda: filled(I.Xavier(), "a_weight", (3,)),
    "global_init": lambda: filled(I.Uniform(), "q", (2,), {"__init__": ""}, global_init=I.Constant(4.0)),
    "string": lambda: filled(I.One(), "z_weight", (2,)),
    "fused": _fused,
}
WHOLE = {"default": I.One(), "default0": I.Zero(), "uniform": I.Uniform(0.0)}


@pytest.mark.parametrize("name", RECORDED["exact"])
def test_gives_the_values_of_1_9_1_or_refuses_as_it_does(name):
    kind, _, parameter = name.partition(":")
    run = (lambda: filled(WHOLE[kind], parameter, (2, 1, 3, 3))) if parameter else EXACT[kind]
    wanted = RECORDED["exact"][name]
    if isinstance(wanted, str):
        with pytest.raises((ValueError, AssertionError, mx.MXNetError)):
            run()
    else:
        np.testing.assert_allclose(run().ravel(), wanted, atol=1e-6)


@pytest.mark.parametrize("name", RECORDED["dumps"])
def test_writes_itself_as_1_9_1_and_comes_back(name):
    others = {
        "fused": I.FusedRNN(I.Constant(0.5), num_hidden=2, num_layers=1, mode="lstm", forget_bias=3.0),
        "msra": RANDOM["MSRA-avg"],
        "lstm": I.LSTMBias(2.0),
        "xavier": RANDOM["Xavier-uniform-in"],
    }
    text = {**RANDOM, **others}[name].dumps()
    assert text == RECORDED["dumps"][name]
    kind, settings = json.loads(text)
    assert I.create(kind, **settings).dumps() == text
