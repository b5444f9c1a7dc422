"""Values chosen by a condition, and positions where something holds."""

from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.math.binary import summed_to
from evergraph.ops.families.numpy.creation import number_for
from evergraph.ops.families.numpy.linalg import can_look
from evergraph.ops.families.numpy.promotion import aligned, promote
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import broadcast, elementwise, fixed_dtype, forward
from evergraph.ops.schema import InPlace
from evergraph.ops.types import Double

__all__ = []


def _chosen_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The common type of the two choices; the condition has any."""
    found = promote(promote(ins[1], ins[2]), outs[0] if ins[1] is None and ins[2] is None else None)
    return [ins[0], *(found if d is None else d for d in ins[1:])], [found]


@operator(shape=broadcast, dtype=_chosen_dtype)
def _npi_where(condition, x, y):
    """The x where the condition is not 0, else y; all three are broadcast."""
    x, y = aligned(x, y)
    return torch.where(_truth(condition), x, y)


def _truth(condition: Any) -> Any:
    return condition if condition.dtype == torch.bool else condition != 0


def _array_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    found = ins[1] if ins[1] is not None else outs[0]
    return [ins[0], found], [found]


def _like(scalar: float, data: Any) -> Any:
    return torch.scalar_tensor(number_for(scalar, data.dtype), dtype=data.dtype, device=data.device)


def _crossed_gradient(saved: Any, grad: Any) -> tuple[Any, ...]:
    # MXNet sends the gradient to where the number was chosen, and models were trained with that; a second array that
    # was broadcast gets its own
    condition, data, _, first = saved.args
    chosen = condition if first or data.shape != grad.shape else ~condition
    passed = torch.where(chosen, grad, torch.zeros_like(grad))
    return None, summed_to(passed, data)


@with_gradient(_crossed_gradient)
def _with_number(condition: Any, data: Any, scalar: Any, first: bool) -> Any:
    return torch.where(condition, scalar, data) if first else torch.where(condition, data, scalar)


@operator(shape=broadcast, dtype=_array_dtype)
def _npi_where_lscalar(condition, x, *, scalar: Double = 0.0):
    """`scalar` where the condition is not 0, else x; as in MXNet, the gradient passes where `scalar` was chosen."""
    return _with_number(_truth(condition), x, _like(scalar, x), True)


@operator(shape=broadcast, dtype=_array_dtype)
def _npi_where_rscalar(condition, y, *, scalar: Double = 0.0):
    """The y where the condition is not 0, else `scalar`.

    As in MXNet, the gradient of a y that is not broadcast passes where `scalar` was chosen.
    """
    return _with_number(_truth(condition), y, _like(scalar, y), False)


@operator(shape=elementwise, dtype=fixed_dtype("float32"))
def _npi_where_scalar2(condition, *, x: Double = 0.0, y: Double = 0.0):
    """The number `x` where the condition is not 0, else `y`, in float32."""
    like = {"dtype": torch.float32, "device": condition.device}
    return torch.where(_truth(condition), torch.scalar_tensor(x, **like), torch.scalar_tensor(y, **like))


@operator(aliases=("_npi_nonzero",), shape=forward(lambda _, x: (None, max(len(x), 1))), dtype=fixed_dtype("int64"))
def _npx_nonzero(x):
    """The positions (int64) of the values that are not 0, one row each; as many as there are."""
    return torch.nonzero(x.detach() if x.dim() else x.detach().reshape(1))


@operator(shape=forward(lambda *_: ()), dtype=fixed_dtype("bool"))
def _npi_share_memory(a, b):
    """Whether two arrays lie in the same memory."""
    same = can_look(a) and a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr() != 0
    return torch.scalar_tensor(same, dtype=torch.bool, device=a.device)


@operator(shape=forward(lambda *_: ()), dtype=fixed_dtype("bool"))
def _npx_constraint_check(input, *, msg: str = "Constraint violated."):
    """True where every value of a boolean array is; an error with the text `msg` where one is not."""
    if input.dtype != torch.bool:
        raise OperatorError("a constraint is checked on booleans", found=str(input.dtype).removeprefix("torch."))
    held = torch.all(input)
    if can_look(held) and not bool(held):
        raise OperatorError(msg)
    return held


def _masked(p: Any, data: Any, mask: Any, value: Any = None) -> Any:
    if mask != data[p.start_axis : p.start_axis + len(mask)]:
        raise ShapeError(
            "a mask does not cover the axes it is put on", expected=data, found=f"{mask} from axis {p.start_axis}"
        )
    return data


@operator(
    shape=forward(_masked),
    description={"value": "float", "start_axis": "int"},
)
def _npi_boolean_mask_assign_scalar(data: InPlace, mask, *, value: float, start_axis: int = 0):
    """data, changed in place: `value` where the mask is true; the mask lies on the axes from `start_axis` on."""
    tail = (1,) * (data.dim() - start_axis - mask.dim())
    with torch.no_grad():
        data.masked_fill_(_truth(mask).reshape(*mask.shape, *tail), number_for(value, data.dtype))
    return data


@operator(
    shape=forward(_masked),
    description={"start_axis": "int"},
)
def _npi_boolean_mask_assign_tensor(data: InPlace, mask, value, *, start_axis: int = 0):
    """data, changed in place: the rows of `value` where the mask is true, or one value broadcast over all of them."""
    at = (slice(None),) * start_axis + (_truth(mask),)
    with torch.no_grad():
        data[at] = value.to(data.dtype)
    return data
