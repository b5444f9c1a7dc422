"""Random streams of MXNet's contexts, Python, NumPy, torch, and an object's own: taken and put back."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from evergraph.mxnet import random_streams
from evergraph.mxnet.context import Context

__all__ = ["put_own_streams", "put_streams", "take_own_streams", "take_streams"]


def take_streams() -> dict[str, Any]:
    """Where every random stream of this process stands, as plain values and arrays.

    >>> from evergraph.mxnet import nd
    >>> _, here = nd.random.uniform(), take_streams()
    >>> first = nd.random.uniform(shape=2).asnumpy(), np.random.rand(), random.random()
    >>> put_streams(here); again = nd.random.uniform(shape=2).asnumpy(), np.random.rand(), random.random()
    >>> first[0].tolist() == again[0].tolist() and first[1:] == again[1:]
    True
    """
    version, numbers, gauss = random.getstate()
    contexts = {f"{k}/{i}": g.get_state() for (k, i), g in list(random_streams._GENERATORS.items())}
    return {
        "python": [version, np.array(numbers, np.uint32), gauss],
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "contexts": contexts,
        "seed": list(random_streams._seed),
    }


def put_streams(state: dict[str, Any]) -> None:
    """Let every stream go on from there; generators that are held elsewhere stay the same objects."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(int(n) for n in numbers), gauss))
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    random_streams._seed[:] = state["seed"]
    for name, one in state["contexts"].items():
        kind, index = (int(part) for part in name.split("/"))
        random_streams.generator(Context(Context.devtype2str[kind], index)).set_state(one)


# ---- streams that an object holds, such as the generator of a torch DataLoader

_MOST, _FEW = 1000, 16
"""How many objects are looked into in all, and in one list or table: the samples of a data set hold no generators."""

_STREAMS: dict[type, Any] = {
    torch.Generator: (torch.Generator.get_state, torch.Generator.set_state),
    np.random.Generator: (
        lambda it: it.bit_generator.state,
        lambda it, state: setattr(it.bit_generator, "state", state),
    ),
    np.random.RandomState: (lambda it: it.get_state(legacy=False), np.random.RandomState.set_state),
    random.Random: (random.Random.getstate, random.Random.setstate),
}


def _own(owner: Any) -> Iterator[tuple[str, Any]]:
    """Paths and generators below an object, each generator once."""
    waiting: list[tuple[str, Any]] = [("", owner)]
    seen, looked = set(), 0
    while waiting and looked < _MOST:
        path, value = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        looked += 1
        if isinstance(value, tuple(_STREAMS)):
            yield path, value
            continue
        rows = _below(value)
        waiting += [(f"{path}/{name}" if path else str(name), one) for name, one in rows]


def _below(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, (list, tuple)):
        return list(enumerate(value[:_FEW]))
    if isinstance(value, Mapping):
        return [pair for pair, _ in zip(value.items(), range(_FEW), strict=False)]
    return list(getattr(value, "__dict__", {}).items()) if not isinstance(value, (type, torch.nn.Module)) else []


def take_own_streams(owner: Any) -> dict[str, Any]:
    """Where the generators below an object stand, by path.

    >>> class Rows: draw = None
    >>> rows = Rows(); rows.draw = np.random.default_rng(3)
    >>> here = take_own_streams(rows); first = rows.draw.random()
    >>> put_own_streams(rows, here); rows.draw.random() == first
    True
    """
    return {path: _how(one)[0](one) for path, one in _own(owner)}


def put_own_streams(owner: Any, states: Mapping[str, Any]) -> None:
    """Let them go on from there, where the object has the same ones."""
    found = dict(_own(owner))
    for path, state in states.items():
        if path in found:
            _how(found[path])[1](found[path], state)


def _how(stream: Any) -> Any:
    return next(how for kind, how in _STREAMS.items() if isinstance(stream, kind))
