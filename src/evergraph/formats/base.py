"""What a format is: it recognises content, reads it lazily, and plans the bytes of a target before any is written."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, printable
from evergraph.stores import Location, Source
from evergraph.tensors import Blob, Extent

__all__ = ["File", "Format", "Layout", "Piece"]

Piece: TypeAlias = bytes | Blob
"""A part of a file: bytes that are at hand, or a blob that is copied through in chunks."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a layout.

    Args:
        location: where it goes.
        pieces: makes its parts in order, when it is written.
        size: bytes in all; None where compression decides.
        mode: permissions; the target's own, or the process's default, where None.
    """

    location: Location
    pieces: Callable[[], Iterable[Piece]]
    size: int | None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A target, planned: its files in the order in which they become visible, and what they cannot carry.

    Args:
        files: the files; a manifest stands last.
        losses: one line for each thing of the checkpoint that the target cannot hold.
        notes: one line for each thing that is stored in another form and comes back.
    """

    files: tuple[File, ...]
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """Bytes of all files, where every one is known."""
        sizes = [f.size for f in self.files]
        return None if None in sizes else sum(s for s in sizes if s is not None)


class Format(ABC):
    """One file format.

    Class attributes:
        name: what `Checkpoint.format` and `--to` call it.
        title: the format in words.
        suffixes: endings of file names that ask for this format when saving.
        read_options, write_options: what `read` and `plan` take, each with a word of explanation.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    read_options: ClassVar[Mapping[str, str]] = MappingProxyType({})
    write_options: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @abstractmethod
    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this content is of this format; `head` holds the first bytes (up to 4096), names do not count."""

    @abstractmethod
    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The table of the content, checked against its real size; tensors that read when asked.

        Raises:
            DamagedError: the content breaks the format's rules.
        """

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The files that hold this checkpoint, and what they cannot carry.

        Raises:
            UsageError: this format is not written.
        """
        raise UsageError(f"{self.title} is read, not written", where=target.shown)

    def unchanged(self, checkpoint: Checkpoint, target: Location, options: Mapping[str, Any]) -> Layout | None:
        """The layout that copies the very content a checkpoint was read from; None where anything was changed or asked.

        For formats whose writers differ in what readers do not see: what is opened and saved is the same bytes.
        """
        source = checkpoint.original
        if options or source is None or checkpoint.format != self.name:
            return None
        return Layout((File(target, lambda: (Extent(source, 0, source.size),), source.size),))

    def check_options(self, given: Mapping[str, Any], known: Mapping[str, str]) -> None:
        """Raise UsageError for options that this format does not take."""
        unknown = [k for k in given if k not in known]
        if unknown:
            raise UsageError(
                f"{self.title} does not take: {', '.join(map(printable, unknown))}",
                expected=", ".join(f"{k} ({v})" for k, v in known.items()) or "no options",
            )
