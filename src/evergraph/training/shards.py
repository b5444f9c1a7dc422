"""Tensors that many processes hold, each its part, in one folder: torch.distributed.checkpoint over files of our own.

PyTorch's planner decides who writes what (a tensor that all hold is written once, parts of a DTensor by who has them)
and who reads what, so that another number of processes can read it. The files are safetensors with a checksum of each
array, and one JSON table, written last: where PyTorch's own files keep their table in a pickle, these hold none.

    FOLDER/shard-0.safetensors, shard-1.safetensors, ...    what each process wrote
           shards.json                                      where the parts of each tensor are
"""

import inspect
import json
import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, IntegrityError, ShapeError, UsageError, collect, printable
from evergraph.formats import by_name
from evergraph.formats.shards import TABLE, table_sum
from evergraph.saving.checksums import checksums, read_manifest
from evergraph.saving.save import save, sidecar
from evergraph.stores import Location, commit, locate, open_source
from evergraph.stores.folders import make_folder
from evergraph.tensors import Tensor, dtype

__all__ = ["TABLE", "load_shards", "read_shards", "save_shards", "shard_names", "shard_table", "shared_memory"]

_FORMAT = "safetensors"
_LARGEST = 1 << 30


def _place(folder: str, name: str) -> Location:
    return locate(f"{folder.rstrip('/')}/{name}")


def save_shards(tensors: Mapping[str, Any], folder: str, group: Any = None) -> None:
    """Save tensors that several processes hold; every process of the group calls it.

    Args:
        tensors: by name; DTensors are saved by parts, others once, spread evenly over the processes.
        folder: a new one, that all processes reach.
        group: the processes; all where not given.

    Raises:
        StoreError: a file cannot be written; without its table the folder does not count.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp(); save_shards({"w": torch.ones(2, 3)}, folder)
    >>> found = {"w": torch.zeros(2, 3)}; load_shards(found, folder); found["w"].sum()
    tensor(6.)
    """
    make_folder(folder)
    _run(dcp_save, dict(tensors), group, storage_writer=_Writer(folder, _rank(group)))


def load_shards(tensors: Mapping[str, Any], folder: str, group: Any = None, *, alone: bool = False) -> None:
    """Fill tensors from a folder of `save_shards`, whatever number of processes wrote it.

    Args:
        tensors: what is filled, by name; each process fills the parts that it has.
        folder: of the shards.
        group: the processes that load together; all where not given.
        alone: whether this process reads what it needs by itself, without a word to others.

    Raises:
        UsageError: names that the folder does not hold, or holds in other shapes or types; nothing is changed.
        IntegrityError: arrays whose checksums are others.
    """
    _check(tensors, shard_table(folder))
    if alone:
        _load_alone(dict(tensors), _Reader(folder))
        return
    _run(dcp_load, dict(tensors), group, storage_reader=_Reader(folder))


def read_shards(folder: str) -> dict[str, Tensor]:
    """All tensors of a folder, whole, in this process's memory.

    Raises:
        IntegrityError: arrays whose checksums are others.
    """
    known = shard_names(shard_table(folder))
    found = {name: torch.zeros(shape, dtype=dtype(kind).torch()) for name, (kind, shape) in known.items()}
    load_shards(found, folder, alone=True)
    return {name: Tensor.of(value) for name, value in found.items()}


def shared_memory(tensor: Tensor) -> torch.Tensor:
    """A dense tensor over the same writable memory."""
    kind, shape = tensor.dtype.torch(), tensor.shape or ()
    if not tensor.nbytes:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(tensor.blob.read(), dtype=torch.uint8).view(kind).reshape(shape)


