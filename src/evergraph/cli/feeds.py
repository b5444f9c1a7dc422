"""What a model is run on: the files of each input, as arrays, in batches, as the model's own files tell."""

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evergraph.cli.images import MAX_PIXELS, Preparation, expand, load_input
from evergraph.errors import UsageError, collect, printable
from evergraph.graph import Graph, Node

__all__ = ["batches"]

_LAYOUTS = {"NHWC": (3, 1), "NCHW": (1, 2)}
"""Where the channels stand, and where height and width begin."""

_KEEPS_CHANNELS = frozenset(
    (
        "BatchNorm",
        "Cast",
        "BlockGrad",
        "_copy",
        "identity",
        "_plus_scalar",
        "_minus_scalar",
        "_mul_scalar",
        "_div_scalar",
    )
)
"""What stands between an image and the first convolution."""

Batch = tuple[list[str], dict[str, Any]]


def batches(args: argparse.Namespace, checkpoint: Any, graph: Graph, inputs: Sequence[str]) -> Iterator[Batch]:
    """(name of each row, arrays by input) for one run after the other.

    Args:
        args: the command's.
        checkpoint: the model, with what the files beside it tell.
        graph: its graph in today's form.
        inputs: names of the inputs.

    Raises:
        UsageError: no files, files of no input, options of no meaning.
        FormatError: a file that is neither an array nor an image.
    """
    if not args.input:
        raise UsageError(
            "what shall the model be run on?", fix="--input FILE, for " + ", ".join(map(printable, inputs))
        )
    named = _named(args.input, inputs)
    if named:
        yield _rows_of_each(args, checkpoint, graph, named)
        return
    if len(inputs) != 1:
        raise UsageError(
            "the model has several inputs", expected=", ".join(f"--input {printable(n)}=FILE" for n in inputs)
        )
    how = _preparation(args, checkpoint, graph, inputs[0])
    names: list[str] = []
    arrays: list[Any] = []
    for path in expand(args.input):
        array = load_input(path, how)
        fits = not arrays or array.shape[1:] == arrays[0].shape[1:]
        if arrays and (not fits or len(names) + len(array) > args.batch):
            yield names, {inputs[0]: _joined(arrays)}
            names, arrays = [], []
        names += _rows(path, array)
        arrays.append(array)
    yield names, {inputs[0]: _joined(arrays)}


def _rows_of_each(args: argparse.Namespace, checkpoint: Any, graph: Graph, named: Mapping[str, str]) -> Batch:
    """One run over files that are given for each input; rows are named where all inputs have as many."""
    feeds, rows = {}, []
    for name, path in named.items():
        how = _preparation(args, checkpoint, graph, name)
        found = [(p, load_input(p, how)) for p in expand([path])]
        if len({a.shape[1:] for _, a in found}) > 1:
            shapes = [f"{printable(p)}: {a.shape}" for p, a in found]
            collect(UsageError, "the files of one input have several shapes", shapes, where=printable(path))
        feeds[name] = _joined([a for _, a in found])
        rows.append([row for p, a in found for row in _rows(p, a)])
    if len({len(names) for names in rows}) > 1:
        return [", ".join(named.values())], feeds
    return [", ".join(dict.fromkeys(each)) for each in zip(*rows, strict=True)], feeds


def _rows(path: str, array: Any) -> list[str]:
    """Names of the examples in a file; an array without axes is one."""
    return [path] if not array.ndim or len(array) == 1 else [f"{path} [{i}]" for i in range(len(array))]


def _joined(arrays: list[Any]) -> Any:
    import numpy as np

    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _named(given: Sequence[str], inputs: Sequence[str]) -> dict[str, str]:
    """The files that were given as NAME=FILE, by the input's name; none where files alone were given."""
    pairs = [(name, path) for name, eq, path in (g.partition("=") for g in given) if eq and name in inputs]
    named = dict(pairs)
    others = [g for g in given if g.partition("=")[0] not in named]
    wrong = [f"{printable(g)}: no such input, and no such file" for g in others if "=" in g and not os.path.exists(g)]
    if pairs:
        twice = [n for n, count in Counter(n for n, _ in pairs).items() if count > 1]
        wrong += [f"{printable(n)} is given more than once" for n in twice]
        wrong += [f"{printable(g)} is given for no input" for g in others if os.path.exists(g)]
    collect(UsageError, "the inputs cannot be told", wrong, expected=", ".join(f"{printable(n)}=FILE" for n in inputs))
    return named


