"""Gluon's blocks against what MXNet's releases exported, saved and computed."""

import inspect
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import gluon
from evergraph.mxnet.gluon import nn

DATA = Path(__file__).parents[1] / "data/mxnet"
RELEASES = [p.name for p in sorted(DATA.glob("*.*")) if (p / "gluon/cnn-io.npz").exists()]


def cnn():
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(nn.Conv2D(3, 3, padding=1), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(2), nn.Flatten())
        net.add(nn.Dense(5, activation="tanh"), nn.Dense(2))
    return net


def recorded(release, net="cnn"):
    found = np.load(DATA / release / f"gluon/{net}-io.npz")
    return {k: found[k] for k in found.files}


def saved(release):
    return sorted((DATA / release / "gluon").glob("cnn.save_param*.params"))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_loads_what_releases_saved_and_computes_the_same(release, hybrid):
    io = recorded(release)
    assert saved(release)
    for path in saved(release):
        net = cnn()
        net.load_parameters(str(path))
        net.hybridize(hybrid)
        assert np.allclose(net(mx.nd.array(io["in:data"])).asnumpy(), io["out:0"], rtol=1e-5, atol=1e-5)
        for name, each in net.collect_params().items():
            assert np.array_equal(each.data().asnumpy(), io[f"param:{name}"])


@pytest.mark.parametrize("release", RELEASES)
def test_runs_what_releases_exported(release):
    folder = DATA / release / "gluon"
    for net in ("cnn", "lstm"):
        if not (folder / f"{net}-symbol.json").exists():
            continue
        io = recorded(release, net)
        inputs = [k[3:] for k in io if k.startswith("in:")]
        names = mx.sym.load(str(folder / f"{net}-symbol.json")).list_arguments()
        data = [n for n in names if n.startswith("data")]
        block = gluon.SymbolBlock.imports(str(folder / f"{net}-symbol.json"), data, str(folder / f"{net}-0000.params"))
        given = [mx.nd.array(io[f"in:{n}"]) for n in inputs]
        states = [mx.nd.zeros((4, 2, 3)) for _ in data[len(given) :]]
        found = block(*given, *states)
        found = found if isinstance(found, list) else [found]
        for i, each in enumerate(found[: len([k for k in io if k.startswith("out:")])]):
            assert np.allclose(each.asnumpy(), io[f"out:{i}"], rtol=1e-5, atol=1e-5)


def test_exports_byte_for_byte_as_1_9_1(tmp_path):
    net, io = cnn(), recorded("1.9.1")
    net.load_parameters(str(DATA / "1.9.1/gluon/cnn.save_parameters.params"))
    net.hybridize()
    net(mx.nd.array(io["in:data"]))
    symbol, params = net.export(str(tmp_path / "cnn"))
    assert Path(symbol).read_text() == (DATA / "1.9.1/gluon/cnn-symbol.json").read_text()
    theirs, mine = mx.nd.load(str(DATA / "1.9.1/gluon/cnn-0000.params")), mx.nd.load(params)
    assert set(theirs) == set(mine)
    assert all(np.array_equal(theirs[k].asnumpy(), mine[k].asnumpy()) for k in theirs)


def test_saves_parameters_as_1_9_1(tmp_path):
    net = cnn()
    path = DATA / "1.9.1/gluon/cnn.save_parameters.params"
    net.load_parameters(str(path))
    net.save_parameters(str(tmp_path / "net.params"))
    assert (tmp_path / "net.params").read_bytes() == path.read_bytes()


def test_refuses_to_export_what_never_ran(tmp_path):
    with pytest.raises(RuntimeError, match="call block"):
        cnn().export(str(tmp_path / "net"))


def test_lists_every_parameter_that_a_file_lacks(tmp_path):
    mx.nd.save(str(tmp_path / "x.params"), {"0.weight": mx.nd.ones((3, 2, 3, 3))})
    with pytest.raises(AssertionError, match="parameters are missing") as caught:
        cnn().load_parameters(str(tmp_path / "x.params"))
    assert "6.bias" in str(caught.value)
    assert "1.gamma" in str(caught.value)


def test_lists_parameters_that_the_block_does_not_have(tmp_path):
    mx.nd.save(str(tmp_path / "x.params"), {"0.nope": mx.nd.ones((1,))})
    with pytest.raises(ValueError, match="does not have"):
        cnn().load_parameters(str(tmp_path / "x.params"), allow_missing=True)


def test_refuses_values_of_another_shape(tmp_path):
    mx.nd.save(str(tmp_path / "x.params"), {"0.bias": mx.nd.ones((7,))})
    with pytest.raises(AssertionError, match="shape incompatible"):
        cnn().load_parameters(str(tmp_path / "x.params"), allow_missing=True)


