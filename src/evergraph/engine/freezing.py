"""Inference with parameters that stay as they are: noticed from run to run, and lowered with them as constants."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from evergraph.engine.compiling import Compiled

__all__ = ["Freezer"]

# lowering costs about as much as a few runs; where it soon was in vain, four times as many are waited for
_PATIENCE, _LONGEST = 2, 128
_WORTHWHILE = 16


class Freezer:
    """Watches an executor's arrays from one inference run to the next.

    An array has changed when it is another tensor, or when PyTorch has counted a write to it. After some runs between
    which no constant changed, the graph is lowered with the constants that it has; the next change of one ends that.

    Args:
        inputs: places of the arrays that differ from run to run. Where None, those that are seen to change while
            others stay, with no training in between; as long as there are none, nothing is lowered, for then nobody
            could tell a constant from an input that is tried twice.
        ignored: places of arrays whose values do not matter.
        compile_for: (arrays, places of the inputs) -> the lowered call, on the inputs' values.
    """

    def __init__(
        self,
        inputs: Collection[int] | None,
        ignored: Collection[int],
        compile_for: Callable[[Sequence[Any], Sequence[int]], Compiled],
    ) -> None:
        self._ignored = frozenset(ignored)
        self._observing = inputs is None
        self._inputs: set[int] = set(inputs or ())
        self._compile = compile_for
        self._seen: list[tuple[Any, int]] = []
        self._quiet, self._patience = 0, _PATIENCE
        self._lowered: tuple[Compiled, list[int]] | None = None

    def lowered(self, arrays: Sequence[Any]) -> Callable[[], list[Any]] | None:
        """The call that computes the outputs for these arrays, or None while the plan itself is to run."""
        changed = self._changed(arrays)
        if changed is None:
            return None
        fresh = changed - self._inputs
        # where most of the others change at once, they are other parameters
        if fresh and self._observing and 2 * len(fresh) <= len(arrays) - len(self._inputs):
            self._inputs |= fresh
        if fresh:
            self._drop()
            return None
        self._quiet += 1
        if self._lowered is None:
            if self._quiet < self._patience or not self._inputs:
                return None
            places = sorted(self._inputs)
            self._lowered = self._compile(arrays, places), places
        call, places = self._lowered
        return lambda: call([arrays[i] for i in places])

    def _drop(self) -> None:
        if self._lowered is not None:
            soon = self._quiet < self._patience + _WORTHWHILE
            self._patience = min(4 * self._patience, _LONGEST) if soon else _PATIENCE
        self._quiet, self._lowered = 0, None

    def note(self, arrays: Sequence[Any]) -> None:
        """An inference run is over: what is written from now on is a change."""
        # a run itself may write: MXNet's BatchNorm sets a fixed gamma to 1
        try:
            self._seen = [(a, a._version) for a in arrays]  # noqa: SLF001 - how PyTorch lets writes be noticed
        except (AttributeError, RuntimeError):  # sparse values, and tensors made in inference mode, count no writes
            self._seen = []

    def disturb(self) -> None:
        """Training takes place: what changes now tells nothing about which arrays are inputs."""
        self._seen = []
        self._drop()

    def _changed(self, arrays: Sequence[Any]) -> set[int] | None:
        """Places of the arrays that changed since the last run; None where that is not known."""
        if len(self._seen) != len(arrays):
            return None
        pairs = zip(arrays, self._seen, strict=True)
        return {
            i
            for i, (a, (b, v)) in enumerate(pairs)
            if (a is not b or a._version != v) and i not in self._ignored  # noqa: SLF001 - see note
        }
