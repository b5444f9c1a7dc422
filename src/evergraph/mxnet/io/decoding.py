"""What one record becomes: decoded, augmented as MXNet's image iterators do, and normalized."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, EvergraphError, printable

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
            image, label = self._detected(image, label, draw)
        else:
            image = self._cropped(self._prepared(image), draw)
        return self._normalized(self._coloured(image, draw), draw), label, header.id

    def _resize(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        import torch

        from evergraph.ops.families.image.resize import resize

        return resize(
            torch.from_numpy(np.ascontiguousarray(image)), height, width, self.options["inter_method"]
        ).numpy()

    def _prepared(self, image: np.ndarray) -> np.ndarray:
        short, pad = self.options["resize"], self.options["pad"]
        height, width = image.shape[:2]
        if short > 0:
            tall = height > width
            image = self._resize(
                image, short * height // width if tall else short, short if tall else short * width // height
            )
        if pad > 0:
            edges = ((pad, pad), (pad, pad), (0, 0))
            image = np.pad(image, edges, constant_values=self.options["fill_value"])
        return image

    def _cropped(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        _, tall, wide = self.shape
        if self.options["random_resized_crop"]:
            return self._resize(self._area(image, draw), tall, wide)
        height, width = image.shape[:2]
        if height < tall:
            height, width = tall, int(tall / height * width)
        if width < wide:
            height, width = int(wide / width * height), wide
        if (height, width) != image.shape[:2]:
            image = self._resize(image, height, width)
        free = (height - tall, width - wide)
        y, x = (int(draw.integers(f + 1)) if self.options["rand_crop"] else f // 2 for f in free)
        return image[y : y + tall, x : x + wide]

    def _area(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """A rectangle of random area and proportions; the largest in the middle where ten draws do not fit."""
        o = self.options
        low = 1 - o["max_aspect_ratio"] if o["min_aspect_ratio"] is None else o["min_aspect_ratio"]
        high = 1 + o["max_aspect_ratio"] if o["min_aspect_ratio"] is None else o["max_aspect_ratio"]
        height, width = image.shape[:2]
        for _ in range(10):
            area = draw.uniform(o["min_random_area"], o["max_random_area"]) * height * width
            ratio = draw.uniform(low, high)
            w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                y, x = int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1))
                return image[y : y + h, x : x + w]
        side = min(height, width)
        y, x = (height - side) // 2, (width - side) // 2
        return image[y : y + side, x : x + side]

    def _coloured(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        amounts = [self.options.get(k, 0) for k in ("brightness", "contrast", "saturation")]
        if not any(amounts):
            return image
        found = image.astype(np.float32)
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        for kind in draw.permutation(3):
            alpha = np.float32(1 + draw.uniform(-amounts[kind], amounts[kind]))
            grey = found[..., :3] @ weights if found.shape[2] >= 3 else found[..., 0]
            towards: Any = (0.0, grey.mean(), grey[..., None])[kind]
            found = found * alpha + towards * (1 - alpha)
        return found.clip(0, 255).round().astype(np.uint8)

    def _normalized(self, image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        o = self.options
        if o["mirror"] or (o["rand_mirror"] and draw.random() < 0.5):
            image = image[:, ::-1]
        found = np.ascontiguousarray(image.transpose(2, 0, 1))
        if self.dtype.kind != "f":
            limits = np.iinfo(self.dtype)
            return found.clip(limits.min, limits.max).astype(self.dtype)
        channels = _CHANNELS[: self.shape[0]]
        mean, std = (np.array([o[f"{k}_{c}"] for c in channels], np.float32)[:, None, None] for k in ("mean", "std"))
        std = np.where(std == 0, np.float32(1), std)
        average = o["mean_array"] if o["mean_array"] is not None else mean
        contrast = 1 + draw.uniform(-1, 1) * o["max_random_contrast"]
        light = draw.uniform(-1, 1) * o["max_random_illumination"]
        factor = (np.float32(o["scale"]) / std).astype(np.float32)
        changed = (found.astype(np.float32) - average) * np.float32(contrast) + np.float32(light)
        return (changed * factor).astype(self.dtype)

    def _detected(
        self, image: np.ndarray, label: np.ndarray, draw: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The image forced to its size, and boxes mirrored with it."""
        if len(label) < 2 or label[1] < 5 or (len(label) - int(label[0])) % int(label[1]):
            raise DamagedError(
                "a record's label describes no boxes",
                where=printable(self.path),
                expected="header width, width of an object (at least 5), and whole objects",
                found=printable(label.tolist()),
            )
        image = self._resize(image, *self.shape[1:])
        if draw.random() < self.options["rand_mirror_prob"]:
            image, label = image[:, ::-1], label.copy()
            boxes = label[int(label[0]) :].reshape(-1, int(label[1]))
            boxes[:, [1, 3]] = 1 - boxes[:, [3, 1]]
        return image, np.concatenate([np.array([*self.shape, len(label)], np.float32), label])
