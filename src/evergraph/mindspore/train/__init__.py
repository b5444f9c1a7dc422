"""Training: Model, callbacks, metrics, loss scales. Modules are imported when they are first used."""

import importlib
from typing import Any

_NAMES = {
    name: module
    for module, names in {
        "model": "Model",
        "loss_scale_manager": "DynamicLossScaleManager FixedLossScaleManager LossScaleManager",
        "callback": """Callback CheckpointConfig EarlyStopping History LambdaCallback LearningRateScheduler
            LossMonitor ModelCheckpoint ReduceLROnPlateau RunContext SummaryCollector TimeMonitor""",
        "metrics": "Accuracy F1 Loss MAE MSE Metric Precision Recall Top1CategoricalAccuracy Top5CategoricalAccuracy "
        "TopKCategoricalAccuracy get_metric_fn get_metrics",
    }.items()
    for name in names.split()
}

_SERIALIZATION = """save_checkpoint load_checkpoint load_param_into_net load_checkpoint_async ckpt_to_safetensors
    safetensors_to_ckpt async_ckpt_thread_status load_segmented_checkpoints"""


def __getattr__(name: str) -> Any:
    if name in _SERIALIZATION.split():
        found = importlib.import_module("evergraph.mindspore.serialization")
    elif name == "amp":
        return importlib.import_module("evergraph.mindspore.amp")
    elif name in ("callback", "model", "metrics", "loss_scale_manager", "serialization"):
        home = "evergraph.mindspore" if name == "serialization" else __name__
        return importlib.import_module(f"{home}.{name}")
    elif name in _NAMES:
        found = importlib.import_module(f"{__name__}.{_NAMES[name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(found, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_SERIALIZATION.split()})
