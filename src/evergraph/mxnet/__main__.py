"""Run a program written for MXNet, unchanged: `python -m evergraph.mxnet program.py its arguments`.

Its `import mxnet` is this face, whether or not an MXNet is installed; `-m module` runs a module.
"""

import runpy
import sys
from pathlib import Path

from evergraph.mxnet import alias

_USAGE = "usage: python -m evergraph.mxnet (program.py | -m module) [argument ...]"


def main(arguments: list[str]) -> int:
    """Run the program of these arguments; 2 where there is none."""
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(_USAGE, file=sys.stdout if arguments[:1] and arguments != ["-m"] else sys.stderr)
        return 0 if arguments and arguments != ["-m"] else 2
    alias.install(first=True)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    program = Path(arguments[0])
    if not program.exists():
        print(f"{_USAGE}\n{arguments[0]}: there is no such file", file=sys.stderr)
        return 2
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)  # as Python does for a program
    runpy.run_path(str(program), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
