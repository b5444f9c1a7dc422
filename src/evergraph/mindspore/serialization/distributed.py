"""Checkpoints of several devices on one machine: recut for another number of devices, put together, loaded."""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, collect, printable
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.serialization.pieces import assembled, needed_ranks
from evergraph.mindspore.serialization.problems import FORMATS, WrongTypeError, WrongValueError
from evergraph.mindspore.serialization.reading import opened
from evergraph.mindspore.serialization.strategies import Layout, read_strategy
from evergraph.saving import save
from evergraph.tensors import DENSE, Computed
from evergraph.tensors import Tensor as Stored

__all__ = [
    "Recut",
    "merge_sliced_parameter",
    "rank_list_for_transform",
    "transform_checkpoint_by_rank",
    "transform_checkpoints",
]

_RANK = re.compile(r"rank_(\d+)$")
_WHO = "For 'transform_checkpoints', "


class _KeyError(WrongValueError, KeyError):
    """A parameter that the strategy does not have: a KeyError, as in MindSpore."""

    __str__ = EvergraphError.__str__


class _NoFolderError(WrongValueError, NotADirectoryError):
    """A folder that is not there."""


class Recut:
    """From one cut to another: the layouts of both sides by parameter.

    Args:
        source: the strategy file of the checkpoints that there are; None where each holds everything.
        target: that of those that are wanted; None for whole tensors.
    """

    def __init__(self, source: str | None, target: str | None) -> None:
        read = lambda path: None if path is None else read_strategy(path).by_parameter()
        self.source, self.target = read(source), read(target)
        self.stage = read_strategy(source).stage if source is not None else 0
        if source is not None and not self.source:
            raise WrongValueError("the source's strategy has no layouts", where=printable(source))
        self.source_devices, self.target_devices = _devices(self.source), _devices(self.target)

    @property
    def target_ranks(self) -> int:
        """How many ranks the target has, over all stages."""
        stages = {s for layout in (self.target or {}).values() for s in layout.stages} or {0}
        if stages != set(range(len(stages))):
            raise WrongValueError("the target's strategy does not hold all stages of the pipeline")
        return self.target_devices * len(stages)

    def layouts(self, name: str, dims: int, rank: int) -> tuple[Layout, Layout | None] | None:
        """The two layouts of a parameter; None where it is not cut anew for this rank."""
        source = Layout(axes=((),) * dims) if self.source is None else self.source.get(name)
        target = None if self.target is None else self.target.get(name)
        if source is None or (self.target is not None and target is None):
            return None
        return source, target

    def is_one_stage_of_several(self) -> bool:
        """Whether the source is one stage of a pipeline, and the target all of the network in one."""
        if not self.source or not self.target:
            return False
        stages = {s for side in (self.source, self.target) for layout in side.values() for s in layout.stages}
        own, wanted = (
            {n for n in side if not n.startswith(("accu_grads", "adam_v", "adam_m"))}
            for side in (self.source, self.target)
        )
        return stages == {0} and own < wanted

    def here(self, name: str, rank: int) -> bool:
        """Whether a parameter belongs to the stage of the pipeline that a rank of the target is in."""
        layout = None if self.target is None else self.target.get(name)
        return layout is None or rank // self.target_devices in layout.stages

    def needed(self, rank: int) -> list[int]:
        """The ranks of the source that a rank of the target is made of, the last first."""
        if self.source is None:
            return [0]
        found = set()
        for name, source in self.source.items():
            if (self.target is not None and name not in self.target) or not self.here(name, rank):
                continue
            target = None if self.target is None else self.target[name]
            local = needed_ranks(source, target, rank % self.target_devices)
            local.add(rank % source.count)  # what no strategy has, such as the global step, is taken from there
            found |= {stage * self.source_devices + device for stage in source.stages for device in local}
        return sorted(found, reverse=True)


def _devices(layouts: Mapping[str, Layout] | None) -> int:
    if not layouts:
        return 1
    counts = {layout.count for layout in layouts.values()}
    if len(counts) > 1:
        raise WrongValueError("parameters of one strategy are on unlike numbers of devices", found=sorted(counts))
    return counts.pop()


