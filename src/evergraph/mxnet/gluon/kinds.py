"""NumPy's arrays and symbols beside the classic ones: which of them a block takes and gives."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from evergraph.mxnet import symbol as sym
from evergraph.mxnet.gluon.errors import BlockTypeError
from evergraph.mxnet.ndarray.base import Array

__all__ = ["grouped", "is_np", "require_np"]


def is_np(value: Any) -> bool:
    """Whether an array or a symbol has NumPy's semantics."""
    if type(value) is sym.Symbol:
        return False
    return isinstance(value, _classes())


@cache
def _classes() -> tuple[type, ...]:
    # programs without NumPy's semantics need not import them
    from evergraph.mxnet.numpy.multiarray import ndarray
    from evergraph.mxnet.symbol.numpy import _Symbol

    return ndarray, _Symbol


def require_np(found: Any) -> None:
    """Refuse a block's classic results: under `mx.npx.set_np()` all are NumPy's.

    Args:
        found: what `forward` returned: arrays and symbols, in lists or not, are looked at.

    Raises:
        TypeError: an array or a symbol is classic.
    """
    if isinstance(found, (list, tuple)):
        for each in found:
            require_np(each)
    elif isinstance(found, (Array, sym.Symbol)) and not is_np(found):
        raise BlockTypeError(
            "a block's output is a classic array or symbol while NumPy's semantics are on (mx.npx.set_np())",
            expected="mxnet.numpy.ndarray or mxnet.symbol.numpy._Symbol",
            found=type(found).__name__,
            fix="compute with F.np and F.npx, or convert: x.as_np_ndarray()",
        )


def grouped(outputs: Sequence[Any]) -> Any:
    """One symbol of a traced block's outputs, NumPy's if they are.

    Raises:
        TypeError: some are NumPy's and some are classic.
    """
    if len(outputs) == 1:
        return outputs[0]
    kinds = {is_np(each) for each in outputs}
    if len(kinds) > 1:
        raise BlockTypeError(
            "a block's outputs are classic symbols and NumPy's",
            expected="all mxnet.symbol.Symbol, or all mxnet.symbol.numpy._Symbol",
            found=", ".join(type(each).__name__ for each in outputs),
            fix="convert them: x.as_np_ndarray() or x.as_nd_ndarray()",
        )
    made = sym.Group(list(outputs))
    return made.as_np_ndarray() if True in kinds else made
