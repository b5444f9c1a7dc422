"""JSON from strangers: one value or one error with line and column, never a silent choice between two readings."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from evergraph.errors import DamagedError, FormatError, printable

__all__ = ["load_json"]

# a text with the colon after it, where it is a key; a bracket; a number or word
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?\s*:?|[\[\]{}]|[^\s\[\]{}:,"]+', re.DOTALL)

_LARGE = 32 << 20
# CPython refuses to convert longer ones, as their cost grows with the square of the length
_LONGEST_NUMBER = 4300
_LONG_NUMBER = re.compile(rb"[\s:,\[-][0-9]{4301}")

_SEARCHED = 4 << 20
_SMALL = 1 << 20
# an empty list takes 56 bytes of memory for 3 of text; the densest graphs have one bracket in 6 bytes
_SPARSEST = 4


class _DuplicateKeyError(Exception):
    pass


class _NotANumberError(Exception):
    pass


def load_json(data: bytes, name: str) -> Any:
    """The value that UTF-8 JSON text stands for; undecodable bytes become lone surrogates, and control characters in
    texts stay, as MXNet writes both.

    Args:
        data: the text; a byte order mark is passed over.
        name: what the text is called in errors.

    Raises:
        DamagedError: JSON that is cut short, malformed, nested without end, has one key twice in an object, or a
            number that is not finite or too long; with line and column.
        FormatError: no JSON at all.

    >>> load_json(b'{"a": [1, 2]}', "x.json")
    {'a': [1, 2]}
    """
    text = _decode(data, name)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _reject_syntax(text, error, name)
    except RecursionError:
        _reject(
            text,
            next((t.start() for t in _deep(text)), None),
            "brackets are nested without end",
            name,
            expected="a few levels",
        )
    except _DuplicateKeyError as error:
        found = f"{printable(error.args[0])!r} a second time"
        _reject(
            text,
            _where(text, _repeated(text, error.args[0])),
            "an object has one key twice",
            name,
            expected="each key once",
            found=found,
        )
    except _NotANumberError as error:
        _reject(
            text,
            _where(text, (t for t in _TOKEN.finditer(text) if t.group() == error.args[0])),
            "a number is not finite",
            name,
            expected="a finite number",
            found=printable(error.args[0]),
        )
    except ValueError:
        _reject_long(text, name)


def _decode(data: bytes, name: str) -> str:
    if not data.strip():
        raise FormatError("the file is empty", where=name, expected="JSON text", found=f"{len(data)} bytes of nothing")
    if len(data) > _LARGE and (found := _LONG_NUMBER.search(data)):
        # before a copy is made of it
        _reject_long(data[found.start() : found.end()].decode("latin-1"), name, found.start() + 1)
    if len(data) > _SMALL and (data.count(b"[") + data.count(b"{")) * _SPARSEST > len(data):
        raise DamagedError(
            "the text is brackets and nothing between them", where=name, expected=f"one in {_SPARSEST} bytes at most"
        )
    text = str(data, "utf-8", "surrogateescape")
    return text.removeprefix("\ufeff")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        raise _DuplicateKeyError(next(k for k, _ in pairs if k in seen or seen.add(k)))
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotANumberError(text)
    return value


def _constant(text: str) -> NoReturn:
    raise _NotANumberError(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_constant, strict=False)


def _reject_syntax(text: str, error: json.JSONDecodeError, name: str) -> NoReturn:
    start = text.lstrip()[:40]
    if error.msg == "Extra data":
        rest = len(text) - error.pos
        _reject(
            text, error.pos, "text follows after the end", name, expected="the end", found=f"{rest} characters more"
        )
    if start[:1] not in ("{", "["):
        raise FormatError(
            "this is not JSON", where=name, expected="text that begins with {", found=repr(printable(start, 40))
        )
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        _reject(text, len(text), "the text is cut short", name, expected="the rest of the JSON text", found="its end")
    found = repr(printable(text[error.pos : error.pos + 20], 20))
    _reject(text, error.pos, "the JSON text is malformed", name, expected=_expected(error.msg), found=found)


def _expected(message: str) -> str:
    """The complaint of the JSON module as what it would have accepted."""
    words = re.sub(r"^(Expecting|Illegal) ?", "", message)
    return {"value": "a value", "trailing comma before end of object": "no comma before a closing bracket"}.get(
        words, words
    )


def _reject_long(text: str, name: str, start: int | None = None) -> NoReturn:
    digits = next((m for m in re.finditer(r"[0-9]+", text) if len(m.group()) > _LONGEST_NUMBER), None)
    at = start if start is not None else digits.start() if digits else 0
    where = f"{name}, byte {at}" if start is not None else _place(text, at, name)
    raise DamagedError("a number is too long", where=where, expected=f"at most {_LONGEST_NUMBER} digits", found="more")


def _reject(text: str, at: int | None, what: str, name: str, **rest: Any) -> NoReturn:
    raise DamagedError(what, where=_place(text, at, name), **rest)


def _place(text: str, at: int | None, name: str) -> str:
    if at is None:
        return name
    line = text.count("\n", 0, at) + 1
    return f"{name}, line {line}, column {at - text.rfind(chr(10), 0, at)}"


def _where(text: str, tokens: Iterator[re.Match[str]]) -> int | None:
    """Where the first of these tokens stands; in a large file the search would take longer than reading it."""
    return next((t.start() for t in tokens), None) if len(text) <= _SEARCHED else None


def _deep(text: str, limit: int = 500) -> Iterator[re.Match[str]]:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += token.group() in ("[", "{")
        depth -= token.group() in ("]", "}")
        if depth > limit:
            yield token


def _repeated(text: str, key: str) -> Iterator[re.Match[str]]:
    """Where this key stands in its object a second time."""
    stack: list[bool] = []
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word in ("[", "{"):
            stack.append(False)
        elif word in ("]", "}"):
            stack.pop()
        elif word[-1] == ":" and stack and _names(word, key):
            if stack[-1]:
                yield token
            stack[-1] = True


def _names(word: str, key: str) -> bool:
    """Whether the token of a key stands for it; either may have escapes."""
    inside = word[1 : word.rindex('"')]
    return inside == key or ("\\" in inside and json.loads(f'"{inside}"', strict=False) == key)
