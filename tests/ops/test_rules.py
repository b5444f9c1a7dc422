"""Shape rules in both directions and with unknown sizes, against MXNet's own inference and recorded results."""

import subprocess
import sys

import pytest

from evergraph import ops
from evergraph.errors import ShapeError
from evergraph.ops import rules
from tests.ops.variants import dense_cases, recorded


def dims(shape):
    return None if shape is None else tuple(None if d == 0 else d for d in shape)


def agrees(found, true):
    """Whether a shape with unknown sizes may be this one."""
    if found is None:
        return True
    return len(found) == len(true) and all(f in (None, t) for f, t in zip(found, true, strict=True))


def settled(op, params, ins, outs):
    for _ in range(3):
        ins, outs = op.infer_shapes(params, ins, outs)
    return ins, outs


@pytest.mark.parametrize("case", recorded()["shapes"], ids=lambda c: f"{c['op']}-{c['ins']}-{c['out']}")
def test_infers_at_least_what_mxnet_infers(case):
    op = ops.get(case["op"])
    params = op.parse(case["attrs"])
    outs = [dims(case["out"])] + [None] * (len(op.output_names(params)) - 1)
    ins, outs = settled(op, params, [dims(s) for s in case["ins"]], outs)
    for found, theirs in zip(ins + outs, case["found"] + case["outs"], strict=False):
        if theirs:  # [] is a shape that MXNet leaves unknown
            assert found is not None
            assert len(found) == len(theirs)
            assert all(t in (0, f) for f, t in zip(found, theirs, strict=True)), f"{found} for {theirs}"


def blurred(shapes):
    """The shapes with one size unknown, or one of them wholly unknown."""
    for i, shape in enumerate(shapes):
        yield [None if j == i else s for j, s in enumerate(shapes)]
        for axis in range(len(shape)):
            yield [(*shape[:axis], None, *shape[axis + 1 :]) if j == i else s for j, s in enumerate(shapes)]


@pytest.mark.parametrize("name", sorted(dense_cases("math") | dense_cases("array")))
def test_unknown_sizes_are_never_filled_wrongly(name):
    op = ops.get(name)
    for case in (dense_cases("math") | dense_cases("array"))[name]:
        params = op.parse(case["attrs"])
        true_ins, true_outs = [tuple(a[1]) for a in case["inputs"]], [tuple(a[1]) for a in case["outs"]]
        hidden = len(op.output_names(params)) - len(true_outs)
        if op.shape is None:
            continue
        found = settled(op, params, true_ins, [None] * (len(true_outs) + hidden))[1]
        if name != "_contrib_boolean_mask":  # how many are chosen depends on the values
            assert found[: len(true_outs)] == true_outs, f"{name} {case['attrs']} of {true_ins}"
        for shapes in blurred(true_ins + true_outs):
            if name == "pick" and shapes[1] is None:
                continue  # positions may keep the axis or not: MXNet fills in what keepdims says
            ins, outs = settled(op, params, shapes[: len(true_ins)], shapes[len(true_ins) :] + [None] * hidden)
            for found, true in zip(ins + outs, true_ins + true_outs, strict=False):
                assert agrees(found, true), f"{name} {case['attrs']}: {found} for {true} from {shapes}"


@pytest.mark.parametrize(
    ("name", "attrs", "ins", "outs", "want"),
    [
        ("elemwise_add", {}, [None, (None, 3)], [(2, None)], [(2, 3), (2, 3)]),
        ("transpose", {"axes": "(1, 2, 0)"}, [None], [(2, 3, 4)], [(4, 2, 3)]),
        ("transpose", {}, [None], [(2, None)], [(None, 2)]),
        ("expand_dims", {"axis": "-1"}, [None], [(2, 3, 1)], [(2, 3)]),
        ("SwapAxis", {"dim1": "0", "dim2": "2"}, [None], [(2, 3, 4)], [(4, 3, 2)]),
        ("Reshape", {"shape": "(0, -1)"}, [(None, 3, 4)], [(2, 12)], [(2, 3, 4)]),
        ("Concat", {"num_args": "2", "dim": "-1"}, [(2, 3), (2, None)], [(2, 7)], [(2, 3), (2, 4)]),
        ("SliceChannel", {"num_outputs": "3", "axis": "1"}, [None], [(2, 4), None, None], [(2, 12)]),
        ("SliceChannel", {"num_outputs": "3", "axis": "1", "squeeze_axis": "1"}, [None], [(2,), None, None], [(2, 3)]),
        ("stack", {"num_args": "2", "axis": "1"}, [None, None], [(2, 2, 5)], [(2, 5), (2, 5)]),
        ("dot", {}, [(None, 3), (None, 4)], [(2, 4)], [(2, 3), (3, 4)]),
        ("batch_dot", {"transpose_b": "1"}, [(5, None, 3), (None, 4, None)], [None], [(5, None, 3), (5, 4, 3)]),
        ("_linalg_trsm", {}, [None, (2, 3, 4)], [None], [(2, 3, 3), (2, 3, 4)]),
        ("pick", {"axis": "1"}, [(4, 5), None], [None], [(4, 5), (4,)]),
    ],
)
def test_sizes_flow_backwards(name, attrs, ins, outs, want):
    op = ops.get(name)
    assert settled(op, op.parse(attrs), ins, outs)[0] == want


