"""MXNet's checkpoints of two files, `prefix-symbol.json` and `prefix-0001.params`, and symbol files alone.

Layouts: docs/formats/mxnet-checkpoint.md.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, counted, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.bundle import OPTIONS, Bundle, Found
from evergraph.formats.mxnet_params import RELEASES, MXNetParams
from evergraph.graph import parse, to_json
from evergraph.stores import Location, Source, list_folder, locate, open_source

__all__ = ["MXNetCheckpoint", "MXNetSymbol", "open_pair", "prefix_bundle", "split_name"]

ROLES = ("arg:", "aux:")
_TARGET = re.compile(r"(?P<prefix>.*?)(-symbol\.json|-(?P<epoch>\d{4,})\.params)?")
_OWN = ("epoch", "epochs", "prefix", "input_shapes", "labels", "hyperparameters")
"""Metadata that says where a checkpoint was found, and is made again when it is opened."""


class MXNetSymbol(Format):
    """A symbol file alone: a checkpoint without tensors, with a graph."""

    name = "mxnet-symbol"
    title = "an MXNet symbol file"
    suffixes = ("-symbol.json", ".json")

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a JSON object that speaks of nodes."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not text.startswith(b"{"):
            return False
        return b'"nodes"' in text or re.match(rb'\{\s*"(heads|arg_nodes|node_row_ptr)"', text) is not None

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The graph, checked.

        Raises:
            DamagedError, GraphError: the JSON or the graph is broken.
        """
        self.check_options(options, self.read_options)
        graph = parse(source.head(source.size), source.name)
        return Checkpoint({}, graph=graph, format=self.name, name=source.name)

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The one file that holds the graph.

        Raises:
            UsageError: the checkpoint has none.
        """
        self.check_options(options, self.write_options)
        if checkpoint.graph is None:
            raise UsageError("the checkpoint has no graph to save", where=target.shown)
        data = to_json(checkpoint.graph)
        losses = (
            [f"{counted(len(checkpoint), 'tensor')}: save a prefix to keep them beside the graph"]
            if len(checkpoint)
            else []
        )
        losses += [f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in _OWN]
        return Layout((File(target, lambda: (data,), len(data)),), tuple(losses))


class MXNetCheckpoint(Format):
    """A prefix: the graph in `prefix-symbol.json`, the parameters of each epoch in `prefix-NNNN.params`."""

    name = "mxnet-checkpoint"
    title = "an MXNet checkpoint (prefix-symbol.json and prefix-0000.params)"
    read_options = MappingProxyType({"epoch": OPTIONS["epoch"]})
    write_options = MappingProxyType(
        {
            "epoch": "number in the parameter file's name; that of the source, or 0, where not given",
            "release": "MXNet release to write for: " + ", ".join(RELEASES),
        }
    )

    def recognise(self, head: bytes, source: Source) -> bool:
        """Never: one file's content does not say that another one belongs to it."""
        return False

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The pair that one of its files belongs to.

        Raises:
            UsageError: the file's name is not one of a pair.
        """
        self.check_options(options, self.read_options)
        prefix, epoch = split_name(source.location.basename)
        bundle = prefix_bundle(source.location, prefix)
        if bundle is None and MXNetSymbol().recognise(source.head(4096), source):
            return MXNetSymbol().read(source)  # a graph that is being written, or renamed: of a pair without parameters
        if bundle is None:
            raise UsageError(
                "the file belongs to no pair",
                where=source.name,
                expected="prefix-symbol.json or prefix-0000.params",
                fix="open it without naming a format",
            )
        return bundle.open(epoch=options.get("epoch", epoch))

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """Two files, the parameters first; the graph's alone where there never were parameters.

        Args:
            checkpoint: tensors with roles (`arg:`, `aux:`) and a graph.
            target: the prefix; the name of either file stands for it.
            options: `epoch`, `release`.

        Raises:
            UsageError: there is no graph, or the epoch is no number from 0 to 9999.
        """
        self.check_options(options, self.write_options)
        if checkpoint.graph is None:
            raise UsageError(
                "the checkpoint has no graph", where=target.shown, fix="save its parameters alone, as mxnet-params"
            )
        prefix, named = split_name(target.basename)
        epoch = options.get("epoch", checkpoint.metadata.get("epoch", 0) if named is None else named)
        if type(epoch) is not int or not 0 <= epoch <= 9999:
            raise UsageError("an epoch is a number from 0 to 9999", found=repr(epoch))
        alone = not len(checkpoint) and named is None and "epoch" not in {**checkpoint.metadata, **options}
        own = checkpoint.details.get("carried", {}).get(MXNetParams.name, {})
        params = checkpoint.replace(graph=None, metadata={}, details={"carried": {MXNetParams.name: own}})
        release = {"release": options["release"]} if "release" in options else {}
        first = MXNetParams().plan(params, target.sibling(f"{prefix}-{epoch:04d}.params"), **release)
        data = to_json(checkpoint.graph)
        second = File(target.sibling(f"{prefix}-symbol.json"), lambda: (data,), len(data))
        losses = [*first.losses, *(f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in _OWN)]
        bare = sum(not n.startswith(ROLES) for n in checkpoint)
        notes = [f"{bare} tensors have no role (arg:, aux:): MXNet's Module needs one"] if bare else []
        return Layout((second,) if alone else (*first.files, second), tuple(losses), tuple(notes))


def open_pair(bundle: Bundle, found: Found, epoch: int | None, options: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of a prefix.

    Args:
        bundle: where its files are.
        found: the prefix.
        epoch: which parameters; the newest where None.
        options: none are taken.

    Raises:
        UsageError: no parameters of this epoch.
    """
    shown = f"{bundle.shown.rstrip('/')}/{printable(found.name)}" if bundle.shown != "." else printable(found.name)
    if not found.params:
        MXNetSymbol().check_options(options, {})
        if epoch is not None:
            raise UsageError(f"there are no parameters of epoch {epoch}", where=shown, found="a graph alone")
        return MXNetSymbol().read(bundle.source(str(found.symbol)))
    chosen = max(found.params) if epoch is None else epoch
    if chosen not in found.params:
        raise UsageError(
            f"there are no parameters of epoch {printable(epoch)}",
            where=shown,
            expected=", ".join(map(str, sorted(found.params))),
        )
    tensors = MXNetParams().read(bundle.source(found.params[chosen]), **options)
    metadata: dict[str, Any] = {"epoch": chosen, "prefix": found.name.rpartition("/")[2]}
    if len(found.params) > 1:
        metadata["epochs"] = sorted(found.params)
    if found.symbol is None:
        return tensors.replace(metadata={**tensors.metadata, **metadata})
    symbol = bundle.source(found.symbol)
    return Checkpoint(
        dict(tensors),
        # a broken graph hinders nobody who looks at the tensors
        graph=lambda: parse(symbol.head(symbol.size), symbol.name),
        metadata=metadata,
        format=MXNetCheckpoint.name,
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


def prefix_bundle(location: Location, prefix: str) -> Bundle | None:
    """The files of a prefix in a location's folder.

    Returns:
        None where there are none.
    """
    if location.is_stream or location.protocol == "member" or not prefix:
        return None
    wanted = re.compile(rf"{re.escape(prefix)}(-symbol\.json|-\d{{4,}}\.params|\.params)")
    listed = list_folder(_folder(location))
    names = [n for n in listed if wanted.fullmatch(n)]
    if not any(n.endswith(("-symbol.json", ".params")) and n != f"{prefix}.params" for n in names):
        return None
    # what tells of the model, and no other checkpoint
    beside = [n for n in listed if n.endswith((".json", ".txt")) and not n.endswith(("-symbol.json", ".index.json"))]
    return Bundle([*names, *beside], lambda n: open_source(location.sibling(n)), _folder(location).shown)


def _folder(location: Location) -> Location:
    head, slash, _ = location.uri.partition("?")[0].rstrip("/").rpartition("/")
    return locate(f"{head}/" if slash else ".")
