"""Checkpoint: an ordered mapping from names to tensors, and what is done with it as a whole."""

from evergraph.checkpoint.checkpoint import Checkpoint
from evergraph.checkpoint.diff import Difference, TensorDifference, diff
from evergraph.checkpoint.edit import merge, rename, select
from evergraph.checkpoint.match import Match, Wanted, match, wanted_by

__all__ = [
    "Checkpoint",
    "Difference",
    "Match",
    "TensorDifference",
    "Wanted",
    "diff",
    "match",
    "merge",
    "rename",
    "select",
    "wanted_by",
]
