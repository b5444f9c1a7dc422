"""Normalizations: over batches, layers, groups and instances."""

from typing import Any

import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import wrap
from evergraph.mindspore.nn.cell import Cell
from evergraph.ops.families.nn.strides import batch_norm

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "SyncBatchNorm",
]


class _BatchNorm(Cell):
    """Normalization over all dimensions but the second; moving = momentum * moving + (1 - momentum) * new.

    Args:
        num_features: size of the second dimension.
        eps: added to the variance.
        momentum: how much of the moving statistics is kept at a step.
        affine: whether gamma and beta are trained.
        use_batch_statistics: None follows training; True or False fixes it.
    """

    _keeps_parameters = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.9,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        moving_mean_init: Any = "zeros",
        moving_var_init: Any = "ones",
        use_batch_statistics: bool | None = None,
        data_format: str = "NCHW",
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        if num_features < 1 or not 0 <= momentum <= 1:
            raise UsageError(
                "num_features is at least 1, momentum from 0 to 1", found=printable((num_features, momentum))
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.use_batch_statistics = use_batch_statistics
        start = lambda init, name, grad: Parameter(initializer(init, (num_features,), dtype), name, grad)
        self.moving_mean = start(moving_mean_init, "mean", False)
        self.moving_variance = start(moving_var_init, "variance", False)
        self.gamma = start(gamma_init, "gamma", affine)
        self.beta = start(beta_init, "beta", affine)

    def construct(self, x: Any) -> Any:
        """Normalize x (N, num_features, ...)."""
        batch = self.training if self.use_batch_statistics is None else self.use_batch_statistics
        mean, variance = self.moving_mean._torch, self.moving_variance._torch
        return wrap(
            batch_norm(
                x._torch, self.gamma._torch, self.beta._torch, mean, variance, batch, 1 - self.momentum, self.eps
            )
        )

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        return (
            f"num_features={self.num_features}, eps={self.eps}, momentum={self.momentum}, gamma={self.gamma}, "
            f"beta={self.beta}, moving_mean={self.moving_mean}, moving_variance={self.moving_variance}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L)."""


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W).

    >>> [p.name for p in BatchNorm2d(3).get_parameters()]
    ['mean', 'variance', 'gamma', 'beta']
    """


class BatchNorm3d(Cell):
    """Batch normalization of (N, C, D, H, W); its Parameters are those of a child `bn2d`.

    >>> [p.name for p in BatchNorm3d(3).get_parameters()]
    ['bn2d.moving_mean', 'bn2d.moving_variance', 'bn2d.gamma', 'bn2d.beta']
    """

    _keeps_parameters = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.9,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        moving_mean_init: Any = "zeros",
        moving_var_init: Any = "ones",
        use_batch_statistics: bool | None = None,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        starts = (gamma_init, beta_init, moving_mean_init, moving_var_init)
        self.bn2d = BatchNorm2d(
            num_features, eps, momentum, affine, *starts, use_batch_statistics=use_batch_statistics, dtype=dtype
        )

    def construct(self, x: Any) -> Any:
        """Normalize x (N, num_features, D, H, W)."""
        return self.bn2d(x)


class SyncBatchNorm(_BatchNorm):
    """Batch normalization over the devices of a group; in one process, BatchNorm2d."""

    def __init__(self, num_features: int, *rest: Any, process_groups: Any = None, **named: Any) -> None:
        super().__init__(num_features, *rest, **named)


class LayerNorm(Cell):
    """Normalization over the last dimensions, with gamma and beta of `normalized_shape`."""

    _keeps_parameters = True

    def __init__(
        self,
        normalized_shape: Any,
        begin_norm_axis: int = -1,
        begin_params_axis: int = -1,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        epsilon: float = 1e-7,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        if not isinstance(normalized_shape, (tuple, list)):
            raise UsageError("normalized_shape is a tuple or list", found=printable(normalized_shape))
        self.normalized_shape, self.epsilon = tuple(normalized_shape), epsilon
        self.begin_norm_axis, self.begin_params_axis = begin_norm_axis, begin_params_axis
        self.gamma = Parameter(initializer(gamma_init, normalized_shape, dtype), name="gamma")
        self.beta = Parameter(initializer(beta_init, normalized_shape, dtype), name="beta")

    def construct(self, x: Any) -> Any:
        """Normalize."""
        data = x._torch
        axis = self.begin_norm_axis % data.dim()
        if tuple(data.shape[axis:]) == self.normalized_shape:
            return wrap(F.layer_norm(data, self.normalized_shape, self.gamma._torch, self.beta._torch, self.epsilon))
        plain = F.layer_norm(data, tuple(data.shape[axis:]), None, None, self.epsilon)
        return wrap(plain * self.gamma._torch + self.beta._torch)

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them, whose `gamma` has no sign of equality."""
        return (
            f"normalized_shape={self.normalized_shape}, begin_norm_axis={self.begin_norm_axis}, "
            f"begin_params_axis={self.begin_params_axis}, gamma{self.gamma}, beta={self.beta}"
        )


class GroupNorm(Cell):
    """Normalization over groups of channels."""

    _keeps_parameters = True

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise UsageError("num_groups divides num_channels", found=(num_channels, num_groups))
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.gamma = Parameter(initializer(gamma_init, (num_channels,), dtype), "gamma", affine)
        self.beta = Parameter(initializer(beta_init, (num_channels,), dtype), "beta", affine)

    def construct(self, x: Any) -> Any:
        """Normalize x (N, num_channels, ...)."""
        return wrap(F.group_norm(x._torch, self.num_groups, self.gamma._torch, self.beta._torch, self.eps))

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        return f"num_groups={self.num_groups}, num_channels={self.num_channels}"


class _InstanceNorm(Cell):
    """Normalization over the space of each channel of each sample."""

    _keeps_parameters = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        gamma_init: Any = "ones",
        beta_init: Any = "zeros",
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        start = lambda init, name, grad: Parameter(initializer(init, (num_features,), dtype), name, grad)
        self.moving_mean = start("zeros", "mean", False)
        self.moving_variance = start("ones", "variance", False)
        self.gamma, self.beta = start(gamma_init, "gamma", affine), start(beta_init, "beta", affine)

    def construct(self, x: Any) -> Any:
        """Normalize x (N, num_features, ...)."""
        # as many groups as channels: for one image, torch's instance_norm has other gradients where it is channels last
        data = x._torch
        return wrap(F.group_norm(data, data.shape[1], self.gamma._torch, self.beta._torch, self.eps))

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        held = ", ".join(f"{n}={getattr(self, n)}" for n in ("gamma", "beta", "moving_mean", "moving_variance"))
        return f"num_features={self.num_features}, eps={self.eps}, momentum={self.momentum}, {held}"


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (N, C, L)."""


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of (N, C, H, W)."""


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of (N, C, D, H, W)."""
