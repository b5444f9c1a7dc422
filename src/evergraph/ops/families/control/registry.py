"""Operators written in Python: what one has to offer, and where graphs find it by name."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from evergraph.errors import OperatorError, printable

__all__ = ["CustomOperator", "CustomProperties", "find_custom", "register_custom"]


class CustomOperator(Protocol):
    """The computation: both methods write into the tensors that they are given, as `req` says for each.

    A request is "write", "add" or "null".
    """

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        """Compute out_data from in_data; aux are auxiliary states, changed in place."""

    def backward(
        self,
        req: list[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        """Compute in_grad from the gradients of the outputs and the values of the forward pass."""


class CustomProperties(Protocol):
    """The description: names, shapes and types, and the computation for given ones."""

    def list_arguments(self) -> Sequence[str]:
        """Names of the inputs, auxiliary states excluded."""
        ...

    def list_outputs(self) -> Sequence[str]:
        """Names of the outputs."""
        ...

    def list_auxiliary_states(self) -> Sequence[str]:
        """Names of the auxiliary states, the inputs that come after the arguments."""
        ...

    def infer_shape(self, in_shape: list[tuple[int, ...]]) -> Sequence[Sequence[Any]]:
        """Shapes of (arguments, outputs, auxiliary states), or the first two, from the arguments' shapes."""
        ...

    def infer_type(self, in_type: list[Any]) -> Sequence[Sequence[Any]]:
        """Types of (arguments, outputs, auxiliary states), or the first two, from the arguments' NumPy types."""
        ...

    def create_operator(self, ctx: Any, in_shapes: list[tuple[int, ...]], in_dtypes: list[Any]) -> CustomOperator:
        """The computation on a torch device."""
        ...


_factories: dict[str, Callable[..., CustomProperties]] = {}


def register_custom(name: str, factory: Callable[..., CustomProperties]) -> None:
    """Make an operator known that graphs call Custom with this `op_type`; a later one replaces an earlier one.

    Args:
        name: the op_type.
        factory: the node's other attributes as keywords, all text -> `CustomProperties`.

    >>> register_custom("_doctest_nothing", lambda **attributes: None)
    """
    _factories[name] = factory


def find_custom(name: str) -> Callable[..., CustomProperties]:
    """The factory that was registered under a name.

    Raises:
        OperatorError: there is none.
    """
    if name not in _factories:
        near = difflib.get_close_matches(name, _factories, 3)
        raise OperatorError(
            f"no Python operator is registered under the op_type {printable(name)!r}",
            expected="one of " + ", ".join(map(printable, sorted(_factories)[:20])) if _factories else None,
            fix=("did you mean " + ", ".join(near) + "? " if near else "")
            + "register it with mx.operator.register, or with evergraph.ops.families.control.registry.register_custom",
        )
    return _factories[name]