def _preparation(args: argparse.Namespace, checkpoint: Any, graph: Graph, name: str) -> Preparation:
    """How images become an input: as the options say, and where they do not, as the model tells."""
    told_layout, told_channels = _first_layer(graph, checkpoint, name)
    layout = args.layout or told_layout or "NCHW"
    shape = _stated_shape(checkpoint, graph, name)
    size, channels = None, told_channels
    if len(shape) == 4:
        axis, begin = _LAYOUTS[layout]
        channels = shape[axis] or channels
        height, width = shape[begin : begin + 2]
        size = (height, width) if height and width else None
    channels = channels if channels in (1, 3) else 3
    return Preparation(
        _size(args.size) if args.size else size,
        _each_channel(args.mean, "--mean", channels),
        _each_channel(args.std, "--std", channels),
        _numbers([args.scale], "--scale", str(args.scale))[0],
        args.bgr,
        layout,
        channels,
    )


def _stated_shape(checkpoint: Any, graph: Graph, name: str) -> tuple[int, ...]:
    """The shape of an input as a file beside the model, or the graph, states it; 0 stands for an open size."""
    from evergraph.ops.types import Shape, parameter_type

    beside = checkpoint.metadata.get("input_shapes", {}).get(name)
    text = next((n.attrs.get("__shape__") for n in graph.variables() if n.name == name), None)
    if beside is None and text is not None:
        try:
            beside = parameter_type(Shape).parse(text)
        except ValueError:
            beside = None  # shape inference says what is wrong with it
    return tuple(max(int(d or 0), 0) for d in beside or ())


def _first_layer(graph: Graph, tensors: Mapping[str, Any], name: str) -> tuple[str | None, int | None]:
    """The layout and the number of channels that the first convolution over an input takes, where there is one."""
    reached = {i for i, n in enumerate(graph.nodes) if n.is_variable and n.name == name}
    for i, node in enumerate(graph.nodes):
        if not node.inputs or node.inputs[0][0] not in reached:
            continue
        if node.op == "Convolution":
            return _convolution(node, graph, tensors)
        if node.op in _KEEPS_CHANNELS:
            reached.add(i)
    return None, None


def _convolution(node: Node, graph: Graph, tensors: Mapping[str, Any]) -> tuple[str | None, int | None]:
    layout = node.attrs.get("layout")
    weight = tensors.get(f"arg:{graph.nodes[node.inputs[1][0]].name}") if len(node.inputs) > 1 else None
    groups = node.attrs.get("num_group", "1")
    known = layout if layout in _LAYOUTS else None
    if weight is None or len(weight.shape or ()) != 4 or not groups.isdigit():
        return known, None
    return known, weight.shape[3 if layout == "NHWC" else 1] * int(groups)


def _numbers(parts: Sequence[Any], option: str, given: str) -> tuple[float, ...]:
    try:
        found = tuple(float(p) for p in parts)
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise UsageError(f"{option} takes numbers", found=printable(given))
    return found


def _each_channel(text: str, option: str, channels: int) -> tuple[float, ...]:
    found = _numbers(text.split(","), option, text)
    if len(found) not in (1, channels):
        raise UsageError(
            f"{option} takes one number, or one for each channel",
            expected=f"{channels}, or one for all: the channels of the model's images",
            found=printable(text),
        )
    if option == "--std" and 0 in found:
        raise UsageError(
            "--std is what channels are divided by", expected="numbers other than 0", found=printable(text)
        )
    return found


def _size(text: str) -> tuple[int, int]:
    parts = text.replace("x", ",").split(",")
    sizes = [int(p) for p in parts if p.isdecimal() and len(p) < 10]
    if len(sizes) != len(parts) or len(parts) > 2 or not 0 < sizes[0] * sizes[-1] <= MAX_PIXELS:
        raise UsageError(
            "--size is the height and the width of the images", expected="224x224, or 224", found=printable(text)
        )
    return sizes[0], sizes[-1]
