"""Executors: a graph bound to arrays, run forward and backward with MXNet's semantics on torch autograd."""

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evergraph.engine.compiling import Compiled, compile_program, freeze
from evergraph.engine.freezing import Freezer
from evergraph.engine.gradients import GradientStore
from evergraph.engine.losses import predicting
from evergraph.engine.lowering.training import lower_training
from evergraph.engine.memory import keep_freed_memory
from evergraph.engine.plan import Plan, make_plan
from evergraph.engine.settings import EngineWarning, resolve
from evergraph.errors import EvergraphError, OperatorError, ShapeError, UsageError, collect, printable
from evergraph.graph import Graph
from evergraph.ops.run import Run, carry_out
from evergraph.ops.sparse import is_sparse, kind_of
from evergraph.passes.signature import signature

__all__ = ["Executor"]


class Executor:
    """A graph bound to arrays.

    The arrays are the caller's: each run reads `arguments` and `auxiliary` as they then are, so what is written into
    them in between is seen; entries of the two lists may also be replaced. Training changes auxiliary states in place
    when the gradient passes them, as MXNet does; a forward pass alone changes none.

    Args:
        graph: an upgraded graph.
        arguments: torch tensors (or sparse values of `evergraph.ops.sparse`) in the order of the graph's arguments,
            or by name; one name that stands for several arguments gives them all the same array.
        auxiliary: tensors of the auxiliary states, in order or by name.
        gradients: where gradients are stored, in order or by name; None where there is no storage, and for an
            argument whose request is not "null" storage is made.
        requests: "write", "add" or "null", one for all, or by order or name; a name that is not there means "null".
        device: torch device of the nodes that no group places elsewhere.
        groups: device of each context group (model parallelism).
        generators: random generators by torch device string.
        inputs: names of the arguments that differ from run to run. Inference lowers the graph with the others as
            constants, once they have stayed as they are for a few runs, and until one is written again. Where the names
            are not given, they are learned from what changes. Memory that is written behind PyTorch's back, as through
            a NumPy view, goes unnoticed: `changed()` says so.
        replace_gradients: whether `gradients` may get a new tensor in place of one that no view looks into: a gradient
            is then not copied. The caller reads `gradients` again after each backward pass.

    Raises:
        OperatorError: the graph holds unknown operators or malformed parameters; all are listed.
        UsageError: arrays are missing, too many, or of an unknown name; all are listed.

    >>> from evergraph.graph import Node
    >>> x = Node("null", "x")
    >>> graph = Graph((x, Node("abs", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),))
    >>> run = Executor(graph, {"x": torch.tensor([-3.0, 2.0])}, requests="write")
    >>> run.forward(training=True)
    [tensor([3., 2.])]
    >>> run.backward(); run.gradients
    [tensor([-1.,  1.])]
    """

    def __init__(
        self,
        graph: Graph,
        arguments: Sequence[Any] | Mapping[str, Any],
        auxiliary: Sequence[Any] | Mapping[str, Any] = (),
        *,
        gradients: Sequence[Any] | Mapping[str, Any] | None = None,
        requests: str | Sequence[str] | Mapping[str, str] = "null",
        device: Any = "cpu",
        groups: Mapping[str, Any] | None = None,
        generators: Mapping[str, Any] | None = None,
        inputs: Sequence[str] | None = None,
        replace_gradients: bool = False,
    ) -> None:
        self.graph, self.device, self.groups = graph, device, dict(groups or {})
        self._inputs = inputs
        self.generators: dict[str, Any] = dict(generators or {})
        self._kept: dict[Any, Any] = {}
        self._plans: dict[Any, Plan] = {}
        names = signature(graph)
        self.argument_names, self.auxiliary_names, self.output_names = names.arguments, names.auxiliary, names.outputs
        self.arguments = _in_order(names.arguments, arguments, "argument")
        self.auxiliary = _in_order(names.auxiliary, auxiliary, "auxiliary state")
        self.requests = _requests(names.arguments, requests)
        self._store = GradientStore(names.arguments, self.arguments, gradients, self.requests, replace_gradients)
        self._monitor: tuple[Callable[[str, Any], None], bool] | None = None
        self._last_plan: tuple[bool, Any, tuple[Any, ...], Plan] | None = None
        self._shaped = True
        self._shaped = self._plan(False).shaped
        self.outputs: list[Any] = []
        self._live: list[Any] | None = None
        self._training = False
        self._random: Any = None
        places = None if inputs is None else [i for i, n in enumerate(names.arguments) if n in set(inputs)]
        self._freezer = Freezer(places, self._fixed_gammas(), self._frozen) if self._can_freeze() else None

    @property
    def gradients(self) -> list[Any]:
        """Gradient storage of each argument, in order; None where there is none."""
        return self._store.storage

    def forward(self, training: bool = False) -> list[Any]:
        """Compute the outputs.

        Args:
            training: layers behave as in training, and `backward` may follow.

        Returns:
            the outputs, detached from the recorded computation; also kept as `outputs`.

        Raises:
            EvergraphError: a node failed; the message names it, its operator and its inputs' shapes.
        """
        self._live = None  # frees what the last run kept for its gradient before this one allocates
        self._training = training
        if training and self._store.wanted:
            self._record()
            return self.outputs
        with torch.no_grad():
            lowered = None
            if self._freezer is not None and not training and self._monitor is None:
                lowered = self._freezer.lowered([*self.arguments, *self.auxiliary])
            self.outputs = self._compute(self.arguments) if lowered is None else lowered()
            if self._freezer is not None and not training:
                self._freezer.note([*self.arguments, *self.auxiliary])
        return self.outputs

    def changed(self) -> None:
        """Say that arrays were written in a way that PyTorch does not notice."""
        if self._freezer is not None:
            self._freezer.disturb()

    def backward(self, heads: Sequence[Any] | Any = ()) -> None:
        """Compute the gradients of the arguments and store them as requested.

        Args:
            heads: gradient of each output, in order; ones where the list ends early or holds None. Loss layers have
                gradients of their own and read none.

        Raises:
            ShapeError: a head gradient has another shape than its output.
            EvergraphError: an operator's gradient failed.
        """
        if not self._store.wanted:
            return
        if self._live is None:
            # torch frees a recorded computation as the gradient passes; a second gradient, or one after a forward
            # pass that was not recorded, computes it again
            self._record(again=True)
        pairs = self._heads(heads if isinstance(heads, (list, tuple)) else [heads])
        self._live = None
        self._store.begin()
        if pairs:
            try:
                torch.autograd.backward([o for o, _ in pairs], [h for _, h in pairs])
            except EvergraphError:
                raise
            except Exception as error:
                raise OperatorError(
                    f"the gradient cannot be computed: {printable(error, 500)}", where=f"{self.graph!r}"
                ) from error
        with torch.no_grad():
            # MXNet sends zeros through what stops a gradient, and layers behind it change their states
            carry_out(self._plan(True).run.updates or ())
        self._store.finish()

    def set_monitor(self, callback: Callable[[str, Any], None] | None, inputs: bool = False) -> None:
        """Call `callback(name, value)` for every output of every node in each forward pass; None ends it.

        In a backward pass it receives "<node>_backward_output<i>", the gradient that a node gives its input i.

        Args:
            callback: receives "<node>_<output>" and a detached value.
            inputs: also for the variables and the inputs of every node.
        """
        self._monitor = None if callback is None else (lambda n, v: callback(n, _detached(v)), inputs)

    def reshape(self, shapes: Mapping[str, Sequence[int]]) -> "Executor":
        """An executor for other shapes of some arguments; arrays whose shape stays are shared with this one.

        Args:
            shapes: new shape of each argument that changes, by name; new arrays are zeros.

        Raises:
            UsageError: a name that is no argument or auxiliary state.
        """
        known = (*self.argument_names, *self.auxiliary_names)
        collect(
            UsageError,
            "shapes are given for names that the graph does not have",
            [f"{printable(n)}: shape {tuple(s)}" for n, s in shapes.items() if n not in known],
        )
        found = Executor(
            self.graph,
            [_resized(a, shapes.get(n)) for n, a in zip(self.argument_names, self.arguments, strict=True)],
            [_resized(a, shapes.get(n)) for n, a in zip(self.auxiliary_names, self.auxiliary, strict=True)],
            gradients=[_resized(g, shapes.get(n)) for n, g in zip(self.argument_names, self.gradients, strict=True)],
            requests=self.requests,
            device=self.device,
            groups=self.groups,
            generators=self.generators,
            inputs=self._inputs,
        )
        found._monitor = self._monitor
        return found

    def _plan(self, training: bool) -> Plan:
        """The plan for the arrays as they are; found at once where they are those of the last time."""
        arrays = (*self.arguments, *self.auxiliary)
        last = self._last_plan
        if last is None or last[:2] != (training, self._monitor) or not all(map(operator.is_, last[2], arrays)):
            last = self._last_plan = (training, self._monitor, arrays, self._found_plan(training, arrays))
        return last[3]

    def _found_plan(self, training: bool, arrays: Sequence[Any]) -> Plan:
        names = (*self.argument_names, *self.auxiliary_names)
        sparse = {n: kind_of(a) for n, a in zip(names, arrays, strict=True) if is_sparse(a)}
        shapes = {n: tuple(a.shape) for n, a in zip(names, arrays, strict=True)} if self._shaped else {}
        # a monitor is shown every value: nothing may be overwritten, nor be in an unusual order
        plain = self._monitor is None and not self.groups and not sparse
        lowered = training and plain and torch.device(self.device).type == "cpu"
        key = (training, lowered, *sparse.items(), *shapes.items())
        if key not in self._plans:
            run = Run(training, self.generators, sparse_gradients=True)
            run.kept = self._kept
            plan = self._plans[key] = make_plan(
                self.graph,
                training=training,
                shapes=shapes,
                device=self.device,
                groups=self.groups,
                run=run,
                sparse=sparse,
            )
            if lowered:
                lower_training(plan.program)
                keep_freed_memory()
        return self._plans[key]

    def _compute(self, arguments: Sequence[Any]) -> list[Any]:
        plan = self._plan(self._training)
        if self._monitor is not None:
            return plan.observe(arguments, self.auxiliary, *self._monitor, gradients=True)
        return plan(arguments, self.auxiliary)

    def _can_freeze(self) -> bool:
        """Whether one device holds everything, each name stands for one array, and no operator writes its inputs."""
        names = (*self.argument_names, *self.auxiliary_names)
        steps = self._plan(False).program.steps
        writes = any(i.kind == "in place" for s in steps if s.op is not None for i in s.op.inputs)
        return not self.groups and len(set(names)) == len(names) and not writes

    def _fixed_gammas(self) -> list[int]:
        """Places of the arrays that are only ever a fixed gamma, which every run of theirs sets to 1 again."""
        program = self._plan(False).program
        read: dict[int, bool] = {}
        for step in program.steps:
            for place, value in enumerate(step.inputs):
                fixed = place == 1 and bool(step.params.get("fix_gamma"))
                read[value] = fixed and read.get(value, True)
        return [i for i, value in enumerate(program.inputs) if read.get(value)]

    def _frozen(self, arrays: Sequence[Any], places: Sequence[int]) -> Compiled:
        """The graph lowered with everything but the arrays at these places as constants."""
        graph, names = predicting(self.graph), (*self.argument_names, *self.auxiliary_names)
        used = set(signature(graph).inputs)
        kept = {names[i]: k for k, i in enumerate(places) if names[i] in used}
        inputs = list(kept)
        given = {n: a for n, a in zip(names, arrays, strict=True) if n in used}
        shapes = {n: tuple(a.shape) for n, a in given.items()}
        plan = make_plan(graph, shapes=shapes, device=self.device, run=Run(False, self.generators), infer=True)
        engine, precision = resolve(None, None)
        call = compile_program(
            freeze(plan, {n: a for n, a in given.items() if n not in inputs}, inputs),
            [given[n] for n in inputs],
            engine="torch" if engine == "auto" else engine,
            precision=precision,
            device=torch.device(self.device),
            tell=lambda note: warnings.warn(note, EngineWarning, stacklevel=4),
        )
        return lambda values: call([values[k] for k in kept.values()])

    def _record(self, again: bool = False) -> None:
        if self._freezer is not None:
            self._freezer.disturb()
        if again and self._random is not None:
            _restore(self._random)
        else:
            self._random = _state(self.generators)
        self._plan(self._training).run.updates = []
        with torch.enable_grad():
            self._live = self._compute(self._store.leaves(self.arguments))
        if not again:
            self.outputs = [_detached(o) for o in self._live]

    def _heads(self, heads: Sequence[Any]) -> list[tuple[Any, Any]]:
        live = self._live or []
        if len(heads) > len(live):
            raise UsageError("there are more head gradients than outputs", expected=len(live), found=len(heads))
        pairs, wrong = [], []
        given = [*heads, *[None] * (len(live) - len(heads))]
        last = {entry[:2]: i for i, entry in enumerate(self.graph.heads)}
        for i, (name, output, head) in enumerate(zip(self.output_names, live, given, strict=True)):
            if not isinstance(output, torch.Tensor) or not output.requires_grad:
                continue
            if last[self.graph.heads[i][:2]] != i:
                continue  # of an output that is listed more than once, MXNet takes the last head gradient
            if head is None:
                head = torch.ones_like(output)
            elif tuple(head.shape) != tuple(output.shape):
                wrong.append(f"{printable(name)}: {tuple(head.shape)} for an output of {tuple(output.shape)}")
            pairs.append((output, head.to(output)))
        collect(ShapeError, "head gradients have other shapes than their outputs", wrong)
        return pairs


