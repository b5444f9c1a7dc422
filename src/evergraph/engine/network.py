"""Graphs as plain PyTorch modules: parameters under the graph's own names, for everything that PyTorch can do."""

import builtins
import keyword
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evergraph.engine.functions import TorchRun, function
from evergraph.engine.losses import predicting
from evergraph.engine.plan import Plan, make_plan
from evergraph.engine.program import NOTHING, Program, Step
from evergraph.engine.tensors import as_tensor
from evergraph.errors import UsageError, collect, printable
from evergraph.graph import Graph
from evergraph.ops.sparse import dense_value
from evergraph.passes.signature import signature
from evergraph.passes.upgrade import upgrade

__all__ = ["Network", "module"]


def module(
    graph: Graph, tensors: Mapping[str, Any], *, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> "Network":
    """A graph and its tensors as a plain `torch.nn.Module`.

    Floating-point arguments become parameters, auxiliary states and other tensors buffers, each under its name in the
    graph: a dot in a name makes submodules, so that `state_dict()` has the very same names. Where PyTorch cannot have a
    name (it is empty, is an attribute of modules, or another name goes on after it and a dot), underscores are added;
    `module.names` tells which name became which. Inputs without tensors are the arguments of `forward`, in the graph's
    order; labels of loss layers come last and may be left out: the loss layer is then its prediction, with that one's
    own gradient. `train()` and `eval()` mean what they do in PyTorch: moving statistics change in the forward pass.

    Args:
        graph: a graph of any release.
        tensors: values of arguments and auxiliary states by name (torch tensors, evergraph Tensors, NumPy arrays);
            `arg:` and `aux:` before a name are passed over. They are copied.
        shapes: shapes of inputs; only `torch.fx` needs them, for graphs that leave sizes open (`_zeros` of (0, 200)).

    Raises:
        OperatorError: listing every unknown operator and malformed parameter of the graph.
        UsageError: tensors are missing, or are none of the graph's; all are listed.

    >>> from evergraph.graph import Node
    >>> x, w = Node("null", "x"), Node("null", "dense.weight")
    >>> layer = Node("FullyConnected", "y", {"num_hidden": "2", "no_bias": "True"}, ((0, 0, 0), (1, 0, 0)))
    >>> net = module(Graph((x, w, layer), heads=((2, 0, 0),)), {"dense.weight": torch.eye(2)})
    >>> list(net.state_dict()), net(torch.tensor([[1.0, 2.0]])).tolist()
    (['dense.weight'], [[1.0, 2.0]])
    """
    graph = upgrade(graph).graph
    names = signature(graph)
    given = {n.partition(":")[2] if n.startswith(("arg:", "aux:")) else n: v for n, v in tensors.items()}
    known = {*names.arguments, *names.auxiliary}
    wrong = [f"missing: auxiliary state {printable(n)}" for n in names.auxiliary if n not in given]
    wrong += [f"not in the graph: {printable(n)}" for n in given if n not in known]
    collect(UsageError, "the tensors are not those of the graph", wrong)
    values = {n: dense_value(as_tensor(given[n])) for n in dict.fromkeys(names.inputs) if n in given}
    known_shapes = {n: tuple(v.shape) for n, v in values.items()} | dict(shapes) if shapes else {}
    found = _network(graph, tuple(n for n in dict.fromkeys(names.arguments) if n not in given), known_shapes)
    found.fill(values)
    return found.eval()


class Network(torch.nn.Module):
    """A graph as a module; made by `module`.

    Attributes:
        graph: what it was made from.
        inputs: names of the graph's inputs that `forward` must be given.
        labels: names of those that it may be given.
        outputs: names of the graph's outputs; `forward` returns a tensor where there is one, else a tuple.
        names: name in `state_dict()` of each argument and auxiliary state.
    """

    def __init__(self, graph: Graph, free: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__()
        self._run = TorchRun()
        self.graph, self._shapes = graph, dict(shapes)
        self._forms = {True: graph, False: predicting(graph)}  # with labels, and without
        self._first = self._prepare(shapes, "cpu")
        plan = self._first[True]
        needed = set(self._first[False].names)
        self.inputs = tuple(n for n in free if n in needed)
        self.labels = tuple(n for n in free if n not in needed)
        self.outputs = plan.plan.outputs
        self.names = _state_names([n for n in dict.fromkeys(plan.names) if n not in free], set(dir(self)))
        self._auxiliary = frozenset(plan.plan.auxiliary)
        self._places = {n: i for i, n in enumerate((*self.inputs, *self.labels))}
        self._homes: dict[str, tuple[torch.nn.Module, str]] = {}
        # sizes that the graph leaves open, and arrays that it makes, follow the inputs: a plan for each kind of these
        steps = plan.plan.program.steps
        self._open = any(_is_open(s) for s in steps)
        self._varying = self._open or any(not s.inputs for s in steps)
        self._others: dict[Any, dict[bool, _Prepared]] = {}

    def fill(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Make parameters and buffers of tensors, by the graph's names."""
        for name, tensor in tensors.items():
            home, leaf = self._home(self.names[name])
            tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
            if name in self._auxiliary or not tensor.dtype.is_floating_point:
                home.register_buffer(leaf, tensor)
            else:
                home.register_parameter(leaf, torch.nn.Parameter(tensor))

    def _home(self, name: str) -> tuple[torch.nn.Module, str]:
        home: torch.nn.Module = self
        *path, leaf = name.split(".")
        for part in path:
            if not hasattr(home, part):
                home.add_module(part, torch.nn.Module())
            home = home.get_submodule(part)
        return home, leaf

    def train(self, mode: bool = True) -> "Network":
        """Set the mode of all layers: training, or inference."""
        self._run.training = mode
        return super().train(mode)

    def compute(self, inputs: Sequence[Any]) -> Any:
        """The outputs for the values of `inputs` and `labels`, None for a label that is not given."""
        if not self._homes:
            self._homes = {n: self._home(state) for n, state in self.names.items()}
        traced = torch.overrides.has_torch_function(tuple(inputs)) and _proxies(inputs)
        labelled = bool(self.labels) and all(v is not None for v in inputs[len(self.inputs) :])
        if traced:  # a tracer gives something for every argument; in inference labels are of no use
            labelled = labelled and self.training
        prepared = self._first[labelled] if traced or not self._varying else self._prepared(inputs)[labelled]
        homes, places = self._homes, self._places
        values = [inputs[places[n]] if n in places else getattr(homes[n][0], homes[n][1]) for n in prepared.names]
        found = self._traced(prepared, values) if traced else prepared.routine(values)
        return found[0] if len(found) == 1 else tuple(found)

    def _prepared(self, inputs: Sequence[Any]) -> "dict[bool, _Prepared]":
        device = next((v.device for v in inputs if v is not None), torch.device("cpu"))
        given = zip((*self.inputs, *self.labels), inputs, strict=True)
        key = (device, *((n, tuple(v.shape)) for n, v in given if v is not None and self._open))
        if key not in self._others:
            # a compiler that traces this call must not trace the making of a plan
            make: Any = torch.compiler.disable(self._prepare)
            shapes = {n: tuple(getattr(*home).shape) for n, home in self._homes.items()}
            self._others[key] = make(shapes | dict(key[1:]), device)
        return self._others[key]

    def _prepare(self, shapes: Mapping[str, tuple[int, ...]], device: Any) -> "dict[bool, _Prepared]":
        found: dict[bool, _Prepared] = {}
        for labelled, graph in self._forms.items():
            names = set(signature(graph).inputs)
            known = {n: s for n, s in shapes.items() if n in names}
            plan = make_plan(graph, run=self._run, training=self.training, shapes=known, device=device)
            found[labelled] = _Prepared(plan)
        return found

    def _traced(self, prepared: "_Prepared", values: Sequence[Any]) -> list[Any]:
        if self._open and not self._shapes:
            raise UsageError(
                "the graph leaves sizes open that follow from its inputs, and a tracer's inputs have none",
                expected="input shapes",
                fix="make the module with module(graph, tensors, shapes={...})",
            )
        return _trace(prepared.plan.program, values, self.training)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        derived = ("_run", "_forms", "_first", "_others", "_homes", "graph")
        state = {k: v for k, v in self.__dict__.items() if k not in derived}
        return _network, (self.graph, (*self.inputs, *self.labels), self._shapes), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._run.training = self.training


class _Prepared:
    """A plan, ready to run, with the names of what it takes."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.routine, self.names = plan, plan.routine, (*plan.arguments, *plan.auxiliary)


def _is_open(step: Step) -> bool:
    """Whether a step makes an array of which the graph does not say every size."""
    if step.op is None or not step.op.waits_for_shapes:
        return False
    shape = step.params.get("shape", (1,))
    return not shape or any(d in (0, -1, None) for d in shape) or bool(step.params.get("infer_range"))


def _network(graph: Graph, free: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> Network:
    """A network without tensors, whose `forward` names its inputs (which is what tracers and readers go by)."""
    empty = Network(graph, free, shapes)
    forward = _forward(_argument_names((*empty.inputs, *empty.labels)), len(empty.labels))
    empty.__class__ = type("Network", (Network,), {"forward": forward, "__module__": __name__})
    return empty


def _forward(names: Sequence[str], optional: int) -> Callable[..., Any]:
    # the names are identifiers of our own making: nothing else of the graph reaches the source
    source = f"def forward(self, {', '.join(names)}):\n    return self.compute(({', '.join(names)},))\n"
    if not names:
        source = "def forward(self):\n    return self.compute(())\n"
    code = next(c for c in compile(source, "<forward>", "exec").co_consts if isinstance(c, types.CodeType))
    return types.FunctionType(code, {"__name__": __name__, "__builtins__": builtins}, "forward", (None,) * optional)


def _argument_names(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        word = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not word or word[0].isdigit() or keyword.iskeyword(word) or word == "self":
            word = f"input_{word}"
        while word in found:
            word += "_"
        found.append(word)
    return found


def _state_names(names: Sequence[str], taken: set[str]) -> dict[str, str]:
    """A name in the state dict for each name of a graph: the same, as far as PyTorch can have it."""
    found: dict[str, str] = {}
    containers: set[str] = set()
    for name in names:
        parts = name.split(".")
        containers.update(".".join(parts[:i]) for i in range(1, len(parts)))
    used: set[str] = set()
    for name in names:
        parts = name.split(".")
        if "" in parts:
            parts = [name.replace(".", "_") or "_"]
        word = ".".join(p + "_" if p in taken else p for p in parts)
        while word in used or word in containers:
            word += "_"
        used.add(word)
        found[name] = word
    return found


def _proxies(inputs: Sequence[Any]) -> bool:
    from torch.fx import Proxy

    return any(isinstance(v, Proxy) for v in inputs)


class _Call:
    """A call under a name, as tracers want it."""

    def __init__(self, call: Callable[..., Any], name: str) -> None:
        self._call, self.__name__, self.__qualname__, self.__module__ = call, name, name, __name__

    def __call__(self, *inputs: Any) -> Any:
        return self._call(*inputs)


def _trace(program: Program, values: Sequence[Any], training: bool) -> list[Any]:
    """Record the program in a `torch.fx` graph, each step as one call."""
    from torch.fx import Proxy

    tracer: Any = next(v.tracer for v in values if isinstance(v, Proxy))
    found: dict[int, Any] = {NOTHING: None, **program.constants, **dict(zip(program.inputs, values, strict=True))}
    for step in program.steps:
        params = dict(step.params)
        target = step.call if step.op is None else function(step.op.name, training)
        if step.op is not None and step.op.wants_subgraphs:  # the subgraphs are part of the call
            target, params = _Call(step.call, step.op.name), {}
        inputs = tuple(found[v] for v in step.inputs)
        result = tracer.create_proxy("call_function", target, inputs, params)
        if step.op is None or step.op.visible_outputs(step.params) == 1:
            found[step.outputs[0]] = result
        else:
            found |= {v: result[i] for i, v in enumerate(step.outputs)}
    return [found[v] for v in program.outputs]
