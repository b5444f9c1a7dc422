"""LSTM layers that a graph spells out cell by cell become one call over all time steps."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from evergraph.engine.lowering import onednn
from evergraph.engine.lowering.lstm_cells import Cell, Dense, chains, find_cells
from evergraph.engine.lowering.rewriting import Uses, constant
from evergraph.engine.program import NOTHING, Program, Step
from evergraph.ops import Params
from evergraph.ops.families.nn.rnn import layer_weights

__all__ = ["fuse_recurrences", "pack_recurrences"]


def fuse_recurrences(program: Program) -> list[str]:
    """Compute each chain of LSTM cells over all its time steps at once.

    A chain whose inputs depend on its own results, as a decoder's may, stays as it is.

    Args:
        program: an inference program, changed in place.

    Returns:
        Names of the nodes that give the layers' results.
    """
    uses = Uses(program)
    found = [c for c in chains(find_cells(program, uses)) if len(c) > 1 and _is_closed(uses, c)]
    names: list[str] = []
    for chain in found:
        hidden = _hidden_layer(program, chain)
        if hidden is None or not _is_batched(program, chain, hidden):
            continue
        inside = {id(s) for c in chain for s in c.steps}
        program.steps = [s for s in program.steps if id(s) not in inside]
        program.steps.append(_layer_step(program, chain, hidden))
        names += [c.steps[0].name for c in chain]
    if names:
        program.sort()
        program.prune()
    return names


def _is_closed(uses: Uses, chain: Sequence[Cell]) -> bool:
    """Whether nothing outside reads a cell's state but the next cell (the last one's may be read)."""
    for cell, following in itertools.pairwise(chain):
        inner = {id(s) for c in (cell, following) for s in c.steps}
        if any(r is None or id(r) not in inner for r in uses.readers.get(cell.state, ())):
            return False
    return True


def _hidden_layer(program: Program, chain: Sequence[Cell]) -> tuple[int, int] | None:
    """Weight and bias of the dense layer that reads the hidden state; None where the cells do not agree."""
    found = {(d.weight, d.bias) for c, p in zip(chain[1:], chain, strict=False) for d in c.layers if d.data == p.hidden}
    if len(found) != 1 or any(c.gates != chain[0].gates for c in chain):
        return None
    (pair,) = found
    size = program.constants[pair[0]].shape
    return pair if len(chain[0].key) == 2 and size[0] == 4 * size[1] else None


def _is_batched(program: Program, chain: Sequence[Cell], hidden: tuple[int, int]) -> bool:
    """Whether the inputs of all time steps are there before the first is computed."""
    inside = {id(s) for c in chain for s in c.steps}
    behind = {v for c in chain for v in (c.hidden, c.state)}
    for step in program.steps:
        if id(step) not in inside and not behind.isdisjoint(step.inputs):
            behind.update(step.outputs)
    inputs = [_reading(c, hidden)[0].data for c in chain]
    first = chain[0]
    shapes = {program.shapes.get(v) for v in inputs}
    return behind.isdisjoint([*inputs, first.before, _reading(first, hidden)[1].data]) and len(shapes) == 1


def _reading(cell: Cell, hidden: tuple[int, int]) -> tuple[Dense, Dense]:
    """The dense layer that reads the input, and the one that reads the hidden state."""
    first, second = cell.layers
    return (first, second) if (second.weight, second.bias) == hidden else (second, first)


def _layer_step(program: Program, chain: Sequence[Cell], hidden: tuple[int, int]) -> Step:
    first = chain[0]
    of_input, of_hidden = _reading(first, hidden)
    weights = _weights(program, of_input, of_hidden, first.gates)
    inputs = (of_hidden.data, first.before, *(_reading(c, hidden)[0].data for c in chain))
    outputs = (*(c.hidden for c in chain), chain[-1].state)
    known = Params(engine="lstm", weights=weights, shape=program.shapes.get(of_input.data))
    return Step(chain[-1].steps[0].name, None, known, _plain(weights), inputs, outputs)


def _weights(program: Program, of_input: Dense, of_hidden: Dense, gates: Sequence[int]) -> list[Any]:
    """Weights and biases with their gates in PyTorch's order: input, forget, transform, output."""
    found: list[Any] = []
    for layer in (of_input, of_hidden):
        weight = program.constants[layer.weight].detach()
        found.append(torch.cat([weight.chunk(4)[g] for g in gates]))
    for layer in (of_input, of_hidden):
        bias = program.constants[layer.bias].detach() if layer.bias != NOTHING else found[0].new_zeros(len(found[0]))
        found.append(torch.cat([bias.chunk(4)[g] for g in gates]))
    return found


