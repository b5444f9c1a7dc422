"""Training: Module.fit and gluon beside loops in PyTorch, and beside MXNet. Medians of interleaved epochs.

python -m benchmarks.training [--only NAME... [--merge]] [--threads N...] [--turns N] [--busy] [--write]

EVERGRAPH_BENCH_MXNET names the Python of MXNet 1.9.1. The whole takes eight minutes; `--only` measures some parts, and
with `--merge` beside what the folder holds of others. With `--busy`, for machines on which others work, the fastest
epoch counts, and of one thread its processor time.
"""

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path

from benchmarks.peers import Peer, machine, python_of, write_section
from benchmarks.training_networks import BATCHES, GLUON, NETWORKS

ROOT = Path(__file__).parents[1]
# batches of an epoch, so that it takes most of a second
EPOCH = {"lenet": 50, "resnet20": 8, "lstm": 8, "mlp": 16}
TITLES = {
    "lenet": "LeNet, batch 64",
    "resnet20": "ResNet-20, 32x32, batch 32",
    "lstm": "LSTM language model, batch 32",
    "mlp": "wide MLP, batch 128",
    "gluon-lenet": "LeNet by gluon, batch 64",
    "gluon-resnet20": "ResNet-20 by gluon, 32x32, batch 32",
}
GLUONS = [f"gluon-{name}" for name in GLUON]
PARTS = [*NETWORKS, *GLUONS, "records", "saving"]
OURS, TORCH, LAST, MXNET = "evergraph", "PyTorch", "PyTorch, channels last", "MXNet 1.9.1"
BEGIN = f"""
import logging, sys, time, warnings
sys.path.insert(0, {str(ROOT)!r})
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
clock = time.{{clock}}
def timed(run):
    start = clock()
    run()
    return clock() - start
"""
MODULE = (
    BEGIN
    + "import {package} as mx\nfrom benchmarks.training_networks import {trainer}\n"
    + "run = {trainer}(mx, {name!r}, {batches})"
)
LOOP = (
    BEGIN
    + "import torch\ntorch.set_num_threads({threads})\nfrom benchmarks.training_loops import Loop\n"
    + "run = Loop({name!r}, {batches}, {last})"
)
PEAK = """
with open("/proc/self/status") as status:
    answer = int(dict(l.split(":", 1) for l in status)["VmHWM"].split()[0]) / 1024
"""


def programs(name, threads, batches, clock):
    """For each peer its Python, its environment and what it begins with."""
    trainer, name = "GluonTrainer" if name in GLUONS else "Trainer", name.removeprefix("gluon-")
    told = {"name": name, "batches": batches, "clock": clock, "threads": threads, "trainer": trainer}
    found = {OURS: (sys.executable, {}, MODULE.format(package="evergraph.mxnet", **told))}
    found[TORCH] = (sys.executable, {}, LOOP.format(last=False, **told))
    if name in ("lenet", "resnet20"):
        found[LAST] = (sys.executable, {}, LOOP.format(last=True, **told))
    if mxnet := python_of("mxnet"):
        found[MXNET] = (mxnet, {}, MODULE.format(package="mxnet", **told))
    return found


def throughput(name, threads, turns, busy):
    """Images or sentences in a second of each peer, and its peak memory in MB."""
    clock = "process_time" if busy and threads == 1 else "perf_counter"
    peers, taken, batches = {}, {}, EPOCH[name.removeprefix("gluon-")]
    for peer, (python, env, code) in programs(name, threads, batches, clock).items():
        peers[peer], taken[peer] = Peer(python, threads, **env), []
        peers[peer](code)
    for turn in range(turns + 2):
        for peer, process in peers.items():
            seconds = process("answer = timed(run.fit)")[1]
            if turn > 1:  # MXNet chooses its kernels in the first epoch, and memory grows
                taken[peer].append(seconds)
    number = batches * BATCHES[name.removeprefix("gluon-")]
    count = min if busy else statistics.median
    speed = {peer: number / count(each) for peer, each in taken.items()}
    peaks = {}
    for peer, process in peers.items():
        peaks[peer] = process(PEAK)[1]
        process.close()
    return {"speed": speed, "peak": peaks}


def bare_memory():
    """Peak memory in MB of processes that have imported evergraph.mxnet, and torch alone."""
    found = {}
    for what, code in (
        (OURS, "import evergraph.mxnet as mx; mx.mod, mx.nd.zeros(1)"),
        (TORCH, "import torch, numpy; torch.optim.SGD"),
    ):
        process = Peer(sys.executable, 1)
        process(code)
        found[what] = process(PEAK)[1]
        process.close()
    return found


