"""The formats, each a module and a line here; found by content when reading, by name or suffix when writing."""

import functools
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from evergraph.errors import UsageError, printable
from evergraph.formats.base import Format
from evergraph.stores import Location, Source

__all__ = ["FORMATS", "by_content", "by_name", "by_target", "register"]

_formats = {
    "mxnet-params": "evergraph.formats.mxnet_params:MXNetParams",
    "mindspore-ckpt": "evergraph.formats.mindspore_ckpt:MindSporeCheckpoint",
    "safetensors": "evergraph.formats.safetensors:SafeTensors",
    "safetensors-sharded": "evergraph.formats.safetensors_index:SafeTensorsIndex",
    "training-state": "evergraph.formats.training_state:TrainingState",
    "evergraph-shards": "evergraph.formats.shards:Shards",
    "torch": "evergraph.formats.torch_zip:TorchZip",
    "npz": "evergraph.formats.numpy_npz:NumpyArchive",
    "npy": "evergraph.formats.numpy_npz:NumpyArray",
    "torch-legacy": "evergraph.formats.torch_legacy:TorchLegacy",
    "torch-tar": "evergraph.formats.torch_legacy:TorchTar",
    "mxnet-pickle": "evergraph.formats.pickles:MXNetPickle",
    "mxnet-states": "evergraph.formats.pickles:MXNetStates",
    "mxnet-symbol": "evergraph.formats.mxnet_symbol:MXNetSymbol",
    "mxnet-checkpoint": "evergraph.formats.mxnet_checkpoint:MXNetCheckpoint",
    "tensorflow-bundle": "evergraph.formats.tensorflow_bundle:TensorFlowBundle",
    "archive": "evergraph.formats.archives:Archive",
}

FORMATS: Mapping[str, str] = MappingProxyType(_formats)
"""Dotted place of each format's class, in the order in which content is held against them."""

HEAD = 4096


def register(name: str, place: str) -> None:
    """Make a format known, from a program or a package of its own; content is held against it last.

    Args:
        name: what `Checkpoint.format` and `--to` call it.
        place: "module:Class"; the module is imported when the format is first asked for.

    Raises:
        UsageError: the name is taken, or the place has no class in it.
    """
    if name in _formats and _formats[name] != place:
        raise UsageError(f"there is a format named {printable(name)}", found=_formats[name])
    if not place.rpartition(":")[0]:
        raise UsageError("a format's place names a module and a class", expected="module:Class", found=printable(place))
    _formats[name] = place


@functools.cache
def by_name(name: str) -> Format:
    """The format of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"no format named {printable(name)}", expected=", ".join(FORMATS))
    module, _, kind = FORMATS[name].partition(":")
    return getattr(importlib.import_module(module), kind)()


def by_content(source: Source) -> Format:
    """The format of this content.

    Raises:
        FormatError: none recognises it; the message says what it looks like.
    """
    head = source.head(HEAD)
    for name in FORMATS:
        found = by_name(name)
        if found.recognise(head, source):
            return found
    from evergraph.formats.foreign import explain

    raise explain(head, source)


def by_target(target: Location, own: str = "") -> Format:
    """The format that a target's name asks for.

    Args:
        target: where to write.
        own: name of the format that the content came from: of several with the same ending, it is taken.

    Raises:
        UsageError: no format has this ending.
    """
    name = target.basename.lower()
    candidates = [(s, by_name(n)) for n in FORMATS for s in by_name(n).suffixes if name.endswith(s)]
    if not candidates:
        raise UsageError(
            "the target's name asks for no known format",
            where=target.shown,
            expected=", ".join(sorted({s for n in FORMATS for s in by_name(n).suffixes})),
            fix="name the format with --to, or to= in Python",
        )
    return max(candidates, key=lambda c: (len(c[0]), c[1].name == own))[1]
