"""Trainings by `gluon.contrib.estimator` that real MXNet ran, and what it logged and left.

`python tests/mxnet/estimator_runs.py FILE`, run with MXNet 1.9.1, writes what each run gives.
"""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import json
import os
import pathlib
import re
import sys
import tempfile
import warnings

import numpy as np


class Runs:
    """Runs with one framework; `lines` is what has been logged."""

    def __init__(self, mx, estimator, folder):
        self.mx, self.est, self.folder = mx, estimator, folder
        self.rng, self.lines = np.random.RandomState(0), []

    def data(self, count=40, size=8):
        x = self.rng.rand(count, 6).astype("float32")
        y = (x.sum(1) > 3).astype("float32")
        return self.mx.gluon.data.DataLoader(self.mx.gluon.data.ArrayDataset(x, y), batch_size=size)

    def net(self, outputs=2, hybrid=False):
        nn = self.mx.gluon.nn
        net = nn.HybridSequential(prefix="n_")
        with net.name_scope():
            net.add(nn.Dense(4, activation="relu", in_units=6), nn.Dense(outputs, in_units=4))
        net.initialize()
        values = np.random.RandomState(5)
        for each in net.collect_params().values():
            each.set_data(self.mx.nd.array(values.randn(*each.shape) * 0.5))
        if hybrid:
            net.hybridize()
        return net

    def estimator(self, net=None, rate=0.5, metrics="acc", loss="SoftmaxCrossEntropyLoss", devices=1, **options):
        net = net or self.net()
        where = [self.mx.cpu(i) for i in range(devices)]
        net.collect_params().reset_ctx(where)
        found = self.est.Estimator(
            net,
            getattr(self.mx.gluon.loss, loss)(),
            train_metrics=self.mx.metric.Accuracy() if metrics == "acc" else metrics,
            trainer=self.mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": rate, "momentum": 0.5}),
            context=where,
            **options,
        )
        (log,) = found.logger.handlers
        log.emit = lambda record: self.lines.append(re.sub(r"(?<= )[\d.]+s\b", "Ts", record.getMessage()))
        return found

    def saver(self, *args, **options):
        return self.est.CheckpointHandler(self.folder, *args, **options)

    def files(self):
        return sorted(os.listdir(self.folder))


def epochs(run):
    e = run.estimator()
    e.fit(run.data(), run.data(), epochs=3)
    return [list(m.get()) for m in e.train_metrics + e.val_metrics]


def batches(run):
    e = run.estimator(metrics=None)
    e.fit(run.data(), batches=7, event_handlers=run.est.LoggingHandler(2, e.train_metrics))


def regression(run):
    e = run.estimator(run.net(1), loss="L2Loss", metrics=None, rate=0.1)
    e.fit(run.data(18), run.data(9, 4), epochs=2, event_handlers=[run.est.LoggingHandler(1, e.train_metrics)])


def two_devices(run):
    e = run.estimator(devices=2)
    e.fit(run.data(16), run.data(8), epochs=2, event_handlers=[run.est.LoggingHandler(1, e.train_metrics)])


def order(run):
    est, seen = run.est, []

    class Told(est.TrainBegin, est.TrainEnd, est.EpochBegin, est.EpochEnd, est.BatchBegin, est.BatchEnd):
        def __init__(self, name, priority=None):
            self.told = name
            if priority is not None:
                self.priority = priority

        def row(self, what, estimator, found):
            kinds = {k: [len(v), list(v[0].shape)] for k, v in sorted(found.items())}
            measured = [repr(m.get()[1]) for m in estimator.train_metrics]
            moved = float(estimator.net[1].bias.data().asnumpy()[0])
            seen.append([self.told, what, kinds, measured, round(moved, 4)])

        def train_begin(self, estimator, *args, **kwargs):
            self.row("train_begin", estimator, kwargs)

        def train_end(self, estimator, *args, **kwargs):
            self.row("train_end", estimator, kwargs)

        def epoch_begin(self, estimator, *args, **kwargs):
            self.row("epoch_begin", estimator, kwargs)

        def epoch_end(self, estimator, *args, **kwargs):
            self.row("epoch_end", estimator, kwargs)

        def batch_begin(self, estimator, *args, **kwargs):
            self.row("batch_begin", estimator, kwargs)

        def batch_end(self, estimator, *args, **kwargs):
            self.row("batch_end", estimator, kwargs)

    told = [Told("none"), Told("late", 5), Told("first", -5000), Told("between", -1500)]
    run.estimator().fit(run.data(16), run.data(8), epochs=2, event_handlers=told)
    return seen


def stopped_by_a_batch(run):
    class Stop(run.est.BatchEnd):
        def batch_end(self, estimator, *args, **kwargs):
            return True

    e = run.estimator()
    e.fit(run.data(16), epochs=2, event_handlers=[Stop(), run.est.LoggingHandler(1, e.train_metrics)])


def stopped_by_an_epoch(run):
    class Stop(run.est.EpochEnd):
        def epoch_end(self, estimator, *args, **kwargs):
            return 1

    run.estimator().fit(run.data(16), epochs=2, event_handlers=Stop())


