"""`save_checkpoint`: MindSpore's files to the byte, saved at one instant."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evergraph.checkpoint import Checkpoint
from evergraph.errors import collect, printable
from evergraph.formats.mindspore_encryption import MODES
from evergraph.formats.mindspore_records import OWN
from evergraph.formats.mindspore_writer import SLICE, cut
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.serialization.behind import PENDING
from evergraph.mindspore.serialization.problems import (
    FORMATS,
    FolderError,
    MissingFolderError,
    WrongTypeError,
    WrongValueError,
    require_instance,
)
from evergraph.mindspore.serialization.stored import StoredParameter
from evergraph.saving import save
from evergraph.stores import locate
from evergraph.tensors import DTYPES, Held
from evergraph.tensors import Tensor as Stored

__all__ = ["save_checkpoint"]

_WHO = "For 'save_checkpoint', "
_FURTHER = ("incremental", "global_step_num", "remove_redundancy")
_READ_ONLY = 0o400


def save_checkpoint(
    save_obj: Any,
    ckpt_file_name: str,
    integrated_save: bool = True,
    async_save: Any = False,
    append_dict: Mapping[str, Any] | None = None,
    enc_key: bytes | None = None,
    enc_mode: str = "AES-GCM",
    choice_func: Callable[[str], Any] | None = None,
    crc_check: bool = False,
    format: str = "ckpt",
    **kwargs: Any,
) -> None:
    """Save a network or parameters; whatever fails, the old file stays.

    Args:
        save_obj: a Cell; a list of Parameters, or of `{"name": ..., "data": ...}`; or a dictionary by name.
        ckpt_file_name: the file; `.ckpt` is appended where it does not end so.
        integrated_save: kept for MindSpore's signature: there is one device.
        async_save: True, "thread" or "process": the values are copied before the call returns, and saved behind it
            by a thread.
        append_dict: further values: numbers, truth values, texts, Parameters.
        enc_key: key to encrypt with.
        enc_mode: "AES-GCM", "AES-CBC" or "SM4-CBC".
        choice_func: name -> whether it is saved; `append_dict` is saved whatever it says.
        crc_check: whether the file ends with a checksum.
        format: "ckpt" or "safetensors".
        kwargs: `remove_redundancy`, which safetensors files note; `incremental` and `global_step_num`, which concern
            hash maps on servers alone, and no other content.

    Warns:
        UserWarning: names that stand twice (the first one's place and the last one's value are saved), shapes that
            MindSpore will not read back, arguments that nothing takes.

    Raises:
        TypeError, ValueError: arguments that MindSpore refuses.
        StoreError: the file cannot be written; or what an earlier save behind a call failed with.
    """
    PENDING.raise_error()
    path = _target(save_obj, ckpt_file_name, format)
    _check_kinds(integrated_save, async_save, append_dict)
    _check_encryption(enc_key, enc_mode, crc_check, format, kwargs)
    entries = _entries(save_obj, choice_func)
    entries += [(k, _appended(v)) for k, v in (append_dict or {}).items()]
    _warn(entries, format, kwargs)
    behind = bool(async_save)
    tensors = {k: _stored(v, behind) for k, v in dict(entries).items()}
    options: dict[str, Any] = {"carry": False}
    if format == "ckpt":
        options |= {"crc_check": crc_check, "read_only": True} | ({"slices": "rows"} if behind else {})
        options |= {"enc_key": enc_key, "enc_mode": enc_mode} if enc_key is not None else {}
    else:
        options |= {"dialect": "ms", "crc_check": crc_check, "remove_redundancy": kwargs.get("remove_redundancy")}

    def write() -> None:
        save(Checkpoint(tensors), path, to=FORMATS[format], **options)
        if format == "safetensors" and locate(path).is_local:
            os.chmod(path, _READ_ONLY)  # as MindSpore leaves its files

    if behind:
        PENDING.start(write)
    else:
        write()


def _target(save_obj: Any, name: Any, format: Any) -> str:
    from evergraph.mindspore.nn import Cell

    if format not in FORMATS:
        raise WrongValueError(f"{_WHO}the format must be 'safetensors' or 'ckpt'", found=printable(str(format)))
    if not isinstance(save_obj, (Cell, list, dict)):
        found = type(save_obj).__name__
        raise WrongTypeError(f"{_WHO}the argument 'save_obj' must be nn.Cell, list or dict", found=found)
    if not isinstance(name, str):
        raise WrongTypeError(f"{_WHO}the argument 'ckpt_file_name' must be a string", found=type(name).__name__)
    path = name if "://" in name else os.path.realpath(name)
    if locate(path).is_local and os.path.isdir(path):
        raise FolderError(f"{_WHO}the argument 'ckpt_file_name' is a folder", where=printable(name))
    path = path if path.endswith(format) else f"{path}.{format}"
    folder = os.path.dirname(path)
    if locate(path).is_local and not os.path.isdir(folder):
        raise MissingFolderError(f"{_WHO}the folder is not there", where=printable(folder), fix="make it first")
    return path


def _check_kinds(integrated_save: Any, async_save: Any, append_dict: Any) -> None:
    if not isinstance(integrated_save, bool):
        raise WrongTypeError(
            "The input value must be a bool", where="integrated_save", found=type(integrated_save).__name__
        )
    if not isinstance(async_save, (bool, str)):
        raise WrongTypeError("'async_save' must be a bool or a text", found=type(async_save).__name__)
    if isinstance(async_save, str) and async_save not in ("thread", "process"):
        raise WrongValueError("'async_save' must be one of 'thread', 'process'", found=printable(async_save))
    if append_dict is not None and not isinstance(append_dict, dict):
        raise WrongTypeError("the argument 'append_dict' must be dict", found=type(append_dict).__name__)
    wrong = [
        f"{printable(str(k))}: {type(v).__name__}"
        for k, v in (append_dict or {}).items()
        if not isinstance(k, str) or not isinstance(v, (int, float, bool, str, Tensor))
    ]
    collect(WrongTypeError, "'append_dict' holds numbers, truth values, texts and Parameters by name", wrong)


def _check_encryption(enc_key: Any, enc_mode: Any, crc_check: Any, format: str, kwargs: Mapping[str, Any]) -> None:
    require_instance("enc_key", enc_key, (bytes, type(None)))
    require_instance("enc_mode", enc_mode, (str,))
    require_instance("crc_check", crc_check, (bool,))
    require_instance("remove_redundancy", kwargs.get("remove_redundancy"), (bool, type(None)))
    if format == "safetensors":
        odd = [n for n in ("incremental", "global_step_num") if kwargs.get(n)]
        odd += ["enc_key"] if enc_key is not None else []
        odd += ["enc_mode"] if enc_mode != "AES-GCM" else []
        collect(WrongValueError, "safetensors files cannot have what these arguments ask for", odd)
    if enc_key is None:
        return
    if enc_mode not in MODES:
        raise WrongValueError("there is no such 'enc_mode'", expected=", ".join(MODES), found=printable(enc_mode))
    sizes = MODES[enc_mode].key_sizes
    if len(enc_key) not in sizes:
        raise WrongValueError(
            f"'enc_key' does not fit {enc_mode}",
            expected=f"{' or '.join(map(str, sizes))} bytes",
            found=f"{len(enc_key)} bytes",
        )
    if crc_check:
        raise WrongValueError(
            f"{_WHO}'crc_check' and 'enc_key' exclude each other",
            fix="AES-GCM notices every change by itself; MindSpore writes such a file and cannot read it",
        )


def _entries(save_obj: Any, choice: Callable[[str], Any] | None) -> list[tuple[str, Any]]:
    if isinstance(save_obj, dict):
        wrong = [printable(str(k)) for k in save_obj if not isinstance(k, str)]
        collect(WrongTypeError, "names are texts", wrong)
        entries = list(save_obj.items())
    elif isinstance(save_obj, list):
        entries = _listed(save_obj)
    else:
        entries = [(p.name, p) for p in save_obj.get_parameters()]
    wrong = [
        f"{printable(k)}: {type(v).__name__}"
        for k, v in entries
        if not isinstance(v, (Tensor, str)) and type(v).__module__.split(".")[0] != "numpy"
    ]
    collect(WrongTypeError, "only Parameters, Tensors, texts and NumPy arrays can be saved", wrong)
    return [(k, v) for k, v in entries if choice is None or choice(k)]


def _listed(rows: Sequence[Any]) -> list[tuple[str, Any]]:
    if rows and isinstance(rows[0], Parameter):
        wrong = [f"item {i}: {type(r).__name__}" for i, r in enumerate(rows) if not isinstance(r, Parameter)]
        collect(WrongTypeError, "a list of Parameters holds nothing else", wrong)
        return [(r.name, r) for r in rows]
    wrong = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or "name" not in row or "data" not in row:
            wrong.append(f'item {i}: {{"name": ..., "data": ...}} expected, {type(row).__name__} found')
        elif not isinstance(row["name"], str) or not isinstance(row["data"], Tensor):
            kinds = f"{type(row['name']).__name__}, {type(row['data']).__name__}"
            wrong.append(f"item {i}: a text and a Tensor expected, {kinds} found")
    collect(WrongTypeError, "items of the list are not what can be saved", wrong)
    return [(row["name"], row["data"]) for row in rows]


def _appended(value: Any) -> Any:
    return value if isinstance(value, (str, Tensor)) else Tensor(value)


def _warn(entries: Sequence[tuple[str, Any]], format: str, kwargs: Mapping[str, Any]) -> None:
    """Say what is saved in another way than it was given."""
    unknown = [n for n in kwargs if n not in _FURTHER]
    twice = [printable(k) for k, n in Counter(k for k, _ in entries).items() if n > 1]
    lost = [printable(k) for k, v in entries if format == "ckpt" and getattr(v, "shape", None) == (0,)]
    said = [
        ("no such arguments, nothing is done with them", unknown),
        ("names stand twice: saved once, in the first one's place, with the last one's value", twice),
        ("shape (0,), which MindSpore reads back as a scalar without a value", lost),
    ]
    for what, names in said:
        if names:
            shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            warnings.warn(f"save_checkpoint: {what}: {shown}", UserWarning, stacklevel=3)


def _stored(value: Any, copied: bool) -> Stored:
    if isinstance(value, StoredParameter) and (waiting := value.stored) is not None:
        return waiting.replace(details={})  # from file to file: nobody has changed what nobody has read
    if isinstance(value, Tensor):
        return _of_torch(value._torch.detach(), copied)
    if not isinstance(value, str) and copied:
        value = value.copy()
    found = Stored.of(value)
    if isinstance(value, str) or found.blob.nbytes <= SLICE:
        return found
    # MindSpore cuts large arrays of NumPy between rows, its own Tensors at equal bytes
    return found.replace(details={OWN: {"pieces": tuple(cut(found.blob.nbytes, found.shape or (), "rows", SLICE))}})


def _of_torch(value: torch.Tensor, copied: bool) -> Stored:
    kind = _PLAIN.get(value.dtype)
    if kind is not None and value.is_cpu and value.is_contiguous() and value.numel():
        # thousands of small tensors: few calls for each
        array = value.numpy()
        return Stored(kind, array.shape, Held((array.copy() if copied else array).reshape(-1).view("u1")))
    held = value.cpu().contiguous().resolve_conj().resolve_neg()
    return Stored.of(held.clone() if copied else held)


_PLAIN = {
    getattr(torch, name): DTYPES[name]
    for name in ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
"""Types that NumPy has as well."""
