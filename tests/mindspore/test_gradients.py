"""Gradients of gradients, of cells with gradients of their own, hooks: what MindSpore 2.10 answers on a CPU."""

import numpy as np
import pytest

import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import Parameter, Tensor, nn, ops

X, Y = Tensor([3.0]), Tensor([5.0])
WEIGHT = Parameter(Tensor([2.0]), name="pp")


def plain(value):
    """Tensors as lists."""
    if isinstance(value, Tensor):
        return value.asnumpy().tolist()
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def product(x, y):
    return x * y + y


class Scaled(nn.Cell):
    def construct(self, x):
        return x * x

    def bprop(self, x, out, dout):
        return (dout * 100,)


class Pair(nn.Cell):
    def construct(self, a, b):
        return a * b, a + b

    def bprop(self, a, b, out, dout):
        return dout[0] * 10, dout[1] * 20


class Around(nn.Cell):
    def __init__(self):
        super().__init__()
        self.inner, self.w = Scaled(), Parameter(Tensor([2.0]), name="w")

    def construct(self, x):
        return self.inner(x * self.w) * 3


def penalty(x):
    return (ms.grad(lambda y: (y**3).sum())(x) ** 2).sum()


AROUND = Around()
CASES = {
    "of a gradient": (lambda: ms.grad(ms.grad(lambda x: x**3))(X), [18.0]),
    "of a gradient's gradient": (lambda: ms.grad(ms.grad(ms.grad(lambda x: x**3)))(X), [6.0]),
    "of a gradient's norm": (lambda: ms.grad(penalty)(Tensor([1.0, 2.0])), [36.0, 288.0]),
    "ids of inputs": (lambda: ms.grad(product, (0, 1), return_ids=True)(X, Y), ((0, [5.0]), (1, [4.0]))),
    "ids beside values": (
        lambda: ms.value_and_grad(product, (0, 1), return_ids=True)(X, Y),
        ([20.0], ((0, [5.0]), (1, [4.0]))),
    ),
    "ids of weights": (
        lambda: ms.grad(lambda x: x * WEIGHT, 0, [WEIGHT], return_ids=True)(X),
        ((0, [2.0]), (("pp", [3.0]),)),
    ),
    "chosen by position": (lambda: ms.get_grad(ms.grad(product, (0, 1), return_ids=True)(X, Y), 1), [4.0]),
    "chosen by weight": (
        lambda: ms.get_grad(ms.grad(lambda x: x * WEIGHT, 0, [WEIGHT], return_ids=True)(X), WEIGHT),
        [3.0],
    ),
    "backward Jacobian": (lambda: ms.jacrev(product, (0, 1))(X, Y), ([[5.0]], [[4.0]])),
    "forward Jacobian": (lambda: ms.jacfwd(product, (0, 1))(X, Y), ([[5.0]], [[4.0]])),
    "Jacobian times vector": (lambda: ms.jvp(product, (X, Y), (X, Y)), ([20.0], [35.0])),
    "vector times Jacobian": (lambda: ms.vjp(lambda x: x**3, X)[1](Tensor([1.0])), ([27.0],)),
    "vector times two Jacobians": (lambda: ms.vjp(product, X, Y)[1](Tensor([2.0])), ([10.0], [8.0])),
    "vector times weights' Jacobian": (
        lambda: ms.vjp(lambda x: x * WEIGHT, X, weights=(WEIGHT,))[1](Tensor([2.0])),
        (([4.0],), ([6.0],)),
    ),
    "beside auxiliary output": (lambda: ms.vjp(lambda x: (x**3, x), X, has_aux=True)[2], [3.0]),
    "of a cell's own": (lambda: ms.grad(Scaled())(X), [100.0]),
    "of a cell's own for two outputs": (lambda: ms.grad(Pair(), (0, 1))(X, Y), ([10.0], [20.0])),
    "of a cell's own within a network": (
        lambda: ms.grad(AROUND, 0, AROUND.trainable_params())(X),
        ([600.0], ([900.0],)),
    ),
    "through what depends on nothing": (lambda: ms.grad(lambda x: Tensor([1.0]))(X), [0.0]),
    "of an input beside a number": (lambda: ms.grad(lambda x, y: x * y)(X, 2), [2.0]),
}


@pytest.mark.parametrize("case", CASES)
def test_gives_mindspores_gradients(case):
    run, wanted = CASES[case]
    assert plain(run()) == wanted


def test_maps_a_function_over_an_axis():
    found = ops.vmap(lambda a, b: a * b.sum(), (1, None), 0)(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([1.0, 2.0]))
    np.testing.assert_array_equal(found.asnumpy(), [[3, 9], [6, 12]])


def test_hooks_see_and_replace_gradients():
    net, x, seen = nn.Dense(2, 2, weight_init="ones"), Tensor([[1.0, 2.0]]), []
    watch = net.register_backward_hook(lambda cell, inputs, outputs: seen.append(plain(inputs + outputs)))
    assert plain(ms.grad(net)(x)) == [[2.0, 2.0]]
    assert seen == [([[2.0, 2.0]], [[1.0, 1.0]])]
    watch.remove()
    double = net.register_backward_hook(lambda cell, inputs, outputs: (inputs[0] * 2,))
    assert plain(ms.grad(net)(x)) == [[4.0, 4.0]]
    double.remove()
    triple = net.register_backward_pre_hook(lambda cell, outputs: outputs[0] * 3)
    assert plain(ms.grad(net)(x)) == [[6.0, 6.0]]
    triple.remove()
    assert plain(ms.grad(net)(x)) == [[2.0, 2.0]]


def test_hooks_of_tensors_replace_their_gradients():
    def inner(x):
        middle = x * 3
        middle.register_hook(lambda gradient: gradient * 2)
        return (middle * 2).sum()

    assert plain(ms.grad(inner)(Tensor([[1.0, 2.0]]))) == [[12.0, 12.0]]
    times_five = WEIGHT.register_hook(lambda gradient: gradient * 5)
    assert plain(ms.grad(lambda x: x * WEIGHT, None, [WEIGHT])(X)) == ([15.0],)
    times_five.remove()


def test_refuses_gradients_that_there_are_not():
    with pytest.raises(UsageError, match="fewer inputs"):
        ms.grad(lambda x, y: x * y, 5)(X, X)
    with pytest.raises(UsageError, match="Tensors of fractions"):
        ms.grad(lambda x: x)((X, Y))
    with pytest.raises(UsageError, match="flow through"):
        Tensor([1.0]).register_hook(print)
