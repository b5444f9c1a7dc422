"""Checkpoints of the MindSpore face: saved, loaded, converted."""

from evergraph.mindspore.serialization.behind import async_ckpt_thread_status
from evergraph.mindspore.serialization.conversions import ckpt_to_safetensors, safetensors_to_ckpt
from evergraph.mindspore.serialization.loading import Loaded, load_param_into_net
from evergraph.mindspore.serialization.reading import (
    load_checkpoint,
    load_checkpoint_async,
    load_segmented_checkpoints,
)
from evergraph.mindspore.serialization.saving import save_checkpoint

__all__ = [
    "Loaded",
    "async_ckpt_thread_status",
    "ckpt_to_safetensors",
    "load_checkpoint",
    "load_checkpoint_async",
    "load_param_into_net",
    "load_segmented_checkpoints",
    "safetensors_to_ckpt",
    "save_checkpoint",
]
