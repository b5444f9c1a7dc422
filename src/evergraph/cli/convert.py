"""`evergraph convert`: carry weights into another format; what cannot go along is said before anything is written."""

import argparse

from evergraph.cli.output import Output

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from evergraph.cli.opening import reading

    parser.add_argument("path", metavar="SRC", help="what to read: a file, a prefix, a folder, an archive, a URI, or -")
    parser.add_argument("target", metavar="DST", help="what to write; its ending names the format where --to does not")
    parser.add_argument("--to", metavar="FORMAT", help="format of the target")
    parser.add_argument(
        "--rename", metavar="RULES", action="append", help="a TOML file, or OLD=NEW (regular expression)"
    )
    parser.add_argument("--only", metavar="PATTERN", action="append", help="keep only names like this (shell pattern)")
    parser.add_argument("--drop", metavar="PATTERN", action="append", help="leave out names like this (shell pattern)")
    parser.add_argument(
        "--names",
        metavar="WHOSE",
        help="whose names the target gets: torch, mindspore, mxnet, gluon, FROM:TO, or keep; the target format's own "
        "where not given",
    )
    parser.add_argument("--model", metavar="SYMBOL", help="MXNet symbol file that tells the network's structure")
    parser.add_argument("--rules", metavar="TOML", help="kinds of layers, names of the target, what to leave out")
    parser.add_argument("--like", metavar="FILE", help="a checkpoint of the same structure whose own names are wanted")
    parser.add_argument("--lossy", action="store_true", help="go on where the target cannot carry everything")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--checksum", action="store_true", help="keep a checksum of each tensor beside the target")
    parser.add_argument("--release", help="MXNet release to write for (0.9.5, 0.11, 1.0, ..., 1.9.1)")
    parser.add_argument("--enc-key", metavar="FILE", help="file with the key to encrypt a MindSpore target")
    reading(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Convert."""
    import evergraph
    from evergraph.cli.opening import key_options, options_of
    from evergraph.stores import human

    out.stand_aside(args.target)
    write = key_options(args.enc_key, "enc_key") | ({"release": args.release} if args.release else {})
    with out.progress():
        done = evergraph.convert(
            args.path,
            args.target,
            to=args.to,
            rename=args.rename,
            only=args.only,
            drop=args.drop,
            names=args.names,
            model=args.model,
            rules=args.rules,
            like=args.like,
            lossy=args.lossy,
            dry_run=args.dry_run,
            checksum=args.checksum,
            read_options=options_of(args),
            **write,
        )
    out.report(done.report())
    verb = "would write" if args.dry_run else "wrote"
    for file in done.files:
        out.line(f"{verb} {file.location.shown}" + (f", {human(file.size)}" if file.size is not None else ""))
    if args.dry_run and done.crossing is not None:
        out.table(done.crossing.table())
    for text in done.lines():
        out.line(f"  {text}", hang=4)
    return 0
