"""What a target has no place for, carried along as a manifest, so that coming back gives the same bytes again.

Targets such as safetensors, `.npz` or `.ckpt` store dense arrays under names, in order. Everything else that a
checkpoint knows (roles, sparse storage, entries without an array, texts, the graph, metadata, and what its own format
kept in `details`) goes into one text, which the target keeps beside the arrays. docs/formats/manifest.md describes it.
"""

import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import ConversionError, DamagedError, IntegrityError, printable
from evergraph.formats.plain_json import from_plain, to_plain
from evergraph.graph import Graph, parse, to_json
from evergraph.tensors import CSR, DENSE, DTYPES, MAP, NONE, ROW_SPARSE, TEXT, Computed, Held, Tensor
from evergraph.tensors.shapes import impossible

__all__ = ["CARRY", "KEY", "Carried", "Target", "describe", "encodable", "known", "restore"]

KEY = "evergraph"
"""The name under which a target keeps the manifest."""

CARRY = "True (the default): keep what the target has no place for in a manifest; False: write plain tensors only"
"""What the option `carry` of a target means."""

VERSION = 1
ROLES = ("arg:", "aux:")
_MAIN_PARTS = {MAP: "values"}
_PARTS = {
    CSR: {"data", "indices", "indptr"},
    ROW_SPARSE: {"data", "indices"},
    MAP: {"keys", "values", "status"},
}
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Target:
    """What a format stores by itself.

    Args:
        name: the format's name; what stands under it in a tensor's details needs no carrying.
        title: the format in words.
        dtypes: element type -> the type that its bytes are stored as, which is the same where the format has it.
        storages: storage kinds that the format has a place for.
        metadata: what it keeps by name beside the tensors: "texts", any "json" value, or "" for nothing.
        accepts: whether a tensor can have this name.
        order: the order in which the names will be read, where it is not the one in which they are written.
    """

    name: str
    title: str
    dtypes: Mapping[str, str]
    storages: frozenset[str] = frozenset((DENSE,))
    metadata: str = ""
    accepts: Callable[[str], bool] = lambda _: True
    order: Callable[[Mapping[str, Tensor]], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A checkpoint made ready for a target.

    Args:
        tensors: what the target stores, by the names that it stores them under.
        manifest: what it keeps beside them; empty where they say everything.
        metadata: for a target that has a place for it.
        losses: one line for each thing that gets lost.
        notes: one line for each thing that is stored in another form.
    """

    tensors: Mapping[str, Tensor]
    manifest: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def known(checkpoint: Checkpoint, name: str) -> Mapping[str, Any]:
    """What the format `name` knew about a checkpoint that it read, whether or not another format carried it since.

    >>> known(Checkpoint({}, format="npz", details={"carried": {"mxnet-params": {"named": False}}}), "mxnet-params")
    {'named': False}
    """
    if checkpoint.format == name:
        return checkpoint.details
    return checkpoint.details.get("carried", _NOTHING).get(name, _NOTHING)


def encodable(name: str) -> bool:
    """Whether a name has bytes to be written as; half of a UTF-16 pair, which JSON can say, has none."""
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def describe(checkpoint: Checkpoint, target: Target, carry: bool = True) -> Carried:
    """The tensors that a target stores for a checkpoint, and the manifest that it keeps beside them.

    Args:
        checkpoint: anything.
        target: what the target can do by itself.
        carry: False writes no manifest: names stay as they are, and what needs one is a loss.

    >>> import numpy as np
    >>> target = Target("npz", "a NumPy archive", {"float32": "float32"})
    >>> list(describe(Checkpoint({"arg:w": np.zeros(2, "float32")}), target).tensors)
    ['w']
    """
    if _says_everything(checkpoint, target):
        return Carried(dict(checkpoint.items()))
    return _Description(checkpoint, target).carried() if carry else _plain(checkpoint, target)


def _says_everything(checkpoint: Checkpoint, target: Target) -> bool:
    """Whether a checkpoint is plain arrays that the target has a place for as they are: what most are."""
    own = checkpoint.details if checkpoint.format != target.name else ()
    if own or "carried" in checkpoint.details or checkpoint.metadata or checkpoint.graph is not None:
        return False
    dtypes, accepts = target.dtypes, target.accepts
    for name, tensor in checkpoint.items():
        if tensor.storage != DENSE or tensor.details or dtypes.get(tensor.dtype) != tensor.dtype:
            return False
        if name.startswith(ROLES) or not accepts(name):
            return False
    return target.order is None or list(target.order(checkpoint)) == list(checkpoint)


class _Description:
    """Builds the flat tensors and the manifest's entries side by side."""

    def __init__(self, checkpoint: Checkpoint, target: Target) -> None:
        self.checkpoint, self.target = checkpoint, target
        self.flat: dict[str, Tensor] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.losses: list[str] = []
        self.notes: list[str] = []
        self.positions: list[str] = []
        self._taken: set[str] = set()

    def carried(self) -> Carried:
        bare = _bare_names(self.checkpoint, self.target)
        self._taken = set(bare.values())
        roles = Counter(name[: len(name) - len(key)] for name, key in bare.items() if name.endswith(key))
        role = max(ROLES, key=lambda r: roles[r]) if any(roles[r] for r in ROLES) else ""
        details = [self._details(t) for t in self.checkpoint.values()]
        texts = [json.dumps(d, sort_keys=True) if d else "{}" for d in details]
        common, times = Counter(texts).most_common(1)[0] if texts else ("{}", 0)
        common = common if times > 1 else "{}"
        for (name, tensor), found, text in zip(self.checkpoint.items(), details, texts, strict=True):
            key = bare[name]
            entry: dict[str, Any] = {} if name == role + key else {"name": name}
            entry |= self._store(key, tensor)
            entry |= {} if text == common else {"details": found}
            if entry:
                self.entries[key] = entry
            self.positions.append(key)
        return self._result(self._manifest(role, json.loads(common)))

    def _result(self, manifest: dict[str, Any]) -> Carried:
        metadata = self._native_metadata()
        if metadata is None and self.checkpoint.metadata:
            manifest["metadata"] = to_plain(self.checkpoint.metadata)
        text = ""
        if any(v for k, v in manifest.items() if k != "tensors"):
            text = _seal(manifest)
            self.notes.append(
                f"{self.target.title} keeps under {KEY!r} what brings the source back: {_summary(manifest)}"
            )
        return Carried(self.flat, text, metadata or _NOTHING, tuple(self.losses), tuple(self.notes))

    def _native_metadata(self) -> dict[str, Any] | None:
        found = dict(self.checkpoint.metadata)
        texts = all(isinstance(v, str) for v in found.values()) or self.target.metadata == "json"
        return found if self.target.metadata and texts and KEY not in found else None

    def _manifest(self, role: str, common: dict[str, Any]) -> dict[str, Any]:
        checkpoint = self.checkpoint
        manifest: dict[str, Any] = {"tensors": len(self.flat), "role": role, "common": common, "entries": self.entries}
        known_to = dict(checkpoint.details.get("carried", _NOTHING))
        if checkpoint.format not in ("", self.target.name):
            known_to[checkpoint.format] = {
                k: v for k, v in checkpoint.details.items() if k not in ("carried", "source", "beside")
            }
        # what the target itself knows, it says in its own way
        known_to = {k: v for k, v in known_to.items() if v and k != self.target.name}
        manifest["details"] = self._plain(known_to, "the file's own details")
        if checkpoint.graph is not None:
            manifest["graph"] = to_plain(_graph_text(checkpoint.graph))
        if self.target.order is not None and list(self.target.order(self.flat)) != list(self.flat):
            manifest["order"] = self.positions
        manifest = {k: v for k, v in manifest.items() if v or k == "tensors"}
        source = checkpoint.details.get("source", checkpoint.format)
        if len(manifest) > 1 and source not in ("", self.target.name):
            manifest["source"] = source
        return manifest

    def _details(self, tensor: Tensor) -> dict[str, Any]:
        found = {k: v for k, v in tensor.details.items() if k != self.target.name}
        return self._plain(found, "details of a tensor") if found else {}

    def _plain(self, value: Mapping[str, Any], what: str) -> dict[str, Any]:
        try:
            return to_plain(value)
        except ConversionError as error:
            self.losses.append(f"{what}: {error.found} cannot be written as JSON")
            return {}

    def _store(self, key: str, tensor: Tensor) -> dict[str, Any]:
        """Put an entry's arrays among the flat tensors; what they do not say is returned."""
        if tensor.storage in self.target.storages:
            return self._store_array(key, tensor)
        place = {"storage": tensor.storage, "shape": to_plain(tensor.shape), "dtype": str(tensor.dtype)}
        if tensor.storage == TEXT:
            self.notes.append(f"{printable(key)}: the text stands in the manifest")
            return place | {"at": len(self.positions), "content": _text_content(tensor)}
        if not tensor.parts:
            return place | {"at": len(self.positions)}
        parts = {}
        for name, part in tensor.parts.items():
            stored = self._free(f"{key}.{name}")
            found = self._store_array(stored, part)
            details = self._details(part)
            found |= {"details": details} if details else {}
            parts[name] = found | {"tensor": stored} if found else stored
        return place | {"parts": parts}

    def _store_array(self, key: str, tensor: Tensor) -> dict[str, Any]:
        stored = self.target.dtypes.get(tensor.dtype)
        if tensor.storage != DENSE or stored == tensor.dtype:
            self.flat[key] = tensor
            return {}
        if stored is None:
            self.losses.append(f"{printable(key)}: {self.target.title} has no {tensor.dtype}")
            return {}
        self.flat[key] = _as_stored(tensor, stored)
        self.notes.append(f"{printable(key)}: {tensor.dtype} stored as {stored}")
        return {"dtype": str(tensor.dtype), "shape": to_plain(tensor.shape)}

    def _free(self, name: str) -> str:
        return _unused(name, self._taken, self.target)


def _bare_names(checkpoint: Checkpoint, target: Target) -> dict[str, str]:
    """The name under which the target stores each entry: without its role where that leaves it unlike the others."""
    bare = {name: name.removeprefix(next((r for r in ROLES if name.startswith(r)), "")) for name in checkpoint}
    times = Counter(bare.values())
    alone = {key for key in bare.values() if times[key] == 1 and target.accepts(key)}
    taken = set(alone)
    return {n: k if k in alone else _unused(n, taken, target) for n, k in bare.items()}


def _unused(name: str, taken: set[str], target: Target) -> str:
    """A name that the target accepts and no other entry has; it is taken from then on."""
    # a NUL ends a name wherever C reads it: no number behind it makes it another
    stem = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    found, number = stem, 1
    while found in taken or not target.accepts(found):
        number += 1
        found = f"{stem}.{number}"
    taken.add(found)
    return found


def _as_stored(tensor: Tensor, stored: str) -> Tensor:
    """The same bytes seen as elements of another type; several of them for one fill a last dimension."""
    kind, shape = DTYPES[stored], tensor.shape or ()
    ratio = tensor.dtype.itemsize // kind.itemsize
    return Tensor(kind, shape if ratio == 1 else (*shape, ratio), tensor.blob, details=tensor.details)


def _text_content(tensor: Tensor) -> Any:
    data, text = bytes(tensor.blob.read()), str(tensor)
    # what is no plain text (a NUL at the end, a number that is no character) is kept as its bytes
    return text if text.encode("utf-32-le", "replace") == data else {"$bytes": to_plain(data)["$bytes"]}


def _graph_text(graph: Graph) -> str | bytes:
    data = to_json(graph)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _plain(checkpoint: Checkpoint, target: Target) -> Carried:
    """The arrays alone, under their own names."""
    flat, losses, notes = {}, [], []
    for name, tensor in checkpoint.items():
        shown = printable(name)
        if not target.accepts(name):
            losses.append(f"{shown}: {target.title} cannot hold this name")
        elif tensor.storage in target.storages:
            stored = target.dtypes.get(tensor.dtype) if tensor.storage == DENSE else str(tensor.dtype)
            losses += [] if stored == tensor.dtype else [f"{shown}: {target.title} has no {tensor.dtype}"]
            if stored is not None:
                flat[name] = tensor if stored == tensor.dtype else _as_stored(tensor, stored)
        elif tensor.parts and tensor.storage != MAP:
            losses.append(f"{shown}: {tensor.storage} storage becomes dense")
            flat[name] = _dense(tensor)
        else:
            losses.append(f"{shown}: {target.title} has no {'texts' if tensor.storage == TEXT else tensor.storage}")
    stored = {"": (), "texts": (str,), "json": (object,)}[target.metadata]
    metadata = {k: v for k, v in checkpoint.metadata.items() if isinstance(v, stored)}
    losses += ["the graph"] if checkpoint.graph is not None else []
    losses += [f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in metadata]
    if target.order is not None and list(target.order(flat)) != list(flat):
        notes.append(f"{target.title} has its own order of tensors: this one is not kept")
    if checkpoint.format not in ("", target.name):
        notes.append(f"what only {checkpoint.format} knows (record versions, devices, order) is not kept")
    return Carried(flat, "", metadata, tuple(losses), tuple(notes))


def _dense(tensor: Tensor) -> Tensor:
    nbytes = tensor.size * tensor.dtype.itemsize
    blob = Computed(nbytes, lambda: tensor.numpy().reshape(-1).view("u1"), tensor.blob.place)
    return Tensor(tensor.dtype, tensor.shape, blob)


def _summary(manifest: Mapping[str, Any]) -> str:
    words = {"role": "roles", "entries": "entries of other kinds", "order": "order", "graph": "the graph"}
    words |= {"details": "the file's own details", "common": "records' details", "metadata": "metadata"}
    return ", ".join(words[k] for k in manifest if k in words)


def _seal(manifest: Mapping[str, Any]) -> str:
    """A manifest's text: version, CRC-32 of the JSON text, the JSON text."""
    text = json.dumps(manifest, separators=(",", ":"))
    return f"{VERSION} {zlib.crc32(text.encode()):08x} {text}"


def restore(stored: Checkpoint, text: str) -> Checkpoint:
    """The checkpoint that `describe` was given, from what the target stored.

    Args:
        stored: the target's own tensors, under the names that it stores them under.
        text: the manifest.

    Raises:
        DamagedError: the manifest is damaged, or does not belong to these tensors.
    """
    manifest = _open(text, stored.name)
    if manifest.get("tensors") != len(stored):
        raise _foreign(stored, f"{len(stored)} tensors", f"{manifest.get('tensors')}")
    try:
        tensors = _restore_tensors(stored, manifest)
        metadata = {**stored.metadata, **from_plain(manifest.get("metadata", {}))}
        details = dict(stored.details) | {"source": manifest.get("source", "")}
        if "details" in manifest:
            details["carried"] = {str(k): dict(v) for k, v in from_plain(manifest["details"]).items()}
        data = _graph_data(from_plain(manifest.get("graph")))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, DamagedError):
            raise
        raise DamagedError(
            "the manifest cannot be read", where=stored.name, found=printable(error), fix=_FIX
        ) from error
    lazily = None if data is None else lambda: parse(data, f"{stored.name}, its graph")
    return stored.replace(tensors, graph=lazily, metadata=metadata, details=details)


