"""Types and shapes of NumPy-style operators: MXNet 1.9.1's promotion, partial shapes, true scalars, zero sizes."""

import numpy as np
import pytest

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.shape import coded_shape
from tests.ops.numpy_calls import call, dtypes, one, shapes

TYPES = ["bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64"]
SHORT = {"b": "bool", "u8": "uint8", "i8": "int8", "i32": "int32", "i64": "int64"}
SHORT |= {"f16": "float16", "f32": "float32", "f64": "float64"}

# what 1.9.1 gives for lhs (rows) and rhs (columns) in the order of TYPES; "-" where it refuses
ADD = """
b   u8  i8  i32 i64 f16 f32 f64
u8  u8  -   i32 i64 f16 f32 f64
i8  -   i8  i32 i64 f16 f32 f64
i32 i32 i32 i32 i64 f16 f32 f64
i64 i64 i64 i64 i64 f16 f32 f64
f16 f16 f16 f16 f16 f16 f32 f64
f32 f32 f32 f32 f32 f32 f32 f64
f64 f64 f64 f64 f64 f64 f64 f64
"""
DIVIDE = """
f32 -   -   -   -   f16 f32 f64
-   f32 -   -   -   f16 f32 f64
-   -   f32 -   -   f16 f32 f64
-   -   -   f32 -   f16 f32 f64
-   -   -   -   f32 f16 f32 f64
f16 f16 f16 f16 f16 f16 -   -
f32 f32 f32 f32 f32 -   f32 -
f64 f64 f64 f64 f64 -   -   f64
"""
# the same of an array and a number: an integer, and one that is not marked as such
SCALAR = {True: "i64 u8 i8 i32 i64 f16 f32 f64", False: "f64 f64 f64 f64 f64 f16 f32 f64"}
SCALAR_DIVISION = "f32 f32 f32 f32 f32 f16 f32 f64"


def table(text):
    rows = [line.split() for line in text.strip().splitlines()]
    for left, row in zip(TYPES, rows, strict=True):
        for right, short in zip(TYPES, row, strict=True):
            if short != "-":
                yield left, right, SHORT[short]


@pytest.mark.parametrize(
    ("name", "text"), [("add", ADD), ("multiply", ADD), ("power", ADD), ("true_divide", DIVIDE)], ids=str
)
def test_two_types_meet_as_in_the_release(name, text):
    for left, right, want in table(text):
        found = one(f"_npi_{name}", np.ones(2, left), np.ones((), right))
        assert (left, right, str(found.dtype)) == (left, right, want)
        assert dtypes(f"_npi_{name}", left, right) == [want]


@pytest.mark.parametrize("name", ["add", "rsubtract", "mod", "rpower", "copysign", "arctan2", "ldexp"])
def test_an_array_and_a_number_meet_as_in_the_release(name):
    for is_int, text in SCALAR.items():
        for dtype, short in zip(TYPES, text.split(), strict=True):
            found = one(f"_npi_{name}_scalar", np.ones(2, dtype), scalar=2, is_int=is_int)
            assert (dtype, str(found.dtype)) == (dtype, SHORT[short])
            assert dtypes(f"_npi_{name}_scalar", dtype, scalar=2, is_int=is_int) == [SHORT[short]]


def test_division_by_a_number_is_floating():
    for name in ("true_divide", "rtrue_divide"):
        for dtype, short in zip(TYPES, SCALAR_DIVISION.split(), strict=True):
            assert str(one(f"_npi_{name}_scalar", np.ones(2, dtype), scalar=2).dtype) == SHORT[short]


def test_an_unknown_type_is_taken_to_be_the_others():
    op = ops.get("_npi_add")
    assert op.dtype(op.parse({}), [None, "int8"], [None]) == (["int8", "int8"], ["int8"])
    assert op.dtype(op.parse({}), [None, None], ["float16"]) == (["float16", "float16"], ["float16"])
    assert op.dtype(op.parse({}), [None, None], [None]) == ([None, None], [None])


@pytest.mark.parametrize("name", ["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"])
def test_comparisons_are_boolean_in_shape_and_type(name):
    found = one(f"_npi_{name}", np.ones((2, 1), "f4"), np.ones(3, "f4"))
    assert found.dtype == bool
    assert found.shape == (2, 3)
    assert dtypes(f"_npi_{name}", "float32", "float32") == ["bool"]


