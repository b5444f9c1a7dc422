"""Files: open, read, save, upgrade and convert, beside MXNet, safetensors and plain writes. Ratios of medians.

python -m benchmarks.files [--folder DIR] [--large] [--write]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

import evergraph as eg
from benchmarks.peers import Peer, alternate, human_seconds, machine, python_of, write_section
from evergraph.stores.writeback import wait_until_freed

VGG = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256)]
VGG += [(512, 512)] * 5
DENSE = [(4096, 25088), (4096, 4096), (1000, 4096)]
MEMORY = """
import resource, sys
{program}
with open("/proc/self/status") as status:
    lines = dict(l.split(":", 1) for l in status)
print(int(lines["VmHWM"].split()[0]))
"""


def vgg():
    """Arrays of VGG-16's sizes: 553 MB of float32."""
    rng = np.random.default_rng(0)
    arrays = {}
    for i, (out, into) in enumerate(VGG):
        arrays[f"arg:conv{i}_weight"] = rng.standard_normal((out, into, 3, 3), "float32")
        arrays[f"arg:conv{i}_bias"] = np.zeros(out, "float32")
    for i, shape in enumerate(DENSE):
        arrays[f"arg:fc{i}_weight"] = rng.standard_normal(shape, "float32")
        arrays[f"arg:fc{i}_bias"] = np.zeros(shape[0], "float32")
    return arrays


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def opening(folder, rows):
    """Open and list, from a mapped file in the page cache."""
    peer = folder / "vgg.safetensors"

    def mapped():
        with safetensors.safe_open(peer, "np") as file:
            return [(n, file.get_slice(n).get_shape()) for n in file.keys()]  # noqa: SIM118 - no mapping

    def ours(path):
        return lambda: timed(lambda: [(n, t.shape) for n, t in eg.open(path).items()])

    runs = {"safetensors": lambda: timed(mapped)}
    runs |= {kind: ours(folder / f"vgg.{kind}") for kind in ("params", "ckpt")}
    found = alternate(runs, 60)
    for kind in ("params", "ckpt"):
        rows.append((f"open and list .{kind}", found[kind], "safetensors, mapped", found["safetensors"], "<= 3"))


def settled(run):
    """A run on a quiet disk: what earlier ones have left to write or to free is done before it, not beside it."""

    def call():
        os.sync()
        wait_until_freed()
        return run()

    return call


def loading(path):
    """Every value, read into memory of its own."""
    return settled(lambda: timed(lambda: [t.numpy() for t in eg.open(path).load().values()]))


