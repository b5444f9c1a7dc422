"""Initial values: MindSpore's initializers, by class, by name, or by number."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, fresh


class Initializer:
    """What fills a tensor: subclasses give `_values`, programs' own `_initialize(arr)`.

    Args:
        named: kept, as MindSpore keeps them.
    """

    def __init__(self, **named: Any) -> None:
        self._kwargs = named

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        array = np.zeros(shape, np.float32)
        self._initialize(array)
        return torch.from_numpy(array)

    def _initialize(self, arr: Any) -> None:
        raise UsageError("an initializer of one's own defines _initialize(self, arr)", where=type(self).__name__)

    def __call__(self, arr: Any) -> None:
        """Fill a NumPy array."""
        arr[...] = self._values(tuple(arr.shape)).numpy()


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs and outputs of one unit: the second dimension and the first, times the window."""
    if len(shape) < 2:
        raise ShapeError("fan_in and fan_out need two dimensions or more", found=tuple(shape))
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _gain(nonlinearity: str, slope: float) -> float:
    known = {"sigmoid": 1.0, "linear": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    known |= {f"conv{n}d{t}": 1.0 for n in (1, 2, 3) for t in ("", "_transpose")}
    known["leaky_relu"] = math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in known:
        raise UsageError(f"no gain for {printable(nonlinearity)}", expected=", ".join(known))
    return known[nonlinearity]


class Zero(Initializer):
    """All 0."""

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape)


class One(Initializer):
    """All 1."""

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.ones(shape)


class Constant(Initializer):
    """All of one value, or a copy of an array."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(np.broadcast_to(np.asarray(self.value, np.float64), shape).copy())


class Uniform(Initializer):
    """Evenly from -scale to scale."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.empty(shape).uniform_(-self.scale, self.scale)


class Normal(Initializer):
    """Normally distributed, of this standard deviation and mean."""

    def __init__(self, sigma: float = 0.01, mean: float = 0.0) -> None:
        super().__init__(sigma=sigma, mean=mean)
        self.sigma, self.mean = sigma, mean

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.empty(shape).normal_(self.mean, self.sigma)


class TruncatedNormal(Initializer):
    """Normally distributed, drawn again beyond `a` and `b` standard deviations."""

    def __init__(self, sigma: float = 0.01, mean: float = 0.0, a: float = -2.0, b: float = 2.0) -> None:
        super().__init__(sigma=sigma, mean=mean, a=a, b=b)
        self.sigma, self.mean, self.a, self.b = sigma, mean, a, b

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        made = torch.empty(shape)
        return torch.nn.init.trunc_normal_(
            made, self.mean, self.sigma, self.mean + self.a * self.sigma, self.mean + self.b * self.sigma
        )


class _Fan(Initializer):
    """Scaled by the fans of a layer; subclasses give the standard deviation."""

    def _deviation(self, shape: tuple[int, ...]) -> float:
        raise UsageError("it has no scale of its own", where=type(self).__name__)

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        deviation = self._deviation(shape)
        if "Uniform" in type(self).__name__:
            bound = math.sqrt(3) * deviation
            return torch.empty(shape).uniform_(-bound, bound)
        return torch.empty(shape).normal_(0, deviation)


class XavierUniform(_Fan):
    """Evenly, of the standard deviation gain * sqrt(2 / (fan_in + fan_out))."""

    def __init__(self, gain: float = 1) -> None:
        super().__init__(gain=gain)
        self.gain = gain

    def _deviation(self, shape: tuple[int, ...]) -> float:
        return self.gain * math.sqrt(2 / sum(_fans(shape)))


class XavierNormal(XavierUniform):
    """Normally distributed, of the standard deviation gain * sqrt(2 / (fan_in + fan_out))."""


