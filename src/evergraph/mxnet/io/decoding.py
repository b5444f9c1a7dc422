"""What one record becomes: decoded, augmented as MXNet's image iterators do, and normalized."""

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, EvergraphError, printable
from evergraph.mxnet.io.augmenting import augmented
from evergraph.mxnet.io.detecting import detected

__all__ = ["Recipe"]

_CHANNELS = ("r", "g", "b", "a")


@dataclass
class Recipe:
    """Reads, decodes, augments and normalizes one record; sent once to each worker.

    Attributes:
        path: the record file.
        shape: (channels, height, width) of the result.
        dtype: its type; values outside an integer type's range are cut off.
        options: the iterator's augmenter parameters.
        seed: random choices depend on it, the epoch and the record, not on which worker does the work.
        detection: whether labels are boxes, which move with the image.
    """

    path: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    options: dict[str, Any]
    seed: int
    detection: bool = False
    _file: Any = field(default=None, repr=False)

    def __call__(self, item: tuple[int, int]) -> tuple[np.ndarray, Any, int]:
        """The image, the label and the id of the record at (offset, epoch)."""
        from evergraph.mxnet import recordio
        from evergraph.mxnet.image.codecs import decode

        offset, epoch = item
        if self._file is None:
            self._file = recordio.MXRecordIO(self.path, "r")
        try:
            self._file._at = self._file.handle.seek(offset)
            header, data = recordio.unpack(self._file.read() or b"")
            colours = {1: "grey", 3: "colour"}.get(self.shape[0], "as it is")
            image = decode(data, colours)
        except EvergraphError as error:
            raise DamagedError(
                "a record holds no image",
                where=f"{printable(self.path)}, byte {offset:,}",
                details=str(error).splitlines(),
            ) from error
        image = image[..., None] if image.ndim == 2 else image
        draw = np.random.default_rng((self.seed & 0xFFFFFFFF, epoch, offset))
        label = np.atleast_1d(np.asarray(header.label, np.float32))
        if self.detection:
            image, label = detected(image, label, self.shape, self.options, draw, self.path)
        else:
            image = augmented(image, self.shape, self.options, draw)
        return self._normalized(image, draw), label, header.id

    def _normalized(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """The image as (channels, height, width) of the iterator's type, zeros where it does not fill its shape."""
        o = self.options
        if not self.detection and (o["mirror"] or (o["rand_mirror"] and draw.random() < 0.5)):
            image = image[:, ::-1]
        planes = image.transpose(2, 0, 1)
        if self.dtype.kind != "f":
            limits = np.iinfo(self.dtype)
            return self._filled(planes.clip(limits.min, limits.max).astype(self.dtype))
        found = np.ascontiguousarray(planes, np.float32)
        average, factor = self._averages
        if average is not None:
            found -= average[:, : found.shape[1], : found.shape[2]]
        if not self.detection and (o["max_random_contrast"] or o["max_random_illumination"]):
            found *= np.float32(1 + draw.uniform(-1, 1) * o["max_random_contrast"])
            found += np.float32(draw.uniform(-1, 1) * o["max_random_illumination"])
        if factor is not None:
            found *= factor
        return self._filled(found.astype(self.dtype, copy=False))

    def _filled(self, planes: np.ndarray) -> np.ndarray:
        if planes.shape == self.shape:
            return planes
        found = np.zeros(self.shape, self.dtype)
        found[:, : planes.shape[1], : planes.shape[2]] = planes
        return found

    @functools.cached_property
    def _averages(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What is subtracted and what multiplies, None where nothing changes."""
        o, channels = self.options, _CHANNELS[: self.shape[0]]
        mean, std = (np.array([o[f"{k}_{c}"] for c in channels], np.float32)[:, None, None] for k in ("mean", "std"))
        average = o["mean_array"] if o["mean_array"] is not None else mean if mean.any() else None
        factor = (np.float32(o["scale"]) / np.where(std == 0, np.float32(1), std)).astype(np.float32)
        return average, factor if (factor != 1).any() else None
