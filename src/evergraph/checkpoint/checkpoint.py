"""Checkpoint: names and tensors in file order, with the graph and metadata that stand beside them."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.errors import UnknownTensorError, counted, printable
from evergraph.graph import Graph
from evergraph.stores import Source, human
from evergraph.tensors import Tensor
from evergraph.tensors.memory import loaded

__all__ = ["Checkpoint"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Checkpoint(Mapping[str, Tensor]):
    """What a file of weights holds: a mapping from names to tensors in file order.

    Args:
        tensors: the entries; arrays and numbers are taken as `Tensor.of` takes them.
        graph: the computation they belong to, or a function that reads it when it is first asked for.
        metadata: what the file says about itself, as plain JSON values.
        format: name of the format it was read from; empty for one made in memory.
        details: what only that format knows about the whole file, kept so that saving gives the same bytes again.
        name: where it came from, as messages show it.
        original: the content it was read from. A checkpoint that was changed in any way (`replace`) has none, so that
            formats whose bytes others arrange differently can save an unchanged one by copying.

    >>> import numpy as np
    >>> c = Checkpoint({"arg:w": np.zeros((2, 3), "float32")}); c["arg:w"].shape
    (2, 3)
    """

    def __init__(
        self,
        tensors: Mapping[str, Any],
        *,
        graph: Graph | Callable[[], Graph | None] | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
        format: str = "",
        details: Mapping[str, Any] = _NOTHING,
        name: str = "",
        original: Source | None = None,
    ) -> None:
        self._tensors = {k: v if isinstance(v, Tensor) else Tensor.of(v) for k, v in tensors.items()}
        self._graph = graph
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata))
        self.format = format
        self.details = details
        self.name = name
        self.original = original

    @property
    def graph(self) -> Graph | None:
        """The computation that the tensors belong to, where the checkpoint has one."""
        if callable(self._graph):
            self._graph = self._graph()
        return self._graph

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            pass
        raise _unknown(name, self._tensors, self.name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values."""
        return sum(t.nbytes for t in self._tensors.values())

    @property
    def args(self) -> dict[str, Tensor]:
        """Tensors of role `arg:`, by their bare names; entries without a role count as well."""
        return {k.removeprefix("arg:"): v for k, v in self._tensors.items() if not k.startswith("aux:")}

    @property
    def auxs(self) -> dict[str, Tensor]:
        """Tensors of role `aux:` (auxiliary states such as moving means), by their bare names."""
        return {k.removeprefix("aux:"): v for k, v in self._tensors.items() if k.startswith("aux:")}

    def load(self) -> "Checkpoint":
        """The same checkpoint with every value in memory of its own, read at once: its file may change meanwhile.

        What is opened reads a value when it is asked for; whoever wants all of them has them sooner this way.

        >>> import numpy as np
        >>> Checkpoint({"w": np.ones(2, "float32")}).load()["w"].numpy()
        array([1., 1.], dtype=float32)
        """
        kept: dict[str, Any] = {name: getattr(self, name) for name in ("metadata", "format", "details", "name")}
        return Checkpoint(dict(loaded(self._tensors)), graph=self._graph, original=self.original, **kept)

    def replace(self, tensors: Mapping[str, Any] | None = None, **changes: Any) -> "Checkpoint":
        """The same checkpoint with other tensors, graph, metadata, format, details or name."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in ("metadata", "format", "details", "name")}
        kept["graph"] = self._graph
        return Checkpoint(self._tensors if tensors is None else tensors, **(kept | changes))

    def __repr__(self) -> str:
        kind = f" of format {self.format}" if self.format else ""
        return f"<Checkpoint{kind}: {counted(len(self), 'tensor')}, {human(self.nbytes)}>"


def _unknown(name: object, names: Mapping[str, Any], where: str) -> UnknownTensorError:
    import difflib

    near = difflib.get_close_matches(str(name), names, 3)
    return UnknownTensorError(
        f"no tensor named {printable(name)!r}",
        where=where or None,
        found=f"{len(names)} tensors" + (f"; near: {', '.join(map(printable, near))}" if near else ""),
    )