def test_full_reductions_give_numbers_and_no_axes_give_the_array():
    data = np.arange(6, dtype="f4").reshape(2, 3)
    for name in ("_np_sum", "_npi_mean", "_np_max", "_np_prod", "_np_any"):
        assert one(name, data).shape == ()
        assert one(name, data, axis="()").shape == (2, 3)
        assert shapes(name, [(2, None)], axis="(1,)", keepdims=True)[1] == [(2, 1)]


@pytest.mark.parametrize(
    ("name", "dtype", "want"),
    [
        ("_npi_mean", "int32", "float32"),
        ("_npi_mean", "bool", "float32"),
        ("_np_sum", "bool", "int64"),
        ("_np_sum", "int8", "int8"),
        ("_np_prod", "bool", "int64"),
        ("_npi_argmax", "float16", "int64"),
        ("_npi_var", "int32", "int32"),
        ("_np_cumsum", "bool", "int64"),
    ],
)
def test_reductions_have_the_types_of_the_release(name, dtype, want):
    assert str(call(name, np.ones((2, 3), dtype))[0].dtype) == want
    assert dtypes(name, dtype)[0] == want


def test_zero_sizes_are_sizes():
    empty = np.zeros((0, 3), "f4")
    assert one("_np_sum", empty, axis="(0,)").tolist() == [0, 0, 0]
    assert one("_np_max", empty, axis="(1,)").shape == (0,)
    assert one("_npi_zeros", shape="(2, 0)").shape == (2, 0)
    assert one("_npi_matmul", np.zeros((2, 0), "f4"), np.zeros((0, 3), "f4")).tolist() == [[0] * 3] * 2
    with pytest.raises(ShapeError, match="no values"):
        call("_np_max", empty)


@pytest.mark.parametrize(
    ("sizes", "codes", "want"),
    [
        ((2, 3, 4), (-2, -5), (2, 12)),
        ((2, 3, 4), (-5, -4), (6, 4)),
        ((2, 3, 4), (-2, -6, 3, -1, -4), (2, 3, 1, 4)),
        ((1, 3, 4), (-3, -2, -1), (3, 4)),
        ((2, None, 4), (-2, -5), (2, None)),
        ((None, 3), (-2, 3), (None, 3)),
    ],
)
def test_codes_of_a_new_shape_keep_merge_split_and_drop(sizes, codes, want):
    assert coded_shape(sizes, codes) == want
    assert shapes("_npx_reshape", [sizes], newshape=codes)[1] == [want]


@pytest.mark.parametrize("codes", [(-3,), (-2, -2), (-5,), (-6, 1), (-6, -1, -1), (-1, -1), (-7,), (5,)])
def test_rejects_codes_that_do_not_fit(codes):
    with pytest.raises(ShapeError):
        coded_shape((2,), codes)


def test_shapes_follow_backwards_where_they_can():
    assert shapes("_np_transpose", [None], [(2, 3, 4)], axes="(1, 0, 2)")[0] == [(3, 2, 4)]
    assert shapes("_np_moveaxis", [None], [(3, 4, 2)], source="(0,)", destination="(2,)")[0] == [(2, 3, 4)]
    assert shapes("_npi_exp", [None], [(2, 3)])[0] == [(2, 3)]
    assert shapes("_npi_concatenate", [(2, 3), (None, None)], [(5, 3)], num_args=2)[0] == [(2, 3), (3, 3)]
    assert shapes("_npi_stack", [None, (2, 3)], num_args=2)[0] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("name", "inputs", "attributes", "want"),
    [
        ("_npi_matmul", [(5, 1, 2, 3), (4, 3, 2)], {}, (5, 4, 2, 2)),
        ("_npi_matmul", [(3,), (3, 2)], {}, (2,)),
        ("_npi_matmul", [(None, 2, 3), (3, 4)], {}, (None, 2, 4)),
        ("_np_dot", [(), (2, 3)], {}, (2, 3)),
        ("_np_dot", [(2, 3, 4), (2, 4, 3)], {}, (2, 3, 2, 3)),
        ("_npi_einsum", [(2, 5, 3), (2, 3, 4)], {"num_args": 2, "subscripts": "...ij,...jk->...ik"}, (2, 5, 4)),
        ("_npi_einsum", [(2, 3), (3,)], {"num_args": 2, "subscripts": "ij,j"}, (2,)),
        ("_npi_pad", [(2, None)], {"pad_width": "((1, 0), (2, 1))"}, (3, None)),
        ("_npi_percentile", [(3, 4), (2,)], {"axis": "(1,)"}, (2, 3)),
        ("_npi_hsplit", [(4, 6)], {"indices": "(0, 2)", "axis": 1}, (4, 2)),
    ],
)
def test_shapes_are_told_without_computing(name, inputs, attributes, want):
    op = ops.get(name)
    count = len(op.output_names(op.parse({k: str(v) for k, v in attributes.items()})))
    assert shapes(name, inputs, [None] * count, **attributes)[1][0] == want


