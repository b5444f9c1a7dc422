"""What the files beside a checkpoint say: input shapes, labels, hyperparameters."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evergraph.errors import EvergraphError
from evergraph.graph.strict_json import load_json
from evergraph.stores import Source

__all__ = ["side_metadata"]

LARGEST = 1 << 22
_SHAPES = ("model-shapes.json", "model_shapes.json")
_LABELS = ("synset.txt", "labels.txt", "synset_words.txt", "class_labels.txt")
_HYPERPARAMETERS = ("hyperparams.json", "hyperparameters.json")


def side_metadata(listed: Iterable[str], source: Callable[[str], Source], chosen: str) -> dict[str, Any]:
    """What files in the checkpoint's own folder add to its metadata.

    Args:
        listed: the files.
        source: opens one of them.
        chosen: the checkpoint's name or prefix among them.

    Returns:
        `input_shapes` (input -> sizes, from SageMaker's model-shapes.json), `labels` (the name of a file with a label
        a line), `hyperparameters` (SageMaker's own), each where there is one and it can be read.
    """
    folder = chosen.rpartition("/")[0]
    beside = {n.rpartition("/")[2]: n for n in listed if n.rpartition("/")[0] == folder}
    found: dict[str, Any] = {}
    for names, key, read in ((_SHAPES, "input_shapes", _shapes), (_HYPERPARAMETERS, "hyperparameters", _plain)):
        name = next((beside[n] for n in names if n in beside), None)
        value = _read(source(name), read) if name is not None else None
        if value:
            found[key] = value
    labels = next((beside[n] for n in _LABELS if n in beside), None)
    return found | ({"labels": labels} if labels is not None else {})


def _read(source: Source, read: Any) -> Any:
    """The value of a side file; None where it is not what its name says, which hinders nothing."""
    if source.size > LARGEST:
        return None
    try:
        return read(load_json(source.head(source.size), source.name))
    except EvergraphError:
        return None


def _shapes(value: Any) -> dict[str, list[int]] | None:
    """`[{"shape": [1, 3, 224, 224], "name": "data"}]`."""
    if not isinstance(value, list):
        return None
    found = {}
    for row in value:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not _is_shape(row.get("shape")):
            return None
        found[row["name"]] = row["shape"]
    return found


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 32 and all(type(d) is int and d >= 0 for d in value)


def _plain(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None
