"""Folders and files that come and go: made before a save, removed after a newer one is durable."""

import os
from typing import Any

from evergraph.errors import StoreError
from evergraph.stores.uri import Location, locate

__all__ = ["list_folders", "make_folder", "remove_file", "remove_folder"]

_BUCKETS = frozenset(("s3", "gs", "azure"))
"""Protocols of stores whose only folders are buckets: a misspelled one must be an error, not a new bucket."""


def _located(uri: object) -> Location:
    return uri if isinstance(uri, Location) else locate(uri)


def _explained(location: Location, what: str, error: OSError) -> StoreError:
    found = StoreError(what, where=location.shown, found=error.strerror or error)
    found.errno = error.errno
    return found


def _remote(location: Location) -> tuple[Any, str, Any]:
    from evergraph.stores.remote import failed, file_system

    system, path = file_system(location)
    return system, path, failed


def make_folder(uri: object) -> None:
    """Make a folder, and those above it, where they are not there; object stores have none, and get no new bucket.

    Raises:
        StoreError: it cannot be made.

    >>> import os, tempfile
    >>> folder = os.path.join(tempfile.mkdtemp(), "runs", "lenet"); make_folder(folder); os.path.isdir(folder)
    True
    """
    location = _located(uri)
    if location.is_local:
        try:
            os.makedirs(location.name, exist_ok=True)
        except OSError as error:
            raise _explained(location, "the folder cannot be made", error) from error
        return
    if location.protocol in _BUCKETS:
        return
    system, path, failed = _remote(location)
    try:
        system.makedirs(path, exist_ok=True)
    except Exception as error:
        raise failed(location, "the folder cannot be made", error) from error


def list_folders(uri: object) -> list[str]:
    """Names of the folders in a folder, sorted; none where the folder itself is not there.

    Raises:
        StoreError: the folder cannot be listed.
    """
    location = _located(uri)
    if location.is_local:
        try:
            return sorted(e.name for e in os.scandir(location.name or ".") if e.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _explained(location, "the folder cannot be listed", error) from error
    system, path, failed = _remote(location)
    try:
        # another process may have written there: what the library remembers of the folder is not asked
        system.invalidate_cache()
        rows = system.ls(path, detail=True) if system.exists(path) else []
    except Exception as error:
        raise failed(location, "the folder cannot be listed", error) from error
    return sorted(r["name"].rstrip("/").rsplit("/", 1)[-1] for r in rows if r.get("type") == "directory")


def remove_file(uri: object) -> None:
    """Remove a file; one that is not there is no error.

    Raises:
        StoreError: it cannot be removed.
    """
    location = _located(uri)
    if location.is_local:
        try:
            os.unlink(location.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _explained(location, "the file cannot be removed", error) from error
        return
    system, path, failed = _remote(location)
    try:
        if system.exists(path):
            system.rm_file(path)
    except Exception as error:
        raise failed(location, "the file cannot be removed", error) from error


def remove_folder(uri: object) -> None:
    """Remove an empty folder; one that is not there, or not empty, is no error.

    Raises:
        StoreError: it cannot be removed for another reason.
    """
    location = _located(uri)
    if location.is_local:
        try:
            os.rmdir(location.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if os.path.isdir(location.name) and os.listdir(location.name):
                return  # what somebody else keeps there stays
            raise _explained(location, "the folder cannot be removed", error) from error
        return
    system, path, failed = _remote(location)
    try:
        if system.isdir(path) and not system.ls(path, detail=False):
            system.rmdir(path)
    except Exception as error:
        raise failed(location, "the folder cannot be removed", error) from error
