"""What a program gives to save: arrays under names, lists as MXNet has them, and what is neither."""

import numpy as np
import pytest
import torch

import evergraph as eg
from evergraph.errors import ConversionError, UsageError
from tests.goldens import MXNET

SUFFIXES = ("params", "safetensors", "npz", "ckpt", "pth", "pkl")


def test_a_list_is_saved_as_the_list_that_mxnet_saved(tmp_path):
    path = MXNET / "1.9.1" / "ndarray" / "list.nd"
    eg.save([t.numpy() for t in eg.open(path).values()], tmp_path / "list.nd")
    assert (tmp_path / "list.nd").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_list_gets_numbers_as_names_in_every_format(suffix, tmp_path):
    eg.save([np.zeros(2, "f4"), torch.ones(3)], tmp_path / f"list.{suffix}")
    found = eg.open(tmp_path / f"list.{suffix}")
    assert {n: t.numpy().tolist() for n, t in found.items()} == {"0": [0, 0], "1": [1, 1, 1]}


def test_a_list_that_went_through_another_format_is_a_list_again(tmp_path):
    eg.save([np.zeros(2, "f4")], tmp_path / "a.params")
    eg.convert(tmp_path / "a.params", tmp_path / "a.safetensors")
    eg.convert(tmp_path / "a.safetensors", tmp_path / "b.params")
    assert (tmp_path / "b.params").read_bytes() == (tmp_path / "a.params").read_bytes()


@pytest.mark.parametrize(
    "given", [5, None, "model", np.zeros(2), torch.nn.Linear(1, 1)], ids=lambda g: type(g).__name__
)
def test_rejects_what_is_no_checkpoint(given, tmp_path):
    with pytest.raises(UsageError, match="this is no checkpoint") as caught:
        eg.save(given, tmp_path / "x.params")
    assert caught.value.found == type(given).__name__
    assert not list(tmp_path.iterdir())


def test_lists_all_that_is_no_array_under_a_name(tmp_path):
    given = {1: np.zeros(1), "good": np.zeros(1), "made": object(), "texts": np.array(["a", "b"])}
    with pytest.raises(UsageError, match="no arrays under names") as caught:
        eg.save(given, tmp_path / "x.params")
    lines = ["1 (int) is no name", "made: no element type object", "texts: an array of texts is no tensor"]
    assert list(caught.value.details) == lines


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_a_name_without_bytes_comes_back(suffix, tmp_path):
    eg.save({"\ud800": np.ones(2, "f4"), "w": np.zeros(1, "f4")}, tmp_path / f"x.{suffix}")
    assert list(eg.open(tmp_path / f"x.{suffix}")) == ["\ud800", "w"]


def test_rejects_a_name_without_bytes_where_nothing_carries_it(tmp_path):
    with pytest.raises(ConversionError, match="cannot carry everything") as caught:
        eg.save({"\ud800": np.ones(2, "f4"), "w": np.zeros(1, "f4")}, tmp_path / "x.params")
    assert caught.value.details == (r"\ud800: no file can hold half of a UTF-16 pair as a name",)


def test_a_pickle_of_states_stays_one_under_the_name_of_a_pickle(tmp_path):
    path = next(iter(sorted((MXNET / "1.9.1" / "optstates").glob("*.states"))))
    eg.save(eg.open(path), tmp_path / "states.pkl")
    assert (tmp_path / "states.pkl").read_bytes() == path.read_bytes()
    eg.convert(path, tmp_path / "again.pkl")
    assert (tmp_path / "again.pkl").read_bytes() == path.read_bytes()
