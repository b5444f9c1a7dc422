"""MindSpore's encrypted checkpoints: blocks of AES-GCM, AES-CBC or SM4-CBC. Layout: docs/formats/mindspore-ckpt.md."""

import os
import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from evergraph._lazy import load
from evergraph.errors import DamagedError, FormatError, IntegrityError, MissingDependencyError, UsageError, printable
from evergraph.formats.base import Piece
from evergraph.formats.cursor import Cursor
from evergraph.stores import Location, Source
from evergraph.tensors import Extent
from evergraph.tensors.memory import room

__all__ = ["MODES", "Cipher", "DecryptedSource", "encrypted", "encrypted_size", "mode_of", "open_encrypted"]

BLOCK = 64 << 20
"""How much plain content MindSpore puts into one block."""

LARGEST_BLOCK = BLOCK + 50
"""MindSpore reads no larger ones."""

PIECE = 1 << 22
"""How much of an encrypted block is handed on at once."""

MOST_BLOCKS = 1 << 16
"""Of MindSpore's size they hold four terabytes."""

KEPT = 1 << 30
"""Decrypted bytes that are kept: within it, every block is decrypted once."""

NONCES = (12, 16)
"""How much of the 16 bytes GCM uses: 12 in MindSpore 2.10, all of them in other releases."""

IV = 16
TAG = 16
CIPHER_BLOCK = 16
TRAILER = b"crc_num"
TRAILER_SIZE = 17


@dataclass(frozen=True, slots=True)
class Mode:
    """One of the three ciphers: the number its blocks begin with, its key sizes, whether it notices changes."""

    name: str
    magic: int
    algorithm: str
    key_sizes: tuple[int, ...]
    authenticated: bool = False

    @property
    def head(self) -> int:
        """Bytes of a block before its cipher text."""
        return 4 + (TAG if self.authenticated else 0) + 4 + 4 + IV + 4


MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "AES-GCM": Mode("AES-GCM", 0x7F3A5ED8, "AES", (16, 24, 32), authenticated=True),
        "AES-CBC": Mode("AES-CBC", 0x7F3A5ED9, "AES", (16, 24, 32)),
        "SM4-CBC": Mode("SM4-CBC", 0x7F3A5EDA, "SM4", (16,)),
    }
)
_BY_MAGIC = {m.magic: m for m in MODES.values()}


def mode_of(head: bytes) -> Mode | None:
    """The cipher of encrypted content, or None where it is not encrypted.

    >>> mode_of(bytes.fromhex("d85e3a7f")).name
    'AES-GCM'
    """
    return _BY_MAGIC.get(struct.unpack_from("<I", head)[0]) if len(head) >= 4 else None


class Cipher:
    """A key and the way it is used.

    Raises:
        UsageError: an unknown mode, or a key of another kind or length.
        MissingDependencyError: the library that encrypts is not installed.
    """

    def __init__(self, key: Any, mode: Any, option: str) -> None:
        if mode not in MODES:
            raise UsageError(f"no encryption mode {printable(mode)}", expected=", ".join(MODES))
        self.mode = MODES[mode]
        if not isinstance(key, (bytes, bytearray)) or len(key) not in self.mode.key_sizes:
            found = f"{len(key)} bytes" if isinstance(key, (bytes, bytearray)) else type(key).__name__
            sizes = " or ".join(map(str, self.mode.key_sizes))
            raise UsageError(f"{option} does not fit {mode}", expected=f"{sizes} bytes", found=found)
        self._key = bytes(key)
        self._library = load("cryptography.hazmat.primitives.ciphers", "crypto")
        self._unsupported = load("cryptography.exceptions", "crypto").UnsupportedAlgorithm
        self.invalid_tag = load("cryptography.exceptions", "crypto").InvalidTag

    def _make(self, mode: Any) -> Any:
        return self._library.Cipher(getattr(self._library.algorithms, self.mode.algorithm)(self._key), mode)

    def encryptor(self, iv: bytes) -> Any:
        """What encrypts one block."""
        modes = self._library.modes
        return self._checked(
            lambda: self._make(modes.GCM(iv[: NONCES[0]]) if self.mode.authenticated else modes.CBC(iv)).encryptor()
        )

    def decryptor(self, iv: bytes, tag: bytes = b"") -> Any:
        """What decrypts one block; `iv` as long as the cipher uses it."""
        modes = self._library.modes
        return self._checked(
            lambda: self._make(modes.GCM(iv, tag) if self.mode.authenticated else modes.CBC(iv)).decryptor()
        )

    def _checked(self, make: Any) -> Any:
        try:
            return make()
        except self._unsupported as error:
            raise MissingDependencyError(
                f"this machine's OpenSSL has no {self.mode.name}", found=printable(error)
            ) from error


class _Block(NamedTuple):
    """Where one block stands, and which plain bytes it holds."""

    at: int
    cipher: int
    length: int
    iv: bytes
    tag: bytes
    start: int
    plain: int


