"""What random comparisons with MXNet 1.9.1 showed: which arguments, shapes, keys and operands are taken or refused."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, nd, sym
from evergraph.mxnet.base import MXNetError

OUTSIDE = [
    ("FullyConnected", {"num_hidden": -1}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 0}),
    ("Convolution", {"kernel": (1, 1), "num_filter": 100_001}),
    ("Deconvolution", {"kernel": (1, 1), "num_filter": 0}),
    ("Embedding", {"input_dim": 0, "output_dim": 2}),
    ("Embedding", {"input_dim": 2, "output_dim": 0}),
    ("SoftmaxOutput", {"smooth_alpha": 1.5}),
    ("SoftmaxOutput", {"smooth_alpha": -0.1}),
    ("Dropout", {"p": 1.5}),
    ("Dropout", {"p": -0.1}),
    ("RNN", {"state_size": 1, "num_layers": 1, "mode": "lstm", "p": 2}),
    ("ROIPooling", {"pooled_size": (1, 1), "spatial_scale": 1.5}),
    ("UpSampling", {"scale": 0, "sample_type": "nearest"}),
    ("Concat", {"num_args": 0}),
]


@pytest.mark.parametrize(
    ("name", "parameters"), OUTSIDE, ids=[f"{n}-{list(p)[-1]}-{i}" for i, (n, p) in enumerate(OUTSIDE)]
)
def test_rejects_parameters_outside_their_range(name, parameters):
    with pytest.raises(MXNetError, match=r"an integer of at|a number from 0 to 1"):
        getattr(sym, name)(**parameters) if name == "Concat" else getattr(sym, name)(sym.var("x"), **parameters)


def test_takes_parameters_at_the_ends_of_their_range():
    x = sym.var("x")
    for made in (sym.Dropout(x, p=0), sym.Dropout(x, p="1.0"), sym.FullyConnected(x, num_hidden=1)):
        assert made.list_outputs()
    assert sym.Convolution(x, kernel=(1, 1), num_filter=100_000).list_outputs()


def test_rejects_weights_of_another_shape_also_after_right_ones():
    image, x, kernel = nd.ones((1, 1, 3, 3)), nd.ones((2, 3)), nd.ones((1, 1, 2, 2))
    for _ in range(2):
        options = {"num_hidden": 2, "no_bias": True}
        assert nd.FullyConnected(x, nd.ones((2, 3)), **options).shape == (2, 2)
        with pytest.raises(MXNetError, match="weight of FullyConnected"):
            nd.FullyConnected(x, nd.ones((4, 3)), **options)
        options = {"num_filter": 1, "no_bias": True, "kernel": (2, 2)}
        assert nd.Convolution(image, kernel, **options).shape == (1, 1, 2, 2)
        for wrong in (nd.ones((1, 1, 3, 3)), nd.ones((2, 1, 2, 2))):
            with pytest.raises(MXNetError, match="weight of Convolution"):
                nd.Convolution(image, wrong, **options)


def test_assigns_where_new_axes_are_named_and_refuses_what_does_not_broadcast():
    x = nd.arange(24).reshape((2, 3, 4))
    x[..., None] = nd.arange(4)
    assert (x.asnumpy() == np.arange(4)).all()
    for key in (slice(None, None, -1), (slice(None), 0)):
        with pytest.raises(ValueError, match="does not fit"):
            x[key] = nd.ones((9,))


@pytest.mark.parametrize("operand", ["a", None, np.ones((2,))], ids=["text", "nothing", "numpy"])
def test_refuses_operands_that_are_no_arrays(operand):
    with pytest.raises(TypeError, match="not supported"):
        nd.subtract(operand, nd.ones((2,)))
    with pytest.raises(AssertionError, match="not supported"):
        operand - nd.ones((2,))


def test_sparse_arrays_are_negated_counted_and_not_read_as_numbers():
    x = nd.sparse.csr_matrix(([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3]), shape=(2, 3))
    assert (-x).stype == "csr"
    assert (-x).asnumpy().tolist() == [[-1, 0, -2], [0, -3, 0]]
    assert [row.shape for row in x] == [(1, 3), (1, 3)]
    assert x[-2].asnumpy().tolist() == [[1, 0, 2]]
    with pytest.raises(IndexError, match="out of bounds"):
        x[2]
    with pytest.raises(NotImplementedError):
        x.asscalar()


def test_distribution_parameters_are_of_one_kind():
    for call in (lambda: nd.random.uniform(nd.array([0, 1]), 1), lambda: sym.random.uniform(sym.var("m"), 1)):
        with pytest.raises(AssertionError, match="must all have the same type"):
            call()


def test_gradients_begin_with_the_heads_shape():
    x = nd.ones((3,))
    x.attach_grad()
    with autograd.record():
        y = x * 2
    with pytest.raises(MXNetError, match="another shape than the head"):
        y.backward(nd.ones((2,)))


def test_layers_inputs_have_one_type():
    net = sym.FullyConnected(sym.var("x"), num_hidden=3, name="f")
    assert net.infer_type(x="float64")[0] == [np.float64] * 3
    with pytest.raises(MXNetError, match="types do not fit"):
        net.infer_type(x="float64", f_weight="float32")


def test_attributes_of_variables_are_texts():
    with pytest.raises(ValueError, match="only accepts string values"):
        sym.var("a", attr={"x": 1})


def test_binding_passes_over_shapes_of_variables_that_are_not_there():
    net = sym.FullyConnected(sym.var("data"), num_hidden=3, name="f")
    found = net.simple_bind(mx.cpu(), data=(2, 4), softmax_label=(2,))
    assert list(found.arg_dict) == ["data", "f_weight", "f_bias"]


def test_lists_nodes_as_the_release_does():
    net = sym.Activation(sym.FullyConnected(sym.var("data"), num_hidden=8, name="fc1"), act_type="relu", name="r")
    wanted = (
        "Symbol Outputs:\n\toutput[0]=r(0)\nVariable:data\nVariable:fc1_weight\nVariable:fc1_bias\n"
        "--------------------\nOp:FullyConnected, Name=fc1\nInputs:\n\targ[0]=data(0) version=0\n"
        "\targ[1]=fc1_weight(0) version=0\n\targ[2]=fc1_bias(0) version=0\nAttrs:\n\tnum_hidden=8\n"
        "--------------------\nOp:Activation, Name=r\nInputs:\n\targ[0]=fc1(0)\nAttrs:\n\tact_type=relu\n"
    )
    assert net.debug_str() == wanted


def nesterov(out):
    weight, grad, mom = nd.array([1, 2, 3]), nd.array([0.1, -0.2, 0.3]), nd.array([0.01, 0.02, 0.03])
    other = nd.zeros((3,))
    target = {"weight": weight, "other": other, "list": [weight]}[out]
    nd.nag_mom_update(weight, grad, mom, lr=0.1, wd=0.1, momentum=0.9, out=target)
    return weight.asnumpy(), other.asnumpy(), mom.asnumpy()


@pytest.mark.parametrize(
    ("out", "momentum"), [("weight", [-0.0107, 0.01784, -0.0321]), ("other", [-0.011, 0.018, -0.033])]
)
def test_nesterovs_momentum_has_the_decay_of_the_weight_that_was_written(out, momentum):
    for target in (out, out.replace("weight", "list")):
        weight, other, mom = nesterov(target)
        # as MXNet 1.9.1
        np.testing.assert_allclose(weight if out == "weight" else other, [0.9701, 2.0162, 2.9103], rtol=1e-5)
        np.testing.assert_allclose(mom, momentum, atol=5e-6)


MADE = {
    "zeros": lambda: sym.zeros((0, 3)),
    "full": lambda: sym.full((0, 3), 1),
    "uniform": lambda: sym.random.uniform(shape=(0, 3)),
    "scaled": lambda: sym.zeros((0, 3)) * 2,
}


@pytest.mark.parametrize("made", MADE)
def test_makes_arrays_with_a_size_of_0_under_numpy_shapes(made):
    with mx.np_shape(True):
        symbol = MADE[made]()
        assert symbol.infer_shape() == ([], [(0, 3)], [])
        assert symbol.simple_bind(mx.cpu()).forward()[0].shape == (0, 3)
    with pytest.warns(UserWarning, match="Cannot decide shape"):  # 0 is an unknown size otherwise
        assert MADE[made]().infer_shape() == (None, None, None)


def test_outputs_are_on_the_context_of_their_group():
    with mx.AttrScope(ctx_group="first"):
        inner = sym.FullyConnected(sym.Variable("x"), num_hidden=3, name="inner")
    with mx.AttrScope(ctx_group="last"):
        outer = sym.Activation(inner, act_type="tanh")
    groups = {"first": mx.cpu(1), "last": mx.cpu(2)}
    run = sym.Group([outer, inner]).simple_bind(mx.cpu(0), x=(2, 2), group2ctx=groups)
    assert [out.context for out in run.forward()] == [mx.cpu(2), mx.cpu(1)]
    assert run.arg_dict["inner_weight"].context == mx.cpu(1)


def test_adamw_of_symbols_takes_the_scale_as_a_number():
    variables = [sym.Variable(n) for n in ("weight", "grad", "mean", "var")]
    symbol = sym.contrib.adamw_update(*variables, 0.5, lr=0.1, eta=0.5, wd=0.01)
    arrays = [nd.array([1.0, -2]), nd.array([0.4, 0.2])]
    states = [nd.array([0.1, 0]), nd.array([0.2, 0.3])]
    # the function of arrays is held against MXNet's values
    wanted = nd.contrib.adamw_update(
        *[a.copy() for a in arrays], *[s.copy() for s in states], 0.5, lr=0.1, eta=0.5, wd=0.01
    )
    found = symbol.bind(mx.cpu(), dict(zip(("weight", "grad"), arrays, strict=True)), aux_states=states).forward()[0]
    assert found.asnumpy().tolist() == wanted.asnumpy().tolist()


def test_names_attributes_and_outputs_may_stand_behind_the_parameters():
    x, out = mx.sym.var("x"), mx.nd.zeros((2, 12))
    assert mx.sym.flatten(x, "fl").name == "fl"
    named = mx.sym.Activation(x, "relu", "ac", {"__mood__": "calm"}, None)
    assert (named.name, named.attr("__mood__")) == ("ac", "calm")
    assert mx.nd.flatten(mx.nd.ones((2, 3, 4)), out, "unused") is out
    assert out.asnumpy().sum() == 24
    assert mx.nd.power(base=mx.nd.array([2, 3]), exp=2).asnumpy().tolist() == [4, 9]
    with pytest.raises(MXNetError, match="fewer arguments"):
        mx.sym.flatten(x, "fl", None, None, 1)
    with pytest.raises(MXNetError, match="fewer arguments"):
        mx.nd.flatten(mx.nd.ones((2, 3, 4)), None, "fl", 1)
    with pytest.raises(TypeError, match="multiple values"):
        mx.sym.flatten(x, "fl", name="other")