MISFITS = [
    ("_npi_matmul", [(2, 3), (4, 2)], {}),
    ("_npi_matmul", [(), (2,)], {}),
    ("_np_dot", [(2, 3), (2, 3)], {}),
    ("_npi_einsum", [(2, 3)], {"num_args": 1, "subscripts": "i->i"}),
    ("_np_squeeze", [(1, 2)], {"axis": "(1,)"}),
    ("_npi_broadcast_to", [(2, 3)], {"shape": "(2, 4)"}),
    ("_npi_solve", [(2, 3), (2,)], {}),
    ("_npi_pad", [(2, 3)], {"pad_width": "((1, 0), (1, 0), (1, 0))"}),
    ("_np_transpose", [(2, 3)], {"axes": "(0, 0)"}),
    ("_np_sum", [(2, 3)], {"axis": "(1, -1)"}),
    ("_np_sum", [(2, 3)], {"axis": "(2,)"}),
]


@pytest.mark.parametrize(("name", "inputs", "attributes"), MISFITS)
def test_rejects_shapes_that_do_not_fit(name, inputs, attributes):
    with pytest.raises(OperatorError):
        call(name, *[np.ones(s, "f4") for s in inputs], **attributes)
    with pytest.raises(OperatorError):
        shapes(name, inputs, **attributes)


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"),
    [
        ("_npi_einsum", [(2, 3), (4,)], {"num_args": 2, "subscripts": "ij,j->i"}),
        ("_npi_concatenate", [(2, 3), (2, 4)], {"num_args": 2}),
        ("_npi_add", [(2, 3), (2,)], {}),
    ],
)
def test_shape_rules_reject_what_does_not_fit(name, inputs, attributes):
    with pytest.raises(ShapeError):
        shapes(name, inputs, **attributes)


def test_rejects_weights_that_do_not_fit():
    with pytest.raises(ShapeError, match="weights"):
        call("_npi_average", np.ones((2, 3), "f4"), np.ones(2, "f4"), axis="(1,)")


def test_rejects_two_boolean_arrays_where_they_have_no_difference():
    with pytest.raises(OperatorError, match="boolean"):
        call("_npi_subtract", np.ones(2, bool), np.ones(2, bool))


def test_outputs_have_the_names_of_the_release():
    assert ops.get("_npi_var").output_names(ops.get("_npi_var").parse({})) == ("var", "mean")
    assert ops.get("_npi_concatenate").output_names(ops.get("_npi_concatenate").parse({})) == ("out",)
    norm = ops.get("_npi_norm")
    assert (len(norm.output_names(norm.parse({}))), norm.visible_outputs(norm.parse({}))) == (4, 1)
    average = ops.get("_npi_average")
    assert average.visible_outputs(average.parse({"returned": "True"})) == 2


def test_a_mask_changes_the_array_in_place():
    import torch

    data, mask = torch.arange(6.0).reshape(2, 3), torch.tensor([True, False, True])
    op = ops.get("_npi_boolean_mask_assign_scalar")
    op.body(data, mask, value=9.0, start_axis=1)
    assert data.tolist() == [[9, 1, 9], [9, 4, 9]]
    op = ops.get("_npi_boolean_mask_assign_tensor")
    op.body(data, data > 5, torch.tensor(0.5), start_axis=0)
    assert data.tolist() == [[0.5, 1, 0.5], [0.5, 4, 0.5]]
    assert [i.kind for i in op.inputs] == ["in place", "data", "data"]


def test_a_violated_constraint_says_its_message():
    assert one("_npx_constraint_check", np.array([True, True])).tolist() is True
    with pytest.raises(OperatorError, match="scale must be positive"):
        call("_npx_constraint_check", np.array([True, False]), msg="scale must be positive")


def test_refuses_what_linear_algebra_cannot_do():
    with pytest.raises(OperatorError, match="positive definite"):
        call("_npi_cholesky", -np.eye(2))
    with pytest.raises(OperatorError, match="singular"):
        call("_npi_solve", np.zeros((2, 2)), np.eye(2))
    with pytest.raises(OperatorError, match="complex"):
        call("_npi_eigvals", np.array([[0.0, 1.0], [-1.0, 0.0]]))
