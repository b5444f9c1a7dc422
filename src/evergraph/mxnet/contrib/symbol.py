"""`mx.contrib.sym`: the functions of `mx.sym.contrib` by their older home."""

from typing import Any

from evergraph.mxnet.symbol import contrib

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    return getattr(contrib, name)


def __dir__() -> list[str]:
    return dir(contrib)
