"""Reads the table of a tar archive: plain, GNU and POSIX forms, members in place."""

from dataclasses import dataclass

from evergraph.errors import DamagedError, UnsafeError, collect, printable
from evergraph.formats.members import Part
from evergraph.stores import Source

__all__ = ["TarMember", "TarTable", "looks_like_tar"]

BLOCK = 512
MAX_MEMBERS = 100_000
MAX_EXTENDED = 1 << 20
"""Bytes of a long name or of extended attributes."""
_KINDS = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"6": "pipe",
    b"S": "sparse file",
    b"M": "continued file",
}


@dataclass(frozen=True, slots=True)
class TarMember:
    """One file of an archive: its name, and where its content is.

    Attributes:
        archive: the archive.
        name: as the archive spells it.
        offset, size: its content.
    """

    archive: Source
    name: str
    offset: int
    size: int

    def source(self) -> Source:
        """The content in place."""
        return Part(self.archive, self.offset, self.size, self.name)


def looks_like_tar(head: bytes) -> bool:
    """Whether content begins with a tar header: its checksum fits."""
    return len(head) >= BLOCK and head[0] != 0 and _checksum_fits(head[:BLOCK])


def _checksum_fits(header: bytes) -> bool:
    try:
        stated = int(header[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    plain = sum(header) - sum(header[148:156]) + 8 * 32
    # some old programs summed signed bytes
    signed = plain - 256 * sum(b > 127 for b in header[:148] + header[156:BLOCK])
    return stated in (plain, signed)


class TarTable:
    """The files of a tar archive, in order.

    Args:
        source: the archive.

    Raises:
        DamagedError: cut short, a broken header, one name twice, bytes behind the end.
        UnsafeError: naming links, devices and whatever else is no plain file; too many members.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.members: dict[str, TarMember] = {}
        self._special: list[str] = []
        self._twice: list[str] = []
        self._count = 0
        at, long_name = 0, None
        while at is not None:
            at, long_name = self._entry(at, long_name)
        where = source.name
        collect(
            UnsafeError,
            "the archive holds members that are no plain files",
            self._special,
            where=where,
            fix="make it again without links and devices (tar --dereference)",
        )
        collect(DamagedError, "members of the archive have one name", self._twice, where=where)

    def _damaged(self, what: str, at: int, found: object = None) -> DamagedError:
        where = f"{self.source.name}, byte {at}"
        return DamagedError(
            f"the tar archive is damaged: {what}", where=where, found=found, fix="fetch or copy the file again"
        )

    def _entry(self, at: int, long_name: str | None) -> tuple[int | None, str | None]:
        """Read the member at this place; returns where the next one is, and a name that is meant for it."""
        if at + BLOCK > self.source.size:
            raise self._damaged("it ends without an end mark; cut short", at, self.source.size)
        header = self.source.peek(at, BLOCK)
        if header[0] == 0:
            self._require_end(at)
            return None, None
        if not _checksum_fits(header):
            raise self._damaged("the checksum of a member's header does not fit", at)
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise UnsafeError(
                "the archive has too many members", where=self.source.name, expected=f"at most {MAX_MEMBERS}"
            )
        size, content = self._number(header[124:136], at), at + BLOCK
        after = content + -(-size // BLOCK) * BLOCK
        if content + size > self.source.size:
            raise self._damaged("a member reaches beyond its end; cut short", at, f"{size} bytes")
        kind, name = header[156:157], long_name or _name(header)
        if kind in (b"L", b"x", b"g"):
            return after, self._extended(kind, content, size) or long_name
        if kind in _KINDS or kind == b"K":
            self._special.append(f"{printable(name)}: {_KINDS.get(kind, 'link')}")
        elif kind != b"5" and not name.endswith("/"):
            if name in self.members:
                self._twice.append(printable(name))
            self.members[name] = TarMember(self.source, name, content, size)
        return after, None

    def _require_end(self, at: int) -> None:
        """Only zeros may follow the end mark, and not many of them: archives are padded to whole records."""
        left = self.source.size - at
        if left > 1 << 20 or bytes(self.source.read(at, left)).strip(b"\0"):
            raise self._damaged("bytes stand behind its end mark", at, f"{left} bytes")

    def _number(self, field: bytes, at: int) -> int:
        if field[0] & 0x80:
            # sizes of 8 GB and more: big endian, with the first bit set
            return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
        try:
            return int(field.strip(b" \0") or b"0", 8)
        except ValueError:
            raise self._damaged("a member's size is no number", at, printable(field)) from None

    def _extended(self, kind: bytes, content: int, size: int) -> str | None:
        if size > MAX_EXTENDED:
            raise self._damaged("a member's name is longer than any", content, f"{size} bytes")
        data = bytes(self.source.read(content, size))
        if kind == b"L":
            return data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        return None if kind == b"g" else self._attributes(data, content)

    def _attributes(self, data: bytes, content: int) -> str | None:
        """The name among POSIX attributes, each `length key=value` and a line feed."""
        name, at = None, 0
        while at < len(data):
            digits, space, _ = data[at : at + 20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            key, equals, value = data[at + len(digits) + 1 : at + length - 1].partition(b"=")
            if not equals or data[at + length - 1 : at + length] != b"\n":
                raise self._damaged("a member's attributes are broken", content + at)
            if key == b"path":
                name = value.decode("utf-8", "surrogateescape")
            if key == b"size" or key.startswith(b"GNU.sparse"):
                self._special.append(f"{printable(key)}={printable(value)}: a size of its own")
            at += length
        return name


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "surrogateescape")
