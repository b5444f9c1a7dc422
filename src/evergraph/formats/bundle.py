"""Finds the checkpoint among several files: in a folder, beside a prefix, or inside an archive."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, FormatError, UsageError, printable
from evergraph.formats.candidates import Found, find, strong
from evergraph.formats.foreign import explain_names
from evergraph.formats.mxnet_pair import open_pair
from evergraph.formats.side_files import side_metadata
from evergraph.stores import Source

__all__ = ["Bundle"]

_TRIED = 50
"""Files without a known ending that are looked into: an archive may hold as many pictures as it likes."""


class Bundle:
    """Files by name, and how each is opened.

    Args:
        names: the files.
        source: opens one of them.
        shown: where they are, for messages.
    """

    def __init__(self, names: Iterable[str], source: Callable[[str], Source], shown: str) -> None:
        self.names = list(names)
        self.source = source
        self.shown = shown

    def open(self, member: str | None = None, epoch: int | None = None, **options: Any) -> Checkpoint:
        """The only checkpoint, or the chosen one, with what side files say in its metadata.

        Args:
            member: name of a file or a prefix.
            epoch: epoch of a prefix.
            options: what the checkpoint's own format takes.

        Raises:
            FormatError: there is none.
            UsageError: there are several, or none of this name or epoch.
        """
        found = self._choose(member)
        if found.symbol is not None or found.params:
            checkpoint = open_pair(found, self.source, self.shown, epoch, options)
        else:
            checkpoint = self._open_file(found.name, options | ({} if epoch is None else {"epoch": epoch}))
        beside = side_metadata(self.names, self.source, found.name)
        if not beside:
            return checkpoint
        # what reads the files that the metadata names: in an archive nobody else can
        details = {**checkpoint.details, "beside": self.source}
        return checkpoint.replace(metadata={**checkpoint.metadata, **beside}, details=details)

    def _open_file(self, name: str, options: Mapping[str, Any]) -> Checkpoint:
        from evergraph.formats.registry import by_content

        source = self.source(name)
        return by_content(source).read(source, **options)

    def _choose(self, member: str | None) -> Found:
        candidates = find(self.names)
        if member is not None:
            return self._named(candidates, member)
        weights = [c for c in candidates if c.params or c.symbol is None]
        for chosen in (strong(candidates), weights, candidates):
            if len(chosen) == 1:
                return chosen[0]
            if chosen:
                raise self._several(chosen)
        return self._by_content()

    def _named(self, candidates: list[Found], member: str) -> Found:
        chosen = [c for c in candidates if c.name == member or c.name.rpartition("/")[2] == member]
        if len(chosen) == 1:
            return chosen[0]
        files = [n for n in self.names if n == member or n.rpartition("/")[2] == member]
        if len(files) == 1:
            return Found(files[0])
        raise UsageError(
            f"no member {printable(member)!r}" if not files else f"several members are named {printable(member)!r}",
            where=self.shown,
            details=[c.words for c in candidates] or [printable(n) for n in self.names[:20]],
            fix="choose one of these with member=... (--member)",
        )

    def _several(self, candidates: list[Found]) -> UsageError:
        return UsageError(
            "there are several checkpoints",
            where=self.shown,
            details=[c.words for c in candidates[:50]],
            fix="choose one with member=... (--member)",
        )

    def _by_content(self) -> Found:
        """The only file that some format recognises, whatever it is named."""
        from evergraph.formats.registry import by_content

        found = []
        for name in self.names[:_TRIED]:
            try:
                by_content(self.source(name))
            except EvergraphError:
                # not a checkpoint, or a damaged one that no ending speaks for
                continue
            found.append(Found(name))
        if len(found) == 1:
            return found[0]
        if found:
            raise self._several(found)
        other = explain_names(self.names)
        if other is not None:
            raise FormatError(other[0], where=self.shown, fix=other[1])
        raise FormatError(
            "no checkpoint is found there",
            where=self.shown,
            expected="prefix-symbol.json with prefix-0000.params, or a file of a known format",
            found=", ".join(printable(n) for n in self.names[:20]) or "no files",
        )
