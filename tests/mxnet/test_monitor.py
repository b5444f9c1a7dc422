"""`Monitor`: the rows that MXNet 1.9.1 gives for the same runs."""

import logging

import numpy as np

import evergraph.mxnet as mx


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
