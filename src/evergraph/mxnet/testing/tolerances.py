"""When two arrays count as equal."""

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import Array

__all__ = [
    "almost_equal",
    "assert_allclose",
    "assert_almost_equal",
    "assert_almost_equal_ignore_nan",
    "assert_almost_equal_with_err",
    "assert_exception",
    "checkShapes",
    "compare_ndarray_tuple",
    "default_atols",
    "default_context",
    "default_dtype",
    "default_numeric_eps",
    "default_rtols",
    "effective_dtype",
    "find_max_violation",
    "get_atol",
    "get_etol",
    "get_rtol",
    "get_tolerance",
    "get_tols",
    "locationError",
    "retry",
    "same",
    "same_array",
    "set_default_context",
]

_EXACT = (np.bool_, np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64)


def default_context() -> Context:
    """The device that tests run on: the current one."""
    return current_context()


def set_default_context(ctx: Context) -> None:
    """Set the thread's default device."""
    Context._default_ctx.value = ctx


def default_dtype() -> type:
    """The type that tests compute in."""
    return np.float32


def _table(half: float, single: float, double: float) -> dict[np.dtype, float]:
    found: dict[np.dtype, float] = {np.dtype(t): 0 for t in _EXACT}
    kinds = {np.float16: half, np.float32: single, np.float64: double}
    return {np.dtype(k): v for k, v in kinds.items()} | found


def default_rtols() -> dict[np.dtype, float]:
    """Relative tolerances by type."""
    return _table(1e-2, 1e-4, 1e-5)


def default_atols() -> dict[np.dtype, float]:
    """Absolute tolerances by type."""
    return _table(1e-1, 1e-3, 1e-20)


def default_numeric_eps() -> dict[np.dtype, float]:
    """Steps of finite differences by type; powers of two, which lose no bits."""
    return {np.dtype(np.float16): 2.0**-6, np.dtype(np.float32): 2.0**-9, np.dtype(np.float64): 2.0**-14}


def effective_dtype(dat: Any) -> np.dtype:
    """The type whose tolerance an array's values deserve."""
    return np.dtype(dat.dtype)


def get_tolerance(dat: Any, tol: Any, default_tol: Mapping[np.dtype, float]) -> float:
    """A tolerance: itself where it is a number, else the one of the array's type."""
    if isinstance(tol, numbers.Number):
        return tol  # type: ignore[return-value]
    kind = effective_dtype(dat)
    return (tol or {}).get(kind, default_tol[kind])


def get_tols(x: Any, y: Any, rtol: Any, atol: Any) -> tuple[float, float]:
    """The relative and absolute tolerance for two arrays: the looser of both."""
    x, y = (np.array(v) if isinstance(v, numbers.Number) else v for v in (x, y))
    relative = max(get_tolerance(v, rtol, default_rtols()) for v in (x, y))
    return relative, max(get_tolerance(v, atol, default_atols()) for v in (x, y))


_DOUBLE = np.dtype(np.float64)


def get_atol(atol: float | None = None, dtype: np.dtype = _DOUBLE) -> float:
    """An absolute tolerance, or that of a type."""
    return default_atols()[dtype] if atol is None else atol


def get_rtol(rtol: float | None = None, dtype: np.dtype = _DOUBLE) -> float:
    """A relative tolerance, or that of a type."""
    return default_rtols()[dtype] if rtol is None else rtol


def get_etol(etol: float | None = None) -> float:
    """Which part of all values may differ."""
    return 0 if etol is None else etol


def _numpy(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, Array) else value


