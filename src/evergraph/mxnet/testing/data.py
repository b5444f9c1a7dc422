"""Data sets, downloads, and the environment of a test."""

import bz2
import contextlib
import gzip
import importlib
import os
import platform
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mxnet.base import data_dir
from evergraph.mxnet.io import DataIter
from evergraph.stores import commit, open_source

__all__ = [
    "DummyIter",
    "discard_stderr",
    "download",
    "download_model",
    "environment",
    "get_bz2_data",
    "get_cifar10",
    "get_im2rec_path",
    "get_mnist",
    "get_mnist_iterator",
    "get_mnist_pkl",
    "get_mnist_ubyte",
    "get_zip_data",
    "has_tvm_ops",
    "is_aarch64_run",
    "is_cd_run",
    "is_op_runnable",
    "list_gpus",
]

_MNIST = {
    "train_data": "train-images-idx3-ubyte",
    "train_label": "train-labels-idx1-ubyte",
    "test_data": "t10k-images-idx3-ubyte",
    "test_label": "t10k-labels-idx1-ubyte",
}
_CHUNK = 1 << 20


def list_gpus() -> range:
    """The numbers of the GPUs."""
    from evergraph.mxnet.context import num_gpus

    return range(num_gpus())


def is_cd_run() -> bool:
    """Whether `CD_JOB` says that a release is being made."""
    return os.environ.get("CD_JOB") == "1"


def is_aarch64_run() -> bool:
    """Whether the processor is a 64-bit ARM."""
    return platform.machine() in ("aarch64", "arm64")


def has_tvm_ops() -> bool:
    """Whether there are operators compiled by TVM: there are not."""
    return False


def is_op_runnable() -> bool:
    """Whether this device runs every operator: it does."""
    return True


