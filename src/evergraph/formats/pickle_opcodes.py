"""What each opcode of protocols 0 to 5 does to a pickle machine."""

import re
import struct
from collections.abc import Callable
from typing import Any

from evergraph.errors import UnsafeError, printable
from evergraph.formats.pickle_stack import Stack
from evergraph.formats.pickle_values import Global, OldText, Span

__all__ = ["OPERATIONS", "STOP"]

Step = Callable[[Stack], None]

HIGHEST_PROTOCOL = 5
MAX_MARKS = 1000
"""Containers inside containers; real files have fewer than 20."""
MAX_NUMBER = 1024
"""Bytes of one integer: conversions of longer ones take quadratic time."""

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\\'\"abfnrtv\n]|)")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\n": b""}

OPERATIONS: list[Step | None] = [None] * 256
STOP = ord(".")


def _operation(code: bytes) -> Callable[[Step], Step]:
    def keep(function: Step) -> Step:
        OPERATIONS[code[0]] = function
        return function

    return keep


def _constant(code: bytes, value: Any) -> None:
    OPERATIONS[code[0]] = lambda m: m.push(value)


def _packed(code: bytes, form: str) -> None:
    found = struct.Struct(form)
    OPERATIONS[code[0]] = lambda m: m.push(found.unpack(m.cursor.take(found.size))[0])


for _code, _value in ((b"N", None), (b"\x88", True), (b"\x89", False)):
    _constant(_code, _value)
for _code, _form in ((b"J", "<i"), (b"M", "<H"), (b"G", ">d")):
    _packed(_code, _form)
OPERATIONS[ord("K")] = lambda m: m.push(m.cursor.u8())


_BYTE, _U32, _I32, _U64 = (struct.Struct(f) for f in ("<B", "<I", "<i", "<Q"))


@_operation(b"\x80")
def _protocol(m: Stack) -> None:
    version = m.cursor.u8()
    if version > HIGHEST_PROTOCOL:
        raise m.damaged("an unknown protocol", expected=f"at most {HIGHEST_PROTOCOL}", found=version)


@_operation(b"\x95")
def _frame(m: Stack) -> None:
    m.length(_U64)


@_operation(b"I")
def _int(m: Stack) -> None:
    line = m.line()
    m.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else _integer(m, line))


@_operation(b"L")
def _long(m: Stack) -> None:
    m.push(_integer(m, m.line().removesuffix(b"L")))


def _integer(m: Stack, text: bytes) -> int:
    if len(text) > MAX_NUMBER:
        raise m.damaged("an integer of impossible length", expected=f"at most {MAX_NUMBER}", found=len(text))
    try:
        return int(text)
    except ValueError as error:
        raise m.damaged("an integer that is none", found=printable(text)) from error


def _long_bytes(m: Stack, length: int) -> None:
    if length > MAX_NUMBER:
        raise m.damaged("an integer of impossible length", expected=f"at most {MAX_NUMBER} bytes", found=length)
    m.push(int.from_bytes(m.cursor.take(length), "little", signed=True))


@_operation(b"\x8a")
def _long1(m: Stack) -> None:
    _long_bytes(m, m.length(_BYTE))


@_operation(b"\x8b")
def _long4(m: Stack) -> None:
    _long_bytes(m, m.length(_I32))


@_operation(b"F")
def _float(m: Stack) -> None:
    line = m.line()
    try:
        m.push(float(line[:100]))
    except ValueError as error:
        raise m.damaged("a number that is none", found=printable(line[:100])) from error


def _unescaped(found: re.Match[bytes]) -> bytes:
    what: bytes = found[1]
    if not what:
        raise ValueError("a backslash that escapes nothing")
    if what[:1] == b"x":
        return bytes((int(what[1:], 16),))
    if what[0] in b"01234567":
        return bytes((int(what, 8) & 255,))
    return _ESCAPED.get(what, what)


@_operation(b"S")
def _string(m: Stack) -> None:
    line = m.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise m.damaged("a text without quotes", found=printable(line[:40]))
    try:
        m.push(_old(_ESCAPE.sub(_unescaped, line[1:-1])))
    except ValueError as error:
        raise m.damaged("a text with a wrong escape", found=printable(line[:40])) from error


@_operation(b"V")
def _unicode(m: Stack) -> None:
    m.push(m.text(m.line(), "raw-unicode-escape"))


def _old(data: bytes) -> str:
    return data.decode() if data.isascii() else OldText(data.decode("latin-1"))


def _strings(code: bytes, form: struct.Struct) -> None:
    OPERATIONS[code[0]] = lambda m: m.push(m.text(m.cursor.take(m.length(form))))


def _old_strings(code: bytes, form: struct.Struct) -> None:
    OPERATIONS[code[0]] = lambda m: m.push(_old(m.cursor.take(m.length(form))))


for _code, _form in ((b"X", _U32), (b"\x8c", _BYTE), (b"\x8d", _U64)):
    _strings(_code, _form)
for _code, _form in ((b"T", _I32), (b"U", _BYTE)):
    _old_strings(_code, _form)


