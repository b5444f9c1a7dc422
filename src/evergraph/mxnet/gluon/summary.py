"""The table of a block's layers: what `Block.summary` prints."""

from typing import Any

from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.ndarray.base import Array

__all__ = ["summarize"]

_ROW = "{:>20}  {:>42} {:>15}"
_WIDTH = 80


def _shapes(value: Any) -> str:
    """Shapes in place of arrays, nested as the arrays are."""

    def shape(each: Any) -> Any:
        if isinstance(each, Array):
            return each.shape
        return [shape(e) for e in each] if isinstance(each, (list, tuple)) else each

    found = shape(value)
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


class _Ledger:
    """Rows of the table and the sums below it, written while the block runs."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, int]] = []
        self.seen: set[int] = set()
        self.total = self.trainable = self.shared = 0

    def note(self, block: Any, outputs: Any) -> None:
        own = 0
        for each in block.params.values():
            count = 1
            for size in each.shape:
                count *= size
            own += count
            self.trainable += count if each.grad_req != "null" else 0
            self.shared += count if id(each) in self.seen else 0
            self.seen.add(id(each))
        self.total += own
        self.rows.append((f"{type(block).__name__}-{len(self.rows)}", _shapes(outputs), own))

    def lines(self) -> list[str]:
        """The table."""
        return [
            "-" * _WIDTH,
            _ROW.format("Layer (type)", "Output Shape", "Param #"),
            "=" * _WIDTH,
            *(_ROW.format(*row) for row in self.rows),
            "=" * _WIDTH,
            "Parameters in forward computation graph, duplicate included",
            f"   Total params: {self.total}",
            f"   Trainable params: {self.trainable}",
            f"   Non-trainable params: {self.total - self.trainable}",
            f"Shared params in forward computation graph: {self.shared}",
            f"Unique parameters in model: {self.total - self.shared}",
            "-" * _WIDTH,
        ]


def summarize(block: Any, inputs: tuple[Any, ...], rows: tuple[type, ...]) -> str:
    """The table of the layers that run for these inputs.

    Args:
        block: the network.
        inputs: what it is called with.
        rows: classes whose blocks have no line of their own.

    Raises:
        AssertionError: a block inside runs as a graph, where layers cannot be told apart.
    """
    ledger, hooks = _Ledger(), []
    ledger.rows.append(("Input", _shapes(inputs[0] if len(inputs) == 1 else list(inputs)), 0))

    def listen(each: Any) -> None:
        if getattr(each, "_active", False):
            raise ParameterFitError(
                f'"{each.name}" must not be hybridized to print summary.', fix="call hybridize(False) before"
            )
        if not isinstance(each, rows):
            hooks.append(each.register_forward_hook(lambda block, _, outputs: ledger.note(block, outputs)))

    try:
        block.apply(listen)
        block(*inputs)
    finally:
        for hook in hooks:
            hook.detach()
    return "\n".join(ledger.lines())
