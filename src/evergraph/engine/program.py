"""A program: a graph's computation as steps over numbered values, the form that plans run and lowering rewrites."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from evergraph.ops import Operator, Params

__all__ = ["NOTHING", "Program", "Step"]

NOTHING = 0
"""The value that is always None: it stands for an optional input that is not used."""


@dataclass(slots=True, eq=False)
class Step:
    """One call: values in, values out.

    Args:
        name: the node's name, for messages and monitors.
        op: the operator, or None for a step that the engine made.
        params: the operator's parsed parameters.
        call: the computation on the inputs' values; returns one value, or a tuple or list of them.
        inputs: value numbers in the order in which `call` takes them.
        outputs: value numbers of all outputs; `call` may return fewer.
    """

    name: str
    op: Operator | None
    params: Params
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def replace(self, **changes: Any) -> "Step":
        """The same step with other values for some fields."""
        return dataclasses.replace(self, **changes)

    @property
    def kind(self) -> str:
        """The operator's name; for a step that the engine made, what it says of itself."""
        return self.op.name if self.op is not None else self.params.get("engine", "")


@dataclass(slots=True, eq=False)
class Program:
    """Steps in an order in which they can run, over values numbered from 1.

    Args:
        steps: the calls.
        inputs: values that are given to each run, in order.
        outputs: values that a run returns, in order.
        constants: values that are known before any run.
        shapes: shapes of values, as far as they are known.
        total: how many value numbers are taken.
    """

    steps: list[Step]
    inputs: list[int]
    outputs: list[int]
    constants: dict[int, Any] = field(default_factory=dict)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    total: int = 1

    def value(self) -> int:
        """A new value number."""
        self.total += 1
        return self.total - 1

    def copy(self) -> "Program":
        """The same program in lists of its own."""
        return Program(
            list(self.steps), list(self.inputs), list(self.outputs), dict(self.constants), dict(self.shapes), self.total
        )

    def readers(self) -> dict[int, list[Step]]:
        """The steps that read each value; a value that is an output has the program's end as a reader too (None)."""
        found: dict[int, list[Any]] = {}
        for step in self.steps:
            for value in step.inputs:
                found.setdefault(value, []).append(step)
        for value in self.outputs:
            found.setdefault(value, []).append(None)
        return found

    def makers(self) -> dict[int, Step]:
        """The step that makes each value."""
        return {value: step for step in self.steps for value in step.outputs}

    def sort(self) -> None:
        """Put the steps into an order in which they can run, as near to the present one as can be."""
        makers, done = self.makers(), set()
        ordered: list[Step] = []
        for first in self.steps:
            pending = [first]
            while pending:
                step = pending[-1]
                waits = [m for v in step.inputs if (m := makers.get(v)) is not None and id(m) not in done]
                if waits and id(step) not in done:
                    pending += waits
                    continue
                pending.pop()
                if id(step) not in done:
                    done.add(id(step))
                    ordered.append(step)
        self.steps = ordered

    def prune(self) -> None:
        """Drop the steps and constants that no output needs."""
        needed = set(self.outputs)
        kept: list[Step] = []
        for step in reversed(self.steps):
            if not needed.isdisjoint(step.outputs):
                needed.update(step.inputs)
                kept.append(step)
        self.steps = kept[::-1]
        self.constants = {v: c for v, c in self.constants.items() if v in needed}

    def last_uses(self) -> Iterator[tuple[Step, tuple[int, ...]]]:
        """Each step with the values that nothing needs after it."""
        last: dict[int, int] = {}
        for index, step in enumerate(self.steps):
            for value in (*step.outputs, *step.inputs):
                last[value] = index
        kept = {NOTHING, *self.outputs, *self.constants}
        dying: list[list[int]] = [[] for _ in self.steps]
        for value, index in last.items():
            if value not in kept:
                dying[index].append(value)
        return zip(self.steps, map(tuple, dying), strict=True)
