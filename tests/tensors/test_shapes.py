"""Shapes that no array can have end in an error of ours, wherever they come from."""

import numpy as np
import pytest

from evergraph.errors import DamagedError
from evergraph.tensors import DTYPES, Held, Tensor
from evergraph.tensors.shapes import impossible


@pytest.mark.parametrize("shape", [(2**62, 0), (0, 2**63 - 1), (2**62, 4, 0), (1,) * 70, (5,), (2**70, 0), (-1, 0)])
def test_rejects_shapes_that_no_array_has(shape):
    tensor = Tensor(DTYPES["float32"], shape, Held(b""), details={})
    with pytest.raises(DamagedError, match="no array has this shape"):
        tensor.numpy()
    if 0 in shape:
        with pytest.raises(DamagedError, match="no array has this shape"):
            tensor.torch()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2**40), (1,) * 32, (7, 5)])
def test_possible_shapes_are_those_of_numpy(shape):
    assert not impossible(shape, 1)
    assert np.empty(0 if 0 in shape else shape).reshape(shape).shape == shape
