"""One set of safetensors files from those of all devices, and their way back into networks and devices."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.checkpoint import Checkpoint
from evergraph.errors import collect, printable
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.serialization.distributed import Recut, rank_files, recut_tensors
from evergraph.mindspore.serialization.loading import load_param_into_net
from evergraph.mindspore.serialization.problems import FORMATS, WrongTypeError, WrongValueError
from evergraph.mindspore.serialization.reading import opened
from evergraph.mindspore.serialization.strategies import Layout, Strategy, read_strategy
from evergraph.saving import save
from evergraph.stores import commit
from evergraph.tensors import Tensor as Stored

__all__ = ["load_distributed_checkpoint", "unified_safetensors"]

PART = 3 << 30
"""Bytes of values above which there are several parts."""

NAMES, NUMBERS = "param_name_map.json", "hyper_param.safetensors"


def unified_safetensors(
    src_dir: str,
    src_strategy_file: str,
    dst_dir: str,
    merge_with_redundancy: bool = True,  # noqa: ARG001 - files without copies are put together likewise
    file_suffix: str | None = None,
    max_process_num: int = 64,  # noqa: ARG001 - MindSpore's signature
    choice_func: Callable[[str], Any] | None = None,
    split_dst_file: tuple[int, int] | tuple[()] = (),
) -> None:
    """Put the safetensors files of all ranks together: whole tensors in `part0.safetensors`, `part1.safetensors`...

    What no strategy has, such as the global step, goes to `hyper_param.safetensors`, and `param_name_map.json` says
    where each parameter is.

    Args:
        src_dir: a folder of folders `rank_0`, `rank_1`...
        src_strategy_file: how they were cut.
        dst_dir: the folder of the results.
        merge_with_redundancy: kept for MindSpore's signature.
        file_suffix: how the names of the files end, where a folder holds several.
        max_process_num: kept for MindSpore's signature.
        choice_func: name -> whether it is taken, or its new name.
        split_dst_file: (number of this portion from 1, number of portions): write only that portion of the parts.

    Raises:
        ValueError: files that are missing or do not fit the strategy.
    """
    files = rank_files(src_dir, file_suffix)
    tables = {r: opened(p, None, "AES-GCM", False, "safetensors")[0] for r, p in files.items()}
    recut = Recut(src_strategy_file, None)
    missing = [f"rank {r}" for r in recut.needed(0) if r not in tables]
    collect(WrongValueError, "checkpoint files of ranks are missing", missing, where=printable(src_dir))
    found = recut_tensors(recut, 0, tables)
    known = recut.source or {}
    chosen: dict[str, Stored] = {}
    for name in sorted(n for n in found if n in known and not n.startswith("accu_grads")):
        answer = True if choice_func is None else choice_func(name)
        if not isinstance(answer, (bool, str)):
            raise WrongValueError("choice_func gives a bool or a new name", found=type(answer).__name__)
        if answer:
            chosen[answer if isinstance(answer, str) else name] = found[name]
    parts = _parts(chosen)
    os.makedirs(dst_dir, exist_ok=True)
    first, last = _portion(split_dst_file, len(parts))
    for index in range(first, last):
        _save(parts[index], os.path.join(dst_dir, f"part{index}.safetensors"))
    if first == 0:
        _save({n: t for n, t in found.items() if n not in known}, os.path.join(dst_dir, NUMBERS))
        where = {n: f"part{i}.safetensors" for i, part in enumerate(parts) for n in part}
        whole = {"metadata": {"total_size": sum(t.nbytes for t in chosen.values())}, "weight_map": where}
        with commit(os.path.join(dst_dir, NAMES)) as sink:
            sink.write(json.dumps(whole, indent=4).encode())


def _save(tensors: Mapping[str, Stored], path: str) -> None:
    if tensors:
        save(Checkpoint(tensors), path, to="safetensors", dialect="ms", carry=False)


def _parts(tensors: Mapping[str, Stored]) -> list[dict[str, Stored]]:
    """As many parts as 3 GB each make, of about equal sizes."""
    total = sum(t.nbytes for t in tensors.values())
    count = min(-(-total // PART), len(tensors)) or 1
    parts: list[dict[str, Stored]] = [{} for _ in range(count)]
    sizes = [0] * count
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].nbytes):
        least = sizes.index(min(sizes))
        parts[least][name] = tensor
        sizes[least] += tensor.nbytes
    return parts


def _portion(asked: Sequence[int], count: int) -> tuple[int, int]:
    if not asked:
        return 0, count
    if len(asked) != 2 or not 1 <= asked[0] <= asked[1]:
        raise WrongValueError("split_dst_file is (number from 1, count)", found=printable(asked))
    each, more = divmod(count, asked[1])
    first = each * (asked[0] - 1) + min(asked[0] - 1, more)
    return first, first + each + (asked[0] <= more)


def load_distributed_checkpoint(
    network: Any,
    checkpoint_filenames: Sequence[str] | None = None,
    predict_strategy: Any = None,
    train_strategy_filename: str | None = None,
    strict_load: bool = False,
    dec_key: bytes | None = None,
    dec_mode: str = "AES-GCM",
    format: str = "ckpt",
    unified_safetensors_dir: str | None = None,
    dst_safetensors_dir: str | None = None,
    rank_id: int | None = None,
    output_format: str = "safetensors",
    name_map: Mapping[str, str] | None = None,
    max_process_num: int = 64,  # noqa: ARG001 - MindSpore's signature
    return_param_dict: bool = False,
) -> Any:
    """Load the checkpoints of all ranks into a network, or cut unified safetensors files for ranks.

    Args:
        network: the network; None with safetensors writes files instead.
        checkpoint_filenames: with "ckpt" the files of all ranks in order.
        predict_strategy: how the network's device, `rank_id` or 0, holds its parameters: a file, or layouts by name;
            None where it holds whole ones.
        train_strategy_filename: with "ckpt" how the files were cut.
        strict_load: see `load_param_into_net`.
        dec_key: key of encrypted files.
        dec_mode: how they are encrypted.
        format: "ckpt", or "safetensors" for what `unified_safetensors` wrote.
        unified_safetensors_dir: its folder.
        dst_safetensors_dir: where `rank_N/net.safetensors` are written.
        rank_id: the rank; all, where files are written and none is given.
        output_format: of written files.
        name_map: name in the unified files -> name wanted.
        max_process_num: kept for MindSpore's signature.
        return_param_dict: give the Parameters that were loaded, not the two lists.

    Returns:
        With "ckpt" and for written files True; otherwise what `load_param_into_net` returns, or the Parameters.

    Raises:
        TypeError, ValueError: arguments that do not fit; files that are missing or do not fit the strategies.
    """
    if format not in FORMATS or output_format not in FORMATS:
        raise WrongValueError(
            "For 'load_distributed_checkpoint', 'format' and 'output_format' must be 'ckpt' or 'safetensors'",
            found=printable((format, output_format)),
        )
    target = _layouts(predict_strategy)
    if format == "ckpt":
        found = _of_ranks(checkpoint_filenames, train_strategy_filename, target, rank_id or 0, dec_key, dec_mode)
        load_param_into_net(network, found, strict_load)
        return True
    wrong = {
        "checkpoint_filenames": checkpoint_filenames is not None,
        "train_strategy_filename": train_strategy_filename is not None,
        "dec_key": dec_key is not None,
        "dec_mode": dec_mode != "AES-GCM",
        "strict_load": strict_load,
    }
    collect(WrongValueError, "these go with 'ckpt', not with safetensors", [n for n, bad in wrong.items() if bad])
    if unified_safetensors_dir is None:
        raise WrongValueError("'unified_safetensors_dir' is needed where format is 'safetensors'")
    whole = _unified(unified_safetensors_dir, name_map or {})
    if network is None:
        return _cut(whole, target, dst_safetensors_dir, rank_id, output_format)
    found = _parameters(whole, target, rank_id or 0)
    returned = load_param_into_net(network, found)
    return found if return_param_dict else returned


def _layouts(strategy: Any) -> dict[str, Layout] | None:
    if strategy is None:
        return None
    if isinstance(strategy, str):
        return read_strategy(strategy, "load_distributed_checkpoint").by_parameter()
    if isinstance(strategy, Mapping) and all(isinstance(v, Layout) for v in strategy.values()):
        return Strategy(strategy).by_parameter()
    raise WrongTypeError(
        "For 'load_distributed_checkpoint', 'predict_strategy' is a file, or layouts by name",
        found=type(strategy).__name__,
        fix="take them from build_searched_strategy",
    )


def _of_ranks(
    names: Any, strategy: str | None, target: dict[str, Layout] | None, rank: int, key: bytes | None, mode: str
) -> dict[str, Any]:
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise WrongTypeError("'checkpoint_filenames' is a list of strings", found=type(names).__name__)
    recut = Recut(strategy, None)
    if len(names) != recut.source_devices:
        raise WrongValueError(
            "the length of 'checkpoint_filenames' is not the number of devices",
            expected=recut.source_devices,
            found=len(names),
        )
    recut.target, recut.target_devices = target, next(iter(target.values())).count if target else 1
    tables = {r: opened(n, key, mode, False, "ckpt")[0] for r, n in enumerate(names)}
    tensors = recut_tensors(recut, rank, tables)
    return {n: Parameter(Tensor(np.array(t.numpy())), name=n) for n, t in tensors.items()}


def _unified(folder: str, renamed: Mapping[str, str]) -> dict[str, Stored]:
    path = os.path.join(folder, NAMES)
    try:
        with open(path, encoding="utf-8") as file:
            where = dict(json.load(file)["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongValueError(f"the folder has no readable {NAMES}", where=printable(folder)) from error
    safe = {f for f in where.values() if isinstance(f, str) and os.path.basename(f) == f}
    if any(f not in safe for f in where.values()):
        raise WrongValueError("files outside of the folder are named", where=printable(path))
    found: dict[str, Stored] = {}
    extra = [NUMBERS] if os.path.exists(os.path.join(folder, NUMBERS)) else []
    for name in [*sorted(safe), *extra]:
        table = opened(os.path.join(folder, name), None, "AES-GCM", False, "safetensors")[0]
        found |= {renamed.get(k, k): t for k, t in table.items()}
    missing = [printable(n) for n in where if renamed.get(n, n) not in found]
    collect(WrongValueError, "parameters are not in the files that the map names", missing, where=printable(path))
    return found


def _for_rank(whole: Mapping[str, Stored], target: dict[str, Layout] | None, rank: int) -> dict[str, Stored]:
    recut = Recut(None, None)
    recut.target = None if target is None else {n: t for n, t in target.items() if n in whole}
    recut.target_devices = next(iter(target.values())).count if target else 1
    return recut_tensors(recut, rank, {0: Checkpoint(whole)})


def _parameters(whole: Mapping[str, Stored], target: dict[str, Layout] | None, rank: int) -> dict[str, Any]:
    found = _for_rank(whole, target, rank)
    return {n: Parameter(Tensor(np.array(t.numpy())), name=n) for n, t in found.items()}


def _cut(
    whole: Mapping[str, Stored], target: dict[str, Layout] | None, folder: str | None, rank: int | None, format: str
) -> bool:
    if folder is None:
        raise WrongValueError("'dst_safetensors_dir' is needed where there is no network")
    count = next(iter(target.values())).count if target else 1
    options: dict[str, Any] = {"read_only": True} if format == "ckpt" else {"dialect": "ms"}
    for number in range(count) if rank is None else [rank]:
        place = os.path.join(folder, f"rank_{number}")
        os.makedirs(place, exist_ok=True)
        found = Checkpoint(_for_rank(whole, target, number))
        save(found, os.path.join(place, f"net.{format}"), to=FORMATS[format], carry=False, **options)
    return True
