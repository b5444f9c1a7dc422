"""PyTorch's private fused operators of oneDNN, looked for and tried before anything relies on them.

Each kind is tried when a network first has such a layer: what it runs maps some ten megabytes of PyTorch's code.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

__all__ = ["Convolving", "Dense", "Recurrent", "convolving", "dense", "recurrent"]


class Convolving(NamedTuple):
    """What PyTorch's compiler emits for convolutions with frozen weights."""

    reorder: Callable[..., Any]
    alone: Callable[..., Any]
    summed: Callable[..., Any]
    summed_over: Callable[..., Any]


class Dense(NamedTuple):
    """The same for dense layers."""

    reorder: Callable[..., Any]
    call: Callable[..., Any]


class Recurrent(NamedTuple):
    """The same for one direction of a layer of LSTM cells."""

    reorder: Callable[..., Any]
    call: Callable[..., Any]


def _tried(find: Callable[[], Any]) -> Callable[[], Any]:
    """What a function finds, or None where this PyTorch does not have it or it computes something else."""

    @functools.cache
    @functools.wraps(find)
    def found() -> Any:
        if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
            return None
        try:
            with torch.no_grad():
                return find()
        except (AttributeError, RuntimeError, TypeError, ValueError):
            return None  # another signature, or none: not an error, the plain calls serve

    return found


@_tried
def convolving() -> Convolving | None:
    """The operators of convolutions, where this PyTorch has them and they compute what they should; else None."""
    ops: Any = torch.ops.mkldnn
    found = Convolving(
        _reorder_convolution(),
        ops._convolution_pointwise.default,  # noqa: SLF001
        ops._convolution_pointwise.binary,  # noqa: SLF001
        ops._convolution_pointwise_.binary,
    )
    data = torch.linspace(-1, 1, 2 * 8 * 4 * 4).reshape(2, 8, 4, 4).to(memory_format=torch.channels_last)
    weight, bias = torch.linspace(-1, 1, 8 * 8 * 9).reshape(8, 8, 3, 3), torch.linspace(-1, 1, 8)
    place = ([1, 1], [1, 1], [1, 1], 1)
    packed = found.reorder(weight, *place, [2, 8, 4, 4])
    plain = torch.convolution(data, weight, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    after = ("add", 1.0, "relu", [], None)
    pairs = [
        (found.alone(data, packed, bias, *place, "relu", [], ""), plain.relu()),
        (found.summed(data, data, packed, bias, *place, *after), (plain + data).relu()),
        (found.summed_over(data.clone(), data, packed, bias, *place, *after), (plain + data).relu()),
    ]
    return found if all(torch.allclose(a, b, 1e-4, 1e-4) for a, b in pairs) else None


def _reorder_convolution() -> Callable[..., Any]:
    """(weight, pad, stride, dilate, groups, shape of the data) -> the weight as oneDNN wants it."""
    found = getattr(torch.ops.mkldnn, "_reorder_convolution_weight", None)
    if found is not None:
        return found.default
    builtin: Any = torch._C  # noqa: SLF001 - looked for, and tried, before it is used
    older = builtin._nn.mkldnn_reorder_conv2d_weight  # noqa: SLF001
    return lambda weight, *place: older(weight.to_mkldnn(), *place)


@_tried
def dense() -> Dense | None:
    """The operators of dense layers, on the same terms."""
    ops: Any = torch.ops.mkldnn
    found = Dense(ops._reorder_linear_weight, ops._linear_pointwise.default)  # noqa: SLF001
    weight, bias = torch.linspace(-1, 1, 8 * 72).reshape(8, 72), torch.linspace(-1, 1, 8)
    rows = torch.linspace(-1, 1, 2 * 72).reshape(2, 72)
    given = found.call(rows, found.reorder(weight, 2), bias, "relu", [], "")
    return found if torch.allclose(given, (rows @ weight.T + bias).relu(), 1e-4, 1e-4) else None


@_tried
def recurrent() -> Recurrent | None:
    """The operators of LSTM layers, on the same terms."""
    found = Recurrent(torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight, torch.ops.aten.mkldnn_rnn_layer)  # noqa: SLF001
    data, state = torch.linspace(-1, 1, 3 * 2 * 8).reshape(3, 2, 8), torch.linspace(-1, 1, 16).reshape(1, 2, 8)
    weights = [torch.linspace(-1, 1, 32 * 8).reshape(32, 8), torch.linspace(1, -1, 32 * 8).reshape(32, 8)]
    biases = [torch.linspace(-1, 1, 32), torch.zeros(32)]
    packed = found.reorder(*weights, 8, False, True, False, [3, 2, 8])
    options = (False, [], 2, 8, 1, True, False, False, False)
    out, _, last, _ = found.call(data, *packed, *biases, state, state, *options)
    plain = torch.lstm(data, (state, state), [*weights, *biases], True, 1, 0.0, False, False, False)
    same = torch.allclose(out, plain[0], 1e-4, 1e-5) and torch.allclose(last.reshape(2, 8), plain[2][0], 1e-4, 1e-5)
    return found if same else None
