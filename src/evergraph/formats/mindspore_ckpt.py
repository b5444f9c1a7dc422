"""MindSpore's `.ckpt` files: records, checksum trailer, encryption. Layout: docs/formats/mindspore-ckpt.md."""

import itertools
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import IntegrityError, UsageError, printable
from evergraph.formats.base import File, Format, Layout, Piece
from evergraph.formats.carry import CARRY, Target, describe, encodable, known, restore
from evergraph.formats.mindspore_encryption import (
    MODES,
    Cipher,
    encrypted,
    encrypted_size,
    mode_of,
    open_encrypted,
)
from evergraph.formats.mindspore_messages import TRAILER, TYPES, looks_like_records
from evergraph.formats.mindspore_records import OWN, read_records
from evergraph.formats.mindspore_writer import CUTTERS, SLICE, plan_tensor
from evergraph.stores import Location, Source
from evergraph.stores.progress import advance
from evergraph.tensors import DENSE, MAP, TEXT, Blob, Extent, Tensor

__all__ = ["MANIFEST", "MindSporeCheckpoint"]

MANIFEST = "evergraph.metadata"
"""Name of the text record that keeps what the format has no place for."""

TRAILER_SIZE = 17
_READ_ONLY = 0o400
_TARGET = Target(
    OWN,
    "a MindSpore checkpoint",
    {ours: ours for ours in TYPES.values()},
    frozenset((DENSE, TEXT, MAP)),
    accepts=lambda name: name != MANIFEST and encodable(name),
)


