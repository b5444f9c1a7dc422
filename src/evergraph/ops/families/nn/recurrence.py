"""What torch's recurrent kernels leave to do: sequences of different lengths, limits on the cell state."""

from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["clipped_lstm", "packed"]


def packed(
    mode: str, lengths: Any, data: Any, states: list[Any], weights: list[list[Any]], directions: int
) -> tuple[Any, ...]:
    """Output and final states of layers over sequences of their own lengths.

    Args:
        mode: lstm, gru, rnn_relu or rnn_tanh.
        lengths: (n,) length of each sequence, at least 1.
        data: (time, n, inputs).
        states: initial states (layers * directions, n, hidden): one, or for lstm two.
        weights: for each layer and direction torch's list of weights.
        directions: 1 or 2.

    Returns:
        The output (time, n, directions * hidden), 0 beyond each length, and the states at each length.
    """
    rnn = torch.nn.utils.rnn
    sequences = rnn.pack_padded_sequence(data, lengths.detach().long().cpu(), enforce_sorted=False)
    order: Any = sequences.sorted_indices
    back: Any = sequences.unsorted_indices
    states = [s.index_select(1, order) for s in states]
    flat = [w for each in weights for w in each]
    options = (flat, True, len(weights) // directions, 0.0, torch.is_grad_enabled(), directions == 2)
    if mode == "lstm":
        out, *finals = torch.lstm(sequences.data, sequences.batch_sizes, states, *options)
    else:
        kernel = {"gru": torch.gru, "rnn_relu": torch.rnn_relu, "rnn_tanh": torch.rnn_tanh}[mode]
        out, *finals = kernel(sequences.data, sequences.batch_sizes, states[0], *options)
    sequences = rnn.PackedSequence(out, sequences.batch_sizes, order, back)
    whole, _ = rnn.pad_packed_sequence(sequences, total_length=data.shape[0])
    return whole, *[f.index_select(1, back) for f in finals]


def _limited(cell: Any, limits: tuple[Any, ...]) -> Any:
    low, high, drop_nan = limits
    kept = cell.clamp(low, high)
    return torch.where(torch.isnan(cell), torch.full_like(cell, low), kept) if drop_nan else kept


def _one_direction(
    gates: Any, hidden: Any, cell: Any, weights: list[Any], limits: tuple[Any, ...], within: Any, backwards: bool
) -> tuple[Any, ...]:
    """One layer in one direction: gates (time, n, 4 * hidden) are the inputs' share, within (time, n, 1) the length."""
    recurrent, bias, projection = weights[1], weights[3], weights[4] if len(weights) > 4 else None
    outputs = [hidden] * len(gates)
    for t in reversed(range(len(gates))) if backwards else range(len(gates)):
        i, f, g, o = (gates[t] + torch.nn.functional.linear(hidden, recurrent, bias)).chunk(4, 1)
        new_cell = _limited(torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g), limits)
        new = torch.sigmoid(o) * torch.tanh(new_cell)
        new = new if projection is None else new @ projection.t()
        outputs[t] = torch.where(within[t], new, 0)
        hidden, cell = torch.where(within[t], new, hidden), torch.where(within[t], new_cell, cell)
    return torch.stack(outputs), hidden, cell


def clipped_lstm(
    limits: tuple[Any, ...],
    lengths: Any,
    data: Any,
    states: list[Any],
    weights: list[list[Any]],
    directions: int,
) -> tuple[Any, ...]:
    """Output and final states of lstm layers whose cell state is kept within limits at every step.

    Args:
        limits: least and largest value of the cell state, and whether NaN becomes the least one.
        lengths: (n,) length of each sequence, or None.
        data: (time, n, inputs).
        states: initial hidden and cell states (layers * directions, n, hidden).
        weights: for each layer and direction torch's list of weights.
        directions: 1 or 2.
    """
    time, n = data.shape[:2]
    positions = torch.arange(time, device=data.device).reshape(time, 1)
    within = positions < (lengths if lengths is not None else torch.full((n,), time, device=data.device))
    hidden, cells = [], []
    for first in range(0, len(weights), directions):
        outputs = []
        for i in range(first, first + directions):
            gates = torch.nn.functional.linear(data, weights[i][0], weights[i][2])
            out, h, c = _one_direction(
                gates, states[0][i], states[1][i], weights[i], limits, within.unsqueeze(2), i > first
            )
            outputs.append(out)
            hidden.append(h)
            cells.append(c)
        data = torch.cat(outputs, 2)
    return data, torch.stack(hidden), torch.stack(cells)
