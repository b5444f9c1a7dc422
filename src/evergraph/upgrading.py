"""Brings an old checkpoint to today's form, once: the graph in numbered steps, the arrays in today's records."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, collect, counted, printable
from evergraph.formats import File, by_name
from evergraph.formats.opening import open_checkpoint
from evergraph.graph import version_words
from evergraph.passes.registry import Edit
from evergraph.saving import save, target_format
from evergraph.stores import Location, exists, locate

__all__ = ["Comparison", "UpgradeReport", "upgrade"]


_RELEASES = {
    0: "MXNet 0.10 or older",
    1: "MXNet 0.11",
    2: "MXNet 0.12 or later",
    3: "MXNet 1.5 or later with NumPy's shapes",
}
"""Who writes each version of an array's record."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the old and the new model's outputs compare on the same inputs.

    Attributes:
        inputs: shape of each input.
        largest: largest absolute difference over all outputs.
        outputs: how many outputs were compared.
    """

    inputs: Mapping[str, tuple[int, ...]]
    largest: float
    outputs: int

    @property
    def same(self) -> bool:
        """Whether every value is the same."""
        return self.largest == 0.0


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What an upgrade changed.

    Attributes:
        source, target: where from, and where to.
        before: the release that wrote the source, in words.
        steps: number, name and count of changes of each step that changed something.
        edits: every change in order.
        arrays: how many arrays were written anew in today's record.
        remarks: what could not be upgraded, and what is odd.
        files: what was written.
        comparison: the outputs before and after, where they were asked for.
    """

    source: str
    target: str
    before: str
    steps: tuple[str, ...]
    edits: tuple[Edit, ...]
    arrays: int
    remarks: tuple[str, ...]
    files: tuple[File, ...]
    comparison: Comparison | None = None

    @property
    def changed(self) -> bool:
        """Whether anything had to change."""
        return bool(self.edits or self.arrays)

    def lines(self) -> list[str]:
        """The report in words."""
        found = [f"written by {self.before}"]
        found += [f"step {s}" for s in self.steps]
        if not self.changed:
            found.append("everything is in today's form already")
        if self.arrays:
            found.append(f"{counted(self.arrays, 'array')} in the record of today's releases")
        found += [f"remark: {printable(r)}" for r in self.remarks]
        if self.comparison is not None:
            word = "the same values" if self.comparison.same else f"different by up to {self.comparison.largest:.3g}"
            found.append(f"both were run: {counted(self.comparison.outputs, 'output')}, {word}")
        return found

    def report(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        found: dict[str, Any] = {n: getattr(self, n) for n in ("source", "target", "before", "arrays")}
        found |= {"steps": list(self.steps), "remarks": list(self.remarks)}
        found["edits"] = [
            {"step": e.step, "node": e.node, "what": e.what, "before": e.before, "after": e.after} for e in self.edits
        ]
        found["files"] = [{"uri": f.location.shown, "bytes": f.size} for f in self.files]
        if self.comparison is not None:
            found["same"], found["largest"] = self.comparison.same, self.comparison.largest
        return found


def upgrade(
    source: object,
    target: object = None,
    *,
    in_place: bool = False,
    check: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    pooling_convention: str | None = None,
    **options: Any,
) -> UpgradeReport:
    """Bring a checkpoint to the form that MXNet 1.9.1 saves.

    The graph is what 1.9.1 makes of it when it loads it, equal to the byte; arrays keep their bits.

    Args:
        source: a URI: a prefix, a symbol file, a parameter file, an archive.
        target: where to; a name without an ending is a prefix.
        in_place: replace the source, atomically.
        check: run the old and the new model on the same random inputs and compare.
        shapes: shapes of the inputs for `check`, where the checkpoint does not tell them.
        pooling_convention: for Pooling layers that name none ("full" or "valid"); see `evergraph.passes.upgrade`.
        options: for opening, such as `epoch` or `member`.

    Raises:
        UsageError: neither a target nor `in_place`; nothing in it is MXNet's.
    """
    if (target is None) == (not in_place):
        raise UsageError("give a target, or in_place=True (--in-place), and not both")
    opened = open_checkpoint(source, **options)
    new, report = upgraded(opened, pooling_convention)
    location = _own_place(opened, locate(source)) if in_place else locate(target)
    compared = _compare(opened, new, shapes) if check else None
    # standard output has no ending that names a format
    form = by_name(new.format) if location.is_stream else target_format(location, new)
    layout = save(new, location.uri, to=form.name)
    steps = tuple(report.summary()) if report is not None else ()
    return UpgradeReport(
        opened.name,
        location.shown,
        version_words(opened.graph.version) if opened.graph is not None else _records(opened),
        steps,
        report.edits if report is not None else (),
        sum(_is_old(t) for t in opened.values()),
        report.remarks if report is not None else (),
        layout.files,
        compared,
    )


def upgraded(checkpoint: Checkpoint, pooling_convention: str | None = None) -> tuple[Checkpoint, Any]:
    """The checkpoint in today's form, and what the upgrade of its graph did (None without a graph)."""
    from evergraph.passes.upgrade import upgrade as upgrade_graph

    if not checkpoint.format.startswith("mxnet-") and checkpoint.graph is None:
        raise UsageError(
            "there is nothing of MXNet's to upgrade",
            where=checkpoint.name,
            expected="a symbol file, a parameter file, or a checkpoint with a graph",
            found=f"format {checkpoint.format}, which has no older form",
        )
    # an array without its source's details gets today's record
    tensors = {n: t.replace(details={}) if _is_old(t) else t for n, t in checkpoint.items()}
    if checkpoint.graph is None:
        return checkpoint.replace(tensors), None
    found = upgrade_graph(checkpoint.graph, pooling_convention=pooling_convention, text=True)
    return checkpoint.replace(tensors, graph=found.graph), found


def _records(checkpoint: Checkpoint) -> str:
    """The releases that write arrays in such records, in words: nothing else in a parameter file tells its age."""
    found = sorted({t.details["version"] for t in checkpoint.values() if "version" in t.details})
    return " and ".join(_RELEASES[v] for v in found) or "an MXNet release that nothing in it tells"


def _is_old(tensor: Any) -> bool:
    return tensor.storage != "none" and tensor.details.get("version", 2) < 2


def _own_place(checkpoint: Checkpoint, location: Location) -> Location:
    """Where an in-place upgrade writes: the very files that were opened."""
    inside = location.uri.endswith("/") or (location.is_local and os.path.isdir(location.name))
    prefix, epoch = checkpoint.metadata.get("prefix"), checkpoint.metadata.get("epoch")
    place = locate(f"{location.uri.rstrip('/')}/{prefix}") if inside and prefix is not None else location
    why = None
    if location.is_stream or "archive" in checkpoint.details:
        why = "an archive, or a stream"
    elif inside and prefix is None:
        why = "a folder: name the file in it"
    elif prefix is not None and not exists(place.sibling(f"{prefix}-{epoch:04d}.params")):
        why = f"parameters that do not stand in {printable(prefix)}-{epoch:04d}.params"
    if why is not None:
        raise UsageError("this cannot be upgraded in place", where=location.shown, found=why, fix="give a target")
    return place


def _compare(old: Checkpoint, new: Checkpoint, shapes: Mapping[str, Sequence[int]] | None) -> Comparison:
    """Run both on the same random inputs."""
    import numpy as np

    from evergraph.engine import predictor

    if old.graph is None or new.graph is None:
        raise UsageError("there is no graph to run", where=old.name, fix="upgrade the prefix, not one of its files")
    first, second = (predictor(c.graph, c, engine="torch") for c in (old, new) if c.graph is not None)
    known = {**old.metadata.get("input_shapes", {}), **(shapes or {})}
    stray = [printable(n) for n in shapes or () if n not in first.inputs]
    listed = ", ".join(map(printable, first.inputs))
    collect(UsageError, "shapes are given for what is no input", stray, where=old.name, expected=listed)
    missing = [n for n in first.inputs if n not in known]
    if missing:
        raise UsageError(
            "the shapes of the inputs are needed to run the model",
            found=f"none for {', '.join(map(printable, missing))}",
            fix="give them: shapes={'data': (1, 3, 224, 224)}, or --shape data=1,3,224,224",
        )
    rng = np.random.default_rng(0)
    values = {n: rng.uniform(-1, 1, tuple(known[n])).astype("float32") for n in first.inputs}
    pairs = list(zip(first(values), second(values), strict=True))
    largest = max((_farthest(a, b) for a, b in pairs), default=0.0)
    return Comparison({n: tuple(known[n]) for n in first.inputs}, largest, len(pairs))


def _farthest(one: Any, two: Any) -> float:
    """The largest difference of two outputs; infinite where one is not a number or of another shape."""
    import numpy as np

    if one.shape != two.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - two)
    # equal infinities have no difference that is a number
    apart = np.where((one == two) | (np.isnan(one) & np.isnan(two)), 0.0, apart)
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
