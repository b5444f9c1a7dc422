"""The evergraph command: one module for each subcommand, imported when it is called."""

from evergraph.cli.main import main

__all__ = ["main"]
