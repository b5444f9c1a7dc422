"""Sampling images at computed places: grids, bilinear sampling, spatial transformers."""

from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Shape

__all__ = ["BilinearSampler", "GridGenerator", "SpatialTransformer"]


def _sampled(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, grid = ins
    if data is not None and grid is not None:
        found = (data[0], data[1], *grid[2:])
        outs = [unify(outs[0], found, "output of BilinearSampler"), (data[0], *grid[2:], 2)]
    return ins, outs


def _sample(data: Any, grid: Any) -> Any:
    return F.grid_sample(data, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


@operator(shape=_sampled, outputs=("output", "tmp"), visible=1)
def BilinearSampler(data, grid, *, cudnn_off: bool | None = None):
    """Data (n, c, h, w) sampled bilinearly at grid (n, 2, h', w'), x and y from -1 to 1 over the image; 0 outside."""
    return _sample(data, grid.permute(0, 2, 3, 1))


def _grid(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if p.transform_type == "affine":
        n = data[0] if data else outs[0][0] if outs[0] else None
        ins = [unify(data, (n, 6), "data of GridGenerator")]
        h, w = p.target_shape
        hidden: Dims = (3, h * w)
        return ins, [unify(outs[0], (n, 2, h, w), "output of GridGenerator"), hidden]
    shape = unify(data, outs[0], "output of GridGenerator")
    return [shape], [shape, (2, *shape[2:]) if shape else None]


def _steps(number: int, like: Any) -> Any:
    return torch.linspace(-1, 1, number, dtype=like.dtype, device=like.device)


def _affine(theta: Any, size: tuple[int, int]) -> Any:
    """The regular grid under the matrices theta (n, 6): (n, 2, h, w), x and y of each place."""
    # plain sums, where torch's affine_grid is a node of its own that other runtimes do not know
    rows = theta.reshape(-1, 2, 3, 1, 1)
    x, y = _steps(size[1], theta), _steps(size[0], theta).unsqueeze(1)
    return rows[:, :, 0] * x + rows[:, :, 1] * y + rows[:, :, 2]


@operator(shape=_grid, outputs=("output", "grid_dst"), visible=1)
def GridGenerator(data, *, transform_type: Literal["affine", "warp"], target_shape: Shape = (0, 0)):
    """A sampling grid (n, 2, h, w) of x and y from -1 to 1.

    affine: the regular grid of target_shape under the matrices data (n, 6). warp: the regular grid moved by data
    (n, 2, h, w), in pixels.
    """
    if transform_type == "affine":
        if min(target_shape) < 1:
            raise ShapeError("GridGenerator needs a target_shape", expected="(height, width)", found=target_shape)
        return _affine(data, tuple(target_shape))
    h, w = data.shape[2:]
    # the distance of neighbouring pixels in the grid's units
    x = data[:, 0] * (2 / (w - 1)) + _steps(w, data)
    y = data[:, 1] * (2 / (h - 1)) + _steps(h, data).unsqueeze(1)
    return torch.stack((x, y), 1)


def _transformed(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    size = tuple(p.target_shape) if any(p.target_shape) else data[2:]
    ins[1] = unify(ins[1], (data[0], 6), "loc of SpatialTransformer")
    out = unify(outs[0], (*data[:2], *size), "output of SpatialTransformer")
    return ins, [out, (data[0], *size, 2), (data[0], 2, *size)]


@operator(shape=_transformed, outputs=("output", "grid_dst", "grid_src"), visible=1)
def SpatialTransformer(
    data,
    loc,
    *,
    target_shape: Shape = (0, 0),
    transform_type: Literal["affine"],
    sampler_type: Literal["bilinear"],
    cudnn_off: bool | None = None,
):
    """Data (n, c, h, w) sampled bilinearly on the grid of target_shape under the matrices loc (n, 6); 0 outside."""
    size = tuple(target_shape) if any(target_shape) else tuple(data.shape[2:])
    return _sample(data, _affine(loc, size).permute(0, 2, 3, 1))
