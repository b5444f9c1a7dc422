"""Recurrent cells made of others: in a row, in both directions, with dropout, zoneout or a shortcut."""

from typing import Any, NoReturn

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet.gluon.block import indented
from evergraph.mxnet.gluon.parameter import tensor_types
from evergraph.mxnet.gluon.rnn.rnn_cell import HybridRecurrentCell, RecurrentCell
from evergraph.mxnet.gluon.rnn.sequences import begin_states, formatted, masked, reversed_in_time

__all__ = [
    "BidirectionalCell",
    "DropoutCell",
    "HybridSequentialRNNCell",
    "ModifierCell",
    "ResidualCell",
    "SequentialRNNCell",
    "ZoneoutCell",
]


class _Composite(RecurrentCell):
    """Cells whose states stand one after another."""

    _children: dict[str, Any]

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state of all cells."""
        return [info for cell in self._children.values() for info in cell.state_info(batch_size)]

    def begin_state(self, batch_size: int = 0, func: Any = nd.zeros, **kwargs: Any) -> list[Any]:
        """The first states of all cells."""
        self._refuse_modified()
        return [
            s for cell in self._children.values() for s in cell.begin_state(batch_size=batch_size, func=func, **kwargs)
        ]


class _Row(_Composite):
    """Cells one after another."""

    def add(self, cell: Any) -> None:
        """Put a cell at the end."""
        self.register_child(cell)

    def _step(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        found, place = [], 0
        for cell in self._children.values():
            count = len(cell.state_info())
            inputs, after = cell(inputs, states[place : place + count])
            place += count
            found += after
        return inputs, found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The outputs of all steps, and the last states; each cell runs over the whole sequence."""
        self.reset()
        inputs, _, space, batch = formatted(length, inputs, layout, None)
        states = begin_states(self, space, begin_state, inputs, batch)
        found, place, cells = [], 0, list(self._children.values())
        for number, cell in enumerate(cells):
            count = len(cell.state_info())
            merge = merge_outputs if number == len(cells) - 1 else None
            given = states[place : place + count]
            inputs, after = cell.unroll(length, inputs, given, layout, merge, valid_length)
            place += count
            found += after
        return inputs, found

    def __repr__(self) -> str:
        rows = "\n".join(f"({name}): {indented(repr(cell))}" for name, cell in self._children.items())
        return f"{type(self).__name__}(\n{rows}\n)"

    def __len__(self) -> int:
        return len(self._children)

    def __getitem__(self, i: int) -> Any:
        return list(self._children.values())[i]


class SequentialRNNCell(_Row):
    """Cells one after another.

    >>> from evergraph.mxnet.gluon import rnn
    >>> cells = SequentialRNNCell(); cells.add(rnn.LSTMCell(3)); cells.add(rnn.GRUCell(2)); cells.initialize()
    >>> outputs, states = cells.unroll(5, nd.ones((2, 5, 4)), merge_outputs=True)
    >>> outputs.shape, [s.shape for s in states]
    ((2, 5, 2), [(2, 3), (2, 3), (2, 2)])
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def __call__(self, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        self._counter += 1
        return self._step(inputs, states)

    def forward(self, *args: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        return self(*args)


class HybridSequentialRNNCell(_Row, HybridRecurrentCell):
    """Hybrid cells one after another."""

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        return self._step(inputs, states)


class DropoutCell(HybridRecurrentCell):
    """Drops elements of its input; it has no states.

    Args:
        rate: probability.
        axes: axes along which whole slices are dropped.
        prefix: stands before its name.
        params: as other cells take them.
    """

    def __init__(self, rate: float, axes: Any = (), prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix, params)
        if not isinstance(rate, (int, float)):
            raise AssertionError("rate must be a number")
        self._rate, self._axes = rate, axes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rate={self._rate}, axes={self._axes})"

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """None."""
        return []

    def _alias(self) -> str:
        return "dropout"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The input with elements dropped, and the states."""
        if self._rate > 0:
            inputs = F.Dropout(data=inputs, p=self._rate, axes=self._axes, name=f"t{self._counter}_fwd")
        return inputs, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The outputs of all steps: of a merged sequence at once."""
        self.reset()
        inputs, _, space, _ = formatted(length, inputs, layout, merge_outputs)
        if isinstance(inputs, tensor_types):
            return self.hybrid_forward(space, inputs, begin_state or [])
        return super().unroll(length, inputs, begin_state, layout, merge_outputs, valid_length)


class ModifierCell(HybridRecurrentCell):
    """A cell that changes another, whose parameters it has.

    Args:
        base_cell: the cell, which from now on is only called through this one.
    """

    def __init__(self, base_cell: Any) -> None:
        if base_cell._modified:
            raise AssertionError(f"Cell {base_cell.name} is already modified. One cell cannot be modified twice")
        base_cell._modified = True
        super().__init__(prefix=base_cell.prefix + self._alias(), params=None)
        self.base_cell = base_cell

    @property
    def params(self) -> Any:
        """The other cell's parameters."""
        return self.base_cell.params

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of the other cell's states."""
        return self.base_cell.state_info(batch_size)

    def begin_state(self, batch_size: int = 0, func: Any = sym.zeros, **kwargs: Any) -> list[Any]:
        """The other cell's first states."""
        self._refuse_modified()
        self.base_cell._modified = False
        try:
            return self.base_cell.begin_state(batch_size=batch_size, func=func, **kwargs)
        finally:
            self.base_cell._modified = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_cell!r})"


