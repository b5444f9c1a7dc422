"""Checkpoints of several files: all new or all old, written behind training where it is wanted, the newest kept."""

from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.mxnet.ndarray.pickling import to_tensor
from evergraph.saving.background import Background, Snapshot
from evergraph.saving.retention import Retention
from evergraph.saving.save import leave_pair, save_into
from evergraph.stores import Transaction, locate

__all__ = ["Keeper", "write_files"]

_FORMAT = "mxnet-params"


def write_files(files: Mapping[str, Any]) -> None:
    """Write files that belong together: whatever fails, all are new or all are as they were.

    Args:
        files: bytes, or arrays by name or in a list for a `.params` file, by URI, in the order in which they are made
            visible.

    Raises:
        StoreError: one of them cannot be written.
    """
    with Transaction() as work:
        for uri, content in files.items():
            if isinstance(content, bytes):
                work.add(uri, total=len(content)).write(content)
            else:
                found = content if isinstance(content, Checkpoint) else _checkpoint(content)
                save_into(work, found, uri, to=_FORMAT)
    for uri in files:
        leave_pair(locate(uri))


def _checkpoint(arrays: Mapping[str, Any] | list[Any], shot: Snapshot | None = None) -> Checkpoint:
    named = isinstance(arrays, Mapping)
    pairs = arrays.items() if named else ((str(i), v) for i, v in enumerate(arrays))
    make = Checkpoint if shot is None else shot.take
    details = {"named": named, "reserved": 0}
    return make({k: to_tensor(v) for k, v in pairs}, format=_FORMAT, details=details)


class Keeper:
    """Writes a family of checkpoints.

    Args:
        prefix: what the names of all its files begin with; `prefix.kept.json` lists those that may be removed.
        keep: how many of the newest stay; None keeps all.
        background: whether `write` returns as soon as it has a snapshot.

    Raises:
        UsageError: `keep` is no number above 0.
    """

    def __init__(self, prefix: str, keep: int | None = None, background: bool = False) -> None:
        self._retention = None if keep is None else Retention(f"{prefix}.kept.json", keep)
        self._background = Background(f"the checkpoint {locate(prefix).shown}") if background else None
        self._snapshots: dict[int, Snapshot] = {}

    def write(self, files: Mapping[str, Any], numbered: str) -> None:
        """Write a checkpoint; those that are too many go when it is durable.

        Args:
            files: see `write_files`.
            numbered: what the names of the files that belong to this checkpoint alone begin with.

        Raises:
            StoreError: a file cannot be written, or, in the background, an earlier one could not.
        """
        own = [locate(uri).basename for uri in files if uri.startswith(numbered)]
        if self._background is None:
            self._save(files, own)
            return
        self._background.ready()
        taken = {}
        for place, (uri, content) in enumerate(files.items()):
            shot = self._snapshots.setdefault(place, Snapshot())
            taken[uri] = content if isinstance(content, bytes) else _checkpoint(content, shot)
        self._background.submit(lambda: self._save(taken, own))

    def _save(self, files: Mapping[str, Any], own: list[str]) -> None:
        if self._retention is not None:
            self._retention.announce(own)
        write_files(files)
        if self._retention is not None:
            self._retention.settle()

    def wait(self) -> None:
        """Wait until all is durable.

        Raises:
            StoreError: something could not be written.
        """
        if self._background is not None:
            self._background.wait()
