"""Dense, Embedding, Dropout, Flatten and their like."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import HeUniform, Uniform, initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import wrap
from evergraph.mindspore.nn.activation import get_activation
from evergraph.mindspore.nn.cell import Cell

__all__ = ["Dense", "Dropout", "Embedding", "Flatten", "Identity", "OneHot", "Pad"]


class Dense(Cell):
    """x @ weight.T + bias over the last dimension; weight is (out_channels, in_channels).

    Args:
        in_channels, out_channels: sizes of the last dimension before and after.
        weight_init, bias_init: as `initializer` takes them; evenly by the fan-in where None.
        has_bias: whether a bias is added.
        activation: None, a name such as "relu", or a Cell.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        weight_init: Any = None,
        bias_init: Any = None,
        has_bias: bool = True,
        activation: Any = None,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        if any(not isinstance(n, (int, np.integer)) or n < 1 for n in (in_channels, out_channels)):
            raise UsageError(
                "channels are whole numbers above 0", where="Dense", found=printable((in_channels, out_channels))
            )
        self.in_channels, self.out_channels, self.has_bias = in_channels, out_channels, has_bias
        start = HeUniform(math.sqrt(5)) if weight_init is None else weight_init
        self.weight = Parameter(initializer(start, (out_channels, in_channels), dtype), name="weight")
        self.bias: Any = None
        if has_bias:
            start = Uniform(1 / math.sqrt(max(in_channels, 1))) if bias_init is None else bias_init
            self.bias = Parameter(initializer(start, (out_channels,), dtype), name="bias")
        self.activation = get_activation(activation) if isinstance(activation, str) else activation

    def construct(self, x: Any) -> Any:
        """Multiply, add, activate."""
        found = wrap(F.linear(x._torch, self.weight._torch, self.bias._torch if self.has_bias else None))
        return found if self.activation is None else self.activation(found)

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        shown = f"input_channels={self.in_channels}, output_channels={self.out_channels}, has_bias={self.has_bias}"
        return shown if self.activation is None else f"{shown}, activation={self.activation}"


class Embedding(Cell):
    """Rows of `embedding_table` (vocab_size, embedding_size).

    Args:
        vocab_size, embedding_size: rows and their length.
        use_one_hot: taken; the values are the same.
        embedding_table: as `initializer` takes it.
        padding_idx: a row that begins with zeros.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        use_one_hot: bool = False,
        embedding_table: Any = "normal",
        dtype: Any = mstype.float32,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        self.vocab_size, self.embedding_size, self.use_one_hot = vocab_size, embedding_size, use_one_hot
        self.padding_idx, self.dtype = padding_idx, mstype.of(dtype)
        table = initializer(embedding_table, (vocab_size, embedding_size), dtype)
        if padding_idx is not None:
            table._torch[padding_idx] = 0
        self.embedding_table = Parameter(table, name="embedding_table")

    def construct(self, ids: Any) -> Any:
        """The rows of these indices."""
        return wrap(F.embedding(ids._torch, self.embedding_table._torch))

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        return (
            f"vocab_size={self.vocab_size}, embedding_size={self.embedding_size}, use_one_hot={self.use_one_hot}, "
            f"embedding_table={self.embedding_table}, dtype={self.dtype}, padding_idx={self.padding_idx}"
        )


class Dropout(Cell):
    """Zeros in a share `p` of the elements while training, the rest divided by 1 - p.

    Args:
        keep_prob: 1 - p, as old programs give it.
        p: the share.
    """

    def __init__(self, keep_prob: float = 0.5, p: float | None = None, dtype: Any = mstype.float32) -> None:
        super().__init__()
        if p is None and not 0 < keep_prob <= 1:
            raise UsageError("keep_prob is above 0 and at most 1", found=printable(keep_prob))
        if p is not None and not 0 <= p < 1:
            raise UsageError("p is at least 0 and below 1", found=printable(p))
        self.keep_prob, self.p = keep_prob, p

    def construct(self, x: Any) -> Any:
        """Drop while training."""
        share = 1 - self.keep_prob if self.p is None else self.p
        return wrap(F.dropout(x._torch, share, True)) if self.training and share else x

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them."""
        return f"keep_prob={self.keep_prob}" if self.p is None else f"p={self.p}"


class _ChannelDropout(Cell):
    """Zeros in a share `p` of the channels while training, the rest divided by 1 - p."""

    _drop: Any = F.dropout1d

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise UsageError("p is from 0 to 1", found=printable(p))
        self.p = p

    def construct(self, x: Any) -> Any:
        """Drop while training."""
        return wrap(type(self)._drop(x._torch, self.p, True)) if self.training and self.p else x

    def extend_repr(self) -> str:
        """The argument, as MindSpore prints it: 1 - p."""
        return f"p={1 - self.p}"


class Dropout1d(_ChannelDropout):
    """Whole lines left out while training."""


class Dropout2d(_ChannelDropout):
    """Whole images left out while training."""

    _drop = F.dropout2d


class Dropout3d(_ChannelDropout):
    """Whole volumes left out while training."""

    _drop = F.dropout3d


class Flatten(Cell):
    """One dimension of all from `start_dim` to `end_dim`."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def construct(self, x: Any) -> Any:
        """Flatten."""
        return wrap(torch.flatten(x._torch, self.start_dim, self.end_dim))


class Identity(Cell):
    """Its input; arguments are taken and unused."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def construct(self, x: Any) -> Any:
        """The input."""
        return x


class OneHot(Cell):
    """`on_value` where an index points along `axis`, else `off_value`."""

    def __init__(
        self,
        axis: int = -1,
        depth: int = 1,
        on_value: float = 1.0,
        off_value: float = 0.0,
        dtype: Any = mstype.float32,
    ) -> None:
        super().__init__()
        self.axis, self.depth, self.on_value, self.off_value, self.dtype = axis, depth, on_value, off_value, dtype

    def construct(self, indices: Any) -> Any:
        """Spread the indices."""
        found = F.one_hot(indices._torch.long(), self.depth).bool()
        found = torch.where(found, self.on_value, self.off_value).to(mstype.of(self.dtype).torch)
        return wrap(found if self.axis == -1 else found.movedim(-1, self.axis))


class Pad(Cell):
    """Padded by `paddings`, (before, after) for each dimension; CONSTANT, REFLECT or SYMMETRIC."""

    def __init__(self, paddings: Any, mode: str = "CONSTANT") -> None:
        super().__init__()
        if mode not in _MODES:
            raise UsageError("no such mode", expected=", ".join(_MODES), found=printable(mode))
        self.paddings, self.mode = paddings, mode

    def construct(self, x: Any) -> Any:
        """Pad."""
        import numpy as np

        if self.mode == "CONSTANT":
            return wrap(F.pad(x._torch, [n for pair in reversed(self.paddings) for n in pair]))
        data = x._torch
        for axis, pair in enumerate(self.paddings):
            where = np.pad(np.arange(data.shape[axis]), pair, _MODES[self.mode])
            data = data.index_select(axis, torch.from_numpy(where))
        return wrap(data)


_MODES: dict[str, Any] = {"CONSTANT": "constant", "REFLECT": "reflect", "SYMMETRIC": "symmetric"}
