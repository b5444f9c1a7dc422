"""Names and layouts that an MXNet graph asks for, for the parts of a network of the same structure."""

import re
from collections.abc import Sequence

from evergraph.crossing.mxnet import write_module
from evergraph.crossing.mxnet_places import Place, fused_layout, places
from evergraph.crossing.parts import View, joined, transposed
from evergraph.crossing.table import Written
from evergraph.graph import Graph
from evergraph.tensors import Tensor

__all__ = ["write_onto"]


def write_onto(views: Sequence[View], graph: Graph) -> list[Written]:
    """Each part under the name that the graph gives it; what it has no place for, under Module's usual name.

    Layers are the same where their names are, whatever stands between words (`layer1.0.bn` and `layer1_0_bn`).

    Args:
        views: the parts.
        graph: what asks for them.
    """
    known = {(_key(p.part.owner), p.part.role): p for p in places(graph).values()}
    found, waiting = [], {}
    for view in views:
        place = known.get((_key(view.part.owner), view.part.role))
        fused = known.get((_key(view.part.owner), "fused"))
        if view.part.kind == "rnn" and fused is not None:
            waiting.setdefault(fused.name, (fused, []))[1].append(view)
        elif place is None:
            found.append(_unplaced(view))
        else:
            found.append(_placed(view, place))
    for place, parts in waiting.values():
        found += _packed(place, parts)
    return found


def _key(owner: str) -> str:
    return re.sub(r"[._/]+", "_", owner)


def _unplaced(view: View) -> Written:
    named = write_module(view)
    if named is None:
        return Written((view,))
    name, tensor, changed = named
    return Written((view,), name, tensor, changed, "" if view.part.kind == "other" else "the graph does not ask for it")


def _placed(view: View, place: Place) -> Written:
    tensor, changed = view.tensor, view.changed
    if place.last and tensor.ndim > 2:
        n = tensor.ndim
        tensor, changed = transposed(tensor, (0, *range(2, n), 1)), "channels moved from second to last"
    return Written((view,), place.role + place.name, tensor, changed)


def _packed(place: Place, views: Sequence[View]) -> list[Written]:
    """One vector of all parts; each by itself where they are not those that the operator needs."""
    parts = {(v.part.role, v.part.layer, v.part.reverse): v for v in views}
    first = parts.get(("ih_weight", 0, False))
    size = sum(v.tensor.size for v in views)
    layout = fused_layout(place.fused, size) if place.fused is not None and first is not None else None
    ordered: list[View] = []
    for part, shape in layout or ():
        view = parts.get((part.role, part.layer, part.reverse))
        if view is None or view.tensor.shape != shape or view.tensor.dtype != views[0].tensor.dtype:
            ordered = []
            break
        ordered.append(view)
    if len(ordered) != len(views):
        return [_unplaced(v) for v in views]
    vector: Tensor = joined([v.tensor for v in ordered], (size,))
    return [Written(tuple(ordered), place.role + place.name, vector, "packed into one vector")]
