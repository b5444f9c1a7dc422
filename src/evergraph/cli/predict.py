"""`evergraph predict`: run a model on arrays or images."""

import argparse
import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evergraph.cli.feeds import batches
from evergraph.cli.opening import open_checkpoint, reading
from evergraph.cli.output import Output
from evergraph.errors import ShapeError, UsageError, printable

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
    images.add_argument("--layout", choices=("NCHW", "NHWC"), help="the model's own where it tells, else NCHW")


def run(args: argparse.Namespace, out: Output) -> int:
    """Predict."""
    from evergraph.engine import predictor

    if args.output:
        _check_output(args.output)
    with out.progress():
        checkpoint = open_checkpoint(args)
    if checkpoint.graph is None:
        raise UsageError(
            "there is no graph to run", where=checkpoint.name, fix="give the prefix: both files belong to it"
        )
    with warnings.catch_warnings(record=True) as told, _explained(checkpoint):
        warnings.simplefilter("always")
        predict = predictor(
            checkpoint.graph, checkpoint, engine=args.engine, precision=args.precision, device=args.device
        )
        feeds = batches(args, checkpoint, predict.graph, predict.inputs)
        results = [_predict(predict, names, arrays, args) for names, arrays in feeds]
    for note in dict.fromkeys(str(w.message) for w in told):
        out.note(note)
    _show(results, predict.outputs, _labels(args, checkpoint), args, out)
    if args.output:
        _save(args.output, predict.outputs, [outputs for _, outputs, _ in results], out)
    return 0


@contextlib.contextmanager
def _explained(checkpoint: Any) -> Iterator[None]:
    """Say with what goes wrong for a graph without parameters that they were not given."""
    try:
        yield
    except UsageError as error:
        if not len(checkpoint) and not error.fix:
            error.fix = "there are no parameters: give the prefix, to which the graph and its parameters belong"
        raise


def _count(least: int) -> Callable[[str], int]:
    """What reads a whole number from this one on."""

    def whole(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if found < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, found {printable(text)!r}")
        return found

    return whole


Result = tuple[list[str], list[Any], list[float]]


def _predict(predict: Any, names: list[str], feeds: Mapping[str, Any], args: argparse.Namespace) -> Result:
    try:
        outputs, times = predict(feeds), []
    except ShapeError as error:
        error.fix = error.fix or (
            "images take the model's size with --size HxW; the first axis of an array counts its examples"
        )
        raise
    for _ in range(args.repeat):
        begun = time.perf_counter()
        predict(feeds)
        times.append((time.perf_counter() - begun) / len(names))
    return names, outputs, times


def _labels(args: argparse.Namespace, checkpoint: Any) -> list[str]:
    """The labels that were given, or those that stand beside a model in a folder or an archive of its own."""
    from evergraph.stores import open_source

    name, beside = checkpoint.metadata.get("labels"), checkpoint.details.get("beside")
    if args.labels is None and (name is None or beside is None):
        return []
    with open_source(args.labels) if args.labels is not None else beside(name) as source:
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
    classes = {found[0].shape[1] for names, found, _ in results if _scores(found[0], names)}
    if labels and classes and classes != {len(labels)}:
        out.note(f"{len(labels)} labels for {', '.join(map(str, sorted(classes)))} classes: are they of this model?")
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
        if _scores(first, names):
            order = np.argsort(-first[index], kind="stable")[:top]
            row["top"] = [_cell(int(i), float(first[index][i]), labels) for i in order]
        yield row


def _scores(output: Any, names: list[str]) -> bool:
    """Whether an output has a row of scores for each input."""
    return output.ndim == 2 and len(output) == len(names)


def _cell(index: int, score: float, labels: list[str]) -> dict[str, Any]:
    return {"class": index, "score": score} | ({"label": labels[index]} if index < len(labels) else {})


def _check_output(path: str) -> None:
    """Say before the work that its results could not be saved."""
    from evergraph.formats import by_target
    from evergraph.stores import locate

    if locate(path).is_stream:
        raise UsageError("outputs are saved to a file", found=path, fix="--json gives the best classes to a program")
    try:
        by_target(locate(path))
    except UsageError as error:
        error.fix = "name it so, such as out.npz"
        raise


def _save(path: str, names: Sequence[str], results: Sequence[Sequence[Any]], out: Output) -> None:
    import numpy as np

    import evergraph
    from evergraph.stores import locate

    joined = {}
    for index, name in enumerate(names):
        parts = [outputs[index] for outputs in results]
        shapes = {p.shape[1:]: None for p in parts}
        if len(parts) > 1 and (len(shapes) > 1 or not parts[0].ndim):
            raise UsageError(
                "the outputs of several runs do not go into one array",
                where=printable(name),
                found=", ".join(map(str, shapes)),
                fix="give all images one --size, or save the outputs of one file at a time",
            )
        joined[name] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    evergraph.save(joined, path)
    out.line(f"wrote {locate(path).shown}")
