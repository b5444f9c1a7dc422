"""Calls of `mx.np` and of its arrays' methods, with the results and the classes of errors that MXNet 1.9.1 gave."""

import builtins
import inspect
import json
import warnings

import numpy as onp
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, np, npx
from tests.goldens import MXNET

RECORDED = json.loads((MXNET / "recorded" / "np_calls.json").read_text())


@pytest.fixture(autouse=True)
def _numpy_semantics():
    npx.set_np()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's own, about division by 0 and about what it renames
        yield
    npx.reset_np()


def arrays():
    """What the expressions are made of."""
    return {
        "a": np.array([[1, 2, 3], [4, 5, 6]]),
        "b": np.array([3, 1, 2]),
        "e": np.zeros((0, 3)),
        "i": np.array([2, 0, 1], dtype="int32"),
        "I": np.arange(6, dtype="int64").reshape(2, 3),
        "k": np.array([True, False, True], dtype="bool"),
        "n": np.array([1, onp.nan, onp.inf]),
        "o": np.array(onp.arange(24.0).reshape(2, 3, 4)),
        "s": np.array(2.5),
        "z": np.array([[0, 1.5, 0], [2.5, 0, -1]]),
    }


def told(value):
    """A result as it was recorded: its class, and for arrays the element type, the shape and the values."""
    if isinstance(value, np.ndarray):
        return ["np", value.dtype.name, list(value.shape), value.asnumpy().ravel().astype("f8").tolist()]
    if isinstance(value, onp.ndarray):
        return ["onp", value.dtype.name, list(value.shape), value.ravel().astype("f8").tolist()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(told, value)]
    if isinstance(value, (bool, int, float, onp.generic)):
        return ["number", float(value)]
    return ["text", value]


def agree(found, wanted):
    if isinstance(wanted, list):
        assert isinstance(found, list)
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            agree(ours, theirs)
    elif isinstance(wanted, float):
        onp.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    else:
        assert found == wanted


def error_named(name):
    return mx.MXNetError if name == "MXNetError" else getattr(builtins, name)


def evaluated(text):
    *statements, last = text.split(";")
    space = {"mx": mx, "np": np, "npx": npx, "onp": onp, "autograd": autograd, **arrays()}
    exec(";".join(statements), space)
    return eval(last.strip(), space)


@pytest.mark.parametrize(("text", "wanted"), RECORDED["calls"], ids=[text for text, _ in RECORDED["calls"]])
def test_gives_what_mxnet_gives(text, wanted):
    if wanted[0] == "raises":
        with pytest.raises(error_named(wanted[1])):
            evaluated(text)
    else:
        agree(told(evaluated(text)), wanted)


def differentiated(text):
    x, w = np.array([[1.5, -2.0, 3.0], [-4.0, 5.0, 0.5]]), np.array([1.0, 2.0, 3.0])
    x.attach_grad()
    w.attach_grad()
    with autograd.record():
        y = eval(text, {"np": np, "onp": onp, "x": x, "w": w})
    y.backward(np.array(onp.linspace(1, 2, y.size).reshape(y.shape), dtype=y.dtype))
    return [told(each) for each in (y, x.grad, w.grad)]


@pytest.mark.parametrize(("text", "wanted"), RECORDED["gradients"], ids=[text for text, _ in RECORDED["gradients"]])
def test_gives_the_gradients_that_mxnet_gives(text, wanted):
    if wanted[0] == "raises":
        with pytest.raises((error_named(wanted[1]), ValueError)):
            differentiated(text)
    else:
        agree(differentiated(text), wanted)


@pytest.mark.parametrize(("home", "where"), [("np", np), ("ndarray", np.ndarray)])
def test_has_every_name_with_the_parameters_that_mxnet_has(home, where):
    wrong = {}
    for name, wanted in RECORDED["names"][home].items():
        if not hasattr(where, name):
            wrong[name] = "missing"
        elif wanted is not None and not name.startswith("__"):
            found = inspect.signature(getattr(where, name)).parameters.values()
            shown = [{"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(p.kind.name, "") + p.name for p in found]
            if shown[: len(wanted)] != wanted:
                wrong[name] = f"{shown}, and not {wanted}"
    assert not wrong
