"""Random streams: one torch generator for each context, and what operators are told of a run."""

import threading
from typing import Any

import torch

from evergraph.mxnet.context import Context
from evergraph.ops.run import Run

__all__ = ["generator", "own_run", "run_for", "seed_all", "seed_one"]

_LOCK = threading.Lock()
_RUNS: dict[tuple[int, int, bool], Run] = {}
_GENERATORS: dict[tuple[int, int], torch.Generator] = {}
_seed: list[int] = []


def _mixed(seed: int, ctx: Context) -> int:
    """A context's own seed: the streams of cpu(0) and cpu(1) differ."""
    return (seed + 0x9E3779B97F4A7C15 * ctx.device_id) % (1 << 63)


def generator(ctx: Context) -> torch.Generator:
    """The random generator of a context."""
    key = (ctx.device_typeid, ctx.device_id)
    found = _GENERATORS.get(key)
    if found is not None:
        return found
    with _LOCK:
        if key not in _GENERATORS:
            made = torch.Generator(ctx.torch_device)
            if _seed:
                made.manual_seed(_mixed(_seed[0], ctx))
            else:
                made.seed()
            _GENERATORS[key] = made
    return _GENERATORS[key]


class _ContextRun(Run):
    """A run on one context, with its random stream."""

    __slots__ = ("_ctx",)

    def __init__(self, ctx: Context, training: bool) -> None:
        super().__init__(training, sparse_gradients=True)
        self._ctx = ctx

    def generator(self, device: Any) -> Any:
        """The context's generator; None for another device than its own."""
        return generator(self._ctx) if torch.device(device).type == self._ctx.torch_device.type else None


def run_for(ctx: Context, training: bool) -> Run:
    """What an operator may know of a call on a context."""
    key = (ctx.device_typeid, ctx.device_id, training)
    found = _RUNS.get(key)
    if found is None:
        found = _RUNS[key] = _ContextRun(ctx, training)
    return found


def own_run(ctx: Context, training: bool) -> Run:
    """As `run_for`, for one caller alone, who may collect the updates of states in it."""
    return _ContextRun(ctx, training)


def seed_all(seed: int) -> None:
    """Start the streams of all contexts anew."""
    with _LOCK:
        _seed[:] = [seed]
        for (kind, index), found in _GENERATORS.items():
            found.manual_seed(_mixed(seed, Context(Context.devtype2str[kind], index)))


def seed_one(seed: int, ctx: Context) -> None:
    """Start one context's stream anew."""
    generator(ctx).manual_seed(seed)
