"""`mx.log`: loggers with a level's letter, time, process and place before each message."""

import logging
import sys
import warnings
from logging import CRITICAL, DEBUG, ERROR, INFO, NOTSET, WARNING
from typing import TextIO

__all__ = ["CRITICAL", "DEBUG", "ERROR", "INFO", "NOTSET", "WARNING", "getLogger", "get_logger"]

PY3 = True

_LETTERS = {DEBUG: "D", INFO: "I", WARNING: "W", ERROR: "E", CRITICAL: "C"}
_COLOURS = {DEBUG: "32", INFO: "32", WARNING: "33"}
_RED = "31"


class _Formatter(logging.Formatter):
    """`W1231 23:59:59 1234 path:function:12] message`, the head in colour on a terminal."""

    def __init__(self, colored: bool = True) -> None:
        self.colored = colored
        super().__init__(datefmt="%m%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        head = f"{_LETTERS.get(record.levelno, 'U')}{self.formatTime(record, self.datefmt)} {record.process}"
        head += f" {record.pathname}:{record.funcName}:{record.lineno}]"
        if self.colored:
            head = f"\x1b[{_COLOURS.get(record.levelno, _RED)}m{head}\x1b[0m"
        text = f"{head} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def get_logger(
    name: str | None = None, filename: str | None = None, filemode: str | None = None, level: int = WARNING
) -> logging.Logger:
    """A logger that writes to a file, or to the standard error stream.

    Args:
        name: its name; None for the root.
        filename: the file, if any.
        filemode: "a" (the usual) or "w".
        level: what it lets through.
    """
    logger = logging.getLogger(name)
    if name is not None and not getattr(logger, "_init_done", None):
        logger._init_done = True  # type: ignore[attr-defined]
        handler: logging.StreamHandler[TextIO] | logging.FileHandler
        if filename:
            handler = logging.FileHandler(filename, filemode or "a")
            handler.setFormatter(_Formatter(colored=False))
        else:
            handler = logging.StreamHandler()
            handler.setFormatter(_Formatter(colored=getattr(sys.stderr, "isatty", lambda: False)()))
        logger.addHandler(handler)
        logger.setLevel(level)
    return logger


def getLogger(
    name: str | None = None, filename: str | None = None, filemode: str | None = None, level: int = WARNING
) -> logging.Logger:
    """`get_logger`, by its old name."""
    warnings.warn("getLogger is deprecated, Use get_logger instead.", DeprecationWarning, stacklevel=2)
    return get_logger(name, filename, filemode, level)
