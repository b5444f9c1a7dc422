"""The way back: a record of what each name was, kept with the target, so that coming back restores every bit.

The record is a list in the source's order, of `[source, target, more]`: `more` holds the source's shape and the order
of axes where these changed, or the values of a small tensor that was left out or replaced; either name is a list where
tensors were joined or taken apart.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.crossing.parts import joined, reshaped, section, transposed
from evergraph.crossing.table import Row, Written
from evergraph.errors import DamagedError, printable
from evergraph.tensors import DENSE, DTYPES, Held, Tensor

__all__ = ["KEY", "recorded", "restored", "taken", "without"]

KEY = "crossing"
SMALL = 1 << 16
"""Bytes up to which the record keeps values that the target does not: counters of batches have 8, fixed scales 4 for
each channel."""


def recorded(source: Checkpoint, written: Sequence[Written], names: str) -> dict[str, Any]:
    """The record of a crossing.

    Args:
        source: what was crossed.
        written: what became of it.
        names: whose names the source has.
    """
    whole: dict[str, list[Any]] = {}
    for found in written:
        first = found.views[0]
        if found.name is None or found.tensor is None:
            continue
        if not all(v.kept for v in found.views):
            whole |= _values(source, first.source, found.name)
            continue
        if len(found.views) > 1:
            whole[first.source] = [
                [v.source for v in found.views],
                found.name,
                {"shapes": [list(source[v.source].shape or ()) for v in found.views]},
            ]
        elif first.joint is not None:
            row = whole.setdefault(first.source, [first.source, [], {"shape": list(source[first.source].shape or ())}])
            row[1].append(found.name)
        elif first.source:
            whole[first.source] = [first.source, found.name, _more(source[first.source], found)]
    for found in written:
        if found.name is None:
            whole |= _values(source, found.views[0].source, None)
    return {"names": names, "rows": [whole[n] for n in source if n in whole]}


def _values(source: Checkpoint, name: str, target: str | None) -> dict[str, list[Any]]:
    """The row of a small tensor whose values the target does not have."""
    tensor = source[name]
    if tensor.storage != DENSE or tensor.blob.nbytes > SMALL:
        return {}
    kept = {"dtype": str(tensor.dtype), "shape": list(tensor.shape or ()), "bytes": bytes(tensor.blob.read())}
    return {name: [name, target, kept]}


def _more(tensor: Tensor, found: Written) -> dict[str, Any]:
    view, more = found.views[0], {}
    if found.tensor is not None and found.tensor.shape != tensor.shape:
        more["shape"] = list(tensor.shape or ())
    if view.axes:
        more["axes"] = list(view.axes)
    return more


def taken(checkpoint: Checkpoint, names: str) -> Mapping[str, Any] | None:
    """The record that a checkpoint carries of the crossing from these names, where it has one."""
    for found in (checkpoint.details, *checkpoint.details.get("carried", {}).values()):
        record = found.get(KEY) if isinstance(found, Mapping) else None
        if isinstance(record, Mapping) and record.get("names") == names:
            return record
    return None


def without(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's details without records of earlier crossings."""
    details = {k: v for k, v in checkpoint.details.items() if k != KEY}
    if "carried" in details:
        carried = {k: {n: v for n, v in d.items() if n != KEY} for k, d in details["carried"].items()}
        details["carried"] = carried
    return details


def restored(checkpoint: Checkpoint, record: Mapping[str, Any]) -> tuple[dict[str, Tensor], list[Row]]:
    """The tensors that a record brings back under their old names, and a line of the table for each.

    Entries whose tensors are gone, or have another size, are passed over: the caller crosses what is left by names.

    Raises:
        DamagedError: the record is none.
    """
    tensors: dict[str, Tensor] = {}
    rows: list[Row] = []
    try:
        for source, target, more in record["rows"]:
            for name, tensor, row in _row(checkpoint, source, target, more):
                tensors[name] = tensor
                rows.append(row)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise DamagedError(
            "the record of the names' crossing cannot be read",
            where=checkpoint.name or None,
            found=printable(error),
            fix="keep the names as they are: names='keep' (--names keep)",
        ) from error
    return tensors, rows


def _row(checkpoint: Checkpoint, source: Any, target: Any, more: Mapping[str, Any]) -> list[tuple[str, Tensor, Row]]:
    if "bytes" in more:
        if target is not None and str(target) not in checkpoint:
            return []
        shape = _shape(more["shape"])
        kind, data = DTYPES[more["dtype"]], bytes(more["bytes"])
        if math.prod(shape) * kind.itemsize != len(data):
            raise ValueError("a kept value has another size")
        tensor = Tensor(kind, shape, Held(data))
        targets = () if target is None else (str(target),)
        return [(str(source), tensor, Row(targets, None, str(source), shape, "known", _WHY, "values of the record"))]
    targets = [str(t) for t in target] if isinstance(target, (list, tuple)) else [str(target)]
    if any(t not in checkpoint or checkpoint[t].storage != DENSE for t in targets):
        return []
    stored = [checkpoint[t] for t in targets]
    if isinstance(source, (list, tuple)):
        return _apart(targets[0], stored[0], [str(s) for s in source], [_shape(s) for s in more["shapes"]])
    shape = _shape(more["shape"]) if "shape" in more else stored[0].shape or ()
    if math.prod(shape) != sum(t.size for t in stored) or len({t.dtype for t in stored}) > 1:
        return []
    changed = ""
    if len(stored) > 1:
        tensor, changed = joined(stored, shape), "packed into one vector"
    elif more.get("axes"):
        if sorted(more["axes"]) != list(range(stored[0].ndim)):
            return []
        tensor, changed = transposed(stored[0], _shape(more["axes"]), shape), "axes turned back"
    else:
        tensor, changed = reshaped(stored[0], shape), "" if shape == stored[0].shape else "shaped back"
    row = Row(tuple(targets), stored[0].shape, str(source), shape, "known", _WHY, changed)
    return [(str(source), tensor, row)]


def _apart(
    target: str, stored: Tensor, sources: list[str], shapes: list[tuple[int, ...]]
) -> list[tuple[str, Tensor, Row]]:
    if sum(map(math.prod, shapes)) != stored.size:
        return []
    found, at = [], 0
    for name, shape in zip(sources, shapes, strict=True):
        row = Row((target,), shape, name, shape, "known", _WHY, "unpacked from the vector")
        found.append((name, section(stored, at, shape), row))
        at += math.prod(shape)
    return found


_WHY = "what it was before, by the record beside the weights"


def _shape(value: Any) -> tuple[int, ...]:
    found = tuple(value)
    if any(type(n) is not int or not 0 <= n < 1 << 63 for n in found):
        raise ValueError(f"{value!r} is no shape")
    return found
