"""Facts through subgraphs: the bodies of loops and branches, and regions that were fused into one node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from evergraph.errors import ShapeError
from evergraph.graph import Graph, Node
from evergraph.passes.propagation import Known
from evergraph.passes.signature import signature

__all__ = ["Through"]

T = TypeVar("T")


@dataclass(frozen=True)
class Through(Generic[T]):
    """How a kind of fact, shapes or types, passes through nodes with subgraphs.

    Args:
        run: works out a subgraph from facts by node index.
        combine: two descriptions of one fact as one.
        step: the fact of one step's slice, from that of what a loop walks over.
        stack: the fact of all steps' outputs, from one's and how many steps there are (None: unknown).
        length: how many steps a loop over this takes.
        number: the fact of a range that a quantized node takes or gives.
    """

    run: Callable[[Graph, dict[int, T]], Known[T]]
    combine: Callable[[T | None, T | None], T | None]
    step: Callable[[T], T]
    stack: Callable[[T, int | None], T]
    length: Callable[[T], int | None]
    number: T

    def infer(
        self, node: Node, p: Any, ins: list[T | None], outs: list[T | None]
    ) -> tuple[list[T | None], list[T | None]]:
        """Facts of a node's inputs and outputs, completed.

        Args:
            node: a node with subgraphs.
            p: its parsed parameters.
            ins: facts of its inputs.
            outs: facts of its outputs.

        Raises:
            ShapeError: the facts contradict each other.
        """
        body = {"_foreach": self._foreach, "_while_loop": self._while_loop, "_cond": self._cond}.get(node.op)
        if body is None and len(node.subgraphs) != 1:
            raise ShapeError("nobody knows how this operator uses its subgraphs", found=len(node.subgraphs))
        return (body or self._fused)(node, p, list(ins), list(outs))

    def _body(self, graph: Graph, facts: Sequence[T | None]) -> tuple[list[T | None], list[T | None]]:
        """Facts of a subgraph's variables, in order, and of its heads."""
        nodes = signature(graph).nodes
        if len(facts) != len(nodes):
            raise ShapeError("a subgraph takes other inputs than the node has", expected=len(nodes), found=len(facts))
        found = self.run(graph, {n: f for n, f in zip(nodes, facts, strict=True) if f is not None})
        return [found.of(n) for n in nodes], found.heads()

    def _merge(self, known: list[T | None], places: Sequence[int], facts: Sequence[T | None]) -> None:
        for place, fact in zip(places, facts, strict=True):
            known[place] = self.combine(known[place], fact)

    def _rows(self, heads: list[T | None], p: Any, length: int | None) -> list[T | None]:
        """What a loop gives: its outputs of all steps, then its last states."""
        rows = [None if h is None else self.stack(h, length) for h in heads[: p.num_out_data]]
        return [*rows, *heads[p.num_out_data :]]

    def _foreach(self, node: Node, p: Any, ins: list[T | None], outs: list[T | None]) -> Any:
        data, states = len(p.in_data_locs), len(p.in_state_locs)
        known: list[T | None] = [None] * (data + states + len(p.remain_locs))
        self._merge(known, p.in_data_locs, [None if f is None else self.step(f) for f in ins[:data]])
        self._merge(known, p.in_state_locs, ins[data : data + states])
        # what comes out of a step goes into the next one: a state is the same throughout
        self._merge(known, p.in_state_locs, outs[p.num_out_data :])
        self._merge(known, p.remain_locs, ins[data + states :])
        found, heads = self._body(node.subgraphs[0], known)
        length = next((self.length(f) for f in ins[:data] if f is not None), None)
        ins[data:] = [found[i] for i in (*p.in_state_locs, *p.remain_locs)]
        self._merge(outs, range(len(outs)), self._rows(heads, p, length))
        return ins, outs

    def _while_loop(self, node: Node, p: Any, ins: list[T | None], outs: list[T | None]) -> Any:
        condition, body = node.subgraphs
        found, heads = self._body(body, [ins[i] for i in p.func_input_locs])
        self._merge(ins, p.func_input_locs, found)
        self._merge(ins, p.cond_input_locs, self._body(condition, [ins[i] for i in p.cond_input_locs])[0])
        self._merge(outs, range(len(outs)), self._rows(heads, p, p.max_iterations))
        return ins, outs

    def _cond(self, node: Node, p: Any, ins: list[T | None], outs: list[T | None]) -> Any:
        places = (p.cond_input_locs, p.then_input_locs, p.else_input_locs)
        for i, (graph, inputs) in enumerate(zip(node.subgraphs, places, strict=True)):
            found, heads = self._body(graph, [ins[i] for i in inputs])
            self._merge(ins, inputs, found)
            if i > 0:  # the first only decides
                self._merge(outs, range(len(outs)), heads)
        return ins, outs

    def _fused(self, node: Node, _: Any, ins: list[T | None], outs: list[T | None]) -> Any:
        """One subgraph whose variables are the node's first inputs; what follows them are ranges of one number each."""
        count = len(signature(node.subgraphs[0]).nodes)
        found, heads = self._body(node.subgraphs[0], ins[:count])
        self._merge(ins, range(len(ins)), [*found, *[self.number] * (len(ins) - count)])
        self._merge(outs, range(len(outs)), [*heads, *[self.number] * (len(outs) - len(heads))])
        return ins, outs
