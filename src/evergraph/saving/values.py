"""Plain values with arrays among them, as JSON and tensors: how a training state is written without a pickle.

Numbers come back to the bit, tuples as tuples, keys of any plain type as they were. What begins with `$` is a mark:
`$tensor` (an array that stands among the tensors), `$tuple`, `$map` (keys that are no texts), `$set`, `$frozenset`,
`$float` (nan and infinities), `$number` (a NumPy scalar with its type), `$bytes`, `$bytearray`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from evergraph.errors import DamagedError, printable
from evergraph.tensors import Tensor

__all__ = ["Packer", "Stored", "unpack"]


class Stored(NamedTuple):
    """An array among values.

    Attributes:
        tensor: its values.
        kind: what it was: `numpy`, or a name that the caller knows.
        note: plain values that the caller needs to make it again.
    """

    tensor: Tensor
    kind: str = "numpy"
    note: Any = None


class Packer:
    """Turns values into JSON and tensors.

    Args:
        leaf: turns what only the caller knows into `Stored`; None for what it does not know either.

    Attributes:
        tensors: the arrays by name.
        unknown: where values stand that could not be taken, with their type.

    >>> packer = Packer()
    >>> tree = packer.pack({"rate": 0.1, "counts": {0: (1, 2)}}, "state"); tree
    {'rate': 0.1, 'counts': {'$map': [[0, {'$tuple': [1, 2]}]]}}
    >>> unpack(tree, {})
    {'rate': 0.1, 'counts': {0: (1, 2)}}
    """

    def __init__(self, leaf: Callable[[Any], Stored | None] = lambda _: None) -> None:
        self._leaf = leaf
        self.tensors: dict[str, Tensor] = {}
        self.unknown: list[str] = []

    def pack(self, value: Any, where: str) -> Any:
        """A value as JSON's types; arrays go to `tensors`, named by where they stand."""
        if value is None or isinstance(value, (bool, str)) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._packed_row(value, where)
        if isinstance(value, Mapping):
            return self._packed_map(value, where)
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return {"$number": [str(value.dtype), value.tobytes().hex()]}
        if isinstance(value, (bytes, bytearray)):
            return {"$bytes" if isinstance(value, bytes) else "$bytearray": bytes(value).hex()}
        found = Stored(Tensor.of(value)) if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else None
        found = self._leaf(value) if found is None else found
        if found is None:
            self.unknown.append(f"{where}: {type(value).__name__}")
            return None
        name = where
        while name in self.tensors:  # a key with a slash in it
            name += "'"
        self.tensors[name] = found.tensor
        return {"$tensor": name, "kind": found.kind} | ({} if found.note is None else {"note": found.note})

    def _packed_row(self, value: Any, where: str) -> Any:
        rows = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        found = [self.pack(v, f"{where}/{i}") for i, v in enumerate(rows)]
        if isinstance(value, list):
            return found
        return {next(mark for kind, mark in _ROWS.items() if isinstance(value, kind)): found}

    def _packed_map(self, value: Mapping[Any, Any], where: str) -> Any:
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: self.pack(v, f"{where}/{k}") for k, v in value.items()}
        return {"$map": [[self.pack(k, f"{where}/key"), self.pack(v, f"{where}/{k}")] for k, v in value.items()]}


_ROWS = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}


def unpack(tree: Any, tensors: Mapping[str, Tensor], where: str = "") -> Any:
    """The values of a tree that `Packer` made; arrays as `Stored`.

    Raises:
        DamagedError: the tree has marks that are none, or names tensors that are not there.
    """
    try:
        return _unpacked(tree, tensors)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(
            "the values of the training state cannot be read", where=where or None, found=printable(error)
        ) from error


def _unpacked(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_unpacked(v, tensors) for v in tree]
    if not isinstance(tree, dict):
        return tree
    mark = next((k for k in tree if k.startswith("$")), None)
    if mark is None:
        return {k: _unpacked(v, tensors) for k, v in tree.items()}
    if mark == "$tensor":
        return Stored(tensors[tree[mark]], str(tree["kind"]), tree.get("note"))
    if len(tree) != 1 or mark not in _MARKS:
        raise ValueError(f"unknown mark {mark}")
    return _MARKS[mark](tree[mark], tensors)


def _number(content: Any, _: Any) -> Any:
    name, text = content
    kind = np.dtype(name)
    if kind.kind not in "biuf":
        raise ValueError("no type of numbers")
    return np.frombuffer(bytes.fromhex(text), kind)[0]


def _float(content: Any, _: Any) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]


_MARKS: dict[str, Callable[[Any, Any], Any]] = {
    "$tuple": lambda content, tensors: tuple(_unpacked(v, tensors) for v in content),
    "$set": lambda content, tensors: {_unpacked(v, tensors) for v in content},
    "$frozenset": lambda content, tensors: frozenset(_unpacked(v, tensors) for v in content),
    "$map": lambda content, tensors: {_unpacked(k, tensors): _unpacked(v, tensors) for k, v in content},
    "$float": _float,
    "$number": _number,
    "$bytes": lambda content, _: bytes.fromhex(content),
    "$bytearray": lambda content, _: bytearray.fromhex(content),
}
