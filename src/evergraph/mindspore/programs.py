"""What programs say to MindSpore's compiler. Programs run here as they are written, so most of it changes nothing."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore import ops
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.ops.gradients import jit, ms_function

__all__ = [
    "JitConfig",
    "data_sink",
    "export",
    "jit",
    "jit_class",
    "lazy_inline",
    "load",
    "ms_class",
    "ms_function",
    "mutable",
    "run_check",
    "set_deterministic",
]


class JitConfig:
    """Kept for programs that make one.

    Args:
        jit_level: how much MindSpore compiles.
        named: what else it is told.
    """

    def __init__(self, jit_level: str = "", **named: Any) -> None:
        self.jit_level = jit_level
        self.jit_config_dict = {"jit_level": jit_level, **named}


def jit_class(cls: type) -> type:
    """The class as it is.

    Raises:
        UsageError: it is no class.
    """
    if not isinstance(cls, type):
        raise UsageError("jit_class decorates classes", found=printable(type(cls).__name__))
    return cls


ms_class = jit_class


def lazy_inline(fn: Any = None, **_: Any) -> Any:
    """The constructor as it is."""
    return fn if fn is not None else lazy_inline


def mutable(input_data: Any, *_: bool, **__: bool) -> Any:
    """The value as it is: nothing is taken for a constant.

    Raises:
        UsageError: it is no number, Tensor, tuple, list or dict of them.
    """
    parts = input_data.values() if isinstance(input_data, dict) else input_data
    if isinstance(input_data, (tuple, list, dict)):
        for part in parts:
            mutable(part)
    elif not isinstance(input_data, (int, float, Tensor)):
        raise UsageError("mutable takes numbers, Tensors, and tuples, lists and dicts of them", found=printable(parts))
    return input_data


def data_sink(fn: Callable[..., Any], dataset: Any, sink_size: int = 1, **_: Any) -> Callable[[], Any]:
    """A function that calls `fn` with the next `sink_size` rows of a dataset, and gives the last result.

    >>> from evergraph.mindspore.dataset import NumpySlicesDataset
    >>> next_sum = data_sink(lambda x, y: x + y, NumpySlicesDataset(([1, 2], [3, 4]), ["x", "y"], shuffle=False))
    >>> int(next_sum()), int(next_sum())
    (4, 6)
    """
    rows: list[Any] = []

    def sink() -> Any:
        found = None
        for _ in range(sink_size):
            row = next(rows[0], None) if rows else None
            if row is None:  # the next epoch
                rows[:] = [iter(dataset.create_tuple_iterator())]
                row = next(rows[0])
            found = fn(*row)
        return found

    return sink


def run_check() -> None:
    """Multiply two small tensors, and say that it went well."""
    found = float(ops.matmul(Tensor([1.0, 2.0]), Tensor([1.0, 1.0])))
    print(f"evergraph.mindspore computes on torch: the multiplication is {'right' if found == 3 else 'wrong'}.")


def set_deterministic(deterministic: bool) -> None:
    """Ask torch for algorithms that give the same bits each time.

    Raises:
        UsageError: it is neither True nor False.
    """
    import torch

    if not isinstance(deterministic, bool):
        raise UsageError("set_deterministic takes True or False", found=printable(deterministic))
    torch.use_deterministic_algorithms(deterministic)


def export(*_: Any, file_name: str, file_format: str, **__: Any) -> None:
    """Graph files (MINDIR, AIR, ONNX) are not written here.

    Raises:
        UsageError: always; it says what to use in their place.
    """
    known = ("AIR", "ONNX", "MINDIR")
    if file_format not in known:
        raise UsageError("no such file_format", expected=", ".join(known), found=printable(file_format))
    fix = "save_checkpoint() writes the weights, `evergraph convert` PyTorch's file of them"
    if file_format == "ONNX":
        fix += "; torch.onnx.export(net, torch_tensors, path) takes a Cell, which is a torch.nn.Module"
    raise UsageError(f"graphs are not exported to {file_format} here", where=printable(file_name), fix=fix)


def load(file_name: str, **_: Any) -> None:
    """MindIR's graphs are not read here.

    Raises:
        UsageError: always; it says what to use in their place.
    """
    raise UsageError(
        "a MindIR graph is not run here",
        where=printable(file_name),
        fix="build the network with nn.Cell, and load its checkpoint with load_checkpoint()",
    )
