"""Tensors as MindSpore 2.10 makes and prints them."""

import copy

import numpy as np
import pytest
import torch

import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import Parameter, ParameterTuple, Tensor
from evergraph.mindspore.common.initializer import initializer

# each as MindSpore 2.10.0 printed it
PRINTED = [
    (10, "Tensor(shape=[], dtype=Int64, value= 10)"),
    (0.5, "Tensor(shape=[], dtype=Float32, value= 0.5)"),
    (True, "Tensor(shape=[], dtype=Bool, value= True)"),
    (np.float64(1 / 3), "Tensor(shape=[], dtype=Float64, value= 0.333333)"),
    (np.float32(1e20), "Tensor(shape=[], dtype=Float32, value= 1e+20)"),
    (np.float32(123456789), "Tensor(shape=[], dtype=Float32, value= 1.23457e+08)"),
    ([1.5, 2], "Tensor(shape=[2], dtype=Float32, value= [ 1.50000000e+00,  2.00000000e+00])"),
    ([True, False], "Tensor(shape=[2], dtype=Bool, value= [ True, False])"),
    (np.array([-1, 2, 30]), "Tensor(shape=[3], dtype=Int64, value= [-1,  2, 30])"),
    (np.arange(2, dtype="f2"), "Tensor(shape=[2], dtype=Float16, value= [ 0.0000e+00,  1.0000e+00])"),
    (np.array([np.inf, 1], "f2"), "Tensor(shape=[2], dtype=Float16, value= [        inf,  1.0000e+00])"),
    (np.array([np.nan]), "Tensor(shape=[1], dtype=Float64, value= [            nan])"),
    (np.zeros((0, 2), "f4"), "Tensor(shape=[0, 2], dtype=Float32, value=\n)"),
    (np.arange(1001), "Tensor(shape=[1001], dtype=Int64, value= [   0,    1,    2 ...  998,  999, 1000])"),
    (np.zeros((1, 24), "i4"), "Tensor(shape=[1, 24], dtype=Int32, value=\n[[0, 0, 0 ... 0, 0, 0]])"),
    (
        np.arange(8).reshape(2, 2, 2),
        "Tensor(shape=[2, 2, 2], dtype=Int64, value=\n[[[0, 1],\n  [2, 3]],\n [[4, 5],\n  [6, 7]]])",
    ),
    (
        np.arange(4000).reshape(2000, 2),
        """Tensor(shape=[2000, 2], dtype=Int64, value=
[[   0,    1],
 [   2,    3],
 [   4,    5],
 ...
 [3994, 3995],
 [3996, 3997],
 [3998, 3999]])""",
    ),
    (
        np.arange(26),
        "Tensor(shape=[26], dtype=Int64, value= [" + ", ".join(f"{n:2}" for n in range(24)) + ", \n 24, 25])",
    ),
]


@pytest.mark.parametrize(("data", "text"), PRINTED, ids=lambda v: None)
def test_prints_as_mindspore_prints(data, text):
    assert repr(Tensor(data)) == text


# what MindSpore 2.10.0 answers: expression -> (type, value)
ANSWERS = [
    ("Tensor(1) + Tensor(2.5)", "Float32", 3.5),
    ("Tensor(1) / Tensor(2)", "Float32", 0.5),
    ("Tensor([1, 2]) + 1.5", "Float32", [2.5, 3.5]),
    ("Tensor(np.array([1], 'i4')) + Tensor(np.array([1], 'f2'))", "Float16", [2]),
    ("Tensor([1, 2, 3]).sum()", "Int64", 6),
    ("Tensor([1, 2, 3]).mean()", "Int64", 2),
    ("Tensor(5) == 5", "Bool", True),
    ("1 - Tensor([1.0, 3.0])", "Float32", [0, -2]),
    ("Tensor([[1.0, 2.0]]).argmax()", "Int64", 1),
    ("Tensor([[1.0, 2.0]]).argmax(1)", "Int64", [1]),
    ("Tensor([[1.0, 2.0], [3.0, 4.0]]).mean(0)", "Float32", [2, 3]),
    ("Tensor([[1.0, 2.0], [3.0, 4.0]]).clip(0, 0.5)", "Float32", [[0.5, 0.5], [0.5, 0.5]]),
    ("Tensor(np.arange(6.0)).reshape(2, 3).transpose(1, 0)", "Float64", [[0, 3], [1, 4], [2, 5]]),
    ("Tensor([1.0, 2.0]).std()", "Float32", 0.5),
    ("Tensor(3.7).astype('int32')", "Int32", 3),
    ("Tensor([1, 2], dtype=ms.float16)", "Float16", [1, 2]),
]


@pytest.mark.parametrize(("text", "kind", "value"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_computes_as_mindspore_computes(text, kind, value):
    got = eval(text)
    assert str(got.dtype) == kind
    np.testing.assert_allclose(got.asnumpy(), value, rtol=1e-6)


def test_shares_memory_where_mindspore_does():
    array = np.zeros(3, "f4")
    copied, shared = Tensor(array), Tensor.from_numpy(array)
    array[0] = 1
    assert copied.asnumpy()[0] == 0
    assert shared.asnumpy()[0] == 1
    shared.asnumpy()[1] = 2
    assert array[1] == 2


def test_keeps_bfloat16_both_ways():
    import ml_dtypes

    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    got = Tensor(array)
    assert str(got.dtype) == "BFloat16"
    assert got.asnumpy().dtype == array.dtype
    np.testing.assert_array_equal(got.asnumpy(), array)


@pytest.mark.parametrize("bad", ["a", None, {}, np.array(["a"])])
def test_rejects_what_mindspore_rejects(bad):
    with pytest.raises(TypeError):
        Tensor(bad)


def test_rejects_the_truth_of_many():
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1, 2]))


