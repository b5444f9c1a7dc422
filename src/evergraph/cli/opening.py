"""Opens what a command was given, with the options that several commands share."""

import argparse
from typing import Any

__all__ = ["key_options", "open_checkpoint", "options_of", "reading"]


def reading(parser: argparse.ArgumentParser, key: bool = True) -> None:
    """Declare what chooses among the checkpoints that a path may mean.

    Args:
        parser: the command's.
        key: whether the command reads encrypted files.
    """
    if key:
        parser.add_argument("--dec-key", metavar="FILE", help="file with the key of an encrypted MindSpore checkpoint")
    parser.add_argument("--epoch", type=int, help="epoch of a prefix; the newest where not given")
    parser.add_argument("--member", help="which checkpoint of an archive or a folder that holds several")


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """What `reading` declared, as options for opening."""
    chosen = {k: v for k in ("epoch", "member") if (v := getattr(args, k, None)) is not None}
    return key_options(getattr(args, "dec_key", None), "dec_key") | chosen


def open_checkpoint(args: argparse.Namespace) -> Any:
    """The checkpoint at `args.path`."""
    import evergraph

    return evergraph.open(args.path, format=getattr(args, "format", None), **options_of(args))


def key_options(path: str | None, name: str) -> dict[str, Any]:
    """An option that holds the bytes of a key file: a key on the command line would stand in the process list."""
    if path is None:
        return {}
    from evergraph.stores import open_source

    with open_source(path) as source:
        return {name: source.head(min(source.size, 4096)).rstrip(b"\r\n")}
