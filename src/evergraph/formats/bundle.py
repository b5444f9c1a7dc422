"""Finds the checkpoint among several files: in a folder, beside a prefix, or inside an archive."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, FormatError, UsageError, printable
from evergraph.formats.foreign import explain_names
from evergraph.formats.side_files import side_metadata
from evergraph.stores import Source

__all__ = ["OPTIONS", "Bundle", "Found", "find"]

OPTIONS = {
    "member": "name of the checkpoint among several: a file, or a prefix for prefix-symbol.json and prefix-0001.params",
    "epoch": "which of several prefix-NNNN.params; the newest where not given",
}

_PARAMS = re.compile(r"(?P<prefix>.*)-(?P<epoch>\d{4,})\.params")
_SYMBOL = "-symbol.json"
_SUFFIXES = (
    *(".params", ".nd", ".ckpt", ".safetensors", ".pth", ".pt", ".npz", ".npy", ".states", ".pkl", ".pickle"),
    *(".tar.gz", ".tgz", ".tar", ".zip", ".mar", ".model"),
)
_WEAK = (".npy", ".states", ".pkl", ".pickle")
_INDEX = ".safetensors.index.json"
_TRIED = 50
"""Files without a known ending that are looked into: an archive may hold as many pictures as it likes."""


@dataclass(frozen=True, slots=True)
class Found:
    """One checkpoint among files.

    Args:
        name: how it is chosen: a prefix, or a file's name.
        params: epoch -> file of a prefix's parameters; empty for other files.
        symbol: the graph's file, where there is one.
    """

    name: str
    params: Mapping[int, str] = field(default_factory=dict)
    symbol: str | None = None

    @property
    def words(self) -> str:
        """The checkpoint in a line of a list."""
        epochs = f" (epochs {', '.join(map(str, sorted(self.params)))})" if len(self.params) > 1 else ""
        return printable(self.name) + epochs


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
            from evergraph.formats.mxnet_checkpoint import open_pair

            checkpoint = open_pair(self, found, epoch, options)
        else:
            checkpoint = self._open_file(found.name, options | ({} if epoch is None else {"epoch": epoch}))
        beside = side_metadata(self, found.name)
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


def find(names: Iterable[str]) -> list[Found]:
    """The checkpoints among files, by the endings of their names.

    >>> [f.words for f in find(["m-symbol.json", "m-0001.params", "m-0002.params", "log.txt"])]
    ['m (epochs 1, 2)']
    """
    listed = [n for n in names if not _is_hidden(n)]
    indexes = [Found(n) for n in listed if n.endswith(_INDEX)]
    epochs: dict[str, dict[int, str]] = {}
    singles = []
    for name in listed:
        match = _PARAMS.fullmatch(name)
        if match:
            epochs.setdefault(match["prefix"], {})[int(match["epoch"])] = name
        elif name.lower().endswith(_SUFFIXES) and not (indexes and name.endswith(".safetensors")):
            singles.append(name)
    symbols = {n.removesuffix(_SYMBOL): n for n in listed if n.endswith(_SYMBOL)}
    found = []
    for prefix, numbered in epochs.items():
        found.append(Found(prefix, numbered, symbols.pop(prefix, None)))
    # prefix-symbol.json beside prefix.params (Gluon, or renamed by hand)
    for prefix in [p for p in symbols if f"{p}.params" in singles]:
        singles.remove(f"{prefix}.params")
        found.append(Found(prefix, {0: f"{prefix}.params"}, symbols.pop(prefix)))
    pairs = {f.name for f in found}
    # prefix-0001.states holds the optimizer of a pair, not a checkpoint of its own
    singles = [n for n in singles if not any(n.startswith(f"{p}-") and n.endswith(".states") for p in pairs)]
    return [*indexes, *found, *(Found(n) for n in singles), *(Found(p, symbol=n) for p, n in symbols.items())]


def strong(candidates: Iterable[Found]) -> list[Found]:
    """Those that are opened before others: an array, a pickle or a graph is where there is nothing more."""
    weights = (c for c in candidates if c.params or c.symbol is None)
    return [c for c in weights if not c.name.lower().endswith(_WEAK)]


def _is_hidden(name: str) -> bool:
    # ._name and __MACOSX are what macOS adds to archives; .evg.json is a manifest
    return any(p.startswith(("._", "__MACOSX")) for p in name.split("/")) or name.endswith(".evg.json")
