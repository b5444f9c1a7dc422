"""Says what content is that is no checkpoint: an HTML page, a Git LFS pointer, a picture, nothing at all."""

from evergraph.errors import FormatError, printable
from evergraph.stores import Source

__all__ = ["explain"]

_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run `git lfs pull` in the repository"),
    (b"\x89PNG", "a PNG picture", None),
    (b"\xff\xd8\xff", "a JPEG picture", None),
    (b"GIF8", "a GIF picture", None),
    (b"%PDF", "a PDF document", None),
    (b"\x89HDF\r\n", "an HDF5 file (Keras?)", "convert it with the framework that wrote it"),
    (b"\x7fELF", "a Linux program or library", None),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
)


def explain(head: bytes, source: Source) -> FormatError:
    """The error for content that no format recognises."""
    if source.size == 0:
        return FormatError(
            "the file is empty (0 bytes)", where=source.name, fix="fetch or save it again; nothing arrived"
        )
    for beginning, what, fix in _BEGINNINGS:
        if head.startswith(beginning):
            return FormatError(f"this is {what}", where=source.name, fix=fix)
    text = head.lstrip()[:512].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return FormatError(
            "this is an HTML page, not a checkpoint",
            where=source.name,
            fix="the download failed or needs a login; fetch the file itself",
        )
    if text.startswith((b"<?xml", b"<error")):
        return FormatError(
            "this is an XML document, not a checkpoint",
            where=source.name,
            fix="a store's error message? fetch it again",
        )
    return FormatError(
        "no known format",
        where=source.name,
        found=f"first bytes {printable(head[:16].hex(' '))}",
        fix="see `evergraph inspect --help` for what is read",
    )
