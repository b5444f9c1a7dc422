"""Random arrays from distributions whose parameters are numbers: of a given shape, or in the likeness of an array."""

from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.array.create import created
from evergraph.ops.families.random import draws
from evergraph.ops.families.random.draws import require, working_type
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, elementwise, known
from evergraph.ops.run import Run
from evergraph.ops.schema import Operator, Params
from evergraph.ops.types import Long, Shape

__all__ = ["Real", "drawn"]

Real = Literal["None", "float16", "float32", "float64"]
"""The types of random numbers; None stands for float32."""


def drawn(
    draw: Callable[..., Any], parameters: tuple[Any, ...], shape: Any, dtype: Any, run: Run, device: Any = None
) -> Any:
    """An array of a shape and a torch type, drawn from a distribution with these parameters.

    Raises:
        ShapeError: the shape has an unknown size.
    """
    if shape is None or any(d is None or d < 0 for d in shape):
        raise ShapeError("a random array of unknown shape cannot be made", expected="every size", found=shape)
    out = torch.empty(tuple(shape), dtype=working_type(dtype), device=device)
    return draw(*parameters, out, run.generator(out.device)).to(dtype)


def _made(draw: Callable[..., Any], parameters: tuple[Any, ...], shape: Any, dtype: str, run: Run) -> Any:
    return drawn(draw, parameters, shape, torch_dtype("float32" if dtype == "None" else dtype), run)


def _alike(draw: Callable[..., Any], parameters: tuple[Any, ...], data: Any, run: Run) -> Any:
    if not data.is_floating_point():
        found = str(data.dtype).removeprefix("torch.")
        raise OperatorError("random numbers take the type of the array", expected="a floating one", found=found)
    return drawn(draw, parameters, data.shape, data.dtype, run, data.device)


def _with_shape(p: Params, outs: list[Dims]) -> Params:
    return Params(p, shape=outs[0]) if known(outs[0]) else p


def _quickly(draw: Callable[..., Any], names: tuple[str, str], standard: str) -> Callable[..., Any]:
    """The quick computation of float32 numbers: torch's function named `standard` where the distribution is its own."""

    def rule(p: Any, run: Run) -> Any:
        sizes, first, second = p.shape, *(p[n] for n in names)
        if sizes is None or any(d < 0 for d in sizes) or p.dtype not in ("None", "float32"):
            return None
        stream, kind = run.generator("cpu"), torch.float32
        if (first, second) == (0, 1):
            make = getattr(torch, standard)
            return lambda: make(sizes, generator=stream, dtype=kind)
        empty = torch.empty
        return lambda: draw(first, second, empty(sizes, dtype=kind), stream)

    return rule


def _random(*aliases: str) -> Callable[[Callable[..., Any]], Operator]:
    def decorate(body: Callable[..., Any]) -> Operator:
        found = operator(aliases=aliases, shape=created, dtype=dtype_from("dtype", "float32"))(body)
        found.completes(_with_shape)
        return found

    return decorate


def _like(*parameters: str) -> Callable[[Callable[..., Any]], Operator]:
    return operator(shape=elementwise, documented=(*parameters, "data"))


