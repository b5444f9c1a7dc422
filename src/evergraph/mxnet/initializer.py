"""`mx.init`: first values of parameters, chosen by their names or by what their variables say."""

import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.registry import put

__all__ = [
    "Bilinear",
    "Constant",
    "FusedRNN",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Xavier",
    "Zero",
    "alias",
    "create",
    "register",
]


class _ValueError(UsageError, ValueError):
    """A parameter that an initializer cannot fill, or a setting that it does not have."""


class _NameError(UsageError, AssertionError, ValueError):
    """A name that no initializer has, or a parameter that is not there."""


class InitDesc(str):
    """A parameter's name, with its variable's attributes and the initializer of the whole network.

    Args:
        name: the name.
        attrs: attributes of its variable.
        global_init: the initializer of the whole network.
    """

    attrs: dict[str, str]
    global_init: Any

    def __new__(cls, name: str, attrs: Mapping[str, str] | None = None, global_init: Any = None) -> "InitDesc":
        """The name itself."""
        found = super().__new__(cls, name)
        found.attrs, found.global_init = dict(attrs or {}), global_init
        return found


# endings of names, in the order in which they are tried, and the method that fills such parameters
_ENDINGS = {
    "weight": "weight",
    "bias": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "min": "zero",
    "max": "one",
    "weight_quantize": "quantized_weight",
    "bias_quantize": "quantized_bias",
}
_OLD_ENDINGS = {
    **{k: k for k in ("bias", "gamma", "beta", "weight")},
    "moving_mean": "zero",
    "moving_var": "one",
    "moving_inv_var": "zero",
    "moving_avg": "zero",
    "min": "zero",
    "max": "one",
}


