"""The optimizers that MXNet's SVRGModule hands to a store: one assigns, one chooses by the key."""

from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mxnet import optimizer as opt

__all__ = ["_AssignmentOptimizer", "_SVRGOptimizer"]

_OF_ALL = (
    "rescale_grad",
    "param_idx2name",
    "wd",
    "clip_gradient",
    "learning_rate",
    "lr_scheduler",
    "sym",
    "begin_num_update",
    "multi_precision",
    "param_dict",
)


class _UnknownKeyError(UsageError, KeyError):
    """A key that belongs to no parameter."""

    __str__ = UsageError.__str__


@opt.register
class _AssignmentOptimizer(opt.Optimizer):
    """Puts each gradient in its weight's place."""

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Set the weight to the gradient."""
        weight[:] = grad


@opt.register
class _SVRGOptimizer(opt.Optimizer):
    """Assigns to keys with `full` in their names, and changes the others by another optimizer.

    Args:
        default_optimizer: the other optimizer, or its name.
        **kwargs: its settings.
    """

    def __init__(self, default_optimizer: Any, **kwargs: Any) -> None:
        super().__init__(**{k: v for k, v in kwargs.items() if k in _OF_ALL})
        is_name = isinstance(default_optimizer, str)
        self.default_opt = opt.create(default_optimizer, **kwargs) if is_name else default_optimizer
        self.aux_opt = _AssignmentOptimizer()

    def _chosen(self, index: Any) -> Any:
        name = index if index in self.idx2name.values() else self.idx2name.get(index)
        if name is None:
            raise _UnknownKeyError("an optimizer was given no parameter of this key", found=printable(index))
        return self.aux_opt if "full" in name else self.default_opt

    def create_state(self, index: Any, weight: Any) -> Any:
        """The state of the optimizer that is chosen."""
        return self._chosen(index).create_state(index, weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Let the optimizer that is chosen change the weight."""
        self._chosen(index).update(index, weight, grad, state)
