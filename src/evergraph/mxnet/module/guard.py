"""The optional guard of `fit`: nan and infinities stop the training before they reach a parameter."""

from collections.abc import Iterator
from typing import Any

import torch

from evergraph.errors import EvergraphError, printable

__all__ = ["Guard", "NotFiniteError"]


class NotFiniteError(EvergraphError, FloatingPointError):
    """Values of a batch are nan or infinite."""


def _tensor(array: Any) -> torch.Tensor:
    value = array._data
    return value if isinstance(value, torch.Tensor) else value.data


def _outputs(module: Any) -> Iterator[tuple[str, torch.Tensor]]:
    names = module.output_names
    for name, row in zip(names, module.get_outputs(merge_multi_context=False), strict=False):
        yield from ((f"output {printable(name)}", _tensor(x)) for x in (row if isinstance(row, list) else [row]))


def _gradients(module: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for part in module.trained_parts():
        group = part._exec_group
        for name, row in zip(group.param_names, group.grad_arrays, strict=True):
            yield from ((f"gradient of {printable(name)}", _tensor(g)) for g in row if g is not None)


def _causes(module: Any, batch: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for part in module.trained_parts():
        group = part._exec_group
        for names, rows in ((group.param_names, group.param_arrays), (group.aux_names, group.aux_arrays)):
            yield from ((f"parameter {printable(n)}", _tensor(row[0])) for n, row in zip(names, rows, strict=True))
    several = batch if isinstance(batch, list) else [batch]
    for one in several:
        yield from ((f"data {i} of the batch", _tensor(x)) for i, x in enumerate(one.data) if hasattr(x, "_data"))
        yield from (
            (f"label {i} of the batch", _tensor(x)) for i, x in enumerate(one.label or ()) if hasattr(x, "_data")
        )


def _wrong(rows: Iterator[tuple[str, torch.Tensor]]) -> list[str]:
    found = [(name, value) for name, value in rows if value.is_floating_point() and value.numel()]
    if not found:
        return []
    # one answer for all: on a GPU each question would wait for the device
    good = torch.stack([torch.isfinite(v).all().to("cpu", non_blocking=True) for _, v in found])
    if bool(good.all()):
        return []
    return [
        f"{name}: {int((~torch.isfinite(value)).sum())} of {value.numel()} values"
        for (name, value), fine in zip(found, good.tolist(), strict=True)
        if not fine
    ]


class Guard:
    """Watches a module's batches; auxiliary states, which a backward pass changes, come back where one is not finite.

    Args:
        module: what is trained.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self._kept: list[torch.Tensor] = []

    def _states(self) -> list[torch.Tensor]:
        rows = [row for part in self._module.trained_parts() for row in part._exec_group.aux_arrays]
        return [_tensor(each) for row in rows for each in row]

    def before(self) -> None:
        """Keep the auxiliary states as they are."""
        states = self._states()
        if len(self._kept) != len(states):
            self._kept = [torch.empty_like(s) for s in states]
        for kept, state in zip(self._kept, states, strict=True):
            kept.copy_(state)

    def after(self, batch: Any, epoch: int, nbatch: int) -> None:
        """Raise where outputs or gradients of the batch are not finite; the module is then as it was before it.

        Raises:
            NotFiniteError: listing outputs and gradients, and which parameters, data or labels were so before.
        """
        lines = _wrong(_outputs(self._module)) + _wrong(_gradients(self._module))
        if not lines:
            return
        for kept, state in zip(self._kept, self._states(), strict=True):
            state.copy_(kept)
        raise NotFiniteError(
            "values of this batch are nan or infinite; parameters and states are those after the batch before it",
            where=f"epoch {epoch}, batch {nbatch}",
            details=lines + _wrong(_causes(self._module, batch)),
            fix="look at the data named here, lower the learning rate, or set clip_gradient",
        )
