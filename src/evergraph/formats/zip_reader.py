"""Reads the table of a zip archive: every size, offset and name checked before any content is looked at."""

import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from evergraph.errors import DamagedError, IntegrityError, UnsafeError, collect, printable
from evergraph.formats.members import PIECE, Budget, Inflated, Part
from evergraph.stores import Source
from evergraph.tensors.blob import CHUNK, Extent

__all__ = ["Deflated", "ZipMember", "ZipTable", "zip_table"]

MAX_MEMBERS = 100_000
"""Each costs some hundred bytes of memory; a checkpoint of 3,000 tensors has 3,010."""
END, END64, LOCATOR, ENTRY, LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_ENTRY, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_LONG = 0xFFFFFFFF
STORED, DEFLATED = 0, 8
_LARGE = 1 << 18
"""Bytes whose checksum takes longer than the start of a thread: 0.3 ms against 0.05."""
_METHODS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES encryption"}


def zip_table(source: Source) -> "ZipTable":
    """The table of an archive, read once for each source: several formats look at it before one takes it."""
    # kept at the source itself: a table of its own elsewhere would keep every source alive
    kept = vars(source)
    if "zip_table" not in kept:
        kept["zip_table"] = ZipTable(source)
    return kept["zip_table"]


class _Stored(Part):
    """A member that lies in the archive as it is; where it begins is looked up when it is first read."""

    def __init__(self, table: "ZipTable", member: "ZipMember") -> None:
        super().__init__(table.source, member.header, 0, member.name)
        self._table, self._member = table, member
        self.size = member.size
        self._found = False

    def _settle(self) -> None:
        if not self._found:
            self.offset = self._table.content_offset(self._member)
            self._found = True

    def _read(self, offset: int, length: int) -> memoryview:
        self._settle()
        return super()._read(offset, length)

    def block(self, offset: int, least: int) -> memoryview:
        self._settle()
        return super().block(offset, least)

    def peek(self, offset: int, length: int) -> bytes:
        self._settle()
        return super().peek(offset, length)

    def release(self, offset: int, length: int) -> None:
        self._settle()
        super().release(offset, length)

    def private(self, offset: int, length: int) -> memoryview:
        self._settle()
        return super().private(offset, length)


class _Checked(Extent):
    """Stored content whose checksum is compared when it is streamed: reading it by mapping costs nothing more."""

    __slots__ = ("_member",)

    def __init__(self, member: "ZipMember", offset: int) -> None:
        super().__init__(member.source(), offset, member.size - offset)
        self._member = member

    def chunks(self) -> Iterator[memoryview]:
        """The range in bounded pieces."""
        crc = zlib.crc32(self.source.read(0, self.offset))
        for piece in super().chunks():
            if len(piece) < _LARGE:
                crc = zlib.crc32(piece, crc)
                yield piece
                continue
            beside = _Sum(piece, crc)
            yield piece
            crc = beside.result()
        self._member.require_crc(crc)


class _Sum(threading.Thread):
    """The checksum of a piece, worked out while whoever asked for the piece writes it elsewhere."""

    def __init__(self, piece: memoryview, crc: int) -> None:
        super().__init__(daemon=True)
        self._piece, self._crc = piece, crc
        self.start()

    def run(self) -> None:
        """Work it out; zlib needs no interpreter meanwhile."""
        self._crc = zlib.crc32(self._piece, self._crc)

    def result(self) -> int:
        """The checksum, waited for."""
        self.join()
        return self._crc


