"""Loops and branches over symbols: their bodies become subgraphs of one node."""

from collections.abc import Callable, Sequence
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mxnet.attribute import AttrScope, current_scope
from evergraph.mxnet.base import _as_list
from evergraph.mxnet.name import current_manager
from evergraph.mxnet.symbol.creation import var
from evergraph.mxnet.symbol.functions import function
from evergraph.mxnet.symbol.nodes import Entry, SymbolNode, compose, graph_of, ordered
from evergraph.mxnet.symbol.symbol import Symbol

__all__ = ["cond", "foreach", "while_loop"]

_MARK = "__subgraph_name__"


class _KindError(UsageError, AssertionError):
    """Something that is no (nested) list of symbols, or an array that a body does not use."""


class _ValueError(UsageError, ValueError):
    """Other numbers of symbols than a loop needs."""


def _flatten(value: Any, what: str) -> tuple[list[Symbol], Any]:
    """The single outputs in nested lists of symbols, and the form that `_regroup` puts them back into."""
    if isinstance(value, Symbol):
        return (list(value), len(value)) if len(value) > 1 else ([value], 0)
    if not isinstance(value, (list, tuple)):
        raise _KindError(f"{what} must be (nested) list of Symbol", found=f"{type(value).__name__} {printable(value)}")
    flat: list[Symbol] = []
    form = []
    for each in value:
        found, its = _flatten(each, what)
        flat += found
        form.append(its)
    return flat, form


def _regroup(flat: list[Any], form: Any) -> tuple[Any, list[Any]]:
    if isinstance(form, int):
        return (flat[0], flat[1:]) if form == 0 else (flat[:form], flat[form:])
    found = []
    for each in form:
        value, flat = _regroup(flat, each)
        found.append(value)
    return found, flat


def _inner_name(symbol: Symbol) -> str:
    node, output = symbol._entries[0]
    return f"{node.name}-{output}"


class _Body:
    """A traced subgraph.

    Args:
        hint: what its name is made of.
        trace: called inside its scope; returns the flat outputs.
    """

    def __init__(self, hint: str, trace: Callable[[], list[Symbol]]) -> None:
        self.name = _unique(hint)
        with AttrScope(**{_MARK: self.name}):
            found = trace()
            self.entries = self._owned(found)
        self.outer = self._cut()
        graph, nodes = graph_of(self.entries)
        self.graph = graph.replace(attrs={})
        self.inputs = [n for n in nodes if n.is_variable]
        names = [n.name for n in self.inputs]
        if len(set(names)) < len(names):
            raise _KindError("The inputs of the subgraph don't have unique names", found=", ".join(names))
        self.names = names

    def _owned(self, outputs: list[Symbol]) -> list[Entry]:
        """The outputs, each of a node of its own: inputs, outer nodes and repeated ones are copied."""
        inputs = {n.name for n in ordered([s._entries[0] for s in outputs]) if n.is_variable}
        entries: list[Entry] = []
        for each in outputs:
            node, output = each._entries[0]
            if node.name in inputs or node.attrs.get(_MARK) != self.name or (node, output) in entries:
                node, output = function("_copy", "identity")(each)._entries[0]
            entries.append((node, output))
        return entries

    def _cut(self) -> dict[str, Entry]:
        """Put variables where outer nodes are read; returns what they stand for, by name."""
        outer: dict[str, Entry] = {}
        made: dict[tuple[int, int], SymbolNode] = {}
        stack, seen = [n for n, _ in self.entries], set()
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            for place, (source, output) in enumerate(node.inputs):
                if source.is_variable or source.attrs.get(_MARK) == self.name:
                    stack.append(source)
                    continue
                key = (id(source), output)
                if key not in made:
                    name = Symbol([(source, output)]).list_outputs()[0]
                    made[key] = SymbolNode("null", name)
                    outer[name] = (source, output)
                node.inputs[place] = (made[key], 0)
        return outer

    def source(self, node: SymbolNode, given: dict[str, Entry]) -> Entry:
        """What one of its inputs reads in the outer graph."""
        return given.get(node.name) or self.outer.get(node.name) or (node, 0)


