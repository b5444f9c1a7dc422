"""The wire of protocol buffers: varints, fields, groups."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergraph.errors import DamagedError, EvergraphError
from evergraph.formats.protobuf import Wire, decode_varint, encode_varint, signed
from evergraph.stores import BytesSource

NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1))


def fields(data):
    return list(Wire(BytesSource(data)).fields(0, len(data), "the message"))


@given(NUMBERS)
def test_a_varint_comes_back(value):
    text = encode_varint(value)
    assert decode_varint(text) == value
    assert fields(b"\x08" + text) == [(1, 0, value, 1 + len(text))]
    assert signed(value) % 2**64 == value


@given(st.integers(1, 2**29 - 1), st.binary(max_size=700))
def test_a_field_of_bytes_is_found_where_it_stands(number, content):
    data = encode_varint(number << 3 | 2) + encode_varint(len(content)) + content + b"\x08\x01"
    (found, kind, start, stop), last = fields(data)
    assert (found, kind, data[start:stop]) == (number, 2, content)
    assert last == (1, 0, 1, len(data))


def test_every_wire_type_is_passed_over():
    group = b"\x1b\x0b\x08\x01\x0c\x12\x01x\x15\0\0\0\0\x19" + bytes(8) + b"\x1c"
    data = b"\x0d\1\2\3\4\x11" + bytes(8) + group + b"\x08\x05"
    assert [(n, k) for n, k, *_ in fields(data)] == [(1, 5), (2, 1), (3, 3), (1, 0)]
    assert fields(data)[-1] == (1, 0, 5, len(data))


def test_needless_bytes_are_noted():
    wire = Wire(BytesSource(b"\x08\x80\x01\x08\x81\x00"))
    walk = wire.fields(0, 6, "the message")
    next(walk)
    assert not wire.odd
    next(walk)
    assert wire.odd


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01",
        b"\x0e\x01",
        b"\x0f\x01",
        b"\x0c",
        b"\x08",
        b"\x12\x05abc",
        b"\x15\0\0",
        b"\x19\0",
        b"\x0b",
        b"\x0b\x14",
    ],
)
def test_rejects_what_is_no_field(data):
    with pytest.raises(DamagedError, match="where: memory://bytes, byte"):
        fields(data)


@settings(max_examples=300, derandomize=True)
@given(st.binary(max_size=80))
def test_rejects_or_walks_any_bytes(data):
    try:
        found = fields(data)
    except EvergraphError:
        return
    assert [stop for *_, stop in found][-1:] == ([len(data)] if data else [])
