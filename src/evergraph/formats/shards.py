"""Tensors that many processes wrote, each its part: a JSON table, `shards.json`, and safetensors files beside it.

`evergraph.training.shards` writes them. Layout: docs/formats/training-state.md.
"""

import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, printable
from evergraph.formats.base import Format
from evergraph.formats.safetensors import SafeTensors
from evergraph.graph.strict_json import load_json
from evergraph.stores import Source, open_source
from evergraph.tensors import Computed, Tensor, dtype

__all__ = ["TABLE", "Shards", "table_sum"]

TABLE = "shards.json"
_LARGEST = 1 << 30
_FILE = re.compile(r"shard-\d+\.safetensors")


def table_sum(tensors: Any) -> str:
    """The checksum of a table's tensors."""
    return f"{zlib.crc32(json.dumps(tensors, sort_keys=True).encode()):08x}"


class Shards(Format):
    """A table of shards; its tensors come whole, whoever wrote which part."""

    name = "evergraph-shards"
    title = "tensors in shards of several processes"

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a JSON object that begins with this table's mark."""
        return re.match(rb'\s*\{\s*"evergraph_shards"', head) is not None

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The tensors, read when asked.

        Raises:
            DamagedError: the table is not whole, or its shards do not hold what it says.
        """
        self.check_options(options, self.read_options)
        tensors = _tensors(_table(source), source)
        return Checkpoint(tensors, format=self.name, name=source.name)


def _table(source: Source) -> dict[str, Any]:
    try:
        table = load_json(source.head(min(source.size, _LARGEST)), source.name)
        if table["evergraph_shards"] != 1 or table["crc"] != table_sum(table["tensors"]):
            raise ValueError("its checksum is another one")
        return {str(name): dict(one) for name, one in table["tensors"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(source, printable(error)) from error


def _damaged(source: Source, found: str) -> DamagedError:
    return DamagedError("the table of shards is damaged", where=source.name, found=found)


def _tensors(table: Mapping[str, Any], source: Source) -> dict[str, Tensor]:
    files: dict[str, Checkpoint] = {}
    tensors = {}
    for name, one in table.items():
        try:
            pieces = []
            for chunk in one["chunks"]:
                file = chunk["file"]
                if not _FILE.fullmatch(file):
                    raise ValueError(f"no file of shards: {printable(file)}")
                if file not in files:
                    files[file] = SafeTensors().read(open_source(source.location.sibling(file)))
                pieces.append(([int(o) for o in chunk["offsets"]], files[file][chunk["name"]]))
            tensors[name] = _joined(str(one["dtype"]), tuple(int(s) for s in one["shape"]), pieces, source)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(source, f"{printable(name)}: {printable(error)}") from error
    return tensors


def _joined(kind: str, shape: tuple[int, ...], pieces: list[tuple[list[int], Tensor]], source: Source) -> Tensor:
    """A tensor of its parts: the part itself where it is one.

    Raises:
        ValueError: parts of another type, outside the tensor, or that do not make all of it.
    """
    covered = 0
    for offsets, piece in pieces:
        ends = [o + s for o, s in zip(offsets, piece.shape or (), strict=True)]
        if str(piece.dtype) != kind or min([0, *offsets]) < 0 or any(e > s for e, s in zip(ends, shape, strict=True)):
            raise ValueError("a part lies outside of it, or is of another type")
        covered += piece.size
    size, element = math.prod(shape), dtype(kind)
    if covered != size or min([0, *shape]) < 0:
        raise ValueError(f"its parts hold {covered} of {size} values")
    if len(pieces) == 1:
        return pieces[0][1]

    def made() -> Any:
        import numpy as np

        found = np.zeros(shape, element.numpy())
        for offsets, piece in pieces:
            place = tuple(slice(o, o + s) for o, s in zip(offsets, piece.shape or (), strict=True))
            found[place] = piece.numpy()
        return found.reshape(-1).view(np.uint8)

    return Tensor(element, shape, Computed(size * element.itemsize, made, source.name))