@pytest.mark.parametrize("hybrid", [False, True])
def test_gradients_are_those_of_the_exported_graph(hybrid):
    net, io = cnn(), recorded("1.9.1")
    net.load_parameters(str(DATA / "1.9.1/gluon/cnn.save_parameters.params"))
    net.hybridize(hybrid)
    x = mx.nd.array(io["in:data"])
    with mx.autograd.record():
        y = net(x)
    y.backward()
    symbol, args, aux = mx.sym.load(str(DATA / "1.9.1/gluon/cnn-symbol.json")), {}, {}
    for name, value in mx.nd.load(str(DATA / "1.9.1/gluon/cnn-0000.params")).items():
        (args if name.startswith("arg:") else aux)[name[4:]] = value
    run = symbol.simple_bind(mx.cpu(), data=x.shape)
    run.copy_params_from(args, aux)
    run.forward(is_train=True, data=x)
    run.backward(mx.nd.ones(y.shape))
    for name, each in net.collect_params().items():
        if each.grad_req != "null":
            assert np.allclose(each.grad().asnumpy(), run.grad_dict[name].asnumpy(), rtol=1e-4, atol=1e-5), name
        else:
            assert np.allclose(each.data().asnumpy(), run.aux_dict[name].asnumpy(), rtol=1e-4, atol=1e-5), name


def test_waits_for_the_first_batch_to_know_shapes():
    net = nn.Dense(4, weight_initializer=lambda _, a: a.__setitem__(slice(None), 0.5), bias_initializer=lambda *_: None)
    for each in net.collect_params().values():
        each.initialize()
    with pytest.raises(gluon.DeferredInitializationError):
        net.weight.data()
    assert net(mx.nd.ones((2, 3))).asnumpy().tolist() == [[1.5] * 4] * 2
    assert net.weight.shape == (4, 3)
    assert repr(net) == "Dense(3 -> 4, linear)"


def test_names_blocks_as_1_9_1_does():
    with mx.name.NameManager():
        outer = nn.HybridSequential()
        with outer.name_scope():
            outer.add(nn.Dense(2), nn.Dense(2), nn.HybridSequential(prefix="inner_"))
            with outer[2].name_scope():
                outer[2].add(nn.Conv2D(2, 3))
        second = nn.HybridSequential()
    assert list(outer.collect_params()) == [
        "hybridsequential0_dense0_weight",
        "hybridsequential0_dense0_bias",
        "hybridsequential0_dense1_weight",
        "hybridsequential0_dense1_bias",
        "hybridsequential0_inner_conv0_weight",
        "hybridsequential0_inner_conv0_bias",
    ]
    assert second.prefix == "hybridsequential1_"
    assert list(outer.collect_params(".*bias")) == [n for n in outer.collect_params() if n.endswith("bias")]


def test_shares_parameters():
    first = nn.Dense(3, in_units=2, prefix="shared_")
    second = nn.Dense(3, in_units=2, params=first.collect_params())
    assert second.weight is first.weight


def test_refuses_plain_blocks_inside_hybrid_ones():
    with pytest.raises(ValueError, match="must also be HybridBlock"):
        nn.HybridSequential().register_child(nn.Lambda("relu"))


def test_calls_hooks_and_lets_them_go():
    net, seen = nn.HybridLambda("relu"), []
    handle = net.register_forward_hook(lambda block, inputs, outputs: seen.append(outputs.shape))
    net(mx.nd.ones((2, 3)))
    handle.detach()
    net(mx.nd.ones((2, 3)))
    assert seen == [(2, 3)]


def test_symbols_pass_through_blocks():
    net = nn.Dense(2, in_units=3, prefix="fc_")
    assert net(mx.sym.var("x")).list_arguments() == ["x", "fc_weight", "fc_bias"]


class Stopped(gluon.HybridBlock):
    def __init__(self, stop, **kwargs):
        super().__init__(**kwargs)
        self.stop = stop
        with self.name_scope():
            self.bn = nn.BatchNorm(momentum=0.5)
            self.out = nn.Dense(1)

    def hybrid_forward(self, F, x):
        return self.out(self.stop(F, self.bn(x)))


STOPS = {
    "nothing": lambda F, x: x,
    "BlockGrad": lambda F, x: F.BlockGrad(x),
    "argmax": lambda F, x: F.argmax(x, axis=1, keepdims=True),
    "zeros_like": lambda F, x: F.zeros_like(x),
}


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("stop", STOPS)
def test_moves_statistics_behind_what_stops_the_gradient(stop, hybrid):
    net = Stopped(STOPS[stop])
    net.initialize()
    net.hybridize(hybrid)
    with mx.autograd.record():
        out = net(mx.nd.array(np.arange(6).reshape(3, 2) ** 1.5))
    assert net.bn.running_mean.data().asnumpy().tolist() == [0, 0]
    out.backward()
    # as MXNet 1.9.1
    np.testing.assert_allclose(net.bn.running_mean.data().asnumpy(), [1.8047, 2.8961], atol=1e-4)
    np.testing.assert_allclose(net.bn.running_var.data().asnumpy(), [5.9858, 9.2254], atol=1e-4)


