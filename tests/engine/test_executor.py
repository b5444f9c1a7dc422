"""Executors: MXNet's rules for gradients, states, monitors and shared arrays."""

import pytest
import torch

from evergraph import ops
from evergraph.engine import Executor
from evergraph.errors import OperatorError, ShapeError, UsageError
from evergraph.graph import Graph, Node
from evergraph.ops.sparse import CSR, RowSparse, dense_value
from tests.engine.graphs import chain


def test_write_replaces_add_accumulates_and_null_leaves_the_storage_alone():
    graph = chain(("elemwise_mul", "xy", "x y"), ("elemwise_mul", "xyz", "xy z"))
    values = {"x": torch.tensor([2.0]), "y": torch.tensor([3.0]), "z": torch.tensor([5.0])}
    stores = {n: torch.tensor([100.0]) for n in values}
    run = Executor(graph, values, gradients=stores, requests={"x": "write", "y": "add"})
    for _ in range(2):
        run.forward(training=True)
        run.backward()
    assert [stores[n].item() for n in "xyz"] == [15.0, 120.0, 100.0]
    assert run.gradients[0] is stores["x"]


def test_what_the_gradient_does_not_reach_is_zero_for_write_and_unchanged_for_add():
    graph = chain(
        ("BlockGrad", "b", "x"),
        ("elemwise_add", "y", "b b"),
        ("BlockGrad", "c", "z"),
        ("abs", "d", "c"),
        heads=["y", "d"],
    )
    stores = {"x": torch.tensor([7.0]), "z": torch.tensor([7.0])}
    run = Executor(graph, {n: torch.ones(1) for n in "xz"}, gradients=stores, requests={"x": "write", "z": "add"})
    run.forward(training=True)
    run.backward([torch.ones(1), torch.ones(1)])
    assert (stores["x"].item(), stores["z"].item()) == (0.0, 7.0)


def test_loss_layers_ignore_head_gradients_and_others_read_them():
    graph = chain(
        ("_mul_scalar", "twice", "a", {"scalar": 2}),
        ("LinearRegressionOutput", "loss", "a b"),
        ("BlockGrad", "blocked", "a"),
        heads=["twice", "loss", "blocked"],
    )
    run = Executor(graph, {"a": torch.ones(2), "b": torch.zeros(2)}, requests={"a": "write"})
    run.forward(training=True)
    heads = [torch.ones(2), torch.full((2,), 100.0), torch.full((2,), 1000.0)]
    run.backward(heads)
    assert run.gradients[0].tolist() == [3.0, 3.0]  # as MXNet 1.9.1: 2 from the first, 1 from the loss
    run.backward(heads[:1])
    assert run.gradients[0].tolist() == [3.0, 3.0]
    assert run.gradients[1] is None


def test_states_change_in_backward_once_for_each_and_never_in_forward():
    graph = chain(("BatchNorm", "bn", "x gamma beta mean var", {"momentum": 0.5}))
    values = {"x": torch.arange(8.0).reshape(4, 2), "gamma": torch.ones(2), "beta": torch.zeros(2)}
    run = Executor(graph, values, {"mean": torch.zeros(2), "var": torch.ones(2)}, requests="write")
    run.forward(training=True)
    run.forward(training=True)
    assert run.auxiliary[0].tolist() == [0.0, 0.0]
    head = torch.ones(4, 2)
    run.backward(head)
    assert run.auxiliary[0].tolist() == [1.5, 2.0]
    run.backward(head)
    assert run.auxiliary[0].tolist() == [2.25, 3.0]  # as MXNet 1.9.1 when backward is called twice


def test_an_output_that_is_listed_twice_takes_its_last_head_gradient():
    graph = chain(("_mul_scalar", "y", "x", {"scalar": 2}), heads=["y", "y"])
    run = Executor(graph, [torch.ones(1, 2)], requests="write")
    run.forward(training=True)
    run.backward([torch.ones(1, 2), torch.full((1, 2), 10.0)])
    assert run.gradients[0].tolist() == [[20.0, 20.0]]  # as MXNet 1.9.1


@pytest.mark.parametrize("stop", ["BlockGrad", "argmax", "zeros_like", "round"])
def test_states_change_behind_what_stops_the_gradient_where_gradients_are_wanted_there(stop):
    attrs = {"argmax": {"axis": 1, "keepdims": True}}.get(stop, {})
    graph = chain(
        ("BatchNorm", "bn", "data bn_gamma bn_beta bn_moving_mean bn_moving_var", {"momentum": 0.5}),
        (stop, "stopped", "bn", attrs),
        ("broadcast_mul", "out", "stopped weight"),
    )
    args = [torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.ones(2), torch.zeros(2), torch.ones(1, 1)]
    wanted = {"write": ([1.0, 2.0], [0.5, 2.0]), "null": ([0.0, 0.0], [0.0, 0.0])}
    for request, (mean, var) in wanted.items():
        run = Executor(
            graph, [a.clone() for a in args], [torch.zeros(2), torch.zeros(2)], requests=[request] * 3 + ["write"]
        )
        run.forward(training=True)
        run.backward()
        assert (run.auxiliary[0].tolist(), run.auxiliary[1].tolist()) == (mean, var), request


