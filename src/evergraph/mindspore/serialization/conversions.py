"""MindSpore's two conversions between its formats."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergraph.errors import printable
from evergraph.mindspore.serialization.problems import WrongTypeError, WrongValueError
from evergraph.mindspore.serialization.reading import load_checkpoint
from evergraph.mindspore.serialization.saving import save_checkpoint

__all__ = ["ckpt_to_safetensors", "safetensors_to_ckpt"]


def ckpt_to_safetensors(
    file_path: str,
    save_path: str | None = None,
    name_map: Mapping[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,
) -> None:
    """A `.ckpt` file, or those below the `rank_*` folders of a folder, as safetensors files.

    Args:
        file_path: the file, or the folder.
        save_path: folder of the results; beside the sources where not given.
        name_map: old name -> new name.
        file_name_regex: which files of a folder.
        processes_num: at least 1; one process converts them all.

    Raises:
        TypeError: `file_path` is no string, `processes_num` no whole number.
        ValueError: a path that does not fit; texts, which safetensors files cannot hold.
    """
    _check_kinds(file_path, processes_num)
    _convert(file_path, save_path, name_map, file_name_regex, "ckpt", "safetensors")


def safetensors_to_ckpt(
    file_path: str,
    save_path: str | None = None,
    name_map: Mapping[str, str] | None = None,
    file_name_regex: str | None = None,
    processes_num: int = 1,
) -> None:
    """A safetensors file, or those of a folder, as `.ckpt` files; see `ckpt_to_safetensors`."""
    _check_kinds(file_path, processes_num)
    _convert(file_path, save_path, name_map, file_name_regex, "safetensors", "ckpt")


def _check_kinds(path: Any, processes: Any) -> None:
    if path is None:
        raise WrongTypeError("file_path is a string", found="None")
    if not isinstance(processes, int):
        raise WrongTypeError("processes_num is a whole number", found=type(processes).__name__)
    if processes < 1:
        raise WrongValueError("processes_num is at least 1", found=processes)


def _convert(path: Any, folder: Any, name_map: Any, pattern: Any, old: str, new: str) -> None:
    import re

    if name_map is not None and not isinstance(name_map, Mapping):
        raise WrongValueError("name_map is a dictionary from old names to new ones", found=type(name_map).__name__)
    if folder is not None and os.path.splitext(folder)[1]:
        raise WrongValueError("save_path is a folder", found=printable(str(folder)))
    if not isinstance(path, str) or not os.path.exists(path):
        raise WrongValueError("file_path is not there", where=printable(str(path)))
    if os.path.isfile(path):
        if not path.endswith(f".{old}") or (pattern and not re.findall(pattern, path)):
            raise WrongValueError(f"file_path is no .{old} file that fits", where=printable(path))
        sources = [(path, folder or os.path.dirname(path) or ".")]
    else:
        ranks = sorted(e.name for e in os.scandir(path) if e.is_dir() and e.name.startswith("rank"))
        if not ranks:
            raise WrongValueError("no folder in it has a name that begins with rank", where=printable(path))
        files = [(r, f) for r in ranks for f in sorted(os.listdir(os.path.join(path, r))) if f.endswith(f".{old}")]
        chosen = [(r, f) for r, f in files if not pattern or re.search(pattern, f)]
        sources = [(os.path.join(path, r, f), os.path.join(folder or path, r)) for r, f in chosen]
    for source, target in sources:
        Path(target).mkdir(parents=True, exist_ok=True)
        loaded = load_checkpoint(source, format=old)
        named = {(name_map or {}).get(k, k): v for k, v in loaded.items()}
        name = os.path.basename(source)[: -len(old)] + new
        save_checkpoint(named, os.path.join(target, name), format=new)
