"""`communication`: this process among several, which is one alone here."""

import os

from evergraph.errors import UsageError, printable

__path__: list[str] = []  # programs import from modules below it

__all__ = [
    "GlobalComm",
    "get_group_size",
    "get_local_rank",
    "get_local_rank_size",
    "get_rank",
    "init",
    "release",
]


class GlobalComm:
    """What MindSpore's program holds of its process group."""

    BACKEND: str = ""
    WORLD_COMM_GROUP = "hccl_world_group"
    INITED: bool = False


def init(backend_name: str | None = None) -> None:
    """Begin a group of one process.

    Raises:
        UsageError: the environment tells of several processes.
    """
    size = os.environ.get("RANK_SIZE") or os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("MS_WORKER_NUM")
    if size and size.isdigit() and int(size) > 1:
        raise UsageError(
            "one process trains here, and the environment tells of several",
            where="communication.init",
            found=f"{size} processes",
            fix="train with torch.distributed: a Cell is a torch.nn.Module",
        )
    GlobalComm.BACKEND, GlobalComm.INITED = backend_name or "", True


def release() -> None:
    """End the group."""
    GlobalComm.INITED = False


def _only(group: str) -> None:
    if not isinstance(group, str):
        raise UsageError("a group is called by its name", found=printable(type(group).__name__))


def get_rank(group: str = GlobalComm.WORLD_COMM_GROUP) -> int:
    """This process's place in a group: 0."""
    _only(group)
    return 0


def get_group_size(group: str = GlobalComm.WORLD_COMM_GROUP) -> int:
    """How many processes a group has: 1."""
    _only(group)
    return 1


get_local_rank, get_local_rank_size = get_rank, get_group_size