class Initializer:
    """Fills parameters: by the `__init__` of their variable, else by their names' endings.

    Subclasses define `_init_weight(name, array)`; biases and betas become 0, gammas 1.

    Args:
        kwargs: settings, which `dumps` writes.
    """

    registry: ClassVar[dict[str, type]] = {}

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable[[Any], str] | None = None

    def set_verbosity(self, verbose: bool = False, print_func: Callable[[Any], str] | None = None) -> "Initializer":
        """Log what is filled.

        Args:
            verbose: whether to.
            print_func: what is said of an array; the root of its mean square where not given.
        """
        self._verbose = verbose
        self._print_func = print_func or (lambda x: str((nd.norm(x.as_nd_ndarray()) / math.sqrt(x.size)).asscalar()))
        return self

    def _verbose_print(self, desc: str, init: str, arr: Any) -> None:
        if self._verbose and self._print_func is not None:
            logging.info("Initialized %s as %s: %s", desc, init, self._print_func(arr))

    def dumps(self) -> str:
        """The initializer as a text, for a variable's `__init__`.

        >>> Xavier().dumps()
        '["xavier", {"rnd_type": "uniform", "factor_type": "avg", "magnitude": 3}]'
        """
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, desc: Any, arr: Any) -> None:
        """Fill an array.

        Args:
            desc: the parameter's name, an `InitDesc`.
            arr: the array.

        Raises:
            ValueError: no rule fits the name.
        """
        if not isinstance(desc, InitDesc):
            self._legacy_init(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        stated = desc.attrs.get("__init__", "")
        if stated:
            create(stated)._init_weight(desc, arr)
            self._verbose_print(desc, stated, arr)
            return
        ending = next((e for e in _ENDINGS if desc.endswith(e)), None)
        if ending is None:
            self._init_default(desc, arr)
            return
        getattr(self, f"_init_{_ENDINGS[ending]}")(desc, arr)
        self._verbose_print(desc, ending, arr)

    def _legacy_init(self, name: Any, arr: Any) -> None:
        warnings.warn(
            "\033[91mCalling initializer with init(str, NDArray) has been deprecated."
            "please use init(mx.init.InitDesc(...), NDArray) instead.\033[0m",
            DeprecationWarning,
            stacklevel=3,
        )
        if not isinstance(name, str):
            raise InputTypeError("name must be string", found=type(name).__name__)
        if not isinstance(arr, nd.NDArray):
            raise InputTypeError("arr must be NDArray", found=type(arr).__name__)
        if name.startswith("upsampling"):
            self._init_bilinear(name, arr)
        elif name.startswith("stn_loc") and name.endswith(("weight", "bias")):
            (self._init_zero if name.endswith("weight") else self._init_loc_bias)(name, arr)
        else:
            ending = next((e for e in _OLD_ENDINGS if name.endswith(e)), None)
            getattr(self, f"_init_{_OLD_ENDINGS[ending]}" if ending else "_init_default")(name, arr)

    def _init_bilinear(self, _: Any, arr: Any) -> None:
        arr[:] = bilinear_kernel(arr.shape)

    def _init_loc_bias(self, _: Any, arr: Any) -> None:
        if arr.shape[0] != 6:
            raise InputTypeError("an affine transformation has 6 values", found=arr.shape[0])
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0], "float32")

    def _init_zero(self, _: Any, arr: Any) -> None:
        arr[:] = 0.0

    def _init_one(self, _: Any, arr: Any) -> None:
        arr[:] = 1.0

    _init_bias = _init_beta = _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_quantized_weight(self, _: Any, arr: Any) -> None:
        arr[:] = nd.random.randint(-127, 127, shape=arr.shape, dtype="int32").astype("int8")

    def _init_weight(self, name: Any, arr: Any) -> None:
        raise NotImplementedError("Must override it")

    def _init_default(self, name: Any, _: Any) -> None:
        raise _ValueError(
            f"Unknown initialization pattern for {printable(name)}.",
            expected='names that end with "weight", "bias", "gamma" (1.0) or "beta" (0.0)',
            fix="say what it begins with: mx.sym.Variable(name, init=mx.init.*)",
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    def __hash__(self) -> int:
        return hash(self.dumps())


def bilinear_kernel(shape: Sequence[int]) -> np.ndarray:
    """Weights that double an image's size by bilinear interpolation, for each pair of channels."""
    factor = math.ceil(shape[3] / 2.0)
    center = (2 * factor - 1 - factor % 2) / (2.0 * factor)
    rows, columns = (1 - np.abs(np.arange(n) / factor - center) for n in shape[2:4])
    return np.broadcast_to(rows[:, None] * columns, shape).astype("float32")


def register(klass: type, name: str | None = None) -> type:
    """Make an initializer known by its class's name, or by another; also a decorator."""
    return put(Initializer.registry, klass, name, "initializer")


def alias(*names: str) -> Callable[[type], type]:
    """Decorates an initializer that has further names."""

    def decorate(klass: type) -> type:
        for each in names:
            register(klass, each)
        return klass

    return decorate


def create(init: Any, /, *args: Any, **kwargs: Any) -> Any:
    """An initializer by its name, or from the text of `dumps`.

    Raises:
        ValueError: there is none of this name.

    >>> create("normal", sigma=0.5).sigma, create('["constant", {"value": 2}]').value
    (0.5, 2)
    """
    if isinstance(init, (Initializer, Load, Mixed)):
        return init
    if isinstance(init, str) and init.startswith("["):
        try:
            name, kwargs = json.loads(init)
        except ValueError as error:
            raise _ValueError("the text is no initializer", found=printable(init)) from error
        init = name
    found = Initializer.registry.get(str(init).lower())
    if found is None:
        raise _NameError(f"no initializer is named {printable(init)}", expected=", ".join(sorted(Initializer.registry)))
    return found(*args, **kwargs)


class Load:
    """Fills parameters from a file or a dictionary.

    Args:
        param: arrays by name, `arg:` and `aux:` taken off, or a file of them.
        default_init: fills those that are not there.
        verbose: whether it is logged.
    """

    def __init__(self, param: Any, default_init: Any = None, verbose: bool = False) -> None:
        found = nd.load(param) if isinstance(param, str) else param
        if not isinstance(found, Mapping):
            raise InputTypeError("Load takes arrays by name", found=type(found).__name__)
        self.param = {k[4:] if k.startswith(("arg:", "aux:")) else k: v for k, v in found.items()}
        self.default_init, self.verbose = default_init, verbose

    def __call__(self, name: str, arr: Any) -> None:
        """Fill an array.

        Raises:
            AssertionError: another shape was loaded, or nothing by this name.
        """
        found = self.param.get(str(name))
        if found is not None:
            if tuple(found.shape) != tuple(arr.shape):
                raise _NameError(
                    f"Parameter {printable(name)} cannot be initialized from loading. Shape mismatch",
                    expected=tuple(arr.shape),
                    found=tuple(found.shape),
                )
            arr[:] = found
        elif self.default_init is None:
            raise _NameError(
                f"Cannot Initialize {printable(name)}. Not found in loaded param, and there is no default Initializer"
            )
        else:
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if found is not None else "default")


class Mixed:
    """Fills parameters by the first pattern that their names match.

    Args:
        patterns: regular expressions.
        initializers: an initializer for each.
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Any]) -> None:
        if len(patterns) != len(initializers):
            raise InputTypeError(
                "each pattern needs an initializer",
                expected=f"{len(patterns)} initializers",
                found=len(initializers),
            )
        self.map = list(zip([re.compile(p) for p in patterns], initializers, strict=True))

    def __call__(self, name: str, arr: Any) -> None:
        """Fill an array.

        Raises:
            ValueError: no pattern matches.
        """
        for pattern, init in self.map:
            if pattern.match(name):
                init(name, arr)
                return
        raise _ValueError(
            f"Parameter name {printable(name)} did not match any pattern.",
            expected=", ".join(p.pattern for p, _ in self.map),
            fix='add a ".*" pattern at the end with a default initializer',
        )


@register
@alias("zeros")
class Zero(Initializer):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: Any, arr: Any) -> None:
        arr[:] = 0


@register
@alias("ones")
class One(Initializer):
    """Ones."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: Any, arr: Any) -> None:
        arr[:] = 1


