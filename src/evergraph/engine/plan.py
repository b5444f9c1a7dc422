"""Plans: a graph lowered for one purpose, one set of shapes and one device, ready to run on torch tensors."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from evergraph.engine.binding import Bound, bind, live_nodes
from evergraph.engine.observing import gradient_names, input_names, with_own_outputs
from evergraph.engine.placement import insert_copies, place
from evergraph.engine.program import NOTHING, Program, Step
from evergraph.engine.routine import Routine
from evergraph.engine.storage import dispatch_sparse
from evergraph.errors import GraphError, printable
from evergraph.graph import Graph, Node
from evergraph.ops import Operator, Params
from evergraph.ops.run import Run
from evergraph.passes.shapes import Shapes, infer_shapes
from evergraph.passes.signature import Signature, signature

__all__ = ["Plan", "Subgraph", "make_plan"]


class Plan:
    """A graph's computation over slots: operators bound, parameters parsed, dead nodes gone.

    Made by `make_plan`. A plan holds no arrays and may be run from several threads at once.

    Attributes:
        graph: what it was made from.
        arguments: names of the arguments, in the order in which runs take them; a name may stand twice.
        auxiliary: names of the auxiliary states, in order.
        outputs: names of the outputs, in order.
        devices: device of each argument, then of each auxiliary state.
        shaped: whether the plan holds for the shapes only that it was made for.
        program: the steps, for lowering and inspection.
        run: what the operators know of the run.
    """

    def __init__(
        self, graph: Graph, program: Program, names: Signature, run: Run, devices: Sequence[Any], shaped: bool
    ) -> None:
        self.graph, self.program, self.run = graph, program, run
        self.arguments, self.auxiliary, self.outputs = names.arguments, names.auxiliary, names.outputs
        self.devices, self.shaped = tuple(devices), shaped

    @functools.cached_property
    def routine(self) -> Routine:
        """The program, ready to run."""
        return Routine(self.program)

    def __call__(self, arguments: Sequence[Any], auxiliary: Sequence[Any] = ()) -> list[Any]:
        """The outputs for these arguments and auxiliary states.

        Args:
            arguments: tensors (or sparse values, where the plan was made for them) in the order of `arguments`.
            auxiliary: tensors in the order of `auxiliary`.

        Raises:
            EvergraphError: a node failed; the message names it, its operator and its inputs' shapes.
        """
        return self.routine([*arguments, *auxiliary])

    def observe(
        self,
        arguments: Sequence[Any],
        auxiliary: Sequence[Any],
        callback: Callable[[str, Any], None],
        inputs: bool = False,
        gradients: bool = False,
        own: bool = True,
    ) -> list[Any]:
        """As a call, with `callback(name, value)` for every output of every node, in MXNet's spelling of names.

        Args:
            arguments: as in a call.
            auxiliary: as in a call.
            callback: receives "<node>_<output>" and the value.
            inputs: also the variables, and "<node>_<input>" of every node, before its outputs.
            gradients: also, while a gradient of this run is computed, "<node>_backward_output<i>": what the node alone
                gives its input i; without the number where it has one, "<node>_backward_<input>" for some operators.
            own: also the outputs that only the operator itself uses.
        """
        names = dict(zip(self.program.inputs, (*self.arguments, *self.auxiliary), strict=True))

        def see(step: Step, given: Sequence[Any], found: Sequence[Any]) -> None:
            if step.op is None:
                return
            if inputs:
                labels = input_names(step, len(given))
                used = [(v, t) for v, t in zip(step.inputs, given, strict=True) if v != NOTHING]
                for label, (value, tensor) in zip(labels, used, strict=False):
                    if value in names:
                        callback(names[value], tensor)
                    callback(f"{step.name}_{label}", tensor)
            for label, tensor in zip(step.op.output_names(step.params), found, strict=False):
                callback(f"{step.name}_{label}", tensor)

        before = functools.partial(_with_gradients, callback) if gradients and torch.is_grad_enabled() else None
        compute = functools.partial(_computed, self.run) if own else None
        return self.routine.observe([*arguments, *auxiliary], see, before, compute)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Plan":
        return self  # nothing in it changes

    def __repr__(self) -> str:
        purpose = "training" if self.run.training else "inference"
        return f"<Plan for {purpose}: {len(self.program.steps)} steps, {len(self.outputs)} outputs>"


def _with_gradients(callback: Callable[[str, Any], None], step: Step, given: list[Any]) -> list[Any]:
    """A step's inputs as tensors of its own, whose gradients are shown when they come."""
    names = gradient_names(step)
    found = list(given)
    # autograd reaches the youngest first, and MXNet shows the first input first
    for i, (label, value) in reversed(list(enumerate(zip(names, given, strict=False)))):
        if isinstance(value, torch.Tensor) and value.requires_grad:
            found[i] = value.view_as(value)
            found[i].register_hook(functools.partial(_show, callback, f"{step.name}_{label}", value.detach()))
    return found


