"""Calls that are repeated: from the second on they go the short way, and give what MXNet 1.9.1 gives."""

import numpy as np
import pytest
import torch

from evergraph.errors import OperatorError, ShapeError
from evergraph.mxnet import autograd, nd, random
from evergraph.mxnet import np as mxnp
from evergraph.mxnet.base import InputTypeError

NAN = float("nan")
TIES = [[1, 3, 3], [2, 2, 2], [NAN, 1, 0], [-1, 0, -1]]
ROWS = {"max": [[0, 1, 1], [2, 2, 2], [0, 0, 0], [0, 4, 0]], "min": [[1, 0, 0], [2, 2, 2], [0, 0, 0], [4, 0, 4]]}
COLUMNS = {"max": [[0, 2, 3], [0] * 3, [0] * 3, [0] * 3], "min": [[0] * 3, [0] * 3, [0] * 3, [0, 2, 3]]}


def _gradient(name, **options):
    x = nd.array(TIES)
    x.attach_grad()
    with autograd.record():
        y = getattr(nd, name)(x, **options)
        z = y * nd.arange(1, y.size + 1).reshape(y.shape)
    z.backward()
    return x.grad.asnumpy()


@pytest.mark.parametrize("name", ["max", "min"])
def test_gives_the_gradient_of_an_extreme_to_every_equal_value_and_none_to_nan(name):
    for _ in range(3):
        np.testing.assert_array_equal(_gradient(name, axis=1), ROWS[name])
        np.testing.assert_array_equal(_gradient(name, axis=0, keepdims=True), COLUMNS[name])
        np.testing.assert_array_equal(_gradient(name), np.zeros((4, 3)))


def test_differentiates_the_gradient_of_a_greatest_value():
    x = nd.array([[1, 3, 3]])
    x.attach_grad()
    for _ in range(2):
        with autograd.record():
            y = nd.max(x, axis=1) ** 3
            dx = autograd.grad(y, x, create_graph=True, retain_graph=True)[0]
        dx.backward()
        np.testing.assert_array_equal(dx.asnumpy(), [[0, 27, 27]])
        # each of the two equal values gets 6 * 3 from both
        np.testing.assert_array_equal(x.grad.asnumpy(), [[0, 36, 36]])


def test_finds_the_first_of_equal_values_every_time():
    x = nd.array([[3, 1, 3, 2], [0, 0, 0, 0]])
    for _ in range(3):
        assert nd.topk(x, k=2).asnumpy().tolist() == [[0, 2], [0, 1]]
        assert nd.topk(x, k=1).asnumpy().tolist() == [[0], [0]]
        assert nd.topk(x, k=3, is_ascend=True).asnumpy().tolist() == [[1, 3, 0], [0, 1, 2]]
        assert nd.topk(x, k=2, axis=0).asnumpy().tolist() == [[0] * 4, [1] * 4]
        assert nd.topk(x, k=2, dtype="int32").dtype is np.int32
        with pytest.raises(OperatorError):
            nd.topk(x, k=5)


STEPS = [
    ({"lr": 0.5}, [0.25, -3.5, 9.0], [-0.15859991312026978, -4.31719970703125, 14.951700210571289]),
    (
        {"lr": 0.5, "wd": 0.25},
        [0.009765625, -2.66015625, 7.291015625],
        [-0.6820529699325562, -2.8512935638427734, 11.774309158325195],
    ),
    (
        {"lr": 0.5, "wd": 0.25, "rescale_grad": 0.5, "clip_gradient": 0.3},
        [0.33984375, -1.735937476158142, 2.4058597087860107],
        [-0.053849995136260986, -1.09232497215271, 2.476903200149536],
    ),
]


@pytest.mark.parametrize(("options", "plain", "moved"), STEPS, ids=["plain", "decayed", "clipped"])
def test_steps_over_the_weights(options, plain, moved):
    grad, mom = nd.array([0.5, 1, -4]), nd.array([0.1, 0.2, 0.3])
    first, second = nd.array([1, -2, 3]), nd.array([1, -2, 3])
    memory = first._data.data_ptr()
    for _ in range(3):
        assert nd.sgd_update(first, grad, out=first, **options) is first
        nd.sgd_mom_update(second, grad, mom, out=second, momentum=0.9, **options)
    np.testing.assert_allclose(first.asnumpy(), plain, rtol=2e-7)
    np.testing.assert_allclose(second.asnumpy(), moved, rtol=5e-7)
    assert first._data.data_ptr() == memory
    kept = first.asnumpy()
    beside = nd.sgd_update(first, grad, lr=0.5)
    np.testing.assert_array_equal(first.asnumpy(), kept)
    np.testing.assert_array_equal(beside.asnumpy(), kept - np.array([0.25, 0.5, -2], np.float32))


