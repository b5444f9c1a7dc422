"""Expressions over arrays of `mx.np` beside what MXNet 1.9.1 answered to them."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as onp
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, np, npx

_RECORDED = Path(__file__).parent.parent / "data" / "mxnet" / "recorded"


def recorded(name: str) -> list[tuple[str, Any]]:
    """The pairs (expression, answer) of a file."""
    return [tuple(pair) for pair in json.loads((_RECORDED / f"{name}.json").read_text())]


def _gradient(function: Any, x: Any) -> Any:
    x = x.copy()
    x.attach_grad()
    with autograd.record():
        y = function(x)
    y.backward()
    return x.grad


def names() -> dict[str, Any]:
    """What the expressions are written over."""
    return {
        "mx": mx,
        "np": np,
        "npx": npx,
        "onp": onp,
        "L": np.linalg,
        "grad": _gradient,
        "a": np.ones((2, 3)),
        "m": np.array([[4.0, 1.0], [1.0, 3.0]]),
        "v": np.array([3.0, -4.0, 0.0]),
        "c": np.arange(24).reshape(2, 3, 4) / 10 - 1,
        "I": np.arange(48).reshape(1, 3, 4, 4),
    }


def check(text: str, answer: list[Any]) -> None:
    """Compare class, shape, type and values of what an expression gives; or the class of what it raises."""
    if answer[0] != "raises":
        _compare(eval(text, names()), answer)
        return
    kind = mx.base.MXNetError if answer[1] == "MXNetError" else getattr(builtins, answer[1])
    with pytest.raises(kind):
        eval(text, names())


def _compare(found: Any, answer: list[Any]) -> None:
    if answer[0] in ("list", "tuple"):
        assert type(found).__name__ == answer[0]
        assert len(found) == len(answer[1])
        for each, wanted in zip(found, answer[1], strict=True):
            _compare(each, wanted)
    elif answer[0] == "other":
        assert repr(found) == answer[1]
    else:
        kind, shape, dtype, values = answer
        assert (type(found) is np.ndarray) == (kind == "array")
        plain = found.asnumpy() if kind == "array" else onp.asarray(found)
        assert (list(plain.shape), plain.dtype.name) == (shape, dtype)
        onp.testing.assert_allclose(plain.astype("float64").ravel(), values, rtol=2e-4, atol=1e-5)
