"""A user's own rules for a crossing, from a TOML file: kinds of layers, names of the target, what to leave out."""

import fnmatch
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evergraph.checkpoint.edit import rules_from
from evergraph.crossing.structure import KINDS
from evergraph.errors import UsageError, collect, printable
from evergraph.stores import open_source

__all__ = ["Rules", "rules_of"]

_KEYS = ("kinds", "names", "rules", "drop")


@dataclass
class Rules:
    """What a user says of a crossing.

    Attributes:
        kinds: regular expressions of layers' names, and the kind of each.
        names: a source's whole name -> the target's whole name.
        rules: regular expressions looked for in the target's names, and what each becomes.
        drop: shell patterns of the source's names that are left out.
        used: what has fitted so far.
    """

    kinds: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    names: Mapping[str, str] = field(default_factory=dict)
    rules: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    used: set[object] = field(default_factory=set)

    def kind(self, layer: str) -> str:
        """Kind of a layer that a rule tells; empty where none does."""
        for pattern, kind in self.kinds:
            if pattern.search(layer):
                self.used.add(pattern)
                return kind
        return ""

    def dropped(self, source: str) -> str:
        """The pattern by which a tensor is left out; empty where none is."""
        for pattern in self.drop:
            if fnmatch.fnmatchcase(source, pattern):
                self.used.add(pattern)
                return pattern
        return ""

    def name(self, sources: tuple[str, ...], target: str) -> str:
        """The name that a target's tensor gets in the end."""
        for source in sources:
            if source in self.names:
                self.used.add(("name", source))
                return self.names[source]
        for pattern, replacement in self.rules:
            target, count = pattern.subn(replacement, target)
            if count:
                self.used.add(pattern)
        return target

    def unused(self) -> list[str]:
        """The rules that fitted nothing."""
        found = [f"kinds: {printable(p.pattern)}" for p, _ in self.kinds if p not in self.used]
        found += [f"names: {printable(n)}" for n in self.names if ("name", n) not in self.used]
        found += [f"rules: {printable(p.pattern)}" for p, _ in self.rules if p not in self.used]
        return found + [f"drop: {printable(p)}" for p in self.drop if p not in self.used]


def rules_of(given: Any) -> Rules:
    """The rules of a TOML file, or of a mapping with the same keys.

    Args:
        given: None, a path, or a mapping: `kinds` (expression -> kind), `names` (source -> target), `rules` (a list
            of `{find, replace}`), `drop` (a list of shell patterns).

    Raises:
        UsageError: everything about them that cannot be used.

    >>> rules_of({"kinds": {"^tok$": "embedding"}}).kind("tok")
    'embedding'
    """
    if given is None:
        return Rules()
    where = None
    if isinstance(given, (str, os.PathLike)):
        where = printable(os.fspath(given))
        with open_source(os.fspath(given)) as source:
            text = source.head(source.size).decode("utf-8", "replace")
        try:
            given = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError("the rules are no TOML", where=where, found=printable(error)) from error
    if not isinstance(given, Mapping):
        raise UsageError("rules are a TOML file or a mapping", found=type(given).__name__)
    return _checked(given, where)


def _checked(given: Mapping[str, Any], where: str | None) -> Rules:
    kinds, names = given.get("kinds", {}), given.get("names", {})
    pairs, drop = given.get("rules", []), given.get("drop", [])
    wrong = [f"{printable(k)}: no such table" for k in given if k not in _KEYS]
    wrong += [
        f"{n}: a table is expected" for n, v in (("kinds", kinds), ("names", names)) if not isinstance(v, Mapping)
    ]
    good = isinstance(pairs, list) and all(isinstance(r, Mapping) and set(r) == {"find", "replace"} for r in pairs)
    wrong += [] if good else ["rules: a list of {find = ..., replace = ...} is expected"]
    plain = isinstance(drop, list) and all(isinstance(p, str) for p in drop)
    wrong += [] if plain else ["drop: a list of patterns is expected"]
    collect(UsageError, "the rules cannot be used", wrong, where=where, expected=", ".join(_KEYS))
    wrong = [f"kinds.{printable(k)}: {printable(v)} is no kind" for k, v in kinds.items() if v not in KINDS]
    collect(UsageError, "the rules cannot be used", wrong, where=where, expected=", ".join(KINDS))
    whole, _ = rules_from(dict(names))
    _, compiled = rules_from([(r["find"], r["replace"]) for r in pairs])
    _, patterns = rules_from([(k, v) for k, v in kinds.items()])
    return Rules(patterns, whole, compiled, list(drop))
