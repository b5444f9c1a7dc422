"""Images with labels: record files, folders, and the well-known small sets where their files lie in a local folder."""

import os
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evergraph.errors import DamagedError, StoreError, printable
from evergraph.mxnet import image, recordio
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import data_dir
from evergraph.mxnet.gluon.data.dataset import Dataset, RecordFileDataset
from evergraph.mxnet.io.mnist import read_idx

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "ImageFolderDataset", "ImageRecordDataset"]

Transform = Callable[[Any, Any], Any] | None


class _LocalDataset(Dataset):
    """Images and labels in memory, read from a folder; nothing is downloaded."""

    _home = ""

    def __init__(self, root: Any, train: bool, transform: Transform) -> None:
        given = root if root is not None else os.path.join(data_dir(), "datasets", self._home)
        self._root = os.path.expanduser(os.fspath(given))
        self._train, self._transform = train, transform
        pixels, labels = self._read()
        self._data, self._label = nd.array(pixels, dtype=np.uint8), labels.astype(np.int32)
        if STATE.np_array:
            self._data, self._label = self._data.as_np_ndarray(), nd.array(self._label, dtype=np.int32).as_np_ndarray()

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} does not say how it is read")

    def _missing(self, names: Any) -> StoreError:
        return StoreError(
            f"the files of {type(self).__name__} are not here, and are not downloaded",
            where=self._root,
            expected=", ".join(names),
            fix="put them there, or name their folder by root=",
        )

    def __getitem__(self, idx: int) -> Any:
        data, label = self._data[idx], self._label[idx]
        return (data, label) if self._transform is None else self._transform(data, label)

    def __len__(self) -> int:
        return len(self._label)


class MNIST(_LocalDataset):
    """Handwritten digits, uint8 (28, 28, 1), from idx files, compressed or not.

    Args:
        root: their folder; `datasets/mnist` in MXNet's data folder (`MXNET_HOME`, else ~/.mxnet) by default.
        train: the 60,000 to learn from, or the 10,000 to be asked.
        transform: `transform(image, label)` makes what a sample is.

    Raises:
        StoreError: the files are not there; nothing is downloaded.
    """

    _home = "mnist"

    def __init__(self, root: Any = None, train: bool = True, transform: Transform = None) -> None:
        super().__init__(root, train, transform)

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        part = "train" if self._train else "t10k"
        names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        paths = [os.path.join(self._root, n) for n in names]
        if not all(os.path.exists(p) or os.path.exists(f"{p}.gz") for p in paths):
            raise self._missing([f"{n}[.gz]" for n in names])
        pixels, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
        if len(pixels) != len(labels):
            raise DamagedError("there are not as many labels as images", expected=len(pixels), found=len(labels))
        return pixels[..., None], labels


class FashionMNIST(MNIST):
    """Pictures of clothes in the form of `MNIST`; `datasets/fashion-mnist` is their folder by default."""

    _home = "fashion-mnist"


