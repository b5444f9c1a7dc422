"""Recurrent cells on symbols: the interface, and the simple, LSTM and GRU cells."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet import initializer, symbol
from evergraph.mxnet import ndarray as nd

__all__ = ["BaseRNNCell", "GRUCell", "LSTMCell", "RNNCell", "RNNParams", "gru_step", "lstm_step"]


class CellError(UsageError, AssertionError, NotImplementedError):
    """A cell is used in a way that it does not have."""


class RNNParams:
    """Variables shared by name.

    Args:
        prefix: what each name begins with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._params: dict[str, Any] = {}

    def get(self, name: str, **kwargs: Any) -> Any:
        """The variable of a name, made with kwargs where it is new."""
        full = self._prefix + name
        if full not in self._params:
            self._params[full] = symbol.Variable(full, **kwargs)
        return self._params[full]


def sequence(length: int | None, inputs: Any, layout: str, merge: bool | None) -> tuple[Any, int]:
    """Inputs as one symbol (merge True), as a list of steps (False) or as they are (None), and the time axis."""
    axis = layout.find("T")
    if inputs is None:
        raise CellError("unroll needs inputs", fix="create the input variables and pass them")
    if isinstance(inputs, symbol.Symbol):
        if merge is False:
            if len(inputs.list_outputs()) != 1:
                raise CellError("unroll takes no group of symbols", fix="pass list(inputs)")
            return list(symbol.split(inputs, axis=axis, num_outputs=length, squeeze_axis=1)), axis
        return inputs, axis
    if length is not None and len(inputs) != length:
        raise CellError("the number of inputs is not the number of steps", expected=length, found=len(inputs))
    if merge:
        return symbol.Concat(*[symbol.expand_dims(i, axis=axis) for i in inputs], dim=axis), axis
    return inputs, axis


class BaseRNNCell:
    """The interface: called with an input and states for one step, or unrolled over many.

    Args:
        prefix: what the names of its variables and nodes begin with.
        params: variables shared with other cells.
    """

    _cells: list[Any]
    _num_hidden: int

    def __init__(self, prefix: str = "", params: RNNParams | None = None) -> None:
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Count steps from zero again."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, "_cells", ()):
            cell.reset()

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        raise CellError(f"{type(self).__name__} cannot be stepped", fix="use unroll")

    @property
    def params(self) -> RNNParams:
        """The variables, from now on shared."""
        self._own_params = False
        return self._params

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of each state."""
        raise CellError(f"{type(self).__name__} does not say what states it has", fix="define state_info")

    @property
    def state_shape(self) -> list[Any]:
        """The shape of each state."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ()

    def _check_unmodified(self) -> None:
        if self._modified:
            raise CellError("a modifier cell (such as ZoneoutCell) wraps this cell", fix="call the modifier instead")

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> list[Any]:
        """The initial states, each made by func (zeros, or Variable) with its shape and name."""
        self._check_unmodified()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            kwargs |= info or {}
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **kwargs))
        return states

    def _parts(self) -> list[tuple[str, list[str]]]:
        """Each packed parameter, and the names of its gates' parts."""
        return [
            (f"{self._prefix}{group}_{kind}", [f"{self._prefix}{group}{gate}_{kind}" for gate in self._gate_names])
            for group in ("i2h", "h2h")
            for kind in ("weight", "bias")
            if self._gate_names
        ]

    def unpack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with each packed one cut into one for each gate."""
        out, h = dict(args), self._num_hidden if self._gate_names else 0
        for packed, names in self._parts():
            whole = out.pop(packed)
            out.update({name: whole[j * h : (j + 1) * h].copy() for j, name in enumerate(names)})
        return out

    def pack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with the gates' parts joined: the way back of unpack_weights."""
        out = dict(args)
        for packed, names in self._parts():
            out[packed] = nd.concatenate([out.pop(name) for name in names])
        return out

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """The cell over `length` steps.

        Args:
            length: number of steps.
            inputs: one symbol, or a list with a symbol for each step.
            begin_state: the initial states; None for begin_state().
            layout: a letter for each axis, `T` the steps.
            merge_outputs: whether the outputs become one symbol; None leaves them as they are.

        Returns:
            The outputs, and the last states.
        """
        self.reset()
        steps, _ = sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for i in range(length):
            output, states = self(steps[i], states)
            outputs.append(output)
        return sequence(length, outputs, layout, merge_outputs)[0], states

    def _get_activation(self, inputs: Any, activation: Any, **kwargs: Any) -> Any:
        if isinstance(activation, str):
            return symbol.Activation(inputs, act_type=activation, **kwargs)
        return activation(inputs, **kwargs)


