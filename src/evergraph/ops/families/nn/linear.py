"""Fully connected layers and look-up tables of vectors."""

import math
from typing import Any, Literal

from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, known, unify
from evergraph.ops.run import Run
from evergraph.ops.sparse import RowSparse
from evergraph.ops.types import Positive

__all__ = ["Embedding", "FullyConnected"]


def _connected(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, out = ins[0], outs[0]
    if data is None:
        return ins, outs
    found = (data[0], p.num_hidden) if p.flatten else (*data[:-1], p.num_hidden)
    out = unify(out, found, "output of FullyConnected")
    if out is not None and p.flatten:
        ins[0] = (out[0], *data[1:])
    elif out is not None:
        ins[0] = (*out[:-1], data[-1])
    return ins, [out]


@operator(
    aliases=("_npx_fully_connected", "_sparse_FullyConnected"),
    shape=_connected,
    optional={"bias": lambda p: not p.no_bias},
)
def FullyConnected(data, weight, bias=None, *, num_hidden: Positive, no_bias: bool = False, flatten: bool = True):
    """Data times the transpose of weight (num_hidden, inputs), plus bias (num_hidden,).

    With flatten all axes of data but the first are one axis of inputs; without it the last axis is.
    """
    if flatten and data.ndim != 2:
        data = data.flatten(1) if data.ndim > 1 else data.unsqueeze(1)
    return F.linear(data, weight, bias)


@FullyConnected.quickened
def _connected_quickly(p: Any, recorded: bool, data: Any, *weights: Any) -> Any:
    linear, units = F.linear, p.num_hidden

    def plain(x: Any, weight: Any, bias: Any = None) -> Any:
        if weight.size(0) != units:
            raise ValueError  # said better by the long way
        return linear(x, weight, bias)

    if not p.flatten or data.dim() == 2:
        return plain
    return (lambda x, *w: plain(x.flatten(1), *w)) if data.dim() > 2 else None


@FullyConnected.parameter_shapes
def _connected_weights(p: Any, data: Any) -> dict[str, Any]:
    inside = data[1:] if p.flatten else data[-1:]
    return {"weight": (p.num_hidden, math.prod(inside) if known(inside) else None), "bias": (p.num_hidden,)}


def _looked_up(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    ins[1] = unify(ins[1], (p.input_dim, p.output_dim), "weight of Embedding")
    if ins[0] is not None:
        outs[0] = unify(outs[0], (*ins[0], p.output_dim), "output of Embedding")
    elif outs[0] is not None:
        ins[0] = outs[0][:-1]
    return ins, outs


def _looked_up_type(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[1] or outs[0] or p.dtype
    return [ins[0], kind], [kind]


_WEIGHT_TYPES = Literal["bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"]


@operator(aliases=("_npx_embedding", "_sparse_Embedding"), shape=_looked_up, dtype=_looked_up_type)
def Embedding(
    data,
    weight,
    *,
    input_dim: Positive,
    output_dim: Positive,
    dtype: _WEIGHT_TYPES = "float32",
    sparse_grad: bool = False,
    run: Run,
):
    """The rows of weight (input_dim, output_dim) that data numbers, in the shape of data and one more axis.

    Numbers may be of any type; those outside of the table mean its first or its last row. With sparse_grad the
    gradient of weight may hold only the rows that were looked up.
    """
    rows = data.long().clamp(0, weight.shape[0] - 1)
    # a table of which some rows are stored comes as what was made of them, where torch takes no sparse gradient
    return torch.embedding(weight, rows, -1, False, sparse_grad and run.sparse_gradients and weight.is_leaf)


@Embedding.quickened
def _looked_up_quickly(p: Any, recorded: bool, data: Any, weight: Any) -> Any:
    embedding = torch.embedding
    return None if p.sparse_grad else lambda x, w: embedding(w, x.long().clamp(0, w.size(0) - 1))


@operator("_contrib_SparseEmbedding", shape=_looked_up, dtype=_looked_up_type)
def SparseEmbedding(
    data,
    weight,
    *,
    input_dim: Positive,
    output_dim: Positive,
    dtype: _WEIGHT_TYPES = "float32",
    sparse_grad: bool = False,
    run: Run,
):
    """Embedding, with a gradient of weight that always may hold only the rows that were looked up."""
    rows = data.long().clamp(0, weight.shape[0] - 1)
    return torch.embedding(weight, rows, -1, False, run.sparse_gradients and weight.is_leaf)


@Embedding.storage("default", "row_sparse")
def _looked_up_stored(data: Any, weight: RowSparse, *, run: Run, **parameters: Any) -> Any:
    if len(weight.indices) == weight.shape[0]:
        return NotImplemented  # its values are a table as they are
    rows = data.long().clamp(0, weight.shape[0] - 1).reshape(-1)
    places, stored = weight.places(rows)
    met = torch.nonzero(stored).reshape(-1)
    # rows that are not stored are zeros, and have no gradient: the others' alone is looked for
    sparse = parameters["sparse_grad"] and run.sparse_gradients and weight.data.is_leaf
    found = torch.embedding(weight.data, places[met], -1, False, sparse)
    whole = torch.zeros((len(rows), weight.shape[1]), dtype=found.dtype, device=found.device)
    return whole.index_copy(0, met, found).reshape(*data.shape, weight.shape[1])


@SparseEmbedding.storage("default", "row_sparse")
def _looked_up_sparsely(data: Any, weight: RowSparse, *, run: Run, **parameters: Any) -> Any:
    return _looked_up_stored(data, weight, run=run, **{**parameters, "sparse_grad": True})
