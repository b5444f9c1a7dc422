"""Attention: products of interleaved projections, scaling, and sliding windows."""

import math
from typing import Any

from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import elementwise, forward, like

__all__: list[str] = []


@operator("_contrib_div_sqrt_dim", shape=elementwise)
def div_sqrt_dim(data):
    """Data over the square root of the size of its last axis; integers are cut towards 0, and so is their root."""
    if data.is_floating_point():
        return data / math.sqrt(data.shape[-1])
    return torch.div(data, math.isqrt(data.shape[-1]), rounding_mode="trunc")


def _heads(x: Any, heads: int, parts: int) -> list[Any]:
    """Interleaved projections (time, n, heads * parts * d) as one (n * heads, time, d) for each part."""
    time, batch, width = x.shape
    split = x.reshape(time, batch * heads, parts, width // (heads * parts))
    return [split[:, :, i].transpose(0, 1) for i in range(parts)]


def _joined(x: Any, heads: int) -> Any:
    """(n * heads, time, d) as (time, n, heads * d)."""
    return x.transpose(0, 1).reshape(x.shape[1], x.shape[0] // heads, heads * x.shape[2])


def _scaled_product(queries: Any, keys: Any) -> Any:
    return torch.bmm(queries / math.sqrt(queries.shape[2]), keys.transpose(1, 2))


@operator(
    "_contrib_interleaved_matmul_selfatt_qk",
    aliases=("_npx_interleaved_matmul_selfatt_qk",),
    shape=forward(lambda p, x: (x[1] * p.heads, x[0], x[0])),
)
def interleaved_matmul_selfatt_qk(queries_keys_values, *, heads: int):
    """Scaled products (n * heads, time, time) of queries and keys from projections (time, n, heads * 3 * d)."""
    queries, keys, _ = _heads(queries_keys_values, heads, 3)
    return _scaled_product(queries, keys)


@operator(
    "_contrib_interleaved_matmul_selfatt_valatt",
    aliases=("_npx_interleaved_matmul_selfatt_valatt",),
    shape=forward(lambda _p, x, _attention: (x[0], x[1], x[2] // 3)),
)
def interleaved_matmul_selfatt_valatt(queries_keys_values, attention, *, heads: int):
    """The values in (time, n, heads * 3 * d) weighted by attention (n * heads, time, time): (time, n, heads * d)."""
    return _joined(torch.bmm(attention, _heads(queries_keys_values, heads, 3)[2]), heads)


@operator(
    "_contrib_interleaved_matmul_encdec_qk",
    aliases=("_npx_interleaved_matmul_encdec_qk",),
    shape=forward(lambda p, q, kv: (q[1] * p.heads, q[0], kv[0])),
)
def interleaved_matmul_encdec_qk(queries, keys_values, *, heads: int):
    """Scaled products (n * heads, time, time') of queries (time, n, heads * d), keys in (time', n, heads * 2 * d)."""
    return _scaled_product(_heads(queries, heads, 1)[0], _heads(keys_values, heads, 2)[0])


@operator(
    "_contrib_interleaved_matmul_encdec_valatt",
    aliases=("_npx_interleaved_matmul_encdec_valatt",),
    shape=forward(lambda _p, kv, attention: (attention[1], kv[1], kv[2] // 2)),
)
def interleaved_matmul_encdec_valatt(keys_values, attention, *, heads: int):
    """The values in (time', n, heads * 2 * d) weighted by attention (n * heads, time, time'): (time, n, heads * d)."""
    return _joined(torch.bmm(attention, _heads(keys_values, heads, 2)[1]), heads)


def _window(w: int, symmetric: bool) -> int:
    return 2 * w + 1 if symmetric else w + 1


def _neighbours(time: int, dilation: Any, w: int, symmetric: bool) -> tuple[Any, Any]:
    """(time, heads, window) positions that each one attends to, cut to the sequence, and which of them are in it."""
    steps = torch.arange(_window(w, symmetric), device=dilation.device) - w
    positions = torch.arange(time, device=dilation.device).reshape(-1, 1, 1) + dilation.long().reshape(-1, 1) * steps
    return positions.clamp(0, max(time - 1, 0)), (positions >= 0) & (positions < time)


def _of_data(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    return [kind, ins[1] or kind, ins[2] or "int32"], [kind]


@operator(
    "_contrib_sldwin_atten_score",
    aliases=("_npx_sldwin_atten_score",),
    shape=forward(lambda p, query, _key, _dilation: (*query[:3], _window(p.w, p.symmetric))),
    dtype=_of_data,
)
def sldwin_atten_score(query, key, dilation, *, w: int, symmetric: bool):
    """Products of each query (n, time, heads, d) with the keys in a window around it: (n, time, heads, window).

    The window reaches w positions to the left, and with symmetric as far to the right, in steps of dilation (heads,).
    Positions outside of the sequence give 0.
    """
    positions, inside = _neighbours(query.shape[1], dilation, w, symmetric)
    found = []
    # whole products for one head at a time: copies of the windows would take far more memory than (time, time)
    for head in range(query.shape[2]):
        products = torch.bmm(query[:, :, head], key[:, :, head].transpose(1, 2))
        found.append(products.gather(2, positions[:, head].expand(len(query), -1, -1)))
    return torch.stack(found, 2) * inside.to(query.dtype)


@operator(
    "_contrib_sldwin_atten_context",
    aliases=("_npx_sldwin_atten_context",),
    shape=forward(lambda _p, _score, value, _dilation: value),
    dtype=_of_data,
)
def sldwin_atten_context(score, value, dilation, *, w: int, symmetric: bool):
    """The values (n, time, heads, d) in the window around each position, weighted by score (n, time, heads, window)."""
    n, time, heads = value.shape[:3]
    positions, inside = _neighbours(time, dilation, w, symmetric)
    weights = score * inside.to(score.dtype)
    found = []
    for head in range(heads):
        spread = weights.new_zeros(n, time, time)
        spread = spread.scatter_add(2, positions[:, head].expand(n, -1, -1), weights[:, :, head])
        found.append(torch.bmm(spread, value[:, :, head]))
    return torch.stack(found, 2)


def _mask_type(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0] or "float32"
    return [kind, ins[1] or "int32", ins[2] or "int32"], [kind]


@operator("_contrib_sldwin_atten_mask_like", aliases=("_npx_sldwin_atten_mask_like",), shape=like(0), dtype=_mask_type)
def sldwin_atten_mask_like(score, dilation, valid_length, *, w: int, symmetric: bool):
    """1 where a place of score (n, time, heads, window) belongs to a sequence of valid_length (n,), else 0."""
    n, time = score.shape[:2]
    steps = torch.arange(_window(w, symmetric), device=score.device)
    place = torch.arange(time, device=score.device).reshape(1, -1, 1, 1)
    apart, length = dilation.long().reshape(1, 1, -1, 1), valid_length.long().reshape(n, 1, 1, 1)
    hidden = (steps < w - torch.div(place, apart, rounding_mode="trunc")) | (place >= length)
    if symmetric:
        right = torch.div(length - place - 1, apart, rounding_mode="trunc")
        hidden = hidden | (len(steps) - steps - 1 < w - right)
    return (~hidden).to(score.dtype).expand(score.shape)
