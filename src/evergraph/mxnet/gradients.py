"""Gradients on their way into the arrays that `attach_grad` made for them."""

from typing import Any

import torch

from evergraph.mxnet.ndarray.base import Mark
from evergraph.ops.sparse import RowSparse, is_sparse, rows_from_dense

__all__ = ["deliver"]


def deliver(leaf: Any, mark: Mark) -> None:
    """Let every backward pass that reaches a leaf put its gradient where the mark says.

    Args:
        leaf: a tensor, or a sparse value whose data is one, that asks for a gradient.
        mark: where to, and how; shared with the array.
    """
    tensor = leaf.data if is_sparse(leaf) else leaf
    whole = leaf if is_sparse(leaf) else None

    def arrived(found: Any) -> None:
        gradient, found.grad = found.grad, None
        if gradient is not None:
            _put(mark, _spread(whole, gradient))

    def reached(gradient: Any) -> None:
        # a pass that meets the leaf without a gradient: the gradient is 0
        if gradient is None and mark.req == "write":
            mark.grad[:] = 0
        mark.fresh = True

    tensor.register_post_accumulate_grad_hook(arrived)
    tensor.register_hook(reached)


def _spread(whole: Any, gradient: Any) -> Any:
    """A gradient of stored values as one of the array."""
    if whole is None:
        return gradient
    if not gradient.is_sparse:
        return whole.with_data(gradient)
    gradient = gradient.coalesce()
    return RowSparse(gradient.values(), whole.indices[gradient.indices()[0]], whole.shape)


def _put(mark: Mark, gradient: Any) -> None:
    mark.fresh = True
    target = mark.grad
    if target.stype == "default":
        dense = gradient.dense() if is_sparse(gradient) else gradient
        if mark.req == "add":
            target._data.add_(dense)
        elif dense.is_sparse:
            target._data.zero_().add_(dense)
        else:
            target._data.copy_(dense)
        return
    found = _rows(gradient) if target.stype == "row_sparse" else gradient
    if mark.req == "add" and target.stype == "row_sparse":
        found = _rows_sum(target._data, found)
    target._assign(found)


def _rows(gradient: Any) -> RowSparse:
    """A gradient as ascending, unique rows."""
    if isinstance(gradient, RowSparse):
        return gradient
    if is_sparse(gradient):
        return rows_from_dense(gradient.dense())
    if gradient.is_sparse:
        gradient = gradient.coalesce()
        if gradient.sparse_dim() == 1:
            return RowSparse(gradient.values(), gradient.indices()[0], tuple(gradient.shape))
        gradient = gradient.to_dense()
    return rows_from_dense(gradient)


def _rows_sum(a: RowSparse, b: RowSparse) -> RowSparse:
    indices, places = torch.cat((a.indices, b.indices)).unique(return_inverse=True)
    data = torch.zeros((len(indices), *a.shape[1:]), dtype=a.data.dtype, device=a.data.device)
    return RowSparse(data.index_add_(0, places, torch.cat((a.data, b.data.to(a.data.dtype)))), indices, a.shape)
