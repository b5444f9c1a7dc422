"""Metrics, against the values of MXNet 1.9.1."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

ROWS = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/metrics.json").read_text())


def same(found, wanted):
    assert found[0] == wanted[0]
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['metric']}-{len(r['batches'])}-{r['settings']}")
def test_gives_the_values_of_1_9_1(row):
    metric = mx.metric.create(row["metric"], **row["settings"])
    assert metric.get()[0] == row["empty"][0]
    assert math.isnan(metric.get()[1]) == (row["empty"][1] == "nan")
    for number, (label, pred) in enumerate(row["batches"]):
        if number == row["reset_after"]:
            same(metric.get(), row["before"])
            metric.reset_local()
        metric.update([mx.nd.array(label, dtype=row["label_type"])], [mx.nd.array(pred)])
    same(metric.get(), row["after"])
    same(metric.get_global(), row["whole"])


def test_several_metrics_are_one():
    metric = mx.metric.create(["acc", mx.metric.CrossEntropy()])
    metric.update([mx.nd.array([1, 0])], [mx.nd.array([[0.1, 0.9], [0.4, 0.6]])])
    assert [name for name, _ in metric.get_name_value()] == ["accuracy", "cross-entropy"]
    assert metric.get()[1][0] == 0.5
    metric.reset()
    assert all(math.isnan(v) for v in metric.get()[1])


def test_takes_functions_and_names_them():
    metric = mx.metric.np(lambda label, pred: (float((label == pred).sum()), label.size), name="same")
    metric.update([mx.nd.array([1, 2, 3])], [mx.nd.array([1, 0, 3])])
    assert metric.get() == ("same", 2 / 3)
    assert mx.metric.create(lambda a, b: 0).name == "custom(<lambda>)"


def test_says_which_metrics_there_are():
    with pytest.raises(ValueError, match="accuracy"):
        mx.metric.create("nope")


def test_refuses_labels_that_do_not_belong_to_predictions():
    with pytest.raises(ValueError, match="does not match"):
        mx.metric.Accuracy().update([mx.nd.array([0, 1])], [])
    with pytest.raises(ValueError, match="not as many"):
        mx.metric.CrossEntropy().update([mx.nd.array([0, 1, 1])], [mx.nd.ones((2, 2))])
    with pytest.raises(ValueError, match="binary"):
        mx.metric.F1().update([mx.nd.array([0, 1, 2])], [mx.nd.ones((3, 2))])
