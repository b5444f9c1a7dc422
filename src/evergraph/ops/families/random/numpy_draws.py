"""Random arrays of the NumPy interface: parameters are numbers or arrays that broadcast, None standing for an array."""

from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.random import draws
from evergraph.ops.families.random.draws import require
from evergraph.ops.families.random.numbers import drawn
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, broadcast_shapes, dtype_from, fixed_dtype, unify
from evergraph.ops.run import Run
from evergraph.ops.schema import Operator
from evergraph.ops.types import Axes

__all__ = []

Kind = Literal["float16", "float32", "float64"]


def _operands(numbers: tuple[Any, ...], arrays: tuple[Any, ...]) -> list[Any]:
    """The parameters: numbers, and an array in the place of each that is None."""
    given = iter(arrays)
    return [next(given) if n is None else n for n in numbers]


def _fits(inner: Any, whole: Any) -> bool:
    ahead = len(whole) - len(inner)
    return ahead >= 0 and all(d in (1, w) for d, w in zip(inner, whole[ahead:], strict=True))


def _drawn(
    draw: Callable[..., Any],
    numbers: tuple[Any, ...],
    arrays: tuple[Any, ...],
    size: Any,
    dtype: str,
    run: Run,
    batch: bool = False,
    differentiable: bool = True,
) -> Any:
    kind = torch_dtype(dtype)
    work = draws.working_type(kind)
    values = _operands(numbers, arrays)
    held = [v.to(work) if isinstance(v, torch.Tensor) else v for v in values]
    held = [v.detach() if isinstance(v, torch.Tensor) and not differentiable else v for v in held]
    tensors = [v for v in held if isinstance(v, torch.Tensor)]
    together = torch.broadcast_shapes(*[v.shape for v in tensors])
    shape = (*(size or ()), *together) if batch else together if size is None else tuple(size)
    if not _fits(together, shape):
        what = "the size of random numbers does not fit their parameters"
        raise ShapeError(what, expected=f"one that {tuple(together)} broadcasts to", found=shape)
    return drawn(draw, tuple(held), shape, kind, run, tensors[0].device if tensors else None)


def _rule(batch: bool = False) -> Any:
    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        together = broadcast_shapes(ins)
        if batch:
            found = None if together is None else (*(p.size or ()), *together)
        else:
            found = together if p.size is None else p.size
        return ins, [unify(o, found, "random numbers") for o in outs]

    return rule


def _pair(first: str, second: str, batch: bool = False, noise: bool = False, typed: bool = True) -> Any:
    """The options of an operator with two parameters: one input for each that is None; `noise` is a hidden output."""
    options: dict[str, Any] = {
        "shape": _rule(batch),
        "dtype": dtype_from("dtype") if typed else fixed_dtype("float32"),
        "optional": {
            "input1": lambda p: p[first] is None or p[second] is None,
            "input2": lambda p: p[first] is None and p[second] is None,
        },
    }
    return operator(**options, **_NOISE) if noise else operator(**options)


_NOISE: dict[str, Any] = {"outputs": 2, "visible": 1}


def _single(name: str, noise: bool = True) -> Callable[[Callable[..., Any]], Operator]:
    options: dict[str, Any] = {
        "shape": _rule(),
        "dtype": fixed_dtype("float32"),
        "optional": {"input1": lambda p: p[name] is None},
    }
    return operator(**options, **_NOISE) if noise else operator(**options)


def _ordered(low: float | None, high: float | None) -> None:
    if low is not None and high is not None:
        require(low <= high, "a uniform distribution has low up to high", low=low, high=high)


def _positive(what: str, zero: bool = False, **values: Any) -> None:
    for value in values.values():
        require(value is None or value > 0 or (zero and value == 0), what, **values)


