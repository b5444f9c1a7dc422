"""Run a program written for MindSpore, unchanged: `python -m evergraph.mindspore program.py its arguments`.

Its `import mindspore` is this face, whether or not a MindSpore is installed.
"""

import importlib
import importlib.util
import runpy
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_USAGE = "usage: python -m evergraph.mindspore program.py [argument ...]"
_ALIAS, _FACE = "mindspore", "evergraph.mindspore"


class _Finder(MetaPathFinder):
    """Finds `mindspore` and all below it as this face."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module of the face under its other name, or None."""
        if fullname != _ALIAS and not fullname.startswith(_ALIAS + "."):
            return None
        real = _FACE + fullname[len(_ALIAS) :]
        found = _module(real)
        return None if found is None else ModuleSpec(fullname, _Known(found), is_package=hasattr(found, "__path__"))


def _module(real: str) -> ModuleType | None:
    """The module of this name, or the attribute of its parent that is one."""
    if real != _FACE and _module(real.rpartition(".")[0]) is None:
        return None
    try:
        return importlib.import_module(real)
    except ModuleNotFoundError as error:
        if error.name != real:
            raise
    parent, _, name = real.rpartition(".")
    found = getattr(_module(parent), name, None)
    return found if isinstance(found, ModuleType) else None


class _Known(Loader):
    """Gives the module that is there already, and leaves its name and place to it."""

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


def main(arguments: list[str]) -> int:
    """Run the program of these arguments; 2 where there is none."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    program = Path(arguments[0])
    if not program.exists():
        print(f"{_USAGE}\n{arguments[0]}: there is no such file", file=sys.stderr)
        return 2
    sys.meta_path.insert(0, _Finder())
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)  # as Python does for a program
    runpy.run_path(str(program), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
