"""Converts checkpoints: open, edit names, plan, say what would be lost, write."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergraph.checkpoint import Checkpoint, edit
from evergraph.errors import ConversionError, UsageError, collect, printable
from evergraph.formats import File, by_name, by_target
from evergraph.formats.opening import open_checkpoint
from evergraph.saving import save
from evergraph.stores import Location, locate, open_source

__all__ = ["Converted", "convert", "target_format"]

Rules = str | os.PathLike[str] | Mapping[str, str] | Sequence["str | edit.Rule"]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion wrote.

    Attributes:
        source, target: where from, and where to.
        format: the target's format.
        files: what was (or would be) written.
        tensors: how many tensors it holds.
        renamed: old and new name of each tensor that was renamed.
        dropped: names that were left out, as asked.
        losses: what the target does not carry.
        notes: what it carries in another form.
    """

    source: str
    target: str
    format: str
    files: tuple[File, ...]
    tensors: int
    renamed: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    losses: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What was done, in words."""
        found = [f"{self.tensors} tensors as {self.format}"]
        found += [f"renamed {printable(a)} -> {printable(b)}" for a, b in self.renamed]
        found += [f"left out {printable(n)}" for n in self.dropped]
        return [*found, *(f"lost {line}" for line in self.losses), *self.notes]

    def report(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        found: dict[str, Any] = {n: getattr(self, n) for n in ("source", "target", "format", "tensors")}
        found["files"] = [{"uri": f.location.shown, "bytes": f.size} for f in self.files]
        found["renamed"] = dict(self.renamed)
        return found | {n: list(getattr(self, n)) for n in ("dropped", "losses", "notes")}


def convert(
    source: object,
    target: object,
    *,
    to: str | None = None,
    rename: Rules | None = None,
    only: str | Iterable[str] | None = None,
    drop: str | Iterable[str] | None = None,
    lossy: bool = False,
    dry_run: bool = False,
    checksum: bool = False,
    read_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Converted:
    """Carry a checkpoint into another format, in bounded memory; nothing that the target can hold is lost.

    Args:
        source: a URI of any format, or a checkpoint.
        target: where to; its ending names the format where `to` does not, and a name without one is a prefix.
        to: name of the format.
        rename: a mapping, a TOML file, or rules such as `"^arg:="` (a regular expression, `=`, what it becomes).
        only: shell patterns of names to keep.
        drop: shell patterns of names to leave out.
        lossy: go on where the target cannot carry everything.
        dry_run: plan, and write nothing.
        checksum: keep a checksum of each tensor beside the target.
        read_options: what the source's format takes.
        options: what the target's format takes.

    Raises:
        ConversionError: listing what the target cannot carry, unless `lossy` or `dry_run`.

    >>> import numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> convert(Checkpoint({"arg:w": np.zeros(3, "float32")}), path, rename=["^arg:="]).lines()
    ['1 tensors as safetensors', 'renamed arg:w -> w']
    """
    opened = source if isinstance(source, Checkpoint) else open_checkpoint(source, **(read_options or {}))
    chosen = edit.select(opened, only, drop) if only or drop else opened
    new = _renamed(chosen, rename)
    location = locate(target)
    form = by_name(to) if to is not None else target_format(location, new)
    layout = form.plan(new, location, **options)
    if not lossy and not dry_run:
        collect(
            ConversionError,
            f"{form.title} cannot carry everything",
            layout.losses,
            where=location.shown,
            fix="choose another format, drop what is not needed, or accept the loss with lossy=True (--lossy)",
        )
    if not dry_run:
        layout = save(new, location.uri, to=form.name, lossy=True, checksum=checksum, **options)
    pairs = tuple((a, b) for a, b in zip(chosen, new, strict=True) if a != b)
    left = tuple(n for n in opened if n not in chosen)
    return Converted(
        opened.name, location.shown, form.name, layout.files, len(new), pairs, left, layout.losses, layout.notes
    )


def target_format(target: Location, checkpoint: Checkpoint) -> Any:
    """The format that a target's name asks for; a name without an ending is a prefix where there is a graph."""
    try:
        return by_target(target)
    except UsageError:
        if checkpoint.graph is None or "." in target.basename:
            raise
    return by_name("mxnet-checkpoint")


def _renamed(checkpoint: Checkpoint, rules: Rules | None) -> Checkpoint:
    if rules is None:
        return checkpoint
    if isinstance(rules, Mapping):
        return edit.rename(checkpoint, rules)
    given = [rules] if isinstance(rules, (str, os.PathLike)) else list(rules)
    for each in given:
        checkpoint = edit.rename(checkpoint, _rule(each))
    return checkpoint


def _rule(given: Any) -> Any:
    """One rule as it was given: a pair, `expression=replacement`, or the path of a TOML file."""
    if isinstance(given, tuple):
        return [given]
    text = os.fspath(given)
    if text.endswith(".toml"):
        with open_source(text) as source:
            return source.head(source.size).decode("utf-8", "replace")
    find, equals, replacement = text.partition("=")
    if not equals:
        raise UsageError("a rule for renaming is OLD=NEW, or the path of a .toml file", found=printable(text))
    return [(find, replacement)]
