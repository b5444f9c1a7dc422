"""A symbol as a function of arrays: what hybridized blocks run, recorded for gradients like any operator."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from evergraph.engine.plan import Plan, make_plan
from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.base import wrap
from evergraph.mxnet.ndarray.invoke import own
from evergraph.mxnet.random_streams import run_for
from evergraph.mxnet.symbol import Symbol
from evergraph.ops.sparse import is_sparse, kind_of

__all__ = ["CachedOp"]


class CachedOp:
    """A symbol, ready to be called with arrays.

    Args:
        symbol: what is computed.

    >>> import evergraph.mxnet as mx
    >>> double = CachedOp(mx.sym.Variable("x") * 2)
    >>> double({"x": mx.nd.array([1, 2])})[0].asnumpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.arguments, self.auxiliary = symbol.list_arguments(), symbol.list_auxiliary_states()
        self._plans: dict[Any, Plan] = {}

    def __call__(self, arrays: Mapping[str, Any]) -> list[Any]:
        """The outputs for these arrays, by name of argument and auxiliary state."""
        given = [arrays[n] for n in (*self.arguments, *self.auxiliary)]
        ctx = given[0].context
        recording = STATE.recording
        values = [a._leaf if recording and a._leaf is not None else a._data for a in given]
        count = len(self.arguments)
        tracked = recording and any(_tracks(v) for v in values)
        with torch.set_grad_enabled(tracked):
            found = self._plan(ctx, values)(values[:count], [a._data for a in given[count:]])
        return [wrap(own(r, values), ctx) for r in found]

    def _plan(self, ctx: Any, values: Sequence[Any]) -> Plan:
        names, training = (*self.arguments, *self.auxiliary), STATE.training
        sparse = tuple((n, kind_of(v)) for n, v in zip(names, values, strict=True) if is_sparse(v))
        key: Any = (training, ctx.device_typeid, ctx.device_id, sparse)
        found = self._plans.get(key)
        if found is not None and not found.shaped:
            return found
        shapes = {n: tuple(v.shape) for n, v in zip(names, values, strict=True)}
        exact = (*key, *shapes.values())
        if exact not in self._plans:
            made = make_plan(
                self.symbol.graph,
                training=training,
                shapes=shapes,
                device=ctx.torch_device,
                run=run_for(ctx, training),
                sparse=dict(sparse),
            )
            self._plans[exact if made.shaped else key] = made
            self._plans.setdefault(key, made)
            return made
        return self._plans[exact]


def _tracks(value: Any) -> bool:
    return value.requires_grad if isinstance(value, torch.Tensor) else value.data.requires_grad
