"""Opens the source that a URI names, and looks around it."""

import os
from typing import Any

from evergraph.errors import StoreError, UsageError
from evergraph.stores.source import LocalSource, Source, StreamSource
from evergraph.stores.uri import Location, locate

__all__ = ["exists", "list_folder", "open_source"]


def open_source(uri: object, **options: Any) -> Source:
    """The bytes at a URI, local files mapped, remote ones read by the ranges that are asked for.

    Args:
        uri: a path, `-`, or a URI (see `evergraph.stores.uri`).
        options: passed on to fsspec's file system for remote URIs.

    Raises:
        UsageError: an unknown protocol.
        StoreError: the bytes cannot be reached.
        MissingDependencyError: the protocol takes a library that is not installed.
    """
    location = uri if isinstance(uri, Location) else locate(uri)
    if location.is_stream:
        if location.name == "stdout":
            raise UsageError("standard output cannot be read", fix="use - or stdin")
        return StreamSource(location)
    if location.is_local:
        return LocalSource(location)
    from evergraph.stores.remote import open_remote

    return open_remote(location, **options)


def exists(uri: object) -> bool:
    """Whether there is a file at a URI."""
    location = uri if isinstance(uri, Location) else locate(uri)
    if location.is_stream:
        return False
    if location.is_local:
        return os.path.isfile(location.name)
    from evergraph.stores.remote import remote_exists

    return remote_exists(location)


def list_folder(uri: object) -> list[str]:
    """Names of the files in a folder, sorted.

    Raises:
        StoreError: the folder cannot be listed.
    """
    location = uri if isinstance(uri, Location) else locate(uri)
    if location.is_local:
        try:
            return sorted(e.name for e in os.scandir(location.name or ".") if e.is_file())
        except OSError as error:
            raise StoreError("the folder cannot be listed", where=location.shown, found=error.strerror) from error
    from evergraph.stores.remote import remote_list

    return remote_list(location)
