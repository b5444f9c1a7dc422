"""Names of a network that calls its layers otherwise: parts are fitted to it by name, by order and by shape."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evergraph.checkpoint import Checkpoint, Wanted, match, wanted_by
from evergraph.crossing.sources import gathered
from evergraph.crossing.table import Written
from evergraph.errors import ConversionError
from evergraph.formats.opening import open_checkpoint
from evergraph.graph import Graph

__all__ = ["fitted"]

_COUNTER, _BESIDE = "num_batches_tracked", "running_mean"


def fitted(written: Sequence[Written], like: Any) -> list[Written]:
    """The same tensors under the names of another network of the same structure.

    Args:
        written: the tensors, under the names that their own layers gave.
        like: whose names they get: a checkpoint or the path of one, a torch.nn.Module, a Cell, a Symbol or graph.

    Raises:
        ConversionError: the two do not fit one to one; everything that does not is listed.
    """
    named = {w.name: w.tensor for w in written if w.name and w.tensor is not None and not w.name.endswith(_COUNTER)}
    found = match(Checkpoint(named), _wanted(like), "fuzzy")
    if not found.ok:
        raise ConversionError(
            "the weights do not fit the network whose names they are to get",
            details=found.lines()[:60],
            fix="leave out what it does not have (--drop), or name layers with --rules",
        )
    pairs = {p.found: p for p in found.pairs}
    new = []
    for each in written:
        name = each.name or ""
        # a counter goes where the statistics beside it go
        counter = name.endswith(_COUNTER)
        pair = pairs.get(name.removesuffix(_COUNTER) + _BESIDE if counter else name)
        if pair is None:
            new.append(each)
            continue
        note = each.note if pair.rule == "exact" else f"fitted by {pair.rule}"
        fit = pair.wanted.role + pair.wanted.name
        new.append(replace(each, name=fit.removesuffix(_BESIDE) + _COUNTER if counter else fit, note=note))
    return new


def _wanted(like: Any) -> list[Wanted]:
    opened = open_checkpoint(like) if isinstance(like, (str, os.PathLike)) else like
    graph = opened if isinstance(opened, Graph) else getattr(opened, "graph", None)
    there, _ = gathered(opened) or (None, None)
    if not there:
        return wanted_by(graph) if isinstance(graph, Graph) else []
    found = []
    for name, tensor in there.items():
        role = name[:4] if name.startswith(("arg:", "aux:")) else ""
        # counters are not asked for: PyTorch makes them where they are missing
        if not name.endswith(_COUNTER) and tensor.storage == "dense":
            found.append(Wanted(name.removeprefix(role), tensor.shape, role))
    return found