class Deflated:
    """A range of a compressed member, decompressed each time it is read, in bounded pieces.

    Args:
        member: the member.
        offset: first byte of its content.
        nbytes: how many of its bytes.
    """

    __slots__ = ("_member", "nbytes", "offset")

    def __init__(self, member: "ZipMember", offset: int, nbytes: int) -> None:
        self._member, self.offset, self.nbytes = member, offset, nbytes

    def chunks(self) -> Iterator[bytes]:
        """The range in pieces; the whole member's checksum is compared where its end is reached."""
        skip, left = self.offset, self.nbytes
        # to the end, so that the checksum is seen, if the range reaches it
        whole = self.offset + self.nbytes == self._member.size
        for piece in self._member.inflated():
            part = piece[skip:] if skip < len(piece) else b""
            skip = max(skip - len(piece), 0)
            part, left = part[:left], left - min(left, len(part))
            if part:
                yield part
            if not left and not whole:
                return

    def read(self) -> memoryview:
        """The whole range."""
        return memoryview(b"".join(self.chunks()))

    def private(self) -> memoryview:
        """The whole range, writable."""
        return memoryview(bytearray(self.read()))

    @property
    def place(self) -> str:
        """Archive and member."""
        return f"{self._member.shown}, byte {self.offset} of its content"


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One member of an archive.

    Attributes:
        table: the archive.
        name: as the archive spells it.
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the content.
        packed, size: bytes in the archive, and of the content.
        header: where its local header begins.
        mode: type and permissions as Unix has them; 0 where another system made the archive.
    """

    table: "ZipTable"
    name: str
    method: int
    crc: int
    packed: int
    size: int
    header: int
    mode: int

    @property
    def shown(self) -> str:
        """Archive and member, for messages."""
        return f"{self.table.source.name}!/{printable(self.name)}"

    def source(self) -> Source:
        """The content as a source: in place where it is stored, otherwise decompressed once."""
        if self.method == STORED:
            return _Stored(self.table, self)
        return Inflated(self.table.source, self.name, self.inflated())

    def blob(self, offset: int, nbytes: int) -> "Extent | Deflated":
        """A range of the content. Where it reaches the end and not much stands before it, `chunks` notices damage."""
        if self.method == DEFLATED:
            return Deflated(self, offset, nbytes)
        if offset <= CHUNK and offset + nbytes == self.size:
            return _Checked(self, offset)
        return Extent(self.source(), offset, nbytes)

    def content(self, limit: int) -> bytes:
        """The whole content of a small member, its checksum compared.

        Raises:
            DamagedError: it is larger than `limit`, or not what was saved.
        """
        if self.size > limit:
            raise DamagedError(
                "a member of impossible size", where=self.shown, expected=f"at most {limit} bytes", found=self.size
            )
        if self.method == DEFLATED:
            return b"".join(self.inflated())
        data = bytes(self.source().read(0, self.size))
        self.require_crc(zlib.crc32(data))
        return data

    def require_crc(self, found: int) -> None:
        """Raise IntegrityError unless this is the content's checksum."""
        if found != self.crc:
            raise IntegrityError(
                "a member's content is not what was saved",
                where=self.shown,
                expected=f"CRC-32 {self.crc:08x}",
                found=f"{found:08x}",
                fix="fetch or copy the file again",
            )

    def inflated(self) -> Iterator[bytes]:
        """The decompressed content in bounded pieces; size and checksum are compared at its end."""
        stream = zlib.decompressobj(-15)
        start = self.table.content_offset(self)
        done, crc, at = 0, 0, 0
        waiting: bytes = b""
        while not stream.eof:
            if not waiting:
                if at >= self.packed:
                    raise self._broken("its compressed content is cut short")
                taken = min(PIECE, self.packed - at)
                waiting = bytes(self.table.source.read(start + at, taken))
                at += taken
            try:
                piece = stream.decompress(waiting, PIECE)
            except zlib.error as error:
                raise self._broken(f"its content does not decompress ({printable(error)})") from error
            waiting = stream.unconsumed_tail
            done, crc = done + len(piece), zlib.crc32(piece, crc)
            if done > self.size:
                raise self._broken(f"its content is larger than the {self.size} bytes declared")
            if piece:
                yield piece
        if stream.unused_data or at < self.packed:
            raise self._broken("bytes stand behind its compressed content")
        if done != self.size:
            raise self._broken(f"its content is {done} bytes, and {self.size} were declared")
        self.require_crc(crc)

    def _broken(self, what: str) -> DamagedError:
        return DamagedError(f"a member is damaged: {what}", where=self.shown, fix="fetch or copy the file again")


