"""`mx.contrib.onnx`, also `mx.onnx`: ONNX is left to PyTorch, which runs the same networks; each call says how."""

from collections.abc import Callable
from typing import Any, NoReturn

from evergraph.errors import UsageError

__all__ = ["export_model", "get_model_metadata", "get_operator_support", "import_model", "import_to_gluon"]

_WRITING = (
    "this face writes no ONNX files",
    "torch.onnx.export writes one of evergraph.engine.module(c.graph, c), where c is evergraph.open(prefix)",
)
_READING = (
    "this face reads no ONNX files",
    "evergraph.open takes the original checkpoint (MXNet's, MindSpore's, PyTorch's, TensorFlow's): bring that",
)


def _refusal(what: str, fix: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        """Refused, whatever is given; the error says what takes its place.

        Raises:
            UsageError: always.
        """
        raise UsageError(what, fix=fix)

    return refuse


export_model = get_operator_support = _refusal(*_WRITING)
import_model = import_to_gluon = get_model_metadata = _refusal(*_READING)
