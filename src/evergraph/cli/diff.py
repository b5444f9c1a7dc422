"""`evergraph diff`: compare two checkpoints, names, shapes, types and values."""

import argparse
from typing import Any

from evergraph.cli.output import Output
from evergraph.errors import UsageError

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", metavar="A", help="what to compare: a file, a prefix, a folder, an archive, a URI")
    parser.add_argument("second", metavar="B", help="what to compare it with")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="largest difference of a value that counts as none"
    )

    twice = "; given twice, for A and for B"
    parser.add_argument("--dec-key", metavar="FILE", action="append", help=f"file with a MindSpore key{twice}")
    parser.add_argument("--epoch", type=int, action="append", help=f"epoch of a prefix{twice}")
    parser.add_argument("--member", action="append", help=f"which checkpoint of an archive or a folder{twice}")


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare."""
    import evergraph

    first, second = _options(args, 0), _options(args, 1)
    with out.progress():
        one, two = evergraph.open(args.first, **first), evergraph.open(args.second, **second)
        found = evergraph.diff(one, two, tolerance=args.tolerance)
    out.report(found.report())
    for text in found.lines():
        out.line(text, hang=2)
    return 0 if found.same else 1


def _options(args: argparse.Namespace, side: int) -> dict[str, Any]:
    """How one of the two is opened: what was given once is for both."""
    from evergraph.cli.opening import options_of

    chosen = argparse.Namespace()
    for name in ("dec_key", "epoch", "member"):
        given = getattr(args, name) or []
        if len(given) > 2:
            raise UsageError(f"--{name.replace('_', '-')} is given once for both, or for A and for B", found=len(given))
        setattr(chosen, name, given[min(side, len(given) - 1)] if given else None)
    return options_of(chosen)
