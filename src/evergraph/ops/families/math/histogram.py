"""Counts of values by bins."""

from typing import Annotated, Any

from evergraph.errors import OperatorError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Doubles, Raw, parameter_type

__all__: list[str] = []

_Range = Annotated[tuple[float, ...] | None, Raw(parameter_type(Doubles | None), "", ", optional, default={}")]


def _counted(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if p.bin_cnt is not None:
        count = p.bin_cnt
    else:
        edges = ins[1]
        count = None if edges is None or edges[0] is None else edges[0] - 1
    edge_count = None if count is None else count + 1
    return ins, [unify(outs[0], (count,), "counts"), unify(outs[1], (edge_count,), "edges of bins")]


def _count_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    found = next((d for d in ins if d is not None), None)
    return [found] * len(ins), ["int64", found]


def _edges(data: Any, count: int | None, limits: tuple[float, ...] | None) -> Any:
    if count is None or limits is None or len(limits) != 2:
        raise OperatorError(
            "a histogram needs bins, or their number and range", found=f"bin_cnt {count}, range {limits}"
        )
    low, high = limits
    places = torch.arange(count + 1, dtype=torch.float64, device=data.device)
    return (low + places * ((high - low) / count)).to(data.dtype)


@operator(
    aliases=("_npi_histogram",),
    shape=_counted,
    dtype=_count_dtypes,
    outputs=2,
    optional={"bins": lambda p: p.bin_cnt is None},
)
def _histogram(data, bins=None, *, bin_cnt: int | None = None, range: _Range = None):
    """How many values of data lie in each bin (int64), and the edges of the bins.

    Bins are given by their ascending edges, or as `bin_cnt` equal ones over `range`. Each holds its lower edge, the
    last one both; values outside are not counted.
    """
    edges = bins if bins is not None else _edges(data, bin_cnt, range)
    values = data.reshape(-1)
    count = edges.shape[0] - 1
    place = torch.bucketize(values, edges, right=True) - 1
    place = torch.where(values == edges[-1], count - 1, place)
    place = torch.where((place < 0) | (place >= count), count, place)
    counts = torch.zeros(count + 1, dtype=torch.int64, device=data.device)
    return counts.index_add(0, place, torch.ones_like(place))[:-1], edges.clone()
