"""What the processes of one training say to each other about saving; alone, a process talks to itself."""

import contextlib
from collections.abc import Iterator
from typing import Any

from evergraph.errors import EvergraphError, printable

__all__ = ["Meeting", "MeetingError"]


class MeetingError(EvergraphError):
    """Another process of the training is gone, or failed."""


class Meeting:
    """Processes that save together.

    Two channels, apart from that of the gradients: training's thread and the saving thread talk at the same time.

    Args:
        store: the key-value store of the training, or None.
    """

    def __init__(self, store: Any) -> None:
        self.count = int(getattr(store, "num_workers", 1) or 1) if store else 1
        self.rank = int(getattr(store, "rank", 0) or 0) if self.count > 1 else 0
        self._groups: list[Any] = []
        if self.count > 1:
            import torch.distributed as dist

            self._groups = [dist.new_group(backend="gloo") for _ in range(2)]

    @property
    def saving_group(self) -> Any:
        """The channel of the saving threads; None where there is one process."""
        return self._groups[1] if self._groups else None

    def gather(self, value: Any, *, saving: bool = False) -> list[Any]:
        """The values of all processes, in order.

        Args:
            value: this process's, plain.
            saving: whether the saving thread asks.

        Raises:
            MeetingError: a process is gone.
        """
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.count
        with self._answered(", while a training state is saved or read"):
            dist.all_gather_object(found, value, group=self._groups[saving])
        return found

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        if self.count == 1:
            return flag
        import torch
        import torch.distributed as dist

        total = torch.tensor([int(flag)])
        with self._answered():
            dist.all_reduce(total, group=self._groups[0])
        return bool(total[0])

    @contextlib.contextmanager
    def _answered(self, when: str = "") -> Iterator[None]:
        """Says in the training's words that a process did not answer."""
        try:
            yield
        except RuntimeError as error:
            raise MeetingError(
                f"another process of the training is gone, or does not answer{when}",
                where=f"process {self.rank} of {self.count}",
                found=printable(str(error).partition("\n")[0], 300),
                fix="look for the first error among the processes; the last whole state is untouched: start again",
            ) from error

    def together(self, error: EvergraphError | None, *, saving: bool = False) -> None:
        """Raise in all processes what went wrong in one of them.

        Raises:
            EvergraphError: this process's own error, or one that says which process failed.
        """
        told = self.gather(None if error is None else str(error), saving=saving)
        if error is not None:
            raise error
        lines = [f"process {rank}: {text.replace(chr(10), ';')}" for rank, text in enumerate(told) if text]
        if lines:
            raise MeetingError("another process of the training failed", details=lines)

    def close(self) -> None:
        """Leave the channels."""
        if self._groups:
            import torch.distributed as dist

            groups, self._groups = self._groups, []
            for group in groups:
                dist.destroy_process_group(group)
