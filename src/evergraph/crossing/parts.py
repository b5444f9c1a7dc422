"""What a tensor is to its layer, in no framework's words: the ground on which names cross.

Values stand as PyTorch's layers hold them: convolutions as (out, in, *kernel), matrices as (out, in), recurrent layers
as one matrix for each layer, direction and input, with the gates input, forget, cell, output (LSTM) or reset, update,
new (GRU). Each framework's module says how its own names and layouts become parts, and the other way round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evergraph.tensors import Computed, Extent, Tensor

__all__ = ["OTHER", "Joint", "Part", "View", "computed", "joined", "reshaped", "section", "transposed"]

OTHER = "other"
"""Kind of what belongs to no known kind of layer: its name and values cross as they are."""


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor's place in a network.

    Attributes:
        owner: name of the layer, as the source spells it.
        kind: `batch_norm`, `norm`, `conv`, `conv1d`, `linear`, `embedding`, `prelu`, `rnn`, `rnn_cell` or `other`.
        role: `weight`, `bias`, `scale`, `shift`, `mean`, `variance`, `count`, `slope`; for recurrent layers
            `ih_weight`, `ih_bias`, `hh_weight`, `hh_bias`; for `other` the rest of the name.
        layer: which layer of a recurrent stack.
        reverse: whether it belongs to the direction that runs backwards.
        why: what told the kind.
        guessed: whether another kind fits the same names and shapes.
    """

    owner: str
    kind: str
    role: str
    layer: int = 0
    reverse: bool = False
    why: str = ""
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Joint:
    """That a view is one stretch of a source's tensor: `number` of `count`, in the order in which they were stored."""

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """A part with the values that belong to it: a source's tensor as it is, or something computed from it.

    Attributes:
        source: name of the tensor in the source; empty for values that the source does not hold.
        part: what it is.
        tensor: its values.
        changed: what was done to the values; empty where nothing was.
        joint: for a stretch of a longer vector.
        gate: for one gate of a recurrent matrix, which of how many it is: they are joined before they are named.
        axes: the order of axes that takes the values back to the source's.
        kept: whether the values can be taken back.
    """

    source: str
    part: Part
    tensor: Tensor
    changed: str = ""
    joint: Joint | None = None
    gate: Joint | None = None
    axes: tuple[int, ...] = ()
    kept: bool = True


def reshaped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same bytes in another shape."""
    return tensor.replace(shape=shape)


def transposed(tensor: Tensor, axes: tuple[int, ...], shape: tuple[int, ...] | None = None) -> Tensor:
    """The values with their axes in another order, computed when they are asked for.

    Args:
        tensor: a dense tensor.
        axes: as numpy.transpose takes them.
        shape: what the result is reshaped to.

    >>> import numpy as np
    >>> transposed(Tensor.of(np.arange(6).reshape(2, 3)), (1, 0)).numpy().tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    turned = tuple((tensor.shape or ())[a] for a in axes)
    return computed(tensor, turned if shape is None else shape, lambda array: array.transpose(axes))


def computed(tensor: Tensor, shape: tuple[int, ...], function: Callable[[Any], Any]) -> Tensor:
    """A dense tensor whose values a function makes from another's array, when they are asked for."""

    def make() -> Any:
        import numpy as np

        return np.ascontiguousarray(function(tensor.numpy())).reshape(-1).view(np.uint8)

    count = 1
    for size in shape:
        count *= size
    blob = Computed(count * tensor.dtype.itemsize, make, tensor.blob.place)
    return Tensor(tensor.dtype, shape, blob, details=tensor.details)


def section(tensor: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
    """Elements of a dense tensor from one of them on, in a shape of their own, without a copy where it is in a file.

    >>> import numpy as np
    >>> section(Tensor.of(np.arange(6)), 2, (2, 2)).numpy().tolist()
    [[2, 3], [4, 5]]
    """
    count, size = 1, tensor.dtype.itemsize
    for length in shape:
        count *= length
    blob: Any = tensor.blob
    if isinstance(blob, Extent):
        part: Any = Extent(blob.source, blob.offset + start * size, count * size)
    else:
        part = Computed(count * size, lambda: blob.read()[start * size : (start + count) * size], blob.place)
    return Tensor(tensor.dtype, shape, part)


def joined(tensors: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """The values of several tensors behind each other, in one shape."""
    from evergraph.tensors import Joined

    return Tensor(tensors[0].dtype, shape, Joined([t.blob for t in tensors]))
