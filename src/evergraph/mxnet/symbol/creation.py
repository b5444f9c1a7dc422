"""Symbols that begin a computation: variables, and arrays that it makes itself."""

from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet.attribute import current_scope
from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.ndarray.tables import _DTYPE_NP_TO_MX, _STORAGE_TYPE_STR_TO_ID
from evergraph.mxnet.symbol.functions import make
from evergraph.mxnet.symbol.nodes import SymbolNode, attribute_key
from evergraph.mxnet.symbol.symbol import Symbol, SymbolBase

__all__ = [
    "Variable",
    "arange",
    "eye",
    "full",
    "histogram",
    "hypot",
    "linspace",
    "maximum",
    "minimum",
    "ones",
    "pow",
    "power",
    "split_v2",
    "var",
    "zeros",
]


class _AttributeError(UsageError, ValueError):
    """An attribute that variables do not have."""


class _NameTypeError(UsageError, TypeError):
    """A name that is no text, or operands that are neither symbols nor numbers."""


def var(
    name: str,
    attr: dict[str, str] | None = None,
    shape: Any = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: str,
) -> Symbol:
    """A variable: an input, a parameter or an auxiliary state.

    Args:
        name: its name.
        attr: further attributes.
        shape: its shape, where it is known; 0 stands for an unknown size.
        lr_mult: what optimizers multiply its learning rate with.
        wd_mult: what optimizers multiply its weight decay with.
        dtype: its element type.
        init: its initializer, or the initializer's text.
        stype: its storage, "default", "row_sparse" or "csr".
        kwargs: attributes with two underscores on both sides.

    Raises:
        TypeError: the name is no text.
        ValueError: an attribute without underscores.

    >>> var("w", lr_mult=2.0).attr("__lr_mult__")
    '2.0'
    """
    if not isinstance(name, str):
        raise _NameTypeError("Expect a string for variable `name`", found=type(name).__name__)
    wrong = {k: v for k, v in (attr or {}).items() if not isinstance(v, str)}
    if wrong:
        raise _AttributeError("Set Attr only accepts string values", where=f"variable {name}", found=wrong)
    texts = {attribute_key(k): v for k, v in current_scope().get(attr).items()}
    if shape is not None:
        texts["__shape__"] = str(tuple(int(d) for d in shape) if isinstance(shape, (tuple, list)) else shape)
    given = {"__lr_mult__": lr_mult, "__wd_mult__": wd_mult}
    texts.update({k: str(v) for k, v in given.items() if v is not None})
    if dtype is not None:
        kind = _DTYPE_NP_TO_MX.get(np.dtype(dtype).type) if not isinstance(dtype, int) else dtype
        texts["__dtype__"] = str(kind)
    if init is not None:
        texts["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        texts["__storage_type__"] = str(_STORAGE_TYPE_STR_TO_ID[stype])
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise _AttributeError(
                f"Attribute name={key} is not supported.",
                expected="attributes with two underscores on both sides, such as __yourattr__",
            )
        texts[key] = str(value)
    return Symbol(((SymbolNode("null", name, texts), 0),))


Variable = var


def _typed(dtype: Any) -> Any:
    return np.float32 if dtype is None else dtype


def zeros(shape: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
    """An array of zeros; 0 in the shape stands for a size that follows from what reads it."""
    return make("_zeros", "_zeros", shape=shape, dtype=_typed(dtype), **kwargs)


def ones(shape: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
    """An array of ones."""
    return make("_ones", "_ones", shape=shape, dtype=_typed(dtype), **kwargs)


def full(shape: Any, val: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
    """An array of one value."""
    return make("_full", "_full", shape=shape, dtype=_typed(dtype), value=float(val), **kwargs)


def arange(
    start: Any,
    stop: Any = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """Numbers from start (0 where it is the only one) up to stop, each `repeat` times."""
    options = {"start": start, "stop": stop, "step": step, "repeat": repeat, "infer_range": infer_range}
    return make("_arange", "_arange", name=name, dtype=_typed(dtype), **options)


def linspace(
    start: Any, stop: Any, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Symbol:
    """`num` numbers from start to stop, at equal distances."""
    options = {"start": start, "stop": stop, "num": num, "endpoint": endpoint}
    return make("_linspace", "_linspace", name=name, dtype=_typed(dtype), **options)


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Symbol:
    """A matrix with ones on a diagonal."""
    return make("_eye", "_eye", N=N, M=M, k=k, dtype=_typed(dtype), **kwargs)


def histogram(a: Symbol, bins: Any = 10, range: Any = None, **kwargs: Any) -> Symbol:
    """How many values fall into each bin, and the bins' edges.

    Raises:
        ValueError: a number of bins without their range.
    """
    if isinstance(bins, SymbolBase):
        return make("_histogram", "_histogram", data=a, bins=bins, **kwargs)
    if not isinstance(bins, int):
        raise _AttributeError("bins argument should be either an integer or an NDArray", found=type(bins).__name__)
    if range is None:
        raise _AttributeError("null range is not supported in symbol mode")
    return make("_histogram", "_histogram", data=a, bin_cnt=bins, range=range, **kwargs)


def split_v2(ary: Symbol, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Symbol:
    """The parts of an array between positions along an axis, or so many equal parts.

    Raises:
        ValueError: neither a number nor positions.
    """
    options: dict[str, Any] = {"axis": axis, "squeeze_axis": squeeze_axis}
    if isinstance(indices_or_sections, int):
        options |= {"indices": [], "sections": indices_or_sections}
    elif isinstance(indices_or_sections, tuple):
        options |= {"indices": [0, *indices_or_sections], "sections": 0}
    else:
        raise _AttributeError("indices_or_sections must either int or tuple of ints")
    return make("_split_v2", "_split_v2", data=ary, **options)


def _of_two(arrays: str, number: str, reflected: str, plain: Any, left: Any, right: Any) -> Any:
    if isinstance(left, SymbolBase) and isinstance(right, SymbolBase):
        return make(arrays, arrays.lower(), lhs=left, rhs=right)
    if isinstance(left, SymbolBase) and isinstance(right, numeric_types):
        return make(number, number.lower(), data=left, scalar=right)
    if isinstance(left, numeric_types) and isinstance(right, SymbolBase):
        return make(reflected, reflected.lower(), data=right, scalar=left)
    if isinstance(left, numeric_types) and isinstance(right, numeric_types):
        return plain(left, right)
    raise _NameTypeError("operands are symbols or numbers", found=f"{type(left).__name__}, {type(right).__name__}")


def pow(base: Any, exp: Any) -> Any:
    """Base to the power of exp, symbols or numbers."""
    return _of_two("_Power", "_PowerScalar", "_RPowerScalar", lambda a, b: a**b, base, exp)


power = pow


def maximum(left: Any, right: Any) -> Any:
    """The larger of two, symbols or numbers."""
    return _of_two("_Maximum", "_MaximumScalar", "_MaximumScalar", max, left, right)


def minimum(left: Any, right: Any) -> Any:
    """The smaller of two, symbols or numbers."""
    return _of_two("_Minimum", "_MinimumScalar", "_MinimumScalar", min, left, right)


def hypot(left: Any, right: Any) -> Any:
    """The length of the hypotenuse of two, symbols or numbers."""
    return _of_two("_Hypot", "_HypotScalar", "_HypotScalar", np.hypot, left, right)