def _in_order(names: Sequence[str], given: Sequence[Any] | Mapping[str, Any], what: str) -> list[Any]:
    if not isinstance(given, Mapping):
        found = list(given)
        if len(found) != len(names):
            raise UsageError(f"the graph takes another number of {what}s", expected=len(names), found=len(found))
        return found
    wrong = [f"missing: {printable(n)}" for n in dict.fromkeys(names) if n not in given]
    collect(UsageError, f"the graph's {what}s are not all there", wrong)
    return [given[n] for n in names]


def _requests(names: Sequence[str], requests: str | Sequence[str] | Mapping[str, str]) -> list[str]:
    if isinstance(requests, str):
        found = [requests] * len(names)
    elif isinstance(requests, Mapping):
        found = [requests.get(n, "null") for n in names]
    else:
        found = list(requests)
    if len(found) != len(names):
        raise UsageError("gradient requests are not as many as arguments", expected=len(names), found=len(found))
    collect(
        UsageError,
        "a gradient request is none of write, add, null",
        [f"{printable(n)}: {printable(r)}" for n, r in zip(names, found, strict=True) if r not in _REQUESTS],
    )
    return found


_REQUESTS = ("write", "add", "null")


def _resized(array: Any, shape: Sequence[int] | None) -> Any:
    if array is None or shape is None or tuple(array.shape) == tuple(shape):
        return array
    return array.new_zeros(tuple(shape))


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def _state(generators: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = [(g, g.get_state()) for g in generators.values()]
    return [*found, (torch.default_generator, torch.default_generator.get_state())]


def _restore(states: list[tuple[Any, Any]]) -> None:
    for generator, state in states:
        generator.set_state(state)
