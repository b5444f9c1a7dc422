"""Layers that networks are mostly made of."""

from typing import Any

import numpy as np

from evergraph.mxnet._later import later
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn.activations import Activation

__all__ = [
    "BatchNorm",
    "BatchNormReLU",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "HybridConcatenate",
    "Identity",
    "InstanceNorm",
    "LayerNorm",
    "SyncBatchNorm",
]

__getattr__ = later(__name__, "evergraph.mxnet.gluon.nn.containers", "evergraph.mxnet.gluon.block")


class Dense(HybridBlock):
    """A fully connected layer: activation(x @ weight.T + bias).

    Args:
        units: size of the output.
        activation: name of an activation function.
        use_bias: whether a bias is added.
        flatten: whether all axes after the first are one; else the last axis alone is used.
        dtype: element type of the parameters.
        weight_initializer: how the weight begins.
        bias_initializer: how the bias begins.
        in_units: size of the input; 0 to take it from the first batch.

    >>> Dense(3, in_units=2)
    Dense(2 -> 3, linear)
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_units: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._flatten, self._units, self._in_units = flatten, units, in_units
        with self.name_scope():
            self.weight = self.params.get(
                "weight", shape=(units, in_units), init=weight_initializer, dtype=dtype, allow_deferred_init=True
            )
            self.bias = None
            if use_bias:
                self.bias = self.params.get(
                    "bias", shape=(units,), init=bias_initializer, dtype=dtype, allow_deferred_init=True
                )
            self.act = None if activation is None else Activation(activation, prefix=f"{activation}_")

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        """The layer's output."""
        options = {"num_hidden": self._units, "flatten": self._flatten, "name": "fwd"}
        call = F.npx.fully_connected if STATE.np_array else F.FullyConnected
        found = call(x, weight, *([] if bias is None else [bias]), no_bias=bias is None, **options)
        return found if self.act is None else self.act(found)

    def __repr__(self) -> str:
        shape = self.weight.shape or (0, 0)
        return f"{type(self).__name__}({shape[1] or None} -> {shape[0]}, {self.act or 'linear'})"


class Dropout(HybridBlock):
    """Sets elements to 0 with a probability while training, and scales the others up.

    Args:
        rate: the probability.
        axes: axes along which all elements share one draw.
    """

    def __init__(self, rate: float, axes: Any = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rate, self._axes = rate, axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The layer's output."""
        if self._rate > 0:
            call = F.npx.dropout if STATE.np_array else F.Dropout
            return call(x, p=self._rate, axes=self._axes, name="fwd", cudnn_off=False)
        return (F.np.copy if STATE.np_array else F.identity)(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p = {self._rate}, axes={self._axes})"


class _BatchNorm(HybridBlock):
    """What the two batch normalizations have."""

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        fuse_relu: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {
            "axis": axis,
            "eps": epsilon,
            "momentum": momentum,
            "fix_gamma": not scale,
            "use_global_stats": use_global_stats,
        }
        self.fuse_relu = fuse_relu
        shape = (in_channels,)
        options: dict[str, Any] = {"shape": shape, "allow_deferred_init": True}
        self.gamma = self.params.get(
            "gamma",
            grad_req="write" if scale else "null",
            init=gamma_initializer,
            differentiable=scale,
            **options,
        )
        self.beta = self.params.get(
            "beta",
            grad_req="write" if center else "null",
            init=beta_initializer,
            differentiable=center,
            **options,
        )
        options |= {"grad_req": "null", "differentiable": False}
        self.running_mean = self.params.get("running_mean", init=running_mean_initializer, **options)
        self.running_var = self.params.get("running_var", init=running_variance_initializer, **options)

    def cast(self, dtype: Any) -> None:
        """Change the element type; statistics stay in float32 beside half precision."""
        super().cast("float32" if np.dtype(dtype).name == "float16" else dtype)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """The layer's output."""
        if STATE.np_array:
            call = F.npx.batch_norm
        else:
            call = F.contrib.BatchNormWithReLU if self.fuse_relu else F.BatchNorm
        return call(x, gamma, beta, running_mean, running_var, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        shown = ", ".join([f"{k}={v!r}" for k, v in self._kwargs.items()])
        return f"{type(self).__name__}({shown}, in_channels={(self.gamma.shape or (0,))[0] or None})"


class BatchNorm(_BatchNorm):
    """Batch normalization over all axes but one.

    Args:
        axis: the axis of the channels.
        momentum: how much of the running statistics is kept at each step.
        epsilon: what is added to the variance.
        center: whether beta is learned.
        scale: whether gamma is learned.
        use_global_stats: whether training uses the running statistics too.
        beta_initializer: how beta begins.
        gamma_initializer: how gamma begins.
        running_mean_initializer: how the running mean begins.
        running_variance_initializer: how the running variance begins.
        in_channels: number of channels; 0 to take it from the first batch.
    """

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            momentum,
            epsilon,
            center,
            scale,
            use_global_stats,
            False,
            beta_initializer,
            gamma_initializer,
            running_mean_initializer,
            running_variance_initializer,
            in_channels,
            **kwargs,
        )


class BatchNormReLU(_BatchNorm):
    """Batch normalization and what is above zero of it; arguments as those of `BatchNorm`."""

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            momentum,
            epsilon,
            center,
            scale,
            use_global_stats,
            True,
            beta_initializer,
            gamma_initializer,
            running_mean_initializer,
            running_variance_initializer,
            in_channels,
            **kwargs,
        )


