"""Names of blocks: each block's prefix, made of its parent's and a number."""

import threading
from types import TracebackType
from typing import Any

from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.name import Prefix, current_manager

__all__ = ["BlockScope"]


class _Current(threading.local):
    value: "BlockScope | None" = None


class BlockScope:
    """The scope in which a block's children are named.

    Args:
        block: the block.
    """

    _current = _Current()

    def __init__(self, block: Any) -> None:
        self._block = block
        self._counter: dict[str, int] = {}
        self._before: list[tuple[BlockScope | None, Prefix]] = []

    @staticmethod
    def create(prefix: str | None, params: ParameterDict | None, hint: str) -> tuple[str, ParameterDict]:
        """The full prefix and the dictionary of a new block.

        Args:
            prefix: what the program asks for; None for the hint with the next number.
            params: a dictionary to share parameters with.
            hint: what its name is made of.
        """
        scope = BlockScope._current.value
        if scope is None:
            if prefix is None:
                prefix = current_manager().get(None, hint) + "_"
            return prefix, ParameterDict(prefix) if params is None else ParameterDict(params.prefix, params)
        if prefix is None:
            number = scope._counter.get(hint, 0)
            scope._counter[hint] = number + 1
            prefix = f"{hint}{number}_"
        if params is None:
            parent = scope._block.params
            params = ParameterDict(parent.prefix + prefix, parent._shared)
        else:
            params = ParameterDict(params.prefix, params)
        return scope._block.prefix + prefix, params

    def __enter__(self) -> "BlockScope":
        if self._block._empty_prefix:
            return self
        names = Prefix(self._block.prefix)
        self._before.append((BlockScope._current.value, names))
        BlockScope._current.value = self
        names.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._block._empty_prefix:
            return
        before, names = self._before.pop()
        names.__exit__(kind, value, trace)
        BlockScope._current.value = before
