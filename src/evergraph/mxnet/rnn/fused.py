"""The fused cell: all layers and steps in one RNN operator."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet import initializer, symbol
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.rnn.cells import BaseRNNCell, CellError, GRUCell, LSTMCell, RNNCell, RNNParams, sequence
from evergraph.mxnet.rnn.combined import BidirectionalCell, DropoutCell, SequentialRNNCell

__all__ = ["FusedRNNCell"]

_GATES = {"rnn_relu": ("",), "rnn_tanh": ("",), "lstm": ("_i", "_f", "_c", "_o"), "gru": ("_r", "_z", "_o")}


class FusedRNNCell(BaseRNNCell):
    """Layers of a recurrent network in one operator.

    Args:
        num_hidden: length of each state.
        num_layers: number of layers.
        mode: `rnn_relu`, `rnn_tanh`, `lstm` or `gru`.
        bidirectional: whether each layer also runs from the end.
        dropout: probability of dropout between layers.
        get_next_state: whether unroll gives the last states.
        forget_bias: added to an LSTM's forget gates at the start.
        prefix: what names begin with; the mode by default.
        params: shared variables.

    Raises:
        UsageError: an unknown mode.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ) -> None:
        if mode not in _GATES:
            raise UsageError("unknown mode of a fused cell", expected=", ".join(_GATES), found=repr(mode))
        super().__init__(f"{mode}_" if prefix is None else prefix, params)
        self._num_hidden, self._num_layers, self._mode = num_hidden, num_layers, mode
        self._bidirectional, self._dropout, self._get_next_state = bidirectional, dropout, get_next_state
        self._directions = ["l", "r"] if bidirectional else ["l"]
        init = initializer.FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter = self.params.get("parameters", init=init)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of each state."""
        shape = (len(self._directions) * self._num_layers, 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return _GATES[self._mode]

    def _layout(self, num_input: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of each gate's parameter, in the order of the vector: all weights, then all biases."""
        h, b = self._num_hidden, len(self._directions)
        for kind in ("weight", "bias"):
            for layer in range(self._num_layers):
                for direction in self._directions:
                    for group in ("i2h", "h2h"):
                        width = h if group == "h2h" else b * h if layer else num_input
                        shape = (h, width) if kind == "weight" else (h,)
                        for gate in self._gate_names:
                            yield f"{self._prefix}{direction}{layer}_{group}{gate}_{kind}", shape

    def unpack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with the one vector cut into weights and biases of each layer, direction and gate."""
        out = dict(args)
        vector = out.pop(self._parameter.name)
        h, b, m = self._num_hidden, len(self._directions), len(self._gate_names)
        num_input = vector.size // (b * h * m) - (self._num_layers - 1) * (h + b * h + 2) - h - 2
        pieces, at = {}, 0
        for name, shape in self._layout(num_input):
            size = shape[0] * (shape[1] if len(shape) == 2 else 1)
            pieces[name] = (at, size, shape)
            at += size
        if at != vector.size:
            raise CellError(
                "the parameters are not of this fused cell", where=self._parameter.name, expected=at, found=vector.size
            )
        return out | {n: vector[a : a + size].reshape(shape).copy() for n, (a, size, shape) in pieces.items()}

    def pack_weights(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with all parts joined into the one vector: the way back of unpack_weights."""
        out = dict(args)
        num_input = out[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"].shape[1]
        parts = [out.pop(name).reshape((-1,)) for name, _ in self._layout(num_input)]
        out[self._parameter.name] = nd.concatenate(parts)
        return out

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """All steps at once; layout TNC saves two transpositions."""
        self.reset()
        data, axis = sequence(length, inputs, layout, True)
        if axis not in (0, 1):
            raise CellError("unsupported layout", expected="NTC or TNC", found=layout)
        if axis == 1:
            warnings.warn("layout NTC is transposed for the fused operator: TNC is faster", stacklevel=2)
            data = symbol.swapaxes(data, dim1=0, dim2=1)
        states = self.begin_state() if begin_state is None else begin_state
        named = dict(zip(("state", "state_cell") if self._mode == "lstm" else ("state",), states, strict=False))
        rnn = symbol.RNN(
            data=data,
            parameters=self._parameter,
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f"{self._prefix}rnn",
            **named,
        )
        outputs, last = rnn, []
        if self._get_next_state:
            outputs, last = rnn[0], [rnn[i + 1] for i in range(len(named))]
            for state in last:
                state._set_attr(__layout__="LNC")
        if axis == 1:
            outputs = symbol.swapaxes(outputs, dim1=0, dim2=1)
        return sequence(length, outputs, layout, merge_outputs)[0], last

    def _layer(self, prefix: str) -> BaseRNNCell:
        if self._mode in ("rnn_relu", "rnn_tanh"):
            return RNNCell(self._num_hidden, activation=self._mode[4:], prefix=prefix)
        return (LSTMCell if self._mode == "lstm" else GRUCell)(self._num_hidden, prefix=prefix)

    def unfuse(self) -> SequentialRNNCell:
        """The same network of plain cells, which take the unpacked weights."""
        stack = SequentialRNNCell()
        for i in range(self._num_layers):
            cells = [self._layer(f"{self._prefix}{direction}{i}_") for direction in self._directions]
            if self._bidirectional:
                stack.add(BidirectionalCell(cells[0], cells[1], output_prefix=f"{self._prefix}bi_l{i}_"))
            else:
                stack.add(cells[0])
            if self._dropout > 0 and i != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{i}_"))
        return stack
