"""Finds LSTM cells that a graph spells out: two dense layers, four gates, six activations and products."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evergraph.engine.lowering.rewriting import Uses
from evergraph.engine.program import NOTHING, Program, Step

__all__ = ["Cell", "Dense", "chains", "find_cells"]

_SIGMOIDS = frozenset(("sigmoid", "_npx_sigmoid"))
_TANHS = frozenset(("tanh", "_npi_tanh"))
_PRODUCTS = frozenset(("elemwise_mul", "broadcast_mul", "_npi_multiply"))
_ADDITIONS = frozenset(("elemwise_add", "broadcast_add", "_npi_add"))


@dataclass(frozen=True, slots=True)
class Dense:
    """One dense layer of a cell: what it reads, and its constant weight and bias."""

    data: int
    weight: int
    bias: int
    step: Step


@dataclass(slots=True, eq=False)
class Cell:
    """One time step of an LSTM layer.

    Args:
        hidden: value of the new hidden state.
        state: value of the new cell state.
        before: value of the old cell state.
        layers: the two dense layers; which of them reads the old hidden state, the chain of cells tells.
        gates: positions of input, forget, transform and output gate among the four slices.
        steps: every step of the cell.
    """

    hidden: int
    state: int
    before: int
    layers: tuple[Dense, Dense]
    gates: tuple[int, int, int, int]
    steps: list[Step] = field(default_factory=list)

    @property
    def key(self) -> frozenset[tuple[int, int]]:
        """What cells of one layer share: their weights and biases."""
        return frozenset((d.weight, d.bias) for d in self.layers)


def find_cells(program: Program, uses: Uses) -> list[Cell]:
    """The LSTM cells of a program whose weights are constants and whose inner values nobody else reads."""
    matcher = _Matcher(program, uses)
    return [cell for step in program.steps if step.kind in _PRODUCTS and (cell := matcher.cell(step)) is not None]


def chains(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one layer, each reading the states of the one before it, in their order."""
    by_state = {(c.key, c.state): c for c in cells}
    after: dict[int, Cell] = {}
    firsts = []
    for cell in cells:
        previous = by_state.get((cell.key, cell.before))
        if previous is not None and any(d.data == previous.hidden for d in cell.layers) and id(previous) not in after:
            after[id(previous)] = cell
        else:
            firsts.append(cell)
    found = []
    for first in firsts:
        chain = [first]
        while id(chain[-1]) in after:
            chain.append(after[id(chain[-1])])
        found.append(chain)
    return found


class _Matcher:
    """Looks backward from a product that may be a new hidden state."""

    def __init__(self, program: Program, uses: Uses) -> None:
        self._program, self._uses = program, uses

    def cell(self, last: Step) -> Cell | None:
        for out, squashed in (last.inputs, last.inputs[::-1]):
            tanh = self._maker(squashed)
            total = self._maker(tanh.inputs[0]) if tanh is not None and _is(tanh, _TANHS, "tanh") else None
            if tanh is None or total is None or total.kind not in _ADDITIONS or not self._inner(squashed):
                continue
            for kept, new in (total.inputs, total.inputs[::-1]):
                found = self._assemble(last, out, tanh, total, kept, new)
                if found is not None:
                    return found
        return None

    def _assemble(self, last: Step, out: int, tanh: Step, total: Step, kept: int, new: int) -> Cell | None:
        """A cell from its last product, its output gate, and the two products that its state is the sum of."""
        forgetting, adding = self._maker(kept), self._maker(new)
        if forgetting is None or adding is None or not {forgetting.kind, adding.kind} <= _PRODUCTS:
            return None
        for entry, transform in (adding.inputs, adding.inputs[::-1]):
            for forget, before in (forgetting.inputs, forgetting.inputs[::-1]):
                gates = [self._gate(entry, _SIGMOIDS, "sigmoid"), self._gate(forget, _SIGMOIDS, "sigmoid")]
                gates += [self._gate(transform, _TANHS, "tanh"), self._gate(out, _SIGMOIDS, "sigmoid")]
                slices = {id(g[0]) for g in gates if g is not None}
                if None in gates or len(slices) != 1 or not (self._inner(kept) and self._inner(new)):
                    continue
                known = [g for g in gates if g is not None]
                slicing, places = known[0][0], tuple(g[1] for g in known)
                layers = self._layers(slicing)
                if layers is None or len(set(places)) != 4:
                    continue
                steps = [last, tanh, total, forgetting, adding, slicing, *(g[2] for g in known)]
                steps += [self._uses.makers[slicing.inputs[0]], *(d.step for d in layers)]
                return Cell(last.outputs[0], total.outputs[0], before, layers, places, steps)  # type: ignore[arg-type]
        return None

    def _gate(self, value: int, kinds: frozenset[str], name: str) -> tuple[Step, int, Step] | None:
        """The slicing step, the slice's place and the activation, where a value is the activation of a slice."""
        act = self._maker(value)
        if act is None or not _is(act, kinds, name) or not self._inner(value) or not self._inner(act.inputs[0]):
            return None
        slicing = self._maker(act.inputs[0])
        if slicing is None or slicing.kind != "SliceChannel" or len(slicing.outputs) != 4:
            return None
        p = slicing.params
        if p.axis not in (1, -1) or p.squeeze_axis or len(self._program.shapes.get(slicing.inputs[0], ())) != 2:
            return None
        return slicing, slicing.outputs.index(act.inputs[0]), act

    def _layers(self, slicing: Step) -> tuple[Dense, Dense] | None:
        total = self._maker(slicing.inputs[0])
        if total is None or total.kind not in _ADDITIONS or not self._inner(slicing.inputs[0]):
            return None
        found = [self._dense(v) for v in total.inputs]
        first, second = found if len(found) == 2 else (None, None)
        return None if first is None or second is None or first.step is second.step else (first, second)

    def _dense(self, value: int) -> Dense | None:
        step = self._maker(value)
        if step is None or step.kind != "FullyConnected" or not self._inner(value):
            return None
        data, weight, *rest = step.inputs
        bias = rest[0] if rest else NOTHING
        constants = self._program.constants
        rank = len(self._program.shapes.get(data, ()))
        if weight not in constants or (bias != NOTHING and bias not in constants) or rank != 2:
            return None
        return Dense(data, weight, bias, step)

    def _maker(self, value: int) -> Step | None:
        return self._uses.makers.get(value)

    def _inner(self, value: int) -> bool:
        """Whether one step alone reads a value."""
        return self._uses.reader(value) is not None


def _is(step: Step, kinds: frozenset[str], name: str) -> bool:
    return step.kind in kinds or (step.kind == "Activation" and step.params.act_type == name)