def _graph_data(graph: Any) -> bytes | None:
    if graph is not None and not isinstance(graph, (str, bytes)):
        raise TypeError("the graph is no text")
    return graph.encode() if isinstance(graph, str) else graph


_FIX = "open it with carried=False to see only the tensors that the file itself names"


def _open(text: str, name: str) -> dict[str, Any]:
    version, _, rest = text.partition(" ")
    crc, _, content = rest.partition(" ")
    if version != str(VERSION):
        raise DamagedError(
            "a manifest of another version",
            where=name,
            expected=VERSION,
            found=printable(version, 20),
            fix=f"a newer evergraph wrote it; {_FIX}",
        )
    found = f"{zlib.crc32(content.encode('utf-8', 'surrogatepass')):08x}"
    if crc != found:
        raise IntegrityError("the manifest was changed", where=name, expected=printable(crc, 20), found=found, fix=_FIX)
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError("the manifest is no JSON", where=name, found=printable(error), fix=_FIX) from error
    if not isinstance(manifest, dict):
        raise DamagedError("the manifest is no JSON object", where=name, fix=_FIX)
    return manifest


def _foreign(stored: Checkpoint, found: str, expected: str) -> DamagedError:
    return DamagedError(
        "the manifest does not belong to these tensors",
        where=stored.name,
        expected=expected,
        found=found,
        fix=f"another program changed the file and kept the manifest; {_FIX}",
    )


