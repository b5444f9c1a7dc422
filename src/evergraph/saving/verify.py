"""Is it whole? Everything that can be found wrong with a checkpoint, said at once."""

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, counted, printable
from evergraph.formats.mxnet_checkpoint import MXNetCheckpoint
from evergraph.formats.training_state import TrainingState
from evergraph.saving.checksums import read_manifest, wrong_tensors
from evergraph.saving.save import sidecar
from evergraph.saving.state import damage
from evergraph.stores import Location, locate, open_source
from evergraph.stores.progress import advance

__all__ = ["Report", "check_checkpoint"]


_OWN_SUMS = frozenset(("npz", "torch", "tensorflow-bundle"))
"""Formats in zip archives: reading a member compares its CRC-32."""


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found.

    Attributes:
        name: the checkpoint.
        format: its format.
        checked: one line for each thing that was checked and found good.
        findings: one line for each thing that is wrong.
        notes: one line for each thing worth knowing.
        sums: how many checksums were saved with it; None where there are none.
    """

    name: str
    format: str = ""
    checked: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    sums: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def report(self) -> dict[str, object]:
        """The report as plain data, for `--json`."""
        found: dict[str, object] = {"name": self.name, "format": self.format, "ok": self.ok}
        found.update(checked=list(self.checked), findings=list(self.findings), notes=list(self.notes))
        return found


def check_checkpoint(checkpoint: Checkpoint, uri: object) -> Report:
    """Check an opened checkpoint's stored bytes, sparse parts and checksums.

    Args:
        checkpoint: what `open` returned: its table has been checked against the file's size.
        uri: where it was opened from; its manifest stands beside it.
    """
    location = locate(uri)
    checked = [f"the table of {counted(len(checkpoint), 'tensor')} fits the file"] if len(checkpoint) else []
    notes: list[str] = []
    findings = list(_unreadable(checkpoint))
    sums, wrong = _against_manifest(checkpoint, location)
    findings += wrong
    if sums is None and checkpoint.format in _OWN_SUMS:
        checked.append("the file's own checksums of its members agree")
    elif sums is None and len(checkpoint):
        notes.append(
            "no checksums were saved with it: damage inside the data cannot be noticed"
            " (save with checksum=True, --checksum, to have them)"
        )
    elif sums is not None and not wrong:
        checked.append(f"{counted(sums, 'checksum')} agree{'s' * (sums == 1)}")
    if not findings and len(checkpoint):
        checked.append("every value can be read")
    wrong_lines = tuple(dict.fromkeys(findings))
    return Report(location.shown, checkpoint.format, tuple(checked), wrong_lines, tuple(notes), sums)


def _unreadable(checkpoint: Checkpoint) -> Iterator[str]:
    from evergraph.tensors.sparse import check_parts

    for name, tensor in checkpoint.items():
        try:
            if tensor.storage in ("row_sparse", "csr"):
                yield from (f"{printable(name)}: {line}" for line in check_parts(tensor))
            for chunk in tensor.blob.chunks():
                # every page of the mapping is touched: that is what finds a bad disk
                zlib.crc32(chunk)
                advance("reading", len(chunk), checkpoint.nbytes)
        except EvergraphError as error:
            yield f"{printable(name)}: {error.what}"


def _against_manifest(checkpoint: Checkpoint, location: Location) -> tuple[int | None, list[str]]:
    if location.is_stream:
        return None, []
    if checkpoint.format == TrainingState.name and checkpoint.original is not None:
        return damage(checkpoint.original.location)
    inside = location.is_local and os.path.isdir(location.name)
    place = locate(checkpoint.name) if inside and checkpoint.name else location
    try:
        found = read_manifest(sidecar(place))
    except EvergraphError as error:
        return 0, [str(error)]
    versions = [v for v in found["versions"] if _is_of(checkpoint, v["files"])] if found is not None else []
    if not versions:
        return None, []
    wrong = wrong_tensors(checkpoint, {"versions": versions})
    wrong += _wrong_sizes(versions, place) if not wrong else []
    return len(versions[0]["tensors"]), wrong


def _is_of(checkpoint: Checkpoint, files: Mapping[str, int]) -> bool:
    """Whether a manifest speaks of the parameters that were opened: a prefix has one, and parameters of many epochs."""
    epoch = checkpoint.metadata.get("epoch")
    if checkpoint.format != MXNetCheckpoint.name or not isinstance(epoch, int):
        return True
    return any(name.endswith(f"-{epoch:04d}.params") for name in files)


def _wrong_sizes(versions: list[dict[str, dict[str, int]]], location: Location) -> list[str]:
    """Files that are missing or of another size than every version says."""
    lines = []
    for name in versions[0]["files"]:
        sizes = {v["files"].get(name) for v in versions}
        try:
            with open_source(location.sibling(name)) as source:
                if source.size not in sizes:
                    lines.append(f"{printable(name)}: {source.size} bytes, {versions[0]['files'][name]} expected")
        except EvergraphError as error:
            lines.append(f"{printable(name)}: {error.what}")
    return lines