def find_max_violation(a: Any, b: Any, rtol: float, atol: float) -> tuple[Any, float]:
    """Where two arrays differ most, and by how many tolerances."""
    with np.errstate(all="ignore"):
        apart = np.where(np.equal(a, b), 0, np.abs(a - b))
        found = apart / (atol + rtol * np.abs(b) + 1e-20)
    worst = np.unravel_index(np.argmax(found), found.shape)
    return worst, float(np.max(found))


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are equal."""
    return np.array_equal(_numpy(a), _numpy(b))


def same_array(array1: Any, array2: Any) -> bool:
    """Whether two arrays share their memory."""
    array1[:] += 1
    shared = same(array1, array2)
    array1[:] -= 1
    return shared and same(array1, array2)


def checkShapes(a: Any, b: Any) -> None:
    """Raise where two arrays have different shapes.

    Raises:
        AssertionError: they have.
    """
    if a.shape != b.shape:
        raise AssertionError(f"the shapes {a.shape} and {b.shape} are not equal")


def almost_equal(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, equal_nan: bool = False, use_broadcast: bool = True
) -> bool:
    """Whether two arrays are equal within tolerances."""
    a, b = _numpy(a), _numpy(b)
    if not use_broadcast:
        checkShapes(a, b)
    return bool(np.allclose(a, b, rtol=get_rtol(rtol), atol=get_atol(atol), equal_nan=equal_nan))


def locationError(a: Any, b: Any, index: Any, names: tuple[str, str], maxError: bool = False) -> str:
    """What two arrays hold at a place, in words."""
    place = tuple(int(i) for i in index)
    worst = "maximum " if maxError else ""
    return f"Location of {worst}error: {place}, {names[0]}={a[index]:.8f}, {names[1]}={b[index]:.8f}"


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """Raise where two arrays are not equal within tolerances.

    Args:
        a: an array of any kind.
        b: an array of any kind.
        rtol: relative tolerance; a number, a dict by type, or None for the usual of the types.
        atol: absolute tolerance, in the same way.
        names: what the message calls them.
        equal_nan: whether NaN equals NaN.
        use_broadcast: whether shapes may differ where they broadcast.
        mismatches: how many differences are listed.

    Raises:
        AssertionError: with the largest differences and where they are.

    >>> assert_almost_equal(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    Traceback (most recent call last):
    ...
    AssertionError: a and b differ: 1 of 2 values (50%) exceed rtol=1e-05, atol=1e-20
    Location of maximum error: (1,), a=2.00000000, b=2.50000000
    """
    if not use_broadcast:
        checkShapes(a, b)
    rtol, atol = get_tols(a, b, rtol, atol)
    a, b = _numpy(a), _numpy(b)
    if getattr(a, "dtype", None) == np.bool_ and getattr(b, "dtype", None) == np.bool_:
        np.testing.assert_equal(a, b)
    elif not almost_equal(a, b, rtol, atol, equal_nan=equal_nan):
        _fail(a, b, rtol, atol, names, equal_nan, mismatches[0])


def _fail(a: Any, b: Any, rtol: float, atol: float, names: tuple[str, str], equal_nan: bool, most: int) -> None:
    a, b = np.broadcast_arrays(a, b)
    wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    with np.errstate(all="ignore"):
        apart = np.where(wrong, np.abs(a.astype("f8") - b.astype("f8")) / (atol + rtol * np.abs(b) + 1e-20), 0)
    order = np.argsort(-np.nan_to_num(apart, nan=np.inf, posinf=np.inf), axis=None, kind="stable")
    count = int(wrong.sum())
    share = 100 * count / max(a.size, 1)
    lines = [
        f"{names[0]} and {names[1]} differ: {count} of {a.size} values ({share:.3g}%) exceed rtol={rtol}, atol={atol}"
    ]
    for rank, flat in enumerate(order[: max(1, min(most, count))]):
        lines.append(locationError(a, b, np.unravel_index(flat, a.shape), names, maxError=rank == 0))
    raise AssertionError("\n".join(lines))


def assert_allclose(a: Any, b: Any, rtol: float = 1e-07, atol: float = 0, equal_nan: bool = True) -> None:
    """`assert_almost_equal` with NumPy's strict tolerances."""
    assert_almost_equal(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    etol: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """`assert_almost_equal` that lets a part `etol` of all values differ.

    Raises:
        AssertionError: more do.
    """
    if not get_etol(etol):
        assert_almost_equal(a, b, rtol=rtol, atol=atol, names=names, equal_nan=equal_nan)
        return
    rtol, atol = get_tols(a, b, rtol, atol)
    a, b = _numpy(a), _numpy(b)
    equal = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if 1 - np.count_nonzero(equal) / equal.size > get_etol(etol):
        _fail(a, b, rtol, atol, names, equal_nan, mismatches[0])


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, names: tuple[str, str] = ("a", "b")
) -> None:
    """`assert_almost_equal` that passes over places where either is NaN."""
    a, b = np.copy(_numpy(a)), np.copy(_numpy(b))
    missing = np.isnan(a) | np.isnan(b)
    a[missing] = b[missing] = 0
    assert_almost_equal(a, b, rtol, atol, names)


def assert_exception(f: Callable[..., Any], exception_type: Any, *args: Any, **kwargs: Any) -> None:
    """Raise where a call does not raise.

    Raises:
        AssertionError: the call returned.
    """
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"no {exception_type} was raised")


def retry(n: int) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Decorates a test that may fail by chance: it may run up to `n` times.

    Raises:
        AssertionError: `n` is not positive.
    """
    if n <= 0:
        raise AssertionError("a test runs at least once")

    def decorate(f: Callable[..., Any]) -> Callable[..., None]:
        def call(*args: Any, **kwargs: Any) -> None:
            for left in range(n - 1, -1, -1):
                try:
                    f(*args, **kwargs)
                    return
                except AssertionError:
                    if not left:
                        raise

        return call

    return decorate


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: Any = None, atol: Any = None) -> None:
    """`assert_almost_equal` for arrays in nested tuples; None on either side is passed over."""
    if t1 is None or t2 is None:
        return
    if isinstance(t1, tuple):
        for one, other in zip(t1, t2, strict=False):
            compare_ndarray_tuple(one, other, rtol, atol)
    else:
        assert_almost_equal(t1, t2, rtol=rtol, atol=atol)