@pytest.mark.parametrize(
    ("name", "attrs", "ins", "outs"),
    [
        ("elemwise_add", {}, [(2, 3), (3, 2)], [None]),
        ("broadcast_add", {}, [(2, 3), (2, 4)], [None]),
        ("Concat", {"num_args": "2"}, [(2, 3), (3, 3)], [None]),
        ("Reshape", {"shape": "(5, 5)"}, [(2, 3)], [None]),
        ("Reshape", {"shape": "(-1, -1)"}, [(2, 3)], [None]),
        ("Reshape", {"shape": "(-4, -1, -1)"}, [(2,)], [None]),
        ("Reshape", {"shape": "(0, 0, 0)"}, [(2, 3)], [None]),
        ("transpose", {"axes": "(0, 0)"}, [(2, 3)], [None]),
        ("SliceChannel", {"num_outputs": "2"}, [(2, 3)], [None, None]),
        ("_split_v2", {"indices": "(0, 9)", "axis": "0"}, [(2, 3)], [None, None]),
        ("sum", {"axis": "2"}, [(2, 3)], [None]),
        ("sum", {"axis": "(0, 0)"}, [(2, 3)], [None]),
        ("slice", {"begin": "(0,)", "end": "(1, 2)"}, [(2, 3)], [None]),
        ("slice", {"begin": "(0,)", "end": "(1,)", "step": "(0,)"}, [(2, 3)], [None]),
        ("slice_axis", {"axis": "0", "begin": "1", "end": "1"}, [(2, 3)], [None]),
        ("squeeze", {"axis": "0"}, [(2, 3)], [None]),
        ("dot", {}, [(2, 3), (2, 3)], [None]),
        ("dot", {"transpose_a": "1"}, [(3,), (3,)], [None]),
        ("batch_dot", {}, [(2, 3), (3, 4)], [None]),
        ("topk", {"k": "4"}, [(2, 3)], [None]),
        ("broadcast_to", {"shape": "(2, 3)"}, [(2, 2)], [None]),
        ("slice_like", {}, [(2, 3), (3, 3)], [None]),
        ("_linalg_potrf", {}, [(2, 3)], [None]),
        ("_linalg_maketrian", {}, [(4,)], [None]),
        ("where", {}, [(3,), (2, 3), (2, 3)], [None]),
    ],
)
def test_rejects_shapes_that_do_not_fit(name, attrs, ins, outs):
    op = ops.get(name)
    with pytest.raises(ShapeError):
        op.infer_shapes(op.parse(attrs), ins, outs)


def test_zeros_take_open_sizes_from_their_consumers():
    zeros = ops.get("_zeros")
    params = zeros.parse({"shape": "(0, 200)"})
    assert zeros.infer_shapes(params, [], [None]) == ([], [(None, 200)])
    _, outs = zeros.infer_shapes(params, [], [(32, None)])
    assert outs == [(32, 200)]
    assert zeros.body(**zeros.complete(params, outs)).shape == (32, 200)


def test_a_range_takes_its_length_from_its_consumer():
    arange = ops.get("_arange")
    params = arange.parse({"start": "2", "step": "0.5", "infer_range": "True", "repeat": "2"})
    _, outs = arange.infer_shapes(params, [], [(5,)])
    assert arange.body(**arange.complete(params, outs))[:5].tolist() == [2, 2, 2.5, 2.5, 3]
    with pytest.raises(ShapeError, match="length"):
        arange.body(**params)


def test_unify_names_what_does_not_fit():
    with pytest.raises(ShapeError) as caught:
        rules.unify((2, None), (3, 4), "input x")
    assert "input x" in str(caught.value)
    assert "(2, ?)" in str(caught.value)


def test_rules_and_schemas_do_not_import_torch():
    code = (
        "import sys\n"
        "from evergraph.ops.families.array import cast, create, indexing, join, nd_index, order, reshape, slicing\n"
        "from evergraph.ops.families.math import binary, dot, linalg, reduce, scalar, unary\n"
        "from evergraph.ops.families.sparse import dot, storage\n"
        "from evergraph.ops import get\n"
        "op = get('Concat')\n"
        "op.infer_shapes(op.parse({'num_args': '2'}), [(2, 3), (2, 4)], [None])\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
