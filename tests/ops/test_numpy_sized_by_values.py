"""Operators whose output's size depends on values: an immediate call of MXNet 1.9.1 gives what stands here."""

import numpy as np
import pytest

from evergraph.errors import OperatorError, ShapeError
from tests.goldens import operator_cases, operator_values
from tests.ops.numpy_calls import call, dtypes, one, shapes

DELETED = [
    [-0.21778319776058197, 0.19234433770179749, 1.1031454801559448],
    [-0.5085088610649109, -0.7772277593612671, -1.1669713258743286],
    [0.24591147899627686, -0.5399569869041443, 2.5082385540008545],
]
WEIGHED = [1.0922499895095825, 0.9623559713363647, 1.184973955154419, 0.0, 0.34644317626953125, 0.0, 0.0]
# what an immediate call gives for the inputs of the recorded cases
IMMEDIATE = {
    "_npi_bincount__0": [("int32", [2, 1, 1, 3, 1])],
    "_npi_bincount__1": [("float32", WEIGHED)],
    "_npi_unique__0": [("float32", [0, 1, 2, 3])],
    "_npi_unique__1": [
        ("float32", [0, 1, 3]),
        ("int64", [1, 0, 5]),
        ("int64", [1, 0, 0, 0, 0, 2, 1, 0]),
        ("int64", [5, 2, 1]),
    ],
    "_npx_nonzero__0": [("int64", [[0, 2], [0, 3], [1, 0], [1, 1], [1, 3], [2, 1]])],
    "_npi_delete__0": [("float32", DELETED)],
}


@pytest.mark.parametrize("ident", sorted(IMMEDIATE))
def test_gives_what_an_immediate_call_gives(ident):
    case = operator_cases()[ident]
    values = operator_values(case)
    found = call(case["op"], *[values[f"in:{n}"] for n in case["arguments"]], **case["params"])
    for got, (dtype, want) in zip(found, IMMEDIATE[ident], strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, np.array(want, dtype), rtol=1e-6)


def test_positions_of_a_number_have_one_column():
    assert one("_npx_nonzero", np.float32(3)).tolist() == [[0]]
    assert one("_npx_nonzero", np.float32(0)).shape == (0, 1)
    assert one("_npx_nonzero", np.zeros((0, 3), "f4")).shape == (0, 2)
    assert shapes("_npx_nonzero", [(2, 3)])[1] == [(None, 2)]


def test_different_slices_along_an_axis_keep_the_other_axes():
    data = np.array([[1, 2, 1], [0, 1, 0]], "i4")
    flags = dict.fromkeys(("return_index", "return_inverse", "return_counts"), True)
    found = call("_npi_unique", data, axis=1, **flags)
    assert [f.tolist() for f in found] == [[[1, 2], [0, 1]], [0, 1], [0, 1, 0], [2, 1]]
    assert shapes("_npi_unique", [(2, 3)], [None] * 4, axis=1, **flags)[1] == [(2, None), (None,), (3,), (None,)]
    assert dtypes("_npi_unique", "int32", return_counts=True) == ["int32", "int64"]


@pytest.mark.parametrize("indices", [[-1], [7], [0, -1], [2, -1, 7]])
def test_deleting_passes_over_indices_below_0_and_behind_the_end(indices):
    data = np.arange(5, dtype="f4")
    kept = [float(i) for i in range(5) if i not in indices]
    assert one("_npi_delete", data, np.array(indices, "i8"), axis=0).tolist() == kept


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ({"int_ind": -1}, [0, 1, 2, 3]),
        ({"start": 0, "stop": 4, "step": 2}, [1, 3, 4]),
        ({"start": 3, "step": -1}, [4]),
        ({"start": 9, "stop": 12, "step": 1}, [0, 1, 2, 3, 4]),
    ],
)
def test_deleting_by_number_tells_its_shape_before(attributes, kept):
    assert one("_npi_delete", np.arange(5), axis=0, **attributes).tolist() == kept
    assert shapes("_npi_delete", [(5,)], axis=0, **attributes)[1] == [(len(kept),)]


def test_rejects_what_cannot_be_counted_or_deleted():
    with pytest.raises(OperatorError, match="whole numbers"):
        call("_npi_bincount", np.array([-1, 2]))
    with pytest.raises(OperatorError, match="whole numbers"):
        call("_npi_bincount", np.array([0.5, 2], "f4"))
    with pytest.raises(ShapeError, match="outside"):
        call("_npi_delete", np.arange(3), int_ind=3, axis=0)