def plainly(data, path):
    """The least that a durable save can do: write its bytes, and wait for the disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def reading(folder, rows):
    """Every value, read."""
    python = python_of("mxnet")
    path = folder / "vgg.params"
    runs = {"copied": loading(path)}
    peer = None
    if python:
        peer = Peer(python)
        peer("import mxnet as mx")
        runs["mxnet"] = lambda: peer(f"mx.nd.load({str(path)!r}); mx.nd.waitall()")[0]
    found = alternate(runs, 5)
    if peer is not None:
        rows.append(
            ("read all values (in memory of their own)", found["copied"], "mx.nd.load", found["mxnet"], "<= 0.5")
        )
        peer.close()


def saving(folder, arrays, rows):
    """Save durably, against a plain write and fsync of the same bytes; and upgrade and convert against it."""
    source = folder / "vgg.params"
    data = source.read_bytes()
    target = folder / "out"

    def fresh(run):
        def call():
            for path in (target, folder / "out.params", folder / "out.safetensors"):
                path.unlink(missing_ok=True)
            return timed(run)

        return settled(call)

    runs = {
        "plain": fresh(lambda: plainly(data, target)),
        "save": fresh(lambda: eg.save(arrays, folder / "out.params")),
        "upgrade": fresh(lambda: eg.save(eg.open(source), folder / "out.params")),
        "convert": fresh(lambda: eg.convert(source, folder / "out.safetensors")),
    }
    python = python_of("mxnet")
    peer = None
    if python:
        peer = Peer(python)
        peer(f"import mxnet as mx; x = mx.nd.load({str(source)!r}); mx.nd.waitall()")
        runs["mxnet"] = fresh(lambda: peer(f"mx.nd.save({str(target)!r}, x)"))
    found = alternate(runs, 5)
    rows.append(("save .params, durable", found["save"], "write + fsync", found["plain"], "<= 1.15"))
    if peer is not None:
        rows.append(("save .params, durable", found["save"], "mx.nd.save (not durable)", found["mxnet"], ""))
        peer.close()
    rows.append(("copy .params in today's form", found["upgrade"], "write + fsync", found["plain"], "<= 1.3"))
    rows.append(("convert .params to safetensors", found["convert"], "write + fsync", found["plain"], "<= 1.3"))


def many(folder, rows):
    """A MindSpore checkpoint of 200 MB in 3,004 tensors, beside MindSpore."""
    python = python_of("mindspore")
    if not python:
        return
    rng = np.random.default_rng(1)
    arrays = {f"layer{i:04}.weight": rng.standard_normal((130, 128), "float32") for i in range(3004)}
    path, made, theirs, plain = (folder / f"{n}.ckpt" for n in ("many", "made", "theirs", "plain"))
    eg.save(arrays, path)
    data = path.read_bytes()
    peer = Peer(python)
    peer(f"import mindspore as ms; found = ms.load_checkpoint({str(path)!r})")
    peer("rows = [{'name': n, 'data': p} for n, p in found.items()]")
    runs = {
        "read": loading(path),
        "sum": settled(lambda: timed(lambda: [t.numpy().sum() for t in eg.open(path).values()])),
        "load": settled(lambda: peer(f"ms.load_checkpoint({str(path)!r})")[0]),
        "save": settled(lambda: timed(lambda: eg.save(arrays, made))),
        "plain": settled(lambda: timed(lambda: plainly(data, plain))),
        "theirs": settled(lambda: peer(f"ms.save_checkpoint(rows, {str(theirs)!r})")[0]),
    }
    found = alternate(runs, 9)
    peer.close()
    name, load = ".ckpt of 200 MB, 3,004 tensors", "mindspore.load_checkpoint"
    rows.append((f"read and add up all values of a {name}", found["sum"], f"{load} alone", found["load"], "<= 0.2"))
    rows.append((f"read all values of a {name}, into memory of their own", found["read"], load, found["load"], ""))
    save = f"save a {name}, durable"
    rows.append((save, found["save"], "mindspore.save_checkpoint (not durable)", found["theirs"], "<= 0.5"))
    rows.append((save, found["save"], "write + fsync", found["plain"], ""))


def memory(program):
    """Peak memory of a program in MB, pages of mapped files included."""
    out = subprocess.run(
        [sys.executable, "-c", MEMORY.format(program=program)], capture_output=True, text=True, check=True
    )
    return int(out.stdout.split()[0]) / 1024


def memories(folder, large, rows):
    """Peak memory beyond that of the same program on a file of one small array."""
    small, target = folder / "small.params", str(folder / "out.safetensors")
    beside = {
        "open and list": "[(n, t.shape) for n, t in eg.open({path!r}).items()]",
        "convert to safetensors": f"eg.convert({{path!r}}, {target!r})",
    }
    files = {"553 MB": folder / "vgg.params"} | ({"6 GB": folder / "large.params"} if large else {})
    if large:
        big = np.zeros((16, 1 << 20), "float32")
        eg.save({f"arg:w{i:02}": big for i in range(96)}, files["6 GB"])
    for what, limit in (("open and list", 20), ("convert to safetensors", 150)):
        program = "import evergraph as eg\n" + beside[what]
        base = memory(program.format(path=str(small)))
        for size, path in files.items():
            used = memory(program.format(path=str(path))) - base
            rows.append((f"memory to {what}, {size}", used, "limit", limit, "MB"))
    (folder / "large.params").unlink(missing_ok=True)


def chain(length):
    """Symbol JSON of a long network, of MXNet 0.9's form."""
    nodes, row = [{"op": "null", "name": "data", "inputs": []}], 0
    while len(nodes) < length:
        at, name = len(nodes), f"layer{len(nodes)}"
        nodes.append({"op": "null", "name": f"{name}_weight", "inputs": []})
        nodes.append({"op": "null", "name": f"{name}_bias", "inputs": []})
        attrs = {"num_hidden": "16"}
        inputs = [[row, 0], [at, 0], [at + 1, 0]]
        nodes.append({"op": "FullyConnected", "param": attrs, "name": name, "inputs": inputs, "backward_source_id": -1})
        nodes.append(
            {
                "op": "Activation",
                "param": {"act_type": "relu"},
                "name": f"{name}_relu",
                "inputs": [[at + 2, 0]],
                "backward_source_id": -1,
            }
        )
        row = at + 3
    args = [i for i, n in enumerate(nodes) if n["op"] == "null"]
    for n in nodes:
        n.setdefault("param", {})
    return json.dumps({"nodes": nodes, "arg_nodes": args, "heads": [[row, 0]]})


