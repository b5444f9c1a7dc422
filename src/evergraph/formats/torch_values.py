"""The closed table of what PyTorch's pickles may name: storages, tensors, parameters and a few plain values."""

import fnmatch
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from evergraph.errors import DamagedError, FormatError, UnsafeError, UsageError, collect, printable
from evergraph.formats.pickle_numpy import COMMON, ArrayValue
from evergraph.formats.pickle_values import Global, Record, Table, Unreadable
from evergraph.stores import human
from evergraph.tensors import DTYPES, Blob, Computed, DType, Tensor

__all__ = ["STORAGES", "Storage", "Values", "storage_class"]

STORAGES: Mapping[str, str] = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
_QUANTIZED = frozenset(("QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage"))
_QUANTIZED_TYPES = frozenset(("quint8", "qint8", "qint32", "quint4x2", "quint2x4"))
_TENSOR_MODULES = frozenset(("torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse"))
_SPARSE = {"_rebuild_sparse_tensor": "sparse", "_rebuild_sparse_csr_tensor": "sparse (compressed)"}
_OTHER = {
    "_rebuild_qtensor": "a quantized tensor",
    "_rebuild_nested_tensor": "a nested (jagged) tensor",
    "_rebuild_meta_tensor_no_storage": "a meta tensor, without values",
    "_rebuild_wrapper_subclass": "a tensor of a wrapping class",
    "_rebuild_device_tensor_from_numpy": "a tensor of another device, kept as a NumPy array",
    "_rebuild_device_tensor_from_cpu_tensor": "a tensor of another device",
    "_rebuild_xla_tensor": "a tensor of another device",
    "_rebuild_mlc_tensor": "a tensor of another device",
}
_SCHEMES = re.compile(r"(per_(tensor|channel)_\w+)|preserve_format|contiguous_format|channels_last(_3d)?|strided")

LARGE = 1 << 30
"""A few bytes may be expanded to any shape: above this, the shape must be in proportion to the storage."""


def storage_class(kind: DType) -> str:
    """PyTorch's name for storages of an element type; the untyped one where there is no other.

    >>> storage_class(DTYPES["int64"]), storage_class(DTYPES["uint16"])
    ('LongStorage', 'UntypedStorage')
    """
    return next((name for name, found in STORAGES.items() if found == kind), "UntypedStorage")


