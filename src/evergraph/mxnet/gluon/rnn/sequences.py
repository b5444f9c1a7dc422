"""Sequences in their forms: one array with an axis of time, or a list of arrays."""

from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.parameter import tensor_types

__all__ = ["begin_states", "formatted", "masked", "reversed_in_time"]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, tensor_types)


def _space(value: Any) -> Any:
    return sym if isinstance(value, sym.Symbol) else nd


def formatted(length: int | None, inputs: Any, layout: str, merge: bool | None) -> tuple[Any, int, Any, int]:
    """A sequence in the form that is asked for.

    Args:
        length: number of steps; None where it is not to be checked.
        inputs: an array or a symbol with an axis of time, or a list with one for each step.
        layout: order of the axes, such as "NTC".
        merge: true for one array, false for a list, None for what it is.

    Returns:
        the sequence, its axis of time, `mx.nd` or `mx.sym`, and the batch's size (0 for symbols).

    Raises:
        ValueError: it has another number of steps.
    """
    axis, batch_axis = layout.find("T"), layout.find("N")
    if _is_tensor(inputs):
        space = _space(inputs)
        batch = 0 if space is sym else inputs.shape[batch_axis]
        if merge is not False:
            return inputs, axis, space, batch
        if space is sym:
            if len(inputs.list_outputs()) != 1:
                raise ParameterFitError("unroll takes a symbol with one output, or a list of symbols")
            return list(sym.split(inputs, axis=axis, num_outputs=length, squeeze_axis=1)), axis, space, batch
        if length is not None and length != inputs.shape[axis]:
            raise BlockValueError("a sequence of another length", expected=length, found=inputs.shape[axis])
        parts = nd.split(inputs, axis=axis, num_outputs=inputs.shape[axis], squeeze_axis=1)
        return list(parts) if isinstance(parts, (list, tuple)) else [parts], axis, space, batch
    if length is not None and len(inputs) != length:
        raise BlockValueError("a sequence of another length", expected=length, found=len(inputs))
    space = _space(inputs[0])
    batch = 0 if space is sym else inputs[0].shape[0]
    return (space.stack(*inputs, axis=axis) if merge else inputs), axis, space, batch


def begin_states(cell: Any, space: Any, given: Any, inputs: Any, batch: int) -> Any:
    """The states that were given, or the cell's first ones."""
    if given is not None:
        return given
    if space is sym:
        return cell.begin_state(func=sym.zeros, batch_size=batch)
    first = inputs if _is_tensor(inputs) else inputs[0]
    return cell.begin_state(func=nd.zeros, batch_size=batch, ctx=first.context)


def masked(space: Any, data: Any, length: int, valid_length: Any, axis: int, merge: bool) -> Any:
    """A sequence with zeros beyond each sample's length."""
    if not isinstance(data, tensor_types):
        data = space.stack(*data, axis=axis)
    found = space.SequenceMask(data, sequence_length=valid_length, use_sequence_length=True, axis=axis)
    if merge:
        return found
    parts = space.split(found, num_outputs=length, axis=axis, squeeze_axis=True)
    return list(parts) if not isinstance(parts, nd.NDArray) else [parts]


def reversed_in_time(sequences: list[Any], length: int, valid_length: Any = None) -> list[Any]:
    """A list of steps turned round, each sample within its length."""
    if valid_length is None:
        return list(reversed(sequences))
    space = _space(sequences[0])
    found = space.SequenceReverse(
        space.stack(*sequences, axis=0), sequence_length=valid_length, use_sequence_length=True
    )
    parts = space.split(found, axis=0, num_outputs=length, squeeze_axis=True)
    return [parts] if isinstance(parts, nd.NDArray) else list(parts)