class HeUniform(_Fan):
    """Evenly, of the standard deviation gain / sqrt(fan)."""

    def __init__(self, negative_slope: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> None:
        super().__init__(negative_slope=negative_slope, mode=mode, nonlinearity=nonlinearity)
        if mode not in ("fan_in", "fan_out"):
            raise UsageError("mode is fan_in or fan_out", found=printable(mode))
        self.negative_slope, self.mode, self.nonlinearity = negative_slope, mode, nonlinearity

    def _deviation(self, shape: tuple[int, ...]) -> float:
        fan = _fans(shape)[0 if self.mode == "fan_in" else 1]
        return _gain(self.nonlinearity, self.negative_slope) / math.sqrt(fan)


class HeNormal(HeUniform):
    """Normally distributed, of the standard deviation gain / sqrt(fan)."""


class VarianceScaling(Initializer):
    """Of variance scale / fan, as Keras scales it."""

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> None:
        super().__init__(scale=scale, mode=mode, distribution=distribution)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise UsageError("mode is fan_in, fan_out or fan_avg", found=printable(mode))
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise UsageError(
                "no such distribution",
                expected="uniform, truncated_normal or untruncated_normal",
                found=printable(distribution),
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        inputs, outputs = _fans(shape)
        fan = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(fan, 1)
        if self.distribution == "uniform":
            bound = math.sqrt(3 * variance)
            return torch.empty(shape).uniform_(-bound, bound)
        if self.distribution == "untruncated_normal":
            return torch.empty(shape).normal_(0, math.sqrt(variance))
        deviation = math.sqrt(variance) / 0.87962566103423978  # what cutting at two deviations leaves of one
        return torch.nn.init.trunc_normal_(torch.empty(shape), 0, deviation, -2 * deviation, 2 * deviation)


class Identity(Initializer):
    """The identity matrix."""

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) != 2:
            raise ShapeError("Identity fills matrices", found=shape)
        return torch.eye(*shape)


class Orthogonal(Initializer):
    """A random orthogonal matrix, times gain."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(gain=gain)
        self.gain = gain

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.nn.init.orthogonal_(torch.empty(shape), self.gain)


class Sparse(Initializer):
    """A matrix whose columns are 0 in a share `sparsity` of their rows, else normally distributed."""

    def __init__(self, sparsity: float, sigma: float = 0.01) -> None:
        super().__init__(sparsity=sparsity, sigma=sigma)
        self.sparsity, self.sigma = sparsity, sigma

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.nn.init.sparse_(torch.empty(shape), self.sparsity, self.sigma)


class Dirac(Initializer):
    """A convolution that passes its channels on, in each of `groups`."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__(groups=groups)
        self.groups = groups

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.nn.init.dirac_(torch.empty(shape), self.groups)


_NAMES: dict[str, type[Initializer]] = {
    "zeros": Zero,
    "zero": Zero,
    "ones": One,
    "one": One,
    "uniform": Uniform,
    "normal": Normal,
    "truncatednormal": TruncatedNormal,
    "truncated_normal": TruncatedNormal,
    "xavier_uniform": XavierUniform,
    "xavieruniform": XavierUniform,
    "xavier_normal": XavierNormal,
    "he_uniform": HeUniform,
    "heuniform": HeUniform,
    "he_normal": HeNormal,
    "henormal": HeNormal,
    "variance_scaling": VarianceScaling,
    "varianscescaling": VarianceScaling,
    "identity": Identity,
    "orthogonal": Orthogonal,
    "dirac": Dirac,
}


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape or ())


def initializer(init: Any, shape: Any = None, dtype: Any = mstype.float32) -> Tensor:
    """A tensor of initial values, made at once.

    Args:
        init: an Initializer, its name, a number, or a Tensor, which must have the shape.
        shape: sizes, or one size.
        dtype: element type.

    Raises:
        UsageError: no initializer has that name.
        ShapeError: a Tensor has another shape.

    >>> initializer("ones", [2], mstype.float32)
    Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  1.00000000e+00])
    """
    if isinstance(init, Tensor):
        wanted = init.shape if shape is None else _sizes(shape)
        if init.shape != wanted:
            raise ShapeError("the initial tensor has another shape", expected=wanted, found=init.shape)
        return init
    sizes = _sizes(shape)
    if isinstance(init, str):
        kind = _NAMES.get(init.lower())
        if kind is None:
            raise UsageError(f"no initializer {printable(init)}", expected=", ".join(sorted(_NAMES)))
        init = kind()
    elif isinstance(init, (int, float, np.ndarray)):
        init = Constant(init)
    if not isinstance(init, Initializer):
        raise UsageError(
            "initial values are an Initializer, its name, a number or a Tensor", found=printable(type(init).__name__)
        )
    return fresh(init._values(sizes).to(mstype.of(dtype).torch))
