"""Carries the names and layouts of one framework's layers into another's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.crossing import mindspore, mxnet, pytorch, record, tensorflow
from evergraph.crossing.likeness import fitted
from evergraph.crossing.mxnet_onto import write_onto
from evergraph.crossing.parts import View, joined
from evergraph.crossing.rules import Rules, rules_of
from evergraph.crossing.structure import Told, structure
from evergraph.crossing.table import Crossing, Row, Written
from evergraph.errors import UsageError, collect, printable
from evergraph.tensors import Tensor

__all__ = ["FAMILIES", "NAMES", "cross", "decide", "origin_of"]

Reader = Callable[[Mapping[str, Tensor], Told], tuple[list[View], list[str]]]
Writer = Callable[[View], tuple[str, Tensor, str] | None]

READERS: Mapping[str, Reader] = {
    "torch": pytorch.read,
    "mindspore": mindspore.read,
    "mxnet": mxnet.read,
    "gluon": mxnet.read,
    "tensorflow": tensorflow.read,
}
WRITERS: Mapping[str, Writer] = {
    "torch": pytorch.write,
    "mindspore": mindspore.write,
    "mxnet": mxnet.write_module,
    "gluon": mxnet.write_gluon,
}
NAMES = ("keep", *WRITERS)
"""What `names` can be; also FROM:TO, where the source does not say whose names it has."""

FAMILIES = {"gluon": "mxnet"}
"""Names that one framework writes in two ways."""

_TITLES = {"torch": "PyTorch", "mindspore": "MindSpore", "mxnet": "MXNet", "gluon": "MXNet's Gluon"}
_TITLES["tensorflow"] = "TensorFlow"
_FORMATS = {
    "torch": "torch",
    "torch-legacy": "torch",
    "torch-tar": "torch",
    "mindspore-ckpt": "mindspore",
    "mxnet-params": "mxnet",
    "mxnet-checkpoint": "mxnet",
    "mxnet-symbol": "mxnet",
    "tensorflow-bundle": "tensorflow",
}


def origin_of(checkpoint: Checkpoint) -> str:
    """Whose names a checkpoint has, by its format, the format it came from, or its names; empty where nothing tells.

    >>> import numpy as np
    >>> origin_of(Checkpoint({"bn.running_mean": np.ones(1), "bn.weight": np.ones(1)}))
    'torch'
    """
    for form in (checkpoint.format, checkpoint.details.get("source", "")):
        if form in _FORMATS:
            return _FORMATS[form]
    leaves = {n.rpartition(".")[2] for n in checkpoint}
    if any(n.startswith(("arg:", "aux:")) for n in checkpoint):
        return "mxnet"
    if any(n.endswith(("/kernel", "/kernel/.ATTRIBUTES/VARIABLE_VALUE")) for n in checkpoint):
        return "tensorflow"
    if leaves & {"moving_variance", "embedding_table"}:
        return "mindspore"
    if "running_mean" in leaves:
        return "gluon" if "gamma" in leaves else "torch"
    return "torch" if checkpoint.metadata.get("format") == "pt" else ""


def decide(asked: str | None, checkpoint: Checkpoint, form: str, model: Any = None) -> tuple[str, str] | None:
    """Whose names become whose, or None where they stay.

    Args:
        asked: one of `NAMES`, FROM:TO, or None for what the target's format usually has.
        checkpoint: the source.
        form: the target's format.
        model: what tells the structure.

    Raises:
        UsageError: an unknown word, or nothing tells whose names the source has.

    >>> import numpy as np
    >>> decide(None, Checkpoint({"w": np.ones(1)}, format="torch"), "mindspore-ckpt")
    ('torch', 'mindspore')
    """
    if asked == "keep":
        return None
    origin, _, names = ("", "", _FORMATS.get(form, "")) if asked is None else str(asked).rpartition(":")
    wrong = [n for n in (origin, names) if n and (n not in WRITERS and not (n == origin and n in READERS))]
    if wrong or (asked is not None and not names):
        choices = f"{', '.join(NAMES)}, or FROM:TO such as torch:mindspore"
        raise UsageError("no such names", expected=choices, found=printable(asked))
    origin = origin or origin_of(checkpoint)
    if asked is None:
        if not origin or not names or FAMILIES.get(origin, origin) == names:
            return None
        plain = model is None and checkpoint.graph is None and form == "mxnet-params"
        return origin, "gluon" if plain and _is_tree(checkpoint) else names
    if not origin:
        raise UsageError(
            "nothing tells whose names the source has",
            where=checkpoint.name or None,
            fix=f"say it: names='torch:{names}' (--names torch:{names})",
        )
    return None if origin == names else (origin, names)


def _is_tree(checkpoint: Checkpoint) -> bool:
    """Whether layers stand within layers, as in Gluon's blocks; Module's names are flat."""
    return any(n.count(".") > 1 for n in checkpoint)


def cross(
    checkpoint: Checkpoint, origin: str, names: str, model: Any = None, rules: Any = None, like: Any = None
) -> tuple[Checkpoint, Crossing]:
    """The checkpoint in another framework's names and layouts, and the table of what became of each tensor.

    Args:
        checkpoint: what to carry over.
        origin: whose names it has: one of `NAMES`.
        names: whose names it gets.
        model: what tells the structure (see `structure`); the checkpoint's own graph where it has one.
        rules: a user's rules (see `rules_of`).
        like: a network of the same structure whose own names are wanted (see `fitted`).

    Returns:
        (checkpoint, crossing).

    Raises:
        UsageError: listing names that would stand twice, tensors that would get lost, and rules that fit nothing.
        ConversionError: the weights do not fit `like`.

    >>> import numpy as np
    >>> new, table = cross(Checkpoint({"bn.weight": np.ones(2), "bn.running_mean": np.ones(2)}), "torch", "mindspore")
    >>> list(new)
    ['bn.gamma', 'bn.moving_mean']
    """
    own = rules_of(rules)
    known = record.taken(checkpoint, names) if rules is model is like is None else None
    tensors: dict[str, Tensor] = {}
    rows: list[Row] = []
    if known is not None:
        tensors, rows = record.restored(checkpoint, known)
    done = {n for r in rows for n in r.source}
    rest = {n: t for n, t in checkpoint.items() if n not in done}
    told = structure(model)
    if told.graph is None and checkpoint.graph is not None:
        told = replace(told, graph=checkpoint.graph)
    views, notes = READERS[origin](rest, replace(told, rule=own.kind))
    written = [w if w.name is None else replace(w, name=_final(w, own)) for w in _write(views, names, told, own)]
    written = written if like is None else fitted(written, like)
    more = [_row(w, checkpoint) for w in written]
    _check(rest, tensors, more, own, checkpoint.name)
    tensors |= {w.name: w.tensor for w in written if w.name is not None and w.tensor is not None}
    details = record.without(checkpoint)
    # TensorFlow's checkpoints are not written: nothing goes back there
    if known is None and origin != "tensorflow":
        details[record.KEY] = record.recorded(checkpoint, written, origin)
    new = checkpoint.replace(tensors, details=details)
    table = Crossing(_TITLES[origin], _TITLES[names], (*rows, *more), tuple(notes))
    return new, table


def _write(views: Sequence[View], names: str, told: Told, rules: Rules) -> list[Written]:
    found: list[Written] = []
    kept: list[View] = []
    for view in views:
        pattern = rules.dropped(view.source) if view.source else ""
        if pattern:
            found.append(_left_out(view, f"as the rule {printable(pattern)} says"))
        elif view.part.kind == "training":
            found.append(Written((view,)))
        else:
            kept.append(view)
    whole, gates = _with_gates(kept)
    if FAMILIES.get(names, names) == "mxnet" and told.graph is not None:
        found += write_onto(whole, told.graph)
    else:
        for view in whole:
            named = WRITERS[names](view)
            why = f"{_TITLES[names]}'s layers have no place for it"
            found.append(_left_out(view, why) if named is None else Written((view,), *named))
    if gates:
        found = [replace(w, views=tuple(g for v in w.views for g in gates.get(v, (v,)))) for w in found]
    order: dict[str, int] = {}
    for view in views:
        order.setdefault(view.source, len(order))
    return sorted(found, key=lambda w: order[w.views[0].source])


def _with_gates(views: Sequence[View]) -> tuple[list[View], dict[View, list[View]]]:
    """The views with gates that stood apart joined, and what each that was joined is made of."""
    groups: dict[tuple[Any, ...], list[View]] = {}
    for view in views:
        if view.gate is not None:
            part = view.part
            groups.setdefault((part.owner, part.kind, part.role, part.layer, part.reverse), []).append(view)
    made: dict[View, list[View]] = {}
    places: dict[str, View] = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda v: v.gate.number if v.gate is not None else 0)
        rows, *rest = ordered[0].tensor.shape or (0,)
        tensor = joined([v.tensor for v in ordered], (rows * len(ordered), *rest))
        whole = replace(ordered[0], tensor=tensor, changed="gates joined", gate=None)
        made[whole] = ordered
        places[group[0].source] = whole
    found = [places.get(v.source, v) for v in views if v.gate is None or v.source in places]
    return found, made


def _left_out(view: View, why: str) -> Written:
    return Written((replace(view, part=replace(view.part, why=why)),))


def _final(written: Written, rules: Rules) -> str:
    sources = tuple(v.source for v in written.views)
    return rules.name(sources, str(written.name))


def _row(written: Written, checkpoint: Checkpoint) -> Row:
    first = written.views[0]
    part = first.part
    sources = tuple(dict.fromkeys(v.source for v in written.views if v.source))
    shape = checkpoint[sources[0]].shape if len(sources) == 1 and first.joint is None else first.tensor.shape
    why = part.why + (f" ({written.note})" if written.note else "")
    new = written.tensor.shape if written.tensor is not None else None
    guessed = any(v.part.guessed for v in written.views)
    return Row(sources, shape, written.name, new, part.kind, why, written.changed, guessed)


def _check(
    rest: Mapping[str, Tensor], before: Iterable[str], rows: Sequence[Row], rules: Rules, where: str | None
) -> None:
    """Hold that nothing is used twice or lost, and that every rule was needed."""
    users: dict[str, list[str]] = {n: ["the record"] for n in before}
    for row in rows:
        if row.target is not None:
            users.setdefault(row.target, []).append(", ".join(map(printable, row.source)))
    wrong = [f"{printable(n)}: from {' and from '.join(s)}" for n, s in users.items() if len(s) > 1]
    collect(
        UsageError,
        "tensors would have one name",
        wrong,
        where=where or None,
        fix="rename one of them with a rule, or leave one out",
    )
    used = {n for row in rows for n in row.source}
    collect(UsageError, "tensors would get lost", [printable(n) for n in rest if n not in used], where=where or None)
    collect(UsageError, "rules that fit nothing", rules.unused(), where=where or None)
