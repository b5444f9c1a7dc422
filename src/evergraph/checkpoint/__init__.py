"""Checkpoint: an ordered mapping from names to tensors, and what is done with it as a whole."""

from evergraph.checkpoint.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
