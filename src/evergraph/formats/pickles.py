"""MXNet's pickles: arrays, symbols and optimizer states of every release, read without running anything.

Layout: docs/formats/mxnet-pickles.md.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import (
    ConversionError,
    DamagedError,
    EvergraphError,
    FormatError,
    UnsafeError,
    UsageError,
    collect,
    printable,
)
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.cursor import Cursor
from evergraph.formats.members import Part
from evergraph.formats.mxnet_params import V2, V3, array_record, read_array
from evergraph.formats.pickle_machine import Machine
from evergraph.formats.pickle_numpy import COMMON, ArrayValue, payload
from evergraph.formats.pickle_values import OldText, Record, Span
from evergraph.formats.pickle_writer import PickleWriter
from evergraph.formats.tree import Flattened, restore
from evergraph.graph import Graph, parse, to_json
from evergraph.stores import BytesSource, Location, Source
from evergraph.tensors import CSR, DTYPES, NONE, ROW_SPARSE, Extent, Held, Tensor

__all__ = ["INERT", "MXNetPickle", "MXNetStates", "from_states", "inert_maker", "looks_like_pickle", "states_of"]

INERT = "names of further classes to keep as inert records, such as argparse.Namespace"

_ARRAYS = frozenset(
    (
        "mxnet.ndarray.NDArray",
        "mxnet.ndarray.ndarray.NDArray",
        "mxnet.ndarray.sparse.RowSparseNDArray",
        "mxnet.ndarray.sparse.CSRNDArray",
        "mxnet.numpy.ndarray",
        "mxnet.numpy.multiarray.ndarray",
    )
)
_SYMBOLS = frozenset(("mxnet.symbol.Symbol", "mxnet.symbol.symbol.Symbol", "mxnet.symbol.numpy._symbol._Symbol"))
_RECORDS = re.compile(r"mxnet\.(optimizer|lr_scheduler|misc|initializer|context|attribute)(\.[\w.]+)?")
"""Modules whose classes optimizers are made of; their objects are kept as records and never come to life."""

_V2, _V3 = (struct.pack("<I", v) for v in (V2, V3))
_CLASSES = {ROW_SPARSE: "mxnet.ndarray.sparse.RowSparseNDArray", CSR: "mxnet.ndarray.sparse.CSRNDArray"}
_DENSE_CLASS = "mxnet.ndarray.ndarray.NDArray"
_SYMBOL_CLASS = "mxnet.symbol.symbol.Symbol"

_BEGINNINGS = re.compile(rb"\x80[\x02-\x05]|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|[(\]}]")
TORCH_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def looks_like_pickle(head: bytes) -> bool:
    """Whether content begins as a pickle does, and not as one of torch's several in a row."""
    if _BEGINNINGS.match(head) is None or head.startswith(TORCH_MAGIC):
        return False
    if head[:1] not in (b"(", b"]", b"}"):
        return True
    # text may begin so as well: what is a pickle can be interpreted up to the end of these bytes
    trial = Machine(BytesSource(head), 0, lambda *_: None)
    try:
        trial.run()
    except UnsafeError:
        return True
    except EvergraphError:
        return trial.position >= len(head) - 1
    return True


class _ArrayState:
    """A pickled NDArray: its state holds one array record."""

    __slots__ = ("_source", "kind", "tensor")

    def __init__(self, kind: str, source: Source) -> None:
        self.kind, self._source, self.tensor = kind, source, _no_array(kind)

    def set_state(self, state: Any) -> None:
        if not isinstance(state, dict) or "handle" not in state:
            raise DamagedError("a pickled array without its handle", where=self._source.name, expected="handle")
        if state["handle"] is None:
            return
        found = payload(state["handle"], "a pickled array")
        if isinstance(found, Extent):
            part: Source = Part(found.source, found.offset, found.nbytes, f"array at byte {found.offset}")
        else:
            part = BytesSource(found.read(), f"{self._source.name}, an array in it")
        tensor = _record(part)
        details = dict(tensor.details) | ({"class": self.kind} if self.kind != _usual_class(tensor) else {})
        self.tensor = tensor.replace(details=details)