def test_a_second_backward_repeats_the_forward_pass_with_the_same_random_numbers():
    graph = chain(("Dropout", "drop", "x", {"p": 0.5}))
    run = Executor(graph, {"x": torch.ones(1000)}, requests="write")
    (first,) = run.forward(training=True)
    first = first.clone()
    run.backward()
    once = run.gradients[0].clone()
    run.backward()
    assert torch.equal(run.gradients[0], once)
    assert torch.equal(once, first)  # the gradient of x * mask is the mask, and x is 1


def test_backward_after_a_forward_pass_that_was_not_training():
    run = Executor(chain(("_mul_scalar", "y", "a", {"scalar": 2})), {"a": torch.ones(2)}, requests="write")
    run.forward(training=False)
    run.backward([torch.ones(2)])
    assert run.gradients[0].tolist() == [2.0, 2.0]


def test_head_gradients_of_other_shapes_are_all_named():
    graph = chain(("abs", "a", "x"), ("exp", "b", "x"), heads=["a", "b"])
    run = Executor(graph, {"x": torch.ones(2)}, requests="write")
    run.forward(training=True)
    with pytest.raises(ShapeError) as caught:
        run.backward([torch.ones(3), torch.ones(4)])
    assert "a_output: (3,) for an output of (2,)" in str(caught.value)
    assert "b_output: (4,)" in str(caught.value)
    with pytest.raises(UsageError, match="more head gradients than outputs"):
        run.backward([torch.ones(2)] * 3)


def test_arrays_that_are_missing_are_all_named():
    graph = chain(("elemwise_add", "s", "x y"))
    with pytest.raises(UsageError) as caught:
        Executor(graph, {})
    assert "missing: x" in str(caught.value)
    assert "missing: y" in str(caught.value)
    with pytest.raises(UsageError, match="another number of arguments"):
        Executor(graph, [torch.ones(1)])
    with pytest.raises(UsageError, match="none of write, add, null"):
        Executor(graph, [torch.ones(1)] * 2, requests="accumulate")
    with pytest.raises(UsageError, match="another shape than its argument"):
        Executor(graph, [torch.ones(1)] * 2, gradients=[torch.ones(2), None], requests="write")


def test_what_is_written_into_the_arrays_is_seen_by_the_next_run():
    x = torch.ones(2)
    run = Executor(chain(("exp", "y", "x")), [x], requests="write")
    run.forward(training=True)
    x.fill_(2.0)
    (y,) = run.forward(training=True)
    run.backward()
    assert torch.equal(y, torch.full((2,), 2.0).exp())
    run.arguments[0] = torch.zeros(2)
    assert run.forward()[0].tolist() == [1.0, 1.0]
    run.forward(training=True)
    run.backward()
    assert run.gradients[0].tolist() == [1.0, 1.0]


def test_outputs_carry_no_gradient_history():
    run = Executor(chain(("exp", "y", "x")), [torch.ones(2)], requests="write")
    assert not run.forward(training=True)[0].requires_grad
    assert not run.forward()[0].requires_grad


def test_one_array_under_two_names_gets_a_gradient_for_each():
    shared = torch.tensor([3.0])
    run = Executor(chain(("elemwise_mul", "p", "x y")), [shared, shared], requests="write")
    run.forward(training=True)
    run.backward()
    assert [g.item() for g in run.gradients] == [3.0, 3.0]


def test_the_monitor_sees_every_output_by_its_name():
    graph = chain(
        ("BatchNorm", "bn", "data bn_gamma bn_beta bn_moving_mean bn_moving_var", {"fix_gamma": False}),
        ("FullyConnected", "fc", "bn fc_weight fc_bias", {"num_hidden": 3}),
        ("SliceChannel", "sl", "fc", {"num_outputs": 3}),
        heads=[("sl", 1)],
    )
    shapes = {"data": (4, 5), "fc_weight": (3, 5), "fc_bias": (3,)}
    args = [torch.ones(shapes.get(n, (5,))) for n in ("data", "bn_gamma", "bn_beta", "fc_weight", "fc_bias")]
    run = Executor(graph, args, [torch.ones(5), torch.ones(5)])
    seen = []
    run.set_monitor(lambda name, value: seen.append((name, tuple(value.shape))))
    run.forward()
    names = [n for n, _ in seen]
    assert [n for n in names if n not in ("bn_mean", "bn_var")] == [
        "bn_output", "fc_output", "sl_output0", "sl_output1", "sl_output2"
    ]  # fmt: skip
    assert ("fc_output", (4, 3)) in seen
    seen.clear()
    run.set_monitor(lambda name, value: seen.append((name, tuple(value.shape))), inputs=True)
    run.forward(training=True)
    names = [n for n, _ in seen]
    assert names[:10] == [
        "data", "bn_data", "bn_gamma", "bn_gamma", "bn_beta", "bn_beta",
        "bn_moving_mean", "bn_moving_mean", "bn_moving_var", "bn_moving_var",
    ]  # fmt: skip
    start = names.index("fc_data")
    assert names[start : start + 6] == ["fc_data", "fc_weight", "fc_weight", "fc_bias", "fc_bias", "fc_output"]
    seen.clear()
    run.set_monitor(None)
    run.forward()
    assert not seen


