"""`save_checkpoint` and `load_checkpoint`: MindSpore's files, saved at one instant and read lazily."""

import atexit
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, UsageError, collect, printable
from evergraph.formats import by_name
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor
from evergraph.saving import save
from evergraph.stores import exists, locate, open_source
from evergraph.tensors import TEXT
from evergraph.tensors import Tensor as Stored

__all__ = [
    "async_ckpt_thread_status",
    "ckpt_to_safetensors",
    "load_checkpoint",
    "load_checkpoint_async",
    "safetensors_to_ckpt",
    "save_checkpoint",
]

_FORMATS = {"ckpt": "mindspore-ckpt", "safetensors": "safetensors"}
_MODES = ("AES-GCM", "AES-CBC", "SM4-CBC")


class _TypeError(UsageError, TypeError):
    """An argument of another kind."""


class _ValueError(UsageError, ValueError):
    """An argument that is not one of those that there are, or a file that cannot be loaded."""


class _FolderError(UsageError, IsADirectoryError):
    """A folder where a file is meant."""


class _MissingFolderError(UsageError, FileNotFoundError):
    """A folder that is not there."""


# ---- saving


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
        async_save: True, "thread" or "process": the values are copied before the call returns, and saved behind it.
        append_dict: further values: numbers, truth values, texts, Parameters.
        enc_key: key to encrypt with.
        enc_mode: "AES-GCM", "AES-CBC" or "SM4-CBC".
        choice_func: name -> whether it is saved; `append_dict` is saved whatever it says.
        crc_check: whether the file ends with a checksum.
        format: "ckpt" or "safetensors".
        kwargs: `incremental`, `global_step_num`, `remove_redundancy`, as in MindSpore.

    Raises:
        TypeError, ValueError: arguments that MindSpore refuses.
        MXNetError: an earlier save behind a call failed.
    """
    _PENDING.raise_error()
    path = _target(save_obj, ckpt_file_name, format)
    _check_options(integrated_save, async_save, append_dict, enc_key, enc_mode, crc_check, format, kwargs)
    entries = _entries(save_obj, choice_func)
    entries += [(k, _appended(v)) for k, v in (append_dict or {}).items()]
    counts = Counter(k for k, _ in entries)
    twice = [printable(k) for k, n in counts.items() if n > 1]
    collect(_ValueError, "names stand twice, and a file holds each once", twice)
    behind = bool(async_save)
    tensors = {k: _stored(v, behind) for k, v in entries}
    options: dict[str, Any] = {"carry": False}
    if format == "ckpt":
        options |= {"crc_check": crc_check, "read_only": True}
        options |= {"enc_key": enc_key, "enc_mode": enc_mode} if enc_key is not None else {}
    else:
        options |= {"dialect": "ms", "crc_check": crc_check}

    def write() -> None:
        save(Checkpoint(tensors), path, to=_FORMATS[format], **options)
        if format == "safetensors" and locate(path).is_local:
            os.chmod(path, 0o400)  # as MindSpore leaves its files

    if behind:
        _PENDING.start(write)
    else:
        write()


def _target(save_obj: Any, name: Any, format: Any) -> str:
    from evergraph.mindspore.nn import Cell

    who = "For 'save_checkpoint', "
    if format not in _FORMATS:
        raise _ValueError(f"{who}the format must be 'safetensors' or 'ckpt'", found=printable(str(format)))
    if not isinstance(save_obj, (Cell, list, dict)):
        raise _TypeError(f"{who}the argument 'save_obj' must be nn.Cell, list or dict", found=type(save_obj).__name__)
    if not isinstance(name, str):
        raise _TypeError(f"{who}the argument 'ckpt_file_name' must be a string", found=type(name).__name__)
    path = name if "://" in name else os.path.realpath(name)
    if locate(path).is_local and os.path.isdir(path):
        raise _FolderError(f"{who}the argument 'ckpt_file_name' is a folder", where=printable(name))
    path = path if path.endswith(format) else f"{path}.{format}"
    folder = os.path.dirname(path)
    if locate(path).is_local and not os.path.isdir(folder):
        raise _MissingFolderError(f"{who}the folder is not there", where=printable(folder), fix="make it first")
    return path


def _check_options(
    integrated_save: Any,
    async_save: Any,
    append_dict: Any,
    enc_key: Any,
    enc_mode: Any,
    crc_check: Any,
    format: str,
    kwargs: Mapping[str, Any],
) -> None:
    if not isinstance(integrated_save, bool):
        raise _TypeError(
            "The input value must be a bool", where="integrated_save", found=type(integrated_save).__name__
        )
    if not isinstance(async_save, (bool, str)):
        raise _TypeError("'async_save' must be a bool or a text", found=type(async_save).__name__)
    if isinstance(async_save, str) and async_save not in ("thread", "process"):
        raise _ValueError("'async_save' must be one of 'thread', 'process'", found=printable(async_save))
    if append_dict is not None and not isinstance(append_dict, dict):
        raise _TypeError("the argument 'append_dict' must be dict", found=type(append_dict).__name__)
    wrong = [
        f"{printable(str(k))}: {type(v).__name__}"
        for k, v in (append_dict or {}).items()
        if not isinstance(k, str) or not isinstance(v, (int, float, bool, str, Tensor))
    ]
    collect(_TypeError, "'append_dict' holds numbers, truth values, texts and Parameters by name", wrong)
    _isinstance("enc_key", enc_key, (bytes, type(None)))
    _isinstance("enc_mode", enc_mode, (str,))
    _isinstance("crc_check", crc_check, (bool,))
    _isinstance("remove_redundancy", kwargs.get("remove_redundancy"), (bool, type(None)))
    if enc_key is not None and enc_mode not in _MODES:
        raise _ValueError("there is no such 'enc_mode'", expected=", ".join(_MODES), found=printable(enc_mode))
    if format == "safetensors":
        odd = [n for n in ("incremental", "global_step_num") if kwargs.get(n)]
        odd += ["enc_key"] if enc_key is not None else []
        odd += ["enc_mode"] if enc_mode != "AES-GCM" else []
        collect(_ValueError, "safetensors files cannot have what these arguments ask for", odd)


def _isinstance(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        words = " or ".join("None" if k is type(None) else k.__name__ for k in kinds)
        raise _ValueError(
            f"The parameter {name!r} must be isinstance of {words}, but got {type(value).__name__}",
            found=printable(value),
        )


def _entries(save_obj: Any, choice: Callable[[str], Any] | None) -> list[tuple[str, Any]]:
    if isinstance(save_obj, dict):
        wrong = [printable(str(k)) for k in save_obj if not isinstance(k, str)]
        collect(_TypeError, "names are texts", wrong)
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
    collect(_TypeError, "only Parameters, Tensors, texts and NumPy arrays can be saved", wrong)
    return [(k, v) for k, v in entries if choice is None or choice(k)]


def _listed(rows: Sequence[Any]) -> list[tuple[str, Any]]:
    if rows and isinstance(rows[0], Parameter):
        wrong = [f"item {i}: {type(r).__name__}" for i, r in enumerate(rows) if not isinstance(r, Parameter)]
        collect(_TypeError, "a list of Parameters holds nothing else", wrong)
        return [(r.name, r) for r in rows]
    wrong = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or "name" not in row or "data" not in row:
            wrong.append(f'item {i}: {{"name": ..., "data": ...}} expected, {type(row).__name__} found')
        elif not isinstance(row["name"], str) or not isinstance(row["data"], Tensor):
            kinds = f"{type(row['name']).__name__}, {type(row['data']).__name__}"
            wrong.append(f"item {i}: a text and a Tensor expected, {kinds} found")
    collect(_TypeError, "items of the list are not what can be saved", wrong)
    return [(row["name"], row["data"]) for row in rows]


def _appended(value: Any) -> Any:
    return value if isinstance(value, (str, Tensor)) else Tensor(value)


def _stored(value: Any, copied: bool) -> Stored:
    if isinstance(value, Tensor):
        held = value._torch.detach().cpu()
        return Stored.of((held.clone() if copied else held).contiguous())
    if not isinstance(value, str) and copied:
        value = value.copy()
    return Stored.of(value)


class _Pending:
    """The save that goes on behind a call; its error is told at the next call, at the end, and by `wait`."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def alive(self) -> bool:
        """Whether a save is going on."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, write: Callable[[], None]) -> None:
        """Begin once the one before has ended."""
        self.wait()

        def run() -> None:
            try:
                write()
            except BaseException as error:  # noqa: BLE001 - told at the next call, and when the program ends
                self._error = error

        self._thread = threading.Thread(target=run, name="asyn_save_ckpt")
        self._thread.start()

    def wait(self) -> None:
        """Wait for the save, and raise its error."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.raise_error()

    def raise_error(self) -> None:
        """Raise what a save that has ended failed with."""
        if self._error is not None and not self.alive:
            error, self._error = self._error, None
            raise error


