"""Checkpoints of the MindSpore face: saved, loaded, converted."""

from evergraph.mindspore.serialization.behind import async_ckpt_thread_status
from evergraph.mindspore.serialization.conversions import ckpt_to_safetensors, safetensors_to_ckpt
from evergraph.mindspore.serialization.distributed import (
    merge_sliced_parameter,
    rank_list_for_transform,
    transform_checkpoint_by_rank,
    transform_checkpoints,
)
from evergraph.mindspore.serialization.loading import Loaded, load_param_into_net
from evergraph.mindspore.serialization.reading import (
    load_checkpoint,
    load_checkpoint_async,
    load_segmented_checkpoints,
)
from evergraph.mindspore.serialization.saving import save_checkpoint
from evergraph.mindspore.serialization.strategies import (
    build_searched_strategy,
    merge_pipeline_strategys,
    restore_group_info_list,
)
from evergraph.mindspore.serialization.unified import load_distributed_checkpoint, unified_safetensors

__all__ = [
    "Loaded",
    "async_ckpt_thread_status",
    "build_searched_strategy",
    "ckpt_to_safetensors",
    "load_checkpoint",
    "load_checkpoint_async",
    "load_distributed_checkpoint",
    "load_param_into_net",
    "load_segmented_checkpoints",
    "merge_pipeline_strategys",
    "merge_sliced_parameter",
    "rank_list_for_transform",
    "restore_group_info_list",
    "safetensors_to_ckpt",
    "save_checkpoint",
    "transform_checkpoint_by_rank",
    "transform_checkpoints",
    "unified_safetensors",
]
