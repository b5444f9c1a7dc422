"""Shape and type rules of operators whose data travel with ranges, and the ranges of products."""

from typing import Any

from evergraph.ops.families.quantized.scales import peak
from evergraph.ops.rules import Dims, DtypeRule, ShapeRule, unify

__all__ = ["Kinds", "data_kind", "product_range", "ranged", "typed"]

Kinds = list[str | None]
_ONE = (1,)


def ranged(base: ShapeRule | None, *names: str) -> ShapeRule:
    """The rule `base` for the inputs of these names and the first output; all else are ranges of one number.

    Args:
        base: a rule for the inputs that hold data and for one output.
        names: the inputs that hold data; those that the parameters do not call for are passed over.
    """

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        count = len(names) - ("bias" in names and p.no_bias)
        data, found = base(p, ins[:count], outs[:1]) if base is not None else (ins[:count], outs[:1])
        return (
            [*data, *[unify(s, _ONE, "a range") for s in ins[count:]]],
            [*found, *[unify(s, _ONE, "a range") for s in outs[1:]]],
        )

    return rule


def typed(output: Any, *kinds: str | None, bias: str | None = None) -> DtypeRule:
    """A type rule: inputs of these types (None: whatever they are), then float32; the first output and its range.

    Args:
        output: a type, or a function of the parameters and the inputs' types.
        kinds: types of the first inputs.
        bias: type of the input after them, unless the parameters say that there is none.
    """

    def rule(p: Any, ins: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
        wanted = [*kinds, *([] if p.get("no_bias", True) else [bias]), *["float32"] * len(ins)]
        given = [i or w for i, w in zip(ins, wanted, strict=False)]
        found: Any = output(p, ins) if callable(output) else output
        return given, [found, *["float32"] * (len(outs) - 1)]

    return rule


def data_kind(_: Any, ins: Kinds) -> str | None:
    """The type of the first input."""
    return ins[0]


def product_range(left: Any, right: Any, left_levels: float = 127.0) -> tuple[Any, Any]:
    """The range (1,) of int32 sums of products, from those of their factors: what 2147483647 of them would mean.

    Args:
        left: the data's range, a pair (1,).
        right: the weights' range; they are int8.
        left_levels: how many levels reach the end of the data's range.
    """
    reach = (peak(*left) / left_levels) * (peak(*right) / 127.0) * 2147483647.0
    return -reach, reach
