"""`Block.save` and `Block.load`: a block's structure as JSON beside its parameters."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from evergraph.errors import collect, printable
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.keeping import write_files
from evergraph.stores import open_source

__all__ = ["load_model", "save_model"]


def _described(block: Any, numbers: Iterator[int]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "orig_name": block.name,
        "hybridized": bool(getattr(block, "_active", False)),
        "children": {child.name: key for key, child in block._children.items()},
    }
    name = f"{type(block).__name__.lower()}{next(numbers)}"
    for child in block._children.values():
        told.update(_described(child, numbers))
    return {name: told}


def save_model(block: Any, prefix: str) -> None:
    """Write `prefix-model.json` and `prefix-model.params`.

    Args:
        block: the network; all its parameters have values.
        prefix: what both names begin with; any URI.
    """
    data = json.dumps(_described(block, count())).encode()
    write_files({f"{prefix}-model.params": block._saved_arrays(), f"{prefix}-model.json": data})


def load_model(block: Any, prefix: str) -> None:
    """Give a block of the same structure the parameters that were saved, and hybridize what was.

    Args:
        block: a network made by the same program.
        prefix: as it was given to `save`.

    Raises:
        ValueError: the structures differ; all differences are listed.
    """
    path = f"{prefix}-model.json"
    with open_source(path) as source:
        text = bytes(source.head(source.size))
    try:
        told = json.loads(text)
        (top,) = told.values()
    except (ValueError, AttributeError) as error:
        raise BlockValueError("the file describes no block", where=printable(path), found=str(error)) from error
    wrong: list[str] = []
    active: list[Any] = []
    _compare(block, top, block.name, wrong, active)
    collect(BlockValueError, "the block is not built as the saved one was", wrong, where=printable(path))
    block.load_parameters(f"{prefix}-model.params")
    for each in active:
        each.hybridize()


def _compare(block: Any, told: dict[str, Any], place: str, wrong: list[str], active: list[Any]) -> None:
    if told.get("hybridized"):
        active.append(block)
    keys = list(told.get("children", {}).values())
    inner = [v for v in told.values() if isinstance(v, dict) and "orig_name" in v]
    if keys != list(block._children) or len(inner) != len(keys):
        wrong.append(f"{printable(place)}: expected children {printable(keys)}, found {list(block._children)}")
        return
    for (key, child), each in zip(block._children.items(), inner, strict=True):
        _compare(child, each, f"{place}.{key}", wrong, active)