def _computed(run: Run, step: Step, given: list[Any]) -> Any:
    return with_own_outputs(step, run, given)


def _show(callback: Callable[[str, Any], None], name: str, value: Any, gradient: Any) -> None:
    callback(name, torch.zeros_like(value) if gradient is None else gradient)


class Subgraph:
    """A control-flow body as its operator sees it: called on tensors, in the order of the subgraph's own inputs.

    Attributes:
        graph: the subgraph.
        inputs: names of its variables, in the order of the call.
        outputs: names of its outputs.
    """

    __slots__ = ("graph", "inputs", "outputs", "routine")

    def __init__(self, graph: Graph, inputs: Sequence[str], outputs: Sequence[str], routine: Routine) -> None:
        self.graph, self.inputs, self.outputs, self.routine = graph, tuple(inputs), tuple(outputs), routine

    def __call__(self, *values: Any) -> list[Any]:
        """The subgraph's outputs."""
        return self.routine(values)


def make_plan(
    graph: Graph,
    *,
    training: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    device: Any = "cpu",
    groups: Mapping[str, Any] | None = None,
    run: Run | None = None,
    sparse: Mapping[str, str] | None = None,
    infer: bool = False,
) -> Plan:
    """Make the plan of a graph for one purpose.

    Args:
        graph: an upgraded graph (operators and attributes in MXNet 1.9.1's form).
        training: whether layers behave as in training.
        shapes: shapes of arguments and states; only what a graph leaves open (states of unknown size) needs them.
        device: torch device of the nodes that no group places elsewhere.
        groups: device of each context group; copies are inserted where values cross over.
        run: what the operators know of the run; its `training` is set to the purpose.
        sparse: storage kind of each variable that is given as a sparse value ("row_sparse", "csr").
        infer: also note the shape of every value, for lowering.

    Raises:
        OperatorError: listing every unknown operator with its count and every malformed parameter of the graph.

    >>> import torch
    >>> from evergraph.graph import Node
    >>> x = Node("null", "x")
    >>> plan = make_plan(Graph((x, Node("abs", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),)))
    >>> plan.arguments, plan.outputs, plan([torch.tensor([-1.0, 2.0])])
    (('x',), ('y_output',), [tensor([1., 2.])])
    """
    run = Run() if run is None else run
    run.training = training
    bound = bind(graph)
    # only these ask what shapes are: inference over the whole graph is not paid for otherwise
    waiting = any(b is not None and b.op.waits_for_shapes for b in bound[id(graph)])
    known = infer_shapes(graph, shapes) if (waiting or infer) and shapes is not None else None
    placed = place(graph, groups, device) if groups else [device] * len(graph.nodes)
    built = _Builder(bound, run, known).build(graph, placed)
    devices = built.spread_over(placed) if groups else [device] * len(built.program.inputs)
    kinds, names = sparse or {}, (*built.names.arguments, *built.names.auxiliary)
    given = [(v, kinds[n]) for v, n in zip(built.program.inputs, names, strict=True) if n in kinds]
    dispatch_sparse(built.program, given, run)
    return Plan(graph, built.program, built.names, run, devices, waiting)


