"""A symbol as a function of arrays: what hybridized blocks run, recorded for gradients like any operator."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evergraph.engine.lowering.training import lower_training
from evergraph.engine.memory import keep_freed_memory
from evergraph.engine.plan import Plan, make_plan
from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.base import wrap
from evergraph.mxnet.ndarray.invoke import linked, own
from evergraph.mxnet.random_streams import own_run
from evergraph.mxnet.symbol import Symbol
from evergraph.ops.run import carry_out
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
        self._kind = _array_class(symbol)
        self._hook: Callable[[str, Any], None] | None = None
        self._hook_all = False

    def register_op_hook(self, callback: Callable[[bytes, bytes, Any], Any] | None, monitor_all: bool = False) -> None:
        """Show every operator's outputs to `callback(name, operator, array)` from now on; None for no one.

        Args:
            callback: takes the output's name and the operator's as bytes, and the array.
            monitor_all: whether inputs are shown too.
        """
        operators = {n.name: n.op for n in self.symbol.graph.nodes if n.op != "null"}

        def show(name: str, value: Any) -> None:
            owner = name
            while owner and owner not in operators:
                owner = owner.rpartition("_")[0]
            if owner and callback is not None:
                callback(name.encode(), operators[owner].encode(), wrap(value, self._ctx, self._kind))

        self._hook, self._hook_all = None if callback is None else show, monitor_all

    def __call__(self, arrays: Mapping[str, Any]) -> list[Any]:
        """The outputs for these arrays, by name of argument and auxiliary state."""
        given = [arrays[n] for n in (*self.arguments, *self.auxiliary)]
        ctx = given[0].context
        recording = STATE.recording
        values = [a._leaf if recording and a._leaf is not None else a._data for a in given]
        count = len(self.arguments)
        tracked = recording and any(_tracks(v) for v in values)
        with torch.set_grad_enabled(tracked):
            plan, states = self._plan(ctx, values), [a._data for a in given[count:]]
            plan.run.updates = updates = [] if tracked else None
            if self._hook is None:
                found = plan(values[:count], states)
            else:
                self._ctx = ctx
                found = plan.observe(values[:count], states, self._hook, self._hook_all, own=recording)
        if tracked:
            found = [linked(r, values) for r in found]
        results = [own(r, values) for r in found]
        if updates:
            _update_from(results, updates)
        return [wrap(r, ctx, self._kind) for r in results]

    def _plan(self, ctx: Any, values: Sequence[Any]) -> Plan:
        names, training = (*self.arguments, *self.auxiliary), STATE.training
        sparse = tuple((n, kind_of(v)) for n, v in zip(names, values, strict=True) if is_sparse(v))
        # a hook is shown every value: none may be overwritten, nor be in an unusual order
        lowered = training and self._hook is None and not sparse and ctx.torch_device.type == "cpu"
        key: Any = (training, lowered, ctx.device_typeid, ctx.device_id, sparse)
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
                run=own_run(ctx, training),
                sparse=dict(sparse),
            )
            if lowered:
                lower_training(made.program)
                keep_freed_memory()
            self._plans[exact if made.shaped else key] = made
            self._plans.setdefault(key, made)
            return made
        return self._plans[exact]


def _array_class(symbol: Symbol) -> Any:
    """The class of a symbol's results where it is not NDArray."""
    if type(symbol) is Symbol:
        return None
    from evergraph.mxnet.numpy.multiarray import ndarray

    return ndarray


def _update_from(results: Sequence[Any], updates: Sequence[Callable[[], None]]) -> None:
    """Change the states once a gradient comes to a result: MXNet sends zeros through what stops it inside."""

    def change(_: Any) -> None:
        carry_out(updates)

    for result in results:
        if isinstance(result, torch.Tensor) and result.requires_grad:
            result.register_hook(change)


def _tracks(value: Any) -> bool:
    return value.requires_grad if isinstance(value, torch.Tensor) else value.data.requires_grad