class Storage:
    """A run of elements that tensors look at.

    Args:
        kind: element type; "uint8" for untyped ones.
        nbytes: its size.
        part: gives the blob of a range of its bytes.
        device: where it was when it was saved.
        swapped: whether the bytes are big endian.
        place: where it is, for messages.
    """

    __slots__ = ("_found", "device", "kind", "nbytes", "part", "place", "swapped")

    def __init__(
        self, kind: DType, nbytes: int, part: Callable[[int, int], Blob], device: str, swapped: bool, place: str
    ) -> None:
        self.kind, self.nbytes, self.part = kind, nbytes, part
        self.device, self.swapped, self.place = device, swapped, place
        self._found: dict[tuple[Any, ...], Tensor] = {}

    def tensor(self, kind: DType, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        """The tensor of this shape, one object for each however often it is asked for: that makes aliases visible.

        Raises:
            DamagedError: it reaches beyond the storage.
            UnsafeError: it is expanded out of proportion.
        """
        key = (kind, offset, shape, strides)
        if key not in self._found:
            self._found[key] = self._tensor(kind, offset, shape, strides)
        return self._found[key]

    def _tensor(self, kind: DType, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
        count, size = math.prod(shape), kind.itemsize
        last = offset + sum((d - 1) * s for d, s in zip(shape, strides, strict=True)) if count else offset - 1
        if (last + 1) * size > self.nbytes:
            raise DamagedError(
                "a tensor reaches beyond its storage",
                where=self.place,
                expected=f"at most {self.nbytes} bytes",
                found=f"shape {shape}, strides {strides} from element {offset}: {(last + 1) * size} bytes",
                fix="the file is cut short or damaged: fetch it again",
            )
        if count * size > max(LARGE, 1000 * self.nbytes):
            raise UnsafeError(
                "a tensor is expanded out of proportion to its storage",
                where=self.place,
                expected=f"at most 1000 times {human(self.nbytes)}",
                found=f"shape {shape}: {human(count * size)}",
            )
        if not count:
            return Tensor(kind, shape, self.part(0, 0))
        reach = self.part(offset * size, (last + 1 - offset) * size)
        if strides == _contiguous(shape) or _same_order(shape, strides):
            return Tensor(kind, shape, _swap(reach, kind) if self.swapped else reach)
        blob = Computed(count * size, lambda: _gather(reach, kind, shape, strides, self.swapped), reach.place)
        return Tensor(kind, shape, blob)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _same_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements lie in order: the stride of a dimension of size 1 does not matter."""
    return all(d == 1 or s == c for d, s, c in zip(shape, strides, _contiguous(shape), strict=True))


def _swap(blob: Blob, kind: DType) -> Computed:
    def bring() -> Any:
        import numpy as np

        return np.frombuffer(blob.read(), kind.numpy().newbyteorder(">")).astype(kind.numpy()).view(np.uint8)

    return Computed(blob.nbytes, bring, blob.place)


def _gather(blob: Blob, kind: DType, shape: tuple[int, ...], strides: tuple[int, ...], swapped: bool) -> Any:
    import numpy as np

    stored = kind.numpy().newbyteorder(">") if swapped else kind.numpy()
    flat = np.frombuffer(blob.read(), stored)
    # the caller has checked that the last element lies inside
    seen = np.lib.stride_tricks.as_strided(flat, shape, [s * kind.itemsize for s in strides], writeable=False)
    return np.ascontiguousarray(seen.astype(kind.numpy())).reshape(-1).view(np.uint8)


class Values:
    """Makers for the globals of one PyTorch file.

    Args:
        name: the file, for messages.
        inert: names or patterns of further classes to keep as records.
    """

    def __init__(self, name: str, inert: Any = ()) -> None:
        self._name = name
        self._inert = (inert,) if isinstance(inert, str) else inert
        if not isinstance(self._inert, (list, tuple, set, frozenset)) or any(type(n) is not str for n in self._inert):
            raise UsageError("inert takes a list of class names", found=repr(inert))

    def resolve(self, module: str, name: str) -> Callable[[tuple], Any] | None:
        """The maker for a global, or None where it is refused."""
        label = f"{module}.{name}"
        if module == "torch._utils":
            return self._rebuilding(name)
        if (module, name) in _MAKERS:
            return _MAKERS[module, name]
        if module in ("torch", "torch.cuda", "torch.storage") and (name in STORAGES or name in _QUANTIZED):
            return _refuse_call(label)
        if module == "torch" and (name in DTYPES or name in _QUANTIZED_TYPES or _SCHEMES.fullmatch(name)):
            return _refuse_call(label)
        if module in _TENSOR_MODULES and name.endswith("Tensor"):
            return _refuse_call(label)
        # classes of TorchScript's own compiler, whose objects hold parameters and submodules
        if module.startswith("__torch__") or any(fnmatch.fnmatchcase(label, p) for p in self._inert):
            return lambda args: Record(label, args)
        return COMMON.get((module, name))

    def _rebuilding(self, name: str) -> Callable[[tuple], Any] | None:
        if name in _SPARSE:
            return lambda _: Unreadable(f"{_SPARSE[name]} tensors of PyTorch are not read")
        if name in _OTHER:
            return lambda _: Unreadable(f"{_OTHER[name]} cannot be read")
        makers = {
            "_rebuild_tensor": self._tensor,
            "_rebuild_tensor_v2": self._tensor,
            "_rebuild_tensor_v3": self._tensor_of_type,
            "_rebuild_parameter": self._parameter,
            "_rebuild_parameter_with_state": self._parameter,
        }
        return makers.get(name)

    def _tensor(self, args: tuple) -> Any:
        return self._view(args, None)

    def _tensor_of_type(self, args: tuple) -> Any:
        named = args[6] if len(args) > 6 else None
        kind = named.name.removeprefix("torch.") if isinstance(named, Global) else ""
        if kind not in DTYPES:
            return Unreadable(f"tensors of {printable(kind or 'an unknown type')} cannot be read")
        return self._view((*args[:6], *args[7:]), DTYPES[kind])

    def _view(self, args: tuple, kind: DType | None) -> Any:
        if len(args) > 0 and isinstance(args[0], Unreadable):
            return args[0]
        if len(args) < 4 or not isinstance(args[0], Storage):
            raise DamagedError("a tensor without a storage", where=self._name)
        storage, offset, shape, strides = args[0], args[1], _sizes(args[2]), _sizes(args[3])
        whole = (offset, *(shape or ()), *(strides or ()))
        if shape is None or strides is None or len(shape) != len(strides) or any(type(v) is not int for v in whole):
            raise DamagedError("a tensor whose shape is none", where=self._name, found=printable(args[1:4]))
        if any(v < 0 for v in whole) or len(shape) > 64:
            raise DamagedError("a tensor with an impossible shape", where=self._name, found=printable(args[1:4]))
        found = storage.tensor(kind or storage.kind, offset, shape, strides)
        flags = args[6] if len(args) > 6 and isinstance(args[6], dict) else {}
        changes = [k for k in ("conj", "neg") if flags.get(k)]
        details = {"requires_grad": True} if len(args) > 4 and args[4] is True else {}
        details |= {"device": storage.device} if storage.device != "cpu" else {}
        if not changes and not details:
            return found
        blob = _changed(found, changes) if changes else found.blob
        return found.replace(blob=blob, details={"torch": details} if details else {})

    def _parameter(self, args: tuple) -> Any:
        if len(args) == 0 or not isinstance(args[0], (Tensor, Unreadable)):
            raise DamagedError("a parameter without a tensor", where=self._name)
        if isinstance(args[0], Unreadable):
            return args[0]
        wants = len(args) < 2 or args[1] is not False
        details = dict(args[0].details.get("torch", {})) | {"parameter": True, "requires_grad": wants}
        return args[0].replace(details={"torch": details})

    def settled(self, value: Any) -> Any:
        """The value with tensors in place of arrays that carried their state, and of storages."""
        return _settled(value, set(), 0)


def _settled(value: Any, seen: set[int], depth: int) -> Any:
    if isinstance(value, ArrayValue):
        if value.tensor is None:
            raise DamagedError("a pickled array without its content")
        return value.tensor
    if isinstance(value, Storage):
        return value.tensor(value.kind, 0, (value.nbytes // value.kind.itemsize,), (1,))
    if not isinstance(value, (dict, list, tuple, Record)) or depth > 200 or id(value) in seen:
        return value
    if isinstance(value, tuple):
        return tuple(_settled(v, seen, depth + 1) for v in value) if depth < 100 else value
    seen.add(id(value))
    if isinstance(value, dict):
        for key in value:
            value[key] = _settled(value[key], seen, depth + 1)
        if isinstance(value, Table):
            value.state = _settled(value.state, seen, depth + 1)
    elif isinstance(value, list):
        value[:] = [_settled(v, seen, depth + 1) for v in value]
    else:
        value.args = _settled(value.args, seen, depth + 1)
        value.state = _settled(value.state, seen, depth + 1)
    return value


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Record) and value.kind == "torch.Size":
        value = value.args[0] if value.args else ()
    return tuple(value) if isinstance(value, (tuple, list)) else None


def _changed(tensor: Tensor, changes: list[str]) -> Computed:
    """The values of a tensor that is kept as the conjugate or the negative of what its storage holds."""

    def bring() -> Any:
        import numpy as np

        found = tensor.numpy()
        found = np.conj(found) if "conj" in changes else found
        found = -found if "neg" in changes else found
        return np.ascontiguousarray(found).reshape(-1).view(np.uint8)

    return Computed(tensor.blob.nbytes, bring, tensor.blob.place)


def _refuse_call(label: str) -> Callable[[tuple], Any]:
    def refuse(_: tuple) -> Any:
        raise DamagedError("a pickle makes an object in a way that PyTorch does not", found=printable(label))

    return refuse


def _from_type(args: tuple) -> Any:
    """A tensor of a class of its own, or with attributes: the maker, the class, its arguments, the attributes."""
    if len(args) < 3 or not isinstance(args[0], Global) or not isinstance(args[2], tuple):
        raise DamagedError("a tensor with attributes that is none", found=len(args))
    return args[0].make(args[2])


_MAKERS: Mapping[tuple[str, str], Callable[[tuple], Any]] = {
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch", "Size"): lambda args: Record("torch.Size", args),
    ("torch", "device"): lambda args: Record("torch.device", args),
    ("torch.serialization", "_get_layout"): lambda args: Record("torch.serialization._get_layout", args),
    ("torch.nn.parameter", "Parameter"): lambda args: args[0] if args else Unreadable("a parameter without a tensor"),
    ("collections", "Counter"): lambda args: Table(
        "collections.Counter", args[0] if args and isinstance(args[0], dict) else ()
    ),
}


def require_readable(unreadable: Iterator[str] | list[str], name: str) -> None:
    """Raise FormatError listing every entry that cannot be read."""
    collect(
        FormatError,
        "entries of the file cannot be read as tensors",
        unreadable,
        where=name,
        fix="convert them to dense, unquantized tensors with PyTorch (.to_dense(), .dequantize()) and save again",
    )
