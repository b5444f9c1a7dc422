"""Where each operator stands in the face (`mx.nd.contrib.box_nms`), and what its function looks like to a reader."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from evergraph import ops
from evergraph.ops.types import REQUIRED

__all__ = ["documentation", "namespace", "place", "signature", "split"]

_SPACES = {
    "_contrib_": "contrib",
    "_linalg_": "linalg",
    "_image_": "image",
    "_sparse_": "sparse",
    "_random_": "random",
    "_sample_": "random",
}


def place(name: str) -> tuple[str, str]:
    """The namespace of an operator's name and what it is called there.

    >>> place("_contrib_box_nms"), place("relu"), place("_plus_scalar")
    (('contrib', 'box_nms'), ('op', 'relu'), ('_internal', '_plus_scalar'))
    """
    for prefix, space in _SPACES.items():
        if name.startswith(prefix):
            return space, name[len(prefix) :]
    return ("_internal" if name.startswith("_") else "op"), name


@cache
def namespace(space: str) -> Mapping[str, str]:
    """What a namespace holds: function name -> operator name."""
    found = {}
    for name in sorted(ops.names()):
        home, called = place(name)
        if home == space or (space == "_internal" and name.startswith("_")):
            found[name if space == "_internal" else called] = name
    return found


def signature(op: ops.Operator, first: str = "out") -> inspect.Signature:
    """The signature of an operator's function: inputs, parameters, then `out`, `name` and further keywords."""
    Parameter = inspect.Parameter
    kind = Parameter.POSITIONAL_OR_KEYWORD
    items = [Parameter(i.name, kind, default=None) for i in op.inputs]
    if op.variadic:
        items = [Parameter(op.variadic, Parameter.VAR_POSITIONAL)]
        kind = Parameter.KEYWORD_ONLY
    items += [
        Parameter(p.name, kind, default=None if p.default is REQUIRED else p.default)
        for p in op.parameters.values()
        if p.name != op.count
    ]
    items += [Parameter(n, kind, default=None) for n in (first, "name") if n not in op.parameters]
    items.append(Parameter("kwargs", Parameter.VAR_KEYWORD))
    return inspect.Signature(items)


def documentation(op: ops.Operator, result: str) -> str:
    """The operator's documentation in NumPy's style, parameters described as MXNet describes them."""
    lines = [op.doc or f"Operator {op.name}.", "", "Parameters", "----------"]
    lines += [f"{i.name} : {result}" + (", optional" if i.optional else "") for i in op.inputs]
    if op.variadic:
        lines.append(f"{op.variadic} : {result}[]")
    lines += [f"{p.name} : {p.description}" for p in op.parameters.values()]
    lines += ["", "Returns", "-------", f"out : {result}, or a list of them where there are several outputs"]
    return "\n".join(lines)


def split(op: ops.Operator, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the inputs that were given by name out of `kwargs`; returns them in the operator's order."""
    return {i.name: kwargs.pop(i.name) for i in op.inputs if i.name in kwargs}
