"""Callbacks: what they log, as MXNet 1.9.1 logs it."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/callback_logs.json").read_text())


def measured():
    metric = mx.metric.Accuracy()
    metric.update([mx.nd.array([1, 0])], [mx.nd.array([[0.1, 0.9], [0.3, 0.7]])])
    return metric


def after(epoch, batch, metric=None):
    return mx.model.BatchEndParam(epoch, batch, metric, {})


def speed(**settings):
    callback, metric = mx.callback.Speedometer(10, 2, **settings), measured()
    for epoch in range(2):
        for batch in range(5):
            callback(after(epoch, batch, metric))
    for epoch, batch in [(0, 0), (3, 1), (3, 2), (3, 3), (3, 4)]:
        callback(after(epoch, batch))


def called(*callbacks, batches=1, epoch=1, metric=measured):
    for batch, callback in zip(range(batches), callbacks * batches, strict=False):
        callback(after(epoch, batch, metric()))


def saved(period):
    callback = mx.callback.do_checkpoint("net", period)
    for epoch in range(5):
        callback(epoch, mx.sym.Variable("x"), {"w": mx.nd.ones(2)}, {})


def fit():
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="f"), name="softmax")
    rows = mx.io.NDArrayIter(np.ones((4, 3), "f"), np.zeros(4, "f"), batch_size=2)
    mx.mod.Module(net).fit(
        rows,
        eval_data=rows,
        num_epoch=2,
        initializer=mx.init.One(),
        batch_end_callback=mx.callback.Speedometer(2, 1),
        eval_end_callback=mx.callback.LogValidationMetricsCallback(),
        validation_metric=["acc", "ce"],
    )


RUNS = {
    "sp": speed,
    "sp2": lambda: speed(auto_reset=False),
    "ltm": lambda: called(mx.callback.log_train_metric(2), batches=5),
    "ltm2": lambda: called(mx.callback.log_train_metric(2, auto_reset=True), batches=3),
    "lv": lambda: called(mx.callback.LogValidationMetricsCallback()),
    "lvnone": lambda: called(mx.callback.LogValidationMetricsCallback(), metric=lambda: None),
    "dc": lambda: saved(1),
    "dc2": lambda: saved(2),
    "dc0": lambda: saved(0),
    "fit": fit,
}


@pytest.mark.parametrize("name", RUNS)
def test_logs_the_lines_of_1_9_1(name, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        RUNS[name]()
    found = [re.sub(r"Speed: ([\d.]+|inf)", "Speed: N", r.getMessage()) for r in caplog.records]
    found = [re.sub(r"cost=[\d.]+", "cost=N", line) for line in found]
    assert found == RECORDED[name]
