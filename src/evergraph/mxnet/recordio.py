"""`mx.recordio`: files of records, byte for byte MXNet's, and images packed with their labels.

A record is the magic word, a word with a part code (3 bits) and a length (29 bits), the bytes, and zeros up to a
multiple of four. Where the magic word itself stands at such a multiple inside a record, it is left out and the record
is cut there into parts, so that a reader can find the start of a record from anywhere.
"""

import os
import struct
from collections import namedtuple
from collections.abc import Callable
from numbers import Number
from typing import IO, Any, Self

import numpy as np

from evergraph.errors import DamagedError, StoreError, UsageError, printable

__all__ = ["IRHeader", "MXIndexedRecordIO", "MXRecordIO", "pack", "pack_img", "unpack", "unpack_img"]

_MAGIC = struct.pack("<I", 0xCED7230A)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LARGEST = (1 << 29) - 1


class _ProcessError(UsageError):
    """A record file was opened in another process."""


class _UnknownRecordError(UsageError, KeyError):
    """A key that the index does not hold."""

    __str__ = UsageError.__str__


class _WrongDirectionError(UsageError, AssertionError):
    """A file opened for writing is read, or the other way round."""


def encode_record(data: bytes) -> bytes:
    r"""A record as it stands in a file.

    Raises:
        UsageError: data is longer than 2**29 - 1 bytes.

    >>> encode_record(b"abcde").hex()
    '0a23d7ce050000006162636465000000'
    """
    if len(data) > _LARGEST:
        raise UsageError("a record is too long", expected=f"at most {_LARGEST:,} bytes", found=f"{len(data):,} bytes")
    pieces, start, at = [], 0, data.find(_MAGIC)
    aligned = len(data) & ~3
    while 0 <= at < aligned:
        if at % 4:
            at = data.find(_MAGIC, at + 1)
            continue
        pieces.append(_part(_MIDDLE if pieces else _FIRST, data[start:at]))
        start = at + 4
        at = data.find(_MAGIC, start)
    pieces.append(_part(_LAST if pieces else _WHOLE, data[start:]))
    return b"".join(pieces) + bytes(-len(data) % 4)


def _part(code: int, data: bytes) -> bytes:
    return _MAGIC + struct.pack("<I", code << 29 | len(data)) + data


def _open(uri: str, mode: str, what: str) -> IO[Any]:
    try:
        if "://" in uri:
            import fsspec

            return fsspec.open(uri, mode).open()  # type: ignore[return-value]
        return open(uri, mode)
    except OSError as error:
        raise StoreError(
            f"the {what} cannot be opened for {'reading' if 'r' in mode else 'writing'}",
            where=printable(uri),
            found=error.strerror or str(error),
        ) from error


