"""Whatever gives batches or samples trains; what does not is refused, and says what is missing."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import evergraph.mxnet as mx

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype("f")
CLASSES = (np.arange(20) % 3).astype("f")
PAIRS = [(ROWS[i : i + 5], CLASSES[i : i + 5]) for i in range(0, 20, 5)]
TENSORS = TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(CLASSES))


def network():
    data = mx.sym.Variable("data")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), name="softmax")


def fit(data, module=None, **rest):
    module = mx.mod.Module(network()) if module is None else module
    first = {"fc_weight": mx.nd.full((3, 4), 0.1), "fc_bias": mx.nd.zeros((3,))}
    module.fit(data, num_epoch=1, arg_params=first, **rest)
    return module.get_params()[0]["fc_weight"].asnumpy()


class Samples(IterableDataset):
    def __iter__(self):
        return zip(ROWS, CLASSES, strict=True)


class Named(Dataset):
    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return {"softmax_label": CLASSES[index], "id": index, "data": ROWS[index]}


class ByNumber:
    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return ROWS[index], CLASSES[index]


SOURCES = {
    "pairs": lambda: PAIRS,
    "a-generator": lambda: (pair for pair in PAIRS),
    "a-map": lambda: map(tuple, PAIRS),
    "loader": lambda: DataLoader(TENSORS, 5),
    "loader-of-names": lambda: DataLoader(Named(), 5),
    "batches": lambda: [mx.io.DataBatch([mx.nd.array(x)], [mx.nd.array(y)]) for x, y in PAIRS],
    "gluon-loader": lambda: mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(ROWS, CLASSES), 5),
}


@pytest.mark.parametrize("name", SOURCES)
def test_whatever_gives_batches_trains_as_arrays_do(name):
    wanted = fit(mx.io.NDArrayIter(ROWS, CLASSES, 5))
    np.testing.assert_array_equal(fit(SOURCES[name]()), wanted)


DATASETS = {
    "tensors": TENSORS,
    "iterable": Samples(),
    "named": Named(),
    "by-number": ByNumber(),
    "gluon": mx.gluon.data.ArrayDataset(ROWS, CLASSES),
}


@pytest.mark.parametrize("name", DATASETS)
def test_samples_of_a_data_set_make_batches_of_the_size_that_is_bound(name):
    module = mx.mod.Module(network())
    module.bind([("data", (5, 4))], [("softmax_label", (5,))])
    np.testing.assert_array_equal(fit(DATASETS[name], module), fit(mx.io.NDArrayIter(ROWS, CLASSES, 5)))
    assert module.predict(DATASETS[name]).shape == (20, 3)
    assert 0 <= module.score(DATASETS[name], "acc")[0][1] <= 1


def test_samples_without_a_size_make_one_batch_of_128_at_most_and_that_is_told(caplog):
    with caplog.at_level("INFO"):
        weight = fit(TENSORS)
    np.testing.assert_array_equal(weight, fit(mx.io.NDArrayIter(ROWS, CLASSES, 20)))
    assert "TensorDataset gives samples: 128 make a batch" in caplog.text


BAD = {
    "no-batch": ([], "the data gives no batch"),
    "an-array": (ROWS, "neither batches nor labels"),
    "a-tensor": (torch.from_numpy(ROWS), "neither batches nor labels"),
    "nothing": (None, "eval_data must be of type NDArray or DataIter"),
    "text": ("rows.csv", "eval_data must be of type NDArray or DataIter"),
    "rows-of-text": ([("a", "b")], r"(?s)what is no array.*data"),
    "numbers": ([1.0, 2.0], "first axis is that of its samples"),
    "three-parts": ([(ROWS, CLASSES, CLASSES)], "data: 3 arrays for"),
    "two-inputs-and-two-labels": ([([ROWS, ROWS], [CLASSES, CLASSES])], r"(?s)data: 2 arrays.*labels: 2 arrays"),
    "other-names": ([{"x": ROWS, "y": CLASSES}], r"(?s)data: not in the batch.*softmax_label: not in the batch.*x, y"),
    "labels-absent": ([ROWS], r"(?s)lacks labels.*softmax_label: absent"),
    "labels-absent-in-an-iterator": (mx.io.NDArrayIter(ROWS, None, 5), r"(?s)lacks labels.*softmax_label: absent"),
    "labels-of-another-name": (mx.io.NDArrayIter(ROWS, CLASSES, 5, label_name="y"), r"(?s)lacks labels.*labels y"),
    "fewer-labels": ([(ROWS, CLASSES[:7])], r"(?s)same batch size.*softmax_label"),
}


@pytest.mark.parametrize("name", BAD)
def test_rejects_what_gives_no_batches_of_the_networks_inputs(name):
    data, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        fit(data)


def test_labels_that_the_network_does_not_read_may_be_absent():
    net = mx.sym.MakeLoss(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc"))
    module = mx.mod.Module(net, label_names=None)
    fit(mx.io.NDArrayIter(ROWS, None, 5), module, eval_metric=mx.metric.Loss())
