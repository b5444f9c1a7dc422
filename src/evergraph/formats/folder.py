"""What to open in a folder: the file that stands for all of it."""

import os

from evergraph.errors import UsageError, printable
from evergraph.formats.candidates import find, strong
from evergraph.stores import Location, list_folder, locate

__all__ = ["in_folder"]


def in_folder(uri: object) -> Location:
    """The index of a folder of safetensors shards, where it stands for all of it; any other location as it is.

    Args:
        uri: a local path, or a remote URI, which is a folder's where it ends with a slash.

    Raises:
        UsageError: the folder holds several indexes.
    """
    location = uri if isinstance(uri, Location) else locate(uri)
    is_folder = os.path.isdir(location.name) if location.is_local else location.uri.endswith("/")
    if not is_folder or location.is_stream:
        return location
    from evergraph.formats.safetensors_index import SUFFIX

    names = list_folder(location)
    found, usual = [n for n in names if n.endswith(SUFFIX)], "model" + SUFFIX
    if len(found) > 1 and usual not in found:
        raise UsageError(
            "the folder holds several indexes of safetensors shards",
            where=location.shown,
            found=", ".join(map(printable, found)),
            fix="open one of them",
        )
    if not found:
        return location
    name = usual if usual in found else found[0]
    # one of many checkpoints: which one is meant only the caller can say
    if name != usual and len(strong(find(names))) > 1:
        return location
    return locate(f"{location.uri.rstrip('/')}/{name}")
