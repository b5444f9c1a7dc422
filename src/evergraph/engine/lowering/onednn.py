"""PyTorch's private fused operators of oneDNN, looked for and tried before anything relies on them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

__all__ = ["Private", "private_operators"]


class Private(NamedTuple):
    """The operators that PyTorch's compiler emits for layers with frozen weights."""

    reorder_convolution: Callable[..., Any]
    convolution: Callable[..., Any]
    convolution_sum: Callable[..., Any]
    convolution_sum_over: Callable[..., Any]
    reorder_dense: Callable[..., Any]
    dense: Callable[..., Any]
    reorder_recurrent: Any
    recurrent: Any


@functools.cache
def private_operators() -> Private | None:
    """The operators, where this PyTorch has them and they compute what they should; else None."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
        return None
    ops: Any = torch.ops.mkldnn
    try:
        found = Private(
            _reorder_convolution(),
            ops._convolution_pointwise.default,  # noqa: SLF001
            ops._convolution_pointwise.binary,  # noqa: SLF001
            ops._convolution_pointwise_.binary,
            ops._reorder_linear_weight,  # noqa: SLF001
            ops._linear_pointwise.default,  # noqa: SLF001
            getattr(ops, "_reorder_mkldnn_rnn_layer_weight", None),
            torch.ops.aten.mkldnn_rnn_layer,
        )
        if not _computes(found):
            return None
        return found if _computes_recurrences(found) else found._replace(reorder_recurrent=None, recurrent=None)
    except (AttributeError, RuntimeError, TypeError):
        return None  # another signature, or none: not an error, the plain calls serve


def _reorder_convolution() -> Callable[..., Any]:
    """(weight, pad, stride, dilate, groups, shape of the data) -> the weight as oneDNN wants it."""
    found = getattr(torch.ops.mkldnn, "_reorder_convolution_weight", None)
    if found is not None:
        return found.default
    builtin: Any = torch._C  # noqa: SLF001 - looked for, and tried, before it is used
    older = builtin._nn.mkldnn_reorder_conv2d_weight  # noqa: SLF001
    return lambda weight, *place: older(weight.to_mkldnn(), *place)


def _computes_recurrences(private: Private) -> bool:
    """Whether a packed LSTM layer gives what PyTorch's own gives."""
    if private.reorder_recurrent is None:
        return False
    try:
        with torch.no_grad():
            data, state = torch.linspace(-1, 1, 3 * 2 * 8).reshape(3, 2, 8), torch.linspace(-1, 1, 16).reshape(1, 2, 8)
            weights = [torch.linspace(-1, 1, 32 * 8).reshape(32, 8), torch.linspace(1, -1, 32 * 8).reshape(32, 8)]
            biases = [torch.linspace(-1, 1, 32), torch.zeros(32)]
            packed = private.reorder_recurrent(*weights, 8, False, True, False, [3, 2, 8])
            options = (False, [], 2, 8, 1, True, False, False, False)
            out, _, last, _ = private.recurrent(data, *packed, *biases, state, state, *options)
            plain = torch.lstm(data, (state, state), [*weights, *biases], True, 1, 0.0, False, False, False)
        return torch.allclose(out, plain[0], 1e-4, 1e-5) and torch.allclose(last.reshape(2, 8), plain[2][0], 1e-4, 1e-5)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False


def _computes(private: Private) -> bool:
    """Whether each operator gives what the plain calls give, on one small layer."""
    with torch.no_grad():
        data = torch.linspace(-1, 1, 2 * 8 * 4 * 4).reshape(2, 8, 4, 4).to(memory_format=torch.channels_last)
        weight, bias = torch.linspace(-1, 1, 8 * 8 * 9).reshape(8, 8, 3, 3), torch.linspace(-1, 1, 8)
        place = ([1, 1], [1, 1], [1, 1], 1)
        packed = private.reorder_convolution(weight, *place, [2, 8, 4, 4])
        plain = torch.convolution(data, weight, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        after = ("add", 1.0, "relu", [], None)
        dense = private.reorder_dense(weight.flatten(1), 2)
        rows = torch.linspace(-1, 1, 2 * 72).reshape(2, 72)
        pairs = [
            (private.convolution(data, packed, bias, *place, "relu", [], ""), plain.relu()),
            (private.convolution_sum(data, data, packed, bias, *place, *after), (plain + data).relu()),
            (private.convolution_sum_over(data.clone(), data, packed, bias, *place, *after), (plain + data).relu()),
            (private.dense(rows, dense, bias, "relu", [], ""), (rows @ weight.flatten(1).T + bias).relu()),
        ]
    return all(torch.allclose(a, b, 1e-4, 1e-4) for a, b in pairs)
