"""Symbols composed by programs, against what MXNet 1.9.1 made of the same programs."""

import copy
import json
import pickle
from pathlib import Path

import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/symbol_programs.json").read_text())


@pytest.fixture(params=RECORDED)
def case(request):
    row = RECORDED[request.param]
    with mx.name.NameManager():
        names = {"mx": mx}
        exec(row["program"], names)
    return names["out"], row


def test_gives_the_json_of_1_9_1_byte_for_byte(case):
    made, row = case
    assert made.tojson() == row["json"]


def test_lists_names_as_1_9_1_does(case):
    made, row = case
    assert made.list_arguments() == row["arguments"]
    assert made.list_outputs() == row["outputs"]
    assert made.list_auxiliary_states() == row["states"]
    assert made.list_inputs() == row["inputs"]
    assert made.get_internals().list_outputs() == row["internals"]
    assert made.attr_dict() == row["attributes"]
    assert repr(made) == row["repr"]


def test_copies_and_pickles_are_the_same_symbol(case):
    made, row = case
    for other in (
        copy.copy(made),
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),  # noqa: TID251 - its own pickle
        mx.sym.load_json(row["json"]),
    ):
        assert other.tojson() == row["json"]
        assert other.list_outputs() == row["outputs"]


def test_saves_and_loads(case, tmp_path):
    made, row = case
    made.save(str(tmp_path / "net-symbol.json"))
    assert (tmp_path / "net-symbol.json").read_text() == row["json"]
    assert mx.sym.load(str(tmp_path / "net-symbol.json")).tojson() == row["json"]
