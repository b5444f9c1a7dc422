"""Random arrays from distributions whose parameters are arrays: some draws for each of their values."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.random import draws
from evergraph.ops.families.random.numbers import Real, drawn
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, unify
from evergraph.ops.run import Run
from evergraph.ops.schema import Operator
from evergraph.ops.types import Shape

__all__ = []


def _rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """All parameters have one shape; behind it come the sizes of `shape`."""
    shape: Dims = None
    for each in ins:
        shape = unify(shape, each, "a parameter of a distribution")
    if shape is not None:
        outs = [unify(outs[0], (*shape, *p.shape), "random numbers")]
    return [shape] * len(ins), outs


def _sample(*documented: str) -> Callable[[Callable[..., Any]], Operator]:
    def decorate(body: Callable[..., Any]) -> Operator:
        name = body.__name__
        return operator(
            aliases=(name.removeprefix("_"),),
            shape=_rule,
            dtype=dtype_from("dtype", "float32"),
            documented=documented,
        )(body)

    return decorate


def _each(draw: Callable[..., Any], parameters: tuple[Any, ...], shape: Any, dtype: str, run: Run) -> Any:
    first = parameters[0]
    for other in parameters[1:]:
        if other.shape != first.shape:
            found = tuple(other.shape)
            raise ShapeError("parameters of a distribution differ in shape", expected=tuple(first.shape), found=found)
    kind = torch_dtype("float32" if dtype == "None" else dtype)
    behind = (1,) * len(shape)
    held = tuple(p.detach().to(draws.working_type(kind)).reshape(*p.shape, *behind) for p in parameters)
    return drawn(draw, held, (*first.shape, *shape), kind, run, first.device)


@_sample("low", "shape", "dtype", "high")
def _sample_uniform(low, high, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Numbers that are even between low and high, `shape` of them for each pair. No gradient passes."""
    return _each(draws.uniform, (low, high), shape, dtype, run)


@_sample("mu", "shape", "dtype", "sigma")
def _sample_normal(mu, sigma, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Normally distributed numbers, `shape` of them for each mean mu and deviation sigma. No gradient passes."""
    return _each(draws.normal, (mu, sigma), shape, dtype, run)


@_sample("alpha", "shape", "dtype", "beta")
def _sample_gamma(alpha, beta, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Gamma distributed numbers, `shape` of them for each shape alpha and scale beta. No gradient passes."""
    return _each(draws.gamma, (alpha, beta), shape, dtype, run)


@_sample("lam", "shape", "dtype")
def _sample_exponential(lam, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Exponentially distributed numbers, `shape` of them for each rate lam. No gradient passes."""
    return _each(draws.exponential, (lam,), shape, dtype, run)


@_sample("lam", "shape", "dtype")
def _sample_poisson(lam, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Poisson distributed whole numbers, `shape` of them for each mean lam. No gradient passes."""
    return _each(draws.poisson, (lam,), shape, dtype, run)


@_sample("k", "shape", "dtype", "p")
def _sample_negative_binomial(k, p, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Negative binomially distributed whole numbers, `shape` of them for each k and p. No gradient passes."""
    return _each(draws.negative_binomial, (k, p), shape, dtype, run)


@_sample("mu", "shape", "dtype", "alpha")
def _sample_generalized_negative_binomial(mu, alpha, *, shape: Shape = (), dtype: Real = "None", run: Run):
    """Negative binomially distributed whole numbers, `shape` of them for each mean mu and dispersion alpha.

    No gradient passes.
    """
    return _each(draws.generalized_negative_binomial, (mu, alpha), shape, dtype, run)