@contextlib.contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A scope with other environment variables: a name and a value, or a dict; None removes one.

    Raises:
        AssertionError: neither.

    >>> with environment("EVERGRAPH_EXAMPLE", "1"):
    ...     os.environ["EVERGRAPH_EXAMPLE"]
    '1'
    """
    if len(args) == 1 and isinstance(args[0], Mapping):
        wanted = dict(args[0])
    elif len(args) == 2:
        wanted = {args[0]: args[1]}
    else:
        raise AssertionError("Expecting one dict arg or two args: env var name and value")
    before = {k: os.environ.get(k) for k in wanted}

    def put(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(wanted)
    try:
        yield
    finally:
        put(before)


@contextlib.contextmanager
def discard_stderr() -> Iterator[None]:
    """A scope in which nothing reaches the standard error stream, from C code either."""
    sys.stderr.flush()
    try:
        number = sys.stderr.fileno()
    except (OSError, ValueError):  # a test's stream has no number
        number = 2
    kept = os.dup(number)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, number)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(nowhere)


class DummyIter(DataIter):
    """Gives the first batch of an iterator for ever.

    Args:
        real_iter: the iterator.
    """

    def __init__(self, real_iter: Any) -> None:
        super().__init__(real_iter.batch_size)
        self.real_iter = real_iter
        self.provide_data, self.provide_label = real_iter.provide_data, real_iter.provide_label
        self.the_batch = next(real_iter)

    def next(self) -> Any:
        """The batch."""
        return self.the_batch

    __next__ = next


def download(
    url: str, fname: str | None = None, dirname: str | None = None, overwrite: bool = False, retries: int = 5
) -> str:
    """Copy a file from a URI, unless it is there already.

    Args:
        url: what is copied; any URI.
        fname: its name here; the last part of the URI where it is not given.
        dirname: the folder it goes to; made where it is missing.
        overwrite: whether a file that is there is replaced.
        retries: how often to try.

    Returns:
        The path.

    Raises:
        StoreError: it cannot be read or written.
    """
    target = Path(dirname or "", *([fname] if fname else [url.rstrip("/").rsplit("/", 1)[-1]]))
    if target.exists() and not overwrite:
        return str(target)
    if str(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    for left in range(max(1, retries) - 1, -1, -1):
        try:
            with open_source(url) as source, commit(str(target)) as sink:
                for start in range(0, source.size, _CHUNK):
                    sink.write(source.read(start, min(_CHUNK, source.size - start)))
            break
        except OSError:
            if not left:
                raise
    return str(target)


def _missing(what: str, names: Any, folder: str) -> UsageError:
    return UsageError(
        f"{what} is not here, and nothing is downloaded unasked",
        where=printable(folder),
        expected=", ".join(names),
        fix="put the files there, or change into a folder that has them under data/",
    )


def download_model(model_name: str, dst_dir: str = "./", meta_info: Any = None) -> tuple[str | None, int]:  # noqa: ARG001
    """The prefix and epoch of a model that lies in a folder.

    Raises:
        UsageError: it is not there; models are not downloaded.
    """
    prefix = Path(dst_dir) / model_name
    if Path(f"{prefix}-symbol.json").exists():
        return str(prefix), 0
    raise _missing(f"the model {printable(model_name)}", [f"{prefix.name}-symbol.json"], dst_dir)


def get_zip_data(data_dir: str, url: str, data_origin_name: str) -> None:
    """Download an archive into a folder, unless it is there, and unpack it beside it."""
    path = download(url, data_origin_name, data_dir)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():  # extract() keeps members inside the folder
            archive.extract(name, data_dir)


def get_bz2_data(data_dir: str, data_name: str, url: str, data_origin_name: str) -> None:
    """Download a compressed file into a folder, unless it is there, and unpack it under `data_name`."""
    target = Path(data_dir) / data_name
    if target.exists():
        return
    path = download(url, data_origin_name, data_dir)
    with bz2.open(path, "rb") as packed, commit(str(target)) as sink:
        while chunk := packed.read(_CHUNK):
            sink.write(chunk)
    Path(path).unlink()


def _folder(path: str | None) -> str:
    return path if path is not None else "data"


def get_mnist_ubyte(path: str | None = None) -> None:
    """Make sure that MNIST's four files lie in a folder ("data").

    Raises:
        UsageError: they do not; they are not downloaded.
    """
    missing = [n for n in _MNIST.values() if not (Path(_folder(path)) / n).exists()]
    if missing:
        raise _missing("MNIST", missing, _folder(path))


def get_cifar10(path: str | None = None) -> None:
    """Make sure that CIFAR-10's record files lie in a folder ("data").

    Raises:
        UsageError: they do not; they are not downloaded.
    """
    names = ("cifar/train.rec", "cifar/test.rec")
    missing = [n for n in names if not (Path(_folder(path)) / n).exists()]
    if missing:
        raise _missing("CIFAR-10", missing, _folder(path))


def get_mnist(path: str | None = None) -> dict[str, np.ndarray]:
    """MNIST as arrays: images (n, 1, 28, 28) between 0 and 1 and labels, of training and test.

    Raises:
        UsageError: its files lie neither in the folder ("data") nor where downloaded data goes.
    """
    found = {}
    for key, name in _MNIST.items():
        places = [Path(p) / (name + e) for p in (_folder(path), data_dir()) for e in ("", ".gz")]
        place = next((p for p in places if p.exists()), None)
        if place is None:
            raise _missing("MNIST", _MNIST.values(), _folder(path))
        content = gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()
        rank = content[3]
        sizes = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)
        found[key] = values.reshape(-1, 1, 28, 28).astype(np.float32) / 255 if rank == 3 else values.astype(np.int32)
    return found


def get_mnist_pkl() -> None:
    """MNIST as a pickle.

    Raises:
        UsageError: always: use `get_mnist`.
    """
    raise UsageError("MNIST as a pickle is not read", fix="use get_mnist, which reads the four original files")


def get_mnist_iterator(batch_size: int, input_shape: Any, num_parts: int = 1, part_index: int = 0) -> tuple[Any, Any]:
    """Iterators over MNIST's training and test images.

    Raises:
        UsageError: its files are not in "data".
    """
    io: Any = importlib.import_module("evergraph.mxnet.io")
    get_mnist_ubyte()
    options = {"input_shape": input_shape, "batch_size": batch_size, "flat": len(input_shape) != 3}
    options |= {"num_parts": num_parts, "part_index": part_index}
    return tuple(
        io.MNISTIter(image=f"data/{_MNIST[f'{k}_data']}", label=f"data/{_MNIST[f'{k}_label']}", shuffle=s, **options)
        for k, s in (("train", True), ("test", False))
    )  # type: ignore[return-value]


def get_im2rec_path(home_env: str = "MXNET_HOME") -> str:
    """Where the program that packs images lies.

    Raises:
        OSError: it is not there.
    """
    path = Path(os.environ.get(home_env, "")) / "tools" / "im2rec.py"
    if not path.is_file():
        raise OSError("Could not find path to tools/im2rec.py")
    return str(path)
