"""Whole networks from PyTorch to MindSpore's layers and back: the same outputs, the same bits, and how long it takes.

python -m benchmarks.crossing [--folder DIR] [--python MINDSPORES_PYTHON] [--rounds N] [--write]
"""

import argparse
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import torch

import evergraph as eg
import evergraph.mindspore as ms
from benchmarks.files import plot, table
from benchmarks.peers import Peer, alternate, machine, python_of, write_section
from tests.convert import networks

MOBILENET = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
NETWORKS = {
    "ResNet-50": (networks.resnet, {}, (1, 3, 224, 224)),
    "VGG-16": (networks.vgg, {}, (1, 3, 224, 224)),
    "MobileNet-v2": (networks.mobilenet, {"plan": MOBILENET, "classes": 1000}, (1, 3, 224, 224)),
    "BERT-base": (networks.bert, {}, (1, 64)),
    "LSTM": (networks.lstm, {"words": 20000, "width": 256, "hidden": 512}, (4, 50)),
}

# names and bits as MindSpore reads them
OPEN = """
import hashlib
import mindspore as ms
found = {{n: p for n, p in ms.load_checkpoint({path!r}).items() if not isinstance(p, str)}}
whole = hashlib.sha256()
for name in sorted(found):
    array = found[name].asnumpy()
    whole.update(f"{{name}} {{array.shape}} {{array.dtype}}".encode() + array.tobytes())
answer = whole.hexdigest()
"""


def digest(checkpoint):
    whole = hashlib.sha256()
    for name in sorted(checkpoint):
        array = checkpoint[name].numpy()
        whole.update(f"{name} {array.shape} {array.dtype}".encode() + array.tobytes())
    return whole.hexdigest()


def build(define, sizes):
    torch.manual_seed(1)
    net = define(networks.Torch, **sizes).eval()
    with torch.no_grad():
        for name, value in net.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.1)
    return net


def by_hand(source, target):
    """What a program without evergraph.convert does: torch reads, a loop renames, save_checkpoint writes."""
    state = torch.load(source, weights_only=True)  # noqa: TID251 - the peer is PyTorch's own reader
    owners = {n.rpartition(".")[0] for n in state if n.endswith("running_mean")}
    norms = {n.rpartition(".")[0] for n in state if n.endswith(".bias") and state[n[:-4] + "weight"].dim() == 1}
    rows = []
    for name, value in state.items():
        owner, _, leaf = name.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        if owner in owners | norms:
            leaf = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}.get(leaf, "moving_variance")
        if "embedding" in owner:
            leaf = "embedding_table"
        array = value.numpy()
        rows.append({"name": f"{owner}.{leaf}", "data": ms.Tensor(array[:, :, None] if array.ndim == 3 else array)})
    ms.save_checkpoint(rows, str(target))


def copied(source, target):
    """A copy of the bytes, durable."""
    with open(source, "rb") as read, open(target, "wb") as write:
        while chunk := read.read(1 << 24):
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())


def timed(run):
    def measure():
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return measure


def crossed(folder, name, peer):
    """One line of the table of results: everything is compared, and a difference ends the run."""
    define, sizes, shape = NETWORKS[name]
    source = build(define, sizes)
    pth, ckpt, back = folder / "net.pth", folder / "net.ckpt", folder / "back.pth"
    torch.save(source.state_dict(), pth)
    done = eg.convert(pth, ckpt)
    target = define(networks.MindSpore, **sizes)
    target.set_train(False)
    left, _ = ms.load_param_into_net(target, ms.load_checkpoint(str(ckpt)))
    assert left == [], left
    rng = np.random.default_rng(0)
    data = rng.integers(0, 1000, shape) if len(shape) == 2 else rng.normal(size=shape).astype("float32")
    with torch.no_grad():
        wanted = source(torch.from_numpy(data)).numpy()
    found = target(ms.Tensor(data)).asnumpy()
    apart = float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max()))
    assert apart <= 1e-5, apart
    eg.convert(ckpt, back)
    again = torch.load(back, weights_only=True)  # noqa: TID251 - PyTorch's own reader must take what was written
    assert all(torch.equal(again[n], t) and again[n].dtype == t.dtype for n, t in source.state_dict().items())
    beside = ""
    if peer is not None:
        assert peer(OPEN.format(path=str(ckpt)))[1] == digest(eg.open(ckpt)), "MindSpore reads other bits"
        beside = "yes"
    size = pth.stat().st_size / 1e6
    return f"| {name} | {done.tensors} | {size:.0f} MB | {f'{apart:.0e}' if apart else '0'} | yes | {beside} |"


def times(folder, rounds, rows):
    """How long the conversion of BERT's weights takes, beside a copy of the file and a program by hand."""
    pth, target = folder / "bert.pth", folder / "timed"
    torch.save(build(*NETWORKS["BERT-base"][:2]).state_dict(), pth)
    runs = {
        "convert": timed(lambda: eg.convert(pth, f"{target}.ckpt")),
        "back": timed(lambda: eg.convert(f"{target}.ckpt", f"{target}.pth")),
        "hand": timed(lambda: by_hand(pth, f"{target}-hand.ckpt")),
        "copy": timed(lambda: copied(pth, f"{target}.copy")),
    }
    found = alternate(runs, rounds)
    plain = timed(lambda: eg.convert(pth, f"{target}.ckpt", dry_run=True))
    rows.append(
        ("BERT-base, .pth to .ckpt", found["convert"], "torch.load, a loop, save_checkpoint", found["hand"], "")
    )
    rows.append(("BERT-base, .pth to .ckpt", found["convert"], "copy + fsync", found["copy"], "<= 1.3"))
    rows.append(("BERT-base, .ckpt to .pth", found["back"], "copy + fsync", found["copy"], "<= 1.3"))
    rows.append(("the table alone (--dry-run)", min(plain() for _ in range(3)), "copy + fsync", found["copy"], ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-files"))
    parser.add_argument(
        "--python", default=python_of("mindspore"), help="a Python with MindSpore, which opens the files"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of the measurement; 0 for the comparison alone")
    parser.add_argument("--only", choices=NETWORKS, action="append")
    parser.add_argument(
        "--write", action="store_true", help="put the tables and the plot into docs/ (convert.md, performance.md)"
    )
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    peer = Peer(args.python) if args.python else None
    lines = ["| network | tensors | file | outputs differ by | bits come back | MindSpore reads the same |"]
    lines += ["|---|---:|---:|---:|---|---|"]
    lines += [crossed(args.folder, name, peer) for name in args.only or NETWORKS]
    result = "\n".join(lines)
    print(result)
    pages = Path(__file__).parents[1] / "docs"
    if args.write and not args.only:
        write_section(pages / "convert.md", "crossing", result)
    if args.rounds and not args.only:
        measured(args, pages)


def measured(args, pages):
    """How long it takes, for the page of measurements."""
    rows: list = []
    times(args.folder, args.rounds, rows)
    text = "## Crossing frameworks\n\nBERT-base's weights, converted with their names and layouts, beside a program by "
    text += f"hand and a copy of the file. {machine()}, PyTorch {torch.__version__}.\n\n{table(rows)}\n\n"
    text += "![Times as multiples of the peers'](img/crossing.svg)\n\n"
    text += "Outputs and bits are compared in [Converting](convert.md). Measured by "
    text += "`python -m benchmarks.crossing --write`."
    print(text)
    if args.write:
        plot(rows, pages / "img" / "crossing.svg")
        write_section(pages / "performance.md", "crossing", text)


if __name__ == "__main__":
    main()
