"""Training states in a folder: a folder for each, a file for each process, the manifest last.

    runs/lenet/state-0003-00000120/process-0.safetensors            arrays, and the plain values as JSON
                                   process-0.safetensors.evg.json   a checksum of each array
                                   training.json                    the manifest: written last, a state counts with it

A state that was cut off has no manifest: it is passed over, and removed when a newer one is durable.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, EvergraphError, IntegrityError, collect
from evergraph.formats import by_name
from evergraph.formats.training_state import MANIFEST, STATE, VALUES, manifest_sum, read_training_manifest
from evergraph.saving.checksums import read_manifest, wrong_tensors
from evergraph.saving.save import save, sidecar
from evergraph.stores import Location, commit, exists, list_folder, locate, open_source
from evergraph.stores.folders import list_folders, make_folder, remove_file, remove_folder
from evergraph.tensors import Tensor

__all__ = [
    "MANIFEST",
    "Moment",
    "Part",
    "damage",
    "finish_state",
    "prune",
    "read_part",
    "read_state",
    "states",
    "write_part",
]

_FORMAT = "safetensors"


class Moment(NamedTuple):
    """When a state was taken: `batch` batches of epoch `epoch` were done.

    >>> Moment(3, 120).name
    'state-0003-00000120'
    """

    epoch: int
    batch: int

    @property
    def name(self) -> str:
        """The name of the state's folder."""
        return f"state-{self.epoch:04d}-{self.batch:08d}"

    def __str__(self) -> str:
        return f"epoch {self.epoch}, {self.batch} batches done" if self.batch else f"the start of epoch {self.epoch}"


class Part(NamedTuple):
    """What one process keeps: plain values as JSON, and arrays by name."""

    values: Any
    tensors: Mapping[str, Tensor]


def states(folder: str) -> list[Moment]:
    """The whole states in a folder, oldest first."""
    return [m for m in _all(folder) if exists(_place(folder, m, MANIFEST))]


def _all(folder: str) -> list[Moment]:
    found = [STATE.fullmatch(name) for name in list_folders(folder)]
    return sorted(Moment(int(m[1]), int(m[2])) for m in found if m)


def try_out(folder: str) -> None:
    """Write a small file to a folder of states, and remove it.

    Raises:
        StoreError: nothing can be written there.
    """
    make_folder(folder)
    place = locate(f"{folder.rstrip('/')}/writable")
    with commit(place) as sink:
        sink.write(b"for a moment\n")
    remove_file(place)


def _place(folder: str, moment: Moment, name: str) -> Location:
    return locate(f"{folder.rstrip('/')}/{moment.name}/{name}")


def write_part(folder: str, moment: Moment, name: str, part: Part) -> dict[str, Any]:
    """Write what one process keeps, durably.

    Args:
        folder: of all states.
        moment: of this one.
        name: of the file, such as `process-0`.
        part: what to write; its tensors must not change meanwhile.

    Returns:
        What the manifest says of the file.
    """
    make_folder(f"{folder.rstrip('/')}/{moment.name}")
    text = json.dumps(part.values, allow_nan=False).encode()
    tensors = {VALUES: _bytes(text), **part.tensors}
    place = _place(folder, moment, f"{name}.{_FORMAT}")
    save(Checkpoint(tensors), place.uri, to=_FORMAT, checksum=True)
    return {"file": place.basename, "sums": _crc(sidecar(place))}


def _bytes(text: bytes) -> Tensor:
    import numpy as np

    return Tensor.of(np.frombuffer(text, np.uint8))


def _crc(location: Location) -> str:
    with open_source(location) as source:
        return f"{zlib.crc32(source.head(source.size)):08x}"


def finish_state(folder: str, moment: Moment, parts: list[dict[str, Any]], **facts: Any) -> None:
    """Write the manifest: with it the state counts.

    Args:
        folder: of all states.
        moment: of this one.
        parts: what `write_part` returned, for each process in order.
        facts: plain values that a reader wants to know before it reads a file.
    """
    content = {"evergraph_training": 1, "epoch": moment.epoch, "batch": moment.batch, "parts": parts, **facts}
    content["crc"] = manifest_sum(content)
    data = (json.dumps(content, indent=1) + "\n").encode()
    with commit(_place(folder, moment, MANIFEST), total=len(data)) as sink:
        sink.write(data)


