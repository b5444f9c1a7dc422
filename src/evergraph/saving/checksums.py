"""Checksums for each tensor: computed while the bytes stream, kept in a manifest or a sidecar, checked on request.

A manifest is one JSON object: `evergraph` (its version, 1), `format`, and `versions`, the newest first. Each version
has `files` (name -> size in bytes) and `tensors` (name -> CRC-32 of its stored bytes, eight hex digits; the parts of a
sparse tensor as `name/data`, `name/indices`...). A second version describes what the file held before: a crash between
the manifest and the file leaves a manifest that fits both.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, EvergraphError, printable
from evergraph.stores import Location, exists, open_source
from evergraph.stores.progress import advance
from evergraph.tensors import Blob, Tensor

__all__ = ["SUFFIX", "Hasher", "checksums", "labelled", "manifest", "read_manifest", "wrong_tensors"]

SUFFIX = ".evg.json"
"""Ending of a manifest's name: `model.params.evg.json` beside `model.params`."""

LARGEST_MANIFEST = 64 << 20


def labelled(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Blob]]:
    """Every stored array of a checkpoint with its label.

    >>> import numpy as np
    >>> [label for label, _ in labelled({"w": Tensor.of(np.zeros(2))})]
    ['w']
    """
    for name, tensor in tensors.items():
        if tensor.parts:
            yield from ((f"{name}/{part}", found.blob) for part, found in tensor.parts.items())
        else:
            yield name, tensor.blob


class Hasher:
    """Computes CRC-32s in a thread beside the writing; `results()` gives them when all bytes have passed.

    Args:
        labels: the blobs to watch for, by identity.
    """

    def __init__(self, labels: Iterable[tuple[str, Blob]]) -> None:
        self._labels = {id(blob): label for label, blob in labels}
        self._sums: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(1, "evergraph-crc")
        self._last: Future[None] | None = None

    def label(self, piece: object) -> str | None:
        """The label of a piece of a layout, or None where it is not a tensor's blob as it is."""
        return self._labels.get(id(piece))

    def update(self, label: str, chunk: Any) -> None:
        """Take the next bytes of a blob; they must not change until `results()`."""
        previous = self._last
        self._last = self._pool.submit(self._add, label, chunk)
        # one chunk ahead of the writer is enough, and keeps memory bounded
        if previous is not None:
            previous.result()

    def _add(self, label: str, chunk: Any) -> None:
        self._sums[label] = zlib.crc32(chunk, self._sums.get(label, 0))

    def results(self) -> dict[str, int]:
        """The checksums by label."""
        self._pool.shutdown(wait=True)
        return self._sums


def checksums(checkpoint: Checkpoint, only: Iterable[str] | None = None) -> dict[str, int]:
    """CRC-32 of every stored array, read in bounded pieces.

    Args:
        checkpoint: what to read.
        only: labels to compute; all where not given.

    >>> import numpy as np
    >>> checksums(Checkpoint({"w": np.zeros(2, "uint8")}))
    {'w': 1104745215}
    """
    wanted = None if only is None else set(only)
    found = {}
    for label, blob in labelled(checkpoint):
        if wanted is None or label in wanted:
            total = 0
            for chunk in blob.chunks():
                total = zlib.crc32(chunk, total)
                advance("checking", len(chunk), checkpoint.nbytes)
            found[label] = total
    return found


def manifest(
    form: str, files: Mapping[str, int], sums: Mapping[str, int], previous: Mapping[str, Any] | None = None
) -> bytes:
    """The bytes of a manifest.

    Args:
        form: name of the format.
        files: size of each file by its name.
        sums: CRC-32 of each stored array by its label.
        previous: the manifest that stood there before.
    """
    current = {"files": dict(files), "tensors": {k: f"{v:08x}" for k, v in sums.items()}}
    older = [v for v in (previous or {}).get("versions", [])[:1] if v != current]
    whole = {"evergraph": 1, "format": form, "versions": [current, *older]}
    return (json.dumps(whole, indent=1, ensure_ascii=True) + "\n").encode()


def read_manifest(location: Location) -> dict[str, Any] | None:
    """The manifest at a location, or None where there is none.

    Raises:
        DamagedError: it is there and is no manifest.
    """
    if not exists(location):
        return None
    with open_source(location) as source:
        if source.size > LARGEST_MANIFEST:
            raise DamagedError("a manifest of this size is not one", where=location.shown, found=source.size)
        data = source.head(source.size)
    try:
        found = json.loads(data)
        versions = found["versions"]
        if found["evergraph"] != 1 or not isinstance(versions, list) or not versions:
            raise ValueError("another version of manifest")
        for version in versions:
            {str(k): int(v) for k, v in version["files"].items()}
            {str(k): int(v, 16) for k, v in version["tensors"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(
            "the manifest cannot be read",
            where=location.shown,
            found=printable(error),
            fix="remove it to go without checksums, or save the checkpoint again",
        ) from error
    return found


def wrong_tensors(checkpoint: Checkpoint, found: Mapping[str, Any]) -> list[str]:
    """What differs between a checkpoint's bytes and its manifest, one line each; empty where a version fits wholly."""
    actual: dict[str, int] = {}
    broken: dict[str, str] = {}
    for label, blob in labelled(checkpoint):
        try:
            total = 0
            for chunk in blob.chunks():
                total = zlib.crc32(chunk, total)
                advance("checking", len(chunk), checkpoint.nbytes)
            actual[label] = total
        except EvergraphError as error:
            broken[label] = error.what
    reports = [_differences(actual, broken, version["tensors"]) for version in found["versions"]]
    return min(reports, key=len)


def _differences(actual: Mapping[str, int], broken: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    lines = [f"{printable(label)}: {why}" for label, why in broken.items()]
    for label, text in wanted.items():
        if label not in actual:
            if label not in broken:
                lines.append(f"{printable(label)}: missing from the file")
        elif actual[label] != int(text, 16):
            lines.append(f"{printable(label)}: damaged, CRC-32 {text} expected, {actual[label]:08x} found")
    lines += [f"{printable(label)}: not in the manifest" for label in actual if label not in wanted]
    return lines
