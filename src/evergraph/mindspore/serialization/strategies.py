"""How parameters were cut for several devices: MindSpore's strategy files, read and merged.

A layout says over which axes of a matrix of devices each dimension of a tensor was divided. Axes are counted from the
right, -1 means undivided. Two forms of file exist: JSON, and a protobuf message (current_stage = 1,
parallel_strategy_item = 2, parallel_layout_item = 3 with param_name = 1 and parallel_layouts = 2).
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from evergraph.errors import DamagedError, EvergraphError, collect, printable
from evergraph.formats.protobuf import BYTES, Wire, encode_varint, signed
from evergraph.mindspore.serialization.problems import WrongTypeError, WrongValueError
from evergraph.stores import BytesSource, commit

__all__ = [
    "Layout",
    "Strategy",
    "build_searched_strategy",
    "merge_pipeline_strategys",
    "read_strategy",
    "restore_group_info_list",
]

MOST_DEVICES = 1 << 20
LARGEST_FILE = 256 << 20


class Sizes(NamedTuple):
    """A list of numbers, as MindSpore's messages have it."""

    dim: tuple[Any, ...]


@dataclass(frozen=True)
class Layout:
    """How one parameter is cut.

    Attributes:
        devices: the matrix of devices.
        axes: for each dimension the axes of that matrix that divide it, the outermost first; empty for undivided.
        rows: lengths of the pieces along the first dimension, where they differ.
        field: rows of an embedding's field; 0 for others.
        optimizer_step, optimizer_size: the group of devices that shares the optimizer's work, and this parameter's
            first dimension, once more: how far its members are apart, and how many there are.
        stages: the stages of the pipeline that hold it.
    """

    devices: tuple[int, ...] = (1,)
    axes: tuple[tuple[int, ...], ...] = ()
    rows: tuple[int, ...] = ()
    field: int = 0
    optimizer_step: int = 0
    optimizer_size: int = 0
    stages: tuple[int, ...] = (0,)

    @property
    def count(self) -> int:
        """How many devices hold a piece or a copy of one."""
        return math.prod(self.devices)

    # MindSpore's names for the same, as programs read them

    @property
    def dev_matrix(self) -> tuple[Sizes, ...]:
        """The matrix of devices."""
        return (Sizes(self.devices),)

    @property
    def tensor_map(self) -> tuple[Sizes, ...]:
        """The axis of each dimension; one entry for each dimension where one has several."""
        if any(len(axes) > 1 for axes in self.axes):
            return tuple(Sizes(axes or (-1,)) for axes in self.axes)
        return (Sizes(tuple(axes[0] if axes else -1 for axes in self.axes)),)

    @property
    def param_split_shape(self) -> tuple[Sizes, ...]:
        """Lengths of unequal pieces."""
        return (Sizes(self.rows),)

    @property
    def opt_weight_shard_step(self) -> int:
        """How far the members of the optimizer's group are apart."""
        return self.optimizer_step

    @property
    def opt_weight_shard_size(self) -> int:
        """How many members the optimizer's group has."""
        return self.optimizer_size


@dataclass(frozen=True)
class Strategy:
    """The layouts of a file.

    Attributes:
        layouts: by the names that the file gives, `STAGE-NAME` in merged ones.
        stage: the pipeline's stage that the file was written for.
    """

    layouts: Mapping[str, Layout]
    stage: int = 0

    def by_parameter(self) -> dict[str, Layout]:
        """The layouts by parameter, which know their stages; of several stages the lowest one's layout."""
        found: dict[str, Layout] = {}
        for key, layout in self.layouts.items():
            stage, dash, name = key.partition("-")
            number, name = (int(stage), name) if dash and stage.isdigit() else (0, key)
            before = found.get(name)
            if before is None:
                found[name] = replace(layout, stages=(number,))
            else:
                base = layout if number < min(before.stages) else before
                found[name] = replace(base, stages=(*before.stages, number))
        return found


