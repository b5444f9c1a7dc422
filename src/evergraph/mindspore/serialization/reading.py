"""`load_checkpoint`: the table of a file at once, and each value when it is first used."""

import io
import os
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, IntegrityError, printable
from evergraph.formats import by_name
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import fresh, wrap
from evergraph.mindspore.serialization.loading import load_param_into_net
from evergraph.mindspore.serialization.problems import FORMATS, WrongTypeError, WrongValueError, require_instance
from evergraph.mindspore.serialization.stored import StoredParameter, may_wait, read
from evergraph.stores import BytesSource, Source, exists, locate, open_source
from evergraph.tensors import TEXT
from evergraph.tensors import Tensor as Stored
from evergraph.tensors.memory import Arena

__all__ = ["load_checkpoint", "load_checkpoint_async", "load_segmented_checkpoints", "opened"]

_WHO = "For 'load_checkpoint', "


def load_checkpoint(
    ckpt_file_name: str | io.BytesIO,
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

    Names, shapes and types are there at once, and the whole file is checked for its structure. Values of a local file
    are read when they are first used, into memory of their own: the file is never written to, and may be replaced
    or deleted meanwhile.

    Args:
        ckpt_file_name: the file, at any URI; of safetensors the content, too.
        net: a network that they are loaded into as well.
        strict_load: see `load_param_into_net`.
        filter_prefix: names that begin with one of these are left out; not of safetensors, as in MindSpore.
        dec_key: key of an encrypted file.
        dec_mode: how it is encrypted.
        specify_prefix: only names that begin with one of these are loaded; not of safetensors, as in MindSpore.
        choice_func: name -> whether it is loaded; not asked where a prefix is given.
        crc_check: whether the file's checksum is compared, where it has one.
        remove_redundancy: see `load_param_into_net`.
        format: "ckpt" or "safetensors", whose names are sorted.

    Warns:
        UserWarning: the file has no checksum to compare; prefixes are given with safetensors.

    Raises:
        ValueError: the file is not there, is damaged, or holds nothing that is asked for.
        TypeError: arguments of another kind.
    """
    _check(ckpt_file_name, dec_key, dec_mode, crc_check, remove_redundancy, format)
    without, only = _prefixes("filter_prefix", filter_prefix), _prefixes("specify_prefix", specify_prefix)
    found, source = opened(ckpt_file_name, dec_key, dec_mode, crc_check, format)
    if format == "safetensors" and (without is not None or only is not None):
        warnings.warn(f"{_WHO}prefixes choose nothing in safetensors files: give choice_func", stacklevel=2)
        without = only = None
    try:
        names = [n for n in found if _wanted(n, without, only, choice_func)]
    except EvergraphError:
        raise
    except Exception as error:
        if format == "safetensors":  # as it is, as in MindSpore
            raise
        raise WrongValueError(
            f"{error}\nFor 'load_checkpoint', failed to load the checkpoint file", where=printable(str(ckpt_file_name))
        ) from error
    if not names:
        raise WrongValueError(
            "The loaded parameter dict is empty after filter or specify",
            where=printable(str(ckpt_file_name)),
            found=f"{len(found)} names in the file",
            fix="check whether filter_prefix or specify_prefix are set correctly",
        )
    waits = dec_key is None and may_wait(source)
    arena = Arena()
    loaded = {n: _value(n, found[n], waits, arena) for n in (sorted(names) if format == "safetensors" else names)}
    if net is not None:
        load_param_into_net(net, loaded, strict_load, remove_redundancy)
    return loaded


def _check(name: Any, dec_key: Any, dec_mode: Any, crc: Any, redundancy: Any, format: Any) -> None:
    if format not in FORMATS:
        raise WrongValueError(f"{_WHO}the format must be 'safetensors' or 'ckpt'", found=printable(str(format)))
    within: Any = isinstance(name, io.BytesIO) and format == "safetensors"
    if not isinstance(name, str) and not within:
        fix = "give safetensors as BytesIO, or the name of a file" if isinstance(name, io.BytesIO) else None
        found = type(name).__name__
        raise WrongTypeError(f"{_WHO}the argument 'ckpt_file_name' must be a string", found=found, fix=fix)
    require_instance("dec_key", dec_key, (bytes, type(None)))
    require_instance("dec_mode", dec_mode, (str,))
    require_instance("crc_check", crc, (bool,))
    require_instance("remove_redundancy", redundancy, (bool,))
    if isinstance(name, str) and not name.endswith(format):
        raise WrongValueError(
            f"{_WHO}the checkpoint file's format must be the same with 'format', {format}", where=printable(name)
        )
    if format == "safetensors" and (dec_key is not None or dec_mode != "AES-GCM"):
        raise WrongValueError(f"{_WHO}safetensors files are not encrypted", where="dec_key, dec_mode")
    if isinstance(name, str) and not exists(name) and not (locate(name).is_local and os.path.isdir(name)):
        raise WrongValueError(f"{_WHO}the checkpoint file does not exist", where=printable(name), fix="check the path")


def opened(
    name: str | io.BytesIO, dec_key: bytes | None, dec_mode: str, crc: bool, format: str
) -> tuple[Checkpoint, Source]:
    """A file's table, and where its bytes are.

    Raises:
        WrongValueError: whatever is wrong with it.
    """
    options: dict[str, Any] = {"crc_check": True} if crc else {}
    options |= {"dec_key": dec_key, "dec_mode": dec_mode} if dec_key is not None else {}
    try:
        source = open_source(name) if isinstance(name, str) else BytesSource(name.getvalue(), "BytesIO")
        try:
            return by_name(FORMATS[format]).read(source, **options), source
        except IntegrityError as error:
            if "no checksum" not in error.what:
                raise
            warnings.warn(f"{_WHO}{error.what}: {printable(source.name)}", stacklevel=3)
            return by_name(FORMATS[format]).read(source, **options | {"crc_check": False}), source
    except EvergraphError as error:
        raise WrongValueError(
            f"For 'load_checkpoint', the checkpoint file cannot be loaded: {error.what}",
            where=error.where or printable(str(name)),
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
        raise WrongTypeError(f"{_WHO}the argument {name!r} holds texts", found=type(value).__name__)
    if not found or "" in found:
        raise WrongValueError(f"{_WHO}the argument {name!r} is empty, or holds an empty text")
    return list(found)


def _wanted(name: str, without: list[str] | None, only: list[str] | None, choice: Callable[[str], Any] | None) -> bool:
    if without is None and only is None:
        return choice is None or bool(choice(name))
    if only is not None and not name.startswith(tuple(only)):
        return False
    return without is None or not name.startswith(tuple(without))


def _value(name: str, stored: Stored, waits: bool, arena: Arena) -> Any:
    if stored.storage == TEXT:
        return str(stored)
    if stored.parts:
        return [wrap(read(part, arena)) for part in stored.parts.values()]
    stripped = name.strip()
    if waits and stripped:
        return StoredParameter(stripped, stored)
    return Parameter(fresh(read(stored, arena)), name=stripped or None)


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


def load_segmented_checkpoints(
    ckpt_file_dir: str,
    net: Any = None,
    strict_load: bool = False,
    filter_prefix: Any = None,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    specify_prefix: Any = None,
    choice_func: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """The Parameters of all `.ckpt` files of a folder, in the order of their names.

    Args:
        ckpt_file_dir: the folder.
        net: a network that they are loaded into as well.
        strict_load: see `load_param_into_net`.
        filter_prefix: names that begin with one of these are left out.
        dec_key: key of encrypted files.
        dec_mode: how they are encrypted.
        specify_prefix: only names that begin with one of these are loaded.
        choice_func: name -> whether it is loaded; not asked where a prefix is given.

    Raises:
        TypeError: the folder's name is no string.
        ValueError: no such folder, no such files in it, or a file that cannot be loaded.
    """
    if not isinstance(ckpt_file_dir, str):
        raise WrongTypeError("'ckpt_file_dir' is a string", found=type(ckpt_file_dir).__name__)
    if not os.path.isdir(ckpt_file_dir):
        raise WrongValueError("'ckpt_file_dir' is no folder", where=printable(str(ckpt_file_dir)))
    names = sorted(n for n in os.listdir(ckpt_file_dir) if n.endswith(".ckpt"))
    if not names:
        raise WrongValueError("no .ckpt file is in the folder", where=printable(ckpt_file_dir))
    found: dict[str, Any] = {}
    for name in names:
        path = os.path.join(ckpt_file_dir, name)
        found |= load_checkpoint(
            path, None, False, filter_prefix, dec_key, dec_mode, specify_prefix, choice_func, format="ckpt"
        )
    if net is not None:
        load_param_into_net(net, found, strict_load)
    return found