def test_element_types_print_and_compare():
    assert (str(ms.float32), repr(ms.float32), str(ms.bool_)) == ("Float32", "mindspore.float32", "Bool")
    assert Tensor(1.0).dtype == ms.float32
    assert ms.dtype_to_nptype(ms.bfloat16) is not None
    assert ms.pytype_to_dtype(int) is ms.int64


def test_setting_elements_writes_in_place():
    got = Tensor(np.zeros((2, 2), "f4"))
    got[0] = 1
    got[1, 1] = Tensor(5.0)
    np.testing.assert_array_equal(got.asnumpy(), [[1, 1], [0, 5]])


def test_parameters_print_and_count_as_mindspore_does():
    got = Parameter(Tensor(np.arange(3).astype("f4")), name="w")
    assert str(got) == repr(got) == "Parameter (name=w, shape=(3,), dtype=Float32, requires_grad=True)"
    assert Parameter(Tensor(1.0)).name.startswith("Parameter#")
    assert repr(got + 1).startswith("Tensor(shape=[3]")
    assert got.clone().name == "w"
    assert repr(got.data).startswith("Tensor(shape=[3]")
    assert got.data.torch.data_ptr() == got.torch.data_ptr()


def test_set_data_shares_memory_keeps_the_type_and_takes_another_shape():
    got, new = Parameter(Tensor([1.0, 2.0]), name="w"), Tensor([3.0, 4.0])
    held = got.torch
    got.set_data(new)
    assert got.torch is held
    new[0] = 9
    np.testing.assert_array_equal(got.asnumpy(), [9, 4])
    assert repr(got.set_data(Tensor([5]))) == "Parameter (name=w, shape=(1,), dtype=Float32, requires_grad=True)"


def test_whole_number_parameters_are_listed_as_trainable():
    got = Parameter(Tensor([0], ms.int32), name="global_step")
    assert got.requires_grad
    assert not got.torch.requires_grad


def test_parameter_tuples_clone_with_a_prefix_and_refuse_two_of_a_name():
    pair = ParameterTuple([Parameter(Tensor(1.0), name="a"), Parameter(Tensor(2.0), name="b")])
    cloned = pair.clone("moments", init="zeros")
    assert [p.name for p in cloned] == ["moments.a", "moments.b"]
    assert [float(p) for p in cloned] == [0, 0]
    with pytest.raises(UsageError, match="one name"):
        ParameterTuple([pair[0], pair[0].clone()])


def test_copies_are_apart():
    got = Parameter(Tensor([1.0]), name="w")
    copied = copy.deepcopy(got)
    copied.torch.data += 1
    assert float(got) == 1
    assert copied.name == "w"


# standard deviations from the definitions: fan_in 50 * 9, fan_out 40 * 9
SPREADS = {
    "normal": 0.01,
    "uniform": 0.07 / 3**0.5,
    "xavier_uniform": (2 / (90 * 9)) ** 0.5,
    "he_uniform": (2 / 450) ** 0.5,
    "he_normal": (2 / 450) ** 0.5,
    "truncatednormal": 0.01 * 0.8796,
    "zeros": 0,
    "ones": 0,
}


@pytest.mark.parametrize(("name", "spread"), SPREADS.items())
def test_initializers_spread_as_defined(name, spread):
    torch.manual_seed(0)
    got = initializer(name, (40, 50, 3, 3), ms.float32).asnumpy()
    assert got.std() == pytest.approx(spread, rel=0.03, abs=1e-7)


def test_rejects_an_unknown_initializer():
    with pytest.raises(UsageError, match="no initializer"):
        initializer("nothing", (2,))


def test_mint_has_the_functions_arguments_and_answers_of_torch():
    x = Tensor([[1.0, 3.0], [2.0, 0.0]])
    assert ms.mint.max(x).asnumpy() == 3
    values, places = ms.mint.max(x, dim=1)
    assert values.asnumpy().tolist() == [3, 2]
    assert places.asnumpy().tolist() == [1, 0]
    assert ms.mint.sum(x, dim=(0, 1), dtype=ms.float64).dtype == ms.float64
    with pytest.raises(AttributeError):
        ms.mint.no_such_function  # noqa: B018


def test_parameters_copy_and_tensors_of_tensors_share_as_in_mindspore():
    source = ms.Tensor([1.0, 1.0])
    param = ms.Parameter(source, name="p")
    param[0] = 7
    assert source.asnumpy().tolist() == [1, 1]
    again = ms.Parameter(param, name="q")
    again[1] = 3
    assert param.asnumpy().tolist() == [7, 1]
    ms.Tensor(source)[0] = 5
    assert source.asnumpy().tolist() == [5, 1]