def rank_list_for_transform(
    rank_id: int, src_strategy_file: str | None = None, dst_strategy_file: str | None = None
) -> list[int]:
    """The ranks whose checkpoints are needed to make that of one rank under another strategy.

    Never more than MindSpore's list, and sometimes fewer: those that nothing is taken from are left out.

    Args:
        rank_id: the rank of the target.
        src_strategy_file: how the checkpoints that there are were cut; None where each holds everything.
        dst_strategy_file: how they are to be cut; None for whole tensors.

    Raises:
        TypeError: the rank is no whole number, a file's name no string.
        ValueError: a strategy file that is not there or cannot be read.
    """
    _whole_number(rank_id)
    return Recut(src_strategy_file, dst_strategy_file).needed(rank_id)


def _whole_number(rank: Any) -> None:
    if not isinstance(rank, int) or isinstance(rank, bool):
        raise WrongTypeError("The rank_id should be a int", found=printable(rank))


def transform_checkpoint_by_rank(
    rank_id: int,
    checkpoint_files_map: Mapping[int, str],
    save_checkpoint_file_name: str,
    src_strategy_file: str | None = None,
    dst_strategy_file: str | None = None,
) -> None:
    """Make the checkpoint of one rank under another strategy.

    Args:
        rank_id: the rank.
        checkpoint_files_map: rank -> file, at least for those that `rank_list_for_transform` lists.
        save_checkpoint_file_name: the file, which ends with `.ckpt`.
        src_strategy_file: how the given checkpoints were cut; None where each holds everything.
        dst_strategy_file: how to cut; None for whole tensors.

    Raises:
        TypeError, ValueError: arguments that do not fit; checkpoints that are missing or do not fit the strategies.
    """
    if not isinstance(checkpoint_files_map, Mapping):
        raise WrongTypeError("The checkpoint_files_map should be a dict", found=type(checkpoint_files_map).__name__)
    _whole_number(rank_id)
    name = save_checkpoint_file_name
    if not isinstance(name, str):
        raise WrongTypeError("The save_checkpoint_file_name should be a str", found=type(name).__name__)
    if not name.endswith(".ckpt"):
        raise WrongValueError("The save_checkpoint_file_name should end with .ckpt", found=printable(name))
    missing = [f"rank {r}: {printable(str(f))}" for r, f in checkpoint_files_map.items() if not os.path.exists(f)]
    collect(WrongValueError, "checkpoint files are not there", missing)
    recut = Recut(src_strategy_file, dst_strategy_file)
    _write(recut, rank_id, _tables(checkpoint_files_map), name, "ckpt")


def transform_checkpoints(
    src_checkpoints_dir: str,
    dst_checkpoints_dir: str,
    ckpt_prefix: str,
    src_strategy_file: str | None = None,
    dst_strategy_file: str | None = None,
    process_num: int = 1,  # noqa: ARG001 - MindSpore's signature
    output_format: str = "ckpt",
) -> None:
    """Make the checkpoints of all ranks under another strategy.

    Args:
        src_checkpoints_dir: a folder of folders `rank_0`, `rank_1`...; of several files in one the last by name.
        dst_checkpoints_dir: where `rank_N/PREFIXN.ckpt` are written.
        ckpt_prefix: how the new files' names begin.
        src_strategy_file: how the checkpoints that there are were cut; None where each holds everything.
        dst_strategy_file: how to cut; None for whole tensors in `rank_0`.
        process_num: kept for MindSpore's signature.
        output_format: "ckpt" or "safetensors".

    Raises:
        TypeError, ValueError: arguments that do not fit; checkpoints that are missing or do not fit the strategies.
    """
    if output_format not in FORMATS:
        raise WrongValueError(f"{_WHO}'output_format' is 'ckpt' or 'safetensors'", found=printable(output_format))
    if not isinstance(ckpt_prefix, str) or os.path.basename(ckpt_prefix) != ckpt_prefix:
        raise WrongTypeError("The ckpt_prefix should be a str without folders", found=printable(ckpt_prefix))
    files = rank_files(src_checkpoints_dir)
    recut = Recut(src_strategy_file, dst_strategy_file)
    ending = ""
    if recut.is_one_stage_of_several():
        # the strategy of one stage, whose ranks follow those of the stages before it
        first = recut.stage * recut.source_devices
        files = {r - first: f for r, f in files.items() if 0 <= r - first < recut.source_devices}
        ending = f"_part{recut.stage}"
    ranks = range(recut.target_ranks)
    missing = [f"rank {n}, for rank {r}" for r in ranks for n in recut.needed(r) if n not in files]
    collect(WrongValueError, f"{_WHO}checkpoint files of ranks are missing", missing)
    tables = _tables(files)
    for rank in ranks:
        folder = os.path.join(dst_checkpoints_dir, f"rank_{rank}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{ckpt_prefix}{rank}{ending}.{output_format}")
        needed = {n: tables[n] for n in recut.needed(rank)}
        _write(recut, rank, needed, path, output_format)