def _restore_tensors(stored: Checkpoint, manifest: Mapping[str, Any]) -> dict[str, Tensor]:
    role, common = str(manifest.get("role", "")), _mapping(from_plain(manifest.get("common", {})))
    entries: dict[str, dict[str, Any]] = manifest.get("entries", {})
    homes = {_part(p)["tensor"]: key for key, e in entries.items() for p in e.get("parts", {}).values()}
    missing = [name for name in homes if name not in stored]
    if missing:
        raise _foreign(stored, f"no {printable(missing[0])}", f"{len(homes)} parts of sparse tensors")
    found: dict[str, Tensor] = {}
    for name in stored:
        key = homes.get(name, name)
        if key not in found:
            found[key] = _restore_entry(stored, key, entries.get(key, {}), common)
    placed = list(found)
    for key, entry in entries.items():
        if key not in found:
            found[key] = _restore_entry(stored, key, entry, common)
            placed.insert(entry["at"], key)
    if "order" in manifest:
        if sorted(manifest["order"]) != sorted(placed):
            raise _foreign(stored, "other names", "those of the manifest's order")
        placed = manifest["order"]
    names = {key: str(entries.get(key, {}).get("name", role + key)) for key in placed}
    if len(set(names.values())) != len(names):
        raise _foreign(stored, "one name twice", "each name once")
    return {names[key]: found[key] for key in placed}


