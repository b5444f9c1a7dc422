"""Recurrent layers that run a whole sequence as one operator."""

import re
from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.parameter import Parameter, tensor_types
from evergraph.mxnet.history import end_used
from evergraph.mxnet.ndarray.base import Array

__all__ = ["GRU", "LSTM", "RNN"]

_GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}

_NAME = re.compile(r"(l|r)(\d+)_(i2h|h2h|h2r)_(weight|bias)\Z")


class _RNNLayer(HybridBlock):
    """What all recurrent layers have.

    Args:
        mode: "rnn_relu", "rnn_tanh", "lstm" or "gru".
        hidden_size: size of the hidden state.
        num_layers: number of layers.
        layout: order of the inputs' axes, "TNC" or "NTC".
        dropout: probability between layers.
        bidirectional: whether both directions are run.
        input_size: size of the input; 0 to take it from the first batch.
        initializers: how weights and biases begin, by "i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias", "h2r_weight".
        dtype: element type of the parameters.
        projection_size: size of the projected state.
        clip: bounds of the cell's state, and whether what is no number counts.
        use_sequence_length: whether each sample has a length of its own.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        mode: str,
        hidden_size: int,
        num_layers: int,
        layout: str,
        dropout: float,
        bidirectional: bool,
        input_size: int,
        initializers: dict[str, Any],
        dtype: Any,
        kwargs: dict[str, Any],
        projection_size: int | None = None,
        clip: tuple[Any, Any, bool] = (None, None, False),
        use_sequence_length: bool = False,
    ) -> None:
        super().__init__(**kwargs)
        if layout not in ("TNC", "NTC"):
            raise ParameterFitError("a layout that recurrent layers do not know", expected="TNC or NTC", found=layout)
        self._mode, self._hidden_size, self._num_layers = mode, hidden_size, num_layers
        self._layout, self._dropout, self._dir = layout, dropout, 2 if bidirectional else 1
        self._input_size, self._dtype, self._gates = input_size, dtype, _GATES[mode]
        self._projection_size = projection_size or None
        self._clip, self._use_sequence_length = clip, use_sequence_length
        self.skip_states = False
        self._make(initializers)

    def _make(self, initializers: dict[str, Any]) -> None:
        width, inputs = self._gates * self._hidden_size, self._input_size
        state = self._projection_size or self._hidden_size
        for layer in range(self._num_layers):
            shapes = {
                "i2h_weight": (width, inputs),
                "h2h_weight": (width, state),
                "i2h_bias": (width,),
                "h2h_bias": (width,),
            }
            if self._projection_size:
                shapes["h2r_weight"] = (self._projection_size, self._hidden_size)
            for side in "lr"[: self._dir]:
                for part, shape in shapes.items():
                    name = f"{side}{layer}_{part}"
                    found = self.params.get(
                        name, shape=shape, init=initializers[part], allow_deferred_init=True, dtype=self._dtype
                    )
                    setattr(self, name, found)
            inputs = state * self._dir

    def __repr__(self) -> str:
        shape = self._reg_params["l0_i2h_weight"].shape or (0, 0)
        text = f"{type(self).__name__}({shape[1] or None} -> {shape[0] // self._gates}, {self._layout}"
        text += f", num_layers={self._num_layers}" if self._num_layers != 1 else ""
        text += f", dropout={self._dropout}" if self._dropout != 0 else ""
        return text + (", bidirectional)" if self._dir == 2 else ")")

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Parameter]:
        """The parameters by the names that the cells of the same layer would give them: files hold those."""
        before, found = f"{prefix}." if prefix else "", {}
        for name, each in self._reg_params.items():
            match = _NAME.match(name)
            if match is None:
                found[before + name] = each
                continue
            side, layer, gate, kind = match.groups()
            inner = f"{side}_cell.{gate}_{kind}" if self._dir == 2 else f"{gate}_{kind}"
            found[f"{before}_unfused.{layer}.{inner}"] = each
        return found

    def cast(self, dtype: Any) -> None:
        """Change the element type of all parameters."""
        super().cast(dtype)
        self._dtype = dtype

    # ---- states

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape, layout and element type of each state."""
        layers = self._num_layers * self._dir
        sizes = [self._projection_size or self._hidden_size]
        if self._mode == "lstm":
            sizes.append(self._hidden_size)
        return [{"shape": (layers, batch_size, s), "__layout__": "LNC", "dtype": self._dtype} for s in sizes]

    def begin_state(self, batch_size: int = 0, func: Any = nd.zeros, **kwargs: Any) -> list[Any]:
        """The first states, made by `func`: zeros."""
        found = []
        for number, info in enumerate(self.state_info(batch_size)):
            options = {**info, **kwargs}
            if func is nd.zeros:
                options.pop("__layout__")
            else:
                options["name"] = f"{self.prefix}h0_{number}"
            state = func(**options)
            found.append(state.as_np_ndarray() if STATE.np_array else state)
        return found

    def __call__(  # type: ignore[override]
        self, inputs: Any, states: Any = None, sequence_length: Any = None
    ) -> Any:
        """The outputs; with states given, the outputs and the last states."""
        self.skip_states = states is None
        if states is None:
            if isinstance(inputs, Array):
                states = self.begin_state(inputs.shape[self._layout.find("N")], ctx=inputs.context, dtype=inputs.dtype)
            else:
                states = self.begin_state(-1 if STATE.np_shape else 0, func=sym.zeros)
        states = [states] if isinstance(states, tensor_types) else list(states)
        for state in states:
            if isinstance(state, Array):
                end_used(state)
        if self._use_sequence_length:
            return super().__call__(inputs, states, sequence_length)
        return super().__call__(inputs, states)

    # ---- running

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, sequence_length: Any = None, **kwargs: Any) -> Any:
        """The outputs, and the last states where the first ones were given."""
        if F is nd:
            self._check(inputs, states)
        swap = F.np.swapaxes if STATE.np_array else F.swapaxes
        data = swap(inputs, 0, 1) if self._layout == "NTC" else inputs
        extra = [sequence_length] if self._use_sequence_length else []
        call = F.npx.rnn if STATE.np_array else F.RNN
        result = call(data, self._packed(F, kwargs), *states, *extra, **self._options())
        outputs, after = result[0], list(result[1 : 1 + len(states)])
        if self._layout == "NTC":
            outputs = swap(outputs, 0, 1)
        return outputs if self.skip_states else (outputs, after)

    def _options(self) -> dict[str, Any]:
        low, high, counts = self._clip
        return {
            "use_sequence_length": self._use_sequence_length,
            "state_size": self._hidden_size,
            "projection_size": self._projection_size,
            "num_layers": self._num_layers,
            "bidirectional": self._dir == 2,
            "p": self._dropout,
            "state_outputs": True,
            "mode": self._mode,
            "lstm_state_clip_min": low,
            "lstm_state_clip_max": high,
            "lstm_state_clip_nan": counts,
        }

    def _packed(self, F: Any, params: dict[str, Any]) -> Any:
        """All parameters in the order of the operator RNN."""
        gates = ["i2h", "h2h", "h2r"] if self._projection_size else ["i2h", "h2h"]
        parts = [
            params[f"{side}{layer}_{gate}_{kind}"].reshape(-1)
            for kind in ("weight", "bias")
            for layer in range(self._num_layers)
            for side in "lr"[: self._dir]
            for gate in gates
            if (gate, kind) != ("h2r", "bias")
        ]
        call = F.np._internal.rnn_param_concat if STATE.np_array else F._internal._rnn_param_concat
        return call(*parts, dim=0)

    def _check(self, inputs: Any, states: Any) -> None:
        wanted = self.state_info(inputs.shape[self._layout.find("N")])
        for state, info in zip(states, wanted, strict=True):
            if state.shape != info["shape"]:
                raise BlockValueError("Invalid recurrent state shape", expected=info["shape"], found=state.shape)