ADAPTED = [[0.17217090725898743, -3.167637825012207, 4.2991461753845215], [0.3481866717338562, -2.52463865, 2.48536110]]


@pytest.mark.parametrize(
    ("options", "adapted"), [(STEPS[0][0], ADAPTED[0]), (STEPS[2][0], ADAPTED[1])], ids=["plain", "clipped"]
)
def test_adapts_the_weights_in_place(options, adapted):
    weight, grad = nd.array([1, -2, 3]), nd.array([0.5, 1, -4])
    mean, var = nd.array([0.1, 0.2, 0.3]), nd.array([0.1, 0.2, 0.3])
    for _ in range(3):
        assert nd.adam_update(weight, grad, mean, var, out=weight, **options) is weight
    np.testing.assert_allclose(weight.asnumpy(), adapted, rtol=2e-6)
    before = weight.asnumpy(), mean.asnumpy()
    nd.adam_update(weight, grad, mean, var, **options)
    np.testing.assert_array_equal(weight.asnumpy(), before[0])
    assert (mean.asnumpy() != before[1]).all()


def test_takes_arrays_by_name_in_any_order():
    x, w, b = nd.array([[1, 2]]), nd.array([[3, 4], [5, 6]]), nd.array([10, 20])
    for _ in range(3):
        for named in (nd.FullyConnected(bias=b, data=x, weight=w, num_hidden=2), nd.FullyConnected(x, w, b, 2)):
            np.testing.assert_array_equal(named.asnumpy(), [[21, 37]])
        bare = nd.FullyConnected(weight=w, data=x, num_hidden=2, no_bias=True)
        np.testing.assert_array_equal(bare.asnumpy(), [[11, 17]])
        np.testing.assert_array_equal(nd.sum(axis=0, data=w).asnumpy(), [8, 10])


def test_rejects_what_is_no_array_after_calls_that_went_well():
    x = nd.array([[1, 2]])
    for _ in range(2):
        nd.relu(x)
        nd.broadcast_add(x, x)
        nd.add_n(x, x)
    with pytest.raises(InputTypeError):
        nd.relu([1, 2])
    with pytest.raises(InputTypeError):
        nd.broadcast_add(x, 3)
    with pytest.raises(OperatorError):
        nd.broadcast_add(x)
    with pytest.raises(TypeError):
        nd.relu(x, data=x)
    with pytest.raises(OperatorError):
        nd.sum(x, axes=1)
    with pytest.raises(ShapeError):
        nd.add_n(x, nd.ones((2, 2)))
    with pytest.raises(ShapeError):
        nd.elemwise_add(x, nd.ones((1, 1)))


def test_writes_a_sum_over_an_array_only_where_the_shapes_allow_it():
    x = nd.ones((2, 3))
    x += nd.array([[1, 2, 3]])
    np.testing.assert_array_equal(x.asnumpy(), [[2, 3, 4], [2, 3, 4]])
    narrow = nd.ones((1, 3))
    with pytest.raises(ShapeError, match="does not fit into `out`"):
        narrow += nd.ones((2, 3))
    np.testing.assert_array_equal(narrow.asnumpy(), [[1, 1, 1]])


def test_draws_the_same_numbers_from_the_same_seed_the_short_way_too():
    drawn = []
    for _ in range(3):
        random.seed(7)
        drawn.append(
            [f(shape=(2, 3)).asnumpy() for f in (nd.random.uniform, nd.random.normal)]
            + [nd.random.uniform(-2, 3, shape=4).asnumpy(), nd.random.normal(5, 2, shape=(4,)).asnumpy()]
        )
    for later in drawn[1:]:
        for a, b in zip(drawn[0], later, strict=True):
            np.testing.assert_array_equal(a, b)
    assert drawn[0][2].min() >= -2
    assert drawn[0][2].max() < 3
    with pytest.raises(OperatorError):
        nd.random.uniform(3, -2, shape=4)


