"""Saving: a planned layout streamed into a commit, with checksums beside it."""

from evergraph.saving.save import save, write_layout

__all__ = ["save", "write_layout"]