class _DenseCell(BaseRNNCell):
    """A cell whose gates are two fully connected layers."""

    _bias: dict[str, Any] = {}

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None) -> None:
        super().__init__(prefix, params)
        self._num_hidden = num_hidden
        self._iW = self.params.get("i2h_weight")
        self._hW = self.params.get("h2h_weight")
        self._iB = self.params.get("i2h_bias", **self._bias)
        self._hB = self.params.get("h2h_bias")

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of each state."""
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"}]

    def _next_name(self) -> str:
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    def _gates(self, inputs: Any, state: Any, name: str) -> tuple[Any, Any]:
        width = self._num_hidden * len(self._gate_names)
        dense = symbol.FullyConnected
        i2h = dense(data=inputs, weight=self._iW, bias=self._iB, num_hidden=width, name=f"{name}i2h")
        h2h = dense(data=state, weight=self._hW, bias=self._hB, num_hidden=width, name=f"{name}h2h")
        return i2h, h2h


def _tanh(inputs: Any, **kwargs: Any) -> Any:
    return symbol.Activation(inputs, act_type="tanh", **kwargs)


def lstm_step(name: str, gates: Any, memory: Any, activation: Callable[..., Any], **cut: Any) -> tuple[Any, list[Any]]:
    """One step of a long short-term memory.

    Args:
        name: what the names of the nodes begin with.
        gates: the gates input, forget, cell and output before their activations, one after another.
        memory: the memory so far.
        activation: of the cell gate and of the memory.
        cut: parameters of the cut into gates.

    Returns:
        The output, and the new states: the output and the memory.
    """
    parts = symbol.SliceChannel(gates, num_outputs=4, name=f"{name}slice", **cut)
    sigmoid = functools.partial(symbol.Activation, act_type="sigmoid")
    kinds = zip("ifco", (sigmoid, sigmoid, activation, sigmoid), strict=True)
    i, f, c, o = [kind(parts[j], name=f"{name}{gate}") for j, (gate, kind) in enumerate(kinds)]
    memory = symbol._internal._plus(f * memory, i * c, name=f"{name}state")
    output = symbol._internal._mul(o, activation(memory), name=f"{name}out")
    return output, [output, memory]


def gru_step(name: str, i2h: Any, h2h: Any, state: Any, activation: Callable[..., Any]) -> tuple[Any, list[Any]]:
    """One step of a gated recurrent unit.

    Args:
        name: what the names of the nodes begin with.
        i2h: the gates reset, update and new from the input, before their activations.
        h2h: the same from the state.
        state: the state so far.
        activation: of the new gate.

    Returns:
        The output, and the new states, which are the output.
    """
    i2h_r, i2h_z, i2h_n = symbol.SliceChannel(i2h, num_outputs=3, name=f"{name}_i2h_slice")
    h2h_r, h2h_z, h2h_n = symbol.SliceChannel(h2h, num_outputs=3, name=f"{name}_h2h_slice")
    reset = symbol.Activation(i2h_r + h2h_r, act_type="sigmoid", name=f"{name}_r_act")
    update = symbol.Activation(i2h_z + h2h_z, act_type="sigmoid", name=f"{name}_z_act")
    new = activation(i2h_n + reset * h2h_n, name=f"{name}_h_act")
    output = symbol._internal._plus((1.0 - update) * new, update * state, name=f"{name}out")
    return output, [output]


class RNNCell(_DenseCell):
    """h' = activation(W x + U h + b).

    Args:
        num_hidden: length of the state.
        activation: a name, or a function of a symbol.
        prefix: what names begin with.
        params: shared variables.
    """

    def __init__(
        self, num_hidden: int, activation: Any = "tanh", prefix: str = "rnn_", params: RNNParams | None = None
    ) -> None:
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("",)

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name = self._next_name()
        i2h, h2h = self._gates(inputs, states[0], name)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class LSTMCell(_DenseCell):
    """A long short-term memory, gates in the order input, forget, cell, output.

    Args:
        num_hidden: length of each state.
        prefix: what names begin with.
        params: shared variables.
        forget_bias: added to the forget gate at the start.
    """

    def __init__(
        self, num_hidden: int, prefix: str = "lstm_", params: RNNParams | None = None, forget_bias: float = 1.0
    ) -> None:
        self._bias = {"init": initializer.LSTMBias(forget_bias=forget_bias)}
        super().__init__(num_hidden, prefix, params)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of the output and of the memory."""
        return super().state_info * 2

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_i", "_f", "_c", "_o")

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name = self._next_name()
        i2h, h2h = self._gates(inputs, states[0], name)
        return lstm_step(name, i2h + h2h, states[1], _tanh)


class GRUCell(_DenseCell):
    """A gated recurrent unit, gates in the order reset, update, new.

    Args:
        num_hidden: length of the state.
        prefix: what names begin with.
        params: shared variables.
    """

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None) -> None:
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_r", "_z", "_o")

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name = self._next_name()
        i2h, h2h = self._gates(inputs, states[0], f"{name}_")
        return gru_step(name, i2h, h2h, states[0], _tanh)
