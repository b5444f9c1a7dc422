"""`parallel`: what programs ask of several devices, answered for one; and the checkpoints of several."""

from evergraph.mindspore.context import ParallelMode
from evergraph.mindspore.serialization import (
    rank_list_for_transform,
    transform_checkpoint_by_rank,
    transform_checkpoints,
    unified_safetensors,
)

__all__ = [
    "convert_checkpoint_by_rank",
    "convert_checkpoints",
    "rank_list_for_convert",
    "unified_safetensors",
]

__path__: list[str] = []  # programs import from modules below it

convert_checkpoints, convert_checkpoint_by_rank = transform_checkpoints, transform_checkpoint_by_rank
rank_list_for_convert = rank_list_for_transform


def _get_device_num() -> int:
    """How many devices train: 1."""
    return 1


def _get_gradients_mean() -> bool:
    """Whether gradients of several devices are averaged: there are none."""
    return False


def _get_parallel_mode() -> str:
    """How devices share the work: one stands alone."""
    return ParallelMode.STAND_ALONE
