"""Large batches run in pieces where each example is computed by itself, and nowhere else."""

import numpy as np
import pytest

from evergraph.engine import predictor
from evergraph.engine.lowering import batches
from tests.engine.graphs import chain, seeded

NETWORK = chain(
    ("Convolution", "conv", "data conv_weight conv_bias", {"kernel": (3, 3), "num_filter": 4, "pad": (1, 1)}),
    ("BatchNorm", "bn", "conv bn_gamma bn_beta bn_moving_mean bn_moving_var"),
    ("Activation", "relu", "bn", {"act_type": "relu"}),
    ("elemwise_add", "sum", "relu conv"),
    ("Pooling", "pool", "sum", {"kernel": (2, 2), "stride": (2, 2), "pool_type": "max"}),
    ("Concat", "both", "pool pool", {"num_args": 2}),
    ("FullyConnected", "fc", "both fc_weight fc_bias", {"num_hidden": 3}),
    ("softmax", "out", "fc"),
    heads=["out", "pool"],
)
SHAPES = {"data": (12, 2, 8, 8), "conv_weight": (4, 2, 3, 3), "conv_bias": (4,), "fc_weight": (3, 128), "fc_bias": (3,)}
SHAPES |= dict.fromkeys(("bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"), (4,))


@pytest.fixture
def sizes(monkeypatch):
    """How many examples each call of a lowered graph took, with blocks of 4 KB as the largest that are kept."""
    monkeypatch.setattr(batches, "_LARGEST", 4096)
    found = []
    split = batches.split_batch

    def recording(program):
        pieces = split(program)
        found.extend([] if pieces is None else [pieces.size])
        return pieces

    monkeypatch.setattr("evergraph.engine.compiling.split_batch", recording)
    return found


def outputs(graph, shapes, inputs=("data",)):
    values = seeded(graph, shapes)
    given = {n: values.pop(n) for n in inputs}
    predict = predictor(graph, values, engine="torch")
    return predict(given), [predict({n: v[i : i + 1] for n, v in given.items()}) for i in range(len(given[inputs[0]]))]


def test_large_batches_run_in_pieces_and_give_what_each_example_gives(sizes):
    whole, each = outputs(NETWORK, SHAPES)
    assert sizes == [4]  # of 1,024 bytes each
    for i, head in enumerate(whole):
        np.testing.assert_allclose(head, np.concatenate([e[i] for e in each]), rtol=1e-5, atol=1e-6)


def test_batches_that_fit_run_whole(sizes):
    outputs(NETWORK, SHAPES | {"data": (4, 2, 8, 8)})
    assert sizes == []


def test_examples_too_large_by_themselves_run_whole(sizes):
    outputs(NETWORK, SHAPES | {"data": (2, 2, 32, 32), "fc_weight": (3, 2048)})
    assert sizes == []


def test_what_follows_the_large_part_runs_whole(sizes):
    graph = chain(
        ("Convolution", "conv", "data conv_weight", {"kernel": (3, 3), "num_filter": 4, "no_bias": True}),
        ("SliceChannel", "halves", "conv", {"num_outputs": 2}),
        ("Pooling", "pool", "halves", {"kernel": (14, 14), "pool_type": "avg"}),
        ("Reshape", "rows", "pool", {"shape": (-1, 2)}),
        ("softmax", "mixed", "rows", {"axis": 0}),
        ("broadcast_add", "out", "mixed other"),
        heads=["out", "pool", "data"],
    )
    values = seeded(graph, {"data": (12, 2, 16, 16), "conv_weight": (4, 2, 3, 3), "other": (12, 2)})
    data, other = values.pop("data"), values.pop("other")
    given = {"data": data, "other": other[:1]}
    found = predictor(graph, values, engine="torch")(given)
    assert sizes == [1]
    pooled = np.concatenate([predictor(graph, values, engine="torch")(given | {"data": d[None]})[1] for d in data])
    rows = np.exp(pooled.reshape(-1, 2))
    np.testing.assert_allclose(found[0], rows / rows.sum(0) + other[:1].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], pooled, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[2], data)


def test_several_inputs_run_in_pieces_together(sizes):
    graph = chain(
        ("elemwise_mul", "product", "left right"), ("Pooling", "pool", "product", {"kernel": (8, 8)}), heads=["pool"]
    )
    values = seeded(graph, {"left": (12, 4, 8, 8), "right": (12, 4, 8, 8)})
    (found,) = predictor(graph, {}, engine="torch")(values)
    assert sizes == [4]
    np.testing.assert_allclose(found, (values["left"] * values["right"]).amax((2, 3), True))


MIXING = {
    "softmax over the batch": ("softmax", "y", "data", {"axis": 0}),
    "softmax over the batch, from the end": ("softmax", "y", "data", {"axis": -4}),
    "concatenated batches": ("Concat", "y", "data data", {"num_args": 2, "dim": 0}),
    "reshape of all": ("Reshape", "y", "data", {"shape": (-1, 8)}),
    "other axis first": ("transpose", "y", "data", {"axes": (1, 0, 2, 3)}),
    "mean over the batch": ("broadcast_sub", "y", "data means"),
    "constant for each example": ("broadcast_add", "y", "data offsets"),
    "an operator of which nothing is known": ("flip", "y", "data", {"axis": 0}),
}


@pytest.mark.parametrize("case", list(MIXING))
def test_graphs_that_mix_examples_run_whole(sizes, case):
    lines = [("mean", "means", "data", {"axis": 0, "keepdims": True})] if "means" in MIXING[case][2] else []
    graph = chain(*lines, MIXING[case])
    shapes = {"data": (12, 2, 8, 8), "offsets": (12, 2, 8, 8)}
    values = seeded(graph, shapes)
    data = values.pop("data")
    predictor(graph, values, engine="torch")({"data": data})
    assert sizes == []


def test_arrays_of_other_ranks_that_broadcast_run_whole(sizes):
    graph = chain(("broadcast_add", "y", "data other"))
    values = seeded(graph, {"data": (12, 12, 8, 8), "other": (12, 8)})
    # `other`'s rows meet rows of each image, not images
    predictor(graph, {}, engine="torch")({"data": values["data"], "other": values["other"][:8]})
    assert sizes == []
