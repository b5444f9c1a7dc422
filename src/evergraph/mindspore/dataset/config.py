"""`dataset.config`: what programs set for MindSpore's data pipeline. The seed counts; the rest is kept and answered."""

from typing import Any

from evergraph.mindspore.common.seed import get_seed as _given
from evergraph.mindspore.common.seed import set_seed as _seed

_kept: dict[str, Any] = {
    "num_parallel_workers": 8,
    "prefetch_size": 16,
    "monitor_sampling_interval": 1000,
    "callback_timeout": 60,
    "auto_num_workers": False,
    "enable_shared_mem": True,
    "enable_autotune": False,
    "multiprocessing_timeout_interval": 300,
    "numa_enable": False,
    "dynamic_shape": False,
    "fast_recovery": True,
    "debug_mode": False,
    "sending_batches": 0,
    "error_samples_mode": 0,
}


def set_seed(seed: int) -> None:
    """Seed shuffles and random transforms."""
    _seed(seed)


def get_seed() -> int:
    """The seed that was set; MindSpore's default, 5489, where none was."""
    found = _given()
    return 5489 if found is None else found


def __getattr__(name: str) -> Any:
    verb, _, key = name.partition("_")
    if verb not in ("get", "set") or key not in _kept:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if verb == "get":
        return lambda: _kept[key]
    return lambda value, *_: _kept.__setitem__(key, value)