def read_state(folder: str, moment: Moment) -> dict[str, Any]:
    """The manifest of a state.

    Raises:
        DamagedError: it is not there, or damaged.
    """
    place = _place(folder, moment, MANIFEST)
    with open_source(place) as source:
        content = read_training_manifest(source)
    if (content["epoch"], content["batch"]) != moment:
        raise DamagedError(
            "the manifest of the training state is damaged",
            where=place.shown,
            found="it belongs to another state",
            fix=f"remove the folder {moment.name} to go on from the state before it",
        )
    return content


def read_part(folder: str, moment: Moment, part: Mapping[str, Any]) -> Part:
    """What one process kept, with every checksum compared.

    Args:
        folder: of all states.
        moment: of this one.
        part: what the manifest says of the file.

    Raises:
        IntegrityError: listing every damaged array.
    """
    place = _place(folder, moment, part["file"])
    findings: list[str] = []
    found = Checkpoint({})
    try:
        if _crc(sidecar(place)) != part["sums"]:
            findings.append(f"{sidecar(place).basename}: the file of checksums is another one")
        found = by_name(_FORMAT).read(open_source(place))
        sums = read_manifest(sidecar(place))
        findings += wrong_tensors(found, sums) if sums is not None else []
    except EvergraphError as error:
        findings.append(str(error).replace("\n", ";"))
    if VALUES not in found:
        findings.append(f"{place.basename}: the plain values are missing")
    collect(
        IntegrityError,
        "the training state is damaged",
        findings,
        where=place.shown,
        fix=f"remove the folder {moment.name} to go on from the state before it",
    )
    try:
        values = json.loads(bytes(found[VALUES].blob.read()))
    except (ValueError, RecursionError) as error:
        raise DamagedError("the training state's values are damaged", where=place.shown, found=str(error)) from error
    return Part(values, {k: v for k, v in found.items() if k != VALUES})


def damage(manifest: Location) -> tuple[int, list[str]]:
    """How many checksums a state's files have, and what is wrong with them, one line each.

    Args:
        manifest: of the state.
    """
    count, findings = 0, []
    with open_source(manifest) as source:
        parts = {p["file"]: p["sums"] for p in read_training_manifest(source)["parts"]}
    names = [n for n in list_folder(manifest.uri.rpartition("/")[0]) if n.endswith(f".{_FORMAT}")]
    for name in dict.fromkeys((*parts, *names)):
        place = manifest.sibling(name)
        try:
            if name in parts and _crc(sidecar(place)) != parts[name]:
                findings.append(f"{sidecar(place).basename}: the file of checksums is another one")
            sums = read_manifest(sidecar(place))
            if sums is None:
                findings.append(f"{name}: its file of checksums is missing")
                continue
            found = by_name(_FORMAT).read(open_source(place))
            count += len(found)
            findings += [f"{name}, {line}" for line in wrong_tensors(found, sums)]
        except EvergraphError as error:
            findings.append(str(error).replace("\n", ";"))
    return count, findings


def prune(folder: str, keep: int) -> None:
    """Remove all but the newest whole states, and what was cut off before the newest of them.

    The manifest of a state goes first: what is half removed does not count.
    """
    whole = states(folder)
    if not whole:
        return
    stay = set(whole[-keep:])
    for moment in _all(folder):
        if moment not in stay and moment < whole[-1]:
            remove_state(folder, moment)


def remove_state(folder: str, moment: Moment) -> None:
    """Remove a state, its manifest first."""
    remove_file(_place(folder, moment, MANIFEST))
    inside = _place(folder, moment, MANIFEST)
    place = f"{folder.rstrip('/')}/{moment.name}"
    for name in list_folder(place):
        remove_file(inside.sibling(name))
    remove_folder(place)
