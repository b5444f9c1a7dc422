"""Changes a checkpoint's names and what it holds: select, rename, merge. Each gives a new checkpoint."""

import fnmatch
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evergraph.checkpoint.checkpoint import Checkpoint
from evergraph.errors import UsageError, collect, printable

__all__ = ["Rule", "merge", "rename", "rules_from", "select"]

Rule = tuple[str, str]
"""A regular expression that is looked for in a name, and what each place it is found at becomes (\\1 for groups)."""

MAX_RULES = 10_000


def select(
    checkpoint: Checkpoint, only: str | Iterable[str] | None = None, drop: str | Iterable[str] | None = None
) -> Checkpoint:
    """The tensors whose names fit a pattern.

    Args:
        checkpoint: what to choose from; its graph and metadata stay.
        only: shell patterns; a name stays if one fits. A pattern with a colon (`arg:conv*`) is held against the whole
            name, any other against the name without its role.
        drop: shell patterns of names to leave out.

    Raises:
        UsageError: a pattern that fits no name (all of them are listed).

    >>> import numpy as np
    >>> list(select(Checkpoint({"arg:a": np.ones(1), "aux:b": np.ones(1)}), only="a*"))
    ['arg:a']
    """
    keep, leave = _patterns(only), _patterns(drop)
    unused = [printable(p) for p in (keep or []) + (leave or []) if not any(_fits(n, p) for n in checkpoint)]
    collect(UsageError, "patterns fit no name", unused, where=checkpoint.name or None, found=_some(checkpoint))
    names = [n for n in checkpoint if keep is None or any(_fits(n, p) for p in keep)]
    names = [n for n in names if not any(_fits(n, p) for p in leave or [])]
    return checkpoint.replace({n: checkpoint[n] for n in names})


def _some(checkpoint: Checkpoint) -> str:
    """A few names, to write a better pattern by."""
    return ", ".join(printable(n) for n in list(checkpoint)[:8]) + (", ..." if len(checkpoint) > 8 else "")


def _patterns(given: str | Iterable[str] | None) -> list[str] | None:
    if given is None:
        return None
    found: list[str] = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if wrong := [p for p in found if not isinstance(p, str)]:
        raise UsageError("patterns are texts, such as 'encoder.*'", found=printable(wrong[0]))
    return found


def _fits(name: str, pattern: str) -> bool:
    bare = name[4:] if name.startswith(("arg:", "aux:")) and ":" not in pattern else name
    return fnmatch.fnmatchcase(bare, pattern)


def rename(
    checkpoint: Checkpoint, rules: Mapping[str, str] | Sequence[Rule] | Callable[[str], str] | str
) -> Checkpoint:
    r"""The same tensors under other names.

    Args:
        checkpoint: what to rename.
        rules: a mapping from old names to new ones; (regular expression, replacement) pairs, applied in order; a
            function; or the text of a TOML file with a table `names` (old = "new") and a list `rules` of
            `{find = "...", replace = "..."}`.

    Raises:
        UsageError: two tensors would have one name, a rule that changes nothing, or a broken rule.

    >>> import numpy as np
    >>> list(rename(Checkpoint({"features.0.weight": np.ones(1)}), [(r"features\.(\d+)\.", r"conv\1_")]))
    ['conv0_weight']
    """
    change = rules if callable(rules) else _change(checkpoint, rules)
    new: dict[str, list[str]] = {}
    for name in checkpoint:
        new.setdefault(change(name), []).append(name)
    clashes = [f"{printable(n)}: {', '.join(map(printable, old))}" for n, old in new.items() if len(old) > 1]
    collect(UsageError, "tensors would have one name", clashes, where=checkpoint.name or None)
    return checkpoint.replace({n: checkpoint[old[0]] for n, old in new.items()})


def _change(checkpoint: Checkpoint, rules: Mapping[str, str] | Sequence[Rule] | str) -> Callable[[str], str]:
    names, patterns = rules_from(rules)
    unused = [printable(n) for n in names if n not in checkpoint]
    used: set[int] = set()

    def change(name: str) -> str:
        found = names.get(name, name)
        for index, (pattern, replacement) in enumerate(patterns):
            found, count = pattern.subn(replacement, found)
            if count:
                used.add(index)
        return found

    changed = [change(n) for n in checkpoint]
    unused += [printable(p.pattern) for i, (p, _) in enumerate(patterns) if i not in used]
    collect(UsageError, "rules that fit no name", unused, where=checkpoint.name or None, found=_some(checkpoint))
    answers = dict(zip(checkpoint, changed, strict=True))
    return lambda name: answers[name]


def rules_from(given: Mapping[str, str] | Sequence[Rule] | str) -> tuple[dict[str, str], list[tuple[re.Pattern, str]]]:
    """Whole names, and compiled rules, from any way of giving them.

    Raises:
        UsageError: broken TOML, expressions or replacements (all of them are listed).
    """
    names: Mapping[str, str] = {}
    pairs: Sequence[Rule] = ()
    if isinstance(given, str):
        names, pairs = _from_toml(given)
    elif isinstance(given, Mapping):
        names = given
    else:
        pairs = given
    wrong = [f"{printable(k)!r}: {printable(v)}" for k, v in names.items() if not isinstance(v, str)]
    compiled = []
    for pair in pairs:
        try:
            find, replacement = pair
            pattern = re.compile(find)
            # a group that is not there shows only when it is used
            re.compile(f"{find}|").sub(replacement, "")
            compiled.append((pattern, replacement))
        except (re.error, ValueError, TypeError, IndexError) as error:
            wrong.append(f"{printable(pair)}: {printable(error)}")
    if len(pairs) > MAX_RULES:
        wrong.append(f"{len(pairs)} rules: at most {MAX_RULES}")
    collect(UsageError, "rules for renaming that cannot be used", wrong)
    return dict(names), compiled


def _from_toml(text: str) -> tuple[dict[str, str], list[Rule]]:
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError("the rules for renaming are no TOML", found=printable(error)) from error
    names, rules = found.get("names", {}), found.get("rules", [])
    unknown = [printable(k) for k in found if k not in ("names", "rules")]
    good = isinstance(rules, list) and all(isinstance(r, dict) and set(r) == {"find", "replace"} for r in rules)
    if unknown or not isinstance(names, dict) or not good:
        raise UsageError(
            "the rules for renaming are not as they should be",
            expected='a table "names" (old = "new") and a list "rules" of {find = "...", replace = "..."}',
            found=", ".join(unknown) or None,
        )
    return dict(names), [(r["find"], r["replace"]) for r in rules]


def merge(first: Checkpoint, *others: Checkpoint, replace: bool = False) -> Checkpoint:
    """The tensors of several checkpoints in one, in order; graph and metadata are the first's, or the first that is.

    Args:
        first: the checkpoint that the others are added to.
        others: what is added.
        replace: whether a later tensor takes the place of an earlier one of its name.

    Raises:
        UsageError: one name in several of them (all are listed), unless `replace`.

    >>> import numpy as np
    >>> list(merge(Checkpoint({"a": np.ones(1)}), Checkpoint({"b": np.ones(1)})))
    ['a', 'b']
    """
    tensors, clashes = dict(first), []
    for other in others:
        clashes += [printable(n) for n in other if n in tensors]
        tensors.update(other)
    if not replace:
        collect(UsageError, "names stand in several checkpoints", clashes, fix="replace=True takes the last of each")
    graph = next((c for c in (first, *others) if c.graph is not None), first).graph
    metadata: dict[str, Any] = {}
    for found in (*reversed(others), first):
        metadata |= found.metadata
    return first.replace(tensors, graph=graph, metadata=metadata)