class ZoneoutCell(ModifierCell):
    """Keeps elements of the last output and states by chance, in training.

    Args:
        base_cell: the cell.
        zoneout_outputs: probability for outputs.
        zoneout_states: probability for states.
    """

    def __init__(self, base_cell: Any, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        if isinstance(base_cell, BidirectionalCell):
            raise AssertionError("BidirectionalCell doesn't support zoneout since it doesn't support step.")
        super().__init__(base_cell)
        self._outputs, self._states, self._prev_output = zoneout_outputs, zoneout_states, None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p_out={self._outputs}, p_state={self._states}, {self.base_cell!r})"

    def _alias(self) -> str:
        return "zoneout"

    def reset(self) -> None:
        """Count steps from the beginning, with no last output."""
        super().reset()
        self._prev_output = None

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""

        def chosen(rate: float, new: Any, old: Any) -> Any:
            return F.where(F.Dropout(F.ones_like(new), p=rate), new, old) if rate else new

        output, after = self.base_cell(inputs, states)
        before = self._prev_output if self._prev_output is not None else F.zeros_like(output)
        output = chosen(self._outputs, output, before)
        self._prev_output = output
        return output, [chosen(self._states, new, old) for new, old in zip(after, states, strict=True)]


class ResidualCell(ModifierCell):
    """Adds its input to the other cell's output."""

    def __init__(self, base_cell: Any) -> None:
        super().__init__(base_cell)

    def _alias(self) -> str:
        return "residual"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        output, after = self.base_cell(inputs, states)
        return F.elemwise_add(output, inputs, name=f"t{self._counter}_fwd"), after

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The outputs of all steps, and the last states."""
        self.reset()
        self.base_cell._modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs, begin_state, layout, merge_outputs, valid_length)
        finally:
            self.base_cell._modified = True
        merge = isinstance(outputs, tensor_types) if merge_outputs is None else merge_outputs
        inputs, axis, space, _ = formatted(length, inputs, layout, merge)
        if valid_length is not None:
            inputs = masked(space, inputs, length, valid_length, axis, merge)
        if merge:
            return space.elemwise_add(outputs, inputs), states
        return [space.elemwise_add(a, b) for a, b in zip(outputs, inputs, strict=True)], states


class BidirectionalCell(_Composite, HybridRecurrentCell):
    """Two cells over a sequence, one from its end; their outputs are joined.

    Args:
        l_cell: the cell that goes forward.
        r_cell: the cell that goes backward.
        prefix: stands before its name.
        params: as other cells take them.
        output_prefix: stands before the outputs' names.
    """

    def __init__(
        self, l_cell: Any, r_cell: Any, prefix: str = "", params: Any = None, output_prefix: str = "bi_"
    ) -> None:
        super().__init__(prefix="", params=params)
        self.register_child(l_cell, "l_cell")
        self.register_child(r_cell, "r_cell")
        self._output_prefix = output_prefix

    def __call__(self, inputs: Any, states: Any) -> NoReturn:  # type: ignore[override]
        """A cell of two directions has no single step.

        Raises:
            UsageError: always.
        """
        raise UsageError("Bidirectional cannot be stepped. Please use unroll")

    def __repr__(self) -> str:
        return "{}(forward={!r}, backward={!r})".format(type(self).__name__, *self._children.values())

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The joined outputs of all steps, and the last states of both cells."""
        self.reset()
        steps, axis, space, batch = formatted(length, inputs, layout, False)
        backward = reversed_in_time(steps, length, valid_length)
        states = begin_states(self, space, begin_state, steps, batch)
        l_cell, r_cell = self._children.values()
        count = len(l_cell.state_info(batch))
        left, l_states = l_cell.unroll(length, steps, states[:count], layout, merge_outputs, valid_length)
        right, r_states = r_cell.unroll(length, backward, states[count:], layout, False, valid_length)
        right = reversed_in_time(right, length, valid_length)
        merge = isinstance(left, tensor_types) if merge_outputs is None else merge_outputs
        left = formatted(None, left, layout, merge)[0]
        right = formatted(None, right, layout, merge)[0]
        if merge:
            outputs = space.concat(left, right, dim=2, name=f"{self._output_prefix}out")
        else:
            outputs = [
                space.concat(a, b, dim=1, name=f"{self._output_prefix}t{i}")
                for i, (a, b) in enumerate(zip(left, right, strict=True))
            ]
        if valid_length is not None:
            outputs = masked(space, outputs, length, valid_length, axis, merge)
        return outputs, l_states + r_states