@pytest.mark.parametrize("hybrid", [False, True])
def test_gives_a_gradient_of_zero_behind_what_stops_it(hybrid):
    net = nn.HybridLambda(lambda F, x: F.BlockGrad(x))
    net.hybridize(hybrid)
    x = mx.nd.ones((2,))
    x.attach_grad()
    x.grad[:] = 7
    with mx.autograd.record():
        out = net(x)
    out.backward()
    assert x.grad.asnumpy().tolist() == [0, 0]


def test_prints_layers_as_1_9_1():
    layers = [nn.Conv2DTranspose(3, 3, strides=2, output_padding=1, in_channels=2), nn.GroupNorm(2), nn.InstanceNorm()]
    assert [str(each) for each in layers] == [
        "Conv2DTranspose(3 -> 2, kernel_size=(3, 3), stride=(2, 2))",
        "GroupNorm(eps=1e-05, num_groups=2, center=True, scale=True)",
        "InstanceNorm(eps=1e-05, axis=1, center=True, scale=False, in_channels=0)",
    ]


def test_loads_parameters_from_a_dictionary():
    net = nn.Dense(2, in_units=1, prefix="fc_")
    values = {"arg:fc_weight": mx.nd.array([[1], [2]]), "fc_bias": mx.nd.array([3, 4])}
    net.collect_params().load_dict(values, mx.cpu())
    assert net(mx.nd.ones((1, 1))).asnumpy().tolist() == [[4, 6]]
    with pytest.raises(AssertionError, match="fc_bias"):
        net.collect_params().load_dict({"fc_weight": mx.nd.ones((2, 1))})
    with pytest.raises(AssertionError, match="other"):
        net.collect_params().load_dict(values | {"other": mx.nd.ones((1,))})


# recorded from MXNet 1.9.1: windows over one axis, and the largest over two, take their layout first
POOLING = {
    "MaxPool1D": ["pool_size", "strides", "padding", "layout", "ceil_mode"],
    "MaxPool2D": ["pool_size", "strides", "padding", "layout", "ceil_mode"],
    "MaxPool3D": ["pool_size", "strides", "padding", "ceil_mode", "layout"],
    "AvgPool1D": ["pool_size", "strides", "padding", "layout", "ceil_mode", "count_include_pad"],
    "AvgPool2D": ["pool_size", "strides", "padding", "ceil_mode", "layout", "count_include_pad"],
    "AvgPool3D": ["pool_size", "strides", "padding", "ceil_mode", "layout", "count_include_pad"],
}


@pytest.mark.parametrize("name", POOLING)
def test_pooling_takes_its_arguments_in_the_order_of_1_9_1(name):
    kind = getattr(gluon.nn, name)
    assert [n for n in inspect.signature(kind).parameters if n != "kwargs"] == POOLING[name]
    axes = int(name[-2])
    layout = "NCDHW"[:2] + "DHW"[3 - axes :]
    settings = {"ceil_mode": True, "layout": layout, "count_include_pad": False}
    given = [settings[n] for n in POOLING[name][3:]]
    x = mx.nd.array(np.random.RandomState(0).rand(1, 2, *[5] * axes))
    options = {n: settings[n] for n in POOLING[name][3:]}
    assert np.array_equal(kind(2, 2, 1, *given)(x).asnumpy(), kind(2, 2, 1, **options)(x).asnumpy())
    assert kind(2, 2, 1, *given)(x).shape == (1, 2, *[4] * axes)


def test_symbol_blocks_import_files_that_lack_or_exceed_their_parameters(tmp_path):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    net.save(str(tmp_path / "net-symbol.json"))
    mx.nd.save(str(tmp_path / "net-0000.params"), {"arg:fc_weight": mx.nd.ones((2, 3)), "arg:other": mx.nd.ones(1)})
    files = str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params")
    with pytest.raises(AssertionError):
        gluon.SymbolBlock.imports(*files)
    block = gluon.SymbolBlock.imports(*files, allow_missing=True, ignore_extra=True)
    block.params["fc_bias"].initialize(mx.init.One())
    assert block(mx.nd.ones((1, 3))).asnumpy().tolist() == [[4, 4]]
    block.reset_ctx([mx.cpu(0), mx.cpu(1)])
    assert block.params["fc_weight"].list_ctx() == [mx.cpu(0), mx.cpu(1)]


def test_loaders_take_what_1_9_1_takes():
    loader = gluon.data.DataLoader(np.ones((5, 2)), 2, auto_reload=True)
    loader.refresh()
    loader.clean()
    assert [len(batch) for batch in loader] == [2, 2, 1]
