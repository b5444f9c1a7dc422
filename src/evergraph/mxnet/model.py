"""`mx.model`: checkpoints of a symbol and its parameters, `prefix-symbol.json` and `prefix-0000.params`."""

import logging
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from evergraph.errors import FormatError, collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet.keeping import write_files

__all__ = ["BatchEndParam", "load_checkpoint", "load_params", "save_checkpoint"]

BatchEndParam = namedtuple("BatchEndParams", ["epoch", "nbatch", "eval_metric", "locals"])
"""What callbacks at a batch's end receive."""


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    remove_amp_cast: bool = True,
) -> None:
    """Save a symbol and its parameters; whatever fails, both files are new or both as they were.

    Args:
        prefix: `prefix-symbol.json` and `prefix-0003.params` for epoch 3; any URI.
        epoch: number of the epoch.
        symbol: what is saved beside the parameters; None to save the parameters alone.
        arg_params: parameters by name.
        aux_params: auxiliary states by name.
        remove_amp_cast: whether casts of automatic mixed precision are left out.
    """
    write_files(checkpoint_files(prefix, epoch, symbol, arg_params, aux_params, remove_amp_cast))
    logging.info('Saved checkpoint to "%s"', f"{prefix}-{epoch:04d}.params")


def checkpoint_files(
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    remove_amp_cast: bool = True,
) -> dict[str, Any]:
    """What `save_checkpoint` writes, by URI: the symbol's bytes, and the arrays by name."""
    files: dict[str, Any] = {}
    if symbol is not None:
        files[f"{prefix}-symbol.json"] = symbol.tojson(remove_amp_cast).encode("utf-8", "surrogateescape")
    named = {f"arg:{k}": v for k, v in arg_params.items()} | {f"aux:{k}": v for k, v in aux_params.items()}
    files[f"{prefix}-{epoch:04d}.params"] = named
    return files


def load_params(prefix: str, epoch: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and auxiliary states, by name, of `prefix-0003.params` for epoch 3.

    Raises:
        MXNetError: the file is not there, is damaged, or holds names that are neither `arg:` nor `aux:`.
    """
    name = f"{prefix}-{epoch:04d}.params"
    found = nd.load(name)
    if not found:
        return {}, {}
    wrong = [] if isinstance(found, dict) else ["a list of arrays without names"]
    if not wrong:
        wrong = [printable(k) for k in found if not k.startswith(("arg:", "aux:"))]
    collect(FormatError, "names of parameters begin with arg: or aux:", wrong, where=printable(name))
    parts: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    for key, value in found.items():
        parts[key[:3]][key[4:]] = value
    return parts["arg"], parts["aux"]


def load_checkpoint(prefix: str, epoch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The symbol, the parameters and the auxiliary states of a checkpoint.

    Raises:
        MXNetError: a file is not there, or damaged.
    """
    symbol = sym.load(f"{prefix}-symbol.json")
    return (symbol, *load_params(prefix, epoch))


def __getattr__(name: str) -> Any:
    # it stands on Module, which stands on this module
    if name == "FeedForward":
        from evergraph.mxnet.feedforward import FeedForward

        return FeedForward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
