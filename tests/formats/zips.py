"""Where the content of a zip archive's members lies: damage there must be noticed."""

import io
import zipfile


def content_ranges(data):
    """(begin, end) of each stored member's content; the last byte of a compressed one has bits without meaning."""
    found = []
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            continue
        at = info.header_offset
        begin = (
            at
            + 30
            + int.from_bytes(data[at + 26 : at + 28], "little")
            + int.from_bytes(data[at + 28 : at + 30], "little")
        )
        found.append((begin, begin + info.compress_size))
    return found
