"""What an operator may know of the run it is part of: training or not, random numbers, deferred updates of states."""

from typing import Any

__all__ = ["Run"]


class Run:
    """Handed to the operators that declare `run: Run`.

    Args:
        training: whether layers behave as in training (dropout, batch statistics).
        generators: random generators by torch device string; missing ones mean torch's default generator.
    """

    __slots__ = ("generators", "training")

    def __init__(self, training: bool = False, generators: dict[str, Any] | None = None) -> None:
        self.training = training
        self.generators = generators or {}

    def generator(self, device: Any) -> Any:
        """The random generator for a torch device, or None for torch's default one."""
        return self.generators.get(str(device))

    def update(self, state: Any, value: Any, through: Any) -> None:
        """Give an auxiliary state its new value when the gradient passes `through`.

        MXNet's layers change their states in the backward pass; a forward pass alone leaves them as they are.

        Args:
            state: the auxiliary state's tensor, changed in place.
            value: its next value, computed by the forward pass.
            through: the output whose gradient triggers the change.
        """
        if through.requires_grad:
            value = value.detach()
            through.register_hook(lambda _: state.copy_(value) and None)
