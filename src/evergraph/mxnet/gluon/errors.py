"""What goes wrong with blocks and parameters, also of the classes that MXNet raises."""

from evergraph.errors import ShapeError, UsageError

__all__ = [
    "BlockTypeError",
    "BlockValueError",
    "DeferredInitializationError",
    "NotInitializedError",
    "ParameterFitError",
]


class DeferredInitializationError(UsageError):
    """A parameter whose shape follows from the first batch is read before there was one."""


class NotInitializedError(UsageError, RuntimeError):
    """A parameter without values, without values on a device, or without a gradient."""


class ParameterFitError(ShapeError, AssertionError):
    """Values, shapes or requests that do not fit a parameter."""


class BlockValueError(UsageError, ValueError):
    """Values that a block or a parameter does not take."""


class BlockTypeError(UsageError, TypeError):
    """Values of a kind that a block or a parameter does not take."""
