"""`evergraph diff`: compare two checkpoints, names, shapes, types and values."""

import argparse

from evergraph.cli.output import Output

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", metavar="A", help="what to compare: a file, a prefix, a folder, an archive, a URI")
    parser.add_argument("second", metavar="B", help="what to compare it with")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="largest difference of a value that counts as none"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare."""
    import evergraph

    with out.progress():
        found = evergraph.diff(args.first, args.second, tolerance=args.tolerance)
    out.report(found.report())
    for text in found.lines():
        out.line(text, hang=2)
    return 0 if found.same else 1
