"""File formats: recognised by content, read lazily, written in bounded memory."""

from evergraph.formats.base import File, Format, Layout, Piece
from evergraph.formats.registry import FORMATS, by_content, by_name, by_target, register

__all__ = ["FORMATS", "File", "Format", "Layout", "Piece", "by_content", "by_name", "by_target", "register"]
