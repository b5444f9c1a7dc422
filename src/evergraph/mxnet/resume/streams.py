"""Random streams: those of MXNet's contexts, of Python, of NumPy and of torch, taken and put back."""

import random
from typing import Any

import numpy as np
import torch

from evergraph.mxnet import random_streams
from evergraph.mxnet.context import Context

__all__ = ["put_streams", "take_streams"]


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
