"""Tables and drawings of networks, against what MXNet 1.9.1 made."""

import json
from pathlib import Path

import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/visualization.json").read_text())
NETS = sorted({k.split("/")[0] for k in RECORDED})


def net(name):
    shape = {k: tuple(v) for k, v in RECORDED[f"{name}/shape"].items()}
    return mx.sym.load_json(RECORDED[f"{name}/json"]), shape


@pytest.mark.parametrize("name", NETS)
def test_prints_the_table_of_1_9_1(name, capsys):
    symbol, shape = net(name)
    for form, options in (
        ("shaped", {"shape": shape}),
        ("plain", {}),
        ("narrow", {"shape": shape, "line_length": 80, "positions": [30, 50, 60, 80]}),
    ):
        mx.viz.print_summary(symbol, **options)
        assert capsys.readouterr().out == RECORDED[f"{name}/{form}"]


def lines(source):
    return sorted("".join(c for c in line if c not in '"\t ') for line in source.strip().split("\n"))


@pytest.mark.parametrize("name", NETS)
def test_draws_the_nodes_and_edges_of_1_9_1(name):
    pytest.importorskip("graphviz")
    symbol, shape = net(name)
    assert lines(mx.viz.plot_network(symbol, shape=shape).source) == lines(RECORDED[f"{name}/dot"])
    found = mx.viz.plot_network(
        symbol, hide_weights=False, node_attrs={"shape": "rect"}, dtype=dict.fromkeys(shape, "float32")
    )
    assert lines(found.source) == lines(RECORDED[f"{name}/dotw"])


def test_refuses_what_is_no_symbol():
    with pytest.raises(TypeError, match="must be Symbol"):
        mx.viz.print_summary("net")


def test_says_which_shapes_remain_unknown():
    symbol, _ = net(NETS[0])
    with pytest.warns(UserWarning, match="Cannot decide shape"), pytest.raises(ValueError, match="incomplete"):
        mx.viz.print_summary(symbol, {})
