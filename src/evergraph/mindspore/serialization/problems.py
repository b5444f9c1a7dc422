"""The errors of saving and loading: evergraph's own family, and MindSpore's class each time."""

from typing import Any

from evergraph.errors import UsageError, printable

__all__ = [
    "FORMATS",
    "FolderError",
    "MissingFolderError",
    "TextError",
    "WrongTypeError",
    "WrongValueError",
    "require_instance",
]

FORMATS = {"ckpt": "mindspore-ckpt", "safetensors": "safetensors"}
"""MindSpore's word for a format -> evergraph's."""


class WrongTypeError(UsageError, TypeError):
    """An argument of another kind."""


class WrongValueError(UsageError, ValueError):
    """An argument that is not one of those that there are, or a file that cannot be loaded."""


class FolderError(UsageError, IsADirectoryError):
    """A folder where a file is meant."""


class MissingFolderError(UsageError, FileNotFoundError):
    """A folder that is not there."""


class TextError(UsageError, AttributeError):
    """A text where a Parameter's values are needed."""


def require_instance(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raise, where an argument is of no such type.

    Raises:
        WrongValueError: as MindSpore, which raises ValueError here.
    """
    if not isinstance(value, kinds):
        words = " or ".join("None" if k is type(None) else k.__name__ for k in kinds)
        raise WrongValueError(
            f"The parameter {name!r} must be isinstance of {words}, but got {type(value).__name__}",
            found=printable(value),
        )
