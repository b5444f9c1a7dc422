"""`mx.libinfo`: where MXNet's library would be. There is none: evergraph computes with PyTorch."""

from typing import NoReturn

from evergraph.errors import UsageError

__all__ = ["__version__", "find_conf_path", "find_include_path", "find_lib_path"]

__version__ = "1.9.1"


def _missing(what: str) -> NoReturn:
    raise UsageError(
        f"MXNet's {what} is not here: evergraph computes with PyTorch",
        fix="use the Python interface (mx.nd, mx.sym, mx.mod, ...); operators of your own are mx.operator.CustomOp",
    )


def find_lib_path(prefix: str = "libmxnet") -> NoReturn:
    """Where the library is.

    Raises:
        UsageError: always; it derives from RuntimeError, as MXNet's does.
    """
    _missing(f"library {prefix}")


def find_include_path() -> NoReturn:
    """Where the C headers are.

    Raises:
        UsageError: always; it derives from RuntimeError, as MXNet's does.
    """
    _missing("headers")


def find_conf_path(prefix: str = "tvmop") -> NoReturn:
    """Where the configuration of compiled operators is.

    Raises:
        UsageError: always; it derives from RuntimeError, as MXNet's does.
    """
    _missing(f"configuration {prefix}")