def _plain(weights: Sequence[Any]) -> Callable[..., Any]:
    parameters = list(weights)

    def call(hidden: Any, state: Any, *inputs: Any) -> Any:
        states = (hidden.unsqueeze(0), state.unsqueeze(0))
        out, _, last = torch.lstm(torch.stack(inputs), states, parameters, True, 1, 0.0, False, False, False)
        return (*out.unbind(0), last[0])

    return call


def pack_recurrences(program: Program) -> list[str]:
    """Reorder the weights of LSTM layers once, as oneDNN wants them, where PyTorch has the operators for it.

    Args:
        program: an inference program in single precision on the CPU, changed in place.

    Returns:
        Names of the layers.
    """
    names = []
    for index, step in enumerate(program.steps):
        private = onednn.recurrent() if step.kind in ("lstm", "RNN") else None
        if private is None:
            continue
        found = _packed_chain(private, step) if step.kind == "lstm" else _packed_operator(private, program, step)
        if found is not None:
            program.steps[index] = found
            names.append(step.name)
    program.prune()
    return names


def _packed_layer(
    private: onednn.Recurrent, weights: Sequence[Any], shape: Sequence[int], reverse: bool
) -> Callable[..., Any]:
    """One direction of a layer: (data (time, n, inputs), hidden (n, size), cell (n, size)) -> outputs, both states."""
    layer = private.call
    size = weights[1].shape[1]
    packed = private.reorder(weights[0], weights[1], size, reverse, True, False, list(shape))
    # copies: views would keep the file's vector of all parameters in memory
    biases, options = [b.clone() for b in weights[2:4]], (reverse, [], 2, size, 1, True, False, False, False)

    def call(data: Any, hidden: Any, cell: Any) -> tuple[Any, Any, Any]:
        # the operator reads memory in order, whatever the strides say
        whole, states = data.contiguous(), (hidden.unsqueeze(0).contiguous(), cell.unsqueeze(0).contiguous())
        out, h, c, _ = layer(whole, *packed, *biases, *states, *options)
        return out, h.reshape(hidden.shape), c.reshape(cell.shape)

    return call


def _packed_chain(private: onednn.Recurrent, step: Step) -> Step | None:
    weights, shape = step.params.weights, step.params.shape
    if shape is None or 0 in shape or any(w.dtype != torch.float32 for w in weights):
        return None
    layer = _packed_layer(private, weights, [len(step.inputs) - 2, *shape], False)

    def call(hidden: Any, state: Any, *inputs: Any) -> Any:
        out, _, last = layer(torch.stack(inputs), hidden, state)
        return (*out.unbind(0), last)

    return step.replace(call=call)


def _packed_operator(private: onednn.Recurrent, program: Program, step: Step) -> Step | None:
    """The RNN operator in its LSTM form, with constant parameters."""
    p = step.params
    if step.kind != "RNN" or p.mode != "lstm" or p.projection_size:
        return None
    parameters, shape = constant(program, step.inputs[1]), program.shapes.get(step.inputs[0])
    if parameters is None or parameters.dtype != torch.float32 or shape is None or 0 in shape:
        return None
    directions = 2 if p.bidirectional else 1
    cells = layer_weights(parameters.detach(), (p.mode, shape[2], p.state_size, p.num_layers, directions, None))
    layers = [
        _packed_layer(private, w, [shape[0], shape[1], w[0].shape[1]], bool(i % directions))
        for i, w in enumerate(cells)
    ]

    def call(data: Any, state: Any, cell: Any) -> Any:
        finals = []
        for first in range(0, len(layers), directions):
            found = [layers[i](data, state[i], cell[i]) for i in range(first, first + directions)]
            data = found[0][0] if directions == 1 else torch.cat([f[0] for f in found], 2)
            finals += [f[1:] for f in found]
        if not p.state_outputs:
            return data
        return data, torch.stack([f[0] for f in finals]), torch.stack([f[1] for f in finals])

    data, _, state, cell = step.inputs[:4]
    return Step(step.name, None, Params(engine="lstm layers"), call, (data, state, cell), step.outputs)
