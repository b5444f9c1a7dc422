"""Opens what a command was given, with the options that several commands share."""

import argparse
from typing import Any

__all__ = ["key_options", "open_checkpoint"]


def open_checkpoint(args: argparse.Namespace) -> Any:
    """The checkpoint at `args.path`."""
    import evergraph

    options = key_options(getattr(args, "dec_key", None), "dec_key")
    if getattr(args, "member", None):
        options["member"] = args.member
    return evergraph.open(args.path, format=getattr(args, "format", None), **options)


def key_options(path: str | None, name: str) -> dict[str, Any]:
    """An option that holds the bytes of a key file: a key on the command line would stand in the process list."""
    if path is None:
        return {}
    from evergraph.stores import open_source

    with open_source(path) as source:
        return {name: source.head(min(source.size, 4096)).rstrip(b"\r\n")}
