"""Operators that MXNet 2.0 has and 1.9.1 lacks: they do what NumPy's functions of their names do."""

import warnings

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from tests.goldens import operator_schema
from tests.ops.numpy_calls import call, dtypes, one, shapes, tensors

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.standard_normal(shape)


def whole(*shape):
    return RNG.integers(-9, 9, shape)


def same(found, want):
    want = np.asarray(want)
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["fmax", "fmin", "fmod", "floor_divide"])
def test_arithmetic_is_numpys(name):
    function = getattr(np, name)
    a, b = normal(2, 1, 3), normal(4, 1)
    same(one(f"_npi_{name}", a, b), function(a, b))
    same(one(f"_npi_{name}_scalar", a, scalar=1.5, is_int=False), function(a, 1.5))
    m, n = whole(2, 1, 3), np.abs(whole(4, 1)) + 1
    same(one(f"_npi_{name}", m, n), function(m, n))
    if name in ("fmod", "floor_divide"):
        same(one(f"_npi_r{name}_scalar", n, scalar=7), function(7, n))


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_nan_loses_against_any_number_and_a_tie_goes_to_the_first(name):
    a = torch.tensor([1.0, float("nan"), 2.0], requires_grad=True)
    b = torch.tensor([1.0, 3.0, float("nan")], requires_grad=True)
    (found,) = tensors(f"_npi_{name}", a, b)
    assert found.tolist() == [1.0, 3.0, 2.0]
    grads = torch.autograd.grad(found.sum(), [a, b])
    assert [g.tolist() for g in grads] == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logic_is_numpys_and_boolean(name):
    function = getattr(np, name)
    a, b = whole(2, 1, 3) * (whole(2, 1, 3) > 0), whole(4, 1).astype("f4")
    found = one(f"_npi_{name}", a, b)
    assert found.dtype == bool
    same(found, function(a, b))
    same(one(f"_npi_{name}_scalar", a, scalar=0), function(a, 0))


@pytest.mark.parametrize(
    ("name", "function"),
    [("gcd", np.gcd), ("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift)],
)
def test_functions_of_bits_and_divisors_are_numpys(name, function):
    a, b = whole(2, 1, 3), np.abs(whole(4, 1)) + 1
    same(one(f"_npi_{name}", a, b), function(a, b))
    same(one(f"_npi_{name}_scalar", a, scalar=3), function(a, 3))
    if name != "gcd":
        same(one(f"_npi_r{name}_scalar", b, scalar=3), function(3, b))


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((3,), (3,), {}),
        ((4, 3), (3,), {}),
        ((2,), (4, 3), {}),
        ((5, 2), (5, 2), {}),
        ((3, 4), (3, 4), {"axisa": 0, "axisb": 0, "axisc": 0}),
        ((3, 4), (4, 3), {"axisa": 0}),
    ],
)
def test_cross_products_are_numpys(a, b, axes):
    a, b = normal(*a), normal(*b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # vectors of two numbers
        want = np.cross(a, b, **axes)
    same(one("_npi_cross", a, b, **axes), want)
    assert shapes("_npi_cross", [a.shape, b.shape], **axes)[1] == [want.shape]


@pytest.mark.parametrize(("a", "b"), [((2,), (3,)), ((2, 3), (4,)), ((2,), (3, 4)), ((), (2,)), ((2, 1, 2), (3, 2))])
def test_kronecker_products_are_numpys(a, b):
    a, b = normal(*a), normal(*b)
    same(one("_npi_kron", a, b), np.kron(a, b))
    assert shapes("_npi_kron", [a.shape, b.shape])[1] == [np.kron(a, b).shape]


@pytest.mark.parametrize("options", [{}, {"left": 9.0, "right": -9.0}, {"period": 2.5}, {"period": -2.5}])
def test_interpolation_is_numpys(options):
    points, values = np.sort(normal(6)), normal(6)
    places = np.concatenate([normal(15) * 2, points])
    same(one("_npi_interp", points, values, places, **options), np.interp(places, points, values, **options))
    at = one("_npi_interp", points, values, x_scalar=0.3, x_is_scalar=True, **options)
    same(at, np.interp(0.3, points, values, **options))
    assert at.dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "values", "wrap"),
    [
        ((3, 3), (1, 2), False),
        ((7, 3), (7, 8), True),
        ((7, 3), (7, 8), False),
        ((3, 7), (1,), False),
        ((3,) * 3, (1,), 0),
    ],
)
def test_filled_diagonals_are_numpys(shape, values, wrap):
    data = normal(*shape)
    want = data.copy()
    np.fill_diagonal(want, values, bool(wrap))
    same(one("_npi_fill_diagonal", data, val=values, wrap=bool(wrap)), want)


