"""`mx.error`: classes of errors by name."""

from evergraph.mxnet.base import MXNetError, register_error

__all__ = ["InternalError", "MXNetError", "register"]

register = register_error


@register_error
class InternalError(MXNetError):
    """Something that cannot happen did.

    Args:
        msg: what.
    """

    def __init__(self, msg: str) -> None:
        super().__init__(msg, fix="this is an error of the program itself; please report it with the message")

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return InternalError, (self.what,)
