"""The operator Custom: a computation written in Python, found by its op_type."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from evergraph.errors import EvergraphError, OperatorError, ShapeError, printable
from evergraph.ops.families.control.registry import CustomOperator, CustomProperties, find_custom
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, known, unify
from evergraph.ops.run import Run
from evergraph.tensors.dtypes import dtype

__all__ = ["Custom"]


@functools.lru_cache(maxsize=256)
def _made(factory: Callable[..., CustomProperties], attributes: tuple[tuple[str, str], ...]) -> CustomProperties:
    return factory(**dict(attributes))


def _properties(p: Any) -> CustomProperties:
    """The description that a node's attributes ask for."""
    attributes = {k: str(v) for k, v in p.items() if k != "op_type"}
    return _made(find_custom(p["op_type"]), tuple(sorted(attributes.items())))


def _input_names(p: Any, _: int | None) -> list[str]:
    found = _properties(p)
    return [*found.list_arguments(), *found.list_auxiliary_states()]


def _asked(question: Callable[[list[Any]], Any], given: list[Any], sure: bool, where: str) -> Sequence[Any] | None:
    """What a description says of shapes or types; None where it fails on facts that are not all known yet."""
    try:
        found = question(given)
    except EvergraphError:
        raise
    except Exception as error:  # whatever a user's own code raises
        if sure:
            raise ShapeError(f"{where} cannot tell what comes out", found=f"{type(error).__name__}: {error}") from error
        return None
    if len(found) not in (2, 3):
        raise ShapeError(f"{where} has to return two or three lists", found=printable(found))
    return [*found, []] if len(found) == 2 else found


def _sizes(shape: Any) -> Dims:
    """A shape of a description; an empty one stands for an unknown one, as in MXNet."""
    return tuple(int(d) for d in shape) or None


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    found = _properties(p)
    count = len(found.list_arguments())
    if not ins or not known(ins[0]):
        return ins, outs
    given = [s if s is not None and known(s) else () for s in ins[:count]]
    sure = all(given)
    told = _asked(found.infer_shape, given, sure, f"infer_shape of {printable(p.op_type)}")
    if told is None:
        return ins, outs
    shapes, results, states = ([_sizes(s) for s in part] for part in told)
    ins = [unify(i, s, "an input of Custom") for i, s in zip(ins, [*shapes, *states], strict=False)]
    return ins, [unify(o, s, "an output of Custom") for o, s in zip(outs, results, strict=False)]


def _numpy_type(name: str) -> Any:
    return dtype(name).numpy().type


def _type_name(found: Any) -> str:
    return str(dtype(found))


def _types(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    found = _properties(p)
    count = len(found.list_arguments())
    first = ins[0] if ins else None
    if first is None:
        return ins, outs
    given = [_numpy_type(name or first) for name in ins[:count]]
    told = _asked(found.infer_type, given, None not in ins[:count], f"infer_type of {printable(p.op_type)}")
    if told is None:
        return ins, outs
    types, results, states = ([_type_name(t) for t in part] for part in told)
    return [a or b for a, b in zip(ins, [*types, *states], strict=False)], list(results)


class _Call:
    """One call of a Python operator: what its two passes share besides the tensors."""

    def __init__(self, kernel: CustomOperator, aux: list[Any], outs: list[tuple[Any, Any]], training: bool) -> None:
        self.kernel, self.aux, self.outs, self.training = kernel, aux, outs, training

    def forward(self, inputs: Sequence[Any], device: Any) -> tuple[Any, ...]:
        outs = [torch.zeros(shape, dtype=kind, device=device) for shape, kind in self.outs]
        self.kernel.forward(self.training, ["write"] * len(outs), list(inputs), outs, self.aux)
        return tuple(outs)

    def backward(self, inputs: Sequence[Any], outs: Sequence[Any], grads: Sequence[Any]) -> list[Any]:
        found = [torch.zeros_like(i) for i in inputs]
        req = ["write" if i.is_floating_point() else "null" for i in inputs]
        self.kernel.backward(req, list(grads), list(inputs), list(outs), found, self.aux)
        return [g if r == "write" else None for g, r in zip(found, req, strict=True)]


def _gradient(saved: Any, *grads: Any) -> tuple[Any, ...]:
    call, _, *inputs = saved.args
    with torch.no_grad():
        return (None, None, *call.backward(inputs, saved.outputs, grads))


@with_gradient(_gradient)
def _run(call: _Call, device: Any, *inputs: Any) -> tuple[Any, ...]:
    with torch.no_grad():
        return call.forward(inputs, device)


def _kernel(found: CustomProperties, device: Any, shapes: list[Any], types: list[Any], run: Run) -> CustomOperator:
    """The computation: as in MXNet, an executor's node keeps one, which may keep things itself."""
    if run.kept is None:
        return found.create_operator(device, shapes, types)
    key = (str(device), tuple(shapes), tuple(types))
    if key not in run.kept:
        run.kept[key] = found.create_operator(device, shapes, types)
    return run.kept[key]


@operator(
    aliases=("_npi_Custom",),
    shape=_shapes,
    dtype=_types,
    outputs=lambda p: tuple(_properties(p).list_outputs()),
    names=_input_names,
    states=lambda p: _properties(p).list_auxiliary_states(),
    description={"op_type": "string"},
)
def Custom(*data, op_type: str, run: Run, **attributes):
    """A computation written in Python, registered under op_type; the other attributes are its own, all text.

    Inputs are its arguments, then its auxiliary states. The registered object says shapes and types, and computes
    outputs and gradients on tensors; it is made once for equal attributes, its computation once for each node of an
    executor and anew for each call elsewhere.
    """
    p = {"op_type": op_type, **attributes}
    found = _properties(p)
    names = list(found.list_arguments())
    if len(data) != len(names) + len(found.list_auxiliary_states()):
        expected = ", ".join(_input_names(p, None))
        raise OperatorError(f"{printable(op_type)} takes other inputs", expected=expected, found=len(data))
    inputs, aux = data[: len(names)], [a.detach() for a in data[len(names) :]]
    shapes = [tuple(i.shape) for i in inputs]
    types = [_numpy_type(str(i.dtype).removeprefix("torch.")) for i in inputs]
    where = printable(op_type)
    told = _asked(found.infer_shape, list(shapes), True, f"infer_shape of {where}")
    kinds = _asked(found.infer_type, list(types), True, f"infer_type of {where}")
    assert told is not None  # noqa: S101 - being sure, it raises instead
    assert kinds is not None  # noqa: S101 - see above
    device = inputs[0].device if inputs else torch.device("cpu")
    outs = [(tuple(s), dtype(t).torch()) for s, t in zip(told[1], kinds[1], strict=True)]
    kernel = _kernel(found, device, [*shapes, *(tuple(a.shape) for a in aux)], types, run)
    return tuple(_run(_Call(kernel, aux, outs, run.training), device, *inputs))
