"""Quantized networks: graphs (SHA-256 of their JSON), eight-bit values and ranges that MXNet 1.9.1 recorded."""

import hashlib
import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.contrib import quantization
from tests.goldens import MXNET

RECORDED = json.loads((MXNET / "quantization" / "1.9.1.json").read_text())
ARRAYS = np.load(MXNET / "quantization" / "1.9.1.npz")
S = mx.sym


def conv(x, name, filters=4, **options):
    return S.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=filters, name=name, **options)


def bn(x, name):
    return S.BatchNorm(x, name=name, fix_gamma=False)


def relu(x, name):
    return S.Activation(x, act_type="relu", name=name)


def dense(x, name, units=5, **options):
    return S.FullyConnected(x, num_hidden=units, name=name, **options)


def pool(x, **options):
    return S.Pooling(x, name="p0", **options)


def networks():
    d, found = S.var("data"), {}
    half = {"kernel": (2, 2), "stride": (2, 2)}
    first = relu(conv(d, "c0"), "r0")
    body = S.Flatten(pool(relu(bn(conv(d, "c0"), "b0"), "r0"), pool_type="max", **half), name="f0")
    found["plain"] = dense(body, "fc0")
    found["nobias"] = dense(relu(conv(d, "c0", no_bias=True), "r0"), "fc0", no_bias=True)
    found["residual"] = dense(relu(S.elemwise_add(first, conv(first, "c1"), name="add0"), "r1"), "fc0")
    found["concat"] = conv(S.Concat(first, conv(d, "c1"), name="cat0"), "c2")
    found["tail-relu"] = first
    found["head-pool"] = conv(pool(d, pool_type="avg", **half), "c0")
    found["two-ways"] = S.Group([conv(first, "c1"), S.softmax(first, name="s0")])
    found["sigmoid"] = conv(S.Activation(first, act_type="sigmoid", name="sg0"), "c1")
    found["mul"] = conv(S.elemwise_mul(conv(d, "c0"), conv(d, "c1"), name="mul0"), "c2")
    other = S.var("e", shape=(1, 4, 1, 1))
    found["broadcast"] = conv(S.broadcast_add(conv(d, "c0"), other, name="ba0"), "c1")
    found["add-float"] = conv(S.elemwise_add(first, S.exp(conv(d, "c1"), name="e0"), name="add0"), "c2")
    found["embedding"] = dense(S.Embedding(d, input_dim=10, output_dim=4, name="em0"), "fc0", 3)
    found["leaky"] = conv(S.LeakyReLU(conv(d, "c0"), act_type="leaky", name="l0"), "c1")
    found["global-pool"] = dense(pool(first, global_pool=True, kernel=(1, 1), pool_type="avg"), "fc0", 2)
    whole = S.Flatten(pool(relu(bn(conv(d, "c0"), "b0"), "r0"), kernel=(2, 2), pool_type="max"), name="f0")
    found["chain"] = dense(S.softmax(whole, name="s0"), "fc0")
    x = conv(d, "c0")
    found["shared"] = S.elemwise_add(relu(x, "r0"), bn(x, "b0"), name="add0")
    weight = S.var("w")
    x = S.Convolution(d, weight=weight, kernel=(1, 1), num_filter=3, no_bias=True, name="c0")
    found["shared-weight"] = conv(x, "c1")
    x = S.Convolution(S.reshape(d, shape=(0, 0, -1), name="rs"), kernel=(3,), num_filter=4, name="c0")
    found["conv1d"] = S.Convolution(x, kernel=(3,), num_filter=4, name="c1")
    found["nhwc-nothing"] = S.exp(d, name="e0")
    found["dropout"] = conv(S.Dropout(first, p=0.5, name="dr0"), "c1")
    found["group-conv"] = conv(conv(d, "c0", 3, num_group=3), "c1")
    found["slice"] = conv(S.SliceChannel(first, num_outputs=2, axis=1, name="sl0")[0], "c1")
    return found


def values_of(symbol, name, make):
    shapes, _, states = symbol.infer_shape(data=(2, 5) if name == "embedding" else (2, 3, 8, 8))
    arguments = {n: make(s) for n, s in zip(symbol.list_arguments(), shapes, strict=True) if n != "data"}
    return arguments, {n: make(s) for n, s in zip(symbol.list_auxiliary_states(), states, strict=True)}


