"""`mx.npx.image`: the operators on images, of arrays of `mx.np`, and what `mx.image` has.

>>> from evergraph.mxnet import np, npx
>>> npx.image.to_tensor(np.ones((4, 6, 3), dtype="uint8")).shape
(3, 4, 6)
"""

from typing import Any

from evergraph.mxnet import image as _image
from evergraph.mxnet.numpy.functions.extension import image_operators
from evergraph.mxnet.numpy_extension.operators import of_arrays

__all__: list[str] = []

globals().update({name: getattr(_image, name) for name in _image.__all__})


def __getattr__(name: str) -> Any:
    found = of_arrays(image_operators(), name, __name__)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *image_operators()})