class MindSporeCheckpoint(Format):
    """MindSpore's checkpoint files: tensors, texts and maps, checksummed or encrypted where that was asked for."""

    name = OWN
    title = _TARGET.title
    suffixes = (".ckpt",)
    read_options = MappingProxyType(
        {
            "dec_key": "key of an encrypted file, as bytes",
            "dec_mode": "its mode (found from the file where not given): " + ", ".join(MODES),
            "crc_check": "True: compare the file's checksum",
            "duplicates": "'last': of several entries of one name take the last",
            "unknown_fields": "'keep': go on where records hold fields that the format does not have",
            "carried": "False: show the file's own entries only, without what evergraph keeps beside them",
        }
    )
    write_options = MappingProxyType(
        {
            "crc_check": "True: end the file with its checksum",
            "enc_key": "key to encrypt the file with, as bytes",
            "enc_mode": "how to encrypt it: " + ", ".join(MODES),
            "carry": CARRY,
            "slices": "how large tensors are cut: 'bytes' (synchronous saves) or 'rows' (asynchronous ones)",
            "slice_size": f"bytes of the largest piece ({SLICE})",
            "read_only": "True: only the owner may read the file, as MindSpore leaves its files",
        }
    )

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins with a record, or with a block of one of the encryptions."""
        return mode_of(head) is not None or looks_like_records(head)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The entries of a file, read when asked.

        Raises:
            DamagedError: naming byte offsets and entries, what was expected and found.
            FormatError: the file is encrypted and no key is given, or the other way round.
            IntegrityError: the key does not fit, or with `crc_check` the checksum disagrees.
        """
        self.check_options(options, self.read_options)
        _check_choice(options, "duplicates", ("last",))
        _check_choice(options, "unknown_fields", ("keep",))
        plain, details = _plain(source, options)
        limit = plain.size
        if limit >= TRAILER_SIZE and plain.peek(limit - TRAILER_SIZE, len(TRAILER)) == TRAILER:
            limit -= TRAILER_SIZE
            details["crc"] = True
        if options.get("crc_check"):
            _check_crc(plain, limit)
        tensors = read_records(plain, limit, options.get("duplicates"), options.get("unknown_fields"))
        manifest = tensors.pop(MANIFEST, None) if options.get("carried", True) else None
        found = Checkpoint(tensors, format=self.name, details=details, name=source.name)
        return restore(found, str(manifest)) if manifest is not None else found

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The one file that holds these entries.

        Entries keep the pieces that they were read in, and the file its checksum; both can be chosen anew.
        """
        self.check_options(options, self.write_options)
        _check_choice(options, "slices", CUTTERS)
        carried = describe(checkpoint, _TARGET, options.get("carry", True))
        tensors = dict(carried.tensors)
        if carried.manifest:
            tensors[MANIFEST] = Tensor.text(carried.manifest)
        cutter, limit = options.get("slices"), _slice_size(options)
        plans = [plan_tensor(name, tensor, cutter, limit) for name, tensor in tensors.items()]
        plain = sum(p.nbytes for p in plans)
        own = known(checkpoint, self.name)
        cipher = _cipher(options)
        crc = options.get("crc_check", bool(own.get("crc")) and cipher is None)

        def pieces() -> Iterator[Piece]:
            records: Iterator[Piece] = itertools.chain.from_iterable(p.pieces() for p in plans)
            if cipher is not None:
                return encrypted(records, plain, cipher)
            return _with_crc(records) if crc else records

        size = encrypted_size(plain, cipher) if cipher is not None else plain + TRAILER_SIZE * crc
        notes = [*carried.notes, *_notes(carried.tensors, own, cipher)]
        mode = _READ_ONLY if options.get("read_only") else None
        return Layout((File(target, pieces, size, mode),), carried.losses, tuple(notes))


def _check_choice(options: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if options.get(name) not in (None, *choices):
        raise UsageError(f"{name} cannot be {printable(options[name])}", expected=", ".join(choices))


def _slice_size(options: Mapping[str, Any]) -> int:
    size = options.get("slice_size", SLICE)
    if type(size) is not int or size < 1:
        raise UsageError("slice_size is not a number of bytes", expected="at least 1", found=printable(size))
    return size


def _cipher(options: Mapping[str, Any]) -> Cipher | None:
    if options.get("enc_key") is None:
        if options.get("enc_mode") is not None:
            raise UsageError("enc_mode without enc_key", fix="give the key: enc_key=b'...'")
        return None
    if options.get("crc_check"):
        raise UsageError(
            "crc_check and enc_key exclude each other",
            fix="AES-GCM notices every change by itself; MindSpore cannot read a file that has both",
        )
    return Cipher(options["enc_key"], options.get("enc_mode") or "AES-GCM", "enc_key")


def _plain(source: Source, options: Mapping[str, Any]) -> tuple[Source, dict[str, Any]]:
    """The content without its encryption, and what to remember of it."""
    head, key = source.head(4), options.get("dec_key")
    mode = mode_of(head)
    if mode is None:
        if key is not None:
            raise UsageError("a key was given, and the file is not encrypted", where=source.name, fix="drop dec_key")
        return source, {}
    plain = open_encrypted(source, mode, key, options.get("dec_mode"))
    # CBC notices no wrong key by itself
    if not mode.authenticated and not looks_like_records(plain.head(64)):
        raise plain.wrong_key(0)
    return plain, {"encrypted": mode.name}


def _check_crc(source: Source, limit: int) -> None:
    """Compare the checksum of all records with the one behind them."""
    if limit == source.size:
        raise IntegrityError(
            "the file carries no checksum to compare",
            where=source.name,
            expected="a trailer of 17 bytes that begins with crc_num",
            fix="open it without crc_check; a file that was cut between records ends like this as well",
        )
    found = 0
    for part in Extent(source, 0, limit).chunks():
        found = zlib.crc32(part, found)
        advance("checking", len(part), limit)
    expected = int.from_bytes(source.read(limit + len(TRAILER), TRAILER_SIZE - len(TRAILER)), "big")
    if found != expected:
        raise IntegrityError(
            "the checksum disagrees: the file is not what was saved",
            where=f"{source.name}, bytes 0 to {limit}",
            expected=f"CRC-32 {expected:08x}",
            found=f"{found:08x}",
            fix="fetch the file again; without crc_check its values are read as they are",
        )


class _Summed:
    """A piece whose chunks are added to a checksum while they pass."""

    def __init__(self, piece: Blob, add: Any) -> None:
        self._piece, self._add, self.nbytes = piece, add, piece.nbytes

    def chunks(self) -> Iterator[Any]:
        for chunk in self._piece.chunks():
            self._add(chunk)
            yield chunk


def _with_crc(pieces: Iterator[Piece]) -> Iterator[Any]:
    total = 0

    def add(chunk: Any) -> None:
        nonlocal total
        total = zlib.crc32(chunk, total)

    for piece in pieces:
        if isinstance(piece, bytes):
            add(piece)
            yield piece
        else:
            yield _Summed(piece, add)
    yield TRAILER + total.to_bytes(TRAILER_SIZE - len(TRAILER), "big")


def _notes(tensors: Mapping[str, Tensor], own: Mapping[str, Any], cipher: Cipher | None) -> Iterator[str]:
    if own.get("encrypted") and cipher is None:
        yield f"the source was encrypted ({own['encrypted']}), this file is not"
    if own.get("crc") and cipher is not None:
        yield "the source's checksum is left out: the encryption takes its place"
    for name, tensor in tensors.items():
        if tensor.storage == DENSE and tensor.shape == (0,):
            yield f"{printable(name)}: shape (0,) comes back here; MindSpore reads it as a scalar without a value"
