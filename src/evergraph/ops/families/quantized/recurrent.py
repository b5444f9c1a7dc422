"""An LSTM on eight-bit data."""

from typing import Any, Literal

from evergraph.errors import OperatorError
from evergraph.ops.families.nn.rnn import RNN
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.run import Run
from evergraph.ops.types import Double, NonNegative

__all__: list[str] = []

_ARRAYS = 4


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    arrays = ins[:_ARRAYS]
    if RNN.shape is not None:
        arrays, outs = RNN.shape(p, arrays, outs)
    return [*arrays, *[unify(s, (1,), "a scale or a shift") for s in ins[_ARRAYS:]]], outs


def _types(_: Any, ins: Any, outs: Any) -> Any:
    return ["uint8", *[i or "float32" for i in ins[1:]]], ["float32"] * len(outs)


@operator(
    "_contrib_quantized_rnn",
    aliases=("_npx_contrib_quantized_rnn",),
    shape=_shapes,
    dtype=_types,
    outputs=lambda p: ("output", "state_output", "statecell_output") if p.state_outputs else 1,
)
def quantized_rnn(
    data,
    parameters,
    state,
    state_cell,
    data_scale,
    data_shift,
    *,
    state_size: NonNegative,
    num_layers: NonNegative,
    bidirectional: bool = False,
    mode: Literal["gru", "lstm", "rnn_relu", "rnn_tanh"],
    p: float = 0.0,
    state_outputs: bool = False,
    projection_size: int | None = None,
    lstm_state_clip_min: Double | None = None,
    lstm_state_clip_max: Double | None = None,
    lstm_state_clip_nan: bool = False,
    use_sequence_length: bool = False,
    run: Run,
):
    """An LSTM over uint8 data (time, n, inputs) that mean (data - data_shift) / data_scale; see RNN for the rest.

    Only the data are eight bits: weights and states are taken as they are, in single precision.
    """
    options = {k: v for k, v in locals().items() if k in RNN.parameters}
    if mode != "lstm" or data.dtype is not torch.uint8:
        raise OperatorError(
            "a quantized recurrent layer is another one",
            expected="mode lstm, uint8 data",
            found=f"{mode}, {data.dtype}",
        )
    with torch.no_grad():
        real = (data - data_shift) / data_scale
        return RNN.body(real, parameters, state, state_cell, None, **options, run=run)
