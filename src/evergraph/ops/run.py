"""What an operator may know of the run it is part of: training or not, random numbers, deferred updates of states."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["Moving", "Run", "carry_out"]


class Moving:
    """Moving averages that are to move on: each state becomes momentum * state + (1 - momentum) * scale * value.

    Args:
        states: tensors, changed in place.
        values: what they move towards.
        scales: a number for each value.
        momentum: what is kept.
    """

    __slots__ = ("momentum", "scales", "states", "values")

    def __init__(
        self, states: Sequence[Any], values: Sequence[Any], momentum: float, scales: Sequence[float] | None = None
    ) -> None:
        self.states, self.values, self.momentum = states, values, momentum
        self.scales: Sequence[float] = scales if scales is not None else [1.0] * len(states)

    def __call__(self) -> None:
        """Move on."""
        _move_all([self])

    @property
    def kind(self) -> tuple[Any, ...]:
        """What those have in common that move in one call; nothing once they have moved."""
        return (self.momentum, *{(s.dtype, s.device) for s in self.states})


def _move_all(moves: Sequence[Moving]) -> None:
    """Move averages of one kind on, none of which stands twice."""
    states = [s for m in moves for s in m.states]
    if not states:
        return
    momentum = moves[0].momentum
    # as a tensor: torch makes one of a number for each state, which takes longer than the product
    each: Any = torch
    each._foreach_mul_(states, torch.tensor(momentum, dtype=states[0].dtype))
    parts: dict[float, tuple[list[Any], list[Any]]] = {}
    for move in moves:
        for state, value, scale in zip(move.states, move.values, move.scales, strict=True):
            mine = parts.setdefault(scale, ([], []))
            mine[0].append(state)
            mine[1].append(value)
        move.states = move.values = move.scales = ()
    for scale, (targets, values) in parts.items():
        each._foreach_add_(targets, values, alpha=(1 - momentum) * scale)


def carry_out(updates: Sequence[Callable[[], Any]]) -> None:
    """Do the deferred updates of a run, the last first; neighbouring moving averages in one call for all of them.

    A call for each state of each layer costs as much as a small layer.
    """
    waiting: list[Moving] = []
    seen: set[int] = set()
    for update in reversed(updates):
        if isinstance(update, Moving):
            mine = {s.data_ptr() for s in update.states}
            if waiting and (waiting[0].kind != update.kind or not seen.isdisjoint(mine)):
                _move_all(waiting)
                waiting, seen = [], set()
            waiting.append(update)
            seen |= mine
            continue
        _move_all(waiting)
        waiting, seen = [], set()
        update()
    _move_all(waiting)


class Run:
    """Handed to the operators that declare `run: Run`.

    Args:
        training: whether layers behave as in training (dropout, batch statistics).
        generators: random generators by torch device string; missing ones mean torch's default generator.
        sparse_gradients: whether a look-up table that was asked for a sparse gradient may give torch's sparse tensor.

    Attributes:
        updates: where it is a list, each deferred update of a state is added to it, for the caller to `carry_out` when
            the gradient passes; a second time does nothing. Otherwise the gradient does them.
        kept: what operators keep from call to call, where the run is that of an executor; for each of its nodes apart.
    """

    __slots__ = ("generators", "kept", "sparse_gradients", "training", "updates")

    def __init__(
        self, training: bool = False, generators: dict[str, Any] | None = None, sparse_gradients: bool = False
    ) -> None:
        self.training = training
        self.generators = generators or {}
        self.sparse_gradients = sparse_gradients
        self.updates: list[Callable[[], None]] | None = None
        self.kept: dict[Any, Any] | None = None

    def at(self, node: Any) -> "Run":
        """The same run for one node, which keeps things of its own; the run itself where nothing is kept."""
        if self.kept is None:
            return self
        found = copy.copy(self)
        found.kept = self.kept.setdefault(node, {})
        return found

    def generator(self, device: Any) -> Any:
        """The random generator for a torch device, or None for torch's default one."""
        return self.generators.get(str(device))

    def update(self, state: Any, value: Any, through: Any) -> None:
        """Give an auxiliary state its new value when the gradient passes `through`.

        MXNet's layers change their states in the backward pass; a forward pass alone leaves them as they are.

        Args:
            state: the auxiliary state's tensor, changed in place.
            value: its next value, computed by the forward pass, or a function that computes it from the state as it
                then is (layers that share a state each move it on).
            through: the output whose gradient triggers the change.
        """
        found = value if callable(value) else value.detach()
        self.later(lambda: state.copy_(found() if callable(found) else found), through)

    def later(self, move: Callable[[], Any], through: Any) -> None:
        """Move states on when the gradient passes `through`, as `update` does.

        Args:
            move: changes the states in place, as `Moving` does; it is called once, without gradients being recorded.
            through: the output whose gradient triggers the change.
        """
        if not through.requires_grad:
            return
        change = move if isinstance(move, Moving) else _Once(move)
        if self.updates is not None:
            self.updates.append(change)  # the caller does it: a hook for each layer costs as much as a small layer
        else:
            through.register_hook(lambda _: change())


class _Once:
    """A change of states that is made once."""

    __slots__ = ("_move",)

    def __init__(self, move: Callable[[], Any]) -> None:
        self._move: Callable[[], Any] | None = move

    def __call__(self) -> None:
        move, self._move = self._move, None
        if move is not None:
            move()