def test_keeps_the_value_of_a_recorded_result_when_its_history_is_used_up():
    x = nd.array([1, 2])
    x.attach_grad()
    with autograd.record():
        y = nd.square(x)
        z = (y * 3)[0:1]
    z.backward()
    np.testing.assert_array_equal(z.asnumpy(), [3])
    np.testing.assert_array_equal(y.asnumpy(), [1, 4])
    np.testing.assert_array_equal(x.grad.asnumpy(), [6, 0])
    y[:] = 5
    assert (y + z).asnumpy().tolist() == [8, 8]


def test_computes_by_training_and_device_whatever_was_called_before():
    x, one, zero = nd.array([[1, 3]]), nd.ones((2,)), nd.zeros((2,))
    options = {"eps": 0.0, "fix_gamma": False}
    for _ in range(3):
        np.testing.assert_array_equal(nd.BatchNorm(x, one, zero, zero, one, **options).asnumpy(), [[1, 3]])
        with autograd.train_mode():
            kept = nd.Dropout(nd.ones((50, 50)), p=0.5).asnumpy()
        assert set(np.unique(kept)) == {0, 2}
        np.testing.assert_array_equal(nd.Dropout(x, p=0.5).asnumpy(), [[1, 3]])


def test_takes_rows_by_masks_and_numbers_as_they_were_when_it_was_called():
    x, rows, mask = nd.array([[1, 2], [3, 4], [5, 6]]), np.array([2, 0]), np.array([True, False, True])
    x.attach_grad()
    with autograd.record():
        y = x[rows] * 2 + x[mask]
    rows[:], mask[:] = 1, False
    y.backward()
    np.testing.assert_array_equal(y.asnumpy(), [[11, 14], [7, 10]])
    np.testing.assert_array_equal(x.grad.asnumpy(), [[3, 3], [0, 0], [3, 3]])
    kept = x[nd.array([1, 1])]
    kept[:] = 0
    np.testing.assert_array_equal(x.asnumpy(), [[1, 2], [3, 4], [5, 6]])
    with pytest.raises(IndexError):
        x[np.array([3])]
    with pytest.raises(IndexError):
        x[np.ones((3, 2, 1), bool)]


def test_reads_codes_of_shapes_anew_for_arrays_of_other_shapes():
    for _ in range(2):
        assert nd.ones((2, 3, 4)).reshape((0, -1)).shape == (2, 12)
        assert nd.ones((4, 6)).reshape((0, -1)).shape == (4, 6)
        assert nd.ones((4, 6)).reshape(-1, 0).shape == (4, 6)
        with pytest.raises(ValueError, match="shape"):
            nd.ones((4, 6)).reshape((0, 5))


def test_makes_arrays_of_lists_in_single_precision():
    for listed in ([1, 2], [1.0, 2.0], [np.float16(1), 2], [nd.array([1])[0], nd.array([2])[0]], [True, 2]):
        found = nd.array(listed)
        assert found.dtype is np.float32
        np.testing.assert_array_equal(found.asnumpy().ravel(), [1, 2])
    for wrong in ([[1], [1, 2]], [object()]):
        with pytest.raises(TypeError, match="array like"):
            nd.array(wrong)


def test_cuts_steps_and_single_values_as_before_and_after_writing():
    x = nd.arange(12).reshape((3, 4))
    for _ in range(2):
        np.testing.assert_array_equal(x[::2].asnumpy(), [[0, 1, 2, 3], [8, 9, 10, 11]])
        np.testing.assert_array_equal(x[0:9:3].asnumpy(), [[0, 1, 2, 3]])
        np.testing.assert_array_equal(x[2::-1].asnumpy(), x.asnumpy()[2::-1])
        assert x[1, 2].shape == (1,)
        assert x[1, 2].asscalar() == 6
    x[1, 2][:] = 50  # one value is a view, rows with a step are not
    x[::2][:] = 70
    np.testing.assert_array_equal(x.asnumpy(), [[0, 1, 2, 3], [4, 5, 50, 7], [8, 9, 10, 11]])