def stopped_early(run):
    e = run.estimator(rate=0.0)
    stop = run.est.EarlyStoppingHandler(e.train_metrics[0], patience=2, mode="max")
    e.fit(run.data(16), epochs=9, event_handlers=[stop])
    return [stop.best, stop.wait, stop.stopped_epoch, stop.current_epoch]


def stopped_below_a_baseline(run):
    e = run.estimator(rate=0.0, metrics=None)
    stop = run.est.EarlyStoppingHandler(e.train_metrics[1], baseline=0.1, mode="min", min_delta=0.01)
    e.fit(run.data(16), epochs=9, event_handlers=[stop])
    return [stop.best, stop.wait, stop.stopped_epoch, stop.min_delta]


def validated_by_batches(run):
    e = run.estimator()
    check = run.est.ValidationHandler(run.data(8), e.evaluate, epoch_period=2, batch_period=3)
    e.fit(run.data(), epochs=2, event_handlers=[check])


def evaluated(run):
    e = run.estimator(metrics=[run.mx.metric.Accuracy(), run.mx.metric.TopKAccuracy(2)])
    e.evaluate(run.data(16), event_handlers=[run.est.LoggingHandler(1, e.val_metrics)])
    return [list(m.get()) for m in e.val_metrics]


def shown_without_metrics(run):
    e = run.estimator()
    e.fit(run.data(16), run.data(8), epochs=1, event_handlers=[run.est.LoggingHandler(1)])


def named(run):
    accuracy, loss = run.mx.metric.Accuracy, "SigmoidBCELoss"
    made = [
        run.estimator(metrics=accuracy(name="training x")),
        run.estimator(metrics=accuracy(), val_metrics=[run.mx.metric.MAE()]),
        run.estimator(metrics=run.mx.metric.CompositeEvalMetric([accuracy(), run.mx.metric.MSE()])),
        run.estimator(metrics=None, loss=loss),
    ]
    return [[m.name for m in e.train_metrics + e.val_metrics] for e in made]


def saved(run):
    run.estimator().fit(run.data(16), epochs=3, event_handlers=[run.saver(verbose=1)])
    return run.files()


def saved_with_the_graph(run):
    e = run.estimator(run.net(hybrid=True))
    e.fit(run.data(), epochs=3, event_handlers=[run.saver("m", None, 1, False, "auto", 2, 3, 2)])
    graph = run.mx.sym.load(os.path.join(run.folder, "m-symbol.json"))
    return [run.files(), graph.list_arguments()]


def saved_the_best(run):
    e = run.estimator(rate=0.2)
    keep = run.saver("m", e.train_metrics[0], 1, True, "max", max_checkpoints=2)
    e.fit(run.data(), run.data(), epochs=6, event_handlers=[keep])
    return [run.files(), keep.best, keep.saved_checkpoints]


def saved_the_smallest_of_batches(run):
    e = run.estimator(rate=0.2, metrics=None)
    keep = run.saver("m", e.train_metrics[1], 1, True, "min", batch_period=2)
    e.fit(run.data(), run.data(), epochs=2, event_handlers=[keep])
    return run.files()


def gone_on_after_epochs(run):
    run.estimator(rate=0.2).fit(run.data(16), epochs=2, event_handlers=[run.saver("m", verbose=1)])
    e = run.estimator(rate=0.2)
    e.fit(run.data(16), epochs=5, event_handlers=[run.saver("m", verbose=1, resume_from_checkpoint=True)])
    return [run.files(), [float(p.data().asnumpy().sum()) for p in e.net.collect_params().values()]]


def gone_on_after_batches(run):
    for count, resume in ((7, False), (9, True)):
        keep = run.saver("m", verbose=1, batch_period=1, epoch_period=None, resume_from_checkpoint=resume)
        run.estimator(rate=0.2).fit(run.data(), batches=count, event_handlers=[keep])
    return run.files()


def begun_where_nothing_was(run):
    keep = run.saver("m", verbose=1, resume_from_checkpoint=True)
    run.estimator().fit(run.data(16), epochs=2, event_handlers=[keep])
    return run.files()


RUNS = [
    epochs,
    batches,
    regression,
    two_devices,
    order,
    stopped_by_a_batch,
    stopped_by_an_epoch,
    stopped_early,
    stopped_below_a_baseline,
    validated_by_batches,
    evaluated,
    shown_without_metrics,
    named,
    saved,
    saved_with_the_graph,
    saved_the_best,
    saved_the_smallest_of_batches,
    gone_on_after_epochs,
    gone_on_after_batches,
    begun_where_nothing_was,
]


def given(function, mx, estimator):
    """What one run logs and gives, as JSON."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Runs(mx, estimator, folder)
        result = function(run)
        lines = [line.replace(folder, "FOLDER") for line in run.lines]
        return json.loads(json.dumps({"lines": lines, "result": result}))


if __name__ == "__main__":
    import mxnet
    from mxnet.gluon.contrib import estimator as real

    found = [json.dumps(f.__name__) + ": " + json.dumps(given(f, mxnet, real)) for f in RUNS]
    pathlib.Path(sys.argv[1]).write_text("{\n" + ",\n".join(found) + "\n}\n")