@pytest.mark.parametrize("key", sorted(RECORDED["graphs"]))
def test_makes_the_releases_graphs(key):
    name, mode, excluded = key.split("|")
    symbol = networks()[name]
    arguments, states = values_of(symbol, name, mx.nd.ones)
    found, values, _ = quantization.quantize_model(
        symbol,
        arguments,
        states,
        calib_mode="none",
        quantize_mode=mode,
        excluded_sym_names=[excluded] if excluded else None,
    )
    # MXNet forgets parameters that are called neither weight nor bias
    assert {n: v.dtype.__name__ for n, v in values.items()}.items() >= RECORDED["graphs"][key]["args"].items()
    assert values.keys() <= set(found.list_arguments())
    assert hashlib.sha256(found.tojson().encode()).hexdigest() == RECORDED["graphs"][key]["graph"]


def recorded_values(name):
    def taken(kind):
        start = f"{name}:{kind}:"
        return {n.removeprefix(start): mx.nd.array(ARRAYS[n]) for n in ARRAYS.files if n.startswith(start)}

    return taken("arg"), taken("aux"), taken("q")


@pytest.mark.parametrize("key", sorted(RECORDED["ranges"]))
def test_finds_the_releases_values_and_ranges(key):
    name, mode = key.split("|")
    symbol, data = networks()[name], ARRAYS[f"{name}:data"]
    arguments, states, eight_bits = recorded_values(name)
    found, values, _ = mx.contrib.quant.quantize_model(
        symbol,
        arguments,
        states,
        calib_mode=mode,
        quantize_mode="full",
        calib_data=mx.io.NDArrayIter(data, batch_size=4),
        num_calib_examples=8,
        label_names=None,
    )
    for each, value in eight_bits.items():
        np.testing.assert_allclose(values[each].asnumpy(), value.asnumpy(), atol=1e-6)
    nodes = {n.name: n.attrs for n in found.graph.nodes if "min_calib_range" in n.attrs}
    assert nodes.keys() == RECORDED["ranges"][key].keys()
    # among cuts that lose nearly as little the least is chosen by single counts of a histogram
    tolerance = 1e-5 if mode == "naive" else 0.05
    for each, wanted in RECORDED["ranges"][key].items():
        got = [float(nodes[each][f"{end}_calib_range"]) for end in ("min", "max")]
        np.testing.assert_allclose(got, wanted, rtol=tolerance)


def run(symbol, values, states, x):
    executor = symbol.bind(mx.cpu(), values | {"data": mx.nd.array(x)}, aux_states=states, grad_req="null")
    return executor.forward()[0].asnumpy()


def test_computes_nearly_the_same_with_eight_bits():
    symbol, data = networks()["plain"], ARRAYS["plain:data"]
    arguments, states, _ = recorded_values("plain")
    iterator = mx.io.NDArrayIter(data, batch_size=4)
    found, values, _ = quantization.quantize_model(
        symbol, arguments, states, calib_mode="naive", calib_data=iterator, label_names=None
    )
    wanted, got = run(symbol, arguments, states, data), run(found, values, states, data)
    assert np.abs(got - wanted).mean() < 0.06 * np.abs(wanted).mean()
    assert (got.argmax(1) == wanted.argmax(1)).mean() >= 0.75


def test_takes_the_name_for_fused_layers_too():
    symbol = networks()["plain"]
    arguments, states, _ = recorded_values("plain")
    found, values, _ = quantization.quantize_model_mkldnn(symbol, arguments, states, calib_mode="none")
    wanted, others, _ = quantization.quantize_model(symbol, arguments, states, calib_mode="none")
    assert found.tojson() == wanted.tojson()
    assert values.keys() == others.keys()


def test_quantizes_gluon_networks():
    net = mx.gluon.nn.HybridSequential(prefix="n_")
    with net.name_scope():
        net.add(mx.gluon.nn.Dense(8, activation="relu", use_bias=False), mx.gluon.nn.Dense(3, use_bias=False))
    mx.random.seed(1)
    net.initialize(mx.init.Xavier())
    x = mx.nd.random.uniform(-1, 1, shape=(16, 10))
    wanted = net(x).asnumpy()
    data = mx.io.NDArrayIter(x.asnumpy(), batch_size=8)
    small = quantization.quantize_net(net, calib_data=data, calib_mode="naive")
    assert any(p.dtype == np.int8 for p in small.collect_params().values())
    assert np.abs(small(x).asnumpy() - wanted).max() < 0.05 * np.abs(wanted).max()