def read_strategy(name: Any, who: str = "build_searched_strategy") -> Strategy:
    """The layouts of a strategy file.

    Args:
        name: a path; JSON where it ends so, a protobuf message otherwise.
        who: the function that asks, for messages.

    Raises:
        WrongTypeError: no path, or no message of this kind.
        WrongValueError: no such file, an empty one, or one whose layouts make no sense.
    """
    if not isinstance(name, str):
        raise WrongTypeError(f"For {who!r}, a strategy file's name is a string", found=type(name).__name__)
    if not os.path.isfile(name):
        raise WrongValueError(f"For {who!r}, there is no such strategy file", where=printable(name))
    size = os.path.getsize(name)
    if not 0 < size <= LARGEST_FILE:
        raise WrongValueError(
            f"For {who!r}, the strategy file has no possible size", where=printable(name), found=f"{size} bytes"
        )
    with open(name, "rb") as file:
        data = file.read()
    found = _from_json(data, name) if name.endswith(".json") else _from_message(data, name)
    collect(
        WrongValueError,
        f"For {who!r}, layouts of the strategy file make no sense",
        [f"{printable(n)}: {w}" for n, layout in found.layouts.items() if (w := _wrong(layout))],
        where=printable(name),
    )
    return found


def _wrong(layout: Layout) -> str:
    if any(d < 1 for d in layout.devices) or not 1 <= layout.count <= MOST_DEVICES:
        return f"a matrix of devices {list(layout.devices)[:8]}"
    used = [a for axes in layout.axes for a in axes]
    if any(not 0 <= a < len(layout.devices) for a in used) or len(set(used)) < len(used):
        return f"axes {[list(a) for a in layout.axes][:8]} of a matrix of devices {list(layout.devices)[:8]}"
    if layout.optimizer_step < 0 or layout.optimizer_size < -1:
        return f"an optimizer's group of {layout.optimizer_size}, {layout.optimizer_step} apart"
    return ""


def build_searched_strategy(strategy_filename: str) -> dict[str, Layout]:
    """The layouts of a strategy file by name.

    Args:
        strategy_filename: the file.

    Raises:
        TypeError: no path, or no strategy file.
        ValueError: no such file.
    """
    return dict(read_strategy(strategy_filename).layouts)


# ---- JSON


def _from_json(data: bytes, name: str) -> Strategy:
    try:
        whole = json.loads(data)
        items = whole.get("parallel_layout_item") or {}
        layouts = {key: _layout(item) for key, item in items.items()}
        stages = [int(s["stage"]) for s in (whole.get("parallel_strategy_item") or {}).values() if "stage" in s]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise WrongValueError(
            "this is no strategy file in JSON",
            where=printable(name),
            found=printable(f"{type(error).__name__}: {error}"),
        ) from error
    return Strategy(layouts, stages[0] if stages else 0)


def _layout(item: Mapping[str, Any]) -> Layout:
    return Layout(
        tuple(int(d) for d in item["dev_matrix"]),
        _axes(item["tensor_map"]),
        tuple(int(n) for n in item.get("param_split_shape") or ()),
        int(item.get("field") or 0),
        int(item.get("opt_weight_shard_step") or 0),
        int(item.get("opt_weight_shard_size") or 0),
    )


