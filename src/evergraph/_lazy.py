"""Modules that are imported at their first use, so that schemas and file commands never load PyTorch."""

import importlib
from types import ModuleType

from evergraph.errors import MissingDependencyError


class LazyModule(ModuleType):
    """Stands for a module until an attribute of it is asked for.

    Args:
        name: dotted name to import.
        extra: the optional dependency group that brings it.
    """

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(name)
        self.__dict__["_extra"] = extra

    def __getattr__(self, attribute: str) -> object:
        # dunder look-ups come from introspection (doctest, inspect); they must not import the module
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        value = getattr(load(self.__name__, self.__dict__["_extra"]), attribute)
        self.__dict__[attribute] = value
        return value


def load(name: str, extra: str) -> ModuleType:
    """The module `name`, or an error that says which extra installs it, or what it needs.

    Raises:
        MissingDependencyError: the module, or one that it imports, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing(error, name, extra) from error


def missing(error: ImportError, name: str, extra: str) -> ImportError:
    """The error that says what to install; the given one where a module of this package is at fault.

    Args:
        error: what an import raised.
        name: what was imported, for errors that name no module.
        extra: the optional dependency group that brings it.

    >>> print(missing(ModuleNotFoundError("No module named 'torch'", name="torch"), "torch", "torch"))
    torch is needed for this and is not installed
      found: No module named 'torch'
      what to do: pip install 'evergraph[torch]'
    """
    absent = error.name or name
    if isinstance(error, MissingDependencyError) or absent.partition(".")[0] == "evergraph":
        return error
    return MissingDependencyError(
        f"{absent} is needed for this and is not installed", found=error, fix=f"pip install 'evergraph[{extra}]'"
    )