RECORDS = """
rows = mx.io.ImageRecordIter(
    path_imgrec={path!r}, data_shape=(3, 224, 224), batch_size=32, preprocess_threads=1, resize=256, rand_crop=True,
    rand_mirror=True, mean_r=123.7, mean_g=116.8, mean_b=103.9, std_r=58.4, std_g=57.1, std_b=57.4
)
def read():
    rows.reset()
    for batch in rows:
        batch.data[0].wait_to_read()
"""
NUMBER = 192


def records(folder, turns, busy):
    """Images in a second that ImageRecordIter decodes and augments on one core."""
    import numpy as np

    from evergraph.mxnet import recordio

    path = folder / "images.rec"
    if not path.exists():
        rng = np.random.default_rng(0)
        sink = recordio.MXRecordIO(str(path), "w")
        for i in range(NUMBER):
            coarse = rng.integers(0, 256, (13, 17, 3)).astype("float32")
            image = np.kron(coarse, np.ones((29, 30, 1))) + rng.normal(0, 8, (377, 510, 3))
            head = recordio.IRHeader(0, float(i % 10), i, 0)
            sink.write(recordio.pack_img(head, np.clip(image, 0, 255).astype("uint8"), quality=90))
        sink.close()
    # MXNet decodes on threads of its own, beside the one that asks: the process's time counts them all
    clock = "process_time" if busy else "perf_counter"
    sides = [(OURS, sys.executable, "evergraph.mxnet")]
    mxnet = python_of("mxnet")
    sides += [(MXNET, mxnet, "mxnet")] if mxnet else []
    peers, taken = {}, {}
    for side, python, package in sides:
        peers[side], taken[side] = Peer(python, 1), []
        peers[side](BEGIN.format(clock=clock) + f"import {package} as mx\n" + RECORDS.format(path=str(path)))
    for turn in range(turns + 1):
        for side, process in peers.items():
            seconds = process("answer = timed(read)")[1]
            if turn:
                taken[side].append(seconds)
    for process in peers.values():
        process.close()
    count = min if busy else statistics.median
    return {"speed": {side: NUMBER / count(each) for side, each in taken.items()}}


SAVING = """
import numpy as np
import evergraph.mxnet as mx
net = mx.sym.Variable("data")
for i in range({layers}):
    net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=2048, name=f"fc{{i}}"), act_type="relu")
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10, name="last"), name="softmax")
rng = np.random.RandomState(0)
size = {size}
rows = mx.io.NDArrayIter(
    rng.uniform(-1, 1, (size, 2048)).astype("float32"), rng.randint(0, 10, size).astype("float32"), 128
)
module = mx.mod.Module(net)
save = mx.callback.do_checkpoint({prefix!r}, keep=1, background=True)
marks = []
def mark(epoch, *args):
    marks.append(clock())
    if epoch % 2:
        save(epoch, *args)
def train():
    module.fit(rows, num_epoch={epochs}, optimizer_params={{"learning_rate": 1e-3}}, epoch_end_callback=mark)
"""


def saving(folder, pairs, quick, busy):
    """Seconds of an epoch alone, and of one at whose beginning a save of 500 MB starts in the background."""
    layers, size = (30, 128 * 10) if not quick else (6, 128 * 10)
    process = Peer(sys.executable, 2)
    process(BEGIN.format(clock="perf_counter"))
    process(SAVING.format(layers=layers, size=size, prefix=str(folder / "behind"), epochs=2 * pairs + 2))
    marks = process("train(); answer = marks")[1]
    process.close()
    for path in folder.glob("behind*"):
        path.unlink()
    took = [b - a for a, b in itertools.pairwise(marks)]
    count = min if busy else statistics.median
    # the first epoch is not counted, for memory grows in it
    return {"alone": count(took[1::2]), "saving": count(took[0::2][1:])}


def rows_of(results):
    """The networks that were measured, each with its number of threads, in the order of the table."""
    return [f"{name}/{threads}" for name in TITLES for threads in (1, 2) if f"{name}/{threads}" in results]


def best_of(speed):
    """The faster one of the loops in PyTorch."""
    return max((p for p in (TORCH, LAST) if p in speed), key=speed.get)