def symbols(folder, rows):
    """Parse, upgrade and write a graph of 10,000 nodes."""
    python = python_of("mxnet")
    if not python:
        return
    path = folder / "long-symbol.json"
    path.write_text(chain(10_000))
    code = (
        "from evergraph.graph import parse, to_json\n"
        "from evergraph.passes.upgrade import upgrade\n"
        f"text = open({str(path)!r}, 'rb').read()"
    )
    ours, peer = Peer(sys.executable), Peer(python)
    ours(code)
    peer(f"import mxnet as mx; text = open({str(path)!r}).read()")
    runs = {
        "ours": lambda: ours("answer = len(to_json(upgrade(parse(text)).graph))")[0],
        "mxnet": lambda: peer("answer = len(mx.sym.load_json(text).tojson())")[0],
    }
    found = alternate(runs, 15)
    rows.append(
        ("symbol of 10,000 nodes: parse, upgrade, write", found["ours"], "MXNet 1.9.1 (C++)", found["mxnet"], "<= 1")
    )
    ours.close(), peer.close()


def commands(folder, rows):
    """Whole processes, from the shell."""
    small = folder / "small.params"
    eg.save({"arg:w": np.zeros((3, 4), "float32")}, small)
    tool = str(Path(sys.executable).with_name("evergraph"))

    def call(*words):
        return lambda: timed(lambda: subprocess.run([tool, *words], check=True, capture_output=True))

    def bare():
        return timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))

    found = alternate({"bare": bare, "help": call("--help"), "inspect": call("inspect", str(small))}, 9)
    rows.append(("evergraph --help", found["help"], "limit", 0.2, "<= 1"))
    rows.append(("evergraph inspect small.params", found["inspect"], "limit", 0.4, "<= 1"))
    rows.append(("evergraph --help", found["help"], "python -c pass", found["bare"], ""))


def table(rows):
    lines = ["| what | evergraph | beside | its figure | ratio | wanted |", "|---|---:|---|---:|---:|---|"]
    for what, ours, peer, theirs, wanted in rows:
        if wanted == "MB":
            lines.append(f"| {what} | {ours:.0f} MB | {peer} | {theirs} MB | {ours / theirs:.2f} | <= 1 |")
            continue
        lines.append(
            f"| {what} | {human_seconds(ours)} | {peer} | {human_seconds(theirs)} | {ours / theirs:.2f} | {wanted} |"
        )
    return "\n".join(lines)


def plot(rows, path):
    """Ratios as bars: shorter is better, 1 is the peer."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    shown = [(f"{what}\nbeside {peer}", ours / theirs) for what, ours, peer, theirs, _ in rows if peer != "limit"]
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(shown) + 1))
    axes.barh([n for n, _ in shown][::-1], [r for _, r in shown][::-1], color="#3b6ea5")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("time, as a multiple of the peer's")
    axes.tick_params(axis="y", labelsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-files"))
    parser.add_argument("--large", action="store_true", help="show bounded memory on 6 GB too")
    parser.add_argument("--write", action="store_true", help="write table and plot into docs/")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    arrays, rows = vgg(), []
    eg.save(arrays, args.folder / "vgg.params")
    eg.save({n.removeprefix("arg:"): a for n, a in arrays.items()}, args.folder / "vgg.ckpt")
    safetensors.numpy.save_file(arrays, args.folder / "vgg.safetensors")
    for each in (opening, reading):
        each(args.folder, rows)
    saving(args.folder, arrays, rows)
    del arrays
    many(args.folder, rows)
    symbols(args.folder, rows)
    commands(args.folder, rows)
    memories(args.folder, args.large, rows)
    text = f"## Files\n\nVGG-16's sizes (553 MB), one run, medians; {machine()}, "
    text += f"safetensors {safetensors.__version__}.\n\n"
    text += f"{table(rows)}\n\n![Times as multiples of the peers'](img/files.svg)\n\n"
    text += (
        "Before each run what earlier ones left to write is on the disk, and what they replaced is freed: a save here\n"
    )
    text += "returns when the new file is durable, and a thread waits while the system frees the old one's blocks.\n\n"
    text += "Measured by `python -m benchmarks.files --write`."
    print(text)
    if args.write:
        page = Path(__file__).parents[1] / "docs" / "performance.md"
        plot(rows, page.parent / "img" / "files.svg")
        write_section(page, "files", text)


if __name__ == "__main__":
    main()