_PENDING = _Pending()
atexit.register(_PENDING.wait)


def async_ckpt_thread_status() -> bool:
    """Whether a save is going on behind a call."""
    return _PENDING.alive


# ---- loading


def load_checkpoint(
    ckpt_file_name: str,
    net: Any = None,
    strict_load: bool = False,
    filter_prefix: Any = None,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    specify_prefix: Any = None,
    choice_func: Callable[[str], Any] | None = None,
    crc_check: bool = False,
    remove_redundancy: bool = False,
    format: str = "ckpt",
) -> dict[str, Any]:
    """The Parameters of a file by name; texts as texts.

    Args:
        ckpt_file_name: the file, at any URI.
        net: a network that they are loaded into as well.
        strict_load: see `load_param_into_net`.
        filter_prefix: names that begin with one of these are left out.
        dec_key: key of an encrypted file.
        dec_mode: how it is encrypted.
        specify_prefix: only names that begin with one of these are loaded.
        choice_func: name -> whether it is loaded; not asked where a prefix is given.
        crc_check: whether the file's checksum is compared.
        remove_redundancy: see `load_param_into_net`.
        format: "ckpt" or "safetensors".

    Raises:
        ValueError: the file is not there, is damaged, or holds nothing that is asked for.
        TypeError: arguments of another kind.
    """
    _check_load(ckpt_file_name, dec_key, dec_mode, crc_check, remove_redundancy, format)
    without, only = _prefixes("filter_prefix", filter_prefix), _prefixes("specify_prefix", specify_prefix)
    found = _opened(ckpt_file_name, dec_key, crc_check, format)
    try:
        names = [n for n in found if _wanted(n, without, only, choice_func)]
    except EvergraphError:
        raise
    except Exception as error:
        raise _ValueError(
            f"{error}\nFor 'load_checkpoint', failed to load the checkpoint file", where=printable(ckpt_file_name)
        ) from error
    if not names:
        raise _ValueError(
            "The loaded parameter dict is empty after filter or specify",
            where=printable(ckpt_file_name),
            found=f"{len(found)} names in the file",
            fix="check whether filter_prefix or specify_prefix are set correctly",
        )
    loaded = {n: _value(n, found[n]) for n in names}
    if net is not None:
        from evergraph.mindspore.serialization.loading import load_param_into_net

        load_param_into_net(net, loaded, strict_load, remove_redundancy)
    return loaded


