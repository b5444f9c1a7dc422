"""Reductions over axes. A reduction of all axes gives shape (1,), even of a 0-d array."""

from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import Dims, dtype_from, forward, reduce, reduced_axes, unify
from evergraph.ops.schema import Operator
from evergraph.ops.types import Axes

__all__ = ["greatest", "least", "product", "reduction"]


def _merged(data: Any, axes: tuple[int, ...]) -> Any:
    """The array with the axes to be reduced merged into its last one."""
    kept = [i for i in range(data.dim()) if i not in axes]
    return data.permute(kept + list(axes)).reshape([data.shape[i] for i in kept] + [-1 if data.numel() else 0])


def _result(value: Any, data: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced array in the shape that MXNet gives it."""
    if keepdims:
        return value.reshape([1 if i in axes else d for i, d in enumerate(data.shape)])
    return value.reshape(1) if not value.dim() else value


def _spread(value: Any, data: Any, axes: tuple[int, ...]) -> Any:
    """A reduced array (or its gradient) as it broadcasts against the whole."""
    return value.reshape([1 if i in axes else d for i, d in enumerate(data.shape)])


def _sum(data: Any, axes: tuple[int, ...]) -> Any:
    return torch.sum(data, axes) if data.is_floating_point() else torch.sum(data, axes, dtype=data.dtype)


def _mean(data: Any, axes: tuple[int, ...]) -> Any:
    if data.is_floating_point():
        return torch.mean(data, axes)
    count = 1
    for i in axes:
        count *= data.shape[i]
    total = torch.sum(data, axes, dtype=data.dtype)
    return total if data.dtype == torch.bool else torch.div(total, count, rounding_mode="trunc")


def _nansum(data: Any, axes: tuple[int, ...]) -> Any:
    return torch.nansum(data, axes) if data.is_floating_point() else _sum(data, axes)


def _product_gradient(saved: Any, grad: Any) -> Any:
    # the quotient, as MXNet has it: NaN where a factor is 0
    data, axes = saved.args
    return _spread(grad * saved.outputs[0], data, axes) / data


@with_gradient(_product_gradient)
def product(data: Any, axes: tuple[int, ...]) -> Any:
    """The product over axes."""
    return torch.prod(_merged(data, axes), -1, dtype=data.dtype)


def _nan_product_gradient(saved: Any, grad: Any) -> Any:
    data, axes = saved.args
    return torch.where(data.isnan(), 0, _spread(grad * saved.outputs[0], data, axes) / data)


@with_gradient(_nan_product_gradient)
def _nanprod(data: Any, axes: tuple[int, ...]) -> Any:
    return product(data.masked_fill(data.isnan(), 1), axes)


def _extreme_gradient(saved: Any, grad: Any) -> Any:
    data, axes = saved.args
    return _spread(grad, data, axes) * (data == _spread(saved.outputs[0], data, axes))


@with_gradient(_extreme_gradient)
def greatest(data: Any, axes: tuple[int, ...]) -> Any:
    """The greatest value over axes; every position that has it gets the gradient."""
    return torch.amax(data, axes)


@with_gradient(_extreme_gradient)
def least(data: Any, axes: tuple[int, ...]) -> Any:
    """The least value over axes; every position that has it gets the gradient."""
    return torch.amin(data, axes)


def _filled(data: Any) -> Any:
    if data.numel() == 0:
        raise ShapeError("an empty array has no greatest or least value", found=tuple(data.shape))
    return data


def _corrected(function: Callable[..., Any], axes: tuple[int, ...], keepdims: bool, whole: bool) -> Callable[..., Any]:
    """A recorded greatest or least value whose gradient torch computes, and every position that has it then gets.

    A hook on torch's own node costs a third of a node of ours when it is recorded.
    """

    def call(x: Any) -> Any:
        found = function(x, axes, keepdims)

        def correct(_: Any, grads: Any) -> Any:
            return (_spread(grads[0], x, axes) * (x == function(x, axes, True)),)

        node = found.grad_fn
        if node is not None:
            node.register_hook(correct)
        return found.view(1) if whole else found

    return call


def _quickly(
    reduce: Callable[[], Any],
    differentiable: bool,
    by_axis: bool = False,
    of_all: Callable[[], Any] | None = None,
    to_one: Callable[[], Any] | None = None,
    corrected: bool = False,
) -> Callable[..., Any]:
    """The quick computation of a reduction of floating numbers by torch's own function.

    Args:
        reduce: gives torch's function of (tensor, axes, keepdims).
        of_all: gives torch's function of a tensor that reduces all axes; `reduce`, where it is not given.
        to_one: gives the function of a tensor of several axes that reduces all to shape (1,), with its gradient.
        differentiable: whether its gradient is MXNet's.
        by_axis: whether it takes one axis instead of axes.
        corrected: whether its gradient goes to every position that has the value.
    """

    def rule(p: Any, recorded: bool, data: Any) -> Any:
        axes, keepdims = reduced_axes(p.axis, p.get("exclude", False), data.dim()), p.keepdims
        whole = len(axes) == data.dim() and not keepdims
        if not axes or not data.is_floating_point() or (recorded and not (differentiable or corrected)):
            return None
        function = reduce()
        if recorded and corrected:
            return _corrected(function, axes, keepdims, whole)
        if by_axis:
            (axis, *others) = axes
            return None if whole or others else lambda x: function(x, axis, keepdims)
        if whole:
            if to_one is not None and data.dim() > 1:
                return to_one()
            whole_function = (of_all or reduce)()
            if recorded:
                return lambda x: whole_function(x).view(1)
            # nothing is recorded, so the shape may be set in place; a view would cost a copy of the value
            return lambda x: whole_function(x).resize_(1)
        return lambda x: function(x, axes, keepdims)

    return rule


def reduction(
    name: str,
    function: Callable[[Any, tuple[int, ...]], Any],
    doc: str,
    aliases: tuple[str, ...] = (),
    quick: Callable[..., Any] | None = None,
) -> Operator:
    """Register a reduction of one input named data.

    Args:
        name: canonical name.
        function: (tensor, axes) -> the tensor without these axes.
        doc: documentation.
        aliases: other names.
        quick: rule of its quick computation; see `Operator.quickened`.
    """

    def body(data: Any, *, axis: Axes | None = None, keepdims: bool = False, exclude: bool = False) -> Any:
        rank = data.dim()
        axes = reduced_axes(axis, exclude, rank)
        # torch takes no axes for all axes
        value = function(data, axes) if axes or not rank else data.clone()
        return _result(value, data, axes, keepdims) if keepdims or len(axes) == rank else value

    body.__doc__, body.__name__ = doc, name
    found = Operator(name, body, aliases=aliases, shape=reduce)
    found.quick = quick
    return register(found)


reduction(
    "sum",
    _sum,
    "The sum over axes, in the input's type.",
    ("_sparse_sum", "sum_axis"),
    _quickly(lambda: torch.sum, True, to_one=lambda: lambda x: x.sum_to_size(1)),
)
reduction(
    "mean",
    _mean,
    "The mean over axes, in the input's type; of integers, cut towards 0.",
    ("_sparse_mean",),
    _quickly(lambda: torch.mean, True),
)
reduction(
    "prod",
    product,
    "The product over axes, in the input's type; the gradient is the product by the factor.",
    (),
    _quickly(lambda: torch.prod, False, by_axis=True),
)
reduction("nansum", _nansum, "The sum over axes of what is not NaN.")
reduction("nanprod", _nanprod, "The product over axes of what is not NaN.")
reduction(
    "max",
    lambda data, axes: greatest(_filled(data), axes),
    "The greatest value over axes; every position that has it gets the gradient.",
    ("max_axis",),
    _quickly(lambda: torch.amax, False, of_all=lambda: torch.max, corrected=True),
)
reduction(
    "min",
    lambda data, axes: least(_filled(data), axes),
    "The least value over axes; every position that has it gets the gradient.",
    ("min_axis",),
    _quickly(lambda: torch.amin, False, of_all=lambda: torch.min, corrected=True),
)
reduction("_square_sum", lambda data, axes: _sum(data * data, axes), "The sum of squares over axes.")


def _euclidean_gradient(saved: Any, grad: Any) -> Any:
    # of a zero vector MXNet's gradient is NaN
    data, axes = saved.args
    return data * (_spread(grad, data, axes) / _spread(saved.outputs[0], data, axes))


@with_gradient(_euclidean_gradient)
def _euclidean(data: Any, axes: tuple[int, ...]) -> Any:
    return torch.linalg.vector_norm(data, 2, axes)


@operator(
    aliases=("_sparse_norm",),
    shape=reduce,
    dtype=dtype_from("out_dtype"),
)
def norm(
    data,
    *,
    ord: int = 2,
    axis: Axes | None = None,
    out_dtype: Literal[None, "float16", "float32", "float64", "int32", "int64", "int8"] = None,
    keepdims: bool = False,
):
    """The norm over axes: the sum of sizes (ord 1), or the root of the sum of squares (ord 2)."""
    if ord not in (1, 2):
        raise OperatorError("norm knows only two orders", expected="ord 1 or 2", found=ord)
    axes = reduced_axes(axis, False, data.dim())
    real = data if data.is_floating_point() else data.to(torch.float32)
    value = torch.linalg.vector_norm(real, 1, axes) if ord == 1 else _euclidean(real, axes)
    return _result(value, data, axes, keepdims).to(torch_dtype(out_dtype) if out_dtype else data.dtype)


@norm.quickened
def _norm_quickly(p: Any, recorded: bool, data: Any) -> Any:
    if p.out_dtype or p.ord not in (1, 2):
        return None
    measure, order = torch.linalg.vector_norm, p.ord
    found = _quickly(
        lambda: lambda x, axes, keepdims: measure(x, order, axes, keepdims),
        False,
        of_all=lambda: measure if order == 2 else lambda x: measure(x, order),
    )
    return found(p, recorded, data)


def _searched(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = ins[0]
    if shape is None:
        return ins, outs
    axes = reduced_axes(p.axis, False, len(shape))
    if p.keepdims:
        found: Dims = tuple(1 if i in axes else d for i, d in enumerate(shape))
    else:
        found = tuple(d for i, d in enumerate(shape) if i not in axes) or (1,)
    return ins, [unify(outs[0], found, "a position")]


def _position(search: Callable[..., Any], data: Any, axis: int | None, keepdims: bool) -> Any:
    at = None if axis is None else reduced_axes(axis, False, data.dim())[0]
    if data.numel() == 0 and (at is None or data.shape[at] == 0):
        raise ShapeError("an axis of no elements cannot be searched", found=tuple(data.shape))
    # positions are numbers of the data's own type, as in MXNet
    found = search(data, at).to(data.dtype)
    if not keepdims:
        return found if found.dim() else found.reshape(1)
    return found.reshape([1 if at in (None, i) else d for i, d in enumerate(data.shape)])


@operator(shape=_searched)
def argmax(data, *, axis: int | None = None, keepdims: bool = False):
    """Position of the greatest value along an axis (of the flattened array without one), the first of equals.

    It is given in the type of data. NaN counts as the greatest.
    """
    return _position(torch.argmax, data, axis, keepdims)


def _search_quickly(search: Callable[[], Any]) -> Callable[..., Any]:
    def rule(p: Any, recorded: bool, data: Any) -> Any:
        if p.axis is None and not p.keepdims and data.dim():
            search_all, kind = search(), data.dtype
            # the position is new memory, so its shape may be set in place
            return lambda x: search_all(x).type(kind).resize_(1)
        if p.axis is None or data.dim() < 2:
            return None
        find, at, keepdims, kind = search(), reduced_axes(p.axis, False, data.dim())[0], p.keepdims, data.dtype
        return lambda x: find(x, at, keepdims).type(kind)

    return rule


argmax.quickened(_search_quickly(lambda: torch.argmax))


@operator(shape=_searched)
def argmin(data, *, axis: int | None = None, keepdims: bool = False):
    """Position of the least value along an axis (of the flattened array without one), the first of equals.

    It is given in the type of data. NaN counts as the least.
    """
    return _position(torch.argmin, data, axis, keepdims)


argmin.quickened(_search_quickly(lambda: torch.argmin))


def _channel(_: Any, data: Any) -> Any:
    if len(data) < 2:
        raise ShapeError("argmax_channel needs a channel axis", expected="two axes or more", found=data)
    return (data[0], *data[2:])


@operator(shape=forward(_channel))
def argmax_channel(data):
    """Position of the greatest value along axis 1, in the type of data."""
    if data.dim() < 2:
        raise ShapeError("argmax_channel needs a channel axis", expected="two axes or more", found=tuple(data.shape))
    return _position(torch.argmax, data, 1, False)
