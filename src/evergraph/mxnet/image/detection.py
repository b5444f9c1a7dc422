"""`ImageDetIter`: batches of images and their boxes, changed together by augmenters for detection.

The module goes by MXNet's name, and holds the augmenters too.
"""

import logging
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, MissingDependencyError, UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.image.detection_augmenters import (
    CreateDetAugmenter,
    CreateMultiRandCropAugmenter,
    DetAugmenter,
    DetBorrowAug,
    DetHorizontalFlipAug,
    DetRandomCropAug,
    DetRandomPadAug,
    DetRandomSelectAug,
)
from evergraph.mxnet.image.drawing import drawn, restored
from evergraph.mxnet.image.iterators import ImageIter
from evergraph.mxnet.io.batch import DataDesc

__all__ = [
    "CreateDetAugmenter",
    "CreateMultiRandCropAugmenter",
    "DetAugmenter",
    "DetBorrowAug",
    "DetHorizontalFlipAug",
    "DetRandomCropAug",
    "DetRandomPadAug",
    "DetRandomSelectAug",
    "ImageDetIter",
]

_SHOWN = 20
"""How many labels one message names."""


class _LabelError(DamagedError):
    """A label that describes no boxes."""


class ImageDetIter(ImageIter):
    """Batches of images and their boxes.

    A label in a file is: width of this header (at least 2), width of an object (at least 5), the rest of the header,
    then for each object its class, left, top, right, bottom as fractions of the image's sides, and anything more.
    Boxes without area are left out. A batch's labels are (batch_size, most objects, width of an object), -1 where
    there is none.

    Args:
        batch_size: images in a batch.
        data_shape: (3, height, width) of an image.
        path_imgrec: path of a record file.
        path_imglist: path of a list file: key, label and path below path_root, between tabs.
        path_root: folder of the listed images.
        path_imgidx: path of the record file's index.
        shuffle: whether each epoch has a new order, by Python's `random`.
        part_index: which part to read.
        num_parts: how many equal parts the images are divided into.
        aug_list: augmenters; None takes CreateDetAugmenter(data_shape, **kwargs).
        imglist: a list of [label, path].
        data_name: the name of the data.
        label_name: the name of the labels.
        last_batch_handle: as of ImageIter.
        **kwargs: as of CreateDetAugmenter.

    Raises:
        InputTypeError: no source, or parameters that do not fit, all at once.
        DamagedError: labels that describe no boxes, all at once; an image that cannot be decoded.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        path_imgrec: str | None = None,
        path_imglist: str | None = None,
        path_root: str | None = None,
        path_imgidx: str | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: list[Any] | None = None,
        imglist: list[Any] | None = None,
        data_name: str = "data",
        label_name: str = "label",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            batch_size,
            data_shape,
            path_imgrec=path_imgrec,
            path_imglist=path_imglist,
            path_root=path_root,
            path_imgidx=path_imgidx,
            shuffle=shuffle,
            part_index=part_index,
            num_parts=num_parts,
            aug_list=[],
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
        )
        self.auglist = CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        self.label_shape = self._estimate_label_shape()
        self.provide_label = [DataDesc(label_name, (batch_size, *self.label_shape))]

    def _estimate_label_shape(self) -> tuple[int, int]:
        """The most objects of an image, and the width of an object; every label is looked at."""
        most, widths, wrong = 0, {}, []
        self.reset()
        while True:
            try:
                label, _ = self.next_sample()
                boxes = self._parse_label(label)
            except StopIteration:
                break
            except _LabelError as error:
                wrong.append(f"{self._where()}: {error.what}, {error.found}")
                continue
            most = max(most, len(boxes))
            widths.setdefault(boxes.shape[1], self._where())
        self.reset()
        if len(widths) > 1:
            wrong += [f"{where}: an object has {width} numbers" for width, where in widths.items()]
        if wrong or not widths:
            raise DamagedError(
                f"{len(wrong)} labels describe no boxes, or not all the same kind" if wrong else "there are no images",
                expected="header width, width of an object (the same for all), and at least one box with an area",
                details=wrong[:_SHOWN],
            )
        return most, next(iter(widths))

    def _parse_label(self, label: Any) -> np.ndarray:
        """The boxes of a label as it stands in a file, float (objects, width), those without area left out.

        Raises:
            DamagedError: it describes no boxes.
        """
        raw = np.asarray(label.asnumpy() if isinstance(label, nd.NDArray) else label, np.float32).ravel()
        if raw.size < 7:
            raise _LabelError("a label is shorter than a header and a box", found=f"{raw.size} numbers")
        header, width = int(raw[0]), int(raw[1])
        if header < 2 or width < 5 or (raw.size - header) % width:
            shown = f"{raw.size} numbers, header width {header}, object width {width}"
            raise _LabelError("a label's length does not fit its widths", found=shown)
        boxes = raw[header:].reshape(-1, width)
        boxes = boxes[(boxes[:, 3] > boxes[:, 1]) & (boxes[:, 4] > boxes[:, 2])]
        if not len(boxes):
            raise _LabelError("a label has no box with an area", found=f"{raw.size} numbers")
        return boxes

    def _check_valid_label(self, label: Any) -> None:
        """Raise unless a label is (at least 1, at least 5) with a real box."""
        if label.ndim != 2 or label.shape[1] < 5:
            raise _LabelError("a label is (objects, at least 5)", found=label.shape)
        if not ((label[:, 0] >= 0) & (label[:, 3] > label[:, 1]) & (label[:, 4] > label[:, 2])).any():
            raise _LabelError("no box is left", found=f"{len(label)} boxes without area or class")

    def augmentation_transform(self, data: Any, label: Any) -> tuple[Any, Any]:  # type: ignore[override]
        """An image and its boxes through all augmenters."""
        for augment in self.auglist:
            data, label = augment(data, label)
        return data, label

    def _augmented(self) -> tuple[Any, Any]:
        """The next image and its boxes; an image left without any is skipped with a warning."""
        while True:
            label, data = self.next_sample()
            image = self.imdecode(data)
            self.check_valid_image([image])
            try:
                image, label = self.augmentation_transform(image, self._parse_label(label))
                self._check_valid_label(label)
            except _LabelError as error:
                logging.getLogger(__name__).warning("%s is left out: %s", self._where(), error.what)
                continue
            return image, label

    def _sample(self) -> tuple[Any, Any]:
        image, label = self._augmented()
        found = np.full(self.label_shape, -1, np.float32)
        if len(label) > len(found) or label.shape[1] != found.shape[1]:
            raise UsageError(
                "an image has more boxes, or wider ones, than the iterator's labels have room for",
                where=self._where(),
                expected=f"at most {self.label_shape}",
                found=label.shape,
                fix="reshape(label_shape=...) makes room",
            )
        found[: len(label)] = label
        return self._plain(image), found

    def reshape(self, data_shape: Any = None, label_shape: Any = None) -> None:
        """Give images or labels another shape from now on.

        Args:
            data_shape: (3, height, width); the augmenters must give it.
            label_shape: (most objects, width of an object), with no fewer objects than now.

        Raises:
            UsageError: a shape that does not fit (a ValueError too).
        """
        if data_shape is not None:
            self.check_data_shape(data_shape)
        if label_shape is not None:
            self.check_label_shape(label_shape)
        if data_shape is not None:
            self.data_shape = tuple(data_shape)
            self.provide_data = [DataDesc(self.provide_data[0].name, (self.batch_size, *data_shape))]
        if label_shape is not None:
            self.label_shape = tuple(label_shape)
            self.provide_label = [DataDesc(self.provide_label[0].name, (self.batch_size, *label_shape))]

    def check_label_shape(self, label_shape: Any) -> None:
        """Raise unless label_shape has room for every label."""
        least, width = self.label_shape
        if len(label_shape) != 2 or label_shape[0] < least or label_shape[1] != width:
            raise UsageError(
                "the label shape has no room for the labels",
                expected=f"(at least {least}, {width})",
                found=tuple(label_shape),
            )

    def sync_label_shape(self, it: "ImageDetIter", verbose: bool = False) -> "ImageDetIter":
        """Give this iterator and another the larger of their label shapes.

        Args:
            it: the other iterator.
            verbose: whether a change is logged.

        Returns:
            The other iterator.

        Raises:
            InputTypeError: it is no ImageDetIter, or its objects have another width.
        """
        if not isinstance(it, ImageDetIter) or it.label_shape[1] != self.label_shape[1]:
            raise InputTypeError(
                "only an iterator of the same kind of boxes can be matched",
                expected=f"an ImageDetIter with objects of {self.label_shape[1]} numbers",
                found=getattr(it, "label_shape", type(it).__name__),
            )
        counts = {self.label_shape[0], it.label_shape[0]}
        wanted = (max(counts), self.label_shape[1])
        self.reshape(label_shape=wanted)
        it.reshape(label_shape=wanted)
        if verbose and len(counts) > 1:
            logging.getLogger(__name__).info("label_shape is %s now", wanted)
        return it

    def draw_next(
        self,
        color: Any = None,
        thickness: int = 2,
        mean: Any = None,
        std: Any = None,
        clip: bool = True,
        waitKey: int | None = None,
        window_name: str = "draw_next",
        id2labels: dict[int, str] | None = None,
    ) -> Any:
        """The following images with their boxes drawn, uint8 (height, width, 3), blue first as OpenCV has them.

        Args:
            color: of the boxes, red first; None for random ones.
            thickness: of the lines, in pixels.
            mean: what normalization subtracted: an array, or True for ImageNet's.
            std: what it divided by, likewise.
            clip: whether values are cut off at 0 and 255.
            waitKey: milliseconds for which each image is shown in a window of OpenCV; None shows none.
            window_name: the window's title.
            id2labels: what to write beside a box of each class.

        Raises:
            MissingDependencyError: a window is asked for, and OpenCV is not installed.
        """
        show = _window(window_name, waitKey)
        while True:
            try:
                image, label = self._augmented()
            except StopIteration:
                return
            values = restored(image.asnumpy(), mean, std, clip)
            values = drawn(values, label, color, thickness, id2labels or {})[..., ::-1].copy()
            show(values)
            yield values


def _window(name: str, milliseconds: int | None) -> Any:
    if milliseconds is None:
        return lambda _: None
    try:
        import cv2  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependencyError(
            "a window needs OpenCV", fix="pip install opencv-python, or pass waitKey=None and show the images yourself"
        ) from error

    def show(image: np.ndarray) -> None:
        cv2.imshow(name, image)
        cv2.waitKey(milliseconds)

    return show
