"""Stores over several processes: gradients are summed by torch.distributed, every process updates its own weights."""

import atexit
import datetime
import os
from typing import Any

import torch
import torch.distributed as dist

from evergraph.errors import EvergraphError, UsageError, printable
from evergraph.mxnet.kvstore import KVStore, KVStoreBase, _pairs, _summed

__all__ = ["DistributedStore", "create_distributed"]

_TIMEOUT = "EVERGRAPH_DIST_TIMEOUT"
_KINDS = ("dist_sync", "dist_device_sync", "dist_sync_device", "dist", "horovod", "byteps")


class WorkerError(EvergraphError):
    """Another process of the job is gone, or does not answer."""


class DistributedStore(KVStore):
    """A store over the processes that `torchrun` started: gloo on CPUs, nccl on GPUs.

    The values of process 0 are handed to all when a key is set; gradients are summed over all processes before each
    process's own updater takes them, so that all weights stay equal. A process that is gone, or silent for
    `EVERGRAPH_DIST_TIMEOUT` seconds (600 where it is not set), ends the others with an error.

    Args:
        kind: the kind of store.

    Raises:
        UsageError: the job was not started by torchrun.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        if not dist.is_available():
            raise UsageError("this PyTorch has no torch.distributed", fix="use kvstore='local'")
        if not dist.is_initialized():
            _join(kind)

    @property
    def rank(self) -> int:
        """This process's number."""
        return dist.get_rank()

    @property
    def num_workers(self) -> int:
        """How many processes there are."""
        return dist.get_world_size()

    def init(self, key: Any, value: Any) -> None:
        """Set the first values of keys: those of process 0."""
        super().init(key, value)
        for each, _ in _pairs(key, value):
            stored = self._values[each]
            _told(lambda data: dist.broadcast(data, 0), stored._data, f"handing out {printable(each)}")

    def _reduced(self, key: Any, values: list[Any]) -> Any:
        total = _summed(values)  # only what goes to other processes is compressed
        if total.stype != "default":
            total = total.tostype("default")
        if len(values) == 1:
            total = total.copy()
        if self._compression is not None:
            total = self._compression(key, -1, total)
        _told(dist.all_reduce, total._data, f"summing {printable(key)}")
        return total

    def barrier(self) -> None:
        """Wait for the other processes."""
        _told(lambda _: dist.barrier(), None, "waiting for all")

    _barrier = barrier


def _told(step: Any, data: Any, what: str) -> None:
    try:
        step(data)
    except RuntimeError as error:
        raise WorkerError(
            f"another process of the job is gone, or does not answer, while {what}",
            where=f"process {dist.get_rank()} of {dist.get_world_size()}",
            found=printable(str(error).splitlines()[0], 300),
            fix="look for the first error among the processes, and start the job again from its last checkpoint",
        ) from error


def _join(kind: str) -> None:
    missing = [n for n in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if n not in os.environ]
    if missing:
        raise UsageError(
            f"kvstore {kind!r} runs in several processes, and this one was not started as one of them",
            found=f"not set: {', '.join(missing)}",
            fix="start the program with: torchrun --nproc-per-node 2 program.py",
        )
    seconds = float(os.environ.get(_TIMEOUT, "600"))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    wait = datetime.timedelta(seconds=seconds)
    store, rank, size = next(dist.rendezvous("env://", timeout=wait))  # pyright: ignore[reportPrivateImportUsage]
    # torchrun --max-restarts starts a job again over the same store, in which addresses of dead processes stand
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"start-{start}", store)  # pyright: ignore[reportPrivateImportUsage]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=wait)
    atexit.register(_leave)  # gloo's threads abort a process that ends while they run


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def create_distributed(kind: str) -> KVStoreBase:
    """A store over several processes.

    Raises:
        UsageError: a kind that there is not; asynchronous ones name what to use instead.
    """
    if kind in _KINDS:
        return DistributedStore(kind)
    raise UsageError(
        f"kvstore {printable(kind)!r} is not here",
        expected=", ".join(_KINDS),
        found="asynchronous updates need parameter servers, whose results depend on timing"
        if "async" in kind
        else None,
        fix="use 'dist_sync': the same training, with equal weights in all processes",
    )
