"""Recurrent cells whose gates are convolutions over one, two or three axes of space."""

from typing import Any, ClassVar

from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.gluon.nn.conv_layers import _sizes
from evergraph.mxnet.gluon.rnn.rnn_cell import HybridRecurrentCell

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
]


class _ConvCell(HybridRecurrentCell):
    """What the cells with convolutions share: weights, states and the two convolutions.

    Args:
        input_shape: shape of one sample of a step, (channels, *space) in the default layout.
        hidden_channels: channels of the state.
        i2h_kernel: size of the input's window.
        h2h_kernel: size of the state's window; odd, so that states keep their size.
        i2h_pad: zeros around the input.
        i2h_dilate: distance between the elements of the input's window.
        h2h_dilate: distance between the elements of the state's window.
        i2h_weight_initializer: how weights of the input begin.
        h2h_weight_initializer: how weights of the state begin.
        i2h_bias_initializer: how biases of the input begin.
        h2h_bias_initializer: how biases of the state begin.
        conv_layout: order of the axes.
        activation: name of an activation function, or a block.
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.

    Raises:
        AssertionError: a side of the state's window is even.
    """

    rank: ClassVar[int] = 2
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    alias: ClassVar[str] = ""

    def __init__(
        self,
        input_shape: Any,
        hidden_channels: int,
        i2h_kernel: Any,
        h2h_kernel: Any,
        i2h_pad: Any = 0,
        i2h_dilate: Any = 1,
        h2h_dilate: Any = 1,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        conv_layout: str | None = None,
        activation: Any = "tanh",
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._layout = conv_layout or ("NCW", "NCHW", "NCDHW")[self.rank - 1]
        self._activation, self._hidden = activation, hidden_channels
        kernels = _sizes(i2h_kernel, self.rank, "i2h_kernel"), _sizes(h2h_kernel, self.rank, "h2h_kernel")
        if not all(k % 2 for k in kernels[1]):
            raise ParameterFitError("Only support odd number, get h2h_kernel", found=kernels[1])
        pads, dilates = _sizes(i2h_pad, self.rank, "i2h_pad"), _sizes(i2h_dilate, self.rank, "i2h_dilate")
        again = _sizes(h2h_dilate, self.rank, "h2h_dilate")
        same = tuple(d * (k - 1) // 2 for d, k in zip(again, kernels[1], strict=True))
        common = {"num_filter": self.gates * hidden_channels, "stride": (1,) * self.rank, "layout": self._layout}
        self._i2h = {**common, "kernel": kernels[0], "pad": pads, "dilate": dilates}
        self._h2h = {**common, "kernel": kernels[1], "pad": same, "dilate": again}
        self._find_shapes(tuple(input_shape))
        begin = (i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)
        width = self.gates * hidden_channels
        shapes = [self._window(width, c, k) for c, k in zip((self._channels, hidden_channels), kernels, strict=True)]
        names = ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias")
        for name, shape, first in zip(names, [*shapes, (width,), (width,)], begin, strict=True):
            setattr(self, name, self.params.get(name, shape=shape, init=first, allow_deferred_init=True))

    def _find_shapes(self, shape: tuple[int, ...]) -> None:
        """The number of channels that come, and the state's shape."""
        axis = self._layout.index("C") - 1
        self._channels = shape[axis]
        space = shape[:axis] + shape[axis + 1 :]
        rule = zip(space, self._i2h["kernel"], self._i2h["pad"], self._i2h["dilate"], strict=True)
        found = [size + 2 * pad - dilate * (kernel - 1) for size, kernel, pad, dilate in rule]
        found.insert(axis, self._hidden)
        self._state_shape = tuple(found)

    def _window(self, count: int, channels: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
        return (count, channels, *kernel) if self._layout.index("C") == 1 else (count, *kernel, channels)

    def _alias(self) -> str:
        return self.alias

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        return [{"shape": (batch_size, *self._state_shape), "__layout__": self._layout} for _ in range(self.states)]

    def __repr__(self) -> str:
        width = self.gates * self._hidden
        return f"{type(self).__name__}({self._channels} -> {width}, {self._activation}, {self._layout})"

    def _sums(self, F: Any, inputs: Any, states: Any, weights: Any) -> tuple[Any, Any, str]:
        name = f"t{self._counter}_"
        found = [
            F.Convolution(
                data=data, weight=weights[f"{kind}_weight"], bias=weights[f"{kind}_bias"], name=name + kind, **options
            )
            for data, kind, options in ((inputs, "i2h", self._i2h), (states[0], "h2h", self._h2h))
        ]
        return found[0], found[1], name

    def _cut(self, F: Any, value: Any, name: str) -> Any:
        return F.SliceChannel(value, num_outputs=self.gates, axis=self._layout.index("C"), name=name)


class _ConvRNN(_ConvCell):
    """A plain recurrent unit of convolutions."""

    alias = "conv_rnn"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next state."""
        i2h, h2h, name = self._sums(F, inputs, states, weights)
        output = self._activated(F, i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class _ConvLSTM(_ConvCell):
    """A cell of long short-term memory of convolutions."""

    gates, states, alias = 4, 2, "conv_lstm"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next states."""
        i2h, h2h, name = self._sums(F, inputs, states, weights)
        parts = self._cut(F, i2h + h2h, f"{name}slice")
        taken = F.Activation(parts[0], act_type="sigmoid", name=f"{name}i")
        kept = F.Activation(parts[1], act_type="sigmoid", name=f"{name}f")
        new = self._activated(F, parts[2], self._activation, name=f"{name}c")
        shown = F.Activation(parts[3], act_type="sigmoid", name=f"{name}o")
        memory = F._internal._plus(kept * states[1], taken * new, name=f"{name}state")
        output = F._internal._mul(shown, self._activated(F, memory, self._activation), name=f"{name}out")
        return output, [output, memory]


class _ConvGRU(_ConvCell):
    """A gated recurrent unit of convolutions."""

    gates, alias = 3, "conv_gru"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **weights: Any) -> Any:  # type: ignore[override]
        """The output of a step, and the next state."""
        i2h, h2h, name = self._sums(F, inputs, states, weights)
        i2h_r, i2h_z, i2h_n = self._cut(F, i2h, f"{name}i2h_slice")
        h2h_r, h2h_z, h2h_n = self._cut(F, h2h, f"{name}h2h_slice")
        reset = F.Activation(i2h_r + h2h_r, act_type="sigmoid", name=f"{name}r_act")
        update = F.Activation(i2h_z + h2h_z, act_type="sigmoid", name=f"{name}z_act")
        new = self._activated(F, i2h_n + reset * h2h_n, self._activation, name=f"{name}h_act")
        output = F._internal._plus((1.0 - update) * new, update * states[0], name=f"{name}out")
        return output, [output]


class Conv1DRNNCell(_ConvRNN):
    """A plain recurrent unit of convolutions over one axis; arguments as those of `Conv2DLSTMCell`."""

    rank = 1


class Conv2DRNNCell(_ConvRNN):
    """A plain recurrent unit of convolutions over two axes; arguments as those of `Conv2DLSTMCell`."""


class Conv3DRNNCell(_ConvRNN):
    """A plain recurrent unit of convolutions over three axes; arguments as those of `Conv2DLSTMCell`."""

    rank = 3


class Conv1DLSTMCell(_ConvLSTM):
    """A cell of long short-term memory of convolutions over one axis; arguments as those of `Conv2DLSTMCell`."""

    rank = 1


class Conv2DLSTMCell(_ConvLSTM):
    """A cell of long short-term memory of convolutions over two axes.

    It takes the shape of one sample of a step (channels, height, width), the channels of the state, and the sizes of
    the input's and the state's window.

    >>> from evergraph.mxnet import nd
    >>> cell = Conv2DLSTMCell((3, 8, 8), 4, 3, 3, i2h_pad=1); cell.initialize()
    >>> output, states = cell(nd.ones((2, 3, 8, 8)), cell.begin_state(2))
    >>> output.shape, len(states)
    ((2, 4, 8, 8), 2)
    """


class Conv3DLSTMCell(_ConvLSTM):
    """A cell of long short-term memory of convolutions over three axes; arguments as those of `Conv2DLSTMCell`."""

    rank = 3


class Conv1DGRUCell(_ConvGRU):
    """A gated recurrent unit of convolutions over one axis; arguments as those of `Conv2DLSTMCell`."""

    rank = 1


class Conv2DGRUCell(_ConvGRU):
    """A gated recurrent unit of convolutions over two axes; arguments as those of `Conv2DLSTMCell`."""


class Conv3DGRUCell(_ConvGRU):
    """A gated recurrent unit of convolutions over three axes; arguments as those of `Conv2DLSTMCell`."""

    rank = 3
