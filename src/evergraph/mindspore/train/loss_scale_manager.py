"""Loss scale managers: what `Model` asks for the scale of the loss."""

from typing import Any

from evergraph.errors import EvergraphError, UsageError, printable

__all__ = ["DynamicLossScaleManager", "FixedLossScaleManager", "LossScaleManager"]


class LossScaleManager:
    """What a manager answers."""

    def get_loss_scale(self) -> float:
        """The scale."""
        raise UsageError("a manager has a scale", where=type(self).__name__)

    def update_loss_scale(self, overflow: bool) -> None:
        """Change the scale after a step."""

    def get_update_cell(self) -> Any:
        """The cell that changes the scale within the training step, or None."""


class FixedLossScaleManager(LossScaleManager):
    """One scale for all steps.

    Args:
        loss_scale: at least 1.
        drop_overflow_update: whether steps that overflow update nothing.
    """

    def __init__(self, loss_scale: float = 128.0, drop_overflow_update: bool = True) -> None:
        if loss_scale < 1:
            raise UsageError("loss_scale is at least 1", found=printable(loss_scale))
        self._loss_scale, self._drop_overflow_update = loss_scale, drop_overflow_update

    def get_loss_scale(self) -> float:
        """The scale."""
        return self._loss_scale

    def get_drop_overflow_update(self) -> bool:
        """Whether steps that overflow update nothing."""
        return self._drop_overflow_update

    def get_update_cell(self) -> Any:
        """A cell that keeps the scale, or None where overflows are not asked for."""
        from evergraph.mindspore.nn.wrap import FixedLossScaleUpdateCell

        return FixedLossScaleUpdateCell(self._loss_scale) if self._drop_overflow_update else None


class DynamicLossScaleManager(LossScaleManager):
    """Divides the scale after an overflow, and multiplies it after `scale_window` steps without one.

    >>> manager = DynamicLossScaleManager(1024, 2, 3)
    >>> manager.update_loss_scale(True)
    >>> manager.get_loss_scale()
    512.0
    """

    def __init__(self, init_loss_scale: float = 2**24, scale_factor: int = 2, scale_window: int = 2000) -> None:
        if init_loss_scale < 1 or scale_factor < 1 or scale_window < 1:
            raise UsageError("all three are at least 1", found=printable((init_loss_scale, scale_factor, scale_window)))
        self.loss_scale, self.scale_factor, self.scale_window = float(init_loss_scale), scale_factor, scale_window
        self.cur_iter, self.last_overflow_iter, self.bad_step, self.bad_step_max = 1, 0, 0, 1000

    def get_loss_scale(self) -> float:
        """The scale."""
        return self.loss_scale

    def get_drop_overflow_update(self) -> bool:
        """Steps that overflow update nothing."""
        return True

    def update_loss_scale(self, overflow: bool) -> None:
        """Change the scale after a step.

        Raises:
            EvergraphError: more than 1000 steps in a row overflowed.
        """
        self.bad_step = self.bad_step + 1 if overflow else 0
        if self.bad_step > self.bad_step_max:
            raise EvergraphError(
                f"{self.bad_step_max} steps in a row overflowed", fix="lower the learning rate, or look at the data"
            )
        if overflow:
            self.loss_scale = max(self.loss_scale / self.scale_factor, 1.0)
            self.last_overflow_iter = self.cur_iter
        elif (self.cur_iter - self.last_overflow_iter) % self.scale_window == 0:
            self.loss_scale *= self.scale_factor
        self.cur_iter += 1

    def get_update_cell(self) -> Any:
        """The cell that does the same within the training step."""
        from evergraph.mindspore.nn.wrap import DynamicLossScaleUpdateCell

        return DynamicLossScaleUpdateCell(self.loss_scale, self.scale_factor, self.scale_window)
