"""What an operator may know of the run it is part of: training or not, random numbers, deferred updates of states."""

import copy
from collections.abc import Callable
from typing import Any

__all__ = ["Run"]


class Run:
    """Handed to the operators that declare `run: Run`.

    Args:
        training: whether layers behave as in training (dropout, batch statistics).
        generators: random generators by torch device string; missing ones mean torch's default generator.
        sparse_gradients: whether a look-up table that was asked for a sparse gradient may give torch's sparse tensor.

    Attributes:
        updates: where it is a list, each deferred update of a state is added to it, for the caller to do them, the
            last first, when the gradient passes; a second call of one does nothing. Otherwise the gradient does them.
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
            move: changes the states in place; it is called once, without gradients being recorded.
            through: the output whose gradient triggers the change.
        """
        if not through.requires_grad:
            return
        waits = [True]

        def change(_: Any = None) -> None:
            if waits:
                waits.clear()
                move()

        if self.updates is not None:
            self.updates.append(change)  # the caller does it: a hook for each layer costs as much as a small layer
        else:
            through.register_hook(change)
