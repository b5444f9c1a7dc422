"""Cells made of cells: stacked, in both directions, with dropout, zoneout or a residual."""

from collections.abc import Mapping
from typing import Any

from evergraph.mxnet import symbol
from evergraph.mxnet.base import InputTypeError, numeric_types
from evergraph.mxnet.rnn.cells import BaseRNNCell, CellError, RNNParams, sequence

__all__ = ["BidirectionalCell", "DropoutCell", "ModifierCell", "ResidualCell", "SequentialRNNCell", "ZoneoutCell"]


class _CellOfCells(BaseRNNCell):
    """A cell that keeps other cells, and shares their variables."""

    def __init__(self, params: RNNParams | None) -> None:
        super().__init__(prefix="", params=params)
        self._override_cell_params = params is not None
        self._cells = []

    def _adopt(self, cell: Any) -> None:
        self._cells.append(cell)
        if self._override_cell_params:
            if not cell._own_params:
                raise CellError("variables are given both to a cell and to the cells in it", fix="give them to one")
            cell.params._params.update(self.params._params)
        self.params._params.update(cell.params._params)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of all cells' states."""
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        """All cells' initial states."""
        self._check_unmodified()
        return [state for cell in self._cells for state in cell.begin_state(**kwargs)]

    def unpack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with every cell's packed ones cut into gates."""
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return dict(args)

    def pack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with every cell's gates joined."""
        for cell in self._cells:
            args = cell.pack_weights(args)
        return dict(args)

    def _shares(self, states: Any) -> list[Any]:
        """Each cell's part of the states."""
        shares, at = [], 0
        for cell in self._cells:
            count = len(cell.state_info)
            shares.append(states[at : at + count])
            at += count
        return shares


