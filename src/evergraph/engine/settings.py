"""Which engine predicts: chosen for the process, for a block, or for one predictor."""

import importlib.util
from types import TracebackType

from evergraph.errors import MissingDependencyError, UsageError, printable

__all__ = ["ENGINES", "PRECISIONS", "Choice", "EngineWarning", "choice", "has_openvino", "resolve", "use"]

ENGINES = ("auto", "torch", "openvino")
PRECISIONS = ("float32", "bfloat16")


class EngineWarning(UserWarning):
    """A graph, or a part of it, does not run on the engine that was asked for."""


class Choice:
    """An engine and a precision; as a context manager it ends with the block, and the one before it holds again."""

    __slots__ = ("before", "engine", "precision")

    def __init__(self, engine: str, precision: str, before: "Choice | None" = None) -> None:
        self.engine, self.precision, self.before = engine, precision, before

    def __enter__(self) -> "Choice":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _state["choice"] = self.before or _DEFAULT

    def __repr__(self) -> str:
        return f"<engine {self.engine}, {self.precision}>"


_DEFAULT = Choice("auto", "float32")
_state = {"choice": _DEFAULT}


def use(engine: str | None = None, *, precision: str | None = None) -> Choice:
    """Choose the engine that predictors take from now on, or within a `with` block.

    Args:
        engine: "torch", "openvino", or "auto": OpenVINO where it is installed and takes the graph, else PyTorch.
        precision: "float32", or "bfloat16" for layers' arithmetic; never chosen by itself.

    Raises:
        UsageError: an unknown name.
        MissingDependencyError: OpenVINO is asked for and not installed.

    >>> with use("torch"):
    ...     choice()
    <engine torch, float32>
    >>> choice()
    <engine auto, float32>
    """
    before = _state["choice"]
    _state["choice"] = Choice(*resolve(engine, precision), before)
    return _state["choice"]


def choice() -> Choice:
    """The choice that holds now."""
    return _state["choice"]


def resolve(engine: str | None, precision: str | None) -> tuple[str, str]:
    """Names checked, with the present choice for those that are not given."""
    engine = _state["choice"].engine if engine is None else engine
    precision = _state["choice"].precision if precision is None else precision
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {printable(engine)!r}", expected=", ".join(ENGINES))
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {printable(precision)!r}", expected=", ".join(PRECISIONS))
    if engine == "openvino" and not has_openvino():
        raise MissingDependencyError("OpenVINO is not installed", fix="pip install 'evergraph[openvino]'")
    return engine, precision


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return importlib.util.find_spec("openvino") is not None
