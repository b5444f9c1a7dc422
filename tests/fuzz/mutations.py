"""Mutations that know what files are made of: counts, lengths, magics, JSON, archives, opcodes; and plain noise."""

import gzip
import io
import json
import re
import struct
import zipfile
import zlib

INTERESTING = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 4095, 65535, 65536),
    *(2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
TOKENS = (
    *(b"null", b"true", b"-1", b"0", b"1e400", b"NaN", b"9" * 30, b"9" * 5000, b"[]", b"{}", b'""', b'"\\ud800"'),
    *(b"[[[[[[[[", b"-0", b"1.5", b'"../../x"', b'"a\\u0000b"', b'{"a":1,"a":2}', b'"F32"', b"[0,0]", b"[-1]"),
)
MAGICS = (
    *(b"\x12\1\0\0\0\0\0\0", b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"\x1f\x8b\x08\0", b"\x93NUMPY", b"\x80\4"),
    *(struct.pack("<I", 0xF993FAC8 + i) for i in range(4)),
    *(b"\x80\2", b"ustar\0", b"posix\nsystem\n", b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
)


def flip(data, rng):
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)


def noise(data, rng):
    at = rng.randrange(len(data))
    for i in range(at, min(at + rng.choice((1, 2, 4, 8, 32)), len(data))):
        data[i] = rng.randrange(256)


def integer(data, rng):
    """A field that looks like a count or a length gets an interesting value, or one near its own."""
    size, form = rng.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    places = [rng.randrange(max(len(data) - size, 0) + 1) for _ in range(20)]
    places = [p for p in places if p + size <= len(data)]
    if not places:
        return
    # small numbers are more often counts than data
    at = min(places, key=lambda p: int.from_bytes(data[p : p + size], "little"))
    value = int.from_bytes(data[at : at + size], "little")
    new = rng.choice((*INTERESTING, value + 1, value - 1, value * 2, len(data), len(data) - at, -value))
    struct.pack_into("<" + form, data, at, new % (1 << (8 * size)))


def big_endian(data, rng):
    if len(data) >= 4:
        struct.pack_into(">I", data, rng.randrange(len(data) - 3), rng.choice(INTERESTING) % (1 << 32))


def magic(data, rng):
    found = rng.choice(MAGICS)
    at = rng.choice((0, rng.randrange(len(data))))
    data[at : at + len(found)] = found


def cut(data, rng):
    del data[rng.choice((rng.randrange(len(data)), max(len(data) - rng.randrange(1, 30), 0))) :]


def remove(data, rng):
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 8, 64, 512))]


def duplicate(data, rng):
    at, size = rng.randrange(len(data)), rng.choice((1, 4, 8, 64, 512))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 50))


def insert(data, rng):
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice((bytes(8), b"\xff" * 8, b"\n", b"(", b"\x80" * 11, rng.randbytes(16)))


def swap(data, rng):
    size = rng.choice((1, 4, 8, 64))
    if len(data) > 2 * size:
        a, b = sorted(rng.sample(range(len(data) - size), 2))
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def splice(data, rng, other):
    at, begin = rng.randrange(len(data)), rng.randrange(len(other))
    data[at : at + rng.choice((0, 16, 256, len(data)))] = other[begin : begin + rng.choice((16, 256, len(other)))]


def varint(data, rng):
    """A protobuf number of any length, where one stands or not."""
    at = rng.randrange(len(data))
    value, raw = rng.choice(INTERESTING), bytearray()
    while value > 127:
        raw.append(value & 127 | 128)
        value >>= 7
    data[at : at + rng.choice((0, 1, len(raw) + 1))] = bytes(raw) + bytes((value,))


def opcode(data, rng):
    at = rng.randrange(len(data))
    data[at] = rng.choice(
        b"(.012FGIJKLMNPQRSTUVXabcdeghijlopqrstu}]\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x93\x94\x95"
    )


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.){0,200}"|-?\d+(?:\.\d+)?|true|false|null|[\[\]{}:,]')


def json_token(data, rng):
    """One token of JSON (or of a text that looks like it) becomes another, stands twice, or goes."""
    found = list(_TOKEN.finditer(bytes(data), 0, 20_000))
    if found:
        token = rng.choice(found)
        text = token.group()
        data[token.start() : token.end()] = rng.choice((rng.choice(TOKENS), text * 2, b"", rng.choice(found).group()))


PLAIN = (
    flip,
    noise,
    integer,
    integer,
    integer,
    big_endian,
    magic,
    cut,
    remove,
    duplicate,
    insert,
    swap,
    varint,
    opcode,
)


def mutate(data, rng, other):
    """The data after one to four mutations."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not data:
            break
        if rng.random() < 0.1:
            splice(data, rng, other)
        elif rng.random() < 0.3 and b'"' in data:
            json_token(data, rng)
        else:
            rng.choice(PLAIN)(data, rng)
    return bytes(data)


def within(data, rng, other):
    """A mutation inside what checksums and lengths protect, with these made right again."""
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(mutate(gzip.decompress(data), rng, other), 1, mtime=0)
    if data.startswith(b"PK\3\4"):
        return repack(data, rng, other)
    if data[257:262] == b"ustar":
        return tar_header(data, rng)
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        end = 8 + int.from_bytes(data[:8], "little")
        header = bytearray(data[8:end])
        if b"evergraph" in header and rng.random() < 0.5:
            header = bytearray(resealed_header(bytes(header), rng))
        else:
            json_token(header, rng)
        return len(header).to_bytes(8, "little") + bytes(header) + data[end:]
    return mutate(data, rng, other)


def repack(data, rng, other):
    """A zip archive with one member changed, renamed, doubled or left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [[i.filename, old.read(i)] for i in old.infolist()]
    victim = rng.choice(members)
    how = rng.random()
    if how < 0.7:
        victim[1] = resealed(victim[1], rng) if victim[0].endswith("manifest") else mutate(victim[1], rng, other)
    elif how < 0.8:
        victim[0] = rng.choice(
            ("../x", "/x", "a\\b", victim[0] + "x", rng.choice(members)[0] + "2", "x" * 300, "\x1b[31m")
        )
    elif how < 0.9:
        members.remove(victim)
    else:
        rng.shuffle(members)
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", method) as new:
        for name, content in members:
            new.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def resealed(text, rng):
    """A manifest whose checksum is right after a token of it was changed."""
    head, _, rest = text.partition(b" ")
    _, _, content = rest.partition(b" ")
    changed = bytearray(content)
    json_token(changed, rng)
    return head + b" %08x " % zlib.crc32(changed) + bytes(changed)


def resealed_header(header, rng):
    try:
        value = json.loads(header)
        text = value["__metadata__"]["evergraph"].encode()
        value["__metadata__"]["evergraph"] = resealed(text, rng).decode("utf-8", "replace")
        return json.dumps(value, separators=(",", ":")).encode()
    except (ValueError, KeyError, TypeError):
        return header


def tar_header(data, rng):
    """A field of one member's header changed, and the header's checksum made right."""
    data = bytearray(data)
    at = 512 * rng.randrange(max(len(data) // 512, 1))
    begin, size = rng.choice(((0, 100), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155)))
    values = (
        b"../x",
        b"/etc/passwd",
        b"7777777777\0",
        b"\x80" + b"\xff" * 11,
        b"1",
        b"2",
        b"5",
        b"L",
        b"x",
        b"\0",
        b"",
    )
    data[at + begin : at + begin + size] = rng.choice(values)[:size].ljust(size, b"\0")
    header = bytes(data[at : at + 148]) + b" " * 8 + bytes(data[at + 156 : at + 512])
    data[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    return bytes(data)