class RNN(_RNNLayer):
    """A layer of plain recurrent units.

    Args:
        hidden_size: size of the hidden state.
        num_layers: number of layers.
        activation: "relu" or "tanh".
        layout: order of the inputs' axes.
        dropout: probability between layers.
        bidirectional: whether both directions are run.
        i2h_weight_initializer: how weights of the input begin.
        h2h_weight_initializer: how weights of the state begin.
        i2h_bias_initializer: how biases of the input begin.
        h2h_bias_initializer: how biases of the state begin.
        input_size: size of the input; 0 to take it from the first batch.
        dtype: element type of the parameters.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        activation: str = "relu",
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        begin = {
            "i2h_weight": i2h_weight_initializer,
            "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer,
            "h2h_bias": h2h_bias_initializer,
        }
        mode = f"rnn_{activation}"
        super().__init__(
            mode, hidden_size, num_layers, layout, dropout, bidirectional, input_size, begin, dtype, kwargs
        )


class LSTM(_RNNLayer):
    """A layer of long short-term memory.

    Args:
        hidden_size: size of the hidden state.
        num_layers: number of layers.
        layout: order of the inputs' axes.
        dropout: probability between layers.
        bidirectional: whether both directions are run.
        input_size: size of the input; 0 to take it from the first batch.
        i2h_weight_initializer: how weights of the input begin.
        h2h_weight_initializer: how weights of the state begin.
        i2h_bias_initializer: how biases of the input begin.
        h2h_bias_initializer: how biases of the state begin.
        projection_size: size of the projected state.
        h2r_weight_initializer: how weights of the projection begin.
        state_clip_min: lower bound of the cell's state.
        state_clip_max: upper bound of the cell's state.
        state_clip_nan: whether what is no number is clipped too.
        dtype: element type of the parameters.
        kwargs: as `HybridBlock` takes them.

    >>> LSTM(3, 2, bidirectional=True, input_size=4)
    LSTM(4 -> 3, TNC, num_layers=2, bidirectional)
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int = 0,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        projection_size: int | None = None,
        h2r_weight_initializer: Any = None,
        state_clip_min: float | None = None,
        state_clip_max: float | None = None,
        state_clip_nan: bool = False,
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        begin = {
            "i2h_weight": i2h_weight_initializer,
            "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer,
            "h2h_bias": h2h_bias_initializer,
            "h2r_weight": h2r_weight_initializer,
        }
        clip = (state_clip_min, state_clip_max, state_clip_nan)
        super().__init__(
            "lstm",
            hidden_size,
            num_layers,
            layout,
            dropout,
            bidirectional,
            input_size,
            begin,
            dtype,
            kwargs,
            projection_size,
            clip,
        )


class GRU(_RNNLayer):
    """A layer of gated recurrent units; arguments as `LSTM`'s, without projection and clipping."""

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int = 0,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        begin = {
            "i2h_weight": i2h_weight_initializer,
            "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer,
            "h2h_bias": h2h_bias_initializer,
        }
        super().__init__(
            "gru", hidden_size, num_layers, layout, dropout, bidirectional, input_size, begin, dtype, kwargs
        )
