"""Layers in a row, and layers made of functions."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet.gluon.block import Block, indented
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.hybrid import HybridBlock

__all__ = ["HybridLambda", "HybridSequential", "Lambda", "Sequential"]


class _Row:
    """What both rows of layers have."""

    _children: dict[str, Block]

    def __repr__(self) -> str:
        rows = [f"  ({k}): {indented(repr(v))}" for k, v in self._children.items()]
        return "\n".join([f"{type(self).__name__}(", *(rows or [""]), ")"])

    def __getitem__(self, key: Any) -> Any:
        found = list(self._children.values())[key]
        if not isinstance(found, list):
            return found
        row = type(self)(prefix=self._prefix)  # type: ignore[attr-defined,call-arg]
        row.add(*found)  # type: ignore[attr-defined]
        return row

    def __len__(self) -> int:
        return len(self._children)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._children.values())


class Sequential(_Row, Block):
    """Blocks, one after another.

    >>> net = Sequential(); net.add(Lambda("relu"), Lambda(lambda x: x + 1))
    >>> net(nd.array([-1, 2])).asnumpy()
    array([1., 3.], dtype=float32)
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def add(self, *blocks: Block) -> None:
        """Put blocks at the end."""
        for block in blocks:
            self.register_child(block)

    def forward(self, *args: Any) -> Any:
        """The last block's outputs."""
        x, *rest = args
        args = tuple(rest)
        for block in self._children.values():
            found = block(x, *args)
            x, args = (found[0], tuple(found[1:])) if isinstance(found, (tuple, list)) else (found, ())
        return [x, *args] if args else x

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Run the hybrid blocks inside as graphs from now on, or not."""
        if self._children and all(isinstance(c, HybridBlock) for c in self._children.values()):
            warnings.warn(
                f"All children of this Sequential layer '{self.prefix}' are HybridBlocks. Consider using"
                " HybridSequential for the best performance.",
                stacklevel=2,
            )
        super().hybridize(active, **kwargs)


class HybridSequential(_Row, HybridBlock):
    """Hybrid blocks, one after another.

    >>> net = HybridSequential(); net.add(HybridLambda("relu"))
    >>> len(net), net(nd.array([-1, 2])).asnumpy().tolist()
    (1, [0.0, 2.0])
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def add(self, *blocks: HybridBlock) -> None:
        """Put blocks at the end."""
        for block in blocks:
            self.register_child(block)

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """The last block's outputs."""
        for block in self._children.values():
            found = block(x, *args)
            x, args = (found[0], tuple(found[1:])) if isinstance(found, (tuple, list)) else (found, ())
        return [x, *args] if args else x


def _function(space: Any, function: Any) -> Any:
    if not hasattr(space, function):
        raise ParameterFitError(f"Function name {function} is not found in {space.__name__.split('.')[-1]}.")
    return getattr(space, function)


class Lambda(Block):
    """A function of arrays, or the name of one of `mx.nd`, as a block."""

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if isinstance(function, str):
            self._func_impl = _function(nd, function)
        elif callable(function):
            self._func_impl = function
        else:
            raise BlockValueError(f"Unrecognized function in lambda: {function} of type {type(function)}")
        self._func_name = self._func_impl.__name__

    def forward(self, *args: Any) -> Any:
        """The function's result."""
        return self._func_impl(*args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._func_name})"


class HybridLambda(HybridBlock):
    """A function of F and arrays or symbols, or the name of one that both `mx.nd` and `mx.sym` have, as a block."""

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if isinstance(function, str):
            _function(nd, function)
            _function(sym, function)
            name: str = function
            self._func: Callable[..., Any] = lambda F, *args: getattr(F, name)(*args)
            self._func_name = name
        elif callable(function):
            self._func, self._func_name = function, function.__name__
        else:
            raise BlockValueError(f"Unrecognized function in lambda: {function} of type {type(function)}")

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """The function's result."""
        return self._func(F, x, *args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._func_name})"
