"""Which of several files are checkpoints, by their names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evergraph.errors import printable

__all__ = ["OPTIONS", "Found", "find", "strong"]

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
