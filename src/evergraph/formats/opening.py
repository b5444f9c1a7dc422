"""Opens what a URI means: a file of any format, a folder, a prefix, an archive, or standard input."""

import errno
import os
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import StoreError, printable
from evergraph.formats.bundle import Bundle
from evergraph.formats.folder import in_folder
from evergraph.formats.mxnet_checkpoint import MXNetCheckpoint, prefix_bundle
from evergraph.formats.mxnet_pair import split_name
from evergraph.formats.registry import by_content, by_name
from evergraph.formats.tensorflow_folder import index_in_folder, index_of_prefix
from evergraph.formats.training_state import state_in_folder
from evergraph.stores import Location, list_folder, locate, open_source

__all__ = ["open_checkpoint"]

_BUCKETS = ("s3", "gs", "azure")


def open_checkpoint(uri: object, form: str | None = None, **options: Any) -> Checkpoint:
    """The checkpoint that a URI means.

    1. Standard input, and what is a file: its content decides.
    2. A folder: the checkpoint in it; where there are several, `member` chooses.
    3. Anything else is the prefix of `prefix-symbol.json` and `prefix-0000.params`, or of TensorFlow's `prefix.index`.

    Args:
        uri: a path, `-`, or a URI.
        form: name of the format, where the content shall not decide.
        options: what the format takes; `member` and `epoch` for folders, archives and prefixes.

    Raises:
        StoreError: nothing is there; the message says what was looked for.
        FormatError: no known format.
    """
    location = uri if isinstance(uri, Location) else locate(uri)
    if form is not None:
        by_name(form)  # a name of no format is said before anything is looked for
    if form == MXNetCheckpoint.name:
        return _pair(location, options)
    if form is not None or location.is_stream:
        return _file(location, form, options)
    if _is_folder(location):
        return _in_folder(location, options)
    try:
        return _file(location, None, options)
    except StoreError as error:
        if error.errno != errno.ENOENT:
            raise
        index = index_of_prefix(location)
        if index is not None:
            return _file(index, None, options)
        bundle = _prefix(location, location.basename)
        if bundle is None:
            raise _nothing(location, error) from error
    return bundle.open(**options)


def _in_folder(location: Location, options: dict[str, Any]) -> Checkpoint:
    state = state_in_folder(location, options.get("member"))
    if state is not None:
        return _file(state, None, {k: v for k, v in options.items() if k != "member"})
    index = in_folder(location) if options.get("member") is None else location
    if index != location:
        return _file(index, None, options)
    index = index_in_folder(location, options.get("member"))
    if index is None:
        return _folder(location).open(**options)
    return _file(index, None, {k: v for k, v in options.items() if k != "member"})


def _file(location: Location, form: str | None, options: dict[str, Any]) -> Checkpoint:
    source = open_source(location)
    found = by_name(form) if form is not None else by_content(source)
    return found.read(source, **options)


def _pair(location: Location, options: dict[str, Any]) -> Checkpoint:
    prefix, epoch = split_name(location.basename)
    bundle = _prefix(location, prefix)
    if bundle is None:
        raise _nothing(location, None)
    return bundle.open(epoch=options.pop("epoch", epoch), **options)


def _is_folder(location: Location) -> bool:
    # remote stores have no folders of their own: a slash at the end says that one is meant, or a bucket alone
    if location.is_local:
        return os.path.isdir(location.name)
    return location.uri.endswith("/") or (location.protocol in _BUCKETS and not location.name.strip("/"))


def _folder(location: Location) -> Bundle:
    base = location.uri.partition("?")[0].rstrip("/")
    names = list_folder(location)
    return Bundle(names, lambda n: open_source(locate(f"{base}/{n}")), location.shown.rstrip("/"))


def _prefix(location: Location, prefix: str) -> Bundle | None:
    try:
        return prefix_bundle(location, prefix)
    except StoreError:
        # the folder is not there either, or a server that lists nothing
        return None


def _nothing(location: Location, error: StoreError | None) -> StoreError:
    import difflib

    tried = [location.shown, f"{location.shown}-symbol.json", f"{location.shown}-NNNN.params"]
    near: list[str] = []
    if location.is_local and os.path.islink(location.name):
        return StoreError(
            "this is a link to a file that is not there",
            where=location.shown,
            found=printable(os.readlink(location.name)),
            fix="a git-annex or Hugging Face cache file that was never fetched? fetch it",
        )
    if location.is_local:
        folder = os.path.dirname(location.name) or "."
        if not os.path.isdir(folder):
            return StoreError(
                "there is no such file, folder or prefix",
                where=location.shown,
                fix=f"the folder {printable(folder)} does not exist",
            )
        near = difflib.get_close_matches(location.basename, list_folder(locate(folder)), 3, 0.5)
    found = StoreError(
        "there is no such file, folder or prefix",
        where=location.shown,
        details=[f"tried {t}" for t in tried],
        found=f"near: {', '.join(map(printable, near))}" if near else None,
        fix="check the name",
    )
    found.errno = error.errno if error is not None else None
    return found
