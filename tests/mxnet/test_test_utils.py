"""`mx.test_utils` finds what is wrong and lets pass what is right."""

import os

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import nd
from evergraph.mxnet import test_utils as tu


def test_lets_equal_arrays_of_any_kind_pass():
    tu.assert_almost_equal(nd.ones((2,)), np.ones(2))
    tu.assert_almost_equal(nd.ones((2,)), nd.ones((2,)) + 1e-5)
    tu.assert_almost_equal(1.0, np.float32(1))
    tu.assert_almost_equal(np.array([np.nan]), np.array([np.nan]), equal_nan=True)
    tu.assert_almost_equal(nd.ones((2,), dtype="float16"), np.full(2, 1.05))
    tu.assert_almost_equal_ignore_nan(np.array([np.nan, 1]), np.array([2.0, 1]))
    tu.assert_almost_equal_with_err(np.ones(10), np.array([1.0] * 9 + [2]), etol=0.2)
    tu.assert_allclose(np.ones(2), np.ones(2))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(2), np.array([1, 1.1])),
        (np.array([np.nan]), np.array([np.nan])),
        (np.array([np.inf]), np.array([1.0])),
        (np.array([True]), np.array([False])),
        (np.ones(2, int), np.array([1, 2])),
    ],
)
def test_rejects_arrays_that_differ(a, b):
    with pytest.raises(AssertionError):
        tu.assert_almost_equal(a, b)


def test_names_the_places_where_arrays_differ_most():
    with pytest.raises(AssertionError, match=r"maximum error: \(1, 0\), want=3.0+, got=9.0"):
        tu.assert_almost_equal(np.array([[1, 2], [3.0, 4]]), np.array([[1, 2], [9.0, 4.1]]), names=("want", "got"))


def test_refuses_broadcasting_where_it_is_told_to():
    tu.assert_almost_equal(np.ones((2, 1)), np.ones(2))
    with pytest.raises(AssertionError, match="not equal"):
        tu.assert_almost_equal(np.ones((2, 1)), np.ones(2), use_broadcast=False)


def test_knows_shared_memory():
    x = nd.zeros((3,))
    assert tu.same_array(x, x[:])
    assert not tu.same_array(x, x.copy())


@pytest.mark.parametrize("stype", ["default", "row_sparse", "csr"])
def test_draws_arrays_of_each_storage(stype):
    found = tu.rand_ndarray((7, 5), stype, density=0.4)
    assert (found.stype, found.shape, found.dtype) == (stype, (7, 5), np.float32)


def test_draws_sparse_arrays_as_dense_as_asked_for():
    np.random.seed(1)
    array, (indptr, indices, data) = tu.rand_sparse_ndarray((40, 50), "csr", density=0.3)
    assert 0.25 < data.size / 2000 < 0.35
    assert indptr.shape == (41,)
    assert indices.shape == data.shape
    array.check_format()
    array, (values, rows) = tu.rand_sparse_ndarray((4, 2), "row_sparse", rsp_indices=[0, 3], data_init=2)
    assert array.asnumpy().tolist() == [[2, 2], [0, 0], [0, 0], [2, 2]]
    assert (values.shape, rows.tolist()) == ((2, 2), [0, 3])


def test_draws_rows_that_double():
    _array, (indptr, _, _) = tu.rand_sparse_ndarray((5, 16), "csr", density=0.5, distribution="powerlaw")
    counts = np.diff(indptr.asnumpy())
    assert counts[2] == 2 * counts[1]
    assert counts[3] == 2 * counts[2]


def test_shuffles_columns_without_changing_the_matrix():
    np.random.seed(2)
    array = tu.rand_ndarray((6, 20), "csr", density=0.6)
    shuffled = tu.shuffle_csr_column_indices(array)
    assert not np.array_equal(shuffled.indices.asnumpy(), array.indices.asnumpy())
    assert np.array_equal(shuffled.asnumpy(), array.asnumpy())


def test_repeats_draws_from_numpys_seed():
    np.random.seed(5)
    first = tu.random_arrays((2, 3)), tu.rand_shape_nd(4)
    np.random.seed(5)
    again = tu.random_arrays((2, 3)), tu.rand_shape_nd(4)
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]


def test_restores_the_environment_after_an_error():
    os.environ.pop("EVERGRAPH_TEST", None)
    seen = []

    def broken():
        with tu.environment({"EVERGRAPH_TEST": "1"}):
            seen.append(mx.util.getenv("EVERGRAPH_TEST"))
            raise RuntimeError

    tu.assert_exception(broken, RuntimeError)
    assert seen == ["1"]
    assert "EVERGRAPH_TEST" not in os.environ


def test_tells_a_good_generator_from_a_bad_one():
    stream = np.random.RandomState(3)
    buckets, probs = tu.gen_buckets_probs_with_ppf(lambda q: 2 * q, 4)
    tu.verify_generator(lambda n: stream.uniform(0, 2, n), buckets, probs, nsamples=20000)
    with pytest.raises(AssertionError, match="too few"):
        tu.verify_generator(lambda n: stream.uniform(0, 2.2, n), buckets, probs, nsamples=20000)
    tu.verify_generator(lambda n: stream.randint(0, 3, n), [0, 1, 2], [1 / 3] * 3, nsamples=20000)


def test_chi_square_is_the_known_probability():
    # 10 and 30 where 20 and 20 are expected: chi-square 10 with one degree of freedom
    chance, counts, expected = tu.chi_square_check(lambda n: [0] * 10 + [1] * 30, [0, 1], [0.5, 0.5], 40)
    assert abs(chance - 0.001565402258) < 1e-9
    assert (counts.tolist(), expected.tolist()) == ([10, 30], [20, 20])


def test_retries_a_test_that_fails_by_chance():
    calls = []

    @tu.retry(3)
    def flaky():
        calls.append(1)
        assert len(calls) == 3

    flaky()
    with pytest.raises(AssertionError):
        flaky()


def test_reduces_over_axes_one_by_one():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(tu.np_reduce(x, (0, 2), True, np.sum), x.sum(axis=(0, 2), keepdims=True))
    assert tu.np_reduce(x, None, False, np.max) == 23
    assert np.array_equal(tu.collapse_sum_like(np.ones((2, 3, 4)), (3, 1)), np.full((3, 1), 8.0))


def test_says_which_files_of_a_data_set_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mx.MXNetError, match="train-images-idx3-ubyte"):
        tu.get_mnist_ubyte()


def test_copies_a_file_once(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    there = tu.download(str(tmp_path / "a"), fname="b", dirname=str(tmp_path / "new"))
    (tmp_path / "a").write_bytes(b"two")
    assert tu.download(str(tmp_path / "a"), fname="b", dirname=str(tmp_path / "new")) == there
    assert (tmp_path / "new" / "b").read_bytes() == b"one"
    tu.download(str(tmp_path / "a"), fname="b", dirname=str(tmp_path / "new"), overwrite=True)
    assert (tmp_path / "new" / "b").read_bytes() == b"two"


def test_gives_the_first_batch_for_ever():
    class Real:
        provide_data, provide_label, batch_size = ["d"], ["l"], 2

        def __next__(self):
            return "batch"

    found = tu.DummyIter(Real())
    assert [next(found), found.next()] == ["batch", "batch"]
    assert found.provide_data == ["d"]
