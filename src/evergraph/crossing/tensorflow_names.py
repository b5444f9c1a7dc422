"""The names that layers themselves have, from the object graph that TensorFlow 2 keeps in its checkpoints."""

from collections.abc import Iterator

from evergraph.errors import DamagedError
from evergraph.formats.protobuf import BYTES, Wire
from evergraph.stores import BytesSource
from evergraph.tensors import Tensor

__all__ = ["OBJECT_GRAPH", "full_names"]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def full_names(graph: Tensor) -> dict[str, str]:
    """The whole name of each variable (`sequential/conv/kernel`), by its key.

    The message has in field 1 its nodes; a node in field 2 its attributes; an attribute in field 2 the whole name and
    in field 3 the key.

    Raises:
        DamagedError: the message is none.
    """
    data = bytes(graph.blob.read()) if graph.storage != "text" else str(graph).encode()
    found = {}
    for node in _parts(data, 1):
        for attribute in _parts(node, 2):
            names = [_text(attribute, n) for n in (2, 3)]
            if all(names):
                found[names[1]] = names[0]
    return found


def _parts(data: bytes, wanted: int) -> Iterator[bytes]:
    for number, kind, start, end in Wire(BytesSource(data, OBJECT_GRAPH)).fields(0, len(data), OBJECT_GRAPH):
        if number == wanted:
            if kind != BYTES:
                raise DamagedError("the object graph is none", where=OBJECT_GRAPH, found=f"field {number}, kind {kind}")
            yield data[start:end]


def _text(data: bytes, number: int) -> str:
    return next(_parts(data, number), b"").decode("utf-8", "surrogateescape")