def test_multiplies_batches_and_finds_places_the_short_way():
    a, b = nd.array([[[1, 2]], [[3, 4]]]), nd.array([[[5, 6]], [[7, 8]]])
    x = nd.array([[3, 1, 2], [2, 5, 5]])
    for _ in range(3):
        assert nd.batch_dot(a, b, transpose_b=True).asnumpy().tolist() == [[[17]], [[53]]]
        assert nd.batch_dot(a, b, transpose_a=True).asnumpy().tolist() == [[[5, 6], [10, 12]], [[21, 24], [28, 32]]]
        assert nd.argsort(x).asnumpy().tolist() == [[1, 2, 0], [0, 1, 2]]
        assert x.argmax().asnumpy().tolist() == [4]
        assert x.argmax(axis=1).asnumpy().tolist() == [0, 1]
        assert nd.moveaxis(a, 0, 2).asnumpy().tolist() == [[[1, 3], [2, 4]]]
        with pytest.raises(OperatorError):
            nd.batch_dot(a, b)


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        (1.0, [[0.045, 0.02, 1.0], [3.5, 0.03125, 0.0]]),
        (2.0, [[0.175, 0.08, 1.375], [3.875, 0.125, 0.0]]),
        (0.5, [[0.01125, 0.005, 0.28125], [2.0, 0.0078125, 0.0]]),
    ],
)
def test_smooths_the_size_by_its_scalar_the_short_way(scalar, expected):
    x = nd.array([[0.3, -0.2, 1.5], [-4, 0.25, 0]])
    for _ in range(3):
        np.testing.assert_allclose(nd.smooth_l1(x, scalar=scalar).asnumpy(), expected, rtol=2e-7)
    assert np.isnan(nd.smooth_l1(nd.array([[NAN]]), scalar=scalar).asnumpy()).all()


def test_multiplies_matrices_turned_or_not_the_short_way():
    a, b = nd.array([[1, 2, 3], [4, 5, 6]]), nd.array([[1, 0, 2], [0, 3, 1]])
    for _ in range(3):
        turned = nd.linalg.gemm2(a, b, transpose_b=True)
        np.testing.assert_array_equal(turned.asnumpy(), [[7, 9], [16, 21]])
        np.testing.assert_array_equal(nd.linalg.gemm2(a, b.T).asnumpy(), [[7, 9], [16, 21]])
        both = nd.linalg.gemm2(a, b.T, transpose_a=True, transpose_b=True)
        np.testing.assert_array_equal(both.asnumpy(), [[1, 12, 6], [2, 15, 9], [3, 18, 12]])
        np.testing.assert_array_equal(nd.linalg.gemm2(a, b, transpose_a=True).asnumpy(), both.asnumpy())
        np.testing.assert_array_equal(nd.linalg.gemm2(a, b, transpose_b=True, alpha=2).asnumpy(), [[14, 18], [32, 42]])
        with pytest.raises(ShapeError):
            nd.linalg.gemm2(a, b)


def test_cuts_an_array_like_another_the_short_way():
    x = nd.arange(12).reshape((3, 4))
    for _ in range(3):
        np.testing.assert_array_equal(nd.slice_like(x, nd.zeros((2, 3))).asnumpy(), [[0, 1, 2], [4, 5, 6]])
        part = nd.slice_like(x, nd.zeros((2, 3)), axes=(1,))
        np.testing.assert_array_equal(part.asnumpy(), [[0, 1, 2], [4, 5, 6], [8, 9, 10]])
        np.testing.assert_array_equal(nd.slice_like(x[1:], nd.zeros((1, 1))).asnumpy(), [[4]])
        part[:] = -1
        with pytest.raises(ShapeError):
            nd.slice_like(x, nd.zeros((4, 4)))
    np.testing.assert_array_equal(x.asnumpy(), np.arange(12).reshape(3, 4))


def test_makes_a_new_array_at_each_of_equal_calls():
    for _ in range(4):
        for made, expected in (
            (nd.linspace(0, 1, 5, endpoint=False), [0, 0.2, 0.4, 0.6, 0.8]),
            (nd.eye(2, 3, 1), [[0, 1, 0], [0, 0, 1]]),
            (nd.arange(0, 1, 0.25, repeat=2), [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]),
        ):
            np.testing.assert_allclose(made.asnumpy(), expected, rtol=1e-7)
            made[:] = 7
    assert nd.eye(2, dtype="int32").dtype is np.int32


def test_draws_whole_numbers_of_the_asked_type_from_the_seed():
    drawn = []
    for _ in range(2):
        random.seed(3)
        drawn.append([nd.random.randint(-5, 5, shape=(50,), dtype=d) for d in ("int32", "int64", "int32")])
    for first, second in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())
        assert sorted(set(first.asnumpy())) == list(range(-5, 5))
    assert [d.dtype for d in drawn[0]] == [np.int32, np.int64, np.int32]
    for _ in range(2):
        with pytest.raises(OperatorError):
            nd.random.randint(5, 5, shape=(2,))