def _check_load(name: Any, dec_key: Any, dec_mode: Any, crc: Any, redundancy: Any, format: Any) -> None:
    who = "For 'load_checkpoint', "
    if format not in _FORMATS:
        raise _ValueError(f"{who}the format must be 'safetensors' or 'ckpt'", found=printable(str(format)))
    if not isinstance(name, str):
        raise _TypeError(f"{who}the argument 'ckpt_file_name' must be a string", found=type(name).__name__)
    _isinstance("dec_key", dec_key, (bytes, type(None)))
    _isinstance("dec_mode", dec_mode, (str,))
    _isinstance("crc_check", crc, (bool,))
    _isinstance("remove_redundancy", redundancy, (bool,))
    if not name.endswith(format):
        raise _ValueError(
            f"{who}the checkpoint file's format must be the same with 'format', {format}", where=printable(name)
        )
    if format == "safetensors" and (dec_key is not None or dec_mode != "AES-GCM"):
        raise _ValueError(f"{who}safetensors files are not encrypted", where="dec_key, dec_mode")
    if not exists(name) and not (locate(name).is_local and os.path.isdir(name)):
        raise _ValueError(f"{who}the checkpoint file does not exist", where=printable(name), fix="check the path")


def _opened(name: str, dec_key: bytes | None, crc: bool, format: str) -> Checkpoint:
    options: dict[str, Any] = {"crc_check": True} if crc else {}
    options |= {"dec_key": dec_key} if dec_key is not None else {}
    try:
        source = open_source(name)
        return by_name(_FORMATS[format]).read(source, **options)
    except EvergraphError as error:
        raise _ValueError(
            f"For 'load_checkpoint', the checkpoint file cannot be loaded: {error.what}",
            where=error.where or printable(name),
            expected=error.expected,
            found=error.found,
            fix=error.fix,
            details=error.details,
        ) from error