def _record(part: Source) -> Tensor:
    """The one array record that a part holds."""
    cursor = Cursor(part)
    cursor.what = "the array's record"
    tensor = read_array(cursor)
    behind = part.size - cursor.position
    if tensor.storage == NONE and behind and part.head(4) == _V2:
        # a scalar of mx.np, pickled outside NumPy semantics: the old version number, and all that V3 would have
        return _record(BytesSource(_V3 + bytes(part.read(4, part.size - 4)), part.name))
    if behind:
        raise DamagedError(
            "bytes stand behind an array's record",
            where=part.name,
            expected=f"{cursor.position} bytes",
            found=part.size,
        )
    return tensor


def _usual_class(tensor: Tensor) -> str:
    return _CLASSES.get(tensor.storage, _DENSE_CLASS)


def _no_array(kind: str) -> Tensor:
    return Tensor(DTYPES["float32"], None, Held(b""), NONE, details={"class": kind, "handle": None})


def inert_maker(names: object) -> Callable[[str], Callable[[tuple], Any] | None]:
    """Makers of records for the classes that the caller names.

    Raises:
        UsageError: the names are no list of texts.
    """
    given = (names,) if isinstance(names, str) else names
    if not isinstance(given, Iterable) or not all(isinstance(n, str) for n in given):
        raise UsageError("inert takes a list of class names", found=repr(names))
    allowed = frozenset(given)
    return lambda label: (lambda args: Record(label, args)) if label in allowed else None


class MXNetPickle(Format):
    """Pickled arrays, symbols and optimizers, alone or in dictionaries, lists and tuples."""

    name = "mxnet-pickle"
    title = "an MXNet pickle"
    suffixes = (".pkl", ".pickle")
    read_options = MappingProxyType({"inert": INERT})
    _named_states = False  # a dictionary of named arrays is what one pickles by hand

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins as a pickle does."""
        return looks_like_pickle(head)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The arrays by their place in the pickled value, which the metadata describes.

        A dictionary of optimizer states is opened as format "mxnet-states".

        Raises:
            UnsafeError: naming every global that is not one of MXNet's or NumPy's own.
            DamagedError: the pickle or an array in it is broken.
        """
        self.check_options(options, self.read_options)
        value = _read_value(source, options.get("inert", ()))
        states, optimizer = _as_states(value, self._named_states)
        if states is not None:
            return from_states(states, optimizer, source)
        found = Flattened(value, source.size, source.name)
        return Checkpoint(
            found.tensors,
            graph=_graph_in(value, source),
            metadata={"structure": found.structure},
            format=MXNetPickle.name,
            name=source.name,
            original=source,
        )

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """One pickle of the kept structure; of a dictionary from names to arrays where there is none."""
        self.check_options(options, self.write_options)
        if (layout := self.unchanged(checkpoint, target, options)) is not None:
            return layout
        losses = [f"metadata: {printable(k)}" for k in checkpoint.metadata if k != "structure"]
        structure = checkpoint.metadata.get("structure")
        if structure is None:
            value: Any = dict(checkpoint)
            losses += ["the graph"] if checkpoint.graph is not None else []
        else:
            value, left = restore(structure, checkpoint)
            value = _with_graph(value, checkpoint.graph)
            losses += [f"{printable(n)}: it has no place in the kept structure" for n in left]
        return _layout(value, target, losses)


class MXNetStates(MXNetPickle):
    """Optimizer states: a pickled dictionary from parameter numbers to arrays, or that and the optimizer."""

    name = "mxnet-states"
    title = "an MXNet optimizer state file"
    suffixes = (".states", *MXNetPickle.suffixes)
    _named_states = True  # key-value stores keep states by the names of weights

    def recognise(self, head: bytes, source: Source) -> bool:
        """Never: `MXNetPickle` looks inside and decides."""
        return False

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """As `MXNetPickle.read`.

        Raises:
            FormatError: the pickle holds no optimizer states.
        """
        found = super().read(source, **options)
        if found.format != self.name:
            raise FormatError(
                "the pickle holds no optimizer states",
                where=source.name,
                expected="a dictionary from parameter numbers to arrays, or that and an optimizer",
                fix="open it without naming a format",
            )
        return found

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """One pickle as `Module.save_optimizer_states` and `Trainer.save_states` write it.

        Without kept structure, names `3` and `3.0`, `3.1` stand for the array and the tuple of parameter 3.

        Raises:
            UsageError: names that are no parameter numbers.
        """
        self.check_options(options, self.write_options)
        if (layout := self.unchanged(checkpoint, target, options)) is not None:
            return layout
        kept = ("states", "optimizer")
        losses = [f"metadata: {printable(k)}" for k in checkpoint.metadata if k not in kept]
        losses += ["the graph"] if checkpoint.graph is not None else []
        structure = checkpoint.metadata.get("states")
        tree = structure if structure is not None else _states_by_name(checkpoint)
        both = {"tuple": [tree, checkpoint.metadata["optimizer"]]} if "optimizer" in checkpoint.metadata else tree
        value, left = restore(both, checkpoint)
        losses += [f"{printable(n)}: it has no place among the states" for n in left]
        return _layout(value, target, losses)


