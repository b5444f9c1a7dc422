"""The modules around `mx.np` have the names that MXNet 1.9.1 has."""

import importlib
import json
from pathlib import Path

import pytest

import evergraph.mxnet as mx

_NAMES = json.loads((Path(__file__).parent.parent / "data" / "mxnet" / "recorded" / "np_spaces.json").read_text())
_SPACES = {
    "np.random": lambda: mx.np.random,
    "np.linalg": lambda: mx.np.linalg,
    "npx": lambda: mx.npx,
    "npx.random": lambda: mx.npx.random,
    "sym.np": lambda: mx.sym.np,
    "sym.npx": lambda: mx.sym.npx,
    "sym.np.random": lambda: mx.sym.np.random,
    "sym.np.linalg": lambda: mx.sym.np.linalg,
    "_Symbol": lambda: mx.sym.np._Symbol,
}


@pytest.mark.parametrize("space", list(_SPACES))
def test_has_every_name(space):
    found = _SPACES[space]()
    assert [n for n in _NAMES[space] if not hasattr(found, n)] == []


@pytest.mark.parametrize("space", ["npx", "sym.npx", "sym.np"])
def test_lists_its_names(space):
    assert set(_NAMES[space]) <= set(dir(_SPACES[space]()))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("mxnet.numpy", "numpy"),
        ("mxnet.numpy.random", "numpy.random"),
        ("mxnet.numpy.linalg", "numpy.linalg"),
        ("mxnet.numpy_extension", "numpy_extension"),
        ("mxnet.numpy_extension.image", "numpy_extension.image"),
        ("mxnet.ndarray.numpy", "ndarray.numpy"),
        ("mxnet.symbol.numpy", "symbol.numpy"),
        ("mxnet.symbol.numpy_extension.random", "symbol.numpy_extension.random"),
    ],
)
def test_is_found_by_mxnets_name(name, module):
    assert importlib.import_module(name) is importlib.import_module(f"evergraph.mxnet.{module}")
