"""`gluon.contrib.estimator`: the lines, files and values of MXNet 1.9.1, and what is refused."""

import copy
import json
import math
from pathlib import Path

import pytest

import evergraph.mxnet as mx
from evergraph.errors import EvergraphError
from evergraph.mxnet.gluon.contrib import estimator as est
from tests.mxnet.estimator_runs import RUNS, Runs, given

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/estimator.json").read_text())


def close(got, want):
    if isinstance(want, list):
        return len(got) == len(want) and all(close(a, b) for a, b in zip(got, want, strict=True))
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(close(got[k], want[k]) for k in want)
    if isinstance(want, float):
        return math.isclose(got, want, rel_tol=1e-4, abs_tol=2e-4)
    return got == want


@pytest.mark.parametrize("function", RUNS, ids=lambda f: f.__name__)
def test_logs_saves_and_gives_what_1_9_1_does(function):
    got, want = given(function, mx, est), RECORDED[function.__name__]
    assert got["lines"] == want["lines"]
    assert close(got["result"], want["result"]), (got["result"], want["result"])


@pytest.fixture
def run(tmp_path):
    return Runs(mx, est, str(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"net": 3}, "net must be a Block"),
        ({"val_net": "net"}, "val_net must be a Block"),
        ({"loss": "l2"}, "loss must be a Loss"),
        ({"val_loss": 3}, "loss must be a Loss"),
        ({"train_metrics": "acc"}, "metrics must be a Metric"),
        ({"val_metrics": 3}, "metrics must be a Metric"),
        ({"trainer": "sgd"}, "Trainer must be a Gluon Trainer"),
        ({"context": "cpu"}, "context must be a Context"),
        ({"batch_processor": 3}, "must contain fit_batch"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refuses_what_is_of_another_kind(run, wrong, said):
    net = run.net()
    taken = {"net": net, "loss": mx.gluon.loss.L2Loss(), "trainer": mx.gluon.Trainer(net.collect_params(), "sgd")}
    with pytest.raises(ValueError, match=said) as caught:
        est.Estimator(**{**taken, **wrong})
    assert isinstance(caught.value, EvergraphError)


def test_refuses_a_gpu_that_is_not_there(run):
    with pytest.raises(AssertionError, match="gpu\\(97\\) is not available"):
        est.Estimator(run.net(), mx.gluon.loss.L2Loss(), context=mx.gpu(97))


@pytest.mark.parametrize(
    "given", [{}, {"epochs": 1, "batches": 2}, {"epochs": 0}, {"epochs": -1}], ids=["none", "both", "zero", "negative"]
)
def test_refuses_other_lengths_of_training(run, given):
    with pytest.raises(ValueError, match="exactly one type of iteration"):
        run.estimator().fit(run.data(8), **given)


def test_refuses_data_that_is_no_loader_before_it_trains(run):
    e = run.estimator()
    for call in (
        lambda: e.fit([1], epochs=1),
        lambda: e.fit(run.data(8), [1], epochs=1),
        lambda: e.evaluate(mx.io.NDArrayIter(mx.nd.ones((4, 6)))),
    ):
        with pytest.raises(ValueError, match="Gluon DataLoader"):
            call()
    assert run.lines == []


def test_refuses_handlers_and_metrics_of_others(run):
    e = run.estimator()
    other = mx.metric.Accuracy()
    for handlers, said in (
        ([3], "handlers must be an EventHandler"),
        (3, "handlers must be an EventHandler"),
        ([est.LoggingHandler], "handlers must be an EventHandler"),
        ([est.MetricHandler(other)], "MetricHandler refers to a metric"),
        ([est.LoggingHandler(1, [other])], "LoggingHandler refers to a metric"),
    ):
        with pytest.raises(ValueError, match=said):
            e.fit(run.data(8), epochs=1, event_handlers=handlers)


def test_refuses_intervals_and_monitors(run):
    for made, said in (
        (lambda: est.LoggingHandler("batch"), "log_interval"),
        (lambda: est.LoggingHandler(metrics="acc"), "metrics must be"),
        (lambda: est.EarlyStoppingHandler("acc"), "EarlyStoppingHandler"),
        (lambda: run.saver(save_best=True), "CheckpointHandler"),
    ):
        with pytest.raises(ValueError, match=said):
            made()


def test_refuses_a_folder_that_is_a_file(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvergraphError, match="cannot be made"):
        est.CheckpointHandler(str(tmp_path / "file"))


def test_says_that_greater_is_taken_for_better(run):
    with pytest.warns(UserWarning, match="greater values of mse"):
        found = est.EarlyStoppingHandler(mx.metric.MSE())
    assert found.monitor_op(2, 1)
    with pytest.warns(UserWarning, match="greater"), pytest.warns(RuntimeWarning, match="mode best is unknown"):
        est.EarlyStoppingHandler(mx.metric.MSE(), mode="best")


def test_says_that_a_monitored_metric_is_not_updated(run):
    e = run.estimator()
    for handler in (
        est.EarlyStoppingHandler(e.val_metrics[0], mode="max"),
        run.saver(monitor=e.val_metrics[0], save_best=True, mode="max"),
    ):
        with pytest.warns(RuntimeWarning, match="validation accuracy is not updated"):
            e.fit(run.data(8), epochs=1, event_handlers=[handler])


def test_warns_of_a_default_trainer_and_of_an_initializer_without_effect(run):
    net = run.net()
    with pytest.warns(UserWarning, match="No trainer"), pytest.warns(UserWarning, match="initializer is not used"):
        e = est.Estimator(net, mx.gluon.loss.L2Loss(), initializer=mx.init.One())
    assert (e.trainer.learning_rate, type(e.trainer.optimizer).__name__) == (0.001, "SGD")


def test_initializes_what_has_no_values(run):
    net = mx.gluon.nn.Dense(3)
    with pytest.warns(UserWarning, match="No trainer"):
        est.Estimator(net, mx.gluon.loss.L2Loss(), initializer=mx.init.One())
    net(mx.nd.ones((2, 5)))
    assert net.weight.data().asnumpy().tolist() == [[1.0] * 5] * 3


def test_the_programs_list_of_handlers_stays_as_it_is_and_serves_twice(run):
    e = run.estimator()
    handlers = [est.LoggingHandler(1, e.train_metrics), est.StoppingHandler()]
    before = copy.copy(handlers)
    e.fit(run.data(16), epochs=1, event_handlers=handlers)
    assert handlers == before
    run.lines.clear()
    e.fit(run.data(16), epochs=2, event_handlers=handlers)
    assert sum("Begin, current" in line for line in run.lines) == 2


def test_refuses_to_go_on_from_what_is_complete_or_broken(run, tmp_path):
    run.estimator().fit(run.data(16), epochs=2, event_handlers=[run.saver("m")])

    def resume(epochs=3, **options):
        run.estimator().fit(
            run.data(16), epochs=epochs, event_handlers=[run.saver("m", resume_from_checkpoint=True, **options)]
        )

    with pytest.raises(ValueError, match="maximum number of epoch 2 reached"):
        resume(2)
    with pytest.raises(AssertionError, match="same type of period"):
        resume(batch_period=1)
    (tmp_path / "m-epoch1batch4.states").unlink()
    with pytest.raises(AssertionError, match=r"m-epoch1batch4\.states does not exist"):
        resume()
    (tmp_path / "m-epochXbatch4.params").write_text("")
    with pytest.raises(ValueError, match="m-epochXbatch4"):
        resume()


def test_a_processor_of_the_program_is_called(run):
    class Mine(est.BatchProcessor):
        def fit_batch(self, estimator, train_batch, batch_axis=0):
            seen.append(len(train_batch))
            return super().fit_batch(estimator, train_batch, batch_axis)

    seen = []
    run.estimator(batch_processor=Mine()).fit(run.data(16), epochs=1)
    assert seen == [2, 2]
