"""Nested values with tensors at their leaves: flattened to names for a Checkpoint, described as JSON, and put back.

A description is plain JSON: None, true, false, numbers and texts stand for themselves; everything else is an object
with one of these keys:

- `{"tensor": name}`: the checkpoint's entry of that name
- `{"dict": [[key, value], ...]}`, with `"class"` and `"state"` where it is not a plain dictionary
- `{"list": [...]}`, `{"tuple": [...]}`, `{"set": [...]}`
- `{"object": "module.Class", "args": [...], "state": ...}`: an inert record
- `{"global": "module.name"}`: a class or function as a value
- `{"bytes": hex digits}`, `{"float": "nan" or "inf" or "-inf"}`
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evergraph.errors import DamagedError, UnsafeError, printable
from evergraph.formats.pickle_values import Global, OldText, Record, Span, Table, Unreadable
from evergraph.tensors import Tensor

__all__ = ["ALONE", "Flattened", "restore"]

MAX_DEPTH = 100
"""Levels of nesting; real files have fewer than 20."""
MAX_BYTES = 1 << 16
"""Texts of bytes that are no tensor, such as a random generator's state, are small."""
NODES_FLOOR = 200_000
ALONE = "0"
"""Name of a tensor that is the whole value, as in MXNet's lists."""


class Flattened:
    """The tensors of a nested value by their dotted names, and the rest as JSON.

    Attributes:
        tensors: name -> tensor.
        structure: the description.
        unreadable: one line for each leaf that cannot be read.

    Args:
        value: plain data, records, and `Tensor` leaves.
        size: bytes of the file it came from: shared parts that multiply beyond it are refused.
        name: the file, for messages.
        prefix: what every tensor's name begins with.

    >>> import numpy as np
    >>> found = Flattened({"net": {"w": Tensor.of(np.zeros(2))}, "epoch": 3}, 1000, "x.pth")
    >>> list(found.tensors), found.structure
    (['net.w'], {'dict': [['net', {'dict': [['w', {'tensor': 'net.w'}]]}], ['epoch', 3]]})
    """

    def __init__(self, value: Any, size: int, name: str, prefix: str = "") -> None:
        self.tensors: dict[str, Tensor] = {}
        self.unreadable: list[str] = []
        self._nodes = NODES_FLOOR + size // 8
        self._name = name
        self.structure = self._describe(value, prefix or None, 0)

    def _describe(self, value: Any, path: str | None, depth: int) -> Any:
        self._nodes -= 1
        if self._nodes < 0 or depth > MAX_DEPTH:
            raise UnsafeError(
                "the values are nested without end" if depth > MAX_DEPTH else "the values multiply without end",
                where=f"{self._name}, {printable(path or ALONE)}",
                expected=f"at most {MAX_DEPTH} levels",
            )
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, str):
            return value.words if isinstance(value, OldText) else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, Tensor):
            return {"tensor": self._name_of(value, path)}
        if isinstance(value, dict):
            return self._describe_dict(value, path, depth)
        for kind, label in ((list, "list"), (tuple, "tuple")):
            if isinstance(value, kind):
                return {label: [self._describe(v, _join(path, i), depth + 1) for i, v in enumerate(value)]}
        if isinstance(value, (set, frozenset)):
            # the order of a set of texts changes from process to process
            ordered = sorted(value, key=lambda v: (type(v).__name__, str(v)))
            return {"set": [self._describe(v, path, depth + 1) for v in ordered]}
        return self._describe_object(value, path, depth)

    def _describe_dict(self, value: dict, path: str | None, depth: int) -> Any:
        pairs = [
            [self._describe(k, path, depth + 1), self._describe(v, _join(path, k), depth + 1)] for k, v in value.items()
        ]
        found: dict[str, Any] = {"dict": pairs}
        if isinstance(value, Table):
            found["class"] = value.kind
            if value.state is not None:
                found["state"] = self._describe(value.state, _join(path, "state"), depth + 1)
        return found

    def _describe_object(self, value: Any, path: str | None, depth: int) -> Any:
        if isinstance(value, Unreadable):
            self.unreadable.append(f"{printable(path or ALONE)}: {value.what}")
            return None
        if isinstance(value, Record):
            found: dict[str, Any] = {"object": value.kind}
            if value.args:
                found["args"] = [self._describe(v, _join(path, i), depth + 1) for i, v in enumerate(value.args)]
            if value.state is not None:
                found["state"] = self._describe(value.state, path, depth + 1)
            return found
        if isinstance(value, Global):
            return {"global": value.name}
        if isinstance(value, (Span, bytes, bytearray)):
            size = value.nbytes if isinstance(value, Span) else len(value)
            if size > MAX_BYTES:
                raise DamagedError(
                    "bytes that belong to no tensor",
                    where=f"{self._name}, {printable(path or ALONE)}",
                    expected=f"at most {MAX_BYTES}",
                    found=size,
                )
            return {"bytes": bytes(value.read() if isinstance(value, Span) else value).hex()}
        raise DamagedError(
            "a value of an unknown kind", where=f"{self._name}, {printable(path or ALONE)}", found=type(value).__name__
        )

    def _name_of(self, tensor: Tensor, path: str | None) -> str:
        # {"a": {"b": ...}} and {"a.b": ...} would both be a.b
        stem = ALONE if path is None else path
        name, number = stem, 1
        while name in self.tensors:
            number += 1
            name = f"{stem}~{number}"
        self.tensors[name] = tensor
        return name