def test_joins_only_arrays_that_agree():
    x, flat = nd.ones((2, 3)), nd.ones((3,))
    for _ in range(3):
        assert nd.concatenate([x, x, x]).shape == (6, 3)
        assert nd.concatenate([x, nd.ones((2, 1))], axis=1).shape == (2, 4)
        for other in (nd.ones((2, 2)), nd.ones((2, 3), dtype="int32"), flat, nd.zeros((0,))):
            for both in ([x, other], [other, x]):
                with pytest.raises(AssertionError):
                    nd.concatenate(both)


def test_tells_empty_arrays_of_two_shapes_apart():
    for _ in range(2):
        nd.elemwise_add(nd.ones((1, 3)), nd.ones((1, 3)))
    one, other = (nd.NDArray(torch.empty(s)) for s in ((0, 1), (0, 3)))
    with pytest.raises(ShapeError):
        nd.elemwise_add(one, other)
    assert nd.elemwise_add(other, other).shape == (0, 3)


def test_picks_rows_by_a_mask_of_any_layout():
    x, mask = nd.arange(12).reshape((4, 3)), np.array([True, False, True, True])
    frozen = mask.copy()
    frozen.flags.writeable = False
    for chosen in (mask, frozen, mask[::-1][::-1], np.repeat(mask, 2)[::2]):
        np.testing.assert_array_equal(x[chosen].asnumpy(), [[0, 1, 2], [6, 7, 8], [9, 10, 11]])
    assert x[np.zeros(4, bool)].shape == (0, 3)
    part = x[mask]
    part[:] = 0
    assert x.asnumpy()[0].tolist() == [0, 1, 2]
    with pytest.raises(IndexError):
        x[np.array([True, False])]


def test_finds_the_places_of_the_greatest_along_any_axis():
    x = nd.array([[[3, 1, 3], [2, 2, 0]], [[0, 0, 0], [5, 5, 6]]])
    for _ in range(3):
        assert nd.topk(x, k=2, axis=2).asnumpy().tolist() == [[[0, 2], [0, 1]], [[0, 1], [2, 0]]]
        least = nd.topk(x, k=1, axis=1, is_ascend=True)
        assert least.asnumpy().tolist() == [[[1, 0, 1]], [[0, 0, 0]]]
        assert nd.topk(x, k=2, axis=1, dtype="int64").asnumpy().tolist() == [[[0, 1, 0], [1, 0, 1]], [[1] * 3, [0] * 3]]


def test_leaves_out_an_input_that_is_not_the_last_the_short_way():
    data, weight = nd.array([[1, -2, 3]], dtype="int8"), nd.array([[1, 2, 3], [-1, 0, 1]], dtype="int8")
    low, high = nd.array([-1.27]), nd.array([1.27])
    for _ in range(3):
        found = nd.contrib.quantized_fully_connected(
            data, weight, low, high, low, high, num_hidden=2, no_bias=True, flatten=True
        )
        assert found[0].asnumpy().tolist() == [[6, 2]]
        assert [f.shape for f in found] == [(1, 2), (1,), (1,)]


def test_gives_every_result_memory_of_its_own():
    x = nd.array([[1, 2], [3, 4]])
    for _ in range(3):
        for found in (
            *nd.split(x, num_outputs=2, axis=0),
            *nd.split(x, num_outputs=2, axis=1),
            nd.split(x[0:1], num_outputs=1, axis=1),
            nd.Dropout(x, p=0.5),
            nd.BlockGrad(x),
            nd.SequenceMask(x),
            nd.Flatten(x),
            nd.expand_dims(x, axis=0),
            nd.transpose(x),
            nd.reshape_like(x[0], nd.zeros((1, 2))),
        ):
            found[:] = -1
    assert x.asnumpy().tolist() == [[1, 2], [3, 4]]


def test_joins_sparse_arrays_too():
    x = nd.array([[0, 2], [3, 0]]).tostype("csr")
    for _ in range(2):
        assert nd.concatenate([x, x]).asnumpy().tolist() == [[0, 2], [3, 0]] * 2


