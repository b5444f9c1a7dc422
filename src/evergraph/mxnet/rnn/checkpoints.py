"""Checkpoints of recurrent networks, each gate's weights apart: fused and plain cells load each other's."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from evergraph.mxnet import model
from evergraph.mxnet.rnn.cells import BaseRNNCell

__all__ = ["do_rnn_checkpoint", "load_rnn_checkpoint", "rnn_unroll", "save_rnn_checkpoint"]


def _listed(cells: Any) -> list[Any]:
    return [cells] if isinstance(cells, BaseRNNCell) else list(cells)


def rnn_unroll(
    cell: Any,
    length: int,
    inputs: Any = None,
    begin_state: Any = None,
    input_prefix: str = "",  # noqa: ARG001 - callers still pass it
    layout: str = "NTC",
) -> tuple[Any, list[Any]]:
    """The old spelling of cell.unroll."""
    warnings.warn("rnn_unroll is deprecated. Please call cell.unroll directly.", stacklevel=2)
    return cell.unroll(length, inputs, begin_state, layout)


def save_rnn_checkpoint(
    cells: Any, prefix: str, epoch: int, symbol: Any, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]
) -> None:
    """Save a checkpoint with the cells' weights unpacked.

    Args:
        cells: the cells of the symbol, or one.
        prefix: `prefix-symbol.json` and `prefix-0003.params` for epoch 3.
        epoch: number of the epoch.
        symbol: the network.
        arg_params: parameters by name.
        aux_params: auxiliary states by name.
    """
    for cell in _listed(cells):
        arg_params = cell.unpack_weights(arg_params)
    model.save_checkpoint(prefix, epoch, symbol, arg_params, aux_params)


def load_rnn_checkpoint(cells: Any, prefix: str, epoch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The symbol, the parameters with the cells' weights packed, and the auxiliary states of a checkpoint."""
    symbol, arg_params, aux_params = model.load_checkpoint(prefix, epoch)
    for cell in _listed(cells):
        arg_params = cell.pack_weights(arg_params)
    return symbol, arg_params, aux_params


def do_rnn_checkpoint(cells: Any, prefix: str, period: int = 1) -> Callable[..., None]:
    """A callback for an epoch's end that saves every `period` epochs."""
    every = max(1, int(period))

    def save(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % every == 0:
            save_rnn_checkpoint(cells, prefix, iter_no + 1, sym, arg, aux)

    return save
