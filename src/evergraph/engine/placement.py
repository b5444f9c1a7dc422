"""Which device each node of a graph runs on: context groups mapped to devices, copies where values cross over."""

from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.engine.program import Program, Step
from evergraph.graph import Graph, Node
from evergraph.ops import Params

__all__ = ["insert_copies", "place"]


def group_of(node: Node) -> str | None:
    """The context group that a node was made under."""
    return node.attrs.get("__ctx_group__", node.attrs.get("ctx_group"))


def place(graph: Graph, groups: Mapping[str, Any], default: Any) -> list[Any]:
    """The device of every node.

    A node of a mapped group runs on the group's device; another one where its inputs come from, or else where its
    results go, or else on the default device.

    Args:
        graph: nodes with `__ctx_group__` (or `ctx_group`) attributes.
        groups: device of each group; a group that is not there counts as none.
        default: device of all the rest.

    >>> x, y = Node("null", "x"), Node("relu", "y", {"__ctx_group__": "b"}, ((0, 0, 0),))
    >>> place(Graph((x, y), heads=((1, 0, 0),)), {"b": "cuda:1"}, "cpu")
    ['cuda:1', 'cuda:1']
    """
    found: list[Any] = [groups.get(group_of(n) or "") for n in graph.nodes]
    for index, node in enumerate(graph.nodes):
        if found[index] is None:
            found[index] = next((found[s] for s, _, _ in node.inputs if found[s] is not None), None)
    for index in range(len(graph.nodes) - 1, -1, -1):
        for source, _, _ in graph.nodes[index].inputs:
            if found[source] is None:
                found[source] = found[index]
    return [default if device is None else device for device in found]


def insert_copies(program: Program, devices: Mapping[int, Any], runs_on: Sequence[Any]) -> None:
    """Put a copy before each step that reads a value from another device, one for each value and device.

    Args:
        program: changed in place.
        devices: device of each value.
        runs_on: device of each step, in the order of `program.steps`.
    """
    copies: dict[tuple[int, Any], int] = {}
    steps: list[Step] = []
    for step, device in zip(program.steps, runs_on, strict=True):
        inputs = []
        for value in step.inputs:
            if value in devices and devices[value] != device:
                if (value, device) not in copies:
                    copies[value, device] = program.value()
                    steps.append(_copy(step.name, value, copies[value, device], device))
                value = copies[value, device]
            inputs.append(value)
        step.inputs = tuple(inputs)
        steps.append(step)
    program.steps = steps


def _copy(name: str, source: int, target: int, device: Any) -> Step:
    return Step(f"{name}.copy", None, Params(), lambda tensor: tensor.to(device), (source,), (target,))
