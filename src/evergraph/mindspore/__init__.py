"""The MindSpore face: `import evergraph.mindspore as ms`.

Tensors, networks, training and datasets under MindSpore's names, with the values and files of MindSpore 2.10, on
PyTorch. Modules are imported when they are first used.

>>> import evergraph.mindspore as ms
>>> ms.Tensor([1, 2]) * 2
Tensor(shape=[2], dtype=Int64, value= [2, 4])
"""

import importlib
import sys
from typing import Any

from evergraph import _lazy
from evergraph.mindspore.places import Finder

__version__ = "2.10.0"

_MODULES = {
    name: name
    for name in (
        "amp",
        "common",
        "communication",
        "context",
        "dataset",
        "log",
        "mint",
        "nn",
        "numpy",
        "ops",
        "parallel",
        "serialization",
        "train",
    )
}
"""Name of `ms` -> module of this package."""

_NAMES = {
    name: module
    for module, names in {
        "common.dtype": """bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 bfloat16
            complex64 complex128 float_ int_ half single double number string qint4x2 dtype_to_nptype
            dtype_to_pytype pytype_to_dtype""",
        "common.parameter": "Parameter ParameterTuple",
        "common.seed": "set_seed get_seed",
        "common.tensor": "Tensor from_numpy is_tensor tensor",
        "context": "GRAPH_MODE PYNATIVE_MODE ParallelMode get_context set_context set_device "
        "reset_auto_parallel_context set_auto_parallel_context get_auto_parallel_context",
        "ops.gradients": "grad value_and_grad get_grad stop_gradient",
        "programs": """JitConfig data_sink export jit jit_class lazy_inline load ms_class ms_function mutable run_check
            set_deterministic""",
        "parallel": "convert_checkpoint_by_rank convert_checkpoints rank_list_for_convert",
        "ops.transforms": "jacfwd jacrev jvp vjp vmap",
        "serialization": "save_checkpoint load_checkpoint load_checkpoint_async load_param_into_net "
        "load_segmented_checkpoints async_ckpt_thread_status ckpt_to_safetensors safetensors_to_ckpt "
        "build_searched_strategy load_distributed_checkpoint merge_pipeline_strategys merge_sliced_parameter "
        "rank_list_for_transform restore_group_info_list transform_checkpoint_by_rank transform_checkpoints "
        "unified_safetensors",
        "train": """Model Accuracy Callback CheckpointConfig EarlyStopping F1 History LambdaCallback
            LearningRateScheduler Loss LossMonitor MAE MSE Metric ModelCheckpoint Precision Recall ReduceLROnPlateau
            RunContext SummaryCollector TimeMonitor Top1CategoricalAccuracy Top5CategoricalAccuracy
            TopKCategoricalAccuracy get_metric_fn""",
        "train.loss_scale_manager": "DynamicLossScaleManager FixedLossScaleManager LossScaleManager",
    }.items()
    for name in names.split()
}
"""Name of `ms` -> module of this package that has it."""

if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    sys.meta_path.append(Finder())

_LIKE_MODULES = {"dtype": "common.dtype"}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name) or _NAMES.get(name) or _LIKE_MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'evergraph.mindspore' has no attribute {name!r}")
    try:
        found = importlib.import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{module}":
            raise AttributeError(f"module 'evergraph.mindspore' has no attribute {name!r}") from error
        raise _lazy.missing(error, name, "torch") from error
    value = getattr(found, name) if name in _NAMES else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES, *_LIKE_MODULES})