class DecryptedSource(Source):
    """The plain content of an encrypted source: blocks are decrypted when they are first read, and kept.

    Up to 1 GiB of decrypted content stays in memory, so a checkpoint up to that size is decrypted once; of larger
    ones the blocks that were used least recently are let go, and decrypted again when they are asked for.
    """

    def __init__(self, source: Source, cipher: Cipher) -> None:
        self.source, self._cipher = source, cipher
        self.location = Location(source.location.uri, source.location.protocol, "", source.location.name)
        self._nonce = NONCES[0] if cipher.mode.authenticated else IV
        self._blocks = list(self._table())
        self._starts = [b.start for b in self._blocks]
        self.size = self._blocks[-1].start + self._blocks[-1].plain
        self._kept: OrderedDict[int, memoryview] = OrderedDict()

    @property
    def name(self) -> str:
        """The URI as messages show it; offsets are those of the decrypted content."""
        return f"{self.source.name} (decrypted)"

    def _table(self) -> Iterator[_Block]:
        """Every block's place; plain sizes of CBC blocks are known from their last 16 bytes alone."""
        cursor, mode, start, count = Cursor(self.source), self._cipher.mode, 0, 0
        while cursor.position < self.source.size:
            at, count = cursor.position, count + 1
            if count > MOST_BLOCKS:
                raise self._wrong("too many encrypted blocks", at, f"at most {MOST_BLOCKS}", "more")
            left = self.source.size - at
            if left == TRAILER_SIZE and cursor.take(len(TRAILER)) == TRAILER:
                # MindSpore writes a checksum of nothing behind the blocks when it was asked for both
                return
            cursor.position = at
            block = self._block(cursor, mode, at, start)
            yield block
            start += block.plain

    def _block(self, cursor: Cursor, mode: Mode, at: int, start: int) -> _Block:
        cursor.what = f"the encrypted block at byte {at}"
        magic = cursor.u32()
        if magic != mode.magic:
            found = _BY_MAGIC[magic].name if magic in _BY_MAGIC else f"{magic:#x}"
            raise self._wrong("no encrypted block begins here", at, f"{mode.magic:#x} ({mode.name})", found)
        tag = cursor.take(TAG) if mode.authenticated else b""
        whole, size = cursor.u32(), cursor.u32()
        if size != IV:
            raise self._wrong("an encrypted block's vector has a wrong size", at, str(IV), str(size))
        iv, length = cursor.take(IV), cursor.u32()
        if whole != 4 + IV + 4 + length or length > LARGEST_BLOCK:
            expected = f"{4 + IV + 4 + length} for {length} bytes, of which there are at most {LARGEST_BLOCK}"
            raise self._wrong("an encrypted block's sizes disagree", at, expected, str(whole))
        cipher = cursor.skip(length)
        plain = length if mode.authenticated else length - self._padding(cipher, length, iv, at)
        return _Block(at, cipher, length, iv, tag, start, plain)

    def _padding(self, cipher: int, length: int, iv: bytes, at: int) -> int:
        """How many bytes PKCS#7 added to a CBC block, from its last 16 bytes."""
        if not length or length % CIPHER_BLOCK:
            raise self._wrong("an encrypted block has an impossible size", at, "a multiple of 16 bytes", str(length))
        last = cipher + length - CIPHER_BLOCK
        before = iv if length == CIPHER_BLOCK else bytes(self.source.read(last - CIPHER_BLOCK, CIPHER_BLOCK))
        tail = self._cipher.decryptor(before).update(bytes(self.source.read(last, CIPHER_BLOCK)))
        count = tail[-1]
        if not 1 <= count <= CIPHER_BLOCK or tail[-count:] != bytes((count,)) * count:
            raise self.wrong_key(at)
        return count

    def _wrong(self, what: str, at: int, expected: str, found: str) -> DamagedError:
        return DamagedError(
            what,
            where=f"{self.source.name}, byte {at}",
            expected=expected,
            found=found,
            fix="the file is cut short or damaged: fetch it again",
        )

    def wrong_key(self, at: int) -> IntegrityError:
        """The error for a block that this key does not decrypt."""
        first = at == 0
        return IntegrityError(
            "the content cannot be decrypted" + (": the key does not fit, or the file was changed" if first else ""),
            where=f"{self.source.name}, the block at byte {at}",
            expected=f"what was encrypted with {self._cipher.mode.name} and this key",
            fix="check dec_key"
            if first
            else "the key fits the blocks before: this one was changed, fetch the file again",
        )

    def _plain(self, index: int) -> memoryview:
        found = self._kept.get(index)
        if found is None:
            found = self._decrypt(self._blocks[index])
            self._kept[index] = found
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return found

    def _decrypt(self, block: _Block) -> memoryview:
        lengths = (self._nonce, *(n for n in NONCES if n != self._nonce)) if self._cipher.mode.authenticated else (IV,)
        for length in lengths if block.at == 0 else lengths[:1]:
            decryptor = self._cipher.decryptor(block.iv[:length], block.tag)
            # what OpenSSL may write beyond the input is one cipher block; in small pages: a machine that lends its idle
            # memory to others takes three times as long to find so many large ones again
            plain = memoryview(bytearray(block.length + CIPHER_BLOCK))
            done = 0
            for part in Extent(self.source, block.cipher, block.length).chunks():
                done += decryptor.update_into(part, plain[done:])
            try:
                decryptor.finalize()
            except self._cipher.invalid_tag:
                continue
            self._nonce = length
            return plain[: block.plain].toreadonly()
        raise self.wrong_key(block.at)

    def _read(self, offset: int, length: int) -> memoryview:
        if not length:
            return memoryview(b"")
        index = bisect_right(self._starts, offset) - 1
        start = offset - self._starts[index]
        if start + length <= self._blocks[index].plain:
            return self._plain(index)[start : start + length]
        joined, done = memoryview(bytearray(length)), 0
        while done < length:
            part = self._plain(index)[start : start + length - done]
            joined[done : done + len(part)] = part
            done, index, start = done + len(part), index + 1, 0
        return joined.toreadonly()

    def close(self) -> None:
        """Let go of the encrypted file."""
        self.source.close()

    def block(self, offset: int, least: int) -> memoryview:
        """The rest of the decrypted block, where it is enough."""
        index = bisect_right(self._starts, offset) - 1
        rest = self._blocks[index].plain - (offset - self._starts[index])
        return self.read(offset, max(least, rest))


