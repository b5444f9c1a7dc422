"""Saving: a planned layout streamed into a commit, with checksums beside it."""

from evergraph.saving.save import save, target_format, write_layout

__all__ = ["save", "target_format", "write_layout"]