def _join(path: str | None, key: object) -> str:
    name = key.name if isinstance(key, Global) else key.words if isinstance(key, OldText) else str(key)
    return name if path is None else f"{path}.{name}"


def restore(
    structure: Any, tensors: Mapping[str, Tensor], record: Callable[[str, tuple, Any], Any] = Record
) -> tuple[Any, list[str]]:
    """The nested value of a description, and the names of tensors that it does not hold.

    Entries of the description whose tensor is gone are left out.

    Args:
        structure: a description, as `Flattened` makes it.
        tensors: the checkpoint's entries.
        record: makes an object from class, arguments and state.

    Raises:
        DamagedError: this is no description.
    """
    work = _Restorer(tensors, record)
    value = work.value(structure, 0)
    value = {} if value is _GONE else value
    return value, [n for n in tensors if n not in work.used]


_GONE = object()


class _Restorer:
    def __init__(self, tensors: Mapping[str, Tensor], record: Callable[[str, tuple, Any], Any]) -> None:
        self._tensors, self._record = tensors, record
        self.used: set[str] = set()

    def value(self, found: Any, depth: int) -> Any:
        if found is None or isinstance(found, (bool, int, float, str)):
            return found
        if not isinstance(found, Mapping) or depth > MAX_DEPTH:
            raise DamagedError("the structure kept in the metadata is none", found=type(found).__name__)
        try:
            return self._node(found, depth + 1)
        except (TypeError, ValueError, KeyError, AttributeError, StopIteration) as error:
            raise DamagedError("the structure kept in the metadata is none", found=printable(error)) from error

    def _node(self, found: Mapping[str, Any], depth: int) -> Any:
        if "tensor" in found:
            self.used.add(found["tensor"])
            return self._tensors.get(found["tensor"], _GONE)
        if "dict" in found:
            return self._dict(found, depth)
        if "object" in found:
            args = tuple(self._values(found.get("args", ()), depth))
            return self._record(found["object"], args, self.value(found.get("state"), depth))
        if "global" in found:
            return Global(found["global"], lambda _: None)
        if "bytes" in found:
            return bytes.fromhex(found["bytes"])
        if "float" in found:
            return float(found["float"])
        kind = next(k for k in ("list", "tuple", "set") if k in found)
        return {"list": list, "tuple": tuple, "set": set}[kind](self._values(found[kind], depth))

    def _values(self, found: Iterable[Any], depth: int) -> list[Any]:
        values = [self.value(v, depth) for v in found]
        return [v for v in values if v is not _GONE]

    def _dict(self, found: Mapping[str, Any], depth: int) -> Any:
        pairs = [(self.value(k, depth), self.value(v, depth)) for k, v in found["dict"]]
        kept = {k: v for k, v in pairs if v is not _GONE}
        if "class" not in found:
            return kept
        table = Table(found["class"], kept)
        table.state = self.value(found.get("state"), depth)
        return table
