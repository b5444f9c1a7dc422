"""Densities of distributions at given samples, or their logarithms, with gradients of samples and parameters.

The parameters have the leading axes of the samples: of samples (s, n), each of the s rows has its own.
"""

import math
from collections.abc import Callable
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import Operator

__all__ = []


def _rule(vector: bool = False) -> Any:
    """The density has the shape of the samples, without their last axis where a sample is a vector."""

    def rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        sample = ins[0]
        if sample is not None:
            outs = [unify(outs[0], sample[:-1] if vector else sample, "a density")]
            for each in ins[1:]:
                _fit(sample, each, vector)
        return ins, outs

    return rule


def _fit(sample: Any, parameter: Any, vector: bool) -> None:
    if parameter is None:
        return
    rows, ends = (parameter[:-1], parameter[-1:]) if vector else (parameter, ())
    if tuple(sample[: len(rows)]) != tuple(rows) or tuple(sample[len(sample) - len(ends) :]) != tuple(ends):
        found = f"{tuple(sample)} and {tuple(parameter)}"
        raise ShapeError("parameters of a density have the leading axes of its samples", found=found)


def _pdf(
    log_density: Callable[..., Any], sample: Any, parameters: tuple[Any, ...], is_log: bool, vector: bool = False
) -> Any:
    held = []
    for each in parameters:
        _fit(sample.shape, each.shape, vector)
        ones = (1,) * (sample.dim() - each.dim())
        held.append(
            each.reshape(*each.shape[:-1], *ones, each.shape[-1]) if vector else each.reshape(*each.shape, *ones)
        )
    value = log_density(sample, *held)
    return value if is_log else torch.exp(value)


def _density(*documented: str, vector: bool = False) -> Callable[[Callable[..., Any]], Operator]:
    def decorate(body: Callable[..., Any]) -> Operator:
        name = body.__name__.removeprefix("_")
        return operator(aliases=(name,), shape=_rule(vector), documented=documented)(body)

    return decorate


@_density("sample", "low", "is_log", "high")
def _random_pdf_uniform(sample, low, high, *, is_log: bool = False):
    """The density of the uniform distribution from low to high, inside which the samples are taken to lie."""
    return _pdf(lambda x, low, high: -torch.log(high - low) + 0 * x, sample, (low, high), is_log)


@_density("sample", "mu", "is_log", "sigma")
def _random_pdf_normal(sample, mu, sigma, *, is_log: bool = False):
    """The density of the normal distribution with mean mu and standard deviation sigma."""

    def log_density(x: Any, mu: Any, sigma: Any) -> Any:
        return -0.5 * ((x - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)

    return _pdf(log_density, sample, (mu, sigma), is_log)


@_density("sample", "alpha", "is_log", "beta")
def _random_pdf_gamma(sample, alpha, beta, *, is_log: bool = False):
    """The density of the gamma distribution with shape alpha and rate beta."""

    def log_density(x: Any, alpha: Any, beta: Any) -> Any:
        return alpha * torch.log(beta) + (alpha - 1) * torch.log(x) - beta * x - torch.lgamma(alpha)

    return _pdf(log_density, sample, (alpha, beta), is_log)


@_density("sample", "lam", "is_log")
def _random_pdf_exponential(sample, lam, *, is_log: bool = False):
    """The density of the exponential distribution with rate lam."""
    return _pdf(lambda x, lam: torch.log(lam) - lam * x, sample, (lam,), is_log)


@_density("sample", "lam", "is_log")
def _random_pdf_poisson(sample, lam, *, is_log: bool = False):
    """The probability of a whole number in the Poisson distribution with mean lam. Samples get no gradient."""

    def log_density(x: Any, lam: Any) -> Any:
        return x * torch.log(lam) - torch.lgamma(x + 1) - lam

    return _pdf(log_density, sample.detach(), (lam,), is_log)


def _log_negative_binomial(x: Any, k: Any, p: Any) -> Any:
    chosen = torch.lgamma(x + k) - torch.lgamma(x + 1) - torch.lgamma(k)
    return chosen + k * torch.log(p) + x * torch.log(1 - p)


@_density("sample", "k", "is_log", "p")
def _random_pdf_negative_binomial(sample, k, p, *, is_log: bool = False):
    """The probability of so many failures before the k-th success of probability p. Samples get no gradient."""
    return _pdf(_log_negative_binomial, sample.detach(), (k, p), is_log)


@_density("sample", "mu", "is_log", "alpha")
def _random_pdf_generalized_negative_binomial(sample, mu, alpha, *, is_log: bool = False):
    """The probability of a whole number in the negative binomial distribution with mean mu and dispersion alpha.

    Samples get no gradient.
    """

    def log_density(x: Any, mu: Any, alpha: Any) -> Any:
        return _log_negative_binomial(x, 1 / alpha, 1 / (mu * alpha + 1))

    return _pdf(log_density, sample.detach(), (mu, alpha), is_log)


@_density("sample", "alpha", "is_log", vector=True)
def _random_pdf_dirichlet(sample, alpha, *, is_log: bool = False):
    """The density of the Dirichlet distribution with concentrations alpha, of samples that are vectors."""

    def log_density(x: Any, alpha: Any) -> Any:
        whole = torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)
        return whole + ((alpha - 1) * torch.log(x)).sum(-1)

    return _pdf(log_density, sample, (alpha,), is_log, vector=True)
