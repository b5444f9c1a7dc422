"""Transforms of any arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mindspore.common import dtype as mstype

__all__ = ["Compose", "OneHot", "TypeCast"]


class TypeCast:
    """Another element type."""

    def __init__(self, output_type: Any) -> None:
        self.output_type = mstype.dtype_to_nptype(mstype.of(output_type))

    def __call__(self, data: Any) -> Any:
        """Cast."""
        return np.asarray(data).astype(self.output_type)


class OneHot:
    """A class index as zeros and one 1."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, data: Any) -> Any:
        """Spread the index."""
        place = int(data)
        if not 0 <= place < self.num_classes:
            raise UsageError("the class index is out of range", expected=f"0 to {self.num_classes - 1}", found=place)
        return np.eye(self.num_classes, dtype=np.asarray(data).dtype)[place]


class Compose:
    """Transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, data: Any) -> Any:
        """Apply all."""
        for transform in self.transforms:
            data = transform(data)
        return data
