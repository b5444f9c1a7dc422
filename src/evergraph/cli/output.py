"""What a command says: tables and lines for people, one JSON object for programs, progress on a terminal only."""

import contextlib
import json
import math
import os
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evergraph.errors import EvergraphError, StoreError, printable

__all__ = ["Output", "UnwrittenError", "table", "unwritten"]

_BOLD, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"
_LONG = 100
"""Columns of a first cell that others are not moved for, where there is no terminal."""

_SLOW = 0.5
"""Seconds before work is long enough to show its progress."""


def table(rows: Sequence[Sequence[object]], right: Sequence[int] = (), width: int | None = None) -> list[str]:
    r"""Rows as aligned lines; every cell is made safe for a terminal.

    Args:
        rows: the cells, the first row being the heading.
        right: columns whose cells stand to the right.
        width: columns that there are: a first cell that leaves the others no room gets a line of its own before them,
            where most leave it.

    >>> table([("name", "bytes"), ("w", 12)], right=[1])
    ['name  bytes', 'w        12']
    >>> print("\n".join(table([("name", "bytes"), ("a_long_name", 12), ("w", 8)], right=[1], width=14)))
    name  bytes
    a_long_name
             12
    w         8
    """
    cells = [[printable(c) for c in row] for row in rows]
    widths = [max(_columns(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    room = _LONG if width is None else width - sum(w + 2 for w in widths[1:])
    fitting = [_columns(row[0]) for row in cells if _columns(row[0]) <= room]
    # where few names fit, two lines for each would be worse than lines that are too long
    if len(widths) > 1 and widths[0] > room and 2 * len(fitting) > len(cells):
        widths[0] = max(fitting)
    lines = []
    for row in cells:
        apart = width is not None and _columns(row[0]) > widths[0]
        told = ["", *row[1:]] if apart else row
        columns = (
            " " * (w - _columns(c)) + c if i in right else c + " " * (w - _columns(c))
            for i, (c, w) in enumerate(zip(told, widths, strict=True))
        )
        lines.append((f"{row[0]}\n" if apart else "") + "  ".join(columns).rstrip())
    return lines


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese characters take two each, accents none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "FW") for c in text)


class UnwrittenError(StoreError):
    """What a command says cannot be written."""


def unwritten(error: OSError) -> UnwrittenError:
    """The error of a full disk, or a closed one, behind standard output."""
    fix = "free some space, or write elsewhere"
    return UnwrittenError("the answer cannot be written", where="standard output", found=error.strerror, fix=fix)


class Output:
    """Where a command writes.

    Args:
        json: give one JSON object instead of lines.
        quiet: leave out notes and progress.
    """

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.json, self.quiet = json, quiet
        self._aside = False
        self._color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._color_error = sys.stderr.isatty() and "NO_COLOR" not in os.environ

    def stand_aside(self, target: object) -> None:
        """Say everything on standard error where the target itself is standard output."""
        from evergraph.stores import locate

        if locate(target).is_stream:
            self._aside, self._color = True, self._color_error

    def line(self, text: object = "", hang: int = 0) -> None:
        """A line that belongs to the answer; nothing under `--json`. The text is safe already.

        Args:
            text: the line; a terminal gets it in several where it is narrow, a pipe always in one.
            hang: columns before the second line and those that follow.
        """
        width = self._width()
        parts: list[object] = [text]
        if width is not None and len(str(text)) > width:
            how = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": " " * hang}
            parts = [*textwrap.wrap(str(text), max(width, hang + 20), **how)]
        for part in () if self.json else parts:
            self._print(part)

    def _width(self) -> int | None:
        """Columns of the terminal that lines go to; None where they go to no terminal."""
        stream = sys.stderr if self._aside else sys.stdout
        return shutil.get_terminal_size().columns if stream.isatty() else None

    def _print(self, text: object) -> None:
        stream = sys.stderr if self._aside else sys.stdout
        try:
            print(text, file=stream)
        except UnicodeEncodeError:
            # an old terminal, or PYTHONIOENCODING: what it cannot show is escaped
            code = stream.encoding or "ascii"
            print(str(text).encode(code, "backslashreplace").decode(code), file=stream)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritten(error) from error

    def heading(self, text: object) -> None:
        """A line that stands over others."""
        self.line(f"{_BOLD}{printable(text)}{_PLAIN}" if self._color else printable(text))

    def table(self, rows: Sequence[Sequence[object]], right: Sequence[int] = (), indent: str = "  ") -> None:
        """Aligned rows under a heading row; in a terminal, a name that leaves no room stands on a line of its own."""
        width = self._width()
        for number, text in enumerate(table(rows, right, width and width - len(indent))):
            for part in text.split("\n"):
                self._print_row(indent + (f"{_DIM}{part}{_PLAIN}" if number == 0 and self._color else part))

    def _print_row(self, text: str) -> None:
        if not self.json:
            self._print(text)

    def note(self, text: object) -> None:
        """A word aside, on standard error; nothing when quiet."""
        if not self.quiet:
            print(printable(text, 2000), file=sys.stderr)

    def report(self, value: Mapping[str, Any]) -> None:
        """The whole answer for a program; nothing without `--json`."""
        if self.json:
            text = _visible(json.dumps(_plain(value), indent=2, default=str, ensure_ascii=False))
            try:
                text.encode((sys.stderr if self._aside else sys.stdout).encoding or "ascii")
            except UnicodeEncodeError:
                # names whose bytes are no text, or a terminal that cannot show them: JSON has its own escapes
                text = json.dumps(_plain(value), indent=2, default=str)
            self._print(text)

    def error(self, error: EvergraphError) -> None:
        """An error: the message on standard error, and as JSON on standard output where that was asked for."""
        first, _, rest = str(error).partition("\n")
        word = f"{_RED}error{_PLAIN}" if self._color_error else "error"
        print(f"{word}: {first}" + (f"\n{rest}" if rest else ""), file=sys.stderr)
        self.report(error.report())

    @contextlib.contextmanager
    def progress(self) -> Iterator[None]:
        """Show bytes and rate of long work inside, on a terminal."""
        if self.quiet or self.json or not sys.stderr.isatty():
            yield
            return
        from evergraph.stores.progress import watch

        bar = _Bar()
        with watch(bar.advance):
            try:
                yield
            finally:
                bar.clear()


def _plain(value: Any) -> Any:
    """The same, with numbers that are not finite as texts: JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _visible(text: str) -> str:
    """JSON in which what steers a terminal, such as a mark of direction, is escaped in its own way."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)


class _Bar:
    """One line on standard error: what is done, how much, how fast, how long still."""

    def __init__(self) -> None:
        self._begun = self._shown = time.monotonic()
        self._done: dict[str, int] = {}
        self._visible = False

    def advance(self, what: str, amount: int, total: int | None) -> None:
        """Hear of progress; draws at most ten times a second."""
        from evergraph.stores import human

        done = self._done[what] = self._done.get(what, 0) + amount
        now = time.monotonic()
        if now - self._begun < _SLOW or now - self._shown < 0.1:
            return
        self._shown, self._visible = now, True
        rate = done / (now - self._begun)
        text = f"{what} {human(done)}" + (f" of {human(total)}" if total else "") + f", {human(rate)}/s"
        if total and rate and total > done:
            text += f", {(total - done) / rate:.0f} s left"
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
