"""Recurrent cells: one step at a time, or unrolled."""

from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._later import later
from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn import LeakyReLU
from evergraph.mxnet.gluon.rnn.sequences import begin_states, formatted, masked

__all__ = ["GRUCell", "HybridRecurrentCell", "LSTMCell", "RNNCell", "RecurrentCell"]

__getattr__ = later(__name__, "evergraph.mxnet.gluon.rnn.combined")


class RecurrentCell(Block):
    """What all recurrent cells have: states, and unrolling."""

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Count steps and states from the beginning, before a new sequence."""
        self._init_counter = self._counter = -1
        for cell in self._children.values():
            if isinstance(cell, RecurrentCell):
                cell.reset()

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define state_info")

    def _refuse_modified(self) -> None:
        if self._modified:
            raise AssertionError(
                "After applying modifier cells (e.g. ZoneoutCell) the base cell cannot be called directly. Call the "
                "modifier cell instead."
            )

    def begin_state(self, batch_size: int = 0, func: Any = nd.zeros, **kwargs: Any) -> list[Any]:
        """The first states, made by `func(name=..., shape=..., **kwargs)`: zeros."""
        self._refuse_modified()
        found = []
        for info in self.state_info(batch_size):
            self._init_counter += 1
            options = {**info, **kwargs}
            if func is nd.zeros:
                options.pop("__layout__", None)
            else:
                options["name"] = f"{self._prefix}begin_state_{self._init_counter}"
            found.append(func(**options))
        return found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, list[Any]]:
        """The outputs of all steps, and the last states.

        Args:
            length: number of steps.
            inputs: an array or a symbol with an axis of time, or a list with one for each step.
            begin_state: the first states; zeros where they are not given.
            layout: order of the axes, "NTC" or "TNC".
            merge_outputs: whether the outputs are one array or a list; None for whatever comes.
            valid_length: length of each sample: beyond it outputs are 0, and states those of its last step.
        """
        self.reset()
        steps, axis, space, batch = formatted(length, inputs, layout, False)
        states = begin_states(self, space, begin_state, steps, batch)
        outputs, every = [], []
        for step in steps:
            output, states = self(step, states)
            outputs.append(output)
            every.append(states)
        if valid_length is not None:
            states = [
                space.SequenceLast(
                    space.stack(*each, axis=0), sequence_length=valid_length, use_sequence_length=True, axis=0
                )
                for each in zip(*every, strict=True)
            ]
            outputs = masked(space, outputs, length, valid_length, axis, True)
        return formatted(length, outputs, layout, merge_outputs)[0], states

    def _activated(self, F: Any, inputs: Any, activation: Any, **kwargs: Any) -> Any:
        plain = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "softsign": "softsign"}
        if isinstance(activation, str):
            if activation in plain:
                return getattr(F, plain[activation])(inputs, **kwargs)
            return F.Activation(inputs, act_type=activation, **kwargs)
        if isinstance(activation, LeakyReLU):
            return F.LeakyReLU(inputs, act_type="leaky", slope=activation._alpha, **kwargs)
        return activation(inputs, **kwargs)

    def forward(self, *args: Any) -> Any:
        """The output of a step, and the next states: called with the input and the states."""
        self._counter += 1
        return super().forward(*args)


class HybridRecurrentCell(RecurrentCell, HybridBlock):  # type: ignore[misc]
    """A recurrent cell that is defined by `hybrid_forward`."""

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def hybrid_forward(self, F: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of a step, and the next states.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define hybrid_forward")


class _Gated(HybridRecurrentCell):
    """A cell with weights for its input and its state.

    Args:
        gates: number of gates.
        hidden_size: size of the state.
        input_size: size of the input; 0 to take it from the first batch.
        initializers: of i2h_weight, h2h_weight, i2h_bias and h2h_bias.
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.
    """

    states = 1

    def __init__(
        self, gates: int, hidden_size: int, input_size: int, initializers: tuple[Any, ...], prefix: Any, params: Any
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._hidden_size, self._input_size, self._gates = hidden_size, input_size, gates
        width = gates * hidden_size
        shapes = ((width, input_size), (width, hidden_size), (width,), (width,))
        names = ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias")
        for name, shape, begin in zip(names, shapes, initializers, strict=True):
            setattr(self, name, self.params.get(name, shape=shape, init=begin, allow_deferred_init=True))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        return [{"shape": (batch_size, self._hidden_size), "__layout__": "NC"} for _ in range(self.states)]

    def _gate_sums(
        self, F: Any, inputs: Any, state: Any, i2h_weight: Any, h2h_weight: Any, i2h_bias: Any, h2h_bias: Any
    ) -> tuple[Any, Any, str]:
        prefix, width = f"t{self._counter}_", self._gates * self._hidden_size
        i2h = F.FullyConnected(data=inputs, weight=i2h_weight, bias=i2h_bias, num_hidden=width, name=f"{prefix}i2h")
        h2h = F.FullyConnected(data=state, weight=h2h_weight, bias=h2h_bias, num_hidden=width, name=f"{prefix}h2h")
        return i2h, h2h, prefix

    def __repr__(self) -> str:
        hidden, inputs = self._reg_params["i2h_weight"].shape or (0, 0)
        shown = getattr(self, "_activation", None)
        extra = f", {shown}" if self._gates == 1 else ""
        return f"{type(self).__name__}({inputs or None} -> {hidden}{extra})"


class RNNCell(_Gated):
    """A plain recurrent unit.

    Args:
        hidden_size: size of the state.
        activation: name of an activation function, or a block.
        i2h_weight_initializer: how weights of the input begin.
        h2h_weight_initializer: how weights of the state begin.
        i2h_bias_initializer: how biases of the input begin.
        h2h_bias_initializer: how biases of the state begin.
        input_size: size of the input; 0 to take it from the first batch.
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.

    >>> cell = RNNCell(3); cell.initialize()
    >>> output, states = cell(nd.ones((2, 4)), cell.begin_state(2))
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    def __init__(
        self,
        hidden_size: int,
        activation: Any = "tanh",
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        begin = (i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)
        super().__init__(1, hidden_size, input_size, begin, prefix, params)
        self._activation = activation

    def _alias(self) -> str:
        return "rnn"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next state."""
        i2h, h2h, prefix = self._gate_sums(F, inputs, states[0], **weights)
        total = F.elemwise_add(i2h, h2h, name=f"{prefix}plus0")
        output = self._activated(F, total, self._activation, name=f"{prefix}out")
        return output, [output]


class LSTMCell(_Gated):
    """A cell of long short-term memory; arguments as those of `RNNCell`, and the gates' activation."""

    states = 2

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
    ) -> None:
        begin = (i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)
        super().__init__(4, hidden_size, input_size, begin, prefix, params)
        self._activation, self._recurrent_activation = activation, recurrent_activation

    def _alias(self) -> str:
        return "lstm"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        i2h, h2h, prefix = self._gate_sums(F, inputs, states[0], **weights)
        gates = F.elemwise_add(i2h, h2h, name=f"{prefix}plus0")
        parts = F.SliceChannel(gates, num_outputs=4, name=f"{prefix}slice")
        gate = self._recurrent_activation
        taken = self._activated(F, parts[0], gate, name=f"{prefix}i")
        kept = self._activated(F, parts[1], gate, name=f"{prefix}f")
        new = self._activated(F, parts[2], self._activation, name=f"{prefix}c")
        shown = self._activated(F, parts[3], gate, name=f"{prefix}o")
        memory = F.elemwise_add(
            F.elemwise_mul(kept, states[1], name=f"{prefix}mul0"),
            F.elemwise_mul(taken, new, name=f"{prefix}mul1"),
            name=f"{prefix}state",
        )
        visible = F.Activation(memory, act_type=self._activation, name=f"{prefix}activation0")
        output = F.elemwise_mul(shown, visible, name=f"{prefix}out")
        return output, [output, memory]


