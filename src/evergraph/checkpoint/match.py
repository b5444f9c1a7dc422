"""Fits a checkpoint's names to those a graph asks for: one table of what was matched, how, and what was not.

Rules, in this order; each takes names that earlier ones left, and only where the answer is one to one:

1. `exact`: the same name, with or without its role (`arg:`, `aux:`).
2. `prefix`: all remaining names agree once one prefix is taken from, or put before, each (Gluon's block prefixes).
3. `structure`: layers stand in the same order with the same kinds of parameters (`0.weight` for `conv0_weight`), and
   with the same shapes where these are known. Numbered layers stand in the order of their numbers, whatever the
   file's order is; layers named by words in the file's, if that can be trusted.
4. `near` (fuzzy only): of the same shape and kind, and nearest to each other by spelling.
"""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergraph.checkpoint.checkpoint import Checkpoint
from evergraph.errors import ConversionError, UsageError, printable
from evergraph.graph import Graph

__all__ = ["MODES", "Match", "Pair", "Wanted", "match", "wanted_by"]

MODES = ("strict", "report", "fuzzy")
"""strict: rule 1, anything else is an error; report: rule 1, the others as suggestions; fuzzy: all rules apply."""

NEAREST = 0.6
"""How alike two names must be for rule 4; below this, difflib finds any two layers alike."""

Shape = tuple[int, ...] | None

_KINDS = (
    *("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias", "h2r_weight", "begin_state", "moving_variance"),
    *("running_mean", "running_var", "moving_mean", "moving_var", "embedding_table", "in_proj_weight"),
    *("num_batches_tracked", "weight", "bias", "gamma", "beta", "alpha", "parameters"),
)
_SAME_KIND = {
    "moving_mean": "running_mean",
    "moving_var": "running_var",
    "moving_variance": "running_var",
    "embedding_table": "weight",
}
_NAME = re.compile(rf"(?P<stem>.*?)[._]?(?P<kind>{'|'.join(_KINDS)})")
_INPUT = re.compile(r"data\d*|.*_label|label\d*|.*_state(_cell)?|.*begin_state.*|im_info|gt_boxes")
_AUXILIARY: Mapping[str, Mapping[int, str]] = {
    **{
        op: {3: "moving_mean", 4: "moving_var"}
        for op in ("BatchNorm", "BatchNorm_v1", "CuDNNBatchNorm", "_contrib_SyncBatchNorm", "SyncBatchNorm")
    },
    "IdentityAttachKLSparseReg": {1: "moving_avg"},
}
"""Inputs that are auxiliary states. The operators' own definitions say the same, and stand on a higher floor."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A name that is asked for.

    Args:
        name: without a role.
        shape: where it is known.
        role: "arg:" or "aux:".
        is_input: whether it is fed, and no parameter: nobody misses it.
    """

    name: str
    shape: Shape = None
    role: str = "arg:"
    is_input: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """One match: the name asked for, the checkpoint's name, and the rule that found it."""

    wanted: Wanted
    found: str
    rule: str