class _Built:
    """A program with what is known of its origin."""

    def __init__(self, program: Program, names: Signature, nodes: list[int], variables: dict[int, int]) -> None:
        self.program, self.names = program, names
        self._nodes, self.variables = nodes, variables  # node of each step; node of each variable's value

    def spread_over(self, placed: Sequence[Any]) -> list[Any]:
        """Insert copies for nodes placed on devices; returns the device of each input."""
        devices = {value: placed[node] for value, node in self.variables.items()}
        inputs = [devices[v] for v in self.program.inputs]
        for step, node in zip(self.program.steps, self._nodes, strict=True):
            devices |= dict.fromkeys(step.outputs, placed[node])
        insert_copies(self.program, devices, [placed[n] for n in self._nodes])
        return inputs


class _Builder:
    """Turns graphs into programs, with one set of bound operators and one run."""

    def __init__(self, bound: dict[int, list[Bound | None]], run: Run, known: Shapes | None) -> None:
        self._bound, self._run, self._known = bound, run, known

    def build(self, graph: Graph, placed: Sequence[Any]) -> _Built:
        bound, live = self._bound[id(graph)], live_nodes(graph)
        values: list[tuple[int, ...]] = [()] * len(graph.nodes)
        program = Program([], [], [])
        nodes: list[int] = []
        for index, node in enumerate(graph.nodes):
            if not live[index]:
                continue
            item = bound[index]
            if item is None:
                values[index] = (program.value(),)
                continue
            op, params = item.op, item.params
            if op.waits_for_shapes and self._known is not None and self._known.graph is graph:
                params = op.complete(params, self._known.outputs_of(index))
            values[index] = tuple(program.value() for _ in op.output_names(params))
            given = op.arrange(params, [_read(graph, values, entry) for entry in node.inputs])
            inputs = tuple(NOTHING if v is None else v for v in given)
            call = self._call(node, op, params, placed[index], (node.name, index))
            program.steps.append(Step(node.name, op, params, call, inputs, values[index]))
            nodes.append(index)
        program.outputs = [_read(graph, values, head) for head in graph.heads]
        if self._known is not None and self._known.graph is graph:
            program.shapes = dict(_known_shapes(self._known, values))
        names = signature(graph)
        variables = {values[i][0]: i for i in names.nodes}
        program.inputs = sorted(variables, key=lambda value: variables[value] in names.states)
        return _Built(program, names, nodes, variables)

    def _call(self, node: Node, op: Operator, params: Params, device: Any, place: Any) -> Callable[..., Any]:
        keywords = dict(params)
        if op.wants_run:
            keywords["run"] = self._run.at(place) if op.open_ended else self._run
        if op.wants_subgraphs:
            keywords["subgraphs"] = tuple(self._subgraph(s, device) for s in node.subgraphs)
        call = functools.partial(op.body, **keywords) if keywords else op.body
        return call if node.inputs or torch.device(device).type == "cpu" else _on(device, call)

    def _subgraph(self, graph: Graph, device: Any) -> Subgraph:
        built = self.build(graph, [device] * len(graph.nodes))
        built.program.inputs = list(built.variables)  # in one order, states among the arguments
        return Subgraph(graph, built.names.inputs, built.names.outputs, Routine(built.program))


def _known_shapes(found: Shapes, values: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for node, each in enumerate(values):  # nothing for a dead node
        for value, shape in zip(each, found.outputs_of(node), strict=False):
            if shape is not None and None not in shape:
                yield value, shape  # type: ignore[misc]


def _on(device: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that makes its tensors on a device: operators without inputs have nothing that tells where."""

    def made() -> Any:
        with torch.device(device):
            return call()

    return made


def _read(graph: Graph, values: list[tuple[int, ...]], entry: tuple[int, int, int]) -> int:
    source, output, _ = entry
    if output < len(values[source]):
        return values[source][output]
    node = graph.nodes[source]
    raise GraphError(
        "the graph reads an output that its node does not have",
        where=f"node {source} {printable(node.name)!r} ({printable(node.op)})",
        expected=f"0 to {len(values[source]) - 1}",
        found=output,
    )
