"""Recording and gradients: what MXNet 1.9.1 gave, gradients of higher order, and what MXNet cannot do."""

import math
import threading

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, nd
from tests.mxnet.programs import check, recorded


@pytest.mark.parametrize(("program", "want"), recorded("autograd"))
def test_differentiates_as_mxnet(program, want):
    check(program, want, mx)


def test_gradients_of_gradients_are_the_derivatives():
    x = nd.array([0.3, 1.0, 2.0])
    x.attach_grad()
    with autograd.record():
        first = autograd.grad(nd.sin(x), [x], create_graph=True, retain_graph=True)[0]
        second = autograd.grad(first, [x], create_graph=True, retain_graph=True)[0]
    second.backward()
    values = [0.3, 1.0, 2.0]
    assert np.allclose(first.asnumpy(), [math.cos(v) for v in values], atol=1e-6)
    assert np.allclose(second.asnumpy(), [-math.sin(v) for v in values], atol=1e-6)
    assert np.allclose(x.grad.asnumpy(), [-math.cos(v) for v in values], atol=1e-6)


def test_recording_in_one_thread_leaves_others_alone():
    seen = []
    with autograd.record():
        worker = threading.Thread(target=lambda: seen.append((autograd.is_recording(), autograd.is_training())))
        worker.start()
        worker.join()
        assert autograd.is_recording()
    assert seen == [(False, False)]


def test_threads_differentiate_side_by_side():
    found = {}

    def work(scale):
        x = nd.ones((4,))
        x.attach_grad()
        for _ in range(20):
            with autograd.record():
                y = (x * x * scale).sum()
            y.backward()
        found[scale] = x.grad.asnumpy()

    threads = [threading.Thread(target=work, args=(s,)) for s in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {k: v.tolist() for k, v in found.items()} == {s: [2.0 * s] * 4 for s in range(1, 5)}


def test_a_gradient_array_is_one_object_over_its_life():
    x = nd.ones((2,))
    x.attach_grad()
    kept = x.grad
    with autograd.record():
        y = x * 3
    y.backward()
    assert kept.asnumpy().tolist() == [3, 3]


def test_an_exception_ends_the_scope_that_it_leaves():
    with pytest.raises(RuntimeError, match="stop"), autograd.record():
        raise RuntimeError("stop")
    assert not autograd.is_recording()
    assert not autograd.is_training()


def test_refuses_a_function_whose_backward_gives_too_few():
    class Bad(autograd.Function):
        def forward(self, *inputs):
            return inputs[0] + inputs[1]

        def backward(self, *output_grads):
            return output_grads[0]

    a, b = nd.ones((1,)), nd.ones((1,))
    a.attach_grad()
    with autograd.record():
        y = Bad()(a, b)
    with pytest.raises(mx.MXNetError, match="as many arrays"):
        y.backward()
