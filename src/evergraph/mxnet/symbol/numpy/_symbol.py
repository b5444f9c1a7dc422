"""`mx.sym.np._Symbol`: symbols of arrays with NumPy's semantics."""

from collections.abc import Iterator
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import integer_types
from evergraph.mxnet.symbol.functions import function
from evergraph.mxnet.symbol.symbol import Symbol

__all__ = ["_Symbol"]

_KEEP, _DROP, _REST = -2, -3, -4
"""Codes of a new shape: an axis kept, an axis of length 1 dropped, all that are left."""


class _IndexError(UsageError, IndexError):
    """A key that symbols are not indexed with."""


class _Symbol(Symbol):
    """One or more outputs of a computation on arrays of `mx.np`.

    Made by `as_np_ndarray()` of a symbol, and by the functions of `mx.sym.np` and `mx.sym.npx`. Methods and operators
    are NumPy's; where one has a single output, an index takes parts of it.

    >>> from evergraph.mxnet import sym
    >>> sym.var("x").as_np_ndarray()[1:3, 0].infer_shape(x=(5, 2))[1]
    [(2,)]
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        """Parts of the only output, or one of several.

        Raises:
            IndexError: the key is neither integers and slices, nor the name or number of an output.
        """
        if len(self._entries) > 1:
            return Symbol.__getitem__(self, key)
        if isinstance(key, tuple) and not key:
            return self
        if isinstance(key, slice):
            begin, end = ([None] if v is None else v for v in (key.start, key.stop))
            return _sliced(self, begin, end, key.step)
        keys = key if isinstance(key, tuple) else (key,)
        wrong = [k for k in keys if not isinstance(k, (slice, *integer_types)) or isinstance(k, bool)]
        if wrong:
            raise _IndexError(
                "symbols are indexed with integers, slices and tuples of them", found=", ".join(map(repr, wrong))
            )
        bounds = [(k.start, k.stop, k.step) if isinstance(k, slice) else (k, k + 1 or None, 1) for k in keys]
        begin, end, step = ([None if v is None else int(v) for v in each] for each in zip(*bounds, strict=True))
        codes = [_KEEP if isinstance(k, slice) else _DROP for k in keys]
        part = _sliced(self, begin, end, step if isinstance(key, tuple) else None)
        return function("_npx_reshape", "reshape")(part, newshape=(*codes, _REST))

    def __iter__(self) -> Iterator["_Symbol"]:
        return (_Symbol((entry,)) for entry in self._entries)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Symbols cannot be written to.

        Raises:
            NotImplementedForSymbol: always.
        """
        from evergraph.mxnet.base import NotImplementedForSymbol

        raise NotImplementedForSymbol(self.__setitem__, "__setitem__", key, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Symbol, ((),), self.__getstate__()

    def as_nd_ndarray(self) -> Symbol:
        """The same outputs as a symbol of legacy arrays."""
        return Symbol(self._entries)

    def as_np_ndarray(self) -> "_Symbol":
        """The symbol itself."""
        return self

    def get_internals(self) -> Symbol:
        """Every output of every node, as a group of legacy symbols."""
        return super().get_internals().as_nd_ndarray()

    def get_children(self) -> Symbol | None:
        """The inputs of its nodes, as a group of legacy symbols; None for a variable."""
        found = super().get_children()
        return None if found is None else found.as_nd_ndarray()


_Symbol.__module__ = "mxnet.symbol.numpy"


def _sliced(symbol: _Symbol, begin: Any, end: Any, step: Any) -> _Symbol:
    options = {} if step is None else {"step": step}
    return function("_npi_slice", "slice")(symbol, begin=begin, end=end, **options)