def test_reshape_shares_the_arrays_that_keep_their_shape():
    graph = chain(("FullyConnected", "fc", "data weight bias", {"num_hidden": 3}))
    run = Executor(graph, [torch.ones(4, 5), torch.ones(3, 5), torch.ones(3)], requests="write")
    other = run.reshape({"data": (7, 5)})
    assert other.forward(training=True)[0].shape == (7, 3)
    other.backward()
    assert other.arguments[1] is run.arguments[1]
    assert other.gradients[2] is run.gradients[2]
    assert run.gradients[2].tolist() == [7.0] * 3
    assert other.gradients[0].shape == (7, 5)
    with pytest.raises(UsageError, match="dota"):
        run.reshape({"dota": (1,)})


def test_an_operators_failing_gradient_is_one_error():
    from evergraph.ops.gradients import with_gradient

    @with_gradient(lambda saved, g: g.reshape(17))
    def broken(x):
        return x + 0

    ops.operator("_test_broken_gradient")(broken)
    run = Executor(chain(("_test_broken_gradient", "y", "x")), [torch.ones(2)], requests="write")
    run.forward(training=True)
    with pytest.raises(OperatorError, match="gradient cannot be computed"):
        run.backward()


def test_a_gradient_flows_through_a_chain_of_200000_nodes():
    count = 200_000
    nodes = [Node("null", "x")] + [
        Node("LeakyReLU" if i % 2 else "abs", f"n{i}", {"act_type": "leaky"} if i % 2 else {}, ((i, 0, 0),))
        for i in range(count)
    ]
    run = Executor(Graph(tuple(nodes), heads=((count, 0, 0),)), [torch.tensor([-2.0])], requests="write")
    run.forward(training=True)
    run.backward()
    assert run.gradients[0].item() == -1
    run.forward(training=True)
    run.forward(training=True)  # drops what the one before recorded


def test_sparse_arguments_reach_sparse_computations_and_others_densify():
    @ops.operator("_test_storage")
    def plain(data, *, scale: float = 1.0):
        return data * scale

    @plain.storage("row_sparse")
    def rows(data, *, scale):
        return RowSparse(data.data * scale, data.indices, data.shape)

    graph = chain(("_test_storage", "a", "x", {"scale": 3}), ("abs", "b", "a"), heads=["a", "b"])
    x = RowSparse(torch.tensor([[-1.0, 2.0]]), torch.tensor([2]), (4, 2))
    a, b = Executor(graph, [x]).forward()
    assert isinstance(a, RowSparse)
    assert dense_value(b).tolist() == [[0, 0], [0, 0], [3, 6], [0, 0]]
    matrix = CSR(torch.tensor([5.0]), torch.tensor([1]), torch.tensor([0, 0, 1]), (2, 2))
    assert Executor(graph, [matrix]).forward()[0].tolist() == [[0, 0], [0, 15]]


def test_sparse_gradients_are_kept_as_rows_and_added_as_rows():
    graph = chain(
        ("Embedding", "e", "data weight", {"input_dim": 6, "output_dim": 2, "sparse_grad": True}),
    )
    store = RowSparse(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), (6, 2))
    data, weight = torch.tensor([4.0, 1.0, 4.0]), torch.arange(12.0).reshape(6, 2)
    for request in ("write", "add"):
        run = Executor(graph, [data, weight], gradients=[None, store], requests=["null", request])
        for _ in range(2):
            run.forward(training=True)
            run.backward()
        times = 1 if request == "write" else 2
        found = run.gradients[1]
        assert isinstance(found, RowSparse)
        assert found.indices.tolist() == [1, 4]
        assert found.data.tolist() == [[1.0 * times] * 2, [2.0 * times] * 2]


def test_a_sparse_gradient_into_dense_storage_is_dense():
    graph = chain(("Embedding", "e", "data weight", {"input_dim": 3, "output_dim": 1, "sparse_grad": True}))
    run = Executor(graph, [torch.tensor([2.0, 2.0]), torch.zeros(3, 1)], requests=["null", "add"])
    for _ in range(2):
        run.forward(training=True)
        run.backward()
    assert run.gradients[1].tolist() == [[0.0], [0.0], [4.0]]