@dataclass(frozen=True, slots=True)
class Match:
    """What was matched, and what was not.

    Attributes:
        pairs: the mapping; no name stands in it twice on either side.
        suggested: what rules that were not applied would add.
        missing: names asked for that have no tensor.
        extra: the checkpoint's names that nothing asks for.
        clashes: one line for each pair whose shapes differ.
        inputs: names without a tensor that are taken for the graph's inputs.
        notes: why a rule was not used, where it nearly was.
    """

    pairs: tuple[Pair, ...]
    suggested: tuple[Pair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    clashes: tuple[str, ...]
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every name has its tensor, of the right shape, and none is left."""
        return not (self.missing or self.extra or self.clashes)

    def lines(self) -> list[str]:
        """The table in words: what differs first, then what was matched by other than its name."""
        found = [f"missing: {printable(n)}" for n in self.missing]
        found += [f"not asked for: {printable(n)}" for n in self.extra]
        found += [f"another shape: {line}" for line in self.clashes]
        found += [f"taken for an input: {printable(n)}" for n in self.inputs]
        shown = ((p, "matched") for p in self.pairs if p.rule != "exact")
        for pair, word in (*shown, *((p, "suggested") for p in self.suggested)):
            found.append(f"{word} by {pair.rule}: {printable(pair.found)} -> {printable(pair.wanted.name)}")
        return [*found, *self.notes]

    def report(self) -> dict[str, Any]:
        """The table as plain data."""
        return {
            "ok": self.ok,
            "pairs": [{"wanted": p.wanted.name, "found": p.found, "rule": p.rule} for p in self.pairs],
            "suggested": [{"wanted": p.wanted.name, "found": p.found, "rule": p.rule} for p in self.suggested],
            "missing": list(self.missing),
            "extra": list(self.extra),
            "clashes": list(self.clashes),
            "inputs": list(self.inputs),
            "notes": list(self.notes),
        }

    def apply(self, checkpoint: Checkpoint) -> Checkpoint:
        """The matched tensors under the names asked for, with their roles, in the checkpoint's order."""
        names = {p.found: p.wanted.role + p.wanted.name for p in self.pairs}
        return checkpoint.replace({names[n]: t for n, t in checkpoint.items() if n in names})


def wanted_by(
    graph: Graph, shapes: Mapping[str, Shape] | None = None, inputs: Collection[str] | None = None
) -> list[Wanted]:
    """What a graph asks for: its variables with their roles.

    Args:
        graph: of any release; auxiliary states that files of 0.8 do not list are added.
        shapes: shapes by name, where they are known.
        inputs: names that are fed; names such as `data` and `softmax_label` where not given.

    >>> from evergraph.graph import Node
    >>> graph = Graph((Node("null", "data"), Node("null", "fc_weight")), heads=((1, 0, 0),))
    >>> [(w.name, w.is_input) for w in wanted_by(graph)]
    [('data', True), ('fc_weight', False)]
    """
    known, auxiliary, implied = shapes or {}, set(), []
    for node in graph.nodes:
        for place, label in _AUXILIARY.get(node.op, {}).items():
            if place < len(node.inputs):
                auxiliary.add(node.inputs[place][0])
            else:
                implied.append(f"{node.name}_{label}")
    found: dict[str, Wanted] = {}
    for index, node in enumerate(graph.nodes):
        if node.is_variable and node.name not in found:
            fed = node.name in inputs if inputs is not None else _INPUT.fullmatch(node.name) is not None
            role = "aux:" if index in auxiliary else "arg:"
            found[node.name] = Wanted(node.name, known.get(node.name), role, fed)
    for name in implied:
        found.setdefault(name, Wanted(name, known.get(name), "aux:"))
    return list(found.values())


def match(checkpoint: Checkpoint, wanted: Graph | Iterable[Wanted], mode: str = "strict") -> Match:
    """Fit a checkpoint's names to those asked for.

    Args:
        checkpoint: names with or without roles.
        wanted: a graph, or names from `wanted_by`.
        mode: "strict", "report" or "fuzzy" (see `MODES`).

    Raises:
        UsageError: an unknown mode.
        ConversionError: strict, and the names do not fit; everything that does not is listed, with suggestions.

    >>> import numpy as np
    >>> found = match(Checkpoint({"0.weight": np.ones(2)}), [Wanted("fc_weight")], "fuzzy")
    >>> found.lines()
    ['matched by structure: 0.weight -> fc_weight']
    """
    if mode not in MODES:
        raise UsageError(f"no way of matching called {printable(mode)}", expected=", ".join(MODES))
    work = _Matching(checkpoint, wanted_by(wanted) if isinstance(wanted, Graph) else list(wanted))
    exact = work.exact()
    others = [*work.by_prefix(), *work.by_structure(), *work.by_spelling()]
    found = work.result([*exact, *others], []) if mode == "fuzzy" else work.result(exact, others)
    if mode == "strict" and not found.ok:
        raise ConversionError(
            "the checkpoint's names are not those asked for",
            where=checkpoint.name or None,
            details=found.lines()[:60],
            fix="mode='fuzzy' takes the suggestions; mode='report' only lists them",
        )
    return found


class _Matching:
    """The names that are left on either side while rule after rule takes some."""

    def __init__(self, checkpoint: Checkpoint, wanted: Sequence[Wanted]) -> None:
        self._tensors = checkpoint
        self._wanted = {w.name: w for w in wanted}
        self._open = dict(self._wanted)
        self._notes: list[str] = []
        self._left = {_bare(n): n for n in checkpoint}
        if len(self._left) != len(checkpoint):
            # arg:x and aux:x both: their roles tell them apart
            self._left = {n: n for n in checkpoint}

    def _take(self, name: str, key: str, rule: str) -> Pair:
        return Pair(self._open.pop(name), self._left.pop(key), rule)

    def _fits(self, name: str, key: str) -> bool:
        shape = self._open[name].shape
        return shape is None or shape == self._tensors[self._left[key]].shape

    def exact(self) -> list[Pair]:
        keys = ((n, k) for n, w in list(self._open.items()) for k in (n, w.role + n))
        return [self._take(n, k, "exact") for n, k in keys if k in self._left and n in self._open]

    def by_prefix(self) -> list[Pair]:
        """One prefix for all: of the checkpoint's names it is cut, before those asked for it stands, or both."""
        names = {n: w for n, w in self._open.items() if not w.is_input}
        votes: Counter[tuple[str, str]] = Counter()
        ends: dict[str, list[str]] = {}
        for name in names:
            for cut in _cuts(name):
                ends.setdefault(name[cut:], []).append(name[:cut])
        for key in self._left:
            for cut in _cuts(key):
                # short ends such as "weight" say nothing
                if len(key) - cut > 3 and "_" in key[cut:]:
                    votes.update((key[:cut], before) for before in ends.get(key[cut:], ()))
        if not votes:
            return []
        (cut, before), count = max(votes.items(), key=lambda v: (v[1], -len(v[0][0]) - len(v[0][1])))
        pairs = {before + k.removeprefix(cut): k for k in self._left if k.startswith(cut)}
        pairs = {n: k for n, k in pairs.items() if n in names and self._fits(n, k)}
        # a few that fit by chance are no prefix
        if count < 2 and len(names) > 1:
            return []
        return [self._take(n, k, "prefix") for n, k in pairs.items()]

    def by_structure(self) -> list[Pair]:
        """The same layers in the same order: all of them, or none."""
        names = [n for n, w in self._open.items() if not w.is_input]
        ordered, sure = _ordered(self._left)
        here, there = _layers(names), _layers(ordered)
        if not here or [set(g) for g in here] != [set(g) for g in there]:
            return []
        pairs = [(g[kind], o[kind]) for g, o in zip(here, there, strict=True) for kind in g]
        if not all(self._fits(n, k) for n, k in pairs):
            return []
        if not sure:
            self._notes.append(
                "structure: the layers fit in number and kind, but the file is in no order that their names confirm:"
                " name them, or save them again with a newer MXNet"
            )
            return []
        return [self._take(n, k, "structure") for n, k in pairs]

    def by_spelling(self) -> list[Pair]:
        """The pairs that are each other's nearest, among those of one kind and shape."""
        found = []
        names = [n for n, w in self._open.items() if not w.is_input]
        # quadratic: beyond this it would take minutes, and guess badly
        if len(names) * len(self._left) > 250_000:
            return []
        scores = {
            (n, k): difflib.SequenceMatcher(None, n, k, autojunk=False).ratio()
            for n in names
            for k in self._left
            if _kind(n) == _kind(k) and self._fits(n, k)
        }
        for (name, key), score in sorted(scores.items(), key=lambda s: (-s[1], s[0])):
            if name not in self._open or key not in self._left or score < NEAREST:
                continue
            rivals = [
                v for (n, k), v in scores.items() if (n == name) != (k == key) and n in self._open and k in self._left
            ]
            if all(v < score for v in rivals):
                found.append(self._take(name, key, "near"))
        return found

    def result(self, applied: list[Pair], suggested: list[Pair]) -> Match:
        taken, used = {p.wanted.name for p in applied}, {p.found for p in applied}
        left = [w for w in self._wanted.values() if w.name not in taken]
        clashes = []
        for pair in applied:
            shape = self._tensors[pair.found].shape
            if pair.wanted.shape is not None and pair.wanted.shape != shape:
                clashes.append(f"{printable(pair.wanted.name)}: {shape} for {pair.wanted.shape}")
        return Match(
            tuple(applied),
            tuple(suggested),
            tuple(w.name for w in left if not w.is_input),
            tuple(n for n in self._tensors if n not in used),
            tuple(clashes),
            tuple(w.name for w in left if w.is_input),
            tuple(self._notes),
        )


def _bare(name: str) -> str:
    return name[4:] if name.startswith(("arg:", "aux:")) else name


def _cuts(name: str) -> list[int]:
    """Where a prefix may end: at the beginning, and behind each of the first separators."""
    return [0, *(m.end() for m in re.finditer(r"[._]", name))][:5]


def _kind(name: str) -> str:
    match = _NAME.fullmatch(name)
    return _SAME_KIND.get(match["kind"], match["kind"]) if match is not None else ""


def _ordered(names: Iterable[str]) -> tuple[list[str], bool]:
    """Names in the order of their layers, and whether that order is sure.

    Python before 3.6 wrote dictionaries in any order: numbers that do not ascend give such a file away. Numbers say
    the order again; of several layers named by words, nothing does.
    """
    listed = list(names)
    paths = {n: tuple(m["stem"].split(".")) if (m := _NAME.fullmatch(n)) else (n,) for n in listed}
    first: dict[tuple[str, ...], int] = {}
    for name in listed:
        for depth in range(1, len(paths[name]) + 1):
            first.setdefault(paths[name][:depth], len(first))
    children: dict[tuple[str, ...], list[str]] = {}
    for path in first:
        children.setdefault(path[:-1], []).append(path[-1])
    numbered = {p: all(c.isdecimal() for c in found) for p, found in children.items()}
    ascending = all(not numbered[p] or [*map(int, c)] == sorted(map(int, c)) for p, c in children.items())
    if ascending:
        return listed, True

    def key(name: str) -> list[int]:
        path = paths[name]
        return [int(path[d]) if numbered[path[:d]] else first[path[: d + 1]] for d in range(len(path))]

    return sorted(listed, key=key), all(numbered[p] or len(c) == 1 for p, c in children.items())


def _layers(names: Iterable[str]) -> list[dict[str, str]]:
    """The names by layers in order: kind of parameter -> name. PyTorch's normalisation has weight and bias for both."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None:
            return []
        if match["kind"] != "num_batches_tracked":
            found.setdefault(match["stem"], {})[_SAME_KIND.get(match["kind"], match["kind"])] = name
    for layer in found.values():
        if "running_mean" in layer:
            for plain, own in (("weight", "gamma"), ("bias", "beta")):
                if plain in layer:
                    layer[own] = layer.pop(plain)
    return list(found.values())