def rank_files(folder: Any, suffix: str | None = None) -> dict[int, str]:
    """The checkpoint of each rank: of each folder `rank_N` the last by name.

    Args:
        folder: where the folders are.
        suffix: how the files' names end before the ending; any where not given.

    Raises:
        WrongValueError: no such files, or files of both formats.
    """
    if not isinstance(folder, str) or not os.path.isdir(folder):
        raise _NoFolderError(f"{_WHO}the folder of the source is not there", where=printable(str(folder)))
    found: dict[int, str] = {}
    endings = set()
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        match = _RANK.match(entry.name)
        if match is None or not entry.is_dir():
            continue
        names = sorted(n for n in os.listdir(entry.path) if n.endswith((".ckpt", ".safetensors")))
        names = [n for n in names if suffix is None or os.path.splitext(n)[0].endswith(suffix)]
        endings |= {n.rpartition(".")[2] for n in names}
        if names:
            found[int(match[1])] = os.path.join(entry.path, names[-1])
    if len(endings) > 1:
        raise WrongValueError(f"{_WHO}the source has .ckpt and safetensors files", where=printable(folder))
    if not found:
        raise WrongValueError(f"{_WHO}no folder rank_N in the source holds a checkpoint", where=printable(folder))
    return found


def _tables(files: Mapping[int, str]) -> dict[int, Checkpoint]:
    found = {}
    for rank, path in files.items():
        format = "safetensors" if path.endswith("safetensors") else "ckpt"
        found[rank] = opened(path, None, "AES-GCM", False, format)[0]
    return found


def _write(recut: Recut, rank: int, tables: Mapping[int, Checkpoint], path: str, format: str) -> None:
    tensors = recut_tensors(recut, rank, tables)
    options: dict[str, Any] = {} if format == "ckpt" else {"dialect": "ms"}
    save(Checkpoint(tensors), path, to=FORMATS[format], carry=False, **options)
    os.chmod(path, 0o400)  # as MindSpore leaves its files


def recut_tensors(recut: Recut, rank: int, tables: Mapping[int, Checkpoint]) -> dict[str, Stored]:
    """The entries of one rank, whose values are put together when they are written: one at a time is in memory."""
    names = dict.fromkeys(n for table in tables.values() for n in table)
    made: dict[str, Stored] = {}
    rest: dict[str, Stored] = {}
    uncut = []
    for name in names:
        if not recut.here(name, rank):
            continue
        held = {r % recut.source_devices: t[name] for r, t in tables.items() if name in t}
        first = next(iter(held.values()))
        layouts = recut.layouts(name, first.ndim, rank)
        if layouts is None or first.storage != DENSE:
            rest[name] = held.get(rank % recut.source_devices, first).replace(details={})
            cut = recut.source is not None and name in recut.source and recut.source[name].count > 1
            uncut += [name] if cut and any(recut.source[name].axes) else []  # type: ignore[index]
        else:
            made[name] = _later(name, layouts, held, rank % recut.target_devices)
    if uncut:
        shown = ", ".join(map(printable, uncut[:10]))
        warnings.warn(
            f"the target's strategy lacks parameters that the source's cuts: left as they are: {shown}", stacklevel=4
        )
    return made | rest


