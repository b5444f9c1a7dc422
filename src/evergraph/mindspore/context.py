"""`context`: the mode and the device that a program asks for, as torch's device."""

from typing import Any

import torch

from evergraph.errors import UsageError, printable

__all__ = [
    "GRAPH_MODE",
    "PYNATIVE_MODE",
    "ParallelMode",
    "get_auto_parallel_context",
    "get_context",
    "reset_auto_parallel_context",
    "set_auto_parallel_context",
    "set_context",
    "set_device",
    "torch_device",
]

GRAPH_MODE, PYNATIVE_MODE = 0, 1


class ParallelMode:
    """How several devices share the work; here one stands alone."""

    STAND_ALONE = "stand_alone"
    DATA_PARALLEL = "data_parallel"
    HYBRID_PARALLEL = "hybrid_parallel"
    SEMI_AUTO_PARALLEL = "semi_auto_parallel"
    AUTO_PARALLEL = "auto_parallel"
    MODE_LIST = (STAND_ALONE, DATA_PARALLEL, HYBRID_PARALLEL, SEMI_AUTO_PARALLEL, AUTO_PARALLEL)


_context: dict[str, Any] = {"mode": PYNATIVE_MODE, "device_target": "CPU", "device_id": 0, "save_graphs": False}
_parallel: dict[str, Any] = {}
_TARGETS = {"CPU": "cpu", "GPU": "cuda", "Ascend": "npu"}


def torch_device(target: str) -> torch.device:
    """The torch device of a target such as `GPU` or `GPU:1`.

    Raises:
        UsageError: there is no such target, or none on this machine.
    """
    name, _, index = target.partition(":")
    if name not in _TARGETS:
        raise UsageError(f"no device {printable(target)}", expected=", ".join(_TARGETS))
    there = name == "CPU" or (name == "GPU" and torch.cuda.is_available())
    if not there:
        raise UsageError(f"this machine has no {name} that torch can use", fix='choose device_target="CPU"')
    return torch.device(_TARGETS[name], int(index or 0)) if name != "CPU" else torch.device("cpu")


def set_context(**named: Any) -> None:
    """Choose mode, device_target, device_id and whatever else a program sets.

    Both modes run the same way here. What only steers MindSpore's own compiler is kept, and answered by `get_context`.

    Raises:
        UsageError: the mode is neither GRAPH_MODE nor PYNATIVE_MODE, or the device is not there.
    """
    if "mode" in named and named["mode"] not in (GRAPH_MODE, PYNATIVE_MODE):
        raise UsageError(
            "mode is GRAPH_MODE (0) or PYNATIVE_MODE (1)", where="set_context(mode=)", found=printable(named["mode"])
        )
    if named.keys() & {"device_target", "device_id"}:
        target = named.get("device_target", _context["device_target"])
        device = torch_device(f"{target}:{named.get('device_id', _context['device_id'])}")
        torch.set_default_device(None if device.type == "cpu" else device)
    _context.update(named)


def get_context(attr_key: str) -> Any:
    """What was set under this name, or None."""
    return _context.get(attr_key)


def set_device(device_target: str, device_id: int = 0) -> None:
    """Choose the device of all tensors made from now on."""
    set_context(device_target=device_target, device_id=device_id)


def set_auto_parallel_context(**named: Any) -> None:
    """Keep what a program sets for several devices; this process is one."""
    _parallel.update(named)


def get_auto_parallel_context(name: str) -> Any:
    """What was set under this name, or None."""
    return _parallel.get(name)


def reset_auto_parallel_context() -> None:
    """Forget what was set for several devices."""
    _parallel.clear()
