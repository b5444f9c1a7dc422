"""Checkpoints of the MindSpore face: saved, loaded, converted."""

from evergraph.mindspore.serialization.files import (
    async_ckpt_thread_status,
    ckpt_to_safetensors,
    load_checkpoint,
    load_checkpoint_async,
    safetensors_to_ckpt,
    save_checkpoint,
)
from evergraph.mindspore.serialization.loading import Loaded, load_param_into_net

__all__ = [
    "Loaded",
    "async_ckpt_thread_status",
    "ckpt_to_safetensors",
    "load_checkpoint",
    "load_checkpoint_async",
    "load_param_into_net",
    "safetensors_to_ckpt",
    "save_checkpoint",
]