class GRUCell(_Gated):
    """A gated recurrent unit; arguments as those of `LSTMCell`."""

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
    ) -> None:
        begin = (i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)
        super().__init__(3, hidden_size, input_size, begin, prefix, params)
        self._activation, self._recurrent_activation = activation, recurrent_activation

    def _alias(self) -> str:
        return "gru"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next state."""
        i2h, h2h, prefix = self._gate_sums(F, inputs, states[0], **weights)
        i2h_r, i2h_z, i2h_n = F.SliceChannel(i2h, num_outputs=3, name=f"{prefix}i2h_slice")
        h2h_r, h2h_z, h2h_n = F.SliceChannel(h2h, num_outputs=3, name=f"{prefix}h2h_slice")
        kind, sums = self._recurrent_activation, F.elemwise_add
        reset = F.Activation(sums(i2h_r, h2h_r, name=f"{prefix}plus0"), act_type=kind, name=f"{prefix}r_act")
        update = F.Activation(sums(i2h_z, h2h_z, name=f"{prefix}plus1"), act_type=kind, name=f"{prefix}z_act")
        total = F.elemwise_add(i2h_n, F.elemwise_mul(reset, h2h_n, name=f"{prefix}mul0"), name=f"{prefix}plus2")
        new = F.Activation(total, act_type=self._activation, name=f"{prefix}h_act")
        ones = F.ones_like(update, name=f"{prefix}ones_like0")
        output = F.elemwise_add(
            F.elemwise_mul(F.elemwise_sub(ones, update, name=f"{prefix}minus0"), new, name=f"{prefix}mul1"),
            F.elemwise_mul(update, states[0], name=f"{prefix}mul20"),
            name=f"{prefix}out",
        )
        return output, [output]
