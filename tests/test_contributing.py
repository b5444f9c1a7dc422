"""The examples of CONTRIBUTING.md, run as they stand there."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import evergraph as eg
from evergraph import ops
from evergraph.errors import ConversionError
from evergraph.formats import register
from evergraph.formats import registry as formats
from evergraph.graph import Graph, Node
from evergraph.ops import registry as operators
from evergraph.passes import registry as passes
from evergraph.stores import uri
from tests.formats.battery import written

GUIDE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def example(name):
    """The block behind a mark."""
    (found,) = re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", GUIDE, re.DOTALL)
    return found


def module(name, folder, monkeypatch):
    """The block as a module of its own."""
    (folder / f"guide_{name}.py").write_text(example(name))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, f"guide_{name}", raising=False)
    return __import__(f"guide_{name}")


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_formats", dict(formats._formats))
    monkeypatch.setattr(formats, "FORMATS", formats._formats)
    formats.by_name.cache_clear()
    made = module("format", tmp_path, monkeypatch)
    register("vectors", "guide_format:Vectors")
    yield made
    formats.by_name.cache_clear()


def test_the_operator_runs_from_json_and_has_its_documentation(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(operators, "_operators", ops.registry.names())
    module("operator", tmp_path, monkeypatch)
    found = ops.get("SoftShrink")
    x = torch.tensor([-2.0, 0.25, 1.0])
    assert found.body(x, **found.parse({"lambd": "0.75"})).tolist() == [-1.25, 0.0, 0.25]
    assert "moved towards zero" in found.doc


def test_the_format_opens_saves_and_says_what_it_cannot_carry(vectors, tmp_path):
    path = tmp_path / "a.f32v"
    eg.save({"a": np.arange(3, dtype="float32")}, path)
    found = eg.open(path)
    assert (found.format, found["a"].numpy().tolist()) == ("vectors", [0.0, 1.0, 2.0])
    with pytest.raises(ConversionError, match="only float32 vectors"):
        eg.save({"a": np.zeros((2, 2), "float32")}, path)


def test_the_format_passes_the_battery(vectors, tmp_path, monkeypatch):
    battery = module("battery", tmp_path, monkeypatch).TestVectors()
    examples = battery.examples()
    made = {n: (found, written("vectors", found, **options)) for n, (found, options) in examples.items()}
    tests = [n for n in dir(battery) if n.startswith("test_")]
    assert len(tests) >= 8
    for name in tests:
        getattr(battery, name)(made)


def test_the_pass_renames_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "_passes", dict(passes._passes))
    module("pass", tmp_path, monkeypatch)
    nodes = (
        Node("null", "data"),
        Node("FullyConnected", "fc", {"num_hidden": "2", "no_bias": "1"}, inputs=((0, 0, 0),)),
        Node("Activation", "activation0", {"act_type": "relu"}, inputs=((1, 0, 0),)),
    )
    outcome = passes.apply(Graph(nodes, heads=((2, 0, 0),)), "rename_activations")
    assert outcome.graph.nodes[2].name == "fc_relu"
    assert [str(e) for e in outcome] == ["activation0: renamed (activation0 -> fc_relu)"]


def test_the_store_reads_and_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(uri, "_protocols", dict(uri._protocols))
    monkeypatch.setattr(uri, "PROTOCOLS", uri._protocols)
    monkeypatch.setattr("evergraph.stores.remote.PROTOCOLS", uri._protocols)
    module("store", tmp_path, monkeypatch)
    eg.save({"a": np.ones(2, "float32")}, "shared://guide/a.npz")
    assert eg.open("shared://guide/a.npz")["a"].numpy().tolist() == [1.0, 1.0]
