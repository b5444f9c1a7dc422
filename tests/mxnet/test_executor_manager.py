"""Training loops of programs older than Module: executors of several devices, batches by slices, buckets."""

from types import SimpleNamespace

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.executor_manager import (
    DataParallelExecutorManager,
    _check_arguments,
    _load_data,
    _load_label,
    _split_input_slice,
)

X, Y = np.random.RandomState(0).randn(12, 4).astype("f"), np.arange(12).astype("f") % 3


def network(width=3):
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=width, name="f"), name="s")


def rows(size=6):
    return mx.io.NDArrayIter(X, Y, batch_size=size, label_name="s_label")


def trained(contexts):
    """Parameters after two epochs of a loop as such programs have it."""
    data = rows()
    manager = DataParallelExecutorManager(network(), contexts, data)
    args = {"f_weight": mx.nd.ones((3, 4)) * 0.1, "f_bias": mx.nd.zeros(3)}
    manager.set_params(args, {})
    updater = mx.optimizer.get_updater(mx.optimizer.SGD(learning_rate=0.1, rescale_grad=1 / 6))
    metric = mx.metric.create("acc")
    for _ in range(2):
        data.reset()
        for batch in data:
            manager.load_data_batch(batch)
            manager.forward(is_train=True)
            manager.backward()
            for i, (weights, grads) in enumerate(zip(manager.param_arrays, manager.grad_arrays, strict=True)):
                total = sum(g.as_in_context(mx.cpu()) for g in grads[1:]) + grads[0]
                for k, weight in enumerate(weights):
                    updater(2 * i + k, total, weight)
            manager.update_metric(metric, batch.label)
    manager.copy_to(args, {})
    assert metric.num_inst == 24
    return {k: v.asnumpy() for k, v in args.items()}


def test_two_devices_train_as_one():
    one, two = trained([mx.cpu()]), trained([mx.cpu(0), mx.cpu(1)])
    module = mx.mod.Module(network(), label_names=["s_label"])
    start = {"f_weight": mx.nd.ones((3, 4)) * 0.1, "f_bias": mx.nd.zeros(3)}
    module.fit(rows(), num_epoch=2, arg_params=start, optimizer_params={"learning_rate": 0.1})
    for name, value in module.get_params()[0].items():
        np.testing.assert_allclose(one[name], value.asnumpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(two[name], value.asnumpy(), rtol=1e-5, atol=1e-6)


def test_each_bucket_has_its_executors_and_all_share_the_parameters():
    def batch(length):
        shapes = {"provide_data": [("data", (2, length))], "provide_label": [("s_label", (2,))]}
        return SimpleNamespace(data=[mx.nd.ones((2, length))], label=[mx.nd.zeros(2)], bucket_key=length, **shapes)

    def generate(length):
        table = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=3, output_dim=2, name="e")
        return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.sum(table, axis=1), num_hidden=3, name="f"), name="s")

    first = SimpleNamespace(**vars(batch(5)), batch_size=2, default_bucket_key=5)
    manager = DataParallelExecutorManager(generate(5), [mx.cpu()], first, sym_gen=generate)
    manager.param_arrays[0][0][:] = 2.0
    for length in (5, 3):
        manager.load_data_batch(batch(length))
        manager.forward()
        assert manager.curr_execgrp.data_arrays[0][0][1].shape == (2, length)
    assert manager.curr_execgrp.param_arrays[0][0].asnumpy().tolist() == np.full((3, 2), 2.0).tolist()
    with pytest.raises(AssertionError, match="bucket"):
        manager.install_monitor(None)


def test_slices_batches_in_proportion_to_the_work():
    assert _split_input_slice(10, [1, 4]) == [slice(0, 2), slice(2, 10)]
    with pytest.raises(ValueError, match="Too many slices"):
        _split_input_slice(1, [1, 1])
    with pytest.raises(AssertionError, match="work_load_list"):
        DataParallelExecutorManager(network(), [mx.cpu()], rows(), work_load_list=[1, 2])


def test_copies_batches_into_arrays_and_slices():
    batch = mx.io.DataBatch([mx.nd.array(X[:4])], [mx.nd.array(Y[:4])])
    parts = [mx.nd.zeros((1, 4)), mx.nd.zeros((3, 4))]
    _load_data(batch, [[(slice(0, 1), parts[0]), (slice(1, 4), parts[1])]])
    whole = mx.nd.zeros(4)
    _load_label(batch, [whole])
    assert np.array_equal(np.concatenate([p.asnumpy() for p in parts]), X[:4])
    assert np.array_equal(whole.asnumpy(), Y[:4])


def test_refuses_two_arguments_of_one_name():
    with pytest.raises(mx.MXNetError, match="same: 2 times"):
        _check_arguments(mx.sym.Variable("same") + mx.sym.Variable("same"))


def test_says_that_there_are_no_servers():
    with pytest.raises(mx.MXNetError, match="torchrun"):
        mx.kvstore_server.KVStoreServer(mx.kv.create("local")).run()
