"""Shapes of operators without a rule: their computation runs on tensors that have shapes and types but no values."""

import functools
from collections.abc import Sequence
from typing import Any

from evergraph.errors import ShapeError
from evergraph.graph import Graph
from evergraph.ops.rules import Dims
from evergraph.ops.run import Run
from evergraph.passes.binding import Meaning

__all__ = ["LazyTypes", "run"]


class LazyTypes:
    """Types of a node's inputs, inferred for the whole graph when they are first asked for.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @functools.cached_property
    def _types(self) -> Any:
        from evergraph.passes.types import infer_types

        return infer_types(self._graph, default="float32")

    def __call__(self, index: int) -> list[str]:
        """The types of a node's inputs; float32 where they are unknown."""
        return [t or "float32" for t in self._types.inputs_of(index)]


def run(meaning: Meaning, shapes: Sequence[Dims], types: Sequence[str]) -> list[Dims]:
    """The shapes of a node's outputs, by running its operator on PyTorch's meta device.

    Args:
        meaning: the node's operator and parameters.
        shapes: of its inputs, all known.
        types: of its inputs.

    Returns:
        A shape for each output; all None where the shapes depend on values.

    Raises:
        ShapeError: the operator cannot take these inputs.
    """
    import torch

    operator, params = meaning.operator, meaning.params
    assert operator is not None  # noqa: S101 - callers run known operators only
    assert params is not None  # noqa: S101 - see above
    unknown: list[Dims] = [None] * len(meaning.outputs or ())
    if operator.wants_subgraphs:
        return unknown
    extra = {"run": Run()} if operator.wants_run else {}
    try:
        # bodies that make tensors of their own must make them without values, too
        with torch.device("meta"), torch.no_grad():
            inputs = [torch.empty(s, dtype=getattr(torch, t)) for s, t in zip(shapes, types, strict=True)]  # type: ignore[arg-type]
            found = operator(*operator.arrange(params, inputs), **params, **extra)
    except NotImplementedError:
        return unknown
    except RuntimeError as error:
        if "meta" in str(error):
            return unknown  # it asks for values, such as how many elements are not zero
        raise ShapeError(
            f"operator {operator.name} cannot take these inputs", found=str(error).split("\n")[0]
        ) from error
    results = found if isinstance(found, (list, tuple)) else [found]
    return [*(tuple(r.shape) for r in results), *unknown[len(results) :]]
