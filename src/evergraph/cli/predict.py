"""`evergraph predict`: run a model on arrays or images."""

import argparse
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evergraph.cli.images import Preparation, expand, load_input
from evergraph.cli.opening import open_checkpoint, reading
from evergraph.cli.output import Output
from evergraph.errors import UsageError, collect, printable

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", metavar="MODEL", help="a prefix, an archive, a folder or a URI with graph and weights")
    parser.add_argument(
        "--input", "-i", action="append", metavar="FILE", help="an array, an image, a folder of them, or NAME=FILE"
    )
    parser.add_argument("--labels", metavar="FILE", help="a label a line, in the order of the classes")
    parser.add_argument("--top", type=_count(0), default=5, help="how many classes to show (default: 5)")
    parser.add_argument(
        "--repeat", type=_count(0), default=0, metavar="N", help="run N times more, and show the time of each"
    )
    parser.add_argument("--batch", type=_count(1), default=32, metavar="N", help="images in one run (default: 32)")
    parser.add_argument("--output", metavar="FILE", help="save the outputs (.npz, .npy, .safetensors)")
    parser.add_argument("--engine", choices=("auto", "torch", "openvino"), help="what runs the model (default: auto)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="bfloat16 is faster and less exact")
    parser.add_argument("--device", default="cpu", help="torch device, such as cuda:0 (default: cpu)")
    reading(parser, key=False)
    images = parser.add_argument_group("images")
    images.add_argument("--size", metavar="HxW", help="size that images are resized to; the model's own where it tells")
    images.add_argument("--mean", metavar="R,G,B", default="0", help="subtracted from each channel (0 to 255)")
    images.add_argument("--std", metavar="R,G,B", default="1", help="what each channel is divided by")
    images.add_argument("--scale", type=float, default=1.0, help="what everything is multiplied with at the end")
    images.add_argument("--bgr", action="store_true", help="blue channel first, as OpenCV reads images")
    images.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="(default: NCHW)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Predict."""
    from evergraph.engine import predictor

    checkpoint = open_checkpoint(args)
    if checkpoint.graph is None:
        raise UsageError(
            "there is no graph to run", where=checkpoint.name, fix="give the prefix: both files belong to it"
        )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        predict = predictor(
            checkpoint.graph, checkpoint, engine=args.engine, precision=args.precision, device=args.device
        )
        results = [_predict(predict, names, feeds, args) for names, feeds in _batches(args, checkpoint, predict.inputs)]
    for note in dict.fromkeys(str(w.message) for w in told):
        out.note(note)
    _show(results, predict.outputs, _labels(args, checkpoint), args, out)
    if args.output:
        _save(args.output, predict.outputs, [outputs for _, outputs, _ in results])
    return 0


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


def _count(least: int) -> Callable[[str], int]:
    """What reads a whole number from this one on."""

    def whole(text: str) -> int:
        if int(text) < least:
            raise ValueError(text)
        return int(text)

    whole.__name__ = f"number from {least} on"
    return whole


Result = tuple[list[str], list[Any], list[float]]


def _predict(predict: Any, names: list[str], feeds: Mapping[str, Any], args: argparse.Namespace) -> Result:
    outputs, times = predict(feeds), []
    for _ in range(args.repeat):
        begun = time.perf_counter()
        predict(feeds)
        times.append((time.perf_counter() - begun) / len(names))
    return names, outputs, times


def _batches(
    args: argparse.Namespace, checkpoint: Any, inputs: Sequence[str]
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """(name of each row, arrays by input) for one run after the other."""
    import numpy as np

    if not args.input:
        raise UsageError(
            "what shall the model be run on?", fix="--input FILE, for " + ", ".join(map(printable, inputs))
        )
    named = _named(args.input, inputs)
    how = _preparation(args, checkpoint, inputs)
    if named:
        yield [", ".join(named.values())], {n: load_input(p, how) for n, p in named.items()}
        return
    if len(inputs) != 1:
        raise UsageError(
            "the model has several inputs", expected=", ".join(f"--input {printable(n)}=FILE" for n in inputs)
        )
    names: list[str] = []
    arrays: list[Any] = []
    for path in expand(args.input):
        array = load_input(path, how)
        fits = not arrays or array.shape[1:] == arrays[0].shape[1:]
        if arrays and (not fits or len(names) + len(array) > args.batch):
            yield names, {inputs[0]: np.concatenate(arrays)}
            names, arrays = [], []
        names += [path] if len(array) == 1 else [f"{path} [{i}]" for i in range(len(array))]
        arrays.append(array)
    yield names, {inputs[0]: np.concatenate(arrays)}


def _preparation(args: argparse.Namespace, checkpoint: Any, inputs: Sequence[str]) -> Preparation:
    """How images become inputs: as the options say, and where they do not, as the model's side files do."""
    shape = checkpoint.metadata.get("input_shapes", {}).get(inputs[0] if inputs else "", ())
    size, channels = None, 3
    if len(shape) == 4:
        channels, size = (shape[1], tuple(shape[2:])) if args.layout == "NCHW" else (shape[3], tuple(shape[1:3]))
    if args.size:
        size = tuple(_numbers(args.size.replace("x", ","), "--size"))
        size = (int(size[0]), int(size[-1]))
    return Preparation(
        size,
        _numbers(args.mean, "--mean"),
        _numbers(args.std, "--std"),
        args.scale,
        args.bgr,
        args.layout,
        channels if channels in (1, 3) else 3,
    )


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(p) for p in text.split(","))
    except ValueError:
        raise UsageError(f"{option} takes numbers, one or one for each channel", found=printable(text)) from None


def _labels(args: argparse.Namespace, checkpoint: Any) -> list[str]:
    """The labels that were given, or those that stand beside a model in a folder of its own."""
    from evergraph.stores import exists, locate, open_source

    path = args.labels
    if path is None:
        name = checkpoint.metadata.get("labels")
        beside = locate(args.path).sibling(name.rpartition("/")[2]) if isinstance(name, str) else None
        if beside is None or not exists(beside):
            return []
        path = beside
    with open_source(path) as source:
        return source.head(source.size).decode("utf-8", "replace").splitlines()


def _show(
    results: list[Result], outputs: Sequence[str], labels: list[str], args: argparse.Namespace, out: Output
) -> None:
    rows = [row for names, found, _ in results for row in _rows(names, found, labels, args.top)]
    times = sorted(t for _, _, found in results for t in found)
    report: dict[str, Any] = {"predictions": rows, "outputs": list(outputs)}
    if times:
        report["seconds"] = {"best": times[0], "median": times[len(times) // 2], "runs": len(times)}
    out.report(report)
    for row in rows:
        out.heading(row["input"])
        for number, cell in enumerate(row["top"]):
            label = f"  {printable(cell['label'])}" if "label" in cell else ""
            out.line(f"  {number + 1:2d}.  {cell['score']:.6f}  class {cell['class']}{label}")
        for name, shape in zip(outputs, row["shapes"], strict=False):
            if not row["top"]:
                out.line(f"  {printable(name)}: shape {tuple(shape)}")
    if times:
        out.line(
            f"{times[len(times) // 2] * 1e3:.3f} ms for each input"
            f" (median of {len(times)} runs; best {times[0] * 1e3:.3f})"
        )


def _rows(names: list[str], outputs: list[Any], labels: list[str], top: int) -> Iterator[dict[str, Any]]:
    """What is shown of each input: the best classes, where the first output has a row of scores for each."""
    import numpy as np

    first = outputs[0]
    for index, name in enumerate(names):
        row: dict[str, Any] = {"input": name, "shapes": [list(o.shape) for o in outputs], "top": []}
        if first.ndim == 2 and len(first) == len(names):
            order = np.argsort(-first[index], kind="stable")[:top]
            row["top"] = [_cell(int(i), float(first[index][i]), labels) for i in order]
        yield row


def _cell(index: int, score: float, labels: list[str]) -> dict[str, Any]:
    return {"class": index, "score": score} | ({"label": labels[index]} if index < len(labels) else {})


def _save(path: str, names: Sequence[str], results: list[list[Any]]) -> None:
    import numpy as np

    import evergraph

    joined = [np.concatenate(parts) if parts[0].ndim else parts[0] for parts in zip(*results, strict=True)]
    evergraph.save(dict(zip(names, joined, strict=True)), path)
