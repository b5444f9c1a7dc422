"""MXNet's checkpoints of two files, `prefix-symbol.json` and `prefix-0001.params`.

Layout: docs/formats/mxnet-checkpoint.md.
"""

import re
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.bundle import Bundle
from evergraph.formats.candidates import OPTIONS
from evergraph.formats.mxnet_pair import NAME, split_name
from evergraph.formats.mxnet_params import RELEASES, MXNetParams
from evergraph.formats.mxnet_symbol import OWN, MXNetSymbol
from evergraph.graph import to_json
from evergraph.stores import Location, Source, list_folder, locate, open_source

__all__ = ["MXNetCheckpoint", "prefix_bundle"]

ROLES = ("arg:", "aux:")


class MXNetCheckpoint(Format):
    """A prefix: the graph in `prefix-symbol.json`, the parameters of each epoch in `prefix-NNNN.params`."""

    name = NAME
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
        losses = [*first.losses, *(f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in OWN)]
        bare = sum(not n.startswith(ROLES) for n in checkpoint)
        notes = [f"{bare} tensors have no role (arg:, aux:): MXNet's Module needs one"] if bare else []
        return Layout((second,) if alone else (*first.files, second), tuple(losses), tuple(notes))


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
