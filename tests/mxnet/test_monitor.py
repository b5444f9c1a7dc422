"""`Monitor`: the rows that MXNet 1.9.1 gives for the same runs."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.mxnet.monitor_runs import networks, shown

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/monitor.json").read_text())
WAYS = {"inference": (False, False), "inputs": (False, True), "training": (True, False)}


@pytest.mark.parametrize("case", RECORDED)
def test_shows_the_names_and_values_of_1_9_1(case):
    name, way = case.split()
    with mx.name.NameManager():
        symbol, shapes = networks(mx)[name]
        got, want = shown(mx, symbol, shapes, *WAYS[way]), RECORDED[case]
    assert [row[0] for row in got] == [row[0] for row in want]
    for (label, values), (_, wanted) in zip(got, want, strict=True):
        if wanted is not None:
            np.testing.assert_allclose(np.array(values), np.array(wanted), 1e-3, 1e-5, err_msg=label)


def test_shows_the_mask_of_dropout():
    net = mx.sym.Dropout(mx.sym.Variable("x"), p=0.25, name="d")
    run = net.simple_bind(mx.cpu(), x=(40, 50), grad_req="null")
    run.arg_dict["x"][:] = 3
    monitor = mx.mon.Monitor(1, stat_func=lambda x: x)
    monitor.install(run)
    monitor.tic()
    run.forward(is_train=True)
    seen = {name: value.asnumpy() for _, name, value in monitor.queue}
    assert np.array_equal(seen["d_output"], 3 * seen["d_mask"])
    assert set(np.unique(seen["d_mask"]).round(4)) == {0, np.float32(4 / 3).round(4)}
    assert abs((seen["d_mask"] == 0).mean() - 0.25) < 0.06


def bound():
    return (mx.sym.Variable("x") * 2).bind(mx.cpu(), {"x": mx.nd.array([3.0, 4.0])})


def test_collects_every_second_batch_sorted():
    run = bound()
    name = run._symbol.list_outputs()[0]
    monitor = mx.mon.Monitor(2, sort=True)
    monitor.install(run)
    rows = []
    for _ in range(4):
        monitor.tic()
        run.forward()
        rows.append([(step, key, round(float(text), 4)) for step, key, text in monitor.toc()])
    # recorded from MXNet 1.9.1
    assert rows == [[(1, name, 7.0711), (1, "x", 3.5355)], [], [(3, name, 7.0711), (3, "x", 3.5355)], []]


def test_statistics_and_patterns_are_the_programs():
    run = bound()
    monitor = mx.mon.Monitor(1, stat_func=lambda x: x, pattern=".*output")
    monitor.install(run)
    monitor.tic()
    run.forward()
    ((step, name, text),) = monitor.toc()
    assert (step, name.endswith("_output"), text) == (1, True, "[6. 8.]\t")


def test_watches_a_module_that_is_fitted(caplog):
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc"), name="softmax")
    data = mx.io.NDArrayIter(np.ones((4, 3), "f4"), np.zeros(4, "f4"), batch_size=2)
    with caplog.at_level(logging.INFO):
        mx.mod.Module(net).fit(data, num_epoch=1, monitor=mx.mon.Monitor(1, pattern="fc_weight|softmax_output"))
    shown = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Batch:")]
    assert any("fc_weight" in t for t in shown)
    assert any("softmax_output" in t for t in shown)


def test_shows_the_gradients_that_nodes_give_their_inputs():
    x, w = mx.sym.Variable("x"), mx.sym.Variable("w")
    both = mx.sym.elemwise_mul(x, w, name="m") + x
    loss = mx.sym.MakeLoss(mx.sym.dot(mx.sym.tanh(both, name="t"), mx.sym.Variable("q"), name="d"), name="l")
    run = loss.simple_bind(mx.cpu(), x=(2,), w=(2,), q=(2,), grad_req={"x": "write", "w": "write", "q": "null"})
    for name, values in {"x": [0.3, 0.5], "w": [1.3, -0.5], "q": [2.3, -1.5]}.items():
        run.arg_dict[name][:] = mx.nd.array(values)
    monitor = mx.mon.Monitor(1, stat_func=lambda x: x, pattern="[dtm]_backward.*")
    monitor.install(run)
    monitor.tic()
    run.forward(is_train=True)
    run.backward()
    rows = [(name, np.array(text.strip("\t[]").split(), float).tolist()) for _, name, text in monitor.toc()]
    # recorded from MXNet 1.9.1
    wanted = {
        "d_backward_output0": [2.3, -1.5],
        "t_backward_output": [1.47756, -1.4100223],
        "m_backward_output0": [1.920828, 0.7050111],
        "m_backward_output1": [0.44326803, -0.7050111],
    }
    assert [name for name, _ in rows] == list(wanted)
    np.testing.assert_allclose([values for _, values in rows], list(wanted.values()), rtol=1e-5)
    assert monitor.toc() == []


def test_goes_on_with_an_executor_of_other_shapes():
    seen = []
    run = (mx.sym.Variable("x") * 2).simple_bind(mx.cpu(), x=(4, 3))
    run.set_monitor_callback(lambda name, _: seen.append(name))
    run.reshape(x=(2, 3)).forward()
    assert seen == run._symbol.list_outputs()  # as MXNet 1.9.1, whose Module trains and scores in turn this way


def test_hooks_of_blocks_are_shown_the_operators_own_outputs_while_a_gradient_is_recorded():
    nn = mx.gluon.nn
    net = nn.HybridSequential(prefix="n_")
    with net.name_scope():
        net.add(nn.BatchNorm(in_channels=3), nn.Activation("relu"), nn.Dense(2, in_units=3))
    net.initialize()
    net.hybridize()
    names = []
    net.register_op_hook(lambda name, operator, array: names.append(name.decode()), True)
    net(mx.nd.ones((1, 3)))
    # recorded from MXNet 1.9.1
    wanted = ["batchnorm0_fwd_" + n for n in ("data", "gamma", "beta", "moving_mean", "moving_var", "output")]
    wanted += ["relu0_fwd_input0", "relu0_fwd_output"]
    wanted += ["dense0_fwd_" + n for n in ("data", "weight", "bias", "output")]
    assert names == ["n_" + name for name in wanted]
    names.clear()
    with mx.autograd.record():
        net(mx.nd.ones((1, 3)))
    assert names[6:8] == ["n_batchnorm0_fwd_mean", "n_batchnorm0_fwd_var"]
