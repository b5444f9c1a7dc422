"""A training's state in a folder: the manifest `training.json`, a safetensors file of each process, perhaps shards.

What is opened are the parameters of the network, `arg:` and `aux:`, and its graph; the rest (the optimizer's arrays,
random streams, where the data stands) is for the training that goes on from it. Layout: docs/formats/training-state.md.
"""

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, FormatError, UsageError, printable
from evergraph.formats.base import Format, Layout
from evergraph.formats.candidates import find
from evergraph.formats.safetensors import SafeTensors
from evergraph.formats.shards import TABLE, Shards
from evergraph.graph import parse
from evergraph.graph.strict_json import load_json
from evergraph.stores import Location, Source, exists, list_folder, locate, open_source
from evergraph.stores.folders import list_folders
from evergraph.tensors import Tensor

__all__ = ["MANIFEST", "STATE", "VALUES", "TrainingState", "manifest_sum", "read_training_manifest", "state_in_folder"]

MANIFEST = "training.json"
VALUES = "values"
"""The tensor that holds the plain values: a checksum then covers them too."""

STATE = re.compile(r"state-(\d{4,})-(\d{8,})")
"""Names of states' folders: epoch and batches."""

_LARGEST = 64 << 20


def read_training_manifest(source: Source) -> dict[str, Any]:
    """The manifest of a state.

    Raises:
        DamagedError: it is not whole, or of another version.
    """
    try:
        content = load_json(source.head(min(source.size, _LARGEST)), source.name)
        if content["evergraph_training"] != 1:
            raise ValueError(f"version {printable(content['evergraph_training'])}, and this release reads version 1")
        if content["crc"] != manifest_sum(content):
            raise ValueError("its checksum is another one")
        good = all(re.fullmatch(r"[\w.-]+", p["file"]) and int(p["sums"], 16) >= 0 for p in content["parts"])
        if not good or not content["parts"] or any(type(content[k]) is not int for k in ("epoch", "batch")):
            raise ValueError("it names no files of a state")
    except (ValueError, KeyError, TypeError, RecursionError, FormatError) as error:
        folder = source.name.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        raise DamagedError(
            "the manifest of the training state is damaged",
            where=source.name,
            found=printable(error),
            fix=f"remove the folder {folder} to go on from the state before it",
        ) from error
    return content


def manifest_sum(content: Mapping[str, Any]) -> str:
    """The checksum that a manifest holds of itself."""
    rest = {k: v for k, v in content.items() if k != "crc"}
    return f"{zlib.crc32(json.dumps(rest, sort_keys=True).encode()):08x}"


def state_in_folder(location: Location, member: str | None = None) -> Location | None:
    """The manifest that stands for a folder: its own, a table of shards, or that of the newest whole state in it.

    Args:
        location: a state's folder, a folder of shards, or the folder of a training's states.
        member: name of one of the states.

    Returns:
        None where the folder holds no state, or other checkpoints as well.

    Raises:
        UsageError: no such state.
    """
    base = location.uri.partition("?")[0].rstrip("/")
    names = list_folder(location)
    for own in (MANIFEST, TABLE):
        if own in names and member is None:
            return locate(f"{base}/{own}")
    found = sorted(((int(m[1]), int(m[2])), m[0]) for m in map(STATE.fullmatch, list_folders(location)) if m)
    whole = [name for _, name in found if exists(locate(f"{base}/{name}/{MANIFEST}"))]
    if not whole or (member is None and find(names)) or (member is not None and not STATE.fullmatch(member)):
        return None
    if member is not None and member not in whole:
        raise UsageError(
            f"no state {printable(member)!r}",
            where=location.shown,
            details=whole,
            fix="choose one of these with member=... (--member); without it the newest is taken",
        )
    return locate(f"{base}/{whole[-1] if member is None else member}/{MANIFEST}")


class TrainingState(Format):
    """A training state, as the parameters of its network; the first process's where they differ."""

    name = "training-state"
    title = "the state of a training, which fit(checkpoint=...) goes on from"

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a JSON object that begins with this manifest's mark."""
        return re.match(rb'\s*\{\s*"evergraph_training"', head) is not None

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The parameters, read when asked, and the graph.

        Raises:
            DamagedError: the manifest or a file is not whole.
        """
        self.check_options(options, self.read_options)
        manifest = read_training_manifest(source)
        part = SafeTensors().read(open_source(source.location.sibling(manifest["parts"][0]["file"])))
        stored: dict[str, Tensor] = dict(part)
        if manifest.get("sharded"):
            stored |= Shards().read(open_source(source.location.sibling(TABLE)))
        try:
            values = load_json(bytes(part[VALUES].blob.read()), source.name)
            tensors, facts = dict(_parameters(values, stored)), _facts(values)
            texts = values["shared"].get("symbols", [])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError) as error:
            raise DamagedError(
                "the training state's values are damaged", where=source.name, found=printable(error)
            ) from error
        told = {k: manifest[k] for k in ("epoch", "batch", "step", "processes") if k in manifest}
        return Checkpoint(
            tensors,
            # the parts of a network in a row have no graph in common
            graph=(lambda: parse(texts[0].encode(), source.name)) if len(texts) == 1 else None,
            metadata={"epoch": manifest["epoch"]},
            format=self.name,
            details={"training": told | facts},
            name=source.name,
            original=source,
        )

    def unchanged(self, checkpoint: Checkpoint, target: Location, options: Mapping[str, Any]) -> Layout | None:
        """Never: the manifest alone is no state."""
        return None


def _parameters(values: Any, stored: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    kinds = (("arg:", values["shared"]["modules"], "arguments"), ("aux:", values["own"]["modules"], "auxiliary"))
    for role, modules, key in kinds:
        for module in modules:
            for name, devices in module[key].items():
                yield role + name, stored[devices[0]["$tensor"]]


def _facts(values: Any) -> dict[str, Any]:
    settings = values["shared"]["settings"][0]
    plain = {k: v for k, v in settings.items() if isinstance(v, (str, int, float, bool))}
    return {"optimizer": plain.pop("optimizer", ""), "settings": plain, "metric": values["own"]["metric"]["kind"]}
