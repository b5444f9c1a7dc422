"""`numpy`: NumPy's functions under NumPy's names, on Tensors.

>>> import evergraph.mindspore.numpy as mnp
>>> mnp.sum(mnp.arange(4).reshape(2, 2), axis=0)
Tensor(shape=[2], dtype=Int32, value= [2, 4])
"""

import builtins
import math
from typing import Any

import numpy as np
import torch

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap

pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
ndarray = Tensor

_SAME = """abs absolute add all any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin atleast_1d
atleast_2d atleast_3d bitwise_and bitwise_or bitwise_xor broadcast_to ceil clip concatenate corrcoef cos cosh cov cross
cumprod cumsum deg2rad diag diagonal diff divide dot dsplit dstack equal exp exp2 expm1 flip fliplr flipud floor
floor_divide fmod gcd greater greater_equal heaviside histogramdd hsplit hstack hypot inner isclose isfinite isinf isnan
isneginf isposinf kron lcm ldexp less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
logical_or logical_xor matmul maximum minimum moveaxis multiply nan_to_num nanmean nansum negative not_equal ones_like
outer positive rad2deg ravel reciprocal remainder reshape roll rot90 sign signbit sin sinc sinh sqrt square squeeze
subtract swapaxes take tan tanh tensordot trace trapz tril tril_indices triu triu_indices true_divide trunc unique
vander vdot vsplit vstack where zeros_like"""
_INTEGERS = {torch.int64: torch.int32}


def _kind(dtype: Any) -> torch.dtype | None:
    if dtype is None:
        return None
    return {float: torch.float32, int: torch.int32, bool: torch.bool}.get(dtype) or mstype.of(dtype).torch


def _tensor(value: Any) -> Any:
    return value._torch if isinstance(value, Tensor) else unwrap(value)


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in _SAME.split():
        found = getattr(mstype, name, None)
        if isinstance(found, mstype.DType):
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    run = getattr(torch, name)

    def function(*args: Any, **named: Any) -> Any:
        named.pop("where", None) if named.get("where", True) is True else None
        named = {k: _kind(v) if k == "dtype" else _tensor(v) for k, v in named.items()}
        return wrap(run(*map(_tensor, args), **named))

    function.__name__, function.__doc__ = name, f"As NumPy's `{name}`."
    globals()[name] = function
    return function


def array(obj: Any, dtype: Any = None, copy: bool = True, ndmin: int = 0) -> Tensor:
    """A Tensor of numbers: Int32 or Float32 of Python's own, as MindSpore's NumPy takes them."""
    if isinstance(obj, Tensor):
        made = obj._torch.clone() if copy else obj._torch
    else:
        found = np.asarray([unwrap(v) for v in obj] if isinstance(obj, (list, tuple)) else obj)
        made = torch.from_numpy(np.array(found, copy=True))
        if not isinstance(obj, np.ndarray):
            made = made.to({torch.int64: torch.int32, torch.float64: torch.float32}.get(made.dtype, made.dtype))
    made = made if dtype is None else made.to(_kind(dtype))
    return wrap(made.reshape((1,) * (ndmin - made.dim()) + tuple(made.shape)))


asarray = asfarray = array


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers in even steps: Int32 or Float32."""
    first, last = (0, start) if stop is None else (start, stop)
    found = torch.arange(unwrap(first), unwrap(last), 1 if step is None else unwrap(step), dtype=_kind(dtype))
    return wrap(found if dtype is not None else found.to(_INTEGERS.get(found.dtype, found.dtype)))


def _filled(value: float) -> Any:
    def make(shape: Any, dtype: Any = mstype.float32) -> Tensor:
        """One value everywhere, Float32 by default."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        return wrap(torch.full(sizes, value, dtype=_kind(dtype)))

    return make


zeros, ones = _filled(0), _filled(1)
empty = zeros


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere."""
    return array(np.full(shape, unwrap(fill_value)).tolist(), dtype)


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere, of another tensor's shape and type."""
    return wrap(torch.full_like(_tensor(a), fill_value, dtype=_kind(dtype)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = mstype.float32) -> Tensor:
    """Ones on a diagonal."""
    return array(np.eye(N, M, k), dtype)


def identity(n: int, dtype: Any = mstype.float32) -> Tensor:
    """Ones on the diagonal."""
    return eye(n, dtype=dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Tensor:
    """So many numbers from start to stop."""
    return array(np.linspace(unwrap(start), unwrap(stop), num, endpoint).tolist(), dtype)


def expand_dims(a: Any, axis: int) -> Tensor:
    """One more dimension of size 1."""
    return wrap(_tensor(a).unsqueeze(axis))


def transpose(a: Any, axes: Any = None) -> Tensor:
    """The dimensions in another order; reversed where none is given."""
    data = _tensor(a)
    return wrap(data.permute(*(axes or range(data.dim() - 1, -1, -1))))


def stack(arrays: Any, axis: int = 0) -> Tensor:
    """Tensors side by side along a new axis."""
    return wrap(torch.stack(unwrap(list(arrays)), axis))


def append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    """Values behind others."""
    parts = [_tensor(arr), _tensor(values)]
    return wrap(torch.cat([p.reshape(-1) for p in parts] if axis is None else parts, axis or 0))


def tile(a: Any, reps: Any) -> Tensor:
    """The tensor so many times along each axis."""
    return wrap(torch.tile(_tensor(a), (reps,) if isinstance(reps, int) else tuple(reps)))


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element so many times."""
    return wrap(torch.repeat_interleave(_tensor(a), torch.as_tensor(repeats), axis))


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Equal parts along an axis, or cut before indices."""
    return wrap(torch.tensor_split(_tensor(x), indices_or_sections, axis))


def power(x1: Any, x2: Any) -> Tensor:
    """Powers."""
    return wrap(torch.pow(_tensor(x1), _tensor(x2)))


def _reduced(name: str) -> Any:
    run = {"max": torch.amax, "min": torch.amin, "std": torch.std, "var": torch.var}.get(name) or getattr(torch, name)

    def function(a: Any, axis: Any = None, keepdims: bool = False, **named: Any) -> Tensor:
        data = _tensor(a)
        over = tuple(builtins.range(data.dim())) if axis is None else axis
        if name in ("std", "var"):
            named = {"correction": named.get("ddof", 0)}
        elif name == "mean" and not data.is_floating_point():
            data, named = data.float(), {}
        else:
            named = {"dtype": _kind(named["dtype"])} if named.get("dtype") is not None else {}
        found = run(data, over, keepdim=keepdims, **named)
        return wrap(found.to(_INTEGERS.get(found.dtype, found.dtype)) if data.dtype == torch.int32 else found)

    function.__name__, function.__doc__ = name, f"As NumPy's `{name}`."
    return function


max, min, std, var, mean, sum = map(_reduced, ("max", "min", "std", "var", "mean", "sum"))
amax, amin = max, min


def prod(a: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product over an axis, or of all elements."""
    data = _tensor(a)
    return wrap(data.prod() if axis is None else data.prod(axis, keepdim=keepdims))


def meshgrid(*xi: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid."""
    return wrap(torch.meshgrid(*map(_tensor, xi), indexing=indexing))


def array_equal(a1: Any, a2: Any) -> bool:
    """Whether two tensors have one shape and the same elements."""
    first, second = _tensor(a1), _tensor(a2)
    return first.shape == second.shape and bool((first == second).all())


def isscalar(element: Any) -> bool:
    """Whether it is a number, truth value or text of Python's own."""
    return isinstance(element, (int, float, complex, bool, str))
