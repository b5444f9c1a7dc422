"""Makers for the globals that any framework's pickles may hold: NumPy scalars and arrays, collections, bytes."""

from collections.abc import Callable, Mapping
from typing import Any

from evergraph.errors import DamagedError, UnsafeError, printable
from evergraph.formats.npy_header import element_type
from evergraph.formats.pickle_values import Global, Record, Span, Table
from evergraph.tensors import Computed, DType, Extent, Held, Tensor

__all__ = ["COMMON", "ArrayValue", "payload"]

Maker = Callable[[tuple], Any]


def payload(value: Any, what: str = "an array") -> "Extent | Held":
    """The bytes of a value that holds bytes, in whichever way a pickle spells them.

    Raises:
        DamagedError: it holds none.
    """
    if isinstance(value, Span):
        return Extent(value.source, value.offset, value.nbytes)
    if isinstance(value, str):
        try:
            # Python 2 has texts for bytes
            return Held(value.encode("latin-1"))
        except UnicodeEncodeError as error:
            raise DamagedError(f"{what} has text for its bytes", found=printable(value[:40])) from error
    if isinstance(value, (bytes, bytearray)):
        return Held(value)
    if isinstance(value, (Extent, Held)):
        return value
    raise DamagedError(f"{what} has no bytes", found=type(value).__name__)


def _bytes(args: tuple) -> Any:
    """Call of bytearray or bytes, or of the codec function that Python 3 writes for Python 2."""
    if len(args) == 0:
        return Held(b"")
    if len(args) > 1 and args[1] not in ("latin-1", "latin1"):
        raise DamagedError("a pickle has bytes in an unknown encoding", found=printable(args[1]))
    return payload(args[0], "a pickle")


class _DtypeValue:
    """A pickled numpy.dtype."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "<"

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise DamagedError("an array with a structured type", fix="structured arrays are no tensors")
        self.order = state[1] if state[1] in ("<", ">", "|", "=") else "<"

    def found(self) -> tuple[DType, bool]:
        return element_type(self.order + self.code)


def _dtype(args: tuple) -> _DtypeValue:
    if not args or not isinstance(args[0], str):
        raise DamagedError("a pickled NumPy type without a name", found=len(args))
    return _DtypeValue(args[0])


def _scalar(args: tuple) -> Any:
    if len(args) != 2 or not isinstance(args[0], _DtypeValue):
        raise DamagedError("a pickled NumPy scalar that is none", found=len(args))
    found = _tensor(args[0], (), args[1], fortran=False).numpy()
    # a scalar is a number of the structure, not a tensor; int64 and float64 lose nothing
    value = found.item()
    if isinstance(value, (int, float)):
        return value
    raise DamagedError("a pickled NumPy scalar of a kind without a number", found=printable(args[0].code))


class ArrayValue:
    """A pickled numpy.ndarray; `tensor` when its state is set."""

    __slots__ = ("tensor",)

    def __init__(self) -> None:
        self.tensor: Tensor | None = None

    def set_state(self, state: Any) -> None:
        """Take version, shape, type, order and bytes."""
        state = state[-4:] if isinstance(state, tuple) else ()
        if len(state) != 4 or not isinstance(state[1], _DtypeValue) or not isinstance(state[0], tuple):
            raise DamagedError("a pickled NumPy array that is none")
        self.tensor = _tensor(state[1], state[0], state[3], bool(state[2]))


def _tensor(kind: _DtypeValue, shape: tuple, data: Any, fortran: bool) -> Tensor:
    import math

    if kind.code.startswith("O"):
        raise UnsafeError("a NumPy array of Python objects is refused", fix="save numbers")
    if not all(isinstance(d, int) and d >= 0 for d in shape) or len(shape) > 32:
        raise DamagedError("a pickled NumPy array with an impossible shape", found=printable(shape))
    found, swapped = kind.found()
    blob = payload(data, "a NumPy array")
    if blob.nbytes != math.prod(shape) * found.itemsize:
        raise DamagedError(
            "a pickled NumPy array has another size than its shape",
            expected=math.prod(shape) * found.itemsize,
            found=blob.nbytes,
        )
    if not fortran and not swapped:
        return Tensor(found, shape, blob)
    return Tensor(found, shape, reordered(blob, found, shape, fortran, swapped))


def reordered(blob: Any, kind: DType, shape: tuple[int, ...], fortran: bool, swapped: bool) -> Computed:
    """A blob in C order and little endian, from one that is not."""

    def bring() -> Any:
        import numpy as np

        stored = kind.numpy()
        found = np.frombuffer(blob.read(), stored.newbyteorder(">") if swapped else stored)
        found = found.reshape(shape, order="F" if fortran else "C")
        return np.ascontiguousarray(found.astype(stored)).reshape(-1).view(np.uint8)

    return Computed(blob.nbytes, bring, blob.place)


def _collection(kind: str) -> Maker:
    def make(args: tuple) -> Table:
        pairs = args[-1] if args and isinstance(args[-1], (list, dict)) else ()
        found = Table(kind)
        for pair in pairs.items() if isinstance(pairs, dict) else pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], (str, int)):
                raise DamagedError("a pickled dictionary that is none", found=type(pair).__name__)
            found[pair[0]] = pair[1]
        return found

    return make


def _instance(args: tuple) -> Any:
    """copy_reg's way to make an object: class, base and the base's state."""
    if not args or not isinstance(args[0], Global):
        raise DamagedError("a pickled object of no class", found=len(args))
    return args[0].make(())


def _plain(kind: type) -> Maker:
    def make(args: tuple) -> Any:
        if not args:
            return kind()
        if len(args) == 1 and isinstance(args[0], (list, tuple)) and len(args[0]) <= 1 << 20:
            if kind is set and not all(isinstance(v, (str, int, float, bool, type(None))) for v in args[0]):
                raise DamagedError("a pickled set with an element that is no plain value")
            return kind(args[0])
        raise DamagedError(f"a pickled {kind.__name__} that is none", found=len(args))

    return make


def _complex(args: tuple) -> Any:
    return Record("builtins.complex", args)


COMMON: Mapping[tuple[str, str], Maker] = {
    ("_codecs", "encode"): _bytes,
    ("copy_reg", "_reconstructor"): _instance,
    ("copyreg", "_reconstructor"): _instance,
    ("copyreg", "__newobj__"): _instance,
    ("collections", "OrderedDict"): _collection("collections.OrderedDict"),
    ("collections", "defaultdict"): _collection("collections.defaultdict"),
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): lambda args: Record("numpy.ndarray", args),
    **{
        (module, name): make
        for module in ("__builtin__", "builtins")
        for name, make in {
            "bytearray": _bytes,
            "bytes": _bytes,
            "complex": _complex,
            "dict": _collection("builtins.dict"),
            "list": _plain(list),
            "object": lambda _: Record("builtins.object"),
            "set": _plain(set),
            "tuple": _plain(tuple),
        }.items()
    },
    **{
        (module, name): make
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, make in {"scalar": _scalar, "_reconstruct": lambda _: ArrayValue()}.items()
    },
}
"""Makers by module and name."""
