"""MXNet's symbol files alone. Layout: docs/formats/mxnet-checkpoint.md."""

import re
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, counted, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.graph import parse, to_json
from evergraph.stores import Location, Source

__all__ = ["OWN", "MXNetSymbol"]

OWN = ("epoch", "epochs", "prefix", "input_shapes", "labels", "hyperparameters")
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
        losses += [f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in OWN]
        return Layout((File(target, lambda: (data,), len(data)),), tuple(losses))