def _unique(hint: str) -> str:
    around = current_scope()._attr.get(_MARK, "")
    name = f"{around}${hint}" if around else hint
    AttrScope._subgraph_names[name] += 1
    return f"{name}{AttrScope._subgraph_names[name] - 1}"


def _node(op: str, bodies: Sequence[_Body], inputs: Sequence[Entry], options: dict[str, Any]) -> Symbol:
    texts = {k: str(v) for k, v in options.items()} | {"num_args": str(len(inputs) + len(bodies))}
    texts |= current_scope().get(None)
    name = current_manager().get(None, op)
    node = compose(op, name, texts, inputs, subgraphs=tuple(b.graph for b in bodies))
    return Symbol([(node, i) for i in range(node.visible())])


def foreach(
    body: Callable[[Any, Any], tuple[Any, Any]], data: Any, init_states: Any, name: str = "foreach"
) -> tuple[Any, Any]:
    """Run a body on each slice of data along the first axis, states handed from one to the next.

    Args:
        body: (slice, states) -> (outputs, states); symbols or nested lists of them.
        data: a symbol, or a list of them.
        init_states: the states of the first call.
        name: what the subgraph's name is made of.

    Returns:
        The outputs, stacked along a new first axis, and the last states.

    Raises:
        AssertionError: something that is no symbol, or data or states that the body does not use.

    >>> from evergraph.mxnet import nd, sym
    >>> out, last = foreach(lambda x, s: (x + s, x + s), sym.var("x"), sym.var("s"))
    >>> sym.Group([out, last]).eval(x=nd.array([[1], [2]]), s=nd.zeros((1,)))[0].asnumpy().tolist()
    [[1.0], [3.0]]
    """
    flat_data, data_form = _flatten(data, "foreach input")
    flat_states, state_form = _flatten(init_states, "foreach states")
    told: dict[str, Any] = {}

    def trace() -> list[Symbol]:
        items = _regroup([var(_inner_name(s)) for s in flat_data], data_form)[0]
        states = _regroup([var(_inner_name(s)) for s in flat_states], state_form)[0]
        outputs, after = body(items, states)
        flat, told["out"] = _flatten(outputs, "foreach output")
        rest, told["state"] = _flatten(after, "foreach loop_vars")
        told["counts"] = len(flat), len(rest)
        return [*flat, *rest]

    found = _Body(name, trace)
    (outs, states), given = told["counts"], {_inner_name(s): s._entries[0] for s in (*flat_data, *flat_states)}
    lost = [n for n in given if n not in found.names]
    if lost:
        raise _KindError("the data and state arrays have to be used in the loop body", found=", ".join(lost))
    rest = [i for i, n in enumerate(found.inputs) if n.name not in given]
    inputs = [*given.values(), *(found.source(found.inputs[i], given) for i in rest)]
    result = _node(
        "_foreach",
        [found],
        inputs,
        {
            "num_outputs": outs + states,
            "num_out_data": outs,
            "in_state_locs": [found.names.index(_inner_name(s)) for s in flat_states],
            "in_data_locs": [found.names.index(_inner_name(s)) for s in flat_data],
            "remain_locs": rest,
        },
    )
    parts = list(result)
    return _regroup(parts[:outs], told["out"])[0], _regroup(parts[outs:], told["state"])[0]


def _joined(bodies: Sequence[_Body], given: dict[str, Entry]) -> tuple[list[Entry], list[list[int]]]:
    """The outer entries that bodies read, each once, and for each body the places of its inputs among them."""
    entries: list[Entry] = []
    places = []
    for body in bodies:
        mine = []
        for node in body.inputs:
            entry = body.source(node, given)
            if entry not in entries:
                entries.append(entry)
            mine.append(entries.index(entry))
        places.append(mine)
    return entries, places


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise _ValueError("Cannot convert max_iteration to python int", found=printable(value)) from error


