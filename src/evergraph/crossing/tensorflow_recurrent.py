"""Keras's recurrent layers in PyTorch's layout: transposed, the gates in PyTorch's order, two biases."""

import re
from collections.abc import Iterator, Mapping

from evergraph.crossing.parts import OTHER, Part, View, computed
from evergraph.tensors import Held, Tensor

__all__ = ["read_recurrent"]

_CELL = re.compile(r"\.?(lstm|gru|simple_rnn)_cell(_\d+)?$")
_WAY = re.compile(r"(^|\.)(forward|backward)_[^.]+$")
_ORDERS = {1: (0,), 3: (1, 0, 2), 4: (0, 1, 2, 3)}
"""Where each of PyTorch's gates stands in Keras's: GRU has update before reset, LSTM has PyTorch's order."""

_NAMES = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}


def read_recurrent(owner: str, members: Mapping[str, tuple[str, Tensor]]) -> Iterator[View]:
    """The views of a cell's `kernel`, `recurrent_kernel` and `bias`.

    Args:
        owner: the cell's name (`lstm.lstm_cell`, `bi.backward_gru.gru_cell`).
        members: key and values by their names in the cell.
    """
    hidden, rows = members["recurrent_kernel"][1].shape or (0, 0)
    gates = rows // hidden if hidden and rows % hidden == 0 else 0
    bias = members.get("bias")
    before_reset = gates == 3 and bias is not None and bias[1].ndim != 2
    if gates not in _ORDERS or before_reset or not {*members} <= {"kernel", "recurrent_kernel", "bias"}:
        why = "GRU with reset_after=False, which other frameworks do not compute" if before_reset else "an unknown cell"
        for leaf, (key, tensor) in members.items():
            yield View(key, Part("", OTHER, f"{owner}.{leaf}", why=why, guessed=True), tensor)
        return
    home, reverse = _home(owner)
    order, why = _ORDERS[gates], f"a cell of Keras's {_NAMES[gates]}"
    words = "transposed" + (", gates reordered" if order != tuple(range(gates)) else "")
    for leaf, role in (("kernel", "ih_weight"), ("recurrent_kernel", "hh_weight")):
        if leaf in members:
            key, tensor = members[leaf]
            yield View(key, Part(home, "rnn", role, 0, reverse, why), _gated(tensor, order), words)
    if bias is not None:
        yield from _biases(bias, Part(home, "rnn", "", 0, reverse, why), order)


def _home(owner: str) -> tuple[str, bool]:
    """The layer that a cell belongs to, and whether it runs backwards."""
    layer = _CELL.sub("", owner)
    way = _WAY.search(layer)
    return (_WAY.sub("", layer), way[2] == "backward") if way is not None else (layer, False)


def _gated(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """(in, gates * hidden) as (gates * hidden, in), with the gates in another order."""
    inner, rows = tensor.shape or (0, 0)
    gates = len(order)
    return computed(tensor, (rows, inner), lambda a: a.reshape(inner, gates, -1)[:, list(order)].reshape(inner, -1).T)


def _biases(found: tuple[str, Tensor], part: Part, order: tuple[int, ...]) -> Iterator[View]:
    """Both biases: Keras's GRU has two rows, its other cells one bias, beside which PyTorch's second is zero."""
    key, tensor = found
    gates, size = len(order), (tensor.shape or (0,))[-1]
    for row, role in enumerate(("ih_bias", "hh_bias")):
        own = Part(part.owner, part.kind, role, part.layer, part.reverse, part.why)
        if tensor.ndim == 2:
            values = computed(tensor, (size,), lambda a, r=row: a[r].reshape(gates, -1)[list(order)].reshape(-1))
            yield View(key, own, values, f"row {row}, gates reordered")
        elif row == 0:
            yield View(key, own, tensor)
        else:
            zeros = Tensor(tensor.dtype, (size,), Held(bytes(size * tensor.dtype.itemsize)))
            yield View("", own, zeros, "added, all 0: Keras has one bias")
