"""`evergraph im2rec`: make lists of images, and pack listed images into record files."""

import argparse
import os
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from evergraph.cli.output import Output
from evergraph.errors import DamagedError, StoreError, UsageError, printable

__all__ = ["arguments", "run"]

_SHUFFLED_BY = 100
"""The seed of MXNet's tool: the same folder gives the same list."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("prefix", help="PREFIX.lst is made or read, PREFIX.rec and PREFIX.idx are written")
    parser.add_argument("root", help="the folder of the images")
    parser.add_argument("--list", action="store_true", help="make lists; otherwise pack what PREFIX*.lst name")
    parser.add_argument("--exts", nargs="+", default=[".jpeg", ".jpg", ".png"], help="endings of images")
    parser.add_argument("--chunks", type=int, default=1, help="number of lists")
    parser.add_argument("--train-ratio", type=float, default=1.0, help="share of a list's images for training")
    parser.add_argument("--test-ratio", type=float, default=0.0, help="share of a list's images for testing")
    parser.add_argument("--recursive", action="store_true", help="walk through folders; each has a label of its own")
    parser.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="keep the order of names")
    parser.add_argument("--pass-through", action="store_true", help="pack files as they are")
    parser.add_argument("--resize", type=int, default=0, help="shorter side of the packed images")
    parser.add_argument("--center-crop", action="store_true", help="cut a square from the middle")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG 1 to 100; of PNG the compression 1 to 9")
    parser.add_argument("--num-thread", type=int, default=1, help="threads that encode; the order stays the list's")
    parser.add_argument("--color", type=int, default=1, choices=(-1, 0, 1), help="1 colour, 0 grey, -1 as it is")
    parser.add_argument("--encoding", default=".jpg", choices=(".jpg", ".png"), help="form of the packed images")
    parser.add_argument("--pack-label", action="store_true", help="pack all labels of an image, not the first alone")


def run(args: argparse.Namespace, out: Output) -> int:
    """Make lists or pack images, and tell the files."""
    if not Path(args.root).is_dir():
        raise StoreError("the folder of images does not exist", where=printable(args.root))
    wrong = [] if args.chunks > 0 else [f"--chunks {args.chunks} is not positive"]
    if args.train_ratio + args.test_ratio > 1.0 and args.train_ratio != 1.0:
        wrong.append("--train-ratio and --test-ratio are more than 1 together")
    if not args.list and not args.pass_through and not 1 <= args.quality <= (9 if args.encoding == ".png" else 100):
        wrong.append(f"--quality {args.quality} is outside 1 to 100, or 1 to 9 for PNG")
    if wrong:
        raise UsageError("the options do not fit together", details=wrong)
    written = _make_lists(args) if args.list else _pack_lists(args)
    out.report({"files": written})
    for name, count in written.items():
        out.line(f"wrote {printable(name)}: {count} images")
    return 0


def _found(args: argparse.Namespace) -> list[tuple[int, str, int]]:
    """Number, path below the root, and label of each image."""
    folders = os.walk(args.root, followlinks=True) if args.recursive else [(args.root, [], os.listdir(args.root))]
    images: list[tuple[int, str, int]] = []
    labels: dict[str, int] = {}
    for folder, inner, files in folders:
        inner.sort()  # os.walk goes on in this order
        for name in sorted(files):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.path.splitext(name)[1].lower() in args.exts:
                label = labels.setdefault(folder, len(labels))
                images.append((len(images), os.path.relpath(path, args.root), label))
    return images


def _make_lists(args: argparse.Namespace) -> dict[str, int]:
    images = _found(args)
    if args.shuffle:
        random.Random(_SHUFFLED_BY).shuffle(images)  # noqa: S311
    size = -(-len(images) // args.chunks)
    train, test = int(size * args.train_ratio), int(size * args.test_ratio)
    written = {}
    for number in range(args.chunks):
        chunk = images[number * size : (number + 1) * size]
        pieces = {"": chunk}
        if args.train_ratio != 1.0:
            pieces = {"_test": chunk[:test]} if args.test_ratio else {}
            if args.train_ratio + args.test_ratio < 1.0:
                pieces["_val"] = chunk[test + train :]
            pieces["_train"] = chunk[test : test + train]
        for ending, piece in pieces.items():
            name = args.prefix + (f"_{number}" if args.chunks > 1 else "") + ending + ".lst"
            Path(name).write_text("".join(f"{key}\t{label:f}\t{path}\n" for key, path, label in piece))
            written[name] = len(piece)
    return written


def _read_list(path: Path) -> list[tuple[int, list[float], str]]:
    items, wrong = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = [f.strip() for f in line.strip().split("\t")]
        try:
            items.append((int(fields[0]), [float(f) for f in fields[1:-1]], fields[-1]))
        except ValueError:
            wrong.append(f"line {number}: {printable(line, 80)}")
            continue
        if len(fields) < 3:
            wrong.append(f"line {number}: no label")
    if wrong:
        raise DamagedError("the list is damaged", where=printable(path), expected="key, labels, path", details=wrong)
    return items


def _pack_lists(args: argparse.Namespace) -> dict[str, int]:
    prefix = Path(args.prefix)
    lists = sorted(p for p in prefix.parent.iterdir() if p.name.startswith(prefix.name) and p.suffix == ".lst")
    if not lists:
        raise UsageError("there is no list to pack", where=printable(f"{prefix}*.lst"), fix="make one with --list")
    return {str(path.with_suffix(".rec")): _pack(args, path) for path in lists}


def _pack(args: argparse.Namespace, path: Path) -> int:
    from evergraph.mxnet.recordio import MXIndexedRecordIO

    items = _read_list(path)
    with (
        MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path.with_suffix(".rec")), "w") as file,
        ThreadPoolExecutor(max(args.num_thread, 1)) as pool,
    ):
        # a hundred at a time: the images of a whole list would not fit into memory
        for begin in range(0, len(items), 100):
            part = items[begin : begin + 100]
            for item, record in zip(part, pool.map(partial(_record, args), part), strict=True):
                file.write_idx(item[0], record)
    return len(items)


def _record(args: argparse.Namespace, item: tuple[int, list[float], str]) -> bytes:
    from evergraph.mxnet.image.codecs import decode, encode
    from evergraph.mxnet.recordio import IRHeader, pack

    key, labels, name = item
    path = os.path.join(args.root, name)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StoreError("a listed image cannot be read", where=printable(path), found=error.strerror) from error
    label = labels if args.pack_label and len(labels) > 1 else labels[0]
    header = IRHeader(0, label, key, 0)
    if args.pass_through:
        return pack(header, data)
    image = _changed(decode(data, {0: "grey", 1: "colour"}.get(args.color, "as it is")), args)
    return pack(header, encode(image, args.encoding, args.quality))


def _changed(image: Any, args: argparse.Namespace) -> Any:
    import torch

    from evergraph.ops.families.image.resize import resize

    height, width = image.shape[:2]
    if args.center_crop and height != width:
        side = min(height, width)
        y, x = (height - side) // 2, (width - side) // 2
        image = image[y : y + side, x : x + side]
        height = width = side
    if not args.resize:
        return image
    tall = height > width
    size = (
        args.resize * height // width if tall else args.resize,
        args.resize if tall else args.resize * width // height,
    )
    pixels = torch.from_numpy(image.copy()).reshape(height, width, -1)
    return resize(pixels, *size).numpy()