class ZipTable:
    """The members of a zip archive, in the order of its directory.

    Args:
        source: the archive.

    Raises:
        DamagedError: cut short, trailing bytes, sizes or offsets that cannot be, overlapping members, one name twice.
        UnsafeError: encrypted, too many members, or it unpacks to far more than its size.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.members: dict[str, ZipMember] = {}
        begin, end, count = self._end()
        if count > MAX_MEMBERS:
            raise UnsafeError(
                "the archive has too many members", where=source.name, expected=f"at most {MAX_MEMBERS}", found=count
            )
        if count * _ENTRY.size > end - begin:
            raise self._damaged("more members are declared than the directory can hold", begin, found=count)
        self._directory_at = begin
        self._read_directory(begin, end, count)
        self._check_places()
        budget = Budget(source)
        for member in self.members.values():
            if member.method == DEFLATED:
                budget.spend(member.size, member.name)

    def _damaged(self, what: str, at: int, expected: object = None, found: object = None) -> DamagedError:
        where = f"{self.source.name}, byte {at}"
        fix = "fetch or copy the file again"
        return DamagedError(f"the zip archive is damaged: {what}", where=where, expected=expected, found=found, fix=fix)

    def _end(self) -> tuple[int, int, int]:
        """Begin and end of the directory, and how many members it has."""
        size = self.source.size
        reach = min(size, _END.size + 0xFFFF)
        tail = bytes(self.source.read(size - reach, reach))
        at = tail.rfind(END)
        while at >= 0:
            if at + _END.size <= reach:
                fields = _END.unpack_from(tail, at)
                if at + _END.size + fields[7] == reach:
                    break
            at = tail.rfind(END, 0, at)
        else:
            found = "an end record that is not at the end" if END in tail else "none"
            raise self._damaged("it has no directory at its end; cut short, or bytes behind it", size, found=found)
        _, disk, start_disk, here, count, length, offset, _ = fields
        end = size - reach + at
        # PyTorch writes the long record whether or not it is needed
        at = end - _LOCATOR.size
        if at >= 0 and bytes(self.source.read(at, 4)) == LOCATOR:
            return self._end64(at)
        if disk or start_disk or here != count:
            raise self._damaged("it is one of several volumes", end)
        return self._directory(offset, length, end, count)

    def _end64(self, at: int) -> tuple[int, int, int]:
        _, _, place, _ = _LOCATOR.unpack(self.source.read(at, _LOCATOR.size))
        if place + _END64.size > at:
            raise self._damaged("its long end record is beyond its end", at, found=place)
        fields = _END64.unpack(self.source.read(place, _END64.size))
        if fields[0] != END64 or fields[1] + 12 != at - place or fields[4] or fields[5] or fields[6] != fields[7]:
            raise self._damaged("its long end record is broken", place)
        return self._directory(fields[9], fields[8], place, fields[7])

    def _directory(self, offset: int, length: int, end: int, count: int) -> tuple[int, int, int]:
        if offset + length != end:
            raise self._damaged(
                "its directory is not where it should be", end, expected=f"it ends at {end}", found=offset + length
            )
        return offset, end, count

    def _read_directory(self, begin: int, end: int, count: int) -> None:
        data, at, twice = bytes(self.source.read(begin, end - begin)), 0, []
        for _ in range(count):
            if at + _ENTRY.size > len(data) or data[at : at + 4] != ENTRY:
                raise self._damaged("an entry of its directory is broken", begin + at)
            fields = _ENTRY.unpack_from(data, at)
            lengths = fields[10:13]
            after = at + _ENTRY.size + sum(lengths)
            if after > len(data):
                raise self._damaged("an entry of its directory reaches beyond its end", begin + at)
            member = self._member(fields, data[at + _ENTRY.size : after - lengths[2]], begin + at)
            if member.name in self.members:
                twice.append(printable(member.name))
            self.members[member.name] = member
            at = after
        if at != len(data):
            raise self._damaged("bytes stand behind the last entry of its directory", begin + at, found=len(data) - at)
        collect(DamagedError, "members of the archive have one name", twice, where=self.source.name)

    def _member(self, fields: tuple, rest: bytes, at: int) -> ZipMember:
        _, made, _, flags, method, _, _, crc, packed, size, name_length, _, _, disk, _, attributes, header = fields
        raw, extra = rest[:name_length], rest[name_length:]
        name = self._name(raw, flags)
        if flags & 1:
            raise UnsafeError("a member of the archive is encrypted", where=f"{self.source.name}!/{printable(name)}")
        if method not in (STORED, DEFLATED):
            raise DamagedError(
                "a member of the archive is packed in a way that is not read",
                where=f"{self.source.name}!/{printable(name)}",
                expected="stored or deflated",
                found=_METHODS.get(method, f"method {method}"),
                fix="unpack it and open what is inside",
            )
        size, packed, header = self._long_fields(extra, (size, packed, header), at)
        if disk not in (0, 0xFFFF) or (method == STORED and packed != size):
            raise self._damaged("an entry of its directory contradicts itself", at, expected=size, found=packed)
        mode = attributes >> 16 if made >> 8 == 3 else 0
        return ZipMember(self, name, method, crc, packed, size, header, mode)

    def _name(self, raw: bytes, flags: int) -> str:
        if flags & 0x800:
            return raw.decode("utf-8", "surrogateescape")
        return raw.decode("ascii") if raw.isascii() else raw.decode("cp437")

    def _long_fields(self, extra: bytes, fields: tuple[int, ...], at: int) -> tuple[int, ...]:
        """Sizes and offset of 64 bits, where those of 32 say that they stand in the extra field."""
        if _LONG not in fields:
            return fields
        place = 0
        while place + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, place)
            body = extra[place + 4 : place + 4 + length]
            if kind == 1 and len(body) >= 8 * fields.count(_LONG):
                long = iter(struct.unpack_from(f"<{fields.count(_LONG)}Q", body))
                return tuple(next(long) if f == _LONG else f for f in fields)
            place += 4 + length
        raise self._damaged("an entry of its directory lacks its long sizes", at)

    def _check_places(self) -> None:
        """Members must lie apart from each other and before the directory: otherwise one byte may count many times."""
        reached, previous = 0, ""
        for member in sorted(self.members.values(), key=lambda m: m.header):
            if member.header < reached:
                raise self._damaged(
                    "two members overlap",
                    member.header,
                    expected=f"{printable(member.name)!r} behind {printable(previous)!r}, from byte {reached}",
                    found=member.header,
                )
            reached = member.header + _LOCAL.size + len(member.name.encode("utf-8", "surrogateescape")) + member.packed
            previous = member.name
            # names of other encodings may be shorter there: the exact end is seen when the member is read
            if member.header + _LOCAL.size + member.packed > self._directory_at:
                raise self._damaged("a member reaches into the directory", member.header, found=printable(member.name))

    def content_offset(self, member: ZipMember) -> int:
        """Where a member's content begins, by its local header.

        Raises:
            DamagedError: the local header contradicts the directory.
        """
        fields = _LOCAL.unpack(self.source.peek(member.header, _LOCAL.size))
        start = member.header + _LOCAL.size + fields[9] + fields[10]
        if fields[0] != LOCAL or fields[3] != member.method or start + member.packed > self._directory_at:
            raise self._damaged("a member's own header contradicts the directory", member.header)
        raw = self.source.peek(member.header + _LOCAL.size, fields[9])
        if self._name(raw, fields[2]) != member.name:
            raise self._damaged(
                "a member has another name than in the directory",
                member.header,
                expected=printable(member.name),
                found=printable(raw),
            )
        return start
