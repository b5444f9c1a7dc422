"""Writes tables and entries as the format's description says, independently of the reader: for content that lies."""


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def mask(value):
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value):
    found = b""
    while value > 127:
        found += bytes((value & 127 | 128,))
        value >>= 7
    return found + bytes((value,))


def block(pairs, kind=0, compress=lambda b: b):
    body, before = b"", b""
    for key, value in pairs:
        together = list(zip(before, key, strict=False))
        shared = next((i for i, (a, b) in enumerate(together) if a != b), len(together))
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    body = compress(body + bytes(4) + (1).to_bytes(4, "little"))
    return body + bytes((kind,)) + mask(crc32c(body + bytes((kind,)))).to_bytes(4, "little")


def table(*groups, kind=0, compress=lambda b: b):
    """A table of blocks of (key, value) pairs."""
    out, index = b"", []
    for pairs in groups:
        data = block(pairs, kind, compress)
        index.append((pairs[-1][0], varint(len(out)) + varint(len(data) - 5)))
        out += data
    meta = block([])
    handles = varint(len(out)) + varint(len(meta) - 5)
    out += meta
    last = block(index)
    handles += varint(len(out)) + varint(len(last) - 5)
    return out + last + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value & (1 << 64) - 1)


def sizes(shape):
    return b"".join(field(2, field(1, d)) for d in shape)


def entry(code, shape, offset=0, data=b"", shard=0, slices=(), size=None):
    found = field(1, code) + field(2, sizes(shape))
    if shard:
        found += field(3, shard)
    found += field(4, offset) + field(5, len(data) if size is None else size)
    found += varint(6 << 3 | 5) + mask(crc32c(data)).to_bytes(4, "little")
    for extents in slices:
        found += field(7, b"".join(field(1, field(1, a) + field(2, n)) for a, n in extents))
    return found


def header(shards=1, big=False):
    return field(1, shards) + (field(2, 1) if big else b"") + field(3, field(1, 1))