class MXRecordIO:
    """Records read or written in sequence.

    Args:
        uri: path of the file, or a URI.
        flag: `r` to read, `w` to write (an existing file is emptied).

    Raises:
        StoreError: the file cannot be opened.
        ValueError: another flag.
    """

    is_open = False

    def __init__(self, uri: str, flag: str) -> None:
        self.uri = os.fspath(uri)
        self.flag = flag
        self.pid: int | None = None
        self.handle: Any = None
        self.open()

    def open(self) -> None:
        """Open the file at its start."""
        if self.flag not in ("r", "w"):
            raise UsageError(f"Invalid flag {self.flag}", expected="'r' or 'w'", where=printable(self.uri))
        self.writable = self.flag == "w"
        self.handle = _open(self.uri, self.flag + "b", "record file")
        self._at = 0
        self._size = 0 if self.writable else self._measure()
        self.pid = os.getpid()
        self.is_open = True

    def _measure(self) -> int:
        size = self.handle.seek(0, os.SEEK_END)
        self.handle.seek(0)
        return self.handle.tell() if size is None else size

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "is_open": self.is_open}
        self.close()
        return state | {"handle": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.is_open = False
        if state["is_open"]:
            self.open()

    def _check_pid(self, allow_reset: bool = False) -> None:
        if self.pid == os.getpid():
            return
        if not allow_reset:
            raise _ProcessError(
                "a record file is not shared between processes",
                where=printable(self.uri),
                expected=f"process {self.pid}, which opened it",
                found=f"process {os.getpid()}",
                fix="call reset() in each process, or open the file there",
            )
        self.reset()

    def _check(self, writing: bool) -> None:
        if not self.is_open or writing != self.writable:
            raise _WrongDirectionError(
                f"the record file is not open for {'writing' if writing else 'reading'}",
                where=printable(self.uri),
                found=f"opened with flag {self.flag!r}" if self.is_open else "closed",
            )

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self.is_open:
            self.is_open = False
            self.pid = None
            self.handle.close()

    def reset(self) -> None:
        """Go back to the first record; a file opened with `w` is emptied."""
        self.close()
        self.open()

    def write(self, buf: bytes) -> None:
        """Add a record.

        Raises:
            UsageError: the file is open for reading, buf is too long, or another process opened the file.
        """
        self._check(writing=True)
        self._check_pid()
        encoded = encode_record(bytes(buf) if not isinstance(buf, bytes) else buf)
        self.handle.write(encoded)
        self._at += len(encoded)

    def read(self) -> bytes | None:
        """The next record; None at the end of the file.

        Raises:
            DamagedError: the file breaks off, or no record starts here; the message names the offset.
        """
        self._check(writing=False)
        self._check_pid()
        parts: list[bytes] = []
        while True:
            start = self._at
            head = self.handle.read(8)
            if not head and not parts:
                return None
            if len(head) < 8 or head[:4] != _MAGIC:
                raise self._damaged(
                    start, "the magic word 0xced7230a and a length", head.hex(" ") or "the end of the file"
                )
            (word,) = struct.unpack("<I", head[4:])
            code, length = word >> 29, word & _LARGEST
            padded = length + 3 & ~3
            if start + 8 + padded > self._size:
                raise self._damaged(start, f"{padded:,} bytes", f"{self._size - start - 8:,} up to the file's end")
            if code not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
                raise self._damaged(start, "the next part" if parts else "a record's start", f"part code {code}")
            parts.append(self.handle.read(padded)[:length])
            self._at = start + 8 + padded
            if code in (_WHOLE, _LAST):
                return _MAGIC.join(parts) if len(parts) > 1 else parts[0]

    def _damaged(self, offset: int, expected: str, found: str) -> DamagedError:
        return DamagedError(
            "the record file is damaged",
            where=f"{printable(self.uri)}, byte {offset:,}",
            expected=expected,
            found=found,
            fix="pack the images again; an index of other records gives wrong offsets too",
        )


class MXIndexedRecordIO(MXRecordIO):
    r"""Records found by key: beside the records, an index with a line `key\toffset` for each.

    Args:
        idx_path: path of the index.
        uri: path of the records.
        flag: `r` or `w`.
        key_type: makes a key from its text.

    Raises:
        StoreError: a file cannot be opened.
        DamagedError: a line of the index is no key and offset.
    """

    def __init__(self, idx_path: str, uri: str, flag: str, key_type: Callable[[Any], Any] = int) -> None:
        self.idx_path = os.fspath(idx_path)
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        self.key_type = key_type
        self.fidx: Any = None
        super().__init__(uri, flag)

    def open(self) -> None:
        """Open both files; a reader loads the index."""
        super().open()
        self.idx, self.keys = {}, []
        try:
            self.fidx = _open(self.idx_path, self.flag, "index")
            if not self.writable:
                self._read_index()
        except Exception:
            self.close()
            raise

    def _read_index(self) -> None:
        for number, line in enumerate(self.fidx, 1):
            fields = line.strip().split("\t")
            try:
                key, offset = self.key_type(fields[0]), int(fields[1])
            except (ValueError, IndexError) as error:
                raise DamagedError(
                    "a line of the index is no key and offset",
                    where=f"{printable(self.idx_path)}, line {number}",
                    expected="a key, a tab and a number",
                    found=printable(line),
                ) from error
            self.idx[key] = offset
            self.keys.append(key)

    def close(self) -> None:
        """Close both files."""
        if self.is_open:
            super().close()
            if self.fidx is not None:
                self.fidx.close()

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"fidx": None}

    def seek(self, idx: Any) -> None:
        """Go to the record of a key; a process that did not open the file opens it anew.

        Raises:
            UsageError: the key is unknown (a KeyError too), or the file is open for writing.
        """
        self._check(writing=False)
        self._check_pid(allow_reset=True)
        if idx not in self.idx:
            raise _UnknownRecordError(
                "no record has this key",
                where=printable(self.idx_path),
                expected=f"one of {len(self.idx):,} keys",
                found=repr(idx),
            )
        self._at = self.handle.seek(self.idx[idx]) or self.idx[idx]

    def tell(self) -> int:
        """Where the next record will be written, in bytes."""
        self._check(writing=True)
        return self._at

    def read_idx(self, idx: Any) -> bytes | None:
        """The record of a key."""
        self.seek(idx)
        return self.read()

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Add a record under a key."""
        key = self.key_type(idx)
        at = self.tell()
        self.write(buf)
        self.fidx.write(f"{key}\t{at}\n")
        self.idx[key] = at
        self.keys.append(key)


IRHeader = namedtuple("HEADER", ["flag", "label", "id", "id2"])
"""What stands before an image in a record: flag (how many labels follow, 0 for one inside), label, id and id2."""

_HEADER = struct.Struct("<IfQQ")


def pack(header: Any, s: bytes) -> bytes:
    """A header and bytes as one record.

    Args:
        header: an IRHeader; its label is a number or an array, its flag is set from it.
        s: the bytes, mostly a compressed image.

    >>> header, data = unpack(pack(IRHeader(0, [1, 2], 7, 0), b"image"))
    >>> header.flag, header.label.tolist(), data
    (2, [1.0, 2.0], b'image')
    """
    _, label, *ids = IRHeader(*header)
    if isinstance(label, Number):
        return _HEADER.pack(0, label, *ids) + s
    values = np.asarray(label, dtype="<f4")
    return _HEADER.pack(values.size, 0, *ids) + values.tobytes() + s


def unpack(s: bytes) -> tuple[Any, bytes]:
    """The header and the bytes of a record that `pack` made.

    Raises:
        DamagedError: the record is shorter than its header says.
    """
    size = _HEADER.size
    count = _HEADER.unpack_from(s)[0] if len(s) >= size else 0
    if len(s) < size + 4 * count:
        raise DamagedError(
            "the record is too short for its header",
            expected=f"{size} bytes and {count} labels",
            found=f"{len(s)} bytes",
        )
    header = IRHeader(*_HEADER.unpack_from(s))
    if count:
        header = header._replace(label=np.frombuffer(s, "<f4", count, size))
    return header, s[size + 4 * count :]


def unpack_img(s: bytes, iscolor: int = -1) -> tuple[Any, np.ndarray]:
    """The header and the image of a record.

    Args:
        s: the record.
        iscolor: 1 for colour, 0 for grey, -1 for the image as it is.

    Returns:
        The header, and the image (height, width[, channels]) as uint8, colours in the order blue, green, red.
    """
    from evergraph.mxnet.image.codecs import decode

    header, data = unpack(s)
    image = decode(data, {0: "grey", 1: "colour"}.get(iscolor, "as it is"))
    if image.ndim == 3:
        order = [2, 1, 0, 3][: image.shape[2]]
        image = np.ascontiguousarray(image[..., order])
    return header, image


def pack_img(header: Any, img: Any, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """A header and an image as one record.

    Args:
        header: an IRHeader.
        img: (height, width[, channels]) uint8, colours in the order blue, green, red.
        quality: of JPEG, 1 to 100; of PNG, the compression, 1 to 9.
        img_fmt: `.jpg` or `.png`.
    """
    from evergraph.mxnet.image.codecs import encode

    image = np.asarray(img)
    if image.ndim == 3 and image.shape[2] >= 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return pack(header, encode(image, img_fmt, quality))