def test_reaches_the_arrays_behind_a_step_with_a_gradient_of_0():
    x, w, plain = nd.array([[1, -2], [3, 0]]), nd.array([[2, 2], [2, 2]]), nd.ones((2, 2))
    x.attach_grad()
    w.attach_grad()
    for found, expected in (
        (lambda: x > 0, [[1, 0], [1, 0]]),
        (lambda: x > plain, [[0, 0], [1, 0]]),
        (lambda: nd.zeros_like(x), [[0, 0], [0, 0]]),
        (lambda: nd.BlockGrad(x), [[1, -2], [3, 0]]),
        (lambda: nd.SliceChannel(nd.BlockGrad(x), num_outputs=1), [[1, -2], [3, 0]]),
    ):
        for _ in range(2):
            x.grad[:] = 7
            with autograd.record():
                step = found()
                y = step * w
            y.backward()
            np.testing.assert_array_equal(step.asnumpy(), expected)
            np.testing.assert_array_equal(w.grad.asnumpy(), expected)
            np.testing.assert_array_equal(x.grad.asnumpy(), np.zeros((2, 2)))
            step[:] = 5
            assert x.asnumpy().tolist() == [[1, -2], [3, 0]]


def test_gives_no_history_to_an_array_that_a_recorded_call_hands_on():
    x, label = nd.array([1, 2]), nd.array([3, 4])
    x.attach_grad()
    for _ in range(3):
        with autograd.record():
            handed = nd._internal._identity_with_attr_like_rhs(label, x)
        assert handed._leaf is not None
        assert label._leaf is None
        assert not label._data.requires_grad
        handed.backward()
        assert x.grad.asnumpy().tolist() == [0, 0]


INF = float("inf")
# type, array, number: whether they are equal, which is greater, their sum, the greater
CUT = [
    ("int32", [1, -2, 2147483647], INF, [[0, 0, 0], [1, 1, 1], [-2147483647, 2147483646, -1], [1, -2, 2147483647]]),
    ("int32", [1, -2, 2147483647], NAN, [[0, 0, 0], [1, 1, 1], [-2147483647, 2147483646, -1], [1, -2, 2147483647]]),
    ("int32", [1, -2, 2147483647], -1e30, [[0, 0, 0], [1, 1, 1], [-2147483647, 2147483646, -1], [1, -2, 2147483647]]),
    (
        "int32",
        [1, -2, 2147483647],
        3000000000.0,
        [[0, 0, 0], [1, 1, 1], [-2147483647, 2147483646, -1], [1, -2, 2147483647]],
    ),
    ("int32", [1, -2, 2147483647], -1.0, [[0, 0, 0], [1, 0, 1], [0, -3, 2147483646], [1, -1, 2147483647]]),
    ("int32", [1, -2, 2147483647], 300.0, [[0, 0, 0], [0, 0, 1], [301, 298, -2147483349], [300, 300, 2147483647]]),
    ("int32", [1, -2, 2147483647], -129.5, [[0, 0, 0], [1, 1, 1], [-128, -131, 2147483518], [1, -2, 2147483647]]),
    ("uint8", [1, 200], INF, [[0, 0], [1, 1], [1, 200], [1, 200]]),
    ("uint8", [1, 200], NAN, [[0, 0], [1, 1], [1, 200], [1, 200]]),
    ("uint8", [1, 200], -1e30, [[0, 0], [1, 1], [1, 200], [1, 200]]),
    ("uint8", [1, 200], 3000000000.0, [[0, 0], [1, 1], [1, 200], [1, 200]]),
    ("uint8", [1, 200], -1.0, [[0, 0], [0, 0], [0, 199], [255, 255]]),
    ("uint8", [1, 200], 300.0, [[0, 0], [0, 1], [45, 244], [44, 200]]),
    ("uint8", [1, 200], -129.5, [[0, 0], [0, 1], [128, 71], [127, 200]]),
    ("int64", [1, -5], INF, [[0, 0], [1, 1], [-9223372036854775807, 9223372036854775803], [1, -5]]),
    ("int64", [1, -5], NAN, [[0, 0], [1, 1], [-9223372036854775807, 9223372036854775803], [1, -5]]),
    ("int64", [1, -5], -1e30, [[0, 0], [1, 1], [-9223372036854775807, 9223372036854775803], [1, -5]]),
    ("int64", [1, -5], 3000000000.0, [[0, 0], [0, 0], [3000000001, 2999999995], [3000000000, 3000000000]]),
    ("int64", [1, -5], -1.0, [[0, 0], [1, 0], [0, -6], [1, -1]]),
    ("int64", [1, -5], 300.0, [[0, 0], [0, 0], [301, 295], [300, 300]]),
    ("int64", [1, -5], -129.5, [[0, 0], [1, 1], [-128, -134], [1, -5]]),
    ("int8", [1, -100], INF, [[0, 0], [1, 0], [1, -100], [1, 0]]),
    ("int8", [1, -100], NAN, [[0, 0], [1, 0], [1, -100], [1, 0]]),
    ("int8", [1, -100], -1e30, [[0, 0], [1, 0], [1, -100], [1, 0]]),
    ("int8", [1, -100], 3000000000.0, [[0, 0], [1, 0], [1, -100], [1, 0]]),
    ("int8", [1, -100], -1.0, [[0, 0], [1, 0], [0, -101], [1, -1]]),
    ("int8", [1, -100], 300.0, [[0, 0], [0, 0], [45, -56], [44, 44]]),
    ("int8", [1, -100], -129.5, [[0, 0], [0, 0], [-128, 27], [127, 127]]),
]