def open_encrypted(source: Source, mode: Mode, key: Any, asked: Any) -> DecryptedSource:
    """The plain content of an encrypted source.

    Args:
        source: the encrypted content.
        mode: what it was encrypted with, by its first bytes.
        key: the key, or None.
        asked: the mode that the caller named, or None.

    Raises:
        FormatError: no key was given, or the content is of another mode than was named.
        IntegrityError: the key does not fit.
    """
    if key is None:
        raise FormatError(
            f"this is an encrypted MindSpore checkpoint ({mode.name})",
            where=source.name,
            fix="give its key: dec_key=b'...' (--dec-key)",
        )
    if asked is not None and asked not in MODES:
        raise UsageError(f"no encryption mode {printable(asked)}", expected=", ".join(MODES))
    if asked not in (None, mode.name):
        raise FormatError(
            "the file is encrypted in another mode",
            where=source.name,
            expected=asked,
            found=mode.name,
            fix="drop dec_mode",
        )
    return DecryptedSource(source, Cipher(key, mode.name, "dec_key"))


def encrypted_size(plain: int, cipher: Cipher) -> int:
    """Bytes that `plain` bytes take when they are encrypted."""
    sizes = [min(BLOCK, plain - at) for at in range(0, plain, BLOCK)]
    return sum(cipher.mode.head + _cipher_length(n, cipher.mode) for n in sizes)


def _cipher_length(plain: int, mode: Mode) -> int:
    return plain if mode.authenticated else plain + CIPHER_BLOCK - plain % CIPHER_BLOCK


def encrypted(pieces: Iterable[Piece], plain: int, cipher: Cipher) -> Iterator[bytes]:
    """The encrypted form of `plain` bytes, in bounded pieces.

    A block's tag stands before its cipher text, so GCM holds one block (64 MiB) at a time; CBC holds a chunk.
    """
    chunks = _chunks(pieces)
    rest = memoryview(b"")
    mode = cipher.mode
    held = room(min(plain, BLOCK) + CIPHER_BLOCK) if mode.authenticated else None
    for at in range(0, plain, BLOCK):
        size = min(BLOCK, plain - at)
        iv = os.urandom(IV)
        length = _cipher_length(size, mode)
        encryptor = cipher.encryptor(iv)
        head = struct.pack("<II", 4 + IV + 4 + length, IV) + iv + struct.pack("<I", length)
        if held is None:
            yield struct.pack("<I", mode.magic) + head
        done = 0
        while done < size:
            rest = rest or next(chunks)
            part, rest = rest[: size - done], rest[size - done :]
            if held is None:
                yield encryptor.update(part)
            else:
                encryptor.update_into(part, held[done:])
            done += len(part)
        if held is None:
            pad = length - size
            yield encryptor.update(bytes((pad,)) * pad)
            continue
        encryptor.finalize()
        yield struct.pack("<I", mode.magic) + encryptor.tag + head
        for start in range(0, size, PIECE):
            # a copy: what was handed on must not change with the next block
            yield bytes(held[start : min(start + PIECE, size)])


def _chunks(pieces: Iterable[Piece]) -> Iterator[memoryview]:
    for piece in pieces:
        for chunk in (piece,) if isinstance(piece, bytes) else piece.chunks():
            view = memoryview(chunk)
            yield view if view.ndim == 1 and view.format == "B" else view.cast("B")
