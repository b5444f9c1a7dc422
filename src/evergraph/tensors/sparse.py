"""Sparse tensors made dense, with their stored parts checked first."""

from typing import TYPE_CHECKING

from evergraph.errors import DamagedError, UnsafeError, collect
from evergraph.stores import human
from evergraph.tensors.tensor import CSR, Tensor

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check_parts", "to_dense"]

LARGE = 1 << 30
"""A few bytes may declare a shape of any size: above this, the shape must be in proportion to them."""


def check_parts(tensor: Tensor) -> list[str]:
    """What is wrong with a sparse tensor's stored parts, one line each."""
    if tensor.storage == CSR:
        return _check_csr(tensor)
    rows = tensor.indices.numpy()
    total = (tensor.shape or (0,))[0]
    wrong = []
    if len(rows) and (rows.min() < 0 or rows.max() >= total):
        wrong.append(f"row numbers from {rows.min()} to {rows.max()}, and there are rows 0 to {total - 1}")
    if (rows[1:] <= rows[:-1]).any():
        wrong.append("row numbers that do not ascend")
    return wrong


def _check_csr(tensor: Tensor) -> list[str]:
    starts, columns = tensor.indptr.numpy(), tensor.indices.numpy()
    rows, width = tensor.shape or (0, 0)
    wrong = []
    if len(starts) != rows + 1:
        return [f"{len(starts)} row offsets for {rows} rows"]
    if len(starts) and starts[0] != 0:
        wrong.append(f"row offsets that begin at {starts[0]}")
    if (starts[1:] < starts[:-1]).any():
        wrong.append("row offsets that go back")
    if len(starts) and starts[-1] != len(columns):
        wrong.append(f"row offsets that end at {starts[-1]} for {len(columns)} stored values")
    if len(columns) and (columns.min() < 0 or columns.max() >= width):
        wrong.append(f"column numbers from {columns.min()} to {columns.max()}, and there are columns 0 to {width - 1}")
    return wrong


def to_dense(tensor: Tensor) -> "np.ndarray":
    """The whole array.

    Raises:
        DamagedError: listing what is wrong with the stored parts.
        UnsafeError: over a gigabyte, and a thousand times what is stored.
    """
    import numpy as np

    collect(DamagedError, f"the {tensor.storage} tensor's parts lie", check_parts(tensor), where=tensor.blob.place)
    shape = tensor.shape or ()
    dense = tensor.size * tensor.dtype.itemsize
    if dense > max(LARGE, 1000 * tensor.nbytes):
        raise UnsafeError(
            "the dense array would be out of proportion to what is stored",
            where=tensor.blob.place,
            expected=f"at most 1000 times the stored {human(tensor.nbytes)}",
            found=f"shape {shape}: {human(dense)}",
            fix="use the stored parts (.data, .indices, .indptr)",
        )
    whole = np.zeros(shape, dtype=tensor.dtype.numpy())
    values, columns = tensor.data.numpy(), tensor.indices.numpy().astype(np.int64)
    if tensor.storage == CSR:
        rows = np.repeat(np.arange(len(whole)), np.diff(tensor.indptr.numpy().astype(np.int64)))
        # MXNet sums entries that stand twice; sums of whatever a file holds are no reason for a warning
        with np.errstate(all="ignore"):
            np.add.at(whole, (rows, columns), values)
    else:
        whole[columns] = values
    return whole