@pytest.mark.parametrize(
    ("dtype", "array", "number", "expected"), CUT, ids=lambda v: str(v) if not isinstance(v, list) else ""
)
def test_cuts_a_number_to_the_integers_of_an_array(dtype, array, number, expected):
    x = nd.array(array, dtype=dtype)
    for _ in range(2):
        found = [x == number, x > number, x + number, nd.maximum(x, number)]
        assert [f.asnumpy().tolist() for f in found] == expected
        assert {f.dtype for f in found} == {np.dtype(dtype).type}


def test_reads_lists_anew_whatever_became_of_the_last_one():
    x, axes = nd.arange(6).reshape((1, 2, 3)), [0, 1, 2]
    for order, shape in (
        ([0, 1, 2], (1, 2, 3)),
        ([2, 1, 0], (3, 2, 1)),
        ([1, 0, 2], (2, 1, 3)),
        ([0, 1, 2], (1, 2, 3)),
    ):
        axes[:] = order
        for _ in range(3):
            assert nd.transpose(x, axes=axes).shape == shape
            assert nd.transpose(x, axes).shape == shape
            assert nd.transpose(x, axes=tuple(axes)).shape == shape
        np.testing.assert_array_equal(nd.transpose(x, axes=axes).asnumpy(), x.asnumpy().transpose(order))
    for _ in range(3):
        assert nd.sum(x, axis=[1, 2]).asnumpy().tolist() == [15]
        assert nd.sum(x, axis=(1, 2), keepdims=True).shape == (1, 1, 1)
        assert nd.FullyConnected(x[0], nd.ones((2, 3)), None, num_hidden=2, no_bias=True).shape == (2, 2)
        with pytest.raises(OperatorError):
            nd.transpose(x, axes=[0, 1])
        with pytest.raises(OperatorError):
            nd.transpose(x, axes=[[0, 1, 2]])
        with pytest.raises(OperatorError):
            nd.sum(x, axis=["one"])


def test_records_calls_with_lists():
    x = nd.array([[1, 2], [3, 4]])
    x.attach_grad()
    for _ in range(3):
        with autograd.record():
            y = nd.square(x).sum(axis=[0, 1])
        y.backward()
        assert y.asnumpy().tolist() == [30]
        assert x.grad.asnumpy().tolist() == [[2, 4], [6, 8]]


def test_keeps_an_arrays_class_under_a_shape_that_was_taken_before():
    x = mxnp.ones((2, 3))
    for _ in range(2):
        assert type(nd.ones((2, 3)).reshape((3, 2))) is nd.NDArray
        assert type(x.reshape_view((3, 2))) is mxnp.ndarray
        assert type(x.reshape_view(3, 2)) is mxnp.ndarray


def test_makes_arrays_of_sizes_in_a_list():
    for sizes in ([2, 3], [3], [2, 3]):
        for _ in range(3):
            assert nd.random.uniform(shape=sizes).shape == tuple(sizes)
            assert nd.random.normal(2, 3, shape=sizes, dtype="float64").dtype is np.float64
        sizes.append(1)
        assert nd.random.uniform(shape=sizes).shape == tuple(sizes)
