"""`mx.contrib.io`: gluon's loaders as iterators for Module."""

from collections.abc import Iterator
from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io import DataDesc, DataIter

__all__ = ["DataLoaderIter"]


class DataLoaderIter(DataIter):
    """Batches of a `gluon.data.DataLoader` as Module takes them; samples of its own fill up an incomplete last one.

    Args:
        loader: gives batches of data, or of data and a label.
        data_name: name of the data.
        label_name: name of the label.
        dtype: element type of both.

    >>> import numpy as np
    >>> from evergraph.mxnet import gluon
    >>> data = gluon.data.ArrayDataset(np.ones((5, 2), "float32"), np.zeros(5, "float32"))
    >>> [b.pad for b in DataLoaderIter(gluon.data.DataLoader(data, 2))]
    [0, 0, 1]
    """

    def __init__(
        self, loader: Any, data_name: str = "data", label_name: str = "softmax_label", dtype: Any = "float32"
    ) -> None:
        self._loader, self._dtype = loader, dtype
        self._batches: Iterator[Any] = iter(loader)
        data, label = next(iter(loader))
        super().__init__(data.shape[0])
        self.provide_data = [DataDesc(data_name, data.shape, dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, dtype)]
        self._current: Any = None
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._batches = iter(self._loader)

    def iter_next(self) -> bool:
        """Take the next batch; False after the last."""
        self._current = next(self._batches, None)
        return self._current is not None

    def _filled(self, part: Any) -> list[Any]:
        if not self.getpad():
            return [part.astype(self._dtype)]
        # by its own samples, from the first one on: whatever stood in that memory would be trained on
        again = [part] * -(-self.batch_size // part.shape[0])
        return [nd.concatenate(again)[: self.batch_size].astype(self._dtype)]

    def getdata(self) -> Any:
        """The batch's data."""
        return self._filled(self._current[0])

    def getlabel(self) -> Any:
        """The batch's label."""
        return self._filled(self._current[1])

    def getpad(self) -> int:
        """How many samples of the batch are no samples of the loader."""
        return self.batch_size - self._current[0].shape[0]

    def getindex(self) -> None:
        """None: the loader does not tell."""
