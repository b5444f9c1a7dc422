"""What array operators answer beyond recorded cases: names of inputs and outputs, old functions, clear refusals."""

import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError


def run(name, *inputs, **attrs):
    op = ops.get(name)
    params = op.convert(attrs)
    return op.body(*op.arrange(params, inputs), **params)


@pytest.mark.parametrize(
    ("name", "attrs", "inputs", "outputs", "visible"),
    [  # as MXNet 1.9.1's list_arguments, list_outputs and node_row_ptr have them
        ("SliceChannel", {"num_outputs": 1}, ["data"], ("output0",), 1),
        ("SliceChannel", {"num_outputs": 2}, ["data"], ("output0", "output1"), 2),
        ("amp_multicast", {"num_outputs": 2}, ["data_0", "data_1"], ("output0", "output1"), 2),
        ("Concat", {"num_args": 2}, ["arg0", "arg1"], ("output",), 1),
        ("stack", {"num_args": 2}, ["arg0", "arg1"], ("output",), 1),
        ("sort", {}, ["data"], ("output0", "output1"), 1),
        ("topk", {"ret_typ": "value"}, ["data"], ("output0", "output1"), 1),
        ("topk", {"ret_typ": "both"}, ["data"], ("output0", "output1"), 2),
        ("topk", {"ret_typ": "mask"}, ["data"], ("output",), 1),
        ("_linalg_det", {}, ["A"], ("output0", "output1", "output2"), 1),
        ("_linalg_slogdet", {}, ["A"], ("output0", "output1", "output2", "output3"), 2),
        ("_histogram", {"bin_cnt": 2, "range": (0, 1)}, ["data"], ("output0", "output1"), 2),
        ("_histogram", {}, ["data", "bins"], ("output0", "output1"), 2),
    ],
)
def test_inputs_and_outputs_are_named_as_mxnet_names_them(name, attrs, inputs, outputs, visible):
    op = ops.get(name)
    params = op.convert(attrs)
    assert op.input_names(params) == inputs
    assert op.output_names(params) == outputs
    assert op.visible_outputs(params) == visible


def test_functions_of_the_first_releases():
    data = torch.arange(6.0).reshape(2, 3)
    places = torch.tensor([2.0, 0.0])
    assert run("choose_element_0index", data, places).tolist() == [2, 3]
    filled = run("fill_element_0index", data, torch.tensor([10.0, 20.0]), places)
    assert filled.tolist() == [[0, 1, 10], [20, 4, 5]]
    outside = run("fill_element_0index", data, torch.tensor([10.0, 20.0]), torch.tensor([5.0, -1.0]))
    assert outside.tolist() == data.tolist()
    assert run("_onehot_encode", places, data).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert run("_onehot_encode", torch.tensor([5.0, -1.0]), data).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert run("_set_value", src=3.5).item() == 3.5


def test_copies_share_no_memory():
    data = torch.ones(2)
    for name in ("_copy", "_copyto", "_CrossDeviceCopy"):
        run(name, data).zero_()
    run("add_n", data).zero_()
    assert data.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "inputs", "attrs", "wrong"),
    [
        ("elemwise_add", [(2, 3), (3,)], {}, "differ in shape"),
        ("add_n", [(2, 3), (3, 2)], {}, "differ in shape"),
        ("where", [(3,), (2, 3), (2, 3)], {}, "condition"),
        ("Reshape", [(2, 3)], {"shape": (4, -1)}, "number of values"),
        ("squeeze", [(2, 3)], {"axis": 0}, "length 1"),
        ("transpose", [(2, 3)], {"axes": (0, 2)}, "each axis once"),
        ("slice_axis", [(2, 3)], {"axis": 1, "begin": 3, "end": 4}, "slice_axis"),
        ("SliceChannel", [(2, 3)], {"num_outputs": 2}, "equal parts"),
        ("dot", [(2, 3), (2, 3)], {}, "summed axes"),
        ("batch_dot", [(1, 2, 3), (1, 2, 3)], {}, "summed axes"),
        ("topk", [(2, 3)], {"k": 4}, "topk"),
        ("max", [(0, 3)], {}, "empty"),
        ("argmax", [(2, 0)], {"axis": 1}, "cannot be searched"),
        ("pick", [(2, 3), (3,)], {"axis": 1}, "one position"),
        ("_linalg_potrf", [(2, 3)], {}, "square"),
        ("_slice_assign", [(4,), (3,)], {"begin": 0, "end": 2}, "do not fill"),
        ("_contrib_boolean_mask", [(2, 3), (3,)], {}, "boolean_mask"),
    ],
)
def test_rejects_inputs_that_do_not_fit(name, inputs, attrs, wrong):
    with pytest.raises(ShapeError, match=wrong):
        run(name, *(torch.ones(s) for s in inputs), **attrs)


def test_rejects_values_that_have_no_answer():
    with pytest.raises(OperatorError, match="outside the axis"):
        run("take", torch.ones(2), torch.tensor([2]), mode="raise")
    with pytest.raises(OperatorError, match="no such decomposition"):
        run("_linalg_potrf", -torch.eye(2))
    with pytest.raises(OperatorError, match="orders"):
        run("norm", torch.ones(2), ord=3)
    with pytest.raises(OperatorError, match="range"):
        run("_arange", start=3, stop=1)
    with pytest.raises(ShapeError, match="unknown shape"):
        run("_zeros", shape=(-1, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.int8])
@pytest.mark.parametrize("ascending", [False, True])
def test_the_first_of_equal_values_lead_in_long_rows(dtype, ascending):
    data = torch.randint(0, 9, (2, 60, 3), generator=torch.Generator().manual_seed(0)).to(dtype)
    data = data - 4 if dtype.is_signed else data
    found, places = run("topk", data, axis=1, k=15, ret_typ="both", is_ascend=ascending, dtype="int64")
    order = torch.sort(data, dim=1, descending=not ascending, stable=True)
    assert torch.equal(places, order.indices[:, :15])
    assert torch.equal(found, order.values[:, :15])


def test_signed_zeros_are_equal_values():
    data = torch.tensor([0.0, -0.0] * 8)
    assert run("topk", data, k=3, dtype="int32").tolist() == [0, 1, 2]
    assert run("topk", data, k=3, dtype="int32", is_ascend=True).tolist() == [0, 1, 2]
