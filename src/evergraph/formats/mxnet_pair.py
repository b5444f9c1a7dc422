"""Opens MXNet's two files, `prefix-symbol.json` and `prefix-0001.params`, as one checkpoint."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, printable
from evergraph.formats.candidates import Found
from evergraph.formats.mxnet_params import MXNetParams
from evergraph.formats.mxnet_symbol import MXNetSymbol
from evergraph.graph import parse
from evergraph.stores import Source

__all__ = ["NAME", "open_pair", "split_name"]

NAME = "mxnet-checkpoint"
"""What the format is called."""

_TARGET = re.compile(r"(?P<prefix>.*?)(-symbol\.json|-(?P<epoch>\d{4,})\.params)?")


def open_pair(
    found: Found, source: Callable[[str], Source], where: str, epoch: int | None, options: Mapping[str, Any]
) -> Checkpoint:
    """The checkpoint of a prefix.

    Args:
        found: the prefix.
        source: opens one of its files.
        where: the folder or archive that they are in, for messages.
        epoch: which parameters; the newest where None.
        options: none are taken.

    Raises:
        UsageError: no parameters of this epoch.
    """
    shown = f"{where.rstrip('/')}/{printable(found.name)}" if where != "." else printable(found.name)
    if not found.params:
        MXNetSymbol().check_options(options, {})
        if epoch is not None:
            raise UsageError(f"there are no parameters of epoch {epoch}", where=shown, found="a graph alone")
        return MXNetSymbol().read(source(str(found.symbol)))
    chosen = max(found.params) if epoch is None else epoch
    if chosen not in found.params:
        raise UsageError(
            f"there are no parameters of epoch {printable(epoch)}",
            where=shown,
            expected=", ".join(map(str, sorted(found.params))),
        )
    tensors = MXNetParams().read(source(found.params[chosen]), **options)
    metadata: dict[str, Any] = {"epoch": chosen, "prefix": found.name.rpartition("/")[2]}
    if len(found.params) > 1:
        metadata["epochs"] = sorted(found.params)
    if found.symbol is None:
        return tensors.replace(metadata={**tensors.metadata, **metadata})
    symbol = source(found.symbol)
    return Checkpoint(
        dict(tensors),
        # a broken graph hinders nobody who looks at the tensors
        graph=lambda: parse(symbol.head(symbol.size), symbol.name),
        metadata=metadata,
        format=NAME,
        details={"carried": {MXNetParams.name: tensors.details}},
        name=shown,
    )


def split_name(name: str) -> tuple[str, int | None]:
    """The prefix and the epoch that the name of one file of a pair stands for.

    >>> split_name("lenet-0001.params"), split_name("lenet-symbol.json"), split_name("lenet")
    (('lenet', 1), ('lenet', None), ('lenet', None))
    """
    match = _TARGET.fullmatch(name)
    if match is None:
        return name, None
    return match["prefix"], int(match["epoch"]) if match["epoch"] else None
