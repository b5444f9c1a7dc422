"""Recurrent cells whose gates are convolutions: simple, LSTM (Shi and others, 2015) and GRU."""

import functools
from typing import Any

from evergraph.mxnet import symbol
from evergraph.mxnet.rnn.cells import BaseRNNCell, CellError, RNNParams, gru_step, lstm_step

__all__ = ["BaseConvRNNCell", "ConvGRUCell", "ConvLSTMCell", "ConvRNNCell"]

Pair = tuple[int, int]

_LEAKY = functools.partial(symbol.LeakyReLU, act_type="leaky", slope=0.2)


class BaseConvRNNCell(BaseRNNCell):
    """What the cells with convolutions share: their arguments.

    Args:
        input_shape: shape of the input of one step, (N, channels, height, width) in the default layout.
        num_hidden: channels of the state.
        h2h_kernel: size of the states' kernel, odd: states keep their size.
        h2h_dilate: its dilation.
        i2h_kernel: size of the inputs' kernel.
        i2h_stride: its strides.
        i2h_pad: zeros around the input.
        i2h_dilate: its dilation.
        i2h_weight_initializer, h2h_weight_initializer: initializers of the kernels.
        i2h_bias_initializer, h2h_bias_initializer: initializers of the biases.
        activation: a name, or a function of a symbol.
        prefix: what names begin with; `ConvRNN_`, `ConvLSTM_` or `ConvGRU_` where not given.
        params: shared variables.
        conv_layout: a letter for each axis.

    Raises:
        AssertionError: a side of the states' kernel is even.
    """

    _default_prefix = ""
    _states = 1

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: Pair = (3, 3),
        h2h_dilate: Pair = (1, 1),
        i2h_kernel: Pair = (3, 3),
        i2h_stride: Pair = (1, 1),
        i2h_pad: Pair = (1, 1),
        i2h_dilate: Pair = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Any = _LEAKY,
        prefix: str | None = None,
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ) -> None:
        super().__init__(prefix=self._default_prefix if prefix is None else prefix, params=params)
        if any(side % 2 == 0 for side in h2h_kernel):
            raise CellError("the states' kernel needs odd sides, to keep their size", found=f"h2h_kernel={h2h_kernel}")
        self._num_hidden, self._activation, self._conv_layout = num_hidden, activation, conv_layout
        self._i2h = {"kernel": i2h_kernel, "stride": i2h_stride, "pad": i2h_pad, "dilate": i2h_dilate}
        same = tuple(d * (k - 1) // 2 for d, k in zip(h2h_dilate, h2h_kernel, strict=True))
        self._h2h = {"kernel": h2h_kernel, "dilate": h2h_dilate, "pad": same, "stride": (1, 1)}
        one = symbol.Convolution(symbol.Variable("data"), num_filter=num_hidden, layout=conv_layout, **self._i2h)
        self._state_shape = (0, *one.infer_shape(data=input_shape)[1][0][1:])
        self._iW = self.params.get("i2h_weight", init=i2h_weight_initializer)
        self._hW = self.params.get("h2h_weight", init=h2h_weight_initializer)
        self._iB = self.params.get("i2h_bias", init=i2h_bias_initializer)
        self._hB = self.params.get("h2h_bias", init=h2h_bias_initializer)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of each state."""
        return [{"shape": self._state_shape, "__layout__": self._conv_layout} for _ in range(self._states)]

    def _gates(self, inputs: Any, state: Any) -> tuple[str, Any, Any]:
        self._counter += 1
        name = f"{self._prefix}t{self._counter}_"
        made = {"num_filter": self._num_hidden * len(self._gate_names), "layout": self._conv_layout}
        i2h = symbol.Convolution(inputs, self._iW, self._iB, name=f"{name}i2h", **made, **self._i2h)
        h2h = symbol.Convolution(state, self._hW, self._hB, name=f"{name}h2h", **made, **self._h2h)
        return name, i2h, h2h

    def _activated(self, inputs: Any, **kwargs: Any) -> Any:
        return self._get_activation(inputs, self._activation, **kwargs)


class ConvRNNCell(BaseConvRNNCell):
    """h' = activation(W * x + U * h + b), with convolutions; see `BaseConvRNNCell` for the arguments."""

    _default_prefix = "ConvRNN_"

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("",)

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name, i2h, h2h = self._gates(inputs, states[0])
        output = self._activated(i2h + h2h, name=f"{name}out")
        return output, [output]


class ConvLSTMCell(BaseConvRNNCell):
    """A long short-term memory with convolutions; see `BaseConvRNNCell` for the arguments."""

    _states = 2
    _default_prefix = "ConvLSTM_"

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_i", "_f", "_c", "_o")

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name, i2h, h2h = self._gates(inputs, states[0])
        return lstm_step(name, i2h + h2h, states[1], self._activated, axis=self._conv_layout.find("C"))


class ConvGRUCell(BaseConvRNNCell):
    """A gated recurrent unit with convolutions; see `BaseConvRNNCell` for the arguments."""

    _default_prefix = "ConvGRU_"

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_r", "_z", "_o")

    def __call__(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        """The output and the new states of one step."""
        name, i2h, h2h = self._gates(inputs, states[0])
        return gru_step(name, i2h, h2h, states[0], self._activated)
