"""The distributions: each fills an array of float32 or float64 numbers, from parameters that broadcast against it.

Parameters are numbers or tensors; `out` is an empty array of the result's shape, `generator` a torch generator or None.
"""

from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.lazy import torch

__all__ = [
    "bernoulli",
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "gumbel",
    "laplace",
    "logistic",
    "negative_binomial",
    "normal",
    "pareto",
    "poisson",
    "power",
    "rayleigh",
    "require",
    "uniform",
    "weibull",
    "working_type",
]


def require(holds: bool, what: str, **found: Any) -> None:
    """Refuse parameters that a distribution does not have.

    Raises:
        OperatorError: it does not hold.
    """
    if not holds:
        raise OperatorError(what, found=", ".join(f"{k} {v}" for k, v in found.items()))


def working_type(dtype: Any) -> Any:
    """The type that numbers are drawn in: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _spread(value: Any, out: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to(out.dtype).expand(out.shape)
    return torch.full_like(out, value)


def _inside(out: Any, generator: Any) -> Any:
    """Uniform numbers above 0 and below 1."""
    info = torch.finfo(out.dtype)
    return out.uniform_(generator=generator).clamp_(info.tiny, 1 - info.eps / 2)


def uniform(low: Any, high: Any, out: Any, generator: Any) -> Any:
    """Even between low and high, without high."""
    if isinstance(low, float) and isinstance(high, float):
        return out.uniform_(low, high, generator=generator)
    return low + (high - low) * out.uniform_(generator=generator)


def normal(loc: Any, scale: Any, out: Any, generator: Any) -> Any:
    """The normal distribution with mean loc and standard deviation scale."""
    if isinstance(loc, float) and isinstance(scale, float) and scale >= 0:
        return out.normal_(loc, scale, generator=generator)
    return loc + scale * out.normal_(generator=generator)


def gamma(alpha: Any, beta: Any, out: Any, generator: Any) -> Any:
    """The gamma distribution with shape alpha and scale beta."""
    # torch has no public name for it
    draw = torch._standard_gamma  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]
    return draw(_spread(alpha, out), generator) * beta


def exponential(lam: Any, out: Any, generator: Any) -> Any:
    """The exponential distribution with rate lam."""
    return out.exponential_(generator=generator) / lam


def poisson(lam: Any, out: Any, generator: Any) -> Any:
    """The Poisson distribution with mean lam."""
    return torch.poisson(_spread(lam, out), generator)


def negative_binomial(k: Any, p: Any, out: Any, generator: Any) -> Any:
    """How many failures come before the k-th success, of probability p: Poisson numbers with gamma means."""
    return poisson(gamma(k, (1 - p) / p, out, generator), out, generator)


def generalized_negative_binomial(mu: Any, alpha: Any, out: Any, generator: Any) -> Any:
    """The negative binomial distribution by its mean mu and dispersion alpha; with alpha 0, Poisson numbers."""
    mu, alpha = _spread(mu, out), _spread(alpha, out)
    plain = alpha == 0
    held = torch.where(plain, 1, alpha)
    means = gamma(1 / held, mu * held, out, generator)
    return poisson(torch.where(plain, mu, means), out, generator)


def bernoulli(prob: Any, out: Any, generator: Any) -> Any:
    """1 with probability prob, else 0."""
    return (out.uniform_(generator=generator) < prob).to(out.dtype)


def gumbel(loc: Any, scale: Any, out: Any, generator: Any) -> Any:
    """The Gumbel distribution of largest values with mode loc."""
    return loc - scale * torch.log(-torch.log(_inside(out, generator)))


def logistic(loc: Any, scale: Any, out: Any, generator: Any) -> Any:
    """The logistic distribution with mean loc."""
    return loc + scale * torch.logit(_inside(out, generator))


def laplace(loc: Any, scale: Any, out: Any, generator: Any) -> Any:
    """The Laplace distribution with mean loc."""
    side = torch.sign(torch.empty_like(out).uniform_(-1, 1, generator=generator))
    return loc + scale * (side * out.exponential_(generator=generator))


def pareto(a: Any, out: Any, generator: Any) -> Any:
    """The Pareto distribution of the second kind (Lomax) with shape a."""
    return torch.expm1(out.exponential_(generator=generator) / a)


def weibull(a: Any, out: Any, generator: Any) -> Any:
    """The Weibull distribution with shape a and scale 1."""
    return out.exponential_(generator=generator) ** (1 / a)


def rayleigh(scale: Any, out: Any, generator: Any) -> Any:
    """The Rayleigh distribution with mode scale."""
    return scale * torch.sqrt(2 * out.exponential_(generator=generator))


def power(a: Any, out: Any, generator: Any) -> Any:
    """The power distribution on 0 to 1 with density a x^(a - 1)."""
    return out.uniform_(generator=generator) ** (1 / a)