def _later(name: str, layouts: tuple[Layout, Layout | None], held: Mapping[int, Stored], rank: int) -> Stored:
    """An entry that is assembled when it is written; its shape is known, and checked, at once."""
    source, target = layouts
    probe = {d: np.broadcast_to(np.zeros((), t.dtype.numpy()), t.shape or ()) for d, t in held.items()}
    shape = _assembled_shape(name, source, probe, target, rank)
    first = next(iter(held.values()))
    read = lambda: np.ascontiguousarray(
        assembled(name, source, {d: t.numpy() for d, t in held.items()}, target, rank)
    ).view(np.uint8).reshape(-1)  # fmt: skip
    nbytes = int(np.prod(shape, dtype=np.int64)) * first.dtype.itemsize
    return Stored(first.dtype, shape, Computed(nbytes, read, first.blob.place))


def _assembled_shape(
    name: str, source: Layout, probe: Mapping[int, Any], target: Layout | None, rank: int
) -> tuple[int, ...]:
    # over arrays without memory: every check of shapes and missing ranks happens before anything is written
    return assembled(name, source, probe, target, rank).shape


# ---- one parameter


def merge_sliced_parameter(
    sliced_parameters: Sequence[Parameter], strategy: Mapping[str, Layout] | None = None
) -> Parameter:
    """One Parameter from its pieces.

    Args:
        sliced_parameters: the pieces, in the order of their ranks; of one name, alike but for their first dimension.
        strategy: how they were cut, by name, as `build_searched_strategy` gives it; without it they are joined along
            the first dimension.

    Raises:
        TypeError: no list of Parameters, or a strategy of another kind.
        ValueError: no pieces, pieces that do not fit together, or another number than the strategy has devices.
        KeyError: the strategy does not have the parameter.

    >>> pieces = [Parameter(Tensor([1.0, 2.0]), name="w"), Parameter(Tensor([3.0]), name="w")]
    >>> merge_sliced_parameter(pieces).asnumpy().tolist()
    [1.0, 2.0, 3.0]
    """
    who = "For 'merge_sliced_parameter', "
    if not isinstance(sliced_parameters, list):
        raise WrongTypeError(f"{who}'sliced_parameters' should be list", found=type(sliced_parameters).__name__)
    if not sliced_parameters:
        raise WrongValueError(f"{who}'sliced_parameters' should not be empty")
    if strategy is not None and not isinstance(strategy, dict):
        raise WrongTypeError(f"{who}'strategy' should be dict", found=type(strategy).__name__)
    wrong = [f"item {i}: {type(p).__name__}" for i, p in enumerate(sliced_parameters) if not isinstance(p, Parameter)]
    collect(WrongTypeError, f"{who}the elements should be Parameters", wrong)
    first = sliced_parameters[0]
    wrong = [
        f"item {i}: {printable(p.name)}, {p.shape}"
        for i, p in enumerate(sliced_parameters)
        if p.name != first.name or p.ndim != first.ndim or p.shape[1:] != first.shape[1:]
    ]
    collect(WrongValueError, f"{who}the elements differ from {printable(first.name)}, {first.shape}", wrong)
    arrays = [p.asnumpy() for p in sliced_parameters]
    if not strategy:
        return Parameter(Tensor(np.concatenate(arrays)), first.name, first.requires_grad, first.layerwise_parallel)
    if first.name not in strategy:
        raise _KeyError(f"{who}the strategy does not have the parameter", where=printable(first.name))
    layout = strategy[first.name]
    if not isinstance(layout, Layout) or layout.field > 0:
        raise WrongValueError(
            f"{who}the strategy is none that can be merged by",
            where=printable(first.name),
            found="an embedding's fields" if isinstance(layout, Layout) else type(layout).__name__,
            fix="take it from build_searched_strategy",
        )
    if layout.count != len(arrays):
        raise WrongValueError(
            f"{who}the length of 'sliced_parameters' should be the number of devices",
            expected=layout.count,
            found=len(arrays),
        )
    whole = assembled(first.name, layout, dict(enumerate(arrays)), None, 0)
    return Parameter(Tensor(whole), first.name, first.requires_grad, first.layerwise_parallel)