@register
class Constant(Initializer):
    """One value, or the values of an array.

    Args:
        value: a number or an array.
    """

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, name: Any, arr: Any) -> None:
        arr[:] = self.value

    def dumps(self) -> str:
        """The initializer as a text."""
        value = self._kwargs["value"]
        if not np.isscalar(value):
            value = (value if isinstance(value, np.ndarray) else value.asnumpy()).tolist()
        return json.dumps([type(self).__name__.lower(), {"value": value}])


@register
class Uniform(Initializer):
    """Uniform in [-scale, scale].

    Args:
        scale: the limit.
    """

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, name: Any, arr: Any) -> None:
        nd.random.uniform(-self.scale, self.scale, arr.shape, out=arr)


@register
class Normal(Initializer):
    """Normal around 0.

    Args:
        sigma: the standard deviation.
    """

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, name: Any, arr: Any) -> None:
        nd.random.normal(0, self.sigma, arr.shape, out=arr)


@register
class Orthogonal(Initializer):
    """Orthogonal rows or columns (Saxe and others, 2014).

    Args:
        scale: their length.
        rand_type: what they are drawn from, "uniform" or "normal".
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale, self.rand_type = scale, rand_type

    def _init_weight(self, name: Any, arr: Any) -> None:
        shape = (arr.shape[0], math.prod(arr.shape[1:]))
        if self.rand_type == "uniform":
            drawn = nd.random.uniform(-1.0, 1.0, shape=shape)
        elif self.rand_type == "normal":
            drawn = nd.random.normal(0.0, 1.0, shape=shape)
        else:
            raise _ValueError("no such distribution", expected="uniform or normal", found=self.rand_type)
        left, _, right = np.linalg.svd(drawn.asnumpy(), full_matrices=False)
        arr[:] = self.scale * (left if left.shape == shape else right).reshape(arr.shape)


@register
class Xavier(Initializer):
    """A spread that keeps the size of what passes through (Glorot and Bengio, 2010).

    Args:
        rnd_type: "uniform" or "gaussian".
        factor_type: whether inputs ("in"), outputs ("out") or their mean ("avg") count.
        magnitude: the variance is magnitude / factor.
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type, self.factor_type, self.magnitude = rnd_type, factor_type, float(magnitude)

    def _init_weight(self, name: Any, arr: Any) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise _ValueError(
                f"Xavier initializer cannot be applied to vector {printable(name)}.",
                expected="at least 2D",
                found=shape,
            )
        window = math.prod(shape[2:])
        fans = {"in": shape[1] * window, "out": shape[0] * window, "avg": (shape[0] + shape[1]) * window / 2.0}
        if self.factor_type not in fans:
            raise _ValueError("Incorrect factor type", expected=", ".join(fans), found=self.factor_type)
        scale = math.sqrt(self.magnitude / fans[self.factor_type])
        if self.rnd_type == "uniform":
            nd.random.uniform(-scale, scale, shape, out=arr)
        elif self.rnd_type == "gaussian":
            nd.random.normal(0, scale, shape, out=arr)
        else:
            raise _ValueError("Unknown random type", expected="uniform or gaussian", found=self.rnd_type)


@register
class MSRAPrelu(Xavier):
    """A spread that keeps the size of what passes through rectifiers (He and others, 2015).

    Args:
        factor_type: see `Xavier`.
        slope: the rectifier's slope below 0.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """Weights of a deconvolution that enlarges images by bilinear interpolation."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: Any, arr: Any) -> None:
        arr[:] = bilinear_kernel(arr.shape)


@register
class LSTMBias(Initializer):
    """Zeros, and the forget gate's part of an LSTM's bias.

    Args:
        forget_bias: what the forget gate begins with.
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: Any, arr: Any) -> None:
        arr[:] = 0.0
        size = arr.shape[0] // 4
        arr[size : 2 * size] = self.forget_bias


@register
class FusedRNN(Initializer):
    """The parts of a fused recurrent layer's parameters, each by an initializer of its own.

    Args:
        init: fills the parts; the network's own initializer where it is None.
        num_hidden, num_layers, mode, bidirectional: the layer's.
        forget_bias: what LSTMs' forget gates begin with.
    """

    def __init__(
        self,
        init: Any,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        self._init = create(init) if isinstance(init, str) else init
        super().__init__(
            init=self._init.dumps() if self._init is not None else None,
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )
        self._layer = (num_hidden, num_layers, mode, bidirectional)
        self._mode, self._forget_bias = mode, forget_bias

    def _init_weight(self, name: Any, arr: Any) -> None:
        from evergraph.mxnet.rnn import FusedRNNCell

        cell = FusedRNNCell(*self._layer, forget_bias=self._forget_bias, prefix="")
        parts = cell.unpack_weights({"parameters": arr})
        for key, part in parts.items():
            each = InitDesc(key, global_init=name.global_init)
            if self._mode == "lstm" and key.endswith("_f_bias"):
                part[:] = self._forget_bias
            else:
                (name.global_init if self._init is None else self._init)(each, part)
        arr[:] = cell.pack_weights(parts)["parameters"]