class SyncBatchNorm(BatchNorm):
    """Batch normalization whose statistics are those of all devices: here each process has one."""

    def __init__(self, in_channels: int = 0, num_devices: int | None = None, **kwargs: Any) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        self._num_devices = num_devices

    def _alias(self) -> str:
        return "syncbatchnorm"


class _Scaled(HybridBlock):
    """A normalization with a learned gamma and beta."""

    def __init__(
        self, epsilon: float, center: bool, scale: bool, beta: Any, gamma: Any, channels: int, kwargs: dict[str, Any]
    ) -> None:
        super().__init__(**kwargs)
        self._epsilon, self._center, self._scale = epsilon, center, scale
        options: dict[str, Any] = {"shape": (channels,), "allow_deferred_init": True}
        self.gamma = self.params.get("gamma", grad_req="write" if scale else "null", init=gamma, **options)
        self.beta = self.params.get("beta", grad_req="write" if center else "null", init=beta, **options)

    def _shown(self) -> dict[str, Any]:
        return {}

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self._shown().items())
        return f"{type(self).__name__}({shown}, in_channels={(self.gamma.shape or (0,))[0]})"


class InstanceNorm(_Scaled):
    """Normalization of each sample's channels over space."""

    def __init__(
        self,
        axis: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, in_channels, kwargs)
        self._axis = axis

    def _shown(self) -> dict[str, Any]:
        return {"eps": self._epsilon, "axis": self._axis, "center": self._center, "scale": self._scale}

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """The layer's output."""
        if self._axis == 1:
            return F.InstanceNorm(x, gamma, beta, name="fwd", eps=self._epsilon)
        turned = x.swapaxes(1, self._axis)
        return F.InstanceNorm(turned, gamma, beta, name="fwd", eps=self._epsilon).swapaxes(1, self._axis)


class LayerNorm(_Scaled):
    """Normalization over one axis."""

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        options = {"prefix": prefix, "params": params}
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, in_channels, options)
        self._axis = axis

    def _shown(self) -> dict[str, Any]:
        return {"eps": self._epsilon, "axis": self._axis, "center": self._center, "scale": self._scale}

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """The layer's output."""
        call = F.npx.layer_norm if STATE.np_array else F.LayerNorm
        return call(data, gamma=gamma, beta=beta, axis=self._axis, eps=self._epsilon)


class GroupNorm(_Scaled):
    """Normalization of groups of channels over space."""

    def __init__(
        self,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        options = {"prefix": prefix, "params": params}
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, in_channels, options)
        self._num_groups = num_groups

    def _shown(self) -> dict[str, Any]:
        return {
            "eps": self._epsilon,
            "num_groups": self._num_groups,
            "center": self._center,
            "scale": self._scale,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._shown().items())})"

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """The layer's output."""
        return F.GroupNorm(data, gamma=gamma, beta=beta, num_groups=self._num_groups, eps=self._epsilon)


class Embedding(HybridBlock):
    """A row of the weight for each index.

    Args:
        input_dim: how many rows there are.
        output_dim: size of a row.
        dtype: element type of the weight.
        weight_initializer: how the weight begins.
        sparse_grad: whether the gradient holds only the rows that were read.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        sparse_grad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {
            "input_dim": input_dim,
            "output_dim": output_dim,
            "dtype": dtype,
            "sparse_grad": sparse_grad,
        }
        self.weight = self.params.get(
            "weight",
            shape=(input_dim, output_dim),
            init=weight_initializer,
            dtype=dtype,
            allow_deferred_init=True,
            grad_stype="row_sparse" if sparse_grad else "default",
        )

    def hybrid_forward(self, F: Any, x: Any, weight: Any) -> Any:
        """The layer's output."""
        call = F.npx.embedding if STATE.np_array else F.Embedding
        return call(x, weight, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        kind = self._kwargs["dtype"]
        return f"{type(self).__name__}({self._kwargs['input_dim']} -> {self._kwargs['output_dim']}, {kind})"


class Flatten(HybridBlock):
    """All axes after the first as one."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The layer's output."""
        return (F.npx.batch_flatten if STATE.np_array else F.Flatten)(x)

    def __repr__(self) -> str:
        return type(self).__name__


class Identity(HybridBlock):
    """The input itself."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The input."""
        return x


class HybridConcatenate(HybridBlock):
    """The outputs of several blocks for one input, joined along an axis."""

    def __init__(self, axis: int = -1, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.axis = axis

    def add(self, *blocks: HybridBlock) -> None:
        """Put blocks at the end."""
        for block in blocks:
            self.register_child(block)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The joined outputs."""
        return F.concat(*[block(x) for block in self._children.values()], dim=self.axis)


class Concatenate(HybridConcatenate):
    """As `HybridConcatenate`."""
