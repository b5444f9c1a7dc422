"""How parameters get their first values: through the initializers of `mx.init`."""

from typing import Any

__all__ = ["fill"]


def fill(name: str, init: Any, default: Any, values: Any) -> None:
    """Fill a parameter's array.

    Args:
        name: the parameter's name, which initializers look at.
        init: an initializer, its name or its text, or any function of a name and an array; None for the default.
        default: the initializer that stands behind it; uniform in (-0.07, 0.07) where it is None.
        values: the array.
    """
    if callable(init) and not hasattr(init, "dumps"):
        init(name, values)
        return
    from evergraph.mxnet import initializer

    behind: Any = initializer.create(default) if default is not None else initializer.Uniform()
    attributes: dict[str, Any] = {"__init__": behind if init is None else init}
    behind(initializer.InitDesc(name, attributes), values)
