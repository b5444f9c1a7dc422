"""LSTM, GRU and RNN: torch's equations, MindSpore's order of parameters."""

import math
from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import Uniform, initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import unwrap, wrap
from evergraph.mindspore.nn.cell import Cell

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


class _Recurrent(Cell):
    """Layers of recurrent cells over (seq, batch, input_size), or (batch, seq, input_size) with `batch_first`.

    Args:
        input_size, hidden_size: sizes of the last dimension.
        num_layers: how many layers stand on each other.
        has_bias: whether biases are added.
        batch_first: whether the batch is the first dimension.
        dropout: share of zeros between layers while training.
        bidirectional: whether a second one runs backwards.
    """

    _keeps_types = True

    _gates = 1
    _kind = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        has_bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = mstype.float32,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__()
        if nonlinearity not in ("tanh", "relu"):
            raise UsageError("nonlinearity is tanh or relu", found=printable(nonlinearity))
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.has_bias, self.batch_first, self.dropout, self.bidirectional = (
            has_bias,
            batch_first,
            dropout,
            bidirectional,
        )
        self.nonlinearity = nonlinearity
        directions = ["", "_reverse"] if bidirectional else [""]
        self._ends = [f"_l{layer}{way}" for layer in range(num_layers) for way in directions]
        rows, scale = self._gates * hidden_size, Uniform(1 / math.sqrt(hidden_size))
        shapes = {"weight_ih": 0, "weight_hh": hidden_size} | ({"bias_ih": -1, "bias_hh": -1} if has_bias else {})
        for kind, width in shapes.items():  # MindSpore lists all of one kind before the next
            for end in self._ends:
                inner = input_size if end.startswith("_l0") else hidden_size * len(directions)
                shape = (rows,) if width < 0 else (rows, width or inner)
                setattr(self, kind + end, Parameter(initializer(scale, shape, dtype), name=kind + end))

    def construct(self, x: Any, hx: Any = None, seq_length: Any = None) -> Any:
        """The outputs of the last layer, and the last states of all."""
        data, count = x._torch, len(self._ends)
        lengths = unwrap(seq_length)
        batch = data.shape[0 if self.batch_first else 1]
        zero = data.new_zeros(count, batch, self.hidden_size)
        state = unwrap(hx) if hx is not None else (zero, zero) if self._kind == "lstm" else zero
        kinds = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if self.has_bias else [])
        flat = [getattr(self, kind + end)._torch for end in self._ends for kind in kinds]
        if lengths is not None:
            data = torch.nn.utils.rnn.pack_padded_sequence(data, lengths.cpu(), self.batch_first, enforce_sorted=False)
        return self._ran(data, state, flat, lengths, x._torch.shape)

    def __repr__(self) -> str:
        run = f"RNN{self.nonlinearity.title()}" if self._kind == "tanh" else f"{self._kind.upper()}CPUGPU"
        rows = [f"(rnn): _Dynamic{run}()", f"(dropout_op): Dropout(p={float(self.dropout)})"]
        return f"{type(self).__name__}(\n  " + "\n  ".join(rows) + "\n)"  # the inner cells that MindSpore has

    __str__ = __repr__

    def _ran(self, data: Any, state: Any, flat: Any, lengths: Any, shape: Any) -> Any:
        kind = self._kind if self._kind in ("lstm", "gru") else f"rnn_{self.nonlinearity}"
        run: Any = getattr(torch, kind)
        rest = (self.has_bias, self.num_layers, float(self.dropout), self.training, self.bidirectional)
        if lengths is None:
            found = run(data, tuple(state) if kind == "lstm" else state, flat, *rest, self.batch_first)
            return wrap((found[0], tuple(found[1:]) if kind == "lstm" else found[1]))
        order, back = data.sorted_indices, data.unsorted_indices
        picked = [s.index_select(1, order) for s in (state if kind == "lstm" else [state])]
        found = run(data.data, data.batch_sizes, picked if kind == "lstm" else picked[0], flat, *rest)
        packed = torch.nn.utils.rnn.PackedSequence(found[0], data.batch_sizes, order, back)
        total = shape[1 if self.batch_first else 0]
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, self.batch_first, total_length=total)
        last = tuple(s.index_select(1, back) for s in found[1:])
        return wrap((out, last if kind == "lstm" else last[0]))


class LSTM(_Recurrent):
    """Long short-term memory; gates in the order input, forget, cell, output."""

    _gates, _kind = 4, "lstm"


class GRU(_Recurrent):
    """Gated recurrent units; gates in the order reset, update, new."""

    _gates, _kind = 3, "gru"


class RNN(_Recurrent):
    """Elman's recurrent network, of tanh or relu."""


class _OneStep(Cell):
    """One step of one layer."""

    _keeps_types = True

    _gates, _step = 1, "rnn_tanh_cell"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        has_bias: bool = True,
        dtype: Any = mstype.float32,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__()
        self.hidden_size, self.has_bias, self.nonlinearity = hidden_size, has_bias, nonlinearity
        rows, scale = self._gates * hidden_size, Uniform(1 / math.sqrt(hidden_size))
        self.weight_ih = Parameter(initializer(scale, (rows, input_size), dtype))
        self.weight_hh = Parameter(initializer(scale, (rows, hidden_size), dtype))
        self.bias_ih: Any = Parameter(initializer(scale, (rows,), dtype)) if has_bias else None
        self.bias_hh: Any = Parameter(initializer(scale, (rows,), dtype)) if has_bias else None

    def construct(self, x: Any, hx: Any) -> Any:
        """The next state."""
        run: Any = getattr(torch, "rnn_relu_cell" if self.nonlinearity == "relu" else self._step)
        return wrap(
            run(x._torch, unwrap(hx), *map(unwrap, (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)))
        )


class RNNCell(_OneStep):
    """One step of RNN."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        has_bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__(input_size, hidden_size, has_bias, dtype, nonlinearity)


class GRUCell(_OneStep):
    """One step of GRU."""

    _gates, _step = 3, "gru_cell"


class LSTMCell(_OneStep):
    """One step of LSTM."""

    _gates, _step = 4, "lstm_cell"
