"""A program made ready to run: a flat list of calls over slots, without names, dictionaries or recursion."""

from collections.abc import Callable, Sequence
from typing import Any

from evergraph.engine.program import Program, Step
from evergraph.errors import EvergraphError, OperatorError, printable

__all__ = ["Routine", "describe"]

_SEVERAL = (tuple, list)


class Routine:
    """Runs a program; safe to call from several threads at once, since each call has slots of its own.

    Args:
        program: the steps; a later change to it changes nothing here.

    Raises:
        EvergraphError: from a call, naming the node, its operator and its inputs.
    """

    __slots__ = ("_code", "_inputs", "_outputs", "_template")

    def __init__(self, program: Program) -> None:
        self._code = [
            (step.call, step.inputs, step.outputs[0] if len(step.outputs) == 1 else 0, free, step)
            for step, free in program.last_uses()
        ]
        self._inputs, self._outputs = tuple(program.inputs), tuple(program.outputs)
        self._template: list[Any] = [None] * program.total
        for value, tensor in program.constants.items():
            self._template[value] = tensor

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The program's outputs for the values of its inputs, both in order."""
        slots = self._template.copy()
        for slot, value in zip(self._inputs, values, strict=True):
            slots[slot] = value
        step: Any = None
        try:
            for call, ins, out, free, step in self._code:
                found = call(*[slots[i] for i in ins])
                if out and found.__class__ not in _SEVERAL:
                    slots[out] = found
                else:
                    _spread(slots, step.outputs, found)
                for slot in free:
                    slots[slot] = None
        except Exception as error:
            raise _failure(step, [slots[i] for i in step.inputs], error) from error
        return [slots[i] for i in self._outputs]

    def observe(
        self,
        values: Sequence[Any],
        see: Callable[[Step, Sequence[Any], Sequence[Any]], None],
        before: Callable[[Step, list[Any]], list[Any]] | None = None,
        compute: Callable[[Step, list[Any]], Any] | None = None,
    ) -> list[Any]:
        """As a call, with `see(step, inputs, outputs)` after every step.

        Args:
            values: as in a call.
            see: is shown each step.
            before: (step, inputs) -> the inputs that the step takes.
            compute: (step, inputs) -> its outputs, further ones after them.
        """
        slots = self._template.copy()
        for slot, value in zip(self._inputs, values, strict=True):
            slots[slot] = value
        for call, ins, _, free, step in self._code:
            given = [slots[i] for i in ins]
            if before is not None:
                given = before(step, given)
            try:
                found = call(*given) if compute is None else compute(step, given)
            except Exception as error:
                raise _failure(step, given, error) from error
            _spread(slots, step.outputs, found)
            see(step, given, found if isinstance(found, _SEVERAL) else [found])
            for slot in free:
                slots[slot] = None
        return [slots[i] for i in self._outputs]


def _spread(slots: list[Any], outputs: Sequence[int], found: Any) -> None:
    for slot, value in zip(outputs, found if isinstance(found, _SEVERAL) else (found,), strict=False):
        slots[slot] = value


def describe(value: Any) -> str:
    """A value's shape and type in a few words.

    >>> describe(None)
    'nothing'
    """
    if value is None:
        return "nothing"
    shape = tuple(getattr(value, "shape", ()))
    kind = getattr(value, "kind", "")
    dtype = str(getattr(getattr(value, "data", value), "dtype", type(value).__name__)).removeprefix("torch.")
    return f"{shape} {dtype} {kind}".rstrip()


def _failure(step: Step, inputs: Sequence[Any], error: Exception) -> EvergraphError:
    where = f"node {printable(step.name)!r}" + (f" ({step.op.name})" if step.op is not None else "")
    shapes = "inputs: " + (", ".join(map(describe, inputs)) or "none")
    if isinstance(error, EvergraphError):
        # a node of a subgraph has named itself already; the nodes around it are where it was met
        around = f"{error.where}, in {where}" if error.where else where
        details = error.details if any(d.startswith("inputs: ") for d in error.details) else (*error.details, shapes)
        return type(error)(
            error.what, where=around, expected=error.expected, found=error.found, fix=error.fix, details=details
        )
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return OperatorError(
        f"{step.op.name if step.op else 'a step of the engine'} failed: {printable(reason[0])}",
        where=where,
        details=(shapes, *(printable(line) for line in reason[1:6])),
    )