def test_refuses_what_cannot_be_quantized():
    symbol = networks()["nobias"]
    arguments, states = values_of(symbol, "nobias", mx.nd.ones)
    with pytest.raises(mx.MXNetError, match="quantized_dtype"):
        quantization.quantize_model(symbol, arguments, states, quantized_dtype="int4")
    with pytest.raises(mx.MXNetError, match="calibration mode"):
        quantization.quantize_model(symbol, arguments, states, calib_mode="best")
    with pytest.raises(mx.MXNetError, match="calib_data"):
        quantization.quantize_model(symbol, arguments, states, calib_mode="naive")
    with pytest.raises(mx.MXNetError, match="excluded_sym_names"):
        quantization.quantize_model(symbol, arguments, states, calib_mode="none", excluded_sym_names="c0")


def convolutional(x):
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(8, 3, padding=1), mx.gluon.nn.BatchNorm(), mx.gluon.nn.Activation("relu"))
    net.add(mx.gluon.nn.MaxPool2D(2), mx.gluon.nn.Conv2D(8, 3), mx.gluon.nn.GlobalAvgPool2D(), mx.gluon.nn.Dense(4))
    net.initialize()
    net(x)
    random = np.random.default_rng(4)
    for name, each in sorted(net.collect_params().items()):
        if "running" not in name and "gamma" not in name:
            each.set_data(mx.nd.array(random.standard_normal(each.shape) * 0.3))
    return net


MOST = {"naive": 0.05, "none": 0.05, "entropy": 0.3}


@pytest.mark.parametrize("calibration", list(MOST))
def test_quantizes_gluon_networks_by_a_data_loader(calibration):
    x = mx.nd.array(np.random.default_rng(0).random((16, 3, 12, 12)))
    net = convolutional(x)
    wanted = net(x).asnumpy()
    pairs = mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(x, mx.nd.zeros((16,))), 8)
    data: dict = {"data_shapes": [(8, 3, 12, 12)]} if calibration == "none" else {"calib_data": pairs}
    small = quantization.quantize_net(net, calib_mode=calibration, **data)
    assert sum(p.dtype == np.int8 for p in small.collect_params().values()) >= 3
    # by least and greatest value, MXNet 1.9.1 loses 0.03 on such a network; by entropy, what is rare is cut
    assert np.abs(small(x).asnumpy() - wanted).max() < MOST[calibration] * np.abs(wanted).max()


@pytest.mark.parametrize("data", [3, []], ids=["number", "empty"])
def test_refuses_what_holds_no_data_to_calibrate_by(data):
    with pytest.raises(mx.MXNetError, match=r"calib_data is not|no data"):
        quantization.quantize_net(convolutional(mx.nd.ones((1, 3, 8, 8))), calib_mode="naive", calib_data=data)


def test_modules_bind_dense_layers_of_eight_bits_from_the_shape_of_their_data():
    symbol = dense(relu(dense(S.Variable("data"), "f1", 6), "r1"), "f2", 3, flatten=False)
    draw = np.random.RandomState(0)
    arguments = {
        name: mx.nd.array(draw.uniform(-1, 1, shape))
        for name, shape in zip(symbol.list_arguments(), symbol.infer_shape(data=(4, 2, 5))[0], strict=True)
        if name != "data"
    }
    data = draw.uniform(-1, 1, (4, 2, 5)).astype("float32")
    small, values, _ = quantization.quantize_model(symbol, arguments, {}, calib_mode="none")
    found = []
    for graph, given in ((symbol, arguments), (small, values)):
        module = mx.mod.Module(graph, label_names=None)
        module.bind([("data", data.shape)], for_training=False)
        module.set_params(given, {})
        found.append(module.predict(mx.io.NDArrayIter(data, batch_size=4)).asnumpy())
    assert np.abs(found[1] - found[0]).max() < 0.03 * np.abs(found[0]).max()
