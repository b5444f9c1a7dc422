"""The one family of errors: each says what is wrong, where, expected against found, and what to do."""

from collections.abc import Iterable, Sequence

__all__ = [
    "CancelledError",
    "ConversionError",
    "DamagedError",
    "EvergraphError",
    "FormatError",
    "GraphError",
    "IntegrityError",
    "MissingDependencyError",
    "OperatorError",
    "ShapeError",
    "StoreError",
    "UnknownTensorError",
    "UnsafeError",
    "UsageError",
    "collect",
    "counted",
    "printable",
]


def printable(text: object, limit: int = 200) -> str:
    r"""Text from a file made safe for a terminal: control, bidirectional and undecodable characters escaped.

    Args:
        text: anything; its str() is shown.
        limit: characters kept before the rest is replaced by a count.

    Returns:
        One line without control characters.

    >>> printable("conv\x1b[31m\n1")
    'conv\\x1b[31m\\n1'
    """
    shown = str(text)
    if len(shown) > limit:
        shown = f"{shown[:limit]}... ({len(shown)} characters)"
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in shown)


def counted(count: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "tensor"), counted(2, "tensor")
    ('1 tensor', '2 tensors')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class EvergraphError(RuntimeError):
    """What is wrong, where, expected against found, and what to do, in one message.

    Args:
        what: one sentence that says what is wrong.
        where: file, byte offset, node or tensor.
        expected: what would have been right.
        found: what is there instead.
        fix: what the reader can do now; the class's `remedy` where not given, "" for nothing.
        details: one line for each further finding; everything wrong is said at once.

    >>> print(EvergraphError("the file is cut short", where="a.params, byte 16", expected="8 bytes", found="3"))
    the file is cut short
      where: a.params, byte 16
      expected: 8 bytes
      found: 3
    """

    remedy = ""
    """What to do about most errors of the class."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        fix: str | None = None,
        details: Sequence[str] = (),
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.fix = self.remedy if fix is None else fix
        self.details = tuple(details)
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what, *(f"  - {line}" for line in self.details)]
        for label, value in (("where", self.where), ("expected", self.expected), ("found", self.found)):
            if value is not None:
                lines.append(f"  {label}: {value}")
        if self.fix:
            lines.append(f"  what to do: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments: the default reduction would lose them between processes
        return _rebuild, (type(self), self.what, self.where, self.expected, self.found, self.fix, self.details)

    def report(self) -> dict[str, object]:
        """The error as plain data, for `--json`."""
        values = {"error": type(self).__name__, "what": self.what, "where": self.where, "expected": self.expected}
        values |= {"found": self.found, "fix": self.fix, "details": list(self.details) or None}
        return {k: v if isinstance(v, list) else str(v) for k, v in values.items() if v is not None and v != ""}


def _rebuild(
    kind: type[EvergraphError], what: str, where: object, expected: object, found: object, fix: str, details: tuple
) -> EvergraphError:
    return kind(what, where=where, expected=expected, found=found, fix=fix, details=details)


class UsageError(EvergraphError, ValueError):
    """The call itself cannot be honoured: an unknown name, an impossible combination."""


class UnknownTensorError(UsageError, KeyError):
    """A name that a checkpoint does not hold: a KeyError, as a mapping's should be."""

    __str__ = EvergraphError.__str__


class StoreError(EvergraphError, OSError):
    """Bytes could not be read from, or written to, where the URI points."""

    remedy = "check the place, the permissions and the connection, and try again"
    __str__ = EvergraphError.__str__


class FormatError(EvergraphError, ValueError):
    """The content is of no known format, or of another one than was asked for."""


class DamagedError(FormatError):
    """The content is of a known format and breaks its rules: cut short, lying sizes, unknown codes."""

    remedy = "fetch or copy the file again; if it comes out the same, the program that wrote it was at fault"


class IntegrityError(DamagedError):
    """The content reads, but a checksum says that it is not what was saved."""

    remedy = "fetch or copy the file again, or take an older one that is whole"


class UnsafeError(FormatError):
    """The content asks for something that reading never does: run code, leave its folder, grow without bound."""

    remedy = "ask whoever made the file for its arrays in a plain form, such as safetensors"


class ConversionError(EvergraphError, ValueError):
    """The target cannot carry part of what the source holds."""


class GraphError(EvergraphError, ValueError):
    """A graph breaks its invariants, or a pass lacks what it needs."""


class OperatorError(EvergraphError, ValueError):
    """An operator is unknown, or its parameters or inputs are not what it takes."""


class ShapeError(OperatorError):
    """Shapes or types do not fit together."""


class MissingDependencyError(EvergraphError, ImportError):
    """An optional library is needed and not installed; the message says what to install."""

    __str__ = EvergraphError.__str__


class CancelledError(EvergraphError):
    """The work was stopped on request; nothing was changed."""


def collect(kind: type[EvergraphError], what: str, findings: Iterable[str], limit: int = 50, **rest: object) -> None:
    """Raise one error that lists every finding, or return when there is none.

    Args:
        kind: class of the error.
        what: sentence over the list.
        findings: one line each.
        limit: lines shown before the rest is counted.
        rest: `where`, `expected`, `found`, `fix` of the error.
    """
    lines = list(findings)
    if lines:
        shown = lines[:limit] + ([f"... and {len(lines) - limit} more"] if len(lines) > limit else [])
        raise kind(what, details=shown, **rest)  # type: ignore[arg-type]