def test_repetition_and_indexing_are_numpys():
    data = normal(2, 3)
    same(one("_npi_repeats", data, repeats="(2,)"), data.repeat(2))
    same(one("_npi_repeats", data, repeats="(2, 0, 1)", axis=1), data.repeat([2, 0, 1], 1))
    assert shapes("_npi_repeats", [(2, 3)], repeats="(2, 0, 1)", axis=1)[1] == [(2, 3)]
    same(one("_npi_advanced_indexing", data, np.array([[1], [0]])), data[[[1], [0]]])
    same(one("_npi_advanced_indexing", data, np.array([False, True])), data[1:])
    same(one("_npi_advanced_indexing_multiple", data, np.array([[1, 0], [2, 0]])), data[[1, 0], [2, 0]])
    for axis in range(-3, 3):
        for start in range(-3, 4):
            moved = normal(2, 3, 4)
            same(one("_npi_rollaxis", moved, axis=axis, start=start), np.rollaxis(moved, axis, start))


def test_running_products_and_triangles_are_numpys():
    data = normal(3, 4)
    same(one("_npi_cumprod", data, axis=1), np.cumprod(data, 1))
    same(one("_npi_cumprod", data), np.cumprod(data))
    same(one("_npi_triu", data, k=1), np.triu(data, 1))
    same(one("_npi_tri", N=3, M=4, k=1), np.tri(3, 4, 1))
    for found, want in zip(call("_npi_tril_indices", n=3, k=1, m=4), np.tril_indices(3, 1, 4), strict=True):
        same(found, want)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (2, 5, 3)])
def test_orthogonal_factors_and_ranks_are_numpys(shape):
    data = normal(*shape)
    for found, want in zip(call("_npi_qr", data), np.linalg.qr(data), strict=True):
        same(found, want)
    data[..., 0] = data[..., 1]
    same(one("_npi_matrix_rank_none_tol", data), np.linalg.matrix_rank(data))
    same(one("_npi_matrix_rank", data, np.array(1.0)), np.linalg.matrix_rank(data, 1.0))


@pytest.mark.parametrize(("a", "b"), [((5, 3), (5, 2)), ((5, 3), (5,)), ((3, 5), (3, 2)), ((4, 4), (4,))])
def test_least_squares_are_numpys(a, b):
    a, b = normal(*a), normal(*b)
    found = call("_npi_lstsq", a, b)
    for got, want in zip(found, np.linalg.lstsq(a, b, rcond=-1), strict=True):
        same(got, want)
    assert [tuple(f.shape) for f in found] == shapes("_npi_lstsq", [a.shape, b.shape], [None] * 4)[1]
    assert dtypes("_npi_lstsq", "float64", "float64") == ["float64", "float64", "int32", "float64"]


def test_added_and_updated_places_are_numpys():
    data, places = normal(3, 4), np.array([[0, 2, 0], [1, 3, 1]])
    for val in (normal(3), normal(1), normal()):
        want = data.copy()
        np.add.at(want, tuple(places), val)
        same(one("_npx_index_add", data, places, val), want)
    want = data.copy()
    want[[2, 0]] = rows = normal(2, 4)
    same(one("_npx_index_update", data, np.array([2, 0]), rows), want)
    assert shapes("_npx_index_add", [(3, 4), (2, 3), (3,)])[1] == [(3, 4)]


def test_gradients_of_updated_places_go_to_the_new_values():
    data, val = torch.zeros(3, requires_grad=True), torch.ones(2, requires_grad=True)
    (found,) = tensors("_npx_index_update", data, torch.tensor([2, 0]), val)
    grads = torch.autograd.grad(found, [data, val], torch.tensor([1.0, 2.0, 3.0]))
    assert [g.tolist() for g in grads] == [[0.0, 2.0, 0.0], [3.0, 1.0]]


def test_rejects_indices_that_are_outside_or_no_integers():
    with pytest.raises(ShapeError, match="outside"):
        call("_npi_advanced_indexing", np.zeros(3), np.array([3]))
    with pytest.raises(OperatorError, match="integers or booleans"):
        call("_npi_advanced_indexing", np.zeros(3), np.array([0.5]))


RENAMED = [
    "dot",
    "sum",
    "max",
    "min",
    "prod",
    "all",
    "any",
    "copy",
    "transpose",
    "squeeze",
    "moveaxis",
    "cumsum",
    "diag",
]
RENAMED += [
    "diagflat",
    "diagonal",
    "trace",
    "roll",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "zeros_like",
    "ones_like",
]


@pytest.mark.parametrize("name", RENAMED)
def test_the_newer_name_is_the_same_operator(name):
    assert ops.get(f"_npi_{name}") is ops.get(f"_np_{name}")
    assert f"_npi_{name}" not in operator_schema()["ops"]
