"""Reads the command line, runs one command, and turns errors into messages and exit codes.

Exit codes: 0 good, 1 differences or findings, 2 bad input or a fault that the message explains.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from evergraph import __version__
from evergraph.cli.output import Output, UnwrittenError, unwritten
from evergraph.errors import EvergraphError, UsageError

__all__ = ["COMMANDS", "GOOD", "main"]

GOOD, FINDINGS, BAD_INPUT = 0, 1, 2

COMMANDS = {
    "inspect": "what a file is and holds",
    "verify": "is it whole? what is damaged, where, and what to do",
    "upgrade": "bring an old checkpoint to today's form, once",
    "predict": "run a model on arrays or images",
    "convert": "carry weights into another format",
    "diff": "compare two checkpoints",
    "im2rec": "list images, and pack them into record files",
    "demo": "the main job on a sample that comes with the package",
}
"""Name and purpose of each command; `evergraph.cli.<name>` has `arguments(parser)` and `run(args, out)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    # a stream that was closed before the start (>&-) is no stream in Python
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the program
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return BAD_INPUT
    out = Output(json=args.json, quiet=args.quiet)
    try:
        code = importlib.import_module(f"evergraph.cli.{args.command}").run(args, out) or GOOD
        _flush()
        return code
    except UnwrittenError as error:
        print(f"error: {error}", file=sys.stderr)
        _leave_stdout()
        return BAD_INPUT
    except EvergraphError as error:
        out.error(error)
        return BAD_INPUT
    except BrokenPipeError:
        # the reader has seen enough (| head)
        _leave_stdout()
        return GOOD
    except KeyboardInterrupt:
        out.note("stopped; nothing was changed")
        return 128 + signal.SIGINT


def _flush() -> None:
    """Write what is still held back, so that a full disk is told before Python ends."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritten(error) from error


def _leave_stdout() -> None:
    """Let what is held back go nowhere: Python must not complain when it closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line, to programs too.

    Args:
        json: whether a program asks.
        options: those of `ArgumentParser`.
    """

    def __init__(self, json: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._json = json

    def error(self, message: str) -> NoReturn:
        """Say it, and end with the exit code for bad input."""
        self.print_usage(sys.stderr)
        Output(json=self._json).error(UsageError(message, fix=f"{self.prog} --help says what there is"))
        self.exit(BAD_INPUT)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    asked = "--json" in words
    parser = _Parser(
        json=asked,
        prog="evergraph",
        description="Open, look at, upgrade, run and convert MXNet and MindSpore checkpoints, without either.",
        epilog="evergraph COMMAND --help says more. Exit codes: 0 good, 1 differences or findings, 2 bad input.",
    )
    parser.add_argument("--version", action="version", version=f"evergraph {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="give the report to a program: one JSON object")
    shared.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors and what was asked for")
    called = next((w for w in words if not w.startswith("-")), None)
    for name, purpose in COMMANDS.items():
        each = commands.add_parser(
            name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".", parents=[shared], json=asked
        )
        # only the command that is called is imported: the help of all stays instant
        if name == called:
            importlib.import_module(f"evergraph.cli.{name}").arguments(each)
    return parser
