"""Whatever a graph says, each pass gives a result or one clear error."""

import json
import random

import pytest

from evergraph.errors import EvergraphError
from evergraph.graph import parse, to_json
from evergraph.passes.check import check
from evergraph.passes.prune import prune
from evergraph.passes.shapes import infer_shapes
from evergraph.passes.signature import internals, signature
from evergraph.passes.strip_training import strip_training
from evergraph.passes.types import infer_types
from evergraph.passes.upgrade import upgrade
from tests.goldens import MXNET

SOURCES = [
    *sorted((MXNET / "0.9.5" / "checkpoints").glob("*-symbol.json")),
    *sorted((MXNET / "synthetic-000800").glob("*-symbol.json")),
    *sorted((MXNET / "1.9.1").glob("*/*-symbol.json")),
    *sorted((MXNET / "1.9.1" / "control").glob("*.json")),
]
VALUES = [
    *("0", "-1", "1", "1000000000", "99999999999999999999", "(1,)", "()", "(0,0)", "(-1,-1)", "(1,2,3,4,5,6,7)"),
    *("None", "True", "nan", "inf", "1e400", "abc", "", "(", "[1", "(None,None)", "float16", "[0,1]", "NCHW"),
    *("((1,2),(3,4))", "(3,-2)", "\0", '{"a"'),
]
OPERATORS = [
    *("null", "Concat", "Convolution", "RNN", "_foreach", "_while_loop", "_cond", "Custom", "SliceChannel", "Reshape"),
    *("dot", "SoftmaxOutput", "_sg_mkldnn_conv", "Nowhere", "Pooling", "add_n", "_contrib_MultiBoxTarget"),
]
KEYS = ["num_args", "axis", "shape", "num_outputs", "kernel", "__shape__", "__dtype__", "lr_mult", "weight_lr_mult"]
SHAPES = [(2, 3), (1, 3, 32, 32), (4,), (2, 0, 5), (0,), None, (2, 3, 4, 5)]


def mutate(draw, graph):
    node = draw.choice(graph["nodes"])
    texts = node.setdefault(next((k for k in ("attrs", "attr", "param") if k in node), "attrs"), {})
    kind = draw.randrange(7)
    if kind == 0 and texts:
        texts[draw.choice(list(texts))] = draw.choice(VALUES)
    elif kind == 1:
        texts[draw.choice(KEYS)] = draw.choice(VALUES)
    elif kind == 2 and texts:
        del texts[draw.choice(list(texts))]
    elif kind == 3 and node["inputs"]:
        node["inputs"].pop(draw.randrange(len(node["inputs"])))
    elif kind == 4 and node["inputs"]:
        node["inputs"].append(draw.choice(node["inputs"]))
    elif kind == 5:
        node["op"] = draw.choice(OPERATORS)
    elif node["inputs"]:
        draw.choice(node["inputs"])[1] = draw.choice([0, 1, 2, 9])


def attempt(function, *args, **options):
    """What a pass gives, or None after an error that says so in words."""
    try:
        return function(*args, **options)
    except EvergraphError as error:
        _ = str(error)
        return None


@pytest.mark.parametrize("seed", range(20))
def test_passes_survive_any_graph(seed):
    draw = random.Random(seed)
    for _ in range(12):
        raw = json.loads(draw.choice(SOURCES).read_bytes())
        for _ in range(draw.randint(1, 4)):
            mutate(draw, raw)
        graph = attempt(parse, json.dumps(raw).encode())
        if graph is None:
            continue
        upgraded = attempt(upgrade, graph)
        if upgraded is not None:
            graph = upgraded.graph.verify()
        check(graph)
        signature(graph)
        internals(graph)
        attempt(infer_shapes, graph, {v.name: draw.choice(SHAPES) for v in graph.variables() if draw.random() < 0.5})
        attempt(infer_types, graph, default="float32")
        attempt(prune, graph, [draw.choice(graph.nodes).name])
        stripped = attempt(strip_training, graph)
        if stripped is not None:
            stripped[0].verify()
        parse(to_json(graph.replace()))
