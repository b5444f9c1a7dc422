"""Transforms of any arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype

__all__ = [
    "Compose",
    "Concatenate",
    "Duplicate",
    "Fill",
    "OneHot",
    "PadEnd",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
    "Slice",
    "TypeCast",
    "Unique",
]


class TypeCast:
    """Another element type."""

    def __init__(self, data_type: Any) -> None:
        self.output_type = mstype.dtype_to_nptype(mstype.of(data_type))

    def __call__(self, data: Any) -> Any:
        """Cast."""
        return np.asarray(data).astype(self.output_type)


class OneHot:
    """Class indices as zeros and one 1 each.

    Args:
        num_classes: how many.
        smoothing_rate: what share of the 1 is spread over all classes, evenly.
    """

    def __init__(self, num_classes: int, smoothing_rate: float = 0.0) -> None:
        self.num_classes, self.smoothing_rate = num_classes, smoothing_rate

    def __call__(self, data: Any) -> Any:
        """Spread the indices."""
        places = np.asarray(data)
        if places.size and (places.min() < 0 or places.max() >= self.num_classes):
            raise UsageError(
                "a class index is out of range", expected=f"0 to {self.num_classes - 1}", found=printable(places)
            )
        found = np.eye(self.num_classes, dtype=places.dtype)[places]
        rate = self.smoothing_rate
        return found * (1 - rate) + rate / self.num_classes if rate else found


class Compose:
    """Transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, data: Any) -> Any:
        """Apply all."""
        for transform in self.transforms:
            data = transform(data)
        return data


class PadEnd:
    """A shape to which values are added, or cut, at the end of each axis.

    Args:
        pad_shape: the sizes; None leaves an axis as it is.
        pad_value: what is added, 0 or an empty text by default.
    """

    def __init__(self, pad_shape: Sequence[int | None], pad_value: Any = None) -> None:
        self.pad_shape, self.pad_value = list(pad_shape), pad_value

    def __call__(self, data: Any) -> Any:
        """Pad."""
        array = np.asarray(data)
        if array.ndim != len(self.pad_shape):
            raise UsageError("pad_shape has a size for each axis", expected=array.ndim, found=len(self.pad_shape))
        shape = [have if want is None else want for have, want in zip(array.shape, self.pad_shape, strict=True)]
        texts = array.dtype.kind in "US"
        made = np.full(shape, ("" if texts else 0) if self.pad_value is None else self.pad_value, array.dtype)
        kept = tuple(map(slice, np.minimum(array.shape, shape)))
        made[kept] = array[kept]
        return made


class Fill:
    """One value everywhere, of the data's shape and type."""

    def __init__(self, fill_value: Any) -> None:
        self.fill_value = fill_value

    def __call__(self, data: Any) -> Any:
        """Fill."""
        return np.full_like(np.asarray(data), self.fill_value)


class Concatenate:
    """Columns of one row, joined along an axis, with arrays before and behind them."""

    def __init__(self, axis: int = 0, prepend: Any = None, append: Any = None) -> None:
        self.axis, self.prepend, self.append = axis, prepend, append

    def __call__(self, *columns: Any) -> Any:
        """Join."""
        given = [v for v in (self.prepend, *columns, self.append) if v is not None]
        return np.concatenate([np.asarray(v) for v in given], self.axis)


class Duplicate:
    """A column twice."""

    def __call__(self, data: Any) -> Any:
        """Duplicate."""
        return data, data


class Slice:
    """Parts of an array: an index, a list of indices, a slice, ... or None for all, for each axis."""

    def __init__(self, *slices: Any) -> None:
        self.slices = slices

    def __call__(self, data: Any) -> Any:
        """Cut."""
        found = np.asarray(data)
        for axis, part in enumerate(self.slices):
            if part is Ellipsis:
                break
            one = slice(None) if part is None else [part] if isinstance(part, int) else part
            found = found[(slice(None),) * axis + (one,)]
        return found


class Unique:
    """The different values in their order, where each value's stands, and how often each is there."""

    def __call__(self, data: Any) -> Any:
        """Find them."""
        values, first, places, counts = np.unique(np.ravel(data), True, True, True)
        order = np.argsort(first)
        rank = np.argsort(order)
        return values[order], rank[places].astype(np.int32), counts[order].astype(np.int32)


class RandomApply:
    """Transforms, all or none of them by chance."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], prob: float = 0.5) -> None:
        self.transforms, self.prob = Compose(transforms), prob

    def __call__(self, data: Any) -> Any:
        """Apply them, or not."""
        return self.transforms(data) if np.random.random() < self.prob else data


class RandomChoice:
    """One of several transforms, by chance."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, data: Any) -> Any:
        """Apply one."""
        return self.transforms[np.random.randint(len(self.transforms))](data)


class RandomOrder:
    """Transforms in an order by chance."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, data: Any) -> Any:
        """Apply all."""
        for place in np.random.permutation(len(self.transforms)):
            data = self.transforms[place](data)
        return data
