"""`mx.gluon.contrib.rnn`: cells with one dropout for a whole sequence, with projections, and with convolutions."""

from typing import Any

from evergraph.mxnet.gluon.contrib.conv_rnn import (
    Conv1DGRUCell,
    Conv1DLSTMCell,
    Conv1DRNNCell,
    Conv2DGRUCell,
    Conv2DLSTMCell,
    Conv2DRNNCell,
    Conv3DGRUCell,
    Conv3DLSTMCell,
    Conv3DRNNCell,
)
from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.gluon.rnn.combined import BidirectionalCell, ModifierCell, SequentialRNNCell
from evergraph.mxnet.gluon.rnn.rnn_cell import HybridRecurrentCell
from evergraph.mxnet.gluon.rnn.sequences import begin_states, formatted, masked

__all__ = [
    "Conv1DGRUCell",
    "Conv1DLSTMCell",
    "Conv1DRNNCell",
    "Conv2DGRUCell",
    "Conv2DLSTMCell",
    "Conv2DRNNCell",
    "Conv3DGRUCell",
    "Conv3DLSTMCell",
    "Conv3DRNNCell",
    "LSTMPCell",
    "VariationalDropoutCell",
]


class LSTMPCell(HybridRecurrentCell):
    """A cell of long short-term memory whose output is projected to a smaller size.

    Args:
        hidden_size: size of the memory.
        projection_size: size of the output.
        i2h_weight_initializer: how weights of the input begin.
        h2h_weight_initializer: how weights of the state begin.
        h2r_weight_initializer: how weights of the projection begin.
        i2h_bias_initializer: how biases of the input begin.
        h2h_bias_initializer: how biases of the state begin.
        input_size: size of the input; 0 to take it from the first batch.
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.

    >>> from evergraph.mxnet import nd
    >>> cell = LSTMPCell(8, 3); cell.initialize()
    >>> output, states = cell(nd.ones((2, 4)), cell.begin_state(2))
    >>> output.shape, [s.shape for s in states]
    ((2, 3), [(2, 3), (2, 8)])
    """

    def __init__(
        self,
        hidden_size: int,
        projection_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        h2r_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._hidden_size, self._input_size, self._projection_size = hidden_size, input_size, projection_size
        for name, shape, begin in (
            ("i2h_weight", (4 * hidden_size, input_size), i2h_weight_initializer),
            ("h2h_weight", (4 * hidden_size, projection_size), h2h_weight_initializer),
            ("h2r_weight", (projection_size, hidden_size), h2r_weight_initializer),
            ("i2h_bias", (4 * hidden_size,), i2h_bias_initializer),
            ("h2h_bias", (4 * hidden_size,), h2h_bias_initializer),
        ):
            setattr(self, name, self.params.get(name, shape=shape, init=begin, allow_deferred_init=True))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        sizes = self._projection_size, self._hidden_size
        return [{"shape": (batch_size, size), "__layout__": "NC"} for size in sizes]

    def _alias(self) -> str:
        return "lstmp"

    def __repr__(self) -> str:
        inputs = (self._reg_params["i2h_weight"].shape or (0, 0))[1] or None
        return f"{type(self).__name__}({inputs} -> {4 * self._hidden_size} -> {self._projection_size})"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        name, width = f"t{self._counter}_", 4 * self._hidden_size
        w = weights
        i2h = F.FullyConnected(
            data=inputs, weight=w["i2h_weight"], bias=w["i2h_bias"], num_hidden=width, name=f"{name}i2h"
        )
        h2h = F.FullyConnected(
            data=states[0], weight=w["h2h_weight"], bias=w["h2h_bias"], num_hidden=width, name=f"{name}h2h"
        )
        parts = F.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}slice")
        taken = F.Activation(parts[0], act_type="sigmoid", name=f"{name}i")
        kept = F.Activation(parts[1], act_type="sigmoid", name=f"{name}f")
        new = F.Activation(parts[2], act_type="tanh", name=f"{name}c")
        shown = F.Activation(parts[3], act_type="sigmoid", name=f"{name}o")
        memory = F._internal._plus(kept * states[1], taken * new, name=f"{name}state")
        hidden = F._internal._mul(shown, F.Activation(memory, act_type="tanh"), name=f"{name}hidden")
        output = F.FullyConnected(
            data=hidden, num_hidden=self._projection_size, weight=w["h2r_weight"], no_bias=True, name=f"{name}out"
        )
        return output, [output, memory]


class VariationalDropoutCell(ModifierCell):
    """A cell whose dropout leaves out the same elements at every step of a sequence; `reset` draws new ones.

    Args:
        base_cell: the cell.
        drop_inputs: how often elements of the input are left out.
        drop_states: how often elements of the first state are.
        drop_outputs: how often elements of the output are.

    Raises:
        AssertionError: states of a cell that cannot leave any out.
    """

    def __init__(
        self, base_cell: Any, drop_inputs: float = 0.0, drop_states: float = 0.0, drop_outputs: float = 0.0
    ) -> None:
        if drop_states and isinstance(base_cell, BidirectionalCell):
            raise ParameterFitError(
                "BidirectionalCell doesn't support variational state dropout.",
                fix="add VariationalDropoutCell to the cells underneath instead",
            )
        if drop_states and isinstance(base_cell, SequentialRNNCell):
            raise ParameterFitError(
                "a row of cells does not leave out states", fix="add VariationalDropoutCell to each cell instead"
            )
        super().__init__(base_cell)
        self.drop_inputs, self.drop_states, self.drop_outputs = drop_inputs, drop_states, drop_outputs
        self._masks: dict[str, Any] = {}

    def _alias(self) -> str:
        return "vardrop"

    def reset(self) -> None:
        """Draw anew what is left out, before a new sequence."""
        super().reset()
        self._masks = {}

    def _thinned(self, F: Any, what: str, rate: float, value: Any) -> Any:
        if not rate:
            return value
        if what not in self._masks:
            self._masks[what] = F.Dropout(F.ones_like(value), p=rate)
        return value * self._masks[what]

    def hybrid_forward(self, F: Any, inputs: Any, states: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        states = [self._thinned(F, "states", self.drop_states, states[0]), *states[1:]]
        output, after = self.base_cell(self._thinned(F, "inputs", self.drop_inputs, inputs), states)
        return self._thinned(F, "outputs", self.drop_outputs, output), after

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p_out = {self.drop_outputs}, p_state = {self.drop_states})"

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The outputs of all steps, and the last states; without dropout of states the cell runs over the whole."""
        if self.drop_states:
            return super(ModifierCell, self).unroll(length, inputs, begin_state, layout, merge_outputs, valid_length)
        self.reset()
        whole, axis, space, batch = formatted(length, inputs, layout, True)
        states = begin_states(self, space, begin_state, whole, batch)
        if self.drop_inputs:
            whole = space.Dropout(whole, p=self.drop_inputs, axes=(axis,))
        outputs, states = self.base_cell.unroll(
            length, whole, states, layout, merge_outputs=True, valid_length=valid_length
        )
        if self.drop_outputs:
            outputs = space.Dropout(outputs, p=self.drop_outputs, axes=(axis,))
        if valid_length is not None:
            outputs = masked(space, outputs, length, valid_length, axis, True)
        return formatted(length, outputs, layout, merge_outputs)[0], states
