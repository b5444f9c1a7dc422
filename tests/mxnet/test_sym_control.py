"""Loops and branches over symbols, against the graphs that MXNet 1.9.1 made of the same programs."""

from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

DATA = Path(__file__).parents[1] / "data/mxnet/1.9.1/control"


def loop():
    w = mx.sym.Variable("w")

    def body(x, s):
        return x * w + s, s * 0.5 + x

    out, last = mx.sym.contrib.foreach(body, mx.sym.Variable("data"), mx.sym.Variable("s0"))
    return mx.sym.Group([out, last])


def repeat():
    def step(i, v):
        return v * 2, (i + 1, mx.sym.broadcast_add(v, i))

    variables = [mx.sym.Variable("i"), mx.sym.Variable("v")]
    outs, last = mx.sym.contrib.while_loop(lambda i, v: i < 3, step, variables, max_iterations=5)
    return mx.sym.Group([outs[0] if isinstance(outs, list) else outs, *last])


def branch():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    return mx.sym.contrib.cond(a.sum() > 0.5, lambda: a * 2 + b, lambda: a - b)


PROGRAMS = {"foreach": loop, "while_loop": repeat, "cond": branch}


def strip(nodes):
    """What a graph computes, without the numbers that names of nodes count."""
    found = []
    for node in nodes:
        attrs = dict(node.attrs)
        inner = [strip(s.nodes) for s in node.subgraphs]
        found.append((node.op, node.inputs, attrs, inner, node.name.rstrip("0123456789")))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_makes_the_graph_of_1_9_1(name, monkeypatch):
    monkeypatch.setattr(mx.AttrScope, "_subgraph_names", type(mx.AttrScope._subgraph_names)(int))
    with mx.name.NameManager():
        made = PROGRAMS[name]()
    theirs = mx.sym.load(str(DATA / f"{name}.json"))
    assert strip(made.graph.nodes) == strip(theirs.graph.nodes)
    assert made.graph.heads == theirs.graph.heads


@pytest.mark.parametrize("name", PROGRAMS)
def test_computes_what_1_9_1_computed(name):
    io = np.load(DATA / f"{name}-io.npz")
    made = PROGRAMS[name]()
    given = {n: mx.nd.array(io[f"in:{n}"]) for n in made.list_arguments()}
    for i, each in enumerate(made.eval(**given)):
        # behind the steps that ran, MXNet leaves what was in memory
        rows = 3 if (name, i) == ("while_loop", 0) else None
        assert np.allclose(each.asnumpy()[:rows], io[f"out:{i}"][:rows], rtol=1e-5, atol=1e-5)


def test_a_loop_reads_what_stands_outside():
    x, h = mx.sym.Variable("x"), mx.sym.Variable("h") * 10
    out, last = mx.sym.contrib.foreach(lambda e, s: (e + h, s + e), x, mx.sym.Variable("s"))
    given = {"x": mx.nd.array([[1], [2]]), "h": mx.nd.array([3]), "s": mx.nd.zeros((1,))}
    found = mx.sym.Group([out, last]).eval(**given)
    assert found[0].asnumpy().tolist() == [[31], [32]]
    assert found[1].asnumpy().tolist() == [3]


def test_layers_inside_a_loop_have_parameters_and_gradients():
    def body(x, s):
        h = mx.sym.FullyConnected(x, num_hidden=2, name="fc") + s
        return h, h

    out, _ = mx.sym.contrib.foreach(body, mx.sym.Variable("x"), mx.sym.Variable("s"))
    assert out.list_arguments() == ["x", "s", "fc_weight", "fc_bias"]
    given = {"x": mx.nd.ones((3, 1, 2)), "s": mx.nd.zeros((1, 2))}
    given |= {"fc_weight": mx.nd.ones((2, 2)), "fc_bias": mx.nd.ones((2,))}
    run = out.bind(mx.cpu(), given, args_grad={"fc_bias": mx.nd.zeros((2,))})
    run.forward(is_train=True)
    run.backward(mx.nd.ones((3, 1, 2)))
    assert run.outputs[0].asnumpy()[:, 0, 0].tolist() == [3, 6, 9]
    assert run.grad_dict["fc_bias"].asnumpy().tolist() == [6, 6]


def test_loops_may_stand_inside_loops():
    def outer(row, s):
        inner, last = mx.sym.contrib.foreach(lambda e, t: (e + t, e + t), row, s)
        return inner, last

    out, last = mx.sym.contrib.foreach(outer, mx.sym.Variable("x"), mx.sym.Variable("s"))
    x = mx.nd.array([[[1], [2]], [[3], [4]]])
    found = mx.sym.Group([out, last]).eval(x=x, s=mx.nd.zeros((1,)))
    assert found[0].asnumpy().ravel().tolist() == [1, 3, 6, 10]


def test_refuses_a_state_that_the_body_does_not_use():
    with pytest.raises(AssertionError, match="have to be used"):
        mx.sym.contrib.foreach(lambda x, s: (x, x * 2), mx.sym.Variable("x"), mx.sym.Variable("s"))


def test_refuses_branches_of_other_numbers_of_outputs():
    a = mx.sym.Variable("a")
    with pytest.raises(ValueError, match="Number of outputs differs"):
        mx.sym.contrib.cond(a, lambda: [a, a * 2], lambda: a + 1)