def table(results):
    lines = [
        "| what | threads | evergraph | PyTorch | ratio | MXNet 1.9.1 | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key in rows_of(results):
        found = results[key]
        name, threads = key.split("/")
        speed = found["speed"]
        ours, best = speed[OURS], best_of(speed)
        mxnet = speed.get(MXNET)
        theirs = f"{speed[best]:,.0f}" + (" (channels last)" if best == LAST else "")
        beside = f"{mxnet:,.0f} | {ours / mxnet:.2f}" if mxnet else " | "
        lines.append(
            f"| {TITLES[name]}, samples/s | {threads} | {ours:,.0f} | {theirs} | {ours / speed[best]:.2f} | {beside} |"
        )
    if "records" in results:
        speed = results["records"]["speed"]
        ours, mxnet = speed[OURS], speed.get(MXNET)
        beside = f"{mxnet:,.0f} | {ours / mxnet:.2f}" if mxnet else " | "
        lines.append(f"| ImageRecordIter to 224x224, images/s | 1 | {ours:,.0f} | | | {beside} |")
    return "\n".join(lines)


def memories(results):
    """Peak memory beyond that of a bare process, as lines of a table."""
    bare = results["bare"]
    lines = [
        "| peak memory of training | evergraph | PyTorch | ratio | beyond the libraries |",
        "|---|---:|---:|---:|---:|",
    ]
    for key in rows_of(results):
        found = results[key]
        if not key.endswith("/1"):
            continue
        best, peak = best_of(found["speed"]), found["peak"]
        beyond = [peak[OURS] - bare[OURS], peak[best] - bare[TORCH]]
        lines.append(
            f"| {TITLES[key[:-2]]} | {peak[OURS]:.0f} MB | {peak[best]:.0f} MB | {peak[OURS] / peak[best]:.2f} |"
            f" {beyond[0]:.0f} / {beyond[1]:.0f} MB |"
        )
    return "\n".join(lines)


METHOD = """
Each row is one epoch of `Module.fit`, with its iterator and its metric, or of a hybridized block with gluon's loss and
trainer ("by gluon"), against an epoch of the loop that one writes by hand in PyTorch for the same network, without any
metric: loss, backward pass, `torch.optim.SGD(foreach=True)`. The loop is measured in both memory formats and the faster
one is shown. Every peer has a process of its own; epochs of about a second alternate between them, and medians are
compared. Convolutions train channels last by themselves; updates are made in the weights' own memory, in one pass,
activations and sums reuse memory that no gradient looks at, and what a step frees stays with the process for the next
one (up to 512 MB; glibc would give it back).
"""


def page(results):
    text = f"## Training\n\n{machine()}.\n\n{table(results)}\n\n![Throughput](img/training.svg)\n\n"
    if "bare" in results:
        text += memories(results) + "\n\n"
    if "saving" in results:
        alone, behind = results["saving"]["alone"], results["saving"]["saving"]
        text += f"An epoch of a network of 500 MB takes {alone:.1f} s, and {behind:.1f} s while it is saved behind"
        text += f" training ({behind / alone - 1:+.1%}).\n\n"
    return text + METHOD.strip() + "\n\nMeasured by `python -m benchmarks.training --write`."


def plot(results, path):
    """Throughput as multiples of the best loop in PyTorch: longer is better."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    keys = rows_of(results)
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(keys) + 1.2))
    for i, (peer, colour) in enumerate(((OURS, "#3b6ea5"), (MXNET, "#c0504d"))):
        values = [results[k]["speed"].get(peer, 0) / results[k]["speed"][best_of(results[k]["speed"])] for k in keys]
        places = [-j - 0.35 * i for j in range(len(keys))]
        axes.barh(places, values, 0.33, label=peer, color=colour)
    axes.set_yticks([-j - 0.17 for j in range(len(keys))])
    axes.set_yticklabels([f"{TITLES[k.split('/')[0]]}, {k.split('/')[1]} threads" for k in keys], fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("throughput of training, as a multiple of the best loop in PyTorch")
    axes.legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--merge", action="store_true", help="keep what an earlier run found of other parts")
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--busy", action="store_true", help="the fastest epoch counts; one thread: its processor time")
    parser.add_argument("--quick", action="store_true", help="few turns, and a save of 100 MB")
    parser.add_argument("--folder", type=Path, default=Path("bench-training"))
    parser.add_argument("--write", action="store_true", help="write table and plot into docs/")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    kept = args.folder / "training.json"
    results = json.loads(kept.read_text()) if args.merge and kept.exists() else {}
    turns = 3 if args.quick else args.turns

    def note(key, found):
        results[key] = found
        kept.write_text(json.dumps(results))
        print(key, json.dumps(found), flush=True)

    for name in (n for n in TITLES if n in args.only):
        for threads in args.threads:
            note(f"{name}/{threads}", throughput(name, threads, turns, args.busy))
    note("bare", bare_memory())
    if "records" in args.only:
        note("records", records(args.folder, turns, args.busy))
    if "saving" in args.only:
        note("saving", saving(args.folder, 2, args.quick, args.busy))
    print(page(results))
    if args.write:
        where = ROOT / "docs" / "performance.md"
        plot(results, where.parent / "img" / "training.svg")
        write_section(where, "training", page(results))


if __name__ == "__main__":
    main()
