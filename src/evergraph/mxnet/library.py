"""`mx.library`: operators from compiled libraries, which need MXNet's own binary interface."""

from typing import NoReturn

from evergraph.errors import UsageError, printable

__all__ = ["load"]


def load(path: str, verbose: bool = True) -> NoReturn:  # noqa: ARG001
    """Load operators from a compiled library.

    Raises:
        UsageError: always: such a library calls MXNet's own binary interface.
    """
    raise UsageError(
        "a library of compiled MXNet operators cannot be loaded here",
        where=printable(str(path)),
        fix="write the operator in Python: mx.operator.CustomOp and mx.operator.CustomOpProp, on mx.nd or torch",
    )
