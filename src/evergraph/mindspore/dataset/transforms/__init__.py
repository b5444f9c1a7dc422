"""Transforms of any arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype

__all__ = ["Compose", "OneHot", "TypeCast"]


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