def _prefixes(name: str, value: Any) -> list[str] | None:
    if value is None:
        return None
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or any(not isinstance(v, str) for v in found):
        raise _TypeError(f"For 'load_checkpoint', the argument {name!r} holds texts", found=type(value).__name__)
    if not found or "" in found:
        raise _ValueError(f"For 'load_checkpoint', the argument {name!r} is empty, or holds an empty text")
    return list(found)


def _wanted(name: str, without: list[str] | None, only: list[str] | None, choice: Callable[[str], Any] | None) -> bool:
    if without is None and only is None:
        return choice is None or bool(choice(name))
    if only is not None and not name.startswith(tuple(only)):
        return False
    return without is None or not name.startswith(tuple(without))


def _value(name: str, stored: Stored) -> Any:
    if stored.storage == TEXT:
        return str(stored)
    if stored.parts:
        return [Tensor(part.torch().clone()) for part in stored.parts.values()]
    # the file's memory is read-only; parameters are trained
    return Parameter(Tensor(stored.torch().clone()), name=name.strip() or None)


_POOL = ThreadPoolExecutor(2, "evergraph-load")


def load_checkpoint_async(
    ckpt_file_name: str,
    net: Any = None,
    strict_load: bool = False,
    filter_prefix: Any = None,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    specify_prefix: Any = None,
    choice_func: Callable[[str], Any] | None = None,
) -> Future[dict[str, Any]]:
    """As `load_checkpoint`, in a thread: `.result()` gives the dictionary, or raises."""
    format = "safetensors" if str(ckpt_file_name).endswith(".safetensors") else "ckpt"
    return _POOL.submit(
        load_checkpoint,
        ckpt_file_name,
        net,
        strict_load,
        filter_prefix,
        dec_key,
        dec_mode,
        specify_prefix,
        choice_func,
        format=format,
    )


# ---- conversions


def ckpt_to_safetensors(
    file_path: str,
    save_path: str | None = None,
    name_map: Mapping[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,  # noqa: ARG001 - MindSpore's signature
) -> None:
    """A `.ckpt` file, or those below the `rank_*` folders of a folder, as safetensors files.

    Args:
        file_path: the file, or the folder.
        save_path: folder of the results; beside the sources where not given.
        name_map: old name -> new name.
        file_name_regex: which files of a folder.
        processes_num: kept for MindSpore's signature.

    Raises:
        ValueError: a path that does not fit; texts, which safetensors files cannot hold.
    """
    _convert(file_path, save_path, name_map, file_name_regex, "ckpt", "safetensors")


def safetensors_to_ckpt(
    file_path: str,
    save_path: str | None = None,
    name_map: Mapping[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,  # noqa: ARG001 - MindSpore's signature
) -> None:
    """A safetensors file, or those of a folder, as `.ckpt` files; see `ckpt_to_safetensors`."""
    _convert(file_path, save_path, name_map, file_name_regex, "safetensors", "ckpt")


def _convert(path: Any, folder: Any, name_map: Any, pattern: Any, old: str, new: str) -> None:
    import re

    if name_map is not None and not isinstance(name_map, Mapping):
        raise _ValueError("name_map is a dictionary from old names to new ones", found=type(name_map).__name__)
    if folder is not None and os.path.splitext(folder)[1]:
        raise _ValueError("save_path is a folder", found=printable(str(folder)))
    if not isinstance(path, str) or not os.path.exists(path):
        raise _ValueError("file_path is not there", where=printable(str(path)))
    if os.path.isfile(path):
        if not path.endswith(f".{old}") or (pattern and not re.findall(pattern, path)):
            raise _ValueError(f"file_path is no .{old} file that fits", where=printable(path))
        sources = [(path, folder or os.path.dirname(path) or ".")]
    else:
        ranks = sorted(e.name for e in os.scandir(path) if e.is_dir() and e.name.startswith("rank"))
        if not ranks:
            raise _ValueError("no folder in it has a name that begins with rank", where=printable(path))
        files = [(r, f) for r in ranks for f in sorted(os.listdir(os.path.join(path, r))) if f.endswith(f".{old}")]
        chosen = [(r, f) for r, f in files if not pattern or re.search(pattern, f)]
        sources = [(os.path.join(path, r, f), os.path.join(folder or path, r)) for r, f in chosen]
    for source, target in sources:
        Path(target).mkdir(parents=True, exist_ok=True)
        loaded = load_checkpoint(source, format=old)
        named = {(name_map or {}).get(k, k): v for k, v in loaded.items()}
        name = os.path.basename(source)[: -len(old)] + new
        save_checkpoint(named, os.path.join(target, name), format=new)
