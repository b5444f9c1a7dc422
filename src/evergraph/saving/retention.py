"""Keeping the newest checkpoints of a family: older ones go only after a newer one is durable.

What may be removed is what an index lists (`NAME.kept.json`): only files that were saved with a number to keep get into
it, so that a file from elsewhere, such as the pretrained weights that a training began from, never goes.
"""

import json
from collections.abc import Sequence

from evergraph.errors import DamagedError, UsageError, printable
from evergraph.stores import commit, exists, locate, open_source
from evergraph.stores.folders import remove_file

__all__ = ["Retention"]

_LARGEST = 16 << 20


class Retention:
    """The newest checkpoints of a family.

    Args:
        index: URI of the index; the files that it lists stand beside it.
        keep: how many checkpoints stay.

    Raises:
        UsageError: `keep` is no number above 0.
    """

    def __init__(self, index: str, keep: int) -> None:
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise UsageError("keep is how many checkpoints stay", expected="a whole number from 1", found=repr(keep))
        self._index, self._keep = locate(index), keep

    def announce(self, names: Sequence[str]) -> None:
        """Say which files are saved next, before they are: a crash in between leaves nothing unlisted.

        Args:
            names: the files' names, without their folder.
        """
        listed = [one for one in self._listed() if one != list(names)]
        self._write([*listed, list(names)])

    def settle(self) -> None:
        """Remove the oldest, now that the newest is durable."""
        listed = self._listed()
        old, kept = listed[: -self._keep], listed[-self._keep :]
        still = {name for one in kept for name in one}
        for name in (name for one in old for name in one):
            if name not in still:
                remove_file(self._index.sibling(name))
        if old:
            self._write(kept)

    def _listed(self) -> list[list[str]]:
        if not exists(self._index):
            return []
        with open_source(self._index) as source:
            data = source.head(min(source.size, _LARGEST))
        try:
            listed = json.loads(data)["kept"]
            wrong = not all(isinstance(n, str) and n and "/" not in n and "\\" not in n for one in listed for n in one)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(printable(error)) from error
        if wrong:
            raise self._damaged("names that are no names of files")
        return [list(one) for one in listed]

    def _damaged(self, found: str) -> DamagedError:
        return DamagedError(
            "the list of checkpoints to keep cannot be read",
            where=self._index.shown,
            found=found,
            fix="remove it: the checkpoints that it lists then stay for good",
        )

    def _write(self, listed: list[list[str]]) -> None:
        data = (json.dumps({"kept": listed}, indent=1) + "\n").encode()
        with commit(self._index, total=len(data)) as sink:
            sink.write(data)
