"""`import mxnet` finds this face where MXNet itself is not installed.

Pickles name classes by their modules, and old programs import `mxnet`: both lead here. `mxnet` is looked for here
last, so an installed MXNet is always found first.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install", "serves"]

_ALIAS, _FACE = "mxnet", "evergraph.mxnet"


class _TopFinder(MetaPathFinder):
    """Finds `mxnet` itself; it stands last."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The alias of this face, or None."""
        return _alias(fullname, _FACE) if fullname == _ALIAS else None


class _InnerFinder(MetaPathFinder):
    """Finds `mxnet.X` as `evergraph.mxnet.X`, before the files of a module are read a second time by its other name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The alias of a module of this face, or None."""
        if not fullname.startswith(_ALIAS + ".") or sys.modules.get(_ALIAS) is not sys.modules.get(_FACE):
            return None
        return _alias(fullname, _FACE + fullname[len(_ALIAS) :])


def _alias(fullname: str, real: str) -> ModuleSpec | None:
    try:
        found = _resolved(real)
    except ModuleNotFoundError as error:
        if error.name is not None and real.startswith(error.name):
            return None
        raise
    return ModuleSpec(fullname, _Loader(found), is_package=hasattr(found, "__path__"))


def _resolved(real: str) -> ModuleType:
    """The module of this name; `mxnet.nd` and its like are attributes that are modules."""
    parent, _, name = real.rpartition(".")
    try:
        return importlib.import_module(real)
    except ModuleNotFoundError as error:
        if error.name != real:
            raise
        found = getattr(_resolved(parent), name, None) if parent else None
        if not isinstance(found, ModuleType):
            raise
        return found


class _Loader(Loader):
    """Gives the module that is there already, and leaves its own name and place to it."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._kept = {k: module.__dict__.get(k) for k in ("__spec__", "__loader__", "__package__", "__path__")}

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of the face."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import machinery wrote into the module."""
        for key, value in self._kept.items():
            if value is not None:
                setattr(module, key, value)


def install(first: bool = False) -> None:
    """Serve `mxnet` from now on, where no installed MXNet does. Calling it again changes nothing.

    Args:
        first: whether an installed MXNet is passed over.
    """
    if not any(isinstance(f, _TopFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _InnerFinder())
        sys.meta_path.append(_TopFinder())
    if first and not isinstance(sys.meta_path[0], _TopFinder):
        sys.meta_path.insert(0, _TopFinder())


def serves(kind: type) -> bool:
    """Whether a class of this face is what its MXNet name leads to."""
    try:
        home = importlib.import_module(kind.__module__)
    except ImportError:
        return False
    return getattr(home, kind.__name__, None) is kind