def _read_value(source: Source, inert: object) -> Any:
    by_name = inert_maker(inert)

    def resolve(module: str, name: str) -> Callable[[tuple], Any] | None:
        label = f"{module}.{name}"
        if label in _ARRAYS:
            return lambda _: _ArrayState(label, source)
        if label in _SYMBOLS or _RECORDS.fullmatch(module):
            return lambda args: Record(label, args)
        return COMMON.get((module, name)) or by_name(label)

    machine = Machine(source, 0, resolve)
    value = machine.run()
    if machine.position != source.size:
        raise DamagedError(
            f"{source.size - machine.position} bytes stand behind the end of the pickle",
            where=f"{source.name}, byte {machine.position}",
            expected="the end of the file",
            fix="two files joined, or a download gone wrong: fetch it again",
        )
    return _settled(value)


def _settled(value: Any) -> Any:
    """The value with arrays in place of the objects that carried their state."""
    return _Settling().settle(value, 0)


class _Settling:
    """Walks each container once, however often it is shared."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def settle(self, value: Any, depth: int) -> Any:
        if isinstance(value, (_ArrayState, ArrayValue)):
            if value.tensor is None:
                raise DamagedError("a pickled array without its content")
            return value.tensor
        if isinstance(value, (Extent, Held)):
            return bytes(value.read())
        if not isinstance(value, (dict, list, tuple, Record)) or depth > 200 or id(value) in self._done:
            return self._done.get(id(value), value)
        self._done[id(value)] = value
        if isinstance(value, dict):
            for key in value:
                value[key] = self.settle(value[key], depth + 1)
        elif isinstance(value, list):
            value[:] = [self.settle(v, depth + 1) for v in value]
        elif isinstance(value, Record):
            value.args = self.settle(value.args, depth + 1)
            value.state = self.settle(value.state, depth + 1)
        else:
            settled = tuple(self.settle(v, depth + 1) for v in value)
            self._done[id(value)] = settled
            return settled
        return value


def _as_states(value: Any, named: bool) -> tuple[dict | None, Record | None]:
    """Optimizer states and the optimizer, where the value is of that form."""
    states, optimizer = value, None
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Record):
        states, optimizer = value
    if type(states) is not dict or not all(type(k) in (int, str) and _is_state(v, 0) for k, v in states.items()):
        return None, None
    if optimizer is None and not named and any(type(k) is str for k in states):
        return None, None
    return states, optimizer


def _is_state(value: Any, depth: int) -> bool:
    if isinstance(value, (tuple, list)):
        return depth < 4 and all(_is_state(v, depth + 1) for v in value)
    return value is None or isinstance(value, (Tensor, int, float))


def from_states(states: Mapping[Any, Any], optimizer: Record | None = None, source: Source | None = None) -> Checkpoint:
    """The checkpoint of an optimizer's states, ready to be saved as `.states`.

    Args:
        states: parameter number -> None, a tensor, or a tuple of these.
        optimizer: the optimizer as a record of its attributes, for MXNet's `dump_optimizer`.
        source: what they were read from.

    >>> import numpy as np
    >>> list(from_states({0: None, 1: (Tensor.of(np.zeros(2)), Tensor.of(np.ones(2)))}))
    ['1.0', '1.1']
    """
    size, name = (source.size, source.name) if source is not None else (1 << 40, "")
    found = Flattened(dict(states), size, name)
    tensors, metadata = found.tensors, {"states": found.structure}
    if optimizer is not None:
        beside = Flattened(optimizer, size, name, "optimizer")
        tensors = tensors | beside.tensors
        metadata["optimizer"] = beside.structure
    return Checkpoint(tensors, metadata=metadata, format=MXNetStates.name, name=name, original=source)


def states_of(checkpoint: Checkpoint) -> tuple[dict[Any, Any], Record | None]:
    """The states and the optimizer that `from_states` was given.

    Raises:
        UsageError: the checkpoint holds no optimizer states.

    >>> import numpy as np
    >>> states_of(from_states({0: None, 1: Tensor.of(np.zeros(2, "float32"))}))
    ({0: None, 1: <Tensor float32 2>}, None)
    """
    structure = checkpoint.metadata.get("states")
    states, _ = restore(structure if structure is not None else _states_by_name(checkpoint), checkpoint)
    optimizer, _ = restore(checkpoint.metadata.get("optimizer"), checkpoint)
    return states, optimizer


def _graph_in(value: Any, source: Source) -> Callable[[], Graph | None] | None:
    symbol = _symbol_in(value)
    text = symbol.state.get("handle") if symbol is not None and isinstance(symbol.state, dict) else None
    if text is None:
        return None
    data = text.read() if isinstance(text, Span) else text.raw if isinstance(text, OldText) else text
    if isinstance(data, str):
        # lone surrogates are no UTF-8: the JSON reader says so
        data = data.encode("utf-8", "surrogatepass")
    if not isinstance(data, (bytes, memoryview)):
        raise DamagedError("a pickled symbol whose JSON is no text", where=source.name, found=type(text).__name__)
    found = bytes(data)
    return lambda: parse(found, f"{source.name}, the symbol in it")


def _symbol_in(value: Any) -> Record | None:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
    return next((v for v in inside if isinstance(v, Record) and v.kind in _SYMBOLS), None)


def _with_graph(value: Any, graph: Graph | None) -> Any:
    symbol = _symbol_in(value)
    if graph is not None and symbol is not None and isinstance(symbol.state, dict):
        symbol.state["handle"] = to_json(graph).decode("utf-8", "surrogateescape")
    return value


def _states_by_name(checkpoint: Mapping[str, Tensor]) -> dict[str, Any]:
    wrong = [printable(n) for n in checkpoint if not re.fullmatch(r"\d{1,9}(\.\d{1,4})?", n)]
    collect(
        UsageError,
        "optimizer states are named by numbers",
        wrong,
        expected="3 for parameter 3, or 3.0 and 3.1 for its several states",
        fix="save to another format, or rename",
    )
    groups: dict[int, dict[int | None, Any]] = {}
    for name in checkpoint:
        index, dot, place = name.partition(".")
        groups.setdefault(int(index), {})[int(place) if dot else None] = {"tensor": name}
    torn = [str(i) for i, g in groups.items() if None not in g and sorted(g, key=_number) != [*range(len(g))]]
    torn += [str(i) for i, g in groups.items() if None in g and len(g) > 1]
    collect(UsageError, "the states of a parameter are numbered from 0 on", torn, found="gaps, or 3 beside 3.0")
    pairs = [
        [i, g[None] if None in g else {"tuple": [g[k] for k in sorted(g, key=_number)]}] for i, g in groups.items()
    ]
    return {"dict": pairs}


def _number(place: int | None) -> int:
    return -1 if place is None else place


def _layout(value: Any, target: Location, losses: list[str]) -> Layout:
    def leaf(writer: PickleWriter, found: Any) -> None:
        if not isinstance(found, Tensor):
            raise ConversionError("a value that cannot be pickled", found=type(found).__name__)
        kind = found.details.get("class", _usual_class(found))
        writer.named(*kind.rsplit(".", 1))
        writer.tuple((None,))
        writer.raw(b"R}")
        writer.text("handle")
        if found.storage == NONE and "handle" in found.details:
            writer.raw(b"Nsb")
            return
        record, loss = array_record(found, None)
        if loss:
            losses.append(loss)
        # the class takes a buffer that it may write into
        writer.named("builtins", "bytearray")
        writer.data(sum(len(p) if isinstance(p, bytes) else p.nbytes for p in record), iter(record))
        writer.raw(b"\x85Rsb")

    pieces = PickleWriter(leaf).pieces(value)
    size = sum(len(p) if isinstance(p, bytes) else p.nbytes for p in pieces)
    return Layout((File(target, lambda: pieces, size),), tuple(losses))
