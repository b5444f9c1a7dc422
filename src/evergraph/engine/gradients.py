"""Where gradients go: written or added into the caller's storage as they arrive, so that no second copy is kept.

Small ones wait for the end of the pass instead: a hook for each costs as much as a small layer.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from evergraph.errors import UsageError, collect, printable
from evergraph.ops.sparse import CSR, RowSparse, is_sparse, rows_from_dense

__all__ = ["GradientStore"]

_WAITING = 8 << 20
"""Bytes of gradients, the smallest first, that are taken when the pass is over and not by hooks."""
_COPIED = 4096
"""Elements of a gradient up to which a copy costs less than to find out whether its storage may be replaced by it."""


class GradientStore:
    """Gradient storage of a graph's arguments, and the leaves that autograd fills it from.

    Args:
        names: names of the arguments.
        arguments: their arrays.
        gradients: storage in order or by name, None for none; made where a request needs it.
        requests: "write", "add" or "null" for each argument.
        replace: whether storage may be replaced by the gradient that arrives, where nothing else looks into its memory.

    Raises:
        UsageError: storage for a name that is no argument, or of another shape than its argument.
    """

    def __init__(
        self,
        names: Sequence[str],
        arguments: Sequence[Any],
        gradients: Sequence[Any] | Mapping[str, Any] | None,
        requests: Sequence[str],
        replace: bool = False,
    ) -> None:
        self._replace = replace
        self.storage = _storage(names, arguments, gradients, requests)
        self._requests = requests
        self._leaves: list[Any] = [None] * len(names)
        self._owners: list[Any] = [None] * len(names)
        self._arrived: set[int] = set()
        self._small = _small(arguments, self.storage, requests)
        self._waiting: dict[int, Any] = {}

    @property
    def wanted(self) -> bool:
        """Whether any argument's gradient is stored."""
        return any(r != "null" and s is not None for r, s in zip(self._requests, self.storage, strict=True))

    def leaves(self, arguments: Sequence[Any]) -> list[Any]:
        """What the recorded run reads: a differentiable view of each array whose gradient is wanted, else the array."""
        return [self._leaf(i, a) for i, a in enumerate(arguments)]

    def _leaf(self, index: int, array: Any) -> Any:
        if self._requests[index] == "null" or self.storage[index] is None:
            return array
        if self._owners[index] is not array:
            values = array.data if is_sparse(array) else array
            if not values.dtype.is_floating_point and not values.dtype.is_complex:
                return array
            leaf = values.detach().requires_grad_()
            self._waiting.pop(index, None)
            if index in self._small and not is_sparse(array):
                self._waiting[index] = leaf
            else:
                leaf.register_post_accumulate_grad_hook(lambda found: self._arrive(index, found))
            self._owners[index], self._leaves[index] = array, array.with_data(leaf) if is_sparse(array) else leaf
        return self._leaves[index]

    def _arrive(self, index: int, leaf: Any) -> None:
        found, leaf.grad = leaf.grad, None
        if found is None:  # an operator that gives this input no gradient
            return
        owner, storage = self._owners[index], self.storage[index]
        if isinstance(owner, RowSparse):
            found = _rows_of(owner, found)
        elif isinstance(owner, CSR):
            found = owner.with_data(found).dense()
        first = self._requests[index] == "write" and index not in self._arrived
        self._arrived.add(index)
        if isinstance(storage, RowSparse):
            self.storage[index] = _rows(found) if first else _rows_sum(storage, _rows(found))
            return
        found = found.dense() if isinstance(found, RowSparse) else found
        if not first:
            storage.add_(found.to(storage.dtype) if found.is_sparse else found)
        elif self._replace and _fits(found, storage) and not _is_shared(storage):
            self.storage[index] = found
        elif found.is_sparse:
            storage.zero_().add_(found.to(storage.dtype))
        else:
            storage.copy_(found)

    def begin(self) -> None:
        """A gradient pass starts: nothing has arrived, whatever one that failed has left."""
        self._arrived.clear()
        for leaf in self._waiting.values():
            leaf.grad = None

    def finish(self) -> None:
        """The gradient pass is over: what it did not reach is zero, where it is to be written."""
        with torch.no_grad():
            self._take_waiting()
        for index, (request, storage) in enumerate(zip(self._requests, self.storage, strict=True)):
            if request == "write" and storage is not None and index not in self._arrived:
                if isinstance(storage, RowSparse):
                    self.storage[index] = RowSparse(storage.data[:0], storage.indices[:0], storage.shape)
                else:
                    storage.zero_()

    def _take_waiting(self) -> None:
        targets, values = [], []
        for index in sorted(self._waiting, reverse=True):  # as autograd reaches them
            leaf, storage = self._waiting[index], self.storage[index]
            found = leaf.grad
            if found is None:
                continue
            if found.numel() > _COPIED or self._requests[index] != "write" or not isinstance(storage, torch.Tensor):
                self._arrive(index, leaf)
                continue
            leaf.grad = None
            self._arrived.add(index)
            targets.append(storage)
            values.append(found)
        if targets:
            torch._foreach_copy_(targets, values)  # pyright: ignore[reportPrivateImportUsage]