@_pair("low", "high")
def _npi_uniform(
    input1=None,
    input2=None,
    *,
    low: float | None,
    high: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Numbers that are even between `low` and `high`, without `high`. No gradient passes."""
    _ordered(low, high)
    return _drawn(draws.uniform, (low, high), (input1, input2), size, dtype, run, differentiable=False)


@_pair("low", "high", batch=True)
def _npi_uniform_n(
    input1=None,
    input2=None,
    *,
    low: float | None,
    high: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Numbers that are even between `low` and `high`, `size` of them for each pair (in front). No gradient passes."""
    _ordered(low, high)
    return _drawn(draws.uniform, (low, high), (input1, input2), size, dtype, run, batch=True, differentiable=False)


@_pair("loc", "scale", noise=True)
def _npi_normal(
    input1=None,
    input2=None,
    *,
    loc: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Normally distributed numbers; the gradient reaches loc and scale through the numbers drawn."""
    _positive("a normal distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.normal, (loc, scale), (input1, input2), size, dtype, run)


@_pair("loc", "scale", batch=True, noise=True)
def _npi_normal_n(
    input1=None,
    input2=None,
    *,
    loc: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Normally distributed numbers, `size` of them for each pair (in front), with gradients of loc and scale."""
    _positive("a normal distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.normal, (loc, scale), (input1, input2), size, dtype, run, batch=True)


@_pair("shape", "scale")
def _npi_gamma(
    input1=None,
    input2=None,
    *,
    shape: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Gamma distributed numbers: their mean is shape * scale. No gradient passes."""
    _positive("a gamma distribution has positive parameters", shape=shape, scale=scale)
    return _drawn(draws.gamma, (shape, scale), (input1, input2), size, dtype, run, differentiable=False)


@_pair("loc", "scale", noise=True, typed=False)
def _npi_gumbel(
    input1=None,
    input2=None,
    *,
    loc: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    run: Run,
):
    """Gumbel distributed numbers with mode `loc`; the gradient reaches loc and scale."""
    _positive("a Gumbel distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.gumbel, (loc, scale), (input1, input2), size, "float32", run)


@_pair("loc", "scale", noise=True, typed=False)
def _npi_logistic(
    input1=None,
    input2=None,
    *,
    loc: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    run: Run,
):
    """Logistically distributed numbers with mean `loc`; the gradient reaches loc and scale."""
    _positive("a logistic distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.logistic, (loc, scale), (input1, input2), size, "float32", run)


@_pair("loc", "scale")
def _npi_laplace(
    input1=None,
    input2=None,
    *,
    loc: float | None,
    scale: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Kind = "float32",
    run: Run,
):
    """Laplace distributed numbers with mean `loc`; the gradient reaches loc and scale.

    MXNet 1.9.1 lacks it.
    """
    _positive("a Laplace distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.laplace, (loc, scale), (input1, input2), size, dtype, run)


@_single("scale")
def _npi_exponential(input1=None, *, scale: float | None = 1.0, size: Axes | None = None, ctx: str = "cpu", run: Run):
    """Exponentially distributed numbers with mean `scale`, which the gradient reaches."""
    _positive("an exponential distribution has a scale of 0 or more", zero=True, scale=scale)

    def draw(scale: Any, out: Any, generator: Any) -> Any:
        return scale * draws.exponential(1.0, out, generator)

    return _drawn(draw, (scale,), (input1,), size, "float32", run)


@_single("scale")
def _npi_rayleigh(input1=None, *, scale: float | None = 1.0, size: Axes | None = None, ctx: str = "cpu", run: Run):
    """Rayleigh distributed numbers with mode `scale`, which the gradient reaches."""
    _positive("a Rayleigh distribution has a scale of 0 or more", zero=True, scale=scale)
    return _drawn(draws.rayleigh, (scale,), (input1,), size, "float32", run)


@_single("a")
def _npi_pareto(input1=None, *, a: float | None = None, size: Axes | None = None, ctx: str = "cpu", run: Run):
    """Pareto (Lomax) distributed numbers with shape `a`, which the gradient reaches."""
    _positive("a Pareto distribution has a positive shape", a=a)
    return _drawn(draws.pareto, (a,), (input1,), size, "float32", run)


@_single("a")
def _npi_weibull(input1=None, *, a: float | None = None, size: Axes | None = None, ctx: str = "cpu", run: Run):
    """Weibull distributed numbers with shape `a`, which the gradient reaches, and scale 1."""
    _positive("a Weibull distribution has a positive shape", a=a)
    return _drawn(draws.weibull, (a,), (input1,), size, "float32", run)


@_single("a", noise=False)
def _npi_powerd(input1=None, *, a: float | None = None, size: Axes | None = None, run: Run):
    """Numbers from 0 to 1 with density a x^(a - 1). No gradient passes."""
    _positive("a power distribution has a positive exponent", a=a)
    return _drawn(draws.power, (a,), (input1,), size, "float32", run, differentiable=False)


@operator(shape=_rule(), dtype=dtype_from("dtype"), optional={"input1": lambda p: p.prob is None and p.logit is None})
def _npi_bernoulli(
    input1=None,
    *,
    prob: float | None,
    logit: float | None,
    size: Axes | None = None,
    ctx: str = "cpu",
    dtype: Literal["bool", "float16", "float32", "float64", "int32", "uint8"] = "float32",
    is_logit: bool,
    run: Run,
):
    """1 with probability `prob`, or with that whose logarithm of odds is `logit`, else 0. No gradient passes."""
    if prob is not None:
        require(0 <= prob <= 1, "a probability lies from 0 to 1", prob=prob)
    value = logit if is_logit else prob

    def draw(value: Any, out: Any, generator: Any) -> Any:
        if is_logit:
            value = torch.sigmoid(torch.as_tensor(value, dtype=out.dtype, device=out.device))
        return draws.bernoulli(value, out, generator)

    if (value is None) != (input1 is not None):
        raise OperatorError("bernoulli takes one of a probability and a logit", found=f"prob {prob}, logit {logit}")
    return _drawn(draw, (value,), (input1,), size, dtype, run, differentiable=False)
