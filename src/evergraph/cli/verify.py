"""`evergraph verify`: is it whole? Everything that is wrong, at once."""

import argparse

from evergraph.cli.output import Output
from evergraph.errors import counted, printable

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from evergraph.cli.opening import reading

    parser.add_argument("path", metavar="PATH", help="a file, a prefix, a folder, an archive or a URI")
    parser.add_argument("--format", help="name of the format, where the content does not tell")
    reading(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Check, and say what was found."""
    import evergraph
    from evergraph.cli.opening import options_of

    options = options_of(args)
    with out.progress():
        report = evergraph.verify(args.path, format=args.format, **options)
    out.report(report.report())
    out.heading(f"{report.name}: {'good' if report.ok else counted(len(report.findings), 'finding')}")
    for mark, lines in (("+", report.checked), ("!", report.findings), ("note:", report.notes)):
        for text in lines:
            for number, part in enumerate(text.split("\n")):
                out.line(f"  {mark if not number else ' ' * len(mark)} {printable(part, 2000)}", hang=len(mark) + 3)
    return 0 if report.ok else 1