@_random("random_uniform", "uniform", "_npi_random_uniform")
def _random_uniform(
    *,
    low: float = 0.0,
    high: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Numbers that are even between `low` and `high`, without `high`."""
    require(low <= high, "a uniform distribution has low up to high", low=low, high=high)
    return _made(draws.uniform, (low, high), shape, dtype, run)


_random_uniform.quickened(_quickly(draws.uniform, ("low", "high"), "rand"))


@_like("low", "high")
def _random_uniform_like(data, *, low: float = 0.0, high: float = 1.0, run: Run):
    """Numbers that are even between `low` and `high`, in the shape and type of data."""
    require(low <= high, "a uniform distribution has low up to high", low=low, high=high)
    return _alike(draws.uniform, (low, high), data, run)


@_random("random_normal", "normal")
def _random_normal(
    *,
    loc: float = 0.0,
    scale: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Normally distributed numbers with mean `loc` and standard deviation `scale`."""
    require(scale > 0, "a normal distribution has a positive scale", scale=scale)
    return _made(draws.normal, (loc, scale), shape, dtype, run)


_random_normal.quickened(_quickly(draws.normal, ("loc", "scale"), "randn"))


@_like("loc", "scale")
def _random_normal_like(data, *, loc: float = 0.0, scale: float = 1.0, run: Run):
    """Normally distributed numbers in the shape and type of data."""
    require(scale > 0, "a normal distribution has a positive scale", scale=scale)
    return _alike(draws.normal, (loc, scale), data, run)


@_random("random_gamma")
def _random_gamma(
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Gamma distributed numbers with shape `alpha` and scale `beta`: their mean is alpha * beta."""
    require(alpha > 0 and beta > 0, "a gamma distribution has positive parameters", alpha=alpha, beta=beta)
    return _made(draws.gamma, (alpha, beta), shape, dtype, run)


@_like("alpha", "beta")
def _random_gamma_like(data, *, alpha: float = 1.0, beta: float = 1.0, run: Run):
    """Gamma distributed numbers in the shape and type of data."""
    require(alpha > 0 and beta > 0, "a gamma distribution has positive parameters", alpha=alpha, beta=beta)
    return _alike(draws.gamma, (alpha, beta), data, run)


@_random("random_exponential")
def _random_exponential(
    *,
    lam: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Exponentially distributed numbers with rate `lam`: their mean is 1 / lam."""
    require(lam > 0, "an exponential distribution has a positive rate", lam=lam)
    return _made(draws.exponential, (lam,), shape, dtype, run)


@_like("lam")
def _random_exponential_like(data, *, lam: float = 1.0, run: Run):
    """Exponentially distributed numbers in the shape and type of data."""
    require(lam > 0, "an exponential distribution has a positive rate", lam=lam)
    return _alike(draws.exponential, (lam,), data, run)


@_random("random_poisson")
def _random_poisson(
    *,
    lam: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Poisson distributed whole numbers with mean `lam`, as floating numbers."""
    require(lam >= 0, "a Poisson distribution has a mean of 0 or more", lam=lam)
    return _made(draws.poisson, (lam,), shape, dtype, run)


@_like("lam")
def _random_poisson_like(data, *, lam: float = 1.0, run: Run):
    """Poisson distributed whole numbers in the shape and type of data."""
    require(lam >= 0, "a Poisson distribution has a mean of 0 or more", lam=lam)
    return _alike(draws.poisson, (lam,), data, run)


def _check_binomial(k: int, p: float) -> None:
    require(k >= 0 and 0 < p <= 1, "a negative binomial distribution has k of 0 or more, p up to 1", k=k, p=p)


@_random("random_negative_binomial", "_sample_negbinomial")
def _random_negative_binomial(
    *,
    k: int = 1,
    p: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """How many failures come before the `k`-th success of probability `p`, as floating numbers."""
    _check_binomial(k, p)
    return _made(draws.negative_binomial, (float(k), p), shape, dtype, run)


@_like("k", "p")
def _random_negative_binomial_like(data, *, k: int = 1, p: float = 1.0, run: Run):
    """Negative binomially distributed whole numbers in the shape and type of data."""
    _check_binomial(k, p)
    return _alike(draws.negative_binomial, (float(k), p), data, run)


def _check_generalized(mu: float, alpha: float) -> None:
    what = "a generalized negative binomial distribution has parameters of 0 or more"
    require(mu >= 0 and alpha >= 0, what, mu=mu, alpha=alpha)


@_random("random_generalized_negative_binomial", "_sample_gennegbinomial")
def _random_generalized_negative_binomial(
    *,
    mu: float = 1.0,
    alpha: float = 1.0,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Real = "None",
    run: Run,
):
    """Negative binomially distributed whole numbers with mean `mu` and dispersion `alpha`, as floating numbers."""
    _check_generalized(mu, alpha)
    return _made(draws.generalized_negative_binomial, (mu, alpha), shape, dtype, run)


@_like("mu", "alpha")
def _random_generalized_negative_binomial_like(data, *, mu: float = 1.0, alpha: float = 1.0, run: Run):
    """Negative binomially distributed whole numbers by mean and dispersion, in the shape and type of data."""
    _check_generalized(mu, alpha)
    return _alike(draws.generalized_negative_binomial, (mu, alpha), data, run)


@operator(
    aliases=("_npi_random_randint", "random_randint"),
    shape=created,
    dtype=dtype_from("dtype", "int32"),
)
def _random_randint(
    *,
    low: Long,
    high: Long,
    shape: Shape = None,  # type: ignore[assignment]
    ctx: str = "",
    dtype: Literal["None", "int32", "int64"] = "None",
    run: Run,
):
    """Whole numbers from `low` to before `high`, each as likely."""
    require(low < high, "random whole numbers lie from low to before high", low=low, high=high)

    def draw(out: Any, generator: Any) -> Any:
        return torch.randint(low, high, out.shape, generator=generator, dtype=torch.int64, device=out.device)

    return drawn(draw, (), shape, torch_dtype("int32" if dtype == "None" else dtype), run)


@_random_randint.quickened
def _integers_quickly(p: Any, run: Run) -> Any:
    sizes = p.shape
    if sizes is None or any(d < 0 for d in sizes):
        return None
    make, low, high, stream = torch.randint, p.low, p.high, run.generator("cpu")
    kind = torch_dtype("int32" if p.dtype == "None" else p.dtype)
    return lambda: make(low, high, sizes, generator=stream, dtype=kind)


_random_randint.completes(_with_shape)
