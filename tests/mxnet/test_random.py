"""Random numbers: streams that repeat, one for each context, and the distributions' own moments."""

import math

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import nd

COUNT = 40_000
# draw, mean, variance
DISTRIBUTIONS = {
    "uniform": (lambda **k: nd.random.uniform(2, 5, **k), 3.5, 9 / 12),
    "normal": (lambda **k: nd.random.normal(1, 2, **k), 1, 4),
    "exponential": (lambda **k: nd.random.exponential(3, **k), 3, 9),
    "gamma": (lambda **k: nd.random.gamma(4, 0.5, **k), 2, 1),
    "poisson": (lambda **k: nd.random.poisson(6, **k), 6, 6),
    "negative_binomial": (lambda **k: nd.random.negative_binomial(5, 0.4, **k), 5 * 0.6 / 0.4, 5 * 0.6 / 0.16),
    "generalized_negative_binomial": (
        lambda **k: nd.random.generalized_negative_binomial(3, 0.5, **k),
        3,
        3 + 0.5 * 9,
    ),
    "randint": (lambda **k: nd.random.randint(0, 10, **k), 4.5, 99 / 12),
}


@pytest.fixture(autouse=True)
def _seeded():
    mx.random.seed(7)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_draws_have_the_moments_of_their_distribution(name):
    draw, mean, variance = DISTRIBUTIONS[name]
    found = draw(shape=(COUNT,)).asnumpy().astype("float64")
    assert abs(found.mean() - mean) < 5 * math.sqrt(variance / COUNT)
    assert abs(found.var() / variance - 1) < 0.1


def test_parameters_of_each_row_draw_that_row():
    low, high = nd.array([0, 100]), nd.array([1, 200])
    found = nd.random.uniform(low, high, shape=500).asnumpy()
    assert found.shape == (2, 500)
    assert 0 <= found[0].min() <= found[0].max() < 1
    assert 100 <= found[1].min() <= found[1].max() < 200


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_the_same_seed_gives_the_same_numbers(name):
    draw = DISTRIBUTIONS[name][0]
    mx.random.seed(11)
    first = draw(shape=(5,)).asnumpy()
    again_later = draw(shape=(5,)).asnumpy()
    mx.random.seed(11)
    assert np.array_equal(draw(shape=(5,)).asnumpy(), first)
    assert np.array_equal(draw(shape=(5,)).asnumpy(), again_later)


def test_each_context_has_a_stream_of_its_own():
    mx.random.seed(3)
    alone = nd.random.uniform(shape=4, ctx=mx.cpu(1)).asnumpy()
    mx.random.seed(3)
    nd.random.uniform(shape=100, ctx=mx.cpu(0))
    assert np.array_equal(nd.random.uniform(shape=4, ctx=mx.cpu(1)).asnumpy(), alone)
    mx.random.seed(3, ctx=mx.cpu(0))
    first = nd.random.uniform(shape=4).asnumpy()
    nd.random.uniform(shape=9, ctx=mx.cpu(1))
    mx.random.seed(3, ctx=mx.cpu(0))
    assert np.array_equal(nd.random.uniform(shape=4).asnumpy(), first)


def test_shuffles_rows_whole():
    x = nd.arange(60).reshape((20, 3))
    found = nd.random.shuffle(x).asnumpy()
    assert not np.array_equal(found, x.asnumpy())
    assert sorted(map(tuple, found)) == sorted(map(tuple, x.asnumpy()))


def test_draws_classes_by_their_probability():
    found, log = nd.random.multinomial(nd.array([0.1, 0.0, 0.9]), shape=COUNT, get_prob=True)
    counts = np.bincount(found.asnumpy(), minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] / COUNT - 0.1) < 0.01
    assert np.allclose(np.exp(log.asnumpy()), np.array([0.1, 0, 0.9])[found.asnumpy()], atol=1e-5)
    assert found.dtype == np.int32


def test_dropout_keeps_the_mean_and_its_own_zeros():
    x = nd.ones((COUNT,))
    x.attach_grad()
    with mx.autograd.record():
        y = nd.Dropout(x, p=0.3)
    y.backward()
    found = y.asnumpy()
    assert abs((found == 0).mean() - 0.3) < 0.02
    assert np.array_equal(x.grad.asnumpy(), found)
    assert np.array_equal(nd.Dropout(x, p=0.3).asnumpy(), x.asnumpy())


def test_draws_into_an_array():
    x = nd.zeros((COUNT,), dtype="float64")
    assert nd.random.uniform(1, 2, out=x) is x
    assert 1 <= x.asnumpy().min() <= x.asnumpy().max() < 2


@pytest.mark.parametrize("seed", ["a", 1.5, None])
def test_refuses_a_seed_that_is_no_integer(seed):
    with pytest.raises(ValueError, match="int"):
        mx.random.seed(seed)
