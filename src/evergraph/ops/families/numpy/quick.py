"""The quick computations of the operators that programs with NumPy's arrays call most; see `Operator.quickened`."""

from collections.abc import Callable
from typing import Any

from evergraph.ops.families.numpy.joining import _npi_concatenate, _npi_stack
from evergraph.ops.families.numpy.products import _np_dot, _npi_matmul
from evergraph.ops.families.numpy.reductions import _np_sum, _npi_mean, axes_of, number_of
from evergraph.ops.families.numpy.shape import _np_reshape, _np_squeeze, _np_transpose
from evergraph.ops.lazy import torch
from evergraph.ops.registry import get

__all__: list[str] = []


@_np_sum.quickened
def _sum_quickly(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
    axes, keepdims, total = axes_of(p.axis, a.dim()), p.keepdims, torch.sum
    if p.dtype is not None or p.initial is not None or not axes or not a.is_floating_point():
        return None
    return lambda x: total(x, axes, keepdims)


@_npi_mean.quickened
def _mean_quickly(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
    axes, keepdims, mean = axes_of(p.axis, a.dim()), p.keepdims, torch.mean
    if p.dtype is not None or p.initial is not None or not axes or not a.is_floating_point():
        return None

    def compute(x: Any) -> Any:
        if not x.numel():
            raise ValueError("the mean of nothing is the body's")
        return mean(x, axes, keepdims)

    return compute


def _extreme_quickly(name: str) -> Callable[..., Any]:
    def rule(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
        axes, keepdims, found = axes_of(p.axis, a.dim()), p.keepdims, getattr(torch, name)
        if p.initial is not None or not axes or recorded:
            return None
        return lambda x: found(x, axes, keepdims)

    return rule


def _search_quickly(name: str) -> Callable[..., Any]:
    def rule(p: Any, recorded: bool, data: Any) -> Callable[..., Any] | None:
        axis, search = p.axis, getattr(torch, name)
        if p.keepdims or recorded or not data.dim():
            return None
        return lambda x: search(x, axis)

    return rule


for _name in ("max", "min"):
    get(f"_np_{_name}").quickened(_extreme_quickly(f"a{_name}"))
    get(f"_npi_arg{_name}").quickened(_search_quickly(f"arg{_name}"))


def _are_alike(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.is_floating_point()


@_np_dot.quickened
def _dot_quickly(_: Any, recorded: bool, a: Any, b: Any) -> Callable[..., Any] | None:
    product, ranks = torch.mm, (a.dim(), b.dim())
    if not _are_alike(a, b):
        return None
    if ranks == (2, 2):
        return product
    if ranks == (2, 1):
        return lambda x, y: product(x, y.unsqueeze(1)).squeeze(1)
    if ranks == (1, 1):
        return lambda x, y: product(x.unsqueeze(0), y.unsqueeze(1)).view(())
    return None


@_npi_matmul.quickened
def _matmul_quickly(_: Any, recorded: bool, a: Any, b: Any) -> Callable[..., Any] | None:
    return torch.mm if _are_alike(a, b) and a.dim() == b.dim() == 2 else None


@_np_transpose.quickened
def _transpose_quickly(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
    order = p.axes or tuple(range(a.dim()))[::-1]
    if sorted(order) != list(range(a.dim())) or not order:
        return None
    kept = torch.contiguous_format
    return lambda x: x.permute(order).clone(memory_format=kept)


@_np_reshape.quickened
def _reshape_quickly(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
    sizes = p.newshape
    return lambda x: x.clone().view(sizes)


@_npi_concatenate.quickened
def _concatenate_quickly(p: Any, recorded: bool, *data: Any) -> Callable[..., Any] | None:
    axis, join, first = p.axis, torch.cat, data[0]
    if axis is None or not first.dim() or any(x.dtype != first.dtype or x.dim() != first.dim() for x in data):
        return None
    return lambda *xs: join(xs, axis)


@_npi_stack.quickened
def _stack_quickly(p: Any, recorded: bool, *data: Any) -> Callable[..., Any] | None:
    axis, join, first = p.axis, torch.stack, data[0]
    if any(x.dtype != first.dtype or x.dim() != first.dim() for x in data):
        return None
    return lambda *xs: join(xs, axis)


@_np_squeeze.quickened
def _squeeze_quickly(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
    if p.axis is not None:
        return None
    return lambda x: x.clone().squeeze()


def _moment_quickly(root: bool) -> Callable[..., Any]:
    def rule(p: Any, recorded: bool, a: Any) -> Callable[..., Any] | None:
        axes, ddof, keepdims, mean, total, sqrt = (
            *(axes_of(p.axis, a.dim()), p.ddof, p.keepdims),
            *(torch.mean, torch.sum, torch.sqrt),
        )
        if p.dtype is not None or recorded or not axes or a.dtype != torch.float32:
            return None

        def compute(x: Any) -> Any:
            apart = x - mean(x, axes, True)
            found = total(apart * apart, axes, keepdims) / (number_of(x, axes) - ddof)
            return sqrt(found) if root else found

        return compute

    return rule


get("_npi_var").quickened(_moment_quickly(False))
get("_npi_std").quickened(_moment_quickly(True))
