"""`evergraph upgrade`: bring an old checkpoint to today's form, once, and tell each step."""

import argparse

from evergraph.cli.output import Output
from evergraph.errors import UsageError, printable

__all__ = ["arguments", "parse_shapes", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from evergraph.cli.opening import reading

    parser.add_argument("path", metavar="OLD", help="a prefix, a symbol file, a parameter file, an archive or a URI")
    parser.add_argument("target", metavar="NEW", nargs="?", help="where to; a name without an ending is a prefix")
    parser.add_argument("--in-place", action="store_true", help="replace OLD, atomically")
    parser.add_argument("--check", action="store_true", help="run the old and the new model and compare their outputs")
    parser.add_argument("--shape", action="append", metavar="NAME=1,3,224,224", help="shape of an input, for --check")
    reading(parser, key=False)
    parser.add_argument(
        "--pooling-convention",
        choices=("full", "valid"),
        help="for Pooling layers that name none; networks of MXNet 0.8 may need full, 1.9.1 takes valid",
    )
    parser.add_argument("--edits", action="store_true", help="list every change, node by node")


def run(args: argparse.Namespace, out: Output) -> int:
    """Upgrade, and tell."""
    import evergraph
    from evergraph.cli.opening import options_of

    if args.target is not None:
        out.stand_aside(args.target)
    with out.progress():
        done = evergraph.upgrade(
            args.path,
            args.target,
            in_place=args.in_place,
            check=args.check,
            shapes=parse_shapes(args.shape),
            pooling_convention=args.pooling_convention,
            **options_of(args),
        )
    out.report(done.report())
    for text in done.lines():
        out.line(text, hang=2)
    for edit in done.edits if args.edits else ():
        out.line(f"  {edit}", hang=4)
    for file in done.files:
        out.line(f"wrote {file.location.shown}")
    return 1 if done.comparison is not None and not done.comparison.same else 0


def parse_shapes(given: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs from `NAME=1,3,224,224` texts.

    Raises:
        UsageError: a text that says no shape.

    >>> parse_shapes(["data=1,3,8,8"])
    {'data': (1, 3, 8, 8)}
    """
    shapes = {}
    for text in given or ():
        name, _, sizes = text.partition("=")
        try:
            shapes[name] = tuple(int(s) for s in sizes.strip("()[] ").replace("x", ",").split(",") if s.strip())
        except ValueError:
            shapes[name] = ()
        if not name or not shapes[name]:
            raise UsageError("a shape is NAME=1,3,224,224", found=printable(text))
    return shapes
