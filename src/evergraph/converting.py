"""Converts checkpoints: open, edit names, plan, say what would be lost, write."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergraph.checkpoint import Checkpoint, edit
from evergraph.crossing import Crossing, cross, decide, gathered, origin_of
from evergraph.errors import ConversionError, UsageError, collect, counted, printable
from evergraph.formats import File, by_name
from evergraph.formats.opening import open_checkpoint
from evergraph.saving import save, target_format
from evergraph.stores import locate, open_source

__all__ = ["Converted", "convert"]

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
        crossing: how names crossed from one framework to another, where they did.
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
    crossing: Crossing | None = None

    def lines(self) -> list[str]:
        """What was done, in words."""
        found = [f"{counted(self.tensors, 'tensor')} as {self.format}"]
        found += [f"renamed {printable(a)} -> {printable(b)}" for a, b in self.renamed]
        found += [f"left out {printable(n)}" for n in self.dropped]
        found += self.crossing.lines() if self.crossing is not None else []
        return [*found, *(f"lost {line}" for line in self.losses), *self.notes]

    def report(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        found: dict[str, Any] = {n: getattr(self, n) for n in ("source", "target", "format", "tensors")}
        found["files"] = [{"uri": f.location.shown, "bytes": f.size} for f in self.files]
        found["renamed"] = dict(self.renamed)
        found |= {n: list(getattr(self, n)) for n in ("dropped", "losses", "notes")}
        return found | ({"crossing": self.crossing.report()} if self.crossing is not None else {})


def convert(
    source: object,
    target: object,
    *,
    to: str | None = None,
    rename: Rules | None = None,
    only: str | Iterable[str] | None = None,
    drop: str | Iterable[str] | None = None,
    names: str | None = None,
    model: Any = None,
    rules: Any = None,
    like: Any = None,
    lossy: bool = False,
    dry_run: bool = False,
    checksum: bool = False,
    read_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Converted:
    """Carry a checkpoint into another format, in bounded memory; nothing that the target can hold is lost.

    Between the formats of two frameworks, names and layouts become those of the target's framework (docs/convert.md).

    Args:
        source: a URI of any format, a checkpoint, a torch.nn.Module, a MindSpore Cell, or a state dict.
        target: where to; its ending names the format where `to` does not, and a name without one is a prefix.
        to: name of the format.
        rename: a mapping, a TOML file, or rules such as `"^arg:="` (a regular expression, `=`, what it becomes), for
            the source's names.
        only: shell patterns of names to keep.
        drop: shell patterns of names to leave out.
        names: whose names the target gets: "torch", "mindspore", "mxnet" (Module's), "gluon", FROM:TO, or "keep";
            where not given, those of the target's format, if it is a framework's.
        model: what tells the network's structure: a torch.nn.Module, a Cell, an MXNet Symbol, or `net-symbol.json`.
        rules: a TOML file, or a mapping, that says kinds of layers and names of the target.
        like: a network of the same structure whose own names the tensors get: a checkpoint or its path, a module.
        lossy: go on where the target cannot carry everything.
        dry_run: plan, and write nothing.
        checksum: keep a checksum of each tensor beside the target.
        read_options: what the source's format takes.
        options: what the target's format takes.

    Raises:
        ConversionError: listing what the target cannot carry, unless `lossy` or `dry_run`.
        UsageError: names that would stand twice, rules that fit nothing, unknown words.

    >>> import numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> convert(Checkpoint({"arg:w": np.zeros(3, "float32")}), path, rename=["^arg:="]).lines()
    ['1 tensor as safetensors', 'renamed arg:w -> w']
    """
    opened, told = gathered(source) or (open_checkpoint(source, **(read_options or {})), None)
    model = told if model is None else model
    chosen = edit.select(opened, only, drop) if only or drop else opened
    new = _renamed(chosen, rename)
    pairs = tuple((a, b) for a, b in zip(chosen, new, strict=True) if a != b)
    location = locate(target)
    form = by_name(to) if to is not None else target_format(location, new)
    way = decide(names, new, form.name, model)
    if way is None and like is not None:
        way = (origin_of(new) or "torch",) * 2
    crossing = None
    if way is not None:
        new, crossing = cross(new, *way, model=model, rules=rules, like=like)
    elif rules is not None:
        raise UsageError("rules were given, and no names cross", fix="say whose names the target gets: names=, --names")
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
    left = tuple(n for n in opened if n not in chosen)
    told_of = (pairs, left, layout.losses, layout.notes, crossing)
    return Converted(opened.name, location.shown, form.name, layout.files, len(new), *told_of)


def _renamed(checkpoint: Checkpoint, rules: Rules | None) -> Checkpoint:
    if rules is None:
        return checkpoint
    if isinstance(rules, Mapping):
        return edit.rename(checkpoint, rules)
    if not isinstance(rules, (str, os.PathLike, Iterable)):
        raise UsageError("rules for renaming are texts, pairs or a mapping", found=printable(rules))
    given = [rules] if isinstance(rules, (str, os.PathLike)) else list(rules)
    for each in given:
        checkpoint = edit.rename(checkpoint, _rule(each))
    return checkpoint


def _rule(given: Any) -> Any:
    """One rule as it was given: a pair, `expression=replacement`, or the path of a TOML file."""
    if isinstance(given, (tuple, list)):
        return [tuple(given)]
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError("a rule for renaming is OLD=NEW, a pair, or the path of a .toml file", found=printable(given))
    text = os.fspath(given)
    if text.endswith(".toml"):
        with open_source(text) as source:
            return source.head(source.size).decode("utf-8", "replace")
    find, equals, replacement = text.partition("=")
    if not equals:
        raise UsageError("a rule for renaming is OLD=NEW, or the path of a .toml file", found=printable(text))
    return [(find, replacement)]
