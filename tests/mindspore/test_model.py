"""Model: evaluation, stopping, and the order of callbacks."""

import numpy as np
import pytest

import evergraph.mindspore.dataset as ds
from evergraph.errors import UsageError
from evergraph.mindspore import Model, Tensor, nn
from evergraph.mindspore.train import Accuracy, Callback, EarlyStopping, LossMonitor, TopKCategoricalAccuracy


def model(metrics=None):
    net = nn.Dense(2, 2, weight_init="zeros", bias_init="zeros")
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    return Model(net, loss, nn.SGD(net.trainable_params(), 0.1), metrics=metrics)


def data():
    x = np.array([[1, 0], [0, 1], [2, 0], [0, 2]], "f4")
    return ds.NumpySlicesDataset((x, np.array([0, 1, 0, 1], "i4")), shuffle=False).batch(2)


class Noting(Callback):
    def __init__(self, name, notes):
        self.name, self.notes = name, notes

    def step_end(self, run_context):
        self.notes.append((self.name, run_context.original_args().cur_step_num))


def test_callbacks_run_in_the_order_of_the_list():
    notes = []
    model().train(1, data(), [Noting("a", notes), Noting("b", notes)])
    assert notes == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_training_separates_and_eval_counts_it():
    got = model({"Accuracy": Accuracy(), "loss": nn.Loss()})
    got.train(5, data())
    found = got.eval(data())
    assert found["Accuracy"] == 1
    assert 0 < found["loss"] < np.log(2)
    assert got.predict(Tensor([[3.0, 0.0]])).asnumpy().argmax() == 0


def test_a_loss_that_is_no_number_stops_training():
    bad = ds.NumpySlicesDataset((np.full((2, 2), np.nan, "f4"), np.zeros(2, "i4")), shuffle=False).batch(2)
    with pytest.raises(ValueError, match="no finite number"):
        model().train(1, bad, LossMonitor())


def test_stops_early_where_nothing_gets_better():
    notes = []
    model().train(9, data(), [Noting("a", notes), EarlyStopping("loss", min_delta=10, patience=2)])
    assert len(notes) == 2 * 3


def test_refuses_a_dataset_of_another_model():
    rows = data()
    model().train(1, rows)
    with pytest.raises(UsageError, match="another Model"):
        model().train(1, rows)


def test_refuses_what_is_no_dataset():
    net = nn.Dense(1, 1)
    with pytest.raises(UsageError, match="takes a dataset"):
        Model(net, nn.MSELoss(), nn.SGD(net.trainable_params(), 0.1)).train(1, None)
    with pytest.raises(UsageError, match="takes a dataset"):
        Model(net, nn.MSELoss(), metrics={"mse"}).eval([1, 2])
    with pytest.raises(UsageError, match="no metrics"):
        Model(net).eval(None)


@pytest.mark.parametrize(("times", "kind"), [(1.5, TypeError), (-1, ValueError)])
def test_loss_monitor_rejects(times, kind):
    with pytest.raises(kind):
        LossMonitor(times)


def test_top_k_counts_the_best_k():
    metric = TopKCategoricalAccuracy(2)
    metric.update(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]))
    assert metric.eval() == 0.5
