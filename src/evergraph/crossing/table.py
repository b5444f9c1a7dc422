"""The table of a crossing: which tensor becomes which, why, and what was done to its values."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from evergraph.crossing.parts import View
from evergraph.errors import printable
from evergraph.tensors import Tensor

__all__ = ["Crossing", "Row", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """Parts under the name that the target gives them.

    Attributes:
        views: the parts; several where the target joins them.
        name: the target's name; None for what it has no place for.
        tensor: the values as the target stores them.
        changed: what was done to them.
        note: what is odd about it.
    """

    views: tuple[View, ...]
    name: str | None = None
    tensor: Tensor | None = None
    changed: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        source: the source's names; several where the target joins them, none for values that are added.
        shape: the source's shape; that of the stretch where a longer tensor is unpacked.
        target: the target's name; None for what is left out.
        new_shape: the target's shape.
        kind: kind of the layer.
        why: what told it.
        changed: what was done to the values.
        guessed: whether names and shapes fit another kind as well.
    """

    source: tuple[str, ...]
    shape: tuple[int, ...] | None
    target: str | None
    new_shape: tuple[int, ...] | None
    kind: str
    why: str
    changed: str = ""
    guessed: bool = False

    def report(self) -> dict[str, Any]:
        """The line as plain data."""
        return {
            "source": self.source[0] if len(self.source) == 1 else list(self.source),
            "shape": None if self.shape is None else list(self.shape),
            "target": self.target,
            "target_shape": None if self.new_shape is None else list(self.new_shape),
            "kind": self.kind,
            "why": self.why,
            "changed": self.changed,
            "guessed": self.guessed,
        }

    @property
    def words(self) -> str:
        """The line in words."""
        target = "left out" if self.target is None else printable(self.target)
        return f"{_names(self.source)} -> {target}"


def _names(names: Iterable[str]) -> str:
    listed = [printable(n) for n in names]
    return (f"{listed[0]} and {len(listed) - 1} more" if len(listed) > 1 else listed[0]) if listed else "(added)"


def _sizes(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "x".join(map(str, shape)) or "scalar"


@dataclass(frozen=True, slots=True)
class Crossing:
    """How names crossed from one framework to another.

    Attributes:
        origin: whose names the source has.
        names: whose names the target has.
        rows: one for each tensor of the target, and for each that is left out.
        notes: on the whole.
    """

    origin: str
    names: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def guesses(self) -> tuple[Row, ...]:
        """The rows that could be otherwise."""
        return tuple(r for r in self.rows if r.guessed)

    @property
    def left_out(self) -> tuple[Row, ...]:
        """The rows without a target."""
        return tuple(r for r in self.rows if r.target is None)

    def table(self) -> list[tuple[str, ...]]:
        """Cells for people, a heading first; `?` marks a guess."""
        rows = [("", "source", "shape", "target", "shape", "why")]
        for row in self.rows:
            why = f"{row.kind}: {row.why}" + (f"; {row.changed}" if row.changed else "")
            target = "(left out)" if row.target is None else row.target
            cells = (_names(row.source), _sizes(row.shape), target, _sizes(row.new_shape), why)
            rows.append(("?" if row.guessed else "", *cells))
        return rows

    def lines(self, shown: int = 20) -> list[str]:
        """What happened in words: counts, everything that was guessed, changed in value, or left out.

        Args:
            shown: lines of each sort before the rest is counted.
        """
        kinds = Counter(r.kind for r in self.rows)
        counts = ", ".join(f"{n} of {kind}" for kind, n in kinds.items())
        found = [f"names of {self.origin} became those of {self.names}: {counts}"]
        found += _some([f"guessed {r.words} ({r.kind}: {r.why})" for r in self.guesses], "guesses", shown)
        found += _grouped([(r.changed, r.words) for r in self.rows if r.changed])
        found += _grouped([(r.why, f"left out {printable(r.source[0])}") for r in self.left_out])
        return [*found, *self.notes]

    def report(self) -> dict[str, Any]:
        """The whole as plain data, for `--json`."""
        rows = [r.report() for r in self.rows]
        return {"from": self.origin, "to": self.names, "rows": rows, "notes": list(self.notes)}


def _grouped(pairs: list[tuple[str, str]]) -> list[str]:
    """One line for each thing that was done: the first tensor it was done to, and how many more."""
    groups: dict[str, list[str]] = {}
    for done, words in pairs:
        groups.setdefault(done, []).append(words)
    return [f"{w[0]}{f' and {len(w) - 1} more' if len(w) > 1 else ''}: {done}" for done, w in groups.items()]


def _some(lines: list[str], what: str, shown: int) -> list[str]:
    return lines[:shown] + ([f"... and {len(lines) - shown} more {what}; --dry-run lists all"] if lines[shown:] else [])