def while_loop(
    cond: Callable[..., Any],
    func: Callable[..., Any],
    loop_vars: Any,
    max_iterations: Any = None,
    name: str = "while_loop",
) -> tuple[Any, Any]:
    """Run a body as long as a condition holds.

    Args:
        cond: variables -> a symbol of one element.
        func: variables -> (outputs, next variables).
        loop_vars: the first variables.
        max_iterations: the most steps; required.
        name: what the subgraphs' names are made of.

    Returns:
        The outputs, stacked along a new first axis of length max_iterations, and the last variables.

    Raises:
        ValueError: no variables, no limit, another number of variables after a step, or one that is not used.
    """
    if max_iterations is None:
        raise _ValueError("max_iterations should be specified")
    flat, form = _flatten(loop_vars, "while loop_vars")
    if not flat:
        raise _ValueError("loop_vars should contain at least one element")
    given = {_inner_name(s): s._entries[0] for s in flat}
    told: dict[str, Any] = {}

    def variables() -> list[Any]:
        return _as_list(_regroup([var(_inner_name(s)) for s in flat], form)[0])

    def condition() -> list[Symbol]:
        found = cond(*variables())
        if not isinstance(found, Symbol):
            raise _ValueError("Return of cond must be a Symbol", found=type(found).__name__)
        return [found]

    def step() -> list[Symbol]:
        outputs, after = func(*variables())
        first, told["out"] = _flatten([] if outputs is None else outputs, "while output")
        rest, _ = _flatten([] if after is None else after, "while loop_vars")
        if len(rest) != len(flat):
            raise _ValueError(
                "The number of loop_vars should be consistent during the loop", expected=len(flat), found=len(rest)
            )
        told["count"] = len(first)
        return [*first, *rest]

    limit = _whole(max_iterations)
    bodies = [_Body(f"{name}_cond", condition), _Body(f"{name}_func", step)]
    unused = [n for n in given if n not in bodies[1].names]
    if unused:
        raise _ValueError("loop_vars do not take part in the computation", found=", ".join(unused))
    inputs, (first, second) = _joined(bodies, given)
    count = told["count"]
    result = _node(
        "_while_loop",
        bodies,
        inputs,
        {
            "max_iterations": limit,
            "cond_input_locs": first,
            "func_input_locs": second,
            "func_var_locs": [bodies[1].names.index(n) for n in given],
            "num_out_data": count,
            "num_outputs": count + len(flat),
        },
    )
    parts = list(result)
    return _regroup(parts[:count], told["out"])[0], _regroup(parts[count:], form)[0]


def cond(pred: Symbol, then_func: Callable[[], Any], else_func: Callable[[], Any], name: str = "cond") -> Any:
    """What one of two bodies computes, by a symbol of one element.

    Args:
        pred: which: the first where it is not 0.
        then_func: returns symbols, or nested lists of them.
        else_func: returns as many.
        name: what the subgraphs' names are made of.

    Raises:
        ValueError: several conditions, or bodies with other numbers of outputs.
    """
    forms: list[Any] = []

    def tracing(function_of: Callable[[], Any]) -> Callable[[], list[Symbol]]:
        def trace() -> list[Symbol]:
            flat, form = _flatten(function_of(), "cond outputs")
            forms.append(form)
            return flat

        return trace

    parts = (("pred", lambda: pred), ("then", then_func), ("else", else_func))
    bodies = [_Body(f"{name}_{part}", tracing(each)) for part, each in parts]
    counts = [len(b.entries) for b in bodies]
    if counts[0] != 1:
        raise _ValueError("pred should always be a single output", found=counts[0])
    if counts[1] != counts[2]:
        raise _ValueError("Number of outputs differs between then-branch and else-branch", found=counts[1:])
    inputs, places = _joined(bodies, {})
    names = ("cond_input_locs", "then_input_locs", "else_input_locs")
    result = _node("_cond", bodies, inputs, {**dict(zip(names, places, strict=True)), "num_outputs": counts[1]})
    return _regroup(list(result), forms[1])[0]
