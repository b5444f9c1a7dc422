"""What lowering steps share: who reads a value, operators called with other parameters, values that are known."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.engine.program import NOTHING, Program, Step
from evergraph.ops import Params
from evergraph.ops.run import Run

__all__ = ["Uses", "call_of", "engine_step", "redirect", "updated"]


class Uses:
    """Who makes and who reads each value of a program, and when, as it was when this was made."""

    def __init__(self, program: Program) -> None:
        self.makers, self.readers = program.makers(), program.readers()
        self.order = {id(s): i for i, s in enumerate(program.steps)}

    def reader(self, value: int) -> Step | None:
        """The one step that reads a value, once; None where there are none, several, or it is an output."""
        found = self.readers.get(value, ())
        return found[0] if len(found) == 1 else None

    def unread(self, step: Step) -> bool:
        """Whether nothing reads any output of a step but its first."""
        return not any(self.readers.get(v) for v in step.outputs[1:])


def call_of(step: Step) -> Callable[..., Any]:
    """The call of an operator's step for the parameters that it has now, as in inference."""
    if step.op is None:
        return step.call
    keywords = dict(step.params)
    if step.op.wants_run:
        keywords["run"] = Run()
    return functools.partial(step.op.body, **keywords)


def updated(step: Step, inputs: tuple[int, ...], **params: Any) -> Step:
    """An operator's step with other inputs and parameters."""
    found = step.replace(inputs=inputs, params=Params(step.params, **params))
    return found.replace(call=call_of(found))


def engine_step(
    name: str, kind: str, call: Callable[..., Any], inputs: tuple[int, ...], output: int, **known: Any
) -> Step:
    """A step of the engine's own.

    Args:
        name: the node that it stands for.
        kind: what it is, for later lowering steps: `Step.kind` says it.
        call: its computation.
        inputs: values that it reads.
        output: the value that it makes.
        known: what later lowering steps may ask of it, as its parameters.
    """
    return Step(name, None, Params(known, engine=kind), call, inputs, (output,))


def redirect(program: Program, same: dict[int, int]) -> None:
    """Let everything that reads a key of `same` read its value instead; chains are followed."""

    def target(value: int) -> int:
        while value in same:
            value = same[value]
        return value

    if same:
        for index, step in enumerate(program.steps):
            if any(v in same for v in step.inputs):
                program.steps[index] = step.replace(inputs=tuple(map(target, step.inputs)))
        program.outputs = [target(v) for v in program.outputs]
        program.prune()


def constant(program: Program, value: int) -> Any:
    """The tensor that a value always is, or None."""
    return None if value == NOTHING else program.constants.get(value)