def shard_names(table: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor of a table."""
    return {name: (one["dtype"], tuple(one["shape"])) for name, one in table["tensors"].items()}


def _rank(group: Any) -> int:
    return dist.get_rank(group) if dist.is_available() and dist.is_initialized() else 0


def _run(step: Any, tensors: dict[str, Any], group: Any, **how: Any) -> None:
    alone = not (dist.is_available() and dist.is_initialized())
    if alone and "no_dist" in inspect.signature(step).parameters:
        how["no_dist"] = True
    try:
        with warnings.catch_warnings():
            # older releases say that they take one process for granted
            warnings.filterwarnings("ignore", message=".*torch.distributed.*single process.*")
            step(tensors, process_group=group, **how)
    except CheckpointException as error:
        first = next(iter(error.failures.values()))[0]
        raise first from error


def _load_alone(tensors: dict[str, Any], reader: "_Reader") -> None:
    """What PyTorch's `load` does, with one process's plan."""
    planner, metadata = DefaultLoadPlanner(), reader.read_metadata()
    planner.set_up_planner(tensors, metadata, True)
    reader.set_up_storage_reader(metadata, True)
    (plan,) = planner.create_global_plan([planner.create_local_plan()])
    reader.read_data(planner.finish_plan(plan), planner)


def _check(tensors: Mapping[str, Any], table: Mapping[str, Any]) -> None:
    known, wrong = shard_names(table), []
    for name, tensor in tensors.items():
        if name not in known:
            wrong.append(f"{printable(name)}: not in the folder")
            continue
        now = str(dtype(tensor.dtype)), tuple(tensor.shape)
        if now != known[name]:
            wrong.append(f"{printable(name)}: {known[name][0]} {known[name][1]} in the folder, {now[0]} {now[1]} here")
    collect(ShapeError, "the shards are of other tensors; nothing was changed", wrong)


def shard_table(folder: str) -> dict[str, Any]:
    """Where the parts of each tensor are.

    Raises:
        DamagedError: the table is not there whole.
        StoreError: there is none: the save did not come to its end.
    """
    place = _place(folder, TABLE)
    with open_source(place) as source:
        data = source.head(min(source.size, _LARGEST))
    try:
        table = json.loads(data)
        if table["evergraph_shards"] != 1 or table["crc"] != table_sum(table["tensors"]):
            raise ValueError("its checksum is another one")
        for name, (kind, shape) in shard_names(table).items():
            dtype(kind).torch()
            chunks = table["tensors"][name]["chunks"]
            sizes = [[int(s) for s in c["sizes"]] for c in chunks]
            if not all(isinstance(s, int) and s >= 0 for s in shape) or any(len(s) != len(shape) for s in sizes):
                raise ValueError(f"impossible shapes of {printable(name)}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError("the table of shards is damaged", where=place.shown, found=printable(error)) from error
    return table


class _Writer(StorageWriter):
    """Writes what the planner gives to this process into one file."""

    def __init__(self, folder: str, rank: int) -> None:
        self._folder, self._file = folder, f"shard-{rank}.{_FORMAT}"

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing: a writer serves one save."""

    def set_up_storage_writer(self, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Nothing: the folder is there."""

    def prepare_local_plan(self, plan: Any) -> Any:
        """The plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[Any]) -> list[Any]:
        """The plans as they are."""
        return plans

    def write_data(self, plan: Any, planner: Any) -> Any:
        """Write this process's parts, durably."""
        tensors, results = {}, []
        for number, item in enumerate(plan.items):
            value = planner.resolve_data(item)
            if not isinstance(value, torch.Tensor):
                raise UsageError(f"{printable(item.index.fqn)} is no tensor", fix="give tensors only")
            name = f"{item.index.fqn}#{number}"
            tensors[name] = Tensor.of(value)
            stored = {"file": self._file, "name": name}
            results.append(WriteResult(index=item.index, size_in_bytes=tensors[name].nbytes, storage_data=stored))
        save(Checkpoint(tensors), _place(self._folder, self._file).uri, to=_FORMAT, checksum=True)
        done: Future[Any] = Future()
        done.set_result(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the table: with it the folder counts."""
        stored = {row.index: row.storage_data for rows in results for row in rows}
        tensors = {}
        for name, one in metadata.state_dict_metadata.items():
            chunks = [
                {"offsets": list(c.offsets), "sizes": list(c.sizes), **stored[MetadataIndex(name, c.offsets)]}
                for c in one.chunks  # type: ignore[union-attr] - only tensors are written
            ]
            kind = str(dtype(one.properties.dtype))  # type: ignore[union-attr]
            tensors[name] = {"dtype": kind, "shape": list(one.size), "chunks": chunks}  # type: ignore[union-attr]
        data = (
            json.dumps({"evergraph_shards": 1, "tensors": tensors, "crc": table_sum(tensors)}, indent=1).encode()
            + b"\n"
        )
        with commit(_place(self._folder, TABLE), total=len(data)) as sink:
            sink.write(data)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:  # noqa: ARG003 - PyTorch's interface
        """Whether this writer takes a name: it has its own."""
        return True


class _Reader(StorageReader):
    """Reads the parts that the planner asks this process for, and compares their checksums."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files: dict[str, tuple[Checkpoint, dict[str, str]]] = {}
        self._stored: dict[MetadataIndex, dict[str, str]] = {}
        self._good: set[tuple[str, str]] = set()

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing: a reader serves one load."""

    def read_metadata(self, *_: Any, **__: Any) -> Metadata:
        """The table, as the planner wants it."""
        found, stored = {}, {}
        for name, one in shard_table(self._folder)["tensors"].items():
            chunks = []
            for chunk in one["chunks"]:
                offsets = torch.Size(chunk["offsets"])
                chunks.append(ChunkStorageMetadata(offsets, torch.Size(chunk["sizes"])))
                stored[MetadataIndex(name, offsets)] = {"file": chunk["file"], "name": chunk["name"]}
            kind = TensorProperties(dtype=dtype(one["dtype"]).torch())
            found[name] = TensorStorageMetadata(kind, torch.Size(one["shape"]), chunks)
        return Metadata(found, storage_data=stored)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Keep where the parts are."""
        self._stored = metadata.storage_data

    def prepare_local_plan(self, plan: Any) -> Any:
        """The plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[Any]) -> list[Any]:
        """The plans as they are."""
        return plans

    def read_data(self, plan: Any, planner: Any) -> Any:
        """Fill the parts."""
        for item in plan.items:
            value = self._array(self._stored[item.storage_index])
            for axis, (offset, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
                value = value.narrow(axis, offset, length)
            target = planner.resolve_tensor(item).detach()
            target.copy_(value)
            planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _array(self, stored: dict[str, str]) -> torch.Tensor:
        name, file = stored["name"], stored["file"]
        if "/" in file or "\\" in file:
            raise DamagedError("the table of shards names a file elsewhere", found=printable(file))
        if file not in self._files:
            place = _place(self._folder, file)
            sums = read_manifest(sidecar(place))
            known = {} if sums is None else sums["versions"][0]["tensors"]
            self._files[file] = by_name(_FORMAT).read(open_source(place)), known
        found, sums = self._files[file]
        if (file, name) not in self._good:
            if name not in found or name not in sums or checksums(found, [name])[name] != int(sums[name], 16):
                raise IntegrityError(
                    "a part of the shards is damaged",
                    where=f"{_place(self._folder, file).shown}, {printable(name)}",
                    fix="go on from another checkpoint",
                )
            self._good.add((file, name))
        return found[name].torch()

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:  # noqa: ARG003 - PyTorch's interface
        """Whether this reader takes a name: it has its own."""
        return True
