"""Operators over the time axis of a batch of sequences with lengths of their own."""

from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__ = ["SequenceLast", "SequenceMask", "SequenceReverse"]

_LENGTH = {"sequence_length": lambda p: p.use_sequence_length}


def _types(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    return [kind, *[i or kind for i in ins[1:]]], [kind]


def _fill_length(p: Any, ins: list[Dims]) -> list[Dims]:
    if len(ins) > 1 and ins[0] is not None:
        ins[1] = unify(ins[1], (ins[0][1 - p.axis],), "sequence_length")
    return ins


def _whole(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    ins[0] = unify(ins[0], outs[0], "output of a sequence operator")
    return _fill_length(p, ins), [ins[0]]


def _last(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is not None:
        outs = [unify(outs[0], (ins[0][1 - p.axis], *ins[0][2:]), "output of SequenceLast")]
    return _fill_length(p, ins), outs


def _beyond(data: Any, length: Any, axis: int) -> Any:
    """(time, batch) or (batch, time): True where the position is not part of its sequence."""
    positions = torch.arange(data.shape[axis], device=data.device)
    beyond = positions.unsqueeze(1) >= torch.trunc(length).unsqueeze(0)
    return beyond if axis == 0 else beyond.t()


@operator(aliases=("_npx_sequence_mask",), shape=_whole, dtype=_types, optional=_LENGTH)
def SequenceMask(data, sequence_length=None, *, use_sequence_length: bool = False, value: float = 0.0, axis: int = 0):
    """Data with every position beyond its sequence's length set to `value`.

    The time axis is `axis` (0 or 1), the batch the other one; sequence_length is (batch,).
    """
    if sequence_length is None:
        return data
    beyond = _beyond(data, sequence_length, axis)
    return data.masked_fill(beyond.reshape(beyond.shape + (1,) * (data.ndim - 2)), value)


@operator(shape=_last, dtype=_types, optional=_LENGTH)
def SequenceLast(data, sequence_length=None, *, use_sequence_length: bool = False, axis: int = 0):
    """Last position of each sequence in data (time, batch, ...), or (batch, time, ...) with axis 1: (batch, ...)."""
    if sequence_length is None:
        return data.select(axis, -1)
    last = sequence_length.long() - 1
    batch = torch.arange(data.shape[1 - axis], device=data.device)
    return data[last, batch] if axis == 0 else data[batch, last]


@operator(shape=_whole, dtype=_types, optional=_LENGTH)
def SequenceReverse(data, sequence_length=None, *, use_sequence_length: bool = False, axis: int = 0):
    """Each sequence of data (time, batch, ...) backwards, from its own length on as it was."""
    if axis != 0:
        raise OperatorError("SequenceReverse knows time on the first axis only", expected=0, found=axis)
    if sequence_length is None:
        return data.flip(0)
    positions = torch.arange(data.shape[0], device=data.device).unsqueeze(1)
    length = sequence_length.long().unsqueeze(0)
    source = torch.where(positions < length, length - 1 - positions, positions)
    return data[source, torch.arange(data.shape[1], device=data.device)]
