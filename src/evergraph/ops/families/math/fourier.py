"""Fourier transforms over the last axis, and count sketches. MXNet has these on GPUs only."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, mapped, unify

__all__: list[str] = []


def _doubled(_: Any, data: Any) -> Dims:
    return (*data[:-1], None if data[-1] is None else 2 * data[-1])


def _halved(_: Any, out: Any) -> Dims:
    if out[-1] is not None and out[-1] % 2:
        raise ShapeError("complex numbers come in pairs", expected="a last axis of even length", found=out)
    return (*out[:-1], None if out[-1] is None else out[-1] // 2)


@operator(shape=mapped(_doubled, _halved))
def _contrib_fft(data, *, compute_size: int = 128):
    """The discrete Fourier transform of the last axis, real and imaginary parts in turn: (..., d) gives (..., 2 d)."""
    return torch.view_as_real(torch.fft.fft(data)).flatten(-2)


@operator(shape=mapped(_halved, _doubled))
def _contrib_ifft(data, *, compute_size: int = 128):
    """The real part of the inverse transform of what `_contrib_fft` gives, not divided by its length d."""
    _halved(None, data.shape)
    pairs = torch.view_as_complex(data.unflatten(-1, (-1, 2)).contiguous())
    return torch.fft.ifft(pairs, norm="forward").real


def _sketched(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    keys = (1, data[-1])
    found: list[Dims] = [
        data,
        *(unify(s, keys if s is None or len(s) == 2 else data[-1:], "a table of hashes") for s in ins[1:]),
    ]
    return found, [unify(outs[0], (*data[:-1], p.out_dim), "output of count_sketch")]


@operator(shape=_sketched)
def _contrib_count_sketch(data, h, s, *, out_dim: int, processing_batch_size: int = 32):
    """Sums, in `out_dim` places, of each row's values times their signs s, each at its place h."""
    places = h.reshape(-1).to(torch.int64)
    out = torch.zeros((*data.shape[:-1], out_dim), dtype=data.dtype, device=data.device)
    return out.index_add(-1, places, data * s.reshape(-1).to(data.dtype))
