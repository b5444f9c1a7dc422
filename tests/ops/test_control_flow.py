"""Loops and branches: the graphs that releases recorded, random ones that 1.9.1 ran, and what they refuse."""

import json

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from tests.goldens import MXNET, RELEASES, near

NAMES = ("foreach", "while_loop", "cond")
WRITTEN = [(r, n) for r in RELEASES for n in NAMES if (MXNET / r / "control" / f"{n}.json").exists()]


class Body:
    """A subgraph, or a whole graph, run node by node."""

    def __init__(self, graph):
        self.graph = graph

    def __call__(self, *values):
        return self.run(dict(zip(self.variables(), values, strict=True)))

    def variables(self):
        return [self.graph["nodes"][i]["name"] for i in self.graph["arg_nodes"]]

    def run(self, values):
        found = []
        for node in self.graph["nodes"]:
            if node["op"] == "null":
                found.append([values[node["name"]]])
                continue
            op = ops.get(node["op"])
            extra = {"subgraphs": [Body(s) for s in node["subgraphs"]]} if op.wants_subgraphs else {}
            inputs = [found[i[0]][i[1]] for i in node["inputs"]]
            params = op.parse(node.get("attrs", {}))
            assert op.input_names(params, len(inputs)) == op.input_names(params)
            outs = op.body(*op.arrange(params, inputs), **params, **extra)
            found.append(outs if isinstance(outs, (list, tuple)) else [outs])
        return [found[h[0]][h[1]] for h in self.graph["heads"]]


@pytest.mark.parametrize(("release", "name"), WRITTEN)
def test_runs_what_each_release_wrote(release, name):
    folder = MXNET / release / "control"
    values = np.load(folder / f"{name}-io.npz")
    body = Body(json.loads((folder / f"{name}.json").read_bytes()))
    outs = body.run({k[3:]: torch.from_numpy(values[k]) for k in values.files if k.startswith("in:")})
    for i, out in enumerate(outs):
        steps = 3 if name == "while_loop" and i == 0 else None  # rows past them are what MXNet's memory held
        near(out[:steps], values[f"out:{i}"][:steps], 1e-5, 1e-6, f"output {i}")
    assert name != "while_loop" or not outs[0][3:].any()


def foreach_node(subgraph, *data, states=1, outputs=1, **more):
    count = len(data)
    walked = count - states - len(more.get("remain", ()))
    op = ops.get("_foreach")
    params = op.convert(
        {
            "num_args": count + 1,
            "num_outputs": outputs + states,
            "num_out_data": outputs,
            "in_data_locs": tuple(range(walked)),
            "in_state_locs": tuple(range(walked, walked + states)),
            "remain_locs": more.get("remain", ()),
        }
    )
    return op.body(*data, **params, subgraphs=[subgraph])


def test_gradients_flow_through_every_step_of_a_loop():
    # what MXNet 1.9.1 gives for foreach(lambda x, s: (x * s, s + x * x)) with heads of ones
    data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    state = torch.tensor([0.5, -1.0], requires_grad=True)
    outs = foreach_node(lambda x, s: [x * s, s + x * x], data, state)
    torch.autograd.backward(outs, [torch.ones_like(o) for o in outs])
    near(outs[0].detach(), np.array([[0.5, -2], [4.5, 12], [52.5, 114]], "f"), 1e-5, 1e-6, "outputs")
    near(outs[1].detach(), np.array([35.5, 55], "f"), 1e-5, 1e-6, "last state")
    near(data.grad, np.array([[18.5, 43], [37.5, 59], [20.5, 31]], "f"), 1e-5, 1e-6, "gradient of data")
    near(state.grad, np.array([10, 13], "f"), 1e-5, 1e-6, "gradient of the state")


def test_rows_of_a_vector_have_one_element():
    outs = foreach_node(lambda x, s: [x * 2, s + x], torch.ones(4), torch.ones(1))
    assert [tuple(o.shape) for o in outs] == [(4, 1), (1,)]


def test_loop_over_nothing_keeps_shapes_and_states():
    outs = foreach_node(lambda x, s: [torch.stack((x, x)), s], torch.ones(0, 3), torch.ones(3))
    assert outs[0].shape == (0, 2, 3)
    assert outs[1].tolist() == [1.0, 1.0, 1.0]


def test_states_may_come_in_another_order_than_the_outputs():
    op = ops.get("_npx_foreach")
    params = op.parse(
        {
            "num_args": "3",
            "num_outputs": "2",
            "num_out_data": "0",
            "in_data_locs": "(0,)",
            "in_state_locs": "(1, 2)",
            "remain_locs": "()",
            "in_state_index": "(1, 0)",
        }
    )
    a, b = torch.tensor([1.0]), torch.tensor([10.0])
    outs = op.body(torch.ones(3, 1), a, b, **params, subgraphs=[lambda x, s, t: [t + 10 * x, s + x]])
    assert [o.item() for o in outs] == [40.0, 4.0]


def while_node(condition, body, i, v, limit):
    op = ops.get("_while_loop")
    params = op.convert(
        {
            "num_args": 4,
            "num_outputs": 3,
            "num_out_data": 1,
            "max_iterations": limit,
            "cond_input_locs": (0,),
            "func_input_locs": (0, 1),
            "func_var_locs": (0, 1),
        }
    )
    return op.body(i, v, **params, subgraphs=[condition, body])


def test_while_loop_stops_at_its_limit():
    outs = while_node(lambda i: [i < 30], lambda i, v: [v * v, i + 1, v * 2], torch.tensor([5.0]), torch.ones(2), 2)
    assert outs[0].tolist() == [[1.0, 1.0], [4.0, 4.0]]
    assert [o.tolist() for o in outs[1:]] == [[7.0], [4.0, 4.0]]


def test_while_loop_without_a_step_gives_rows_of_zeros():
    outs = while_node(lambda i: [i < 3], lambda i, v: [v * v, i + 1, v * 2], torch.tensor([5.0]), torch.ones(2), 4)
    assert outs[0].tolist() == [[0.0, 0.0]] * 4
    assert [o.tolist() for o in outs[1:]] == [[5.0], [1.0, 1.0]]


def test_gradients_flow_through_the_steps_that_ran():
    v = torch.tensor([1.0, 2.0], requires_grad=True)
    outs = while_node(lambda i: [i < 2], lambda i, v: [v * v, i + 1, v * 2], torch.tensor([0.0]), v, 5)
    outs[0].sum().backward()
    near(v.grad, np.array([10, 20], "f"), 1e-5, 1e-6, "gradient")


def test_rejects_a_condition_that_is_no_number():
    with pytest.raises(ShapeError, match="no single number"):
        while_node(lambda i: [i < 3], lambda i, v: [v, i, v], torch.ones(2), torch.ones(2), 4)


def test_rejects_data_of_different_lengths():
    with pytest.raises(ShapeError, match="one length") as error:
        foreach_node(lambda x, y, s: [x + y, s], torch.ones(2, 1), torch.ones(3, 1), torch.ones(1))
    assert error.value.found == [2, 3]


def test_rejects_places_that_do_not_cover_the_inputs():
    with pytest.raises(OperatorError, match="places of foreach's inputs"):
        foreach_node(lambda x, s: [x, s], torch.ones(2, 1), torch.ones(1), remain=(5,))