def _spans(code: bytes, form: struct.Struct) -> None:
    def passed(m: Stack) -> None:
        length = m.length(form)
        m.put(Span(m.source, m.cursor.skip(length), length))

    OPERATIONS[code[0]] = passed


for _code, _form in ((b"B", _U32), (b"C", _BYTE), (b"\x8e", _U64), (b"\x96", _U64)):
    _spans(_code, _form)

OPERATIONS[ord("]")] = lambda m: m.put([])
OPERATIONS[ord("}")] = lambda m: m.put({})
OPERATIONS[ord(")")] = lambda m: m.push(())
OPERATIONS[0x8F] = lambda m: m.put(set())


@_operation(b"(")
def _mark(m: Stack) -> None:
    if len(m.marks) >= MAX_MARKS:
        raise m.damaged("containers are nested without end", expected=f"at most {MAX_MARKS}")
    m.marks.append(len(m.stack))


OPERATIONS[ord("l")] = lambda m: m.put(m.from_mark())
OPERATIONS[ord("t")] = lambda m: m.put(tuple(m.from_mark()))


@_operation(b"d")
def _dict(m: Stack) -> None:
    pairs = m.from_mark()
    m.put({})
    m.set_items(pairs)


@_operation(b"\x91")
def _frozenset(m: Stack) -> None:
    m.put(frozenset(m.key(v) for v in m.from_mark()))


def _tuples(code: bytes, count: int) -> None:
    def gathered(m: Stack) -> None:
        m.put(tuple([m.pop() for _ in range(count)][::-1]))

    OPERATIONS[code[0]] = gathered


for _code, _count in ((b"\x85", 1), (b"\x86", 2), (b"\x87", 3)):
    _tuples(_code, _count)


@_operation(b"a")
def _append(m: Stack) -> None:
    value = m.pop()
    m.extend([value])


OPERATIONS[ord("e")] = lambda m: m.extend(m.from_mark())
OPERATIONS[0x90] = lambda m: m.extend(m.from_mark())
OPERATIONS[ord("u")] = lambda m: m.set_items(m.from_mark())


@_operation(b"s")
def _setitem(m: Stack) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


@_operation(b"0")
def _discard(m: Stack) -> None:
    if m.marks and len(m.stack) == m.marks[-1]:
        m.marks.pop()
    else:
        m.pop()


@_operation(b"1")
def _discard_from_mark(m: Stack) -> None:
    m.from_mark()


OPERATIONS[ord("2")] = lambda m: m.push(m.top())
OPERATIONS[ord("p")] = lambda m: m.remember(_integer(m, m.line()))
OPERATIONS[ord("q")] = lambda m: m.remember(m.cursor.u8())
OPERATIONS[ord("r")] = lambda m: m.remember(m.cursor.u32())
OPERATIONS[0x94] = lambda m: m.remember(len(m.memo))
OPERATIONS[ord("g")] = lambda m: m.recall(_integer(m, m.line()))
OPERATIONS[ord("h")] = lambda m: m.recall(m.cursor.u8())
OPERATIONS[ord("j")] = lambda m: m.recall(m.cursor.u32())


def _named(m: Stack) -> Global:
    module = m.text(m.line())
    return m.named(module, m.text(m.line()))


OPERATIONS[ord("c")] = lambda m: m.push(_named(m))


@_operation(b"\x93")
def _stack_global(m: Stack) -> None:
    name, module = m.pop(), m.pop()
    if not (isinstance(module, str) and isinstance(name, str)):
        raise m.damaged("a global without a name", found=type(name).__name__)
    m.push(m.named(module, name))


@_operation(b"R")
def _reduce(m: Stack) -> None:
    args, kind = m.pop(), m.pop()
    m.put(m.make(kind, args))


OPERATIONS[0x81] = _reduce


@_operation(b"\x92")
def _new_with_keywords(m: Stack) -> None:
    keywords, args, kind = m.pop(), m.pop(), m.pop()
    if keywords:
        raise m.damaged("an object made from keywords", found=repr(kind))
    m.put(m.make(kind, args))


@_operation(b"i")
def _instance(m: Stack) -> None:
    kind = _named(m)
    m.put(m.make(kind, tuple(m.from_mark())))


@_operation(b"o")
def _object(m: Stack) -> None:
    found = m.from_mark()
    m.put(m.make(found[0], tuple(found[1:])))


OPERATIONS[ord("b")] = lambda m: m.build()


def _extension(m: Stack) -> None:
    raise UnsafeError(
        "pickle refused: it names classes by the numbers of a registry that is not part of it",
        where=f"{m.source.name}, byte {m.position - 1}",
    )


for _code in b"\x82\x83\x84\x97\x98":
    OPERATIONS[_code] = _extension


def _persist(m: Stack, key: Any) -> None:
    if m.persistent is None:
        raise m.damaged("a reference to something outside of it", found=type(key).__name__)
    m.put(m.persistent(key))


OPERATIONS[ord("P")] = lambda m: _persist(m, m.text(m.line()))
OPERATIONS[ord("Q")] = lambda m: _persist(m, m.pop())
