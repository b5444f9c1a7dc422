"""Recurrent layers: every mode, direction and depth in one operator with one vector of parameters."""

import functools
import math
import warnings
from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.families.nn.dropout import keep_mask
from evergraph.ops.families.nn.recurrence import clipped_lstm, packed
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.run import Run
from evergraph.ops.types import Double, Fraction, NonNegative, Positive

__all__ = ["RNN", "layer_weights", "parameter_count"]

_GATES = {"gru": 3, "lstm": 4, "rnn_relu": 1, "rnn_tanh": 1}
_MODES = Literal["gru", "lstm", "rnn_relu", "rnn_tanh"]


@functools.cache
def _pieces(
    mode: str, inputs: int, hidden: int, layers: int, directions: int, projection: int | None
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Shapes and sizes of the parts of the parameter vector: all weights, layer by layer, then all biases."""
    rows, out = _GATES[mode] * hidden, projection or hidden
    weights: list[tuple[int, ...]] = []
    for layer in range(layers):
        inside = inputs if layer == 0 else out * directions
        each = [(rows, inside), (rows, out)] + ([(projection, hidden)] if projection else [])
        weights += each * directions
    shapes = (*weights, *[(rows,)] * (2 * layers * directions))
    return shapes, tuple(math.prod(s) for s in shapes)


def parameter_count(
    mode: str, inputs: int, hidden: int, layers: int, directions: int = 1, projection: int | None = None
) -> int:
    """Length of the parameter vector of a recurrent layer.

    >>> parameter_count("lstm", 4, 3, 1)
    108
    """
    return sum(_pieces(mode, inputs, hidden, layers, directions, projection)[1])


def layer_weights(parameters: Any, sizes: tuple[Any, ...]) -> list[list[Any]]:
    """The parameter vector as torch's lists of weights, one for each layer and direction, without a copy.

    Args:
        parameters: the vector.
        sizes: mode, inputs, hidden size, layers, directions, projection size or None.

    Raises:
        ShapeError: the vector has another length.
    """
    shapes, lengths = _pieces(*sizes)
    if parameters.numel() != sum(lengths):
        raise ShapeError("parameters of RNN have another length", expected=sum(lengths), found=parameters.numel())
    parts = [part.view(shape) for part, shape in zip(parameters.view(-1).split(lengths), shapes, strict=True)]
    cells, each = sizes[3] * sizes[4], 3 if sizes[5] else 2
    biases = cells * each
    return [
        [
            *parts[i * each : i * each + 2],
            *parts[biases + 2 * i : biases + 2 * i + 2],
            *parts[i * each + 2 : (i + 1) * each],
        ]
        for i in range(cells)
    ]


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    directions = 2 if p.bidirectional else 1
    width = p.projection_size or p.state_size
    state = (p.num_layers * directions, data[1], width)
    cell = (*state[:2], p.state_size)
    found: list[Dims] = [data, None, state, *([cell] if p.mode == "lstm" else []), (data[1],)]
    if data[2] is not None:
        sizes = (p.mode, data[2], p.state_size, p.num_layers, directions, p.projection_size)
        found[1] = (parameter_count(*sizes),)
    ins = [unify(i, f, "an input of RNN") for i, f in zip(ins, found, strict=False)]
    results = ((data[0], data[1], width * directions), state, cell)
    return ins, [unify(o, r, "an output of RNN") for o, r in zip(outs, results, strict=False)]


def _types(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = next((k for k in (ins[0], *outs) if k is not None), None)
    return [i or kind for i in ins], [kind] * len(outs)


def _outputs(p: Any) -> int | tuple[str, ...]:
    if not p.state_outputs:
        return 1
    return ("output", "state_output", "statecell_output") if p.mode == "lstm" else ("output", "state_output")


def _run_layers(mode: str, data: Any, states: list[Any], weights: list[list[Any]], directions: int) -> tuple[Any, ...]:
    """Output and final states of layers without dropout, by torch's own kernels."""
    layers = len(weights) // directions
    flat = [w for each in weights for w in each]
    options = (flat, True, layers, 0.0, torch.is_grad_enabled(), directions == 2, False)
    if mode == "lstm" and len(weights[0]) > 4:
        with warnings.catch_warnings():
            # that oneDNN knows no projections is nothing that a user could change
            warnings.filterwarnings("ignore", "LSTM with projections", UserWarning)
            return torch.lstm(data, states, *options)
    if mode == "lstm":
        return torch.lstm(data, states, *options)
    kernel = {"gru": torch.gru, "rnn_relu": torch.rnn_relu, "rnn_tanh": torch.rnn_tanh}[mode]
    return kernel(data, states[0], *options)


def _run_with_dropout(
    step: Any, data: Any, states: list[Any], weights: list[list[Any]], directions: int, p: float, run: Run
) -> tuple[Any, ...]:
    finals = []
    for first in range(0, len(weights), directions):
        part = slice(first, first + directions)
        data, *final = step(data, [s[part] for s in states], weights[part], directions)
        finals.append(final)
        if part.stop < len(weights):
            data = data * keep_mask(data, p, run)
    return data, *[torch.cat(each) for each in zip(*finals, strict=True)]


@operator(
    aliases=("_npx_rnn",),
    shape=_shapes,
    dtype=_types,
    outputs=_outputs,
    optional={"state_cell": lambda p: p.mode == "lstm", "sequence_length": lambda p: p.use_sequence_length},
)
def RNN(
    data,
    parameters,
    state,
    state_cell=None,
    sequence_length=None,
    *,
    state_size: NonNegative,
    num_layers: NonNegative,
    bidirectional: bool = False,
    mode: _MODES,
    p: Fraction = 0.0,
    state_outputs: bool = False,
    projection_size: int | None = None,
    lstm_state_clip_min: Double | None = None,
    lstm_state_clip_max: Double | None = None,
    lstm_state_clip_nan: bool = False,
    use_sequence_length: bool = False,
    run: Run,
):
    """A recurrent network over data (time, n, inputs): outputs (time, n, directions * hidden), and with state_outputs
    the final states (layers * directions, n, hidden).

    parameters holds all weights (i2h, h2h and the projection's h2r of each layer and direction), then all biases (i2h,
    h2h); gates are in the order i, f, g, o (lstm) and r, z, n (gru, reset after the product). In training dropout p
    stands between layers. As in MXNet, only a GPU heeds sequence_length (outputs beyond it are 0, final states those
    at it) and the limits on the cell state; a CPU runs over the whole time without limits.
    """
    directions = 2 if bidirectional else 1
    weights = layer_weights(parameters, (mode, data.shape[2], state_size, num_layers, directions, projection_size))
    states = [state] if state_cell is None else [state, state_cell]
    step = functools.partial(_run_layers, mode)
    if data.is_cuda and lstm_state_clip_min is not None and mode == "lstm":
        limits = (lstm_state_clip_min, lstm_state_clip_max, lstm_state_clip_nan)
        step = functools.partial(clipped_lstm, limits, sequence_length)
    elif data.is_cuda and sequence_length is not None:
        step = functools.partial(packed, mode, sequence_length)
    elif mode == "lstm" and projection_size == state_size:
        # torch tells that there is a projection by states of two sizes
        step = functools.partial(clipped_lstm, (-math.inf, math.inf, False), None)
    if run.training and p > 0 and num_layers > 1:
        found = _run_with_dropout(step, data, states, weights, directions, p, run)
    else:
        found = step(data, states, weights, directions)
    return found if state_outputs else found[0]


def _joined(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    known = next((s for s in (*ins, *outs) if s is not None), None)
    if known is None:
        return ins, outs
    axis = p.dim % len(known)
    total = outs[0][axis] if outs[0] is not None else None
    sizes = [None if s is None else s[axis] for s in ins]
    if None not in sizes:
        total = sum(d for d in sizes if d is not None)
    elif total is not None:
        # the first weights of the two directions are as large
        share, rest = divmod(total - sum(d for d in sizes if d is not None), sizes.count(None))
        sizes = [share if d is None and not rest else d for d in sizes]
    whole: Dims = (*known[:axis], None, *known[axis + 1 :])
    for s in (*ins, *outs):
        whole = unify(whole, None if s is None else (*s[:axis], None, *s[axis + 1 :]), "a part of _rnn_param_concat")
    shape = whole or ()
    ins = [(*shape[:axis], d, *shape[axis + 1 :]) for d in sizes]
    return ins, [unify(outs[0], (*shape[:axis], total, *shape[axis + 1 :]), "output of _rnn_param_concat")]


@operator("_rnn_param_concat", aliases=("_npi_rnn_param_concat", "_npx_rnn_param_concat"), shape=_joined)
def rnn_param_concat(*data, num_args: Positive, dim: int = 1):
    """The inputs joined along an axis: how a recurrent layer's parameter vector is made of its parts."""
    return torch.cat(data, dim)
