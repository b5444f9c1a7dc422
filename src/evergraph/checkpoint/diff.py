"""Compares two checkpoints: names, shapes, types, and values in bounded memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergraph.checkpoint.checkpoint import Checkpoint
from evergraph.errors import counted, printable
from evergraph.stores.progress import advance
from evergraph.tensors import DENSE, NONE, TEXT, Tensor

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Difference", "TensorDifference", "diff"]

STEP = 1 << 20
"""Elements compared at once: in float64, two arrays and their difference take 24 MB."""


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor differs.

    Attributes:
        name: its name.
        kind: "missing" (only in the first), "extra" (only in the second), "shape", "dtype", "storage" or "values".
        first, second: what stands there.
        largest: largest difference of two values; infinite where one is no number and the other is.
        count: how many values differ by more than the tolerance.
        total: how many values there are.
    """

    name: str
    kind: str
    first: str = ""
    second: str = ""
    largest: float = 0.0
    count: int = 0
    total: int = 0

    @property
    def words(self) -> str:
        """The difference in a line."""
        name = printable(self.name)
        if self.kind == "missing":
            return f"only in the first: {name} {self.first}"
        if self.kind == "extra":
            return f"only in the second: {name} {self.second}"
        if self.kind == "values":
            return f"values: {name}: {self.count} of {self.total} differ, by up to {self.largest:.6g}"
        return f"{self.kind}: {name}: {self.first} and {self.second}"

    def report(self) -> dict[str, Any]:
        """The difference as plain data."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind == "values":
            largest = self.largest if math.isfinite(self.largest) else str(self.largest)
            return found | {"largest": largest, "count": self.count, "total": self.total}
        return found | {"first": self.first or None, "second": self.second or None}


@dataclass(frozen=True, slots=True)
class Difference:
    """How two checkpoints differ.

    Attributes:
        first, second: their names.
        tensors: one entry for each tensor that differs, in the first's order.
        order: whether names that both have stand in another order.
        graph: "" where the graphs say the same, otherwise in a few words how they differ.
        equal: how many tensors are the same.
    """

    first: str
    second: str
    tensors: tuple[TensorDifference, ...]
    order: bool
    graph: str
    equal: int

    @property
    def same(self) -> bool:
        """Whether nothing differs; another order counts, as lists are told apart by it."""
        return not (self.tensors or self.order or self.graph)

    def lines(self) -> list[str]:
        """The report in words."""
        if self.same:
            return [f"no difference in {counted(self.equal, 'tensor')}"]
        found = [t.words for t in self.tensors]
        found += ["the tensors stand in another order"] if self.order else []
        found += [f"the graphs differ: {self.graph}"] if self.graph else []
        return [*found, f"{counted(self.equal, 'tensor')} {'is' if self.equal == 1 else 'are'} the same"]

    def report(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "tensors": [t.report() for t in self.tensors],
            "order": self.order,
            "graph": self.graph,
            "equal": self.equal,
        }


def diff(first: Checkpoint, second: Checkpoint, tolerance: float = 0.0) -> Difference:
    """Compare names, storage, types, shapes and values; not a number equals not a number.

    Args:
        first: one checkpoint.
        second: another one.
        tolerance: largest absolute difference of two values that counts as none.

    >>> import numpy as np
    >>> one, two = Checkpoint({"w": np.zeros(2, "float32")}), Checkpoint({"w": np.array([0, 0.5], "float32")})
    >>> diff(one, two).lines()
    ['values: w: 1 of 2 differ, by up to 0.5', '0 tensors are the same']
    """
    found, equal = [], 0
    for name, tensor in first.items():
        if name not in second:
            found.append(TensorDifference(name, "missing", first=_words(tensor)))
            continue
        difference = _compare(name, tensor, second[name], tolerance)
        if difference is None:
            equal += 1
        else:
            found.append(difference)
    found += [TensorDifference(n, "extra", second=_words(t)) for n, t in second.items() if n not in first]
    common = [n for n in first if n in second]
    order = common != [n for n in second if n in first]
    return Difference(first.name, second.name, tuple(found), order, _graphs(first, second), equal)


def _words(tensor: Tensor) -> str:
    return repr(tensor).removeprefix("<Tensor ").removesuffix(">")


def _compare(name: str, one: Tensor, two: Tensor, tolerance: float) -> TensorDifference | None:
    for kind in ("storage", "shape", "dtype"):
        a, b = getattr(one, kind), getattr(two, kind)
        if a != b:
            return TensorDifference(name, kind, str(a), str(b))
    if one.storage == NONE:
        return None
    if one.storage == TEXT:
        same = str(one) == str(two)
        return None if same else TensorDifference(name, "values", largest=math.inf, count=1, total=1)
    if one.storage == DENSE:
        return _compare_values(name, [(one, two)], tolerance)
    # the stored parts: two ways to store one value are two values here, and both files say which
    parts = [(one.parts[p], two.parts[p]) for p in one.parts if p in two.parts]
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in parts):
        shapes = [", ".join(f"{n} {p!r}" for n, p in t.parts.items()) for t in (one, two)]
        return TensorDifference(name, "storage", shapes[0], shapes[1])
    return _compare_values(name, parts, tolerance)


def _compare_values(name: str, pairs: list[tuple[Tensor, Tensor]], tolerance: float) -> TensorDifference | None:
    largest, count, total = 0.0, 0, 0
    for one, two in pairs:
        total += one.size
        for a, b in _blocks(one, two):
            worst, differing = _differences(a, b, tolerance)
            largest, count = max(largest, worst), count + differing
    return TensorDifference(name, "values", largest=largest, count=count, total=total) if count else None


def _blocks(one: Tensor, two: Tensor) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
    """Corresponding runs of elements; runs whose bytes are the same are passed over."""
    import numpy as np

    size = one.dtype.itemsize
    kind = one.dtype.numpy()
    for a, b in zip(_cut(one, STEP * size), _cut(two, STEP * size), strict=True):
        advance("comparing", len(a))
        if a != b:
            yield np.frombuffer(a, kind), np.frombuffer(b, kind)


def _cut(tensor: Tensor, size: int) -> Iterator[bytes]:
    """The bytes in runs of one size, whatever chunks they come in."""
    waiting = bytearray()
    for chunk in tensor.blob.chunks():
        view = memoryview(chunk).cast("B") if not isinstance(chunk, bytes) else memoryview(chunk)
        while len(view):
            taken = min(size - len(waiting), len(view))
            waiting += view[:taken]
            view = view[taken:]
            if len(waiting) == size:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)


def _differences(a: "np.ndarray", b: "np.ndarray", tolerance: float) -> tuple[float, int]:
    import numpy as np

    if a.dtype.kind in "iub":
        # the smaller from the greater, without a sign: wraps to the right distance even for 2**63
        wide = np.uint64 if a.dtype.kind == "u" else np.int64
        greater, lesser = np.maximum(a, b).astype(wide), np.minimum(a, b).astype(wide)
        gap = (greater.view(np.uint64) - lesser.view(np.uint64)).astype(np.float64)
        return float(gap.max()), int((gap > tolerance).sum())
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
    gap[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
    gap[np.isnan(gap)] = np.inf
    over = gap > tolerance
    return (float(gap[over].max()) if over.any() else 0.0), int(over.sum())


def _graphs(first: Checkpoint, second: Checkpoint) -> str:
    one, two = first.graph, second.graph
    if one is None or two is None:
        return "" if one is two else f"only the {'first' if two is None else 'second'} has one"
    if (one.nodes, one.heads) == (two.nodes, two.heads):
        return "" if one.attrs == two.attrs else "in their attributes, such as the version"
    if len(one.nodes) != len(two.nodes):
        return f"{len(one.nodes)} nodes and {len(two.nodes)}"
    wrong = [i for i, (a, b) in enumerate(zip(one.nodes, two.nodes, strict=True)) if a != b]
    if not wrong:
        return "in their outputs"
    return f"in {len(wrong)} nodes, the first is node {wrong[0]} {printable(one.nodes[wrong[0]].name)!r}"
