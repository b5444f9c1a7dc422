"""What MXNet 1.9.1 says of graphs: upgraded files, symbols' lists, inferred shapes and types."""

import functools
import gzip
import json

from evergraph.graph import parse
from tests.goldens import DATA, MXNET, operator_cases, operator_values

UPGRADED = sorted(MXNET.rglob("*.upgraded-by-1.9.1.json"))


def original(path):
    """The file that an upgraded one was made from."""
    return path.with_name(path.name.replace(".upgraded-by-1.9.1", ""))


def read(path):
    return parse(path.read_bytes(), path.name).verify()


@functools.cache
def inference():
    """What MXNet says of each one-operator graph."""
    return json.loads(gzip.decompress((DATA / "passes" / "inference-1.9.1.json.gz").read_bytes()))


@functools.cache
def random_upgrades():
    """Random old graphs, and what MXNet makes of them."""
    return json.loads(gzip.decompress((DATA / "passes" / "upgrades-1.9.1.json.gz").read_bytes()))


@functools.cache
def one_operator_graph(ident):
    """A recorded one-operator graph, with the shapes and types of its inputs."""
    case = operator_cases()[ident]
    values = operator_values(case)
    graph = parse(bytes(values["json"]), ident)
    if case.get("np_shape"):
        graph = graph.replace(attrs={**graph.attrs, "is_np_shape": ["int", 1]})
    arrays = {k[3:]: v for k, v in values.items() if k.startswith("in:")}
    return graph, {k: v.shape for k, v in arrays.items()}, {k: v.dtype.name for k, v in arrays.items()}