class CIFAR10(_LocalDataset):
    """Small colour images, uint8 (32, 32, 3), of 10 classes, from the binary version's files or their archive.

    Args:
        root: their folder; `datasets/cifar10` in MXNet's data folder by default.
        train: the 50,000 to learn from, or the 10,000 to be asked.
        transform: `transform(image, label)` makes what a sample is.

    Raises:
        StoreError: the files are not there; nothing is downloaded.
        DamagedError: a file holds no whole records.
    """

    _home = "cifar10"
    _archive = "cifar-10-binary.tar.gz"
    _files: ClassVar[dict[bool, list[str]]] = {
        True: [f"data_batch_{i}.bin" for i in range(1, 6)],
        False: ["test_batch.bin"],
    }
    _label_at, _head = 0, 1

    def __init__(self, root: Any = None, train: bool = True, transform: Transform = None) -> None:
        super().__init__(root, train, transform)

    def _bytes(self, names: list[str]) -> dict[str, bytes]:
        folder = Path(self._root)
        found = {n: p.read_bytes() for n in names for p in sorted({folder / n, *folder.glob(f"*/{n}")}) if p.is_file()}
        archive = folder / self._archive
        if len(found) < len(names) and archive.is_file():
            with tarfile.open(archive) as tar:
                for member in tar:
                    name = os.path.basename(member.name)
                    content = tar.extractfile(member) if name in names and member.isfile() else None
                    if content is not None:
                        found[name] = content.read()
        if len(found) < len(names):
            raise self._missing([*names, f"or {self._archive}"])
        return found

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        names = self._files[self._train]
        size = self._head + 3 * 32 * 32
        tables = []
        for name, data in self._bytes(names).items():
            if not data or len(data) % size:
                raise DamagedError(
                    "the file holds no whole records",
                    where=f"{self._root}: {name}",
                    expected=f"a multiple of {size} bytes",
                    found=len(data),
                )
            tables.append(np.frombuffer(data, np.uint8).reshape(-1, size))
        whole = np.concatenate(tables)
        pixels = whole[:, self._head :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return pixels, whole[:, self._label_at]


class CIFAR100(CIFAR10):
    """As `CIFAR10`, of 100 classes in 20 groups.

    Args:
        root: their folder; `datasets/cifar100` in MXNet's data folder by default.
        fine_label: whether labels are the classes; the groups otherwise.
        train: the 50,000 to learn from, or the 10,000 to be asked.
        transform: `transform(image, label)` makes what a sample is.
    """

    _home = "cifar100"
    _archive = "cifar-100-binary.tar.gz"
    _files: ClassVar[dict[bool, list[str]]] = {True: ["train.bin"], False: ["test.bin"]}
    _head = 2

    def __init__(
        self, root: Any = None, fine_label: bool = False, train: bool = True, transform: Transform = None
    ) -> None:
        self._label_at = int(fine_label)
        super().__init__(root, train, transform)


class ImageRecordDataset(RecordFileDataset):
    """Images of a record file with an index, as im2rec packs them.

    Args:
        filename: path of the .rec file; the .idx file lies beside it.
        flag: 1 for colour images, 0 for grey ones.
        transform: `transform(image, label)` makes what a sample is.
    """

    def __init__(self, filename: str, flag: int = 1, transform: Transform = None) -> None:
        super().__init__(filename)
        self._flag, self._transform = flag, transform

    def __getitem__(self, idx: int) -> Any:
        header, content = recordio.unpack(super().__getitem__(idx))
        data = image.imdecode(content, self._flag)
        return (data, header.label) if self._transform is None else self._transform(data, header.label)


class ImageFolderDataset(Dataset):
    """Images in folders, one folder for each class; classes are numbered by their names in order.

    Args:
        root: the folder of the folders.
        flag: 1 for colour images, 0 for grey ones.
        transform: `transform(image, label)` makes what a sample is.

    Raises:
        StoreError: there is no such folder.
    """

    _suffixes = (".jpg", ".jpeg", ".png", ".npy")

    def __init__(self, root: Any, flag: int = 1, transform: Transform = None) -> None:
        self._root, self._flag, self._transform = os.path.expanduser(os.fspath(root)), flag, transform
        self._exts = list(self._suffixes)
        self.synsets: list[str] = []
        self.items: list[tuple[str, int]] = []
        if not os.path.isdir(self._root):
            raise StoreError("there is no such folder of images", where=printable(self._root))
        for folder in sorted(os.listdir(self._root)):
            path = os.path.join(self._root, folder)
            if os.path.isdir(path):
                self._take(path, len(self.synsets))
                self.synsets.append(folder)
            else:
                warnings.warn(f"Ignoring {path}, which is not a directory.", stacklevel=2)

    def _take(self, folder: str, label: int) -> None:
        for name in sorted(os.listdir(folder)):
            ending = os.path.splitext(name)[1]
            if ending.lower() in self._suffixes:
                self.items.append((os.path.join(folder, name), label))
            else:
                warnings.warn(
                    f"Ignoring {os.path.join(folder, name)} of type {ending}. Only support {', '.join(self._suffixes)}",
                    stacklevel=3,
                )

    def __getitem__(self, idx: int) -> Any:
        path, label = self.items[idx]
        if path.endswith(".npy"):
            data = nd.array(np.load(path), dtype=None)
        else:
            data = image.imread(path, self._flag)
        return (data, label) if self._transform is None else self._transform(data, label)

    def __len__(self) -> int:
        return len(self.items)