class SequentialRNNCell(_CellOfCells):
    """Cells one upon another."""

    def __init__(self, params: RNNParams | None = None) -> None:
        super().__init__(params)

    def add(self, cell: Any) -> None:
        """Put a cell on top."""
        self._adopt(cell)

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        self._counter += 1
        last: list[Any] = []
        for cell, share in zip(self._cells, self._shares(states), strict=True):
            inputs, new = cell(inputs, share)
            last += new
        return inputs, last

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Each cell unrolled over the outputs of the one below."""
        self.reset()
        begin = self.begin_state() if begin_state is None else begin_state
        last: list[Any] = []
        for cell, share in zip(self._cells, self._shares(begin), strict=True):
            merge = merge_outputs if cell is self._cells[-1] else None
            inputs, new = cell.unroll(length, inputs=inputs, begin_state=share, layout=layout, merge_outputs=merge)
            last += new
        return inputs, last


class DropoutCell(BaseRNNCell):
    """Dropout of the inputs; it has no states.

    Args:
        dropout: the probability.
        prefix: what names begin with.
        params: shared variables.
    """

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None) -> None:
        super().__init__(prefix, params)
        if not isinstance(dropout, numeric_types):
            raise InputTypeError("dropout must be a number", found=repr(dropout))
        self.dropout = dropout

    @property
    def state_info(self) -> list[Any]:
        """Nothing."""
        return []

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The inputs with dropout, and the states as they are."""
        return (symbol.Dropout(data=inputs, p=self.dropout) if self.dropout > 0 else inputs), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Dropout of a whole sequence at once, or of each step."""
        self.reset()
        given, _ = sequence(length, inputs, layout, merge_outputs)
        if isinstance(given, symbol.Symbol):
            return self(given, [])
        return super().unroll(length, given, begin_state, layout, merge_outputs)


class ModifierCell(BaseRNNCell):
    """A cell that changes what another one gives.

    Args:
        base_cell: the other cell, from now on called only through this one.
    """

    def __init__(self, base_cell: Any) -> None:
        super().__init__()
        base_cell._modified = True
        self.base_cell = base_cell

    @property
    def params(self) -> RNNParams:
        """The inner cell's variables."""
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[Any]:
        """The inner cell's states."""
        return self.base_cell.state_info

    def begin_state(self, init_sym: Any = symbol.zeros, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        """The inner cell's initial states."""
        self._check_unmodified()
        self.base_cell._modified = False
        try:
            return self.base_cell.begin_state(func=init_sym, **kwargs)
        finally:
            self.base_cell._modified = True

    def unpack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """As the inner cell."""
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """As the inner cell."""
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keeps some outputs and states of the step before, at random.

    Args:
        base_cell: a cell that can be stepped.
        zoneout_outputs: probability for outputs.
        zoneout_states: probability for states.
    """

    def __init__(self, base_cell: Any, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        if type(base_cell).__call__ is BaseRNNCell.__call__:
            name = type(base_cell).__name__
            raise CellError(f"{name} has no single steps to zone out", fix="unfuse it, or wrap the cells in it")
        super().__init__(base_cell)
        self.zoneout_outputs = zoneout_outputs
        self.zoneout_states = zoneout_states
        self.prev_output: Any = None

    def reset(self) -> None:
        """Forget the step before."""
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""

        def mixed(p: float, new: Any, old: Any) -> Any:
            return symbol.where(symbol.Dropout(symbol.ones_like(new), p=p), new, old)

        output, new_states = self.base_cell(inputs, states)
        before = symbol.zeros((0, 0)) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs:
            output = mixed(self.zoneout_outputs, output, before)
        if self.zoneout_states:
            new_states = [mixed(self.zoneout_states, n, o) for n, o in zip(new_states, states, strict=True)]
        self.prev_output = output
        return output, new_states


class ResidualCell(ModifierCell):
    """Adds the inputs to the outputs."""

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        output, states = self.base_cell(inputs, states)
        return self._added(output, inputs), states

    @staticmethod
    def _added(output: Any, inputs: Any) -> Any:
        return symbol.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """The inner cell unrolled, and the inputs added."""
        self.reset()
        self.base_cell._modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        finally:
            self.base_cell._modified = True
        merged = isinstance(outputs, symbol.Symbol) if merge_outputs is None else merge_outputs
        given, _ = sequence(length, inputs, layout, merged)
        if merged:
            return self._added(outputs, given), states
        return [self._added(o, i) for o, i in zip(outputs, given, strict=False)], states


class BidirectionalCell(_CellOfCells):
    """Two cells, one from each end, their outputs side by side.

    Args:
        l_cell: from the start.
        r_cell: from the end.
        params: shared variables.
        output_prefix: what the outputs' names begin with.
    """

    def __init__(self, l_cell: Any, r_cell: Any, params: RNNParams | None = None, output_prefix: str = "bi_") -> None:
        super().__init__(params)
        self._output_prefix = output_prefix
        self._adopt(l_cell)
        self._adopt(r_cell)

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Both cells unrolled; their outputs are joined step by step."""
        self.reset()
        steps, axis = sequence(length, inputs, layout, False)
        begin = self.begin_state() if begin_state is None else begin_state
        halves, last = [], []
        for cell, share, order in zip(self._cells, self._shares(begin), (steps, steps[::-1]), strict=True):
            found, states = cell.unroll(length, order, share, layout, merge_outputs)
            halves.append(found)
            last.append(states)
        if merge_outputs is None:
            merge_outputs = all(isinstance(half, symbol.Symbol) for half in halves)
            if not merge_outputs:
                halves = [sequence(length, half, layout, False)[0] for half in halves]
        left, right = halves
        if merge_outputs:
            right = symbol.reverse(right, axis=axis)
            return symbol.Concat(left, right, dim=2, name=f"{self._output_prefix}out"), last
        pairs = enumerate(zip(left, reversed(right), strict=True))
        return [symbol.Concat(a, b, dim=1, name=f"{self._output_prefix}t{i}") for i, (a, b) in pairs], last
