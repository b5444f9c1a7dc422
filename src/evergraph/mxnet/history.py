"""Histories that a backward pass has used up.

MXNet forgets, with a pass, how all arrays on its way came about: the state of a recurrent network goes into the next
batch as a constant, also where a program calls `state.detach()` and drops the result. torch keeps the emptied history,
and refuses a second pass through it.
"""

from typing import Any

import torch

__all__ = ["end_used", "used_up"]

_KEPT: dict[type, str] = {}


def used_up(tensor: torch.Tensor) -> bool:
    """Whether a backward pass went through a tensor's history and freed it.

    The nearest steps that keep values are asked: those before them were freed with them.

    >>> x = torch.ones(2, requires_grad=True); y = x.tanh() + 1
    >>> before = used_up(y); y.sum().backward(); before, used_up(y)
    (False, True)
    """
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        step = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        name = _kept_name(step)
        if not name:
            waiting.extend(before for before, _ in step.next_functions)
            continue
        try:
            getattr(step, name)
        except RuntimeError:
            return True
    return False


def _kept_name(step: Any) -> str:
    """The attribute of a step's kept values; empty where it keeps none."""
    kind = type(step)
    found = _KEPT.get(kind)
    if found is None:
        names = dir(step)
        raw = next((n for n in names if n.startswith("_raw_saved_")), "")
        found = "saved_tensors" if "saved_tensors" in names else raw.replace("_raw_saved_", "_saved_")
        _KEPT[kind] = found
    return found


def end_used(array: Any) -> None:
    """End an array's history where a backward pass has used it up."""
    leaf = array._leaf
    if leaf.__class__ is torch.Tensor and leaf.grad_fn is not None and used_up(leaf):
        array._data = array._data  # it may have been read from nothing but the history until now
        array._leaf = None