def _part(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {"tensor": part}


def _restore_entry(stored: Checkpoint, key: str, entry: Mapping[str, Any], common: Mapping[str, Any]) -> Tensor:
    details = _mapping(from_plain(entry["details"])) if "details" in entry else common
    storage = entry.get("storage", DENSE)
    if storage == DENSE or (not entry.get("parts") and key in stored):
        return _restore_array(stored, key, entry, details)
    shape = from_plain(entry["shape"])
    kind = DTYPES[entry["dtype"]]
    if storage in (TEXT, NONE):
        content = from_plain(entry.get("content", ""))
        data = content if isinstance(content, bytes) else content.encode("utf-32-le")
        return Tensor(kind, None if shape is None else _sizes(shape), Held(data), storage, details=details)
    parts = {}
    for name, part in entry["parts"].items():
        found = _part(part)
        parts[name] = _restore_array(stored, found["tensor"], found, _mapping(from_plain(found.get("details", {}))))
    main = parts[_MAIN_PARTS.get(storage, "data")]
    tensor = Tensor(kind, _sizes(shape), main.blob, storage, MappingProxyType(parts), details)
    if not _fits(tensor):
        raise ValueError(f"the parts of {key!r} make no {storage} tensor")
    return tensor


def _fits(tensor: Tensor) -> bool:
    """Whether the parts' shapes and types belong together; their values are checked when they are used."""
    parts, shape = tensor.parts, tensor.shape or ()
    if set(parts) != _PARTS.get(tensor.storage):
        return False
    if tensor.storage == MAP:
        return True
    data, whole = parts["data"].shape or (), [p for n, p in parts.items() if n != "data"]
    if parts["data"].dtype != tensor.dtype or any(p.ndim != 1 or p.dtype.kind not in "iu" for p in whole):
        return False
    if tensor.storage == CSR:
        return len(shape) == 2 and data == parts["indices"].shape
    return len(shape) > 0 and data == (parts["indices"].size, *shape[1:])


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} are no details")
    return value


def _restore_array(stored: Checkpoint, key: str, entry: Mapping[str, Any], details: Mapping[str, Any]) -> Tensor:
    tensor = stored[key]
    if details:
        tensor = tensor.replace(details=dict(tensor.details) | dict(details))
    if "dtype" not in entry:
        return tensor
    kind, shape = DTYPES[entry["dtype"]], _sizes(from_plain(entry["shape"]))
    if impossible(shape, kind.itemsize) or math.prod(shape) * kind.itemsize != tensor.blob.nbytes:
        raise _foreign(stored, f"{tensor.blob.nbytes} bytes in {printable(key)}", f"shape {shape} of {kind}")
    return tensor.replace(dtype=kind, shape=shape)


def _sizes(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or any(type(d) is not int or not 0 <= d < 1 << 63 for d in shape):
        raise ValueError(f"{shape!r} is no shape")
    return shape