def _axes(entries: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    listed = [e if isinstance(e, (list, tuple)) else (e,) for e in entries]
    return tuple(tuple(int(a) for a in axes if int(a) != -1) for axes in listed)


# ---- protobuf


def _from_message(data: bytes, name: str) -> Strategy:
    try:
        layouts, stage = {}, 0
        for number, content in _messages(data):
            if number == 3:
                parts = dict(_messages(content))
                layouts[parts[1].decode()] = _message_layout(parts.get(2, b""))
            elif number == 2:
                stage = stage or _stage(content)
    except (EvergraphError, KeyError, ValueError) as error:
        raise WrongTypeError(
            "this is no strategy file: JSON files end with .json, all others are taken for protobuf messages",
            where=printable(name),
            found=printable(str(error).splitlines()[0]),
        ) from error
    return Strategy(layouts, stage)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that are messages or texts themselves."""
    for number, kind, start, end in Wire(BytesSource(data)).fields(0, len(data), "the strategy"):
        if kind == BYTES:
            yield number, data[start:end]


def _numbers(data: bytes) -> tuple[int, ...]:
    """The `dim` of a message, packed or not."""
    found: list[int] = []
    for number, kind, value, end in Wire(BytesSource(data)).fields(0, len(data), "a list of sizes"):
        if number == 1:
            found += [value] if kind != BYTES else _packed(data[value:end])
    return tuple(signed(n) for n in found)


def _packed(data: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    if shift:
        raise DamagedError("a list of sizes is cut short")
    return found


def _message_layout(data: bytes) -> Layout:
    lists: dict[int, list[tuple[int, ...]]] = {}
    numbers: dict[int, int] = {}
    for number, kind, value, end in Wire(BytesSource(data)).fields(0, len(data), "a layout"):
        if kind == BYTES:
            lists.setdefault(number, []).append(_numbers(data[value:end]))
        else:
            numbers[number] = signed(value)
    maps = lists.get(2, [()])
    entries: Sequence[Any] = [m for m in maps if m] if len(maps) > 1 else maps[0]
    return Layout(
        lists.get(1, [()])[0] or (1,),
        _axes(entries),
        lists.get(3, [()])[0],
        numbers.get(5, 0),
        numbers.get(6, 0),
        numbers.get(7, 0),
    )


def _stage(item: bytes) -> int:
    strategies = dict(_messages(item)).get(2, b"")
    fields = Wire(BytesSource(strategies)).fields(0, len(strategies), "a stage")
    return next((value for number, kind, value, _ in fields if number == 1 and kind != BYTES), 0)


# ---- merging


def merge_pipeline_strategys(src_strategy_dirs: str, dst_strategy_file: str) -> None:
    """Merge the strategy files of all stages of a pipeline: their parameters become `STAGE-NAME`.

    Args:
        src_strategy_dirs: a folder of strategy files, all `.ckpt` or all `.json`; of one stage the first is taken.
        dst_strategy_file: the merged file.

    Raises:
        NotADirectoryError: the source is no folder.
        ValueError: files of both kinds, or one without layouts.
    """
    if not os.path.isdir(src_strategy_dirs):
        raise _NoFolderError("src_strategy_dirs is no folder", where=printable(src_strategy_dirs))
    names = sorted(os.listdir(src_strategy_dirs))
    kinds = {end: [n for n in names if n.endswith(end)] for end in (".ckpt", ".json")}
    chosen = [end for end, found in kinds.items() if found]
    if len(chosen) != 1:
        raise WrongValueError("strategy files are all .ckpt or all .json", where=printable(src_strategy_dirs))
    paths = [os.path.join(src_strategy_dirs, n) for n in kinds[chosen[0]]]
    stages: dict[int, str] = {}
    for path in paths:
        strategy = read_strategy(path, "merge_pipeline_strategys")
        if not strategy.layouts:
            raise WrongValueError("the strategy file has no layouts", where=printable(path))
        stages.setdefault(strategy.stage, path)
    merged = _merged_json(stages) if chosen[0] == ".json" else _merged_message(stages)
    os.makedirs(os.path.dirname(os.path.abspath(dst_strategy_file)), exist_ok=True)
    with commit(os.path.abspath(dst_strategy_file)) as sink:
        sink.write(merged)


class _NoFolderError(WrongValueError, NotADirectoryError):
    """A folder that is none."""


def _merged_json(stages: Mapping[int, str]) -> bytes:
    whole: dict[str, Any] = {"current_stage": 1, "parallel_strategy_item": {}, "parallel_layout_item": {}}
    for stage, path in stages.items():
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        whole["parallel_strategy_item"] |= found.get("parallel_strategy_item") or {}
        whole["parallel_layout_item"] |= {f"{stage}-{k}": v for k, v in found["parallel_layout_item"].items()}
    return json.dumps(whole).encode()


def _merged_message(stages: Mapping[int, str]) -> bytes:
    items, layouts = [], []
    for stage, path in stages.items():
        with open(path, "rb") as file:
            data = file.read()
        for number, content in _messages(data):
            if number == 2:
                items.append(_field(2, content))
            elif number == 3:
                parts = dict(_messages(content))
                name = f"{stage}-".encode() + parts[1]
                layouts.append(_field(3, _field(1, name) + _field(2, parts.get(2, b""))))
    return b"\x08\x01" + b"".join(items) + b"".join(layouts)


def _field(number: int, content: bytes) -> bytes:
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content


def restore_group_info_list(group_info_file_name: str) -> list[int]:
    """The ranks whose checkpoints hold what a lost rank held, from a group's file.

    Args:
        group_info_file_name: the file.

    Raises:
        ValueError: no such file, or none in it.
    """
    if not isinstance(group_info_file_name, str) or not os.path.isfile(group_info_file_name):
        raise WrongValueError("there is no such file of group information", where=printable(str(group_info_file_name)))
    with open(group_info_file_name, "rb") as file:
        data = file.read(LARGEST_FILE)
    try:
        ranks = [n for number, content in _messages(data) if number == 2 for n in _numbers(content)]
    except EvergraphError as error:
        raise WrongValueError("this is no file of group information", where=printable(group_info_file_name)) from error
    if not ranks:
        raise WrongValueError("the file lists no ranks", where=printable(group_info_file_name))
    return ranks
