"""`open(..., verify=True)`: the checksums that were saved with a checkpoint are compared before it is given out."""

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import IntegrityError

ARRAYS = {"arg:a": np.arange(6, dtype="float32"), "arg:b": np.ones((2, 3), "float16")}


def test_gives_the_checkpoint_where_every_byte_is_as_saved(tmp_path):
    eg.save(ARRAYS, tmp_path / "w.params", checksum=True)
    found = eg.open(tmp_path / "w.params", verify=True)
    assert found["arg:b"].numpy().tolist() == ARRAYS["arg:b"].tolist()


def test_names_every_damaged_tensor_at_once(tmp_path):
    path = tmp_path / "w.params"
    eg.save(ARRAYS, path, checksum=True)
    data = bytearray(path.read_bytes())
    for array in ARRAYS.values():
        data[data.index(array.tobytes()) + 5] ^= 4
    path.write_bytes(data)
    assert list(eg.open(path)) == list(ARRAYS)
    with pytest.raises(IntegrityError) as caught:
        eg.open(path, verify=True)
    assert "arg:a: damaged" in str(caught.value)
    assert "arg:b: damaged" in str(caught.value)


def test_says_that_there_is_nothing_to_compare_with(tmp_path):
    eg.save(ARRAYS, tmp_path / "w.params")
    with pytest.raises(IntegrityError, match="no checksums were saved"):
        eg.open(tmp_path / "w.params", verify=True)