def _small(arguments: Sequence[Any], storage: Sequence[Any], requests: Sequence[str]) -> set[int]:
    """Places of the smallest dense arguments that get a gradient."""
    dense = [
        (a.numel() * a.element_size(), i)
        for i, (a, s, r) in enumerate(zip(arguments, storage, requests, strict=True))
        if r != "null" and isinstance(a, torch.Tensor) and isinstance(s, torch.Tensor)
    ]
    dense.sort()
    sums = itertools.accumulate(size for size, _ in dense)
    return {i for (_, i), size in zip(dense, sums, strict=True) if size <= _WAITING}


def _storage(
    names: Sequence[str],
    arguments: Sequence[Any],
    gradients: Sequence[Any] | Mapping[str, Any] | None,
    requests: Sequence[str],
) -> list[Any]:
    if isinstance(gradients, Mapping):
        unknown = [f"unknown argument {printable(n)}" for n in gradients if n not in set(names)]
        collect(UsageError, "gradient storage is given for names that the graph does not have", unknown)
        found = [gradients.get(n) for n in names]
    else:
        found = list(gradients) if gradients is not None else [None] * len(names)
    if len(found) != len(names):
        raise UsageError("gradient storage is not as long as the arguments", expected=len(names), found=len(found))
    wrong = [
        f"{printable(n)}: {tuple(g.shape)} for an argument of {tuple(a.shape)}"
        for n, a, g in zip(names, arguments, found, strict=True)
        if g is not None and tuple(g.shape) != tuple(a.shape)
    ]
    collect(UsageError, "gradient storage has another shape than its argument", wrong)
    if gradients is not None:
        return found
    return [None if r == "null" else _zeros(a) for a, r in zip(arguments, requests, strict=True)]


_users_of_memory: Any = getattr(torch._C, "_storage_Use_Count", None)  # noqa: SLF001 - looked for before it is used


def _users(tensor: Any) -> tuple[int, int]:
    """How many hold a tensor, as DLPack does, and how many its memory, as views do; with those of this call itself."""
    return tensor._use_count(), _users_of_memory(tensor.untyped_storage()._cdata)  # noqa: SLF001


_ALONE = _users(torch.empty(1)) if _users_of_memory is not None and hasattr(torch.Tensor, "_use_count") else None


def _is_shared(storage: torch.Tensor) -> bool:
    """Whether anybody else, as a view, looks into a tensor's memory; True where torch does not tell."""
    return _ALONE is None or _users(storage) != _ALONE


def _fits(found: torch.Tensor, storage: torch.Tensor) -> bool:
    """Whether a gradient is like its storage in everything but its values, and has memory of its own."""
    if found.is_sparse or found.dtype is not storage.dtype or found.device != storage.device:
        return False
    whole = found.untyped_storage().nbytes() == found.numel() * found.element_size()
    return whole and found.is_contiguous() and storage.is_contiguous() and not _is_shared(found)


def _zeros(array: Any) -> Any:
    if isinstance(array, RowSparse):
        return RowSparse(array.data[:0], array.indices[:0], array.shape)
    values = array.data if is_sparse(array) else array
    return torch.zeros(array.shape, dtype=values.dtype, device=values.device)


def _rows_of(owner: RowSparse, found: Any) -> RowSparse:
    """The gradient of a row_sparse array, from that of its stored values."""
    if not found.is_sparse:
        return owner.with_data(found)
    found = found.coalesce()
    return RowSparse(found.values(), owner.indices[found.indices()[0]], owner.shape)


def _rows(found: Any) -> RowSparse:
    """A gradient as ascending, unique rows."""
    if isinstance(found, RowSparse):
        return found
    if found.is_sparse:
        found = found.coalesce()
        if found.sparse_dim() == 1:
            return RowSparse(found.values(), found.indices()[0], tuple(found.shape))
        found = found.to_dense()
    return rows_from_dense(found)


def _rows_sum(a: RowSparse, b: RowSparse) -> RowSparse:
    indices, places = torch.cat((a.indices, b.indices)).unique(return_inverse=True)
    data = torch.zeros((len(indices), *a.shape[1:]), dtype=a.data.dtype, device=a.data.device)
    return RowSparse(data.index_add_(0, places, torch.cat((a.data, b.data.to(a.data.dtype)))), indices, a.shape)
