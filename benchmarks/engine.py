"""Inference: whole networks beside MXNet, OpenVINO, onnxruntime and plain PyTorch. Medians of interleaved calls.

python -m benchmarks.engine [--quick] [--networks NAME...] [--batches N...] [--threads N...] [--folder DIR] [--write]
python -m benchmarks.engine --kept --write
python -m benchmarks.engine --shapes

Interpreters of the peers: EVERGRAPH_BENCH_MXNET, and EVERGRAPH_BENCH_ONNXRUNTIME (this Python's version, with
onnxruntime and onnx). What was measured is kept in the folder, so that runs of parts fill one table (`--kept` measures
nothing more). All of it takes about eight minutes on two idle cores; the first run also makes the networks' files, and
takes minutes longer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.networks import NETWORKS, Symbols, input_of, parameters, resnet
from benchmarks.peers import Peer, machine, python_of, write_section
from benchmarks.runners import RUNNERS

BEFORE = """
import sys
import numpy as np
from benchmarks.runners import RUNNERS, measure, outputs, peak_memory
x = np.load({data!r})
run = RUNNERS[{peer!r}]({stem!r}, x, {threads})
outputs(run, {path!r})
"""
BYTES = 1 << 20
ENOUGH = {1: 6.0}
"""Seconds after which no new round of all peers is begun, by the batch (10 for others)."""


def interpreters():
    """The Python of each peer that is there, and its environment."""
    mine, found = sys.executable, {}
    for name in RUNNERS:
        python = mine
        if name.startswith("MXNet"):
            python = python_of("mxnet")
        elif name == "onnxruntime":
            python = python_of("onnxruntime")
        if python and not ("bfloat16" in name and not has_bfloat16()):
            found[name] = python, {"MXNET_SUBGRAPH_BACKEND": "NONE"} if name == THEIRS else {}
    return found


def has_bfloat16():
    """Whether the processor computes in bfloat16: elsewhere nothing is to be won, and it is not measured."""
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and any(f in cpu.read_text() for f in ("avx512_bf16", "amx_bf16"))


def prepare(folder, name, batch):
    """The network's files as MXNet's checkpoint, and its input; returns their stem."""
    import evergraph.mxnet as mx

    stem = folder / f"{name}-b{batch}"
    if stem.with_name(f"{stem.name}.npy").exists():
        return stem
    make, _ = NETWORKS[name]
    symbol = mx.sym.Group(make(Symbols(mx.sym), mx.sym.Variable("data"), batch=batch))
    x = input_of(name, batch)
    found, _, states = symbol.infer_shape(data=x.shape)
    arguments = {n: s for n, s in zip(symbol.list_arguments(), found, strict=True) if n != "data"}
    auxiliary = dict(zip(symbol.list_auxiliary_states(), states, strict=True))
    values = parameters(arguments | auxiliary)
    symbol.save(f"{stem}-symbol.json")
    mx.nd.save(
        f"{stem}-0000.params", {("arg:" if n in arguments else "aux:") + n: mx.nd.array(v) for n, v in values.items()}
    )
    np.save(f"{stem}.npy", x)
    return stem


def export(stem, python):
    """Write the network's ONNX file, by this Python and the onnx package of onnxruntime's."""
    if Path(f"{stem}.onnx").exists():
        return
    paths = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    data = f"np.load({f'{stem}.npy'!r})"
    code = f"import numpy as np; from benchmarks.runners import export_onnx; export_onnx({str(stem)!r}, {data})"
    env = dict(os.environ, PYTHONPATH=paths)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=env, capture_output=True)


def run(folder, name, batch, threads, pythons, busy=False):
    """Milliseconds and peak memory of each peer, after their results were found equal."""
    stem, peers, wanted = prepare(folder, name, batch), {}, None
    if "onnxruntime" in pythons:
        export(stem, pythons["onnxruntime"][0])
    try:
        begun = {}
        for peer, (python, environment) in pythons.items():
            peers[peer], path = Peer(python, threads, **environment), str(folder / f"{len(peers)}.npz")
            begun[peer] = BEFORE.format(data=f"{stem}.npy", peer=peer, stem=str(stem), threads=threads, path=path), path
            peers[peer].begin(begun[peer][0])
        for peer, (code, path) in begun.items():
            peers[peer].finish(code)
            with np.load(path) as file:
                found = [file[f"arr_{i}"] for i in range(len(file.files))]
            wanted = wanted or found
            agree(peer, found, wanted)
        taken, clock = {peer: [] for peer in peers}, "process_time" if busy else "perf_counter"
        begun_at, rounds = time.perf_counter(), 0
        while not rounds or (rounds < 7 and time.perf_counter() - begun_at < ENOUGH.get(batch, 10)):
            rounds += 1
            for peer, process in peers.items():
                each = f"{0.25 if batch == 1 else 0}, 9, {batch == 1}, {clock!r}"
                taken[peer] += process(f"answer = measure(run, {each})")[1]
        return {peer: figures(taken[peer], process("answer = peak_memory()")[1]) for peer, process in peers.items()}
    finally:
        for process in peers.values():
            process.close()


def figures(seconds, memory):
    return {"ms": 1000 * statistics.median(seconds), "least": 1000 * min(seconds), "mb": memory / BYTES}


def agree(peer, found, wanted):
    """Stop where a peer computes something else: then its time says nothing."""
    limit = 0.1 if "bfloat16" in peer else 1e-4
    for a, b in zip(found, wanted, strict=True):
        worst = float(np.abs(a - b).max() / np.abs(b).max())
        if a.shape != b.shape or not worst <= limit:
            raise SystemExit(f"{peer} computes other values: {worst:.2g} of the largest apart")


MINE, ACCELERATED, HALF = list(RUNNERS)[:3]
THEIRS = "MXNet 1.9.1"
TARGETS = (
    (ACCELERATED, "OpenVINO", 1.05, "all"),
    (ACCELERATED, "MXNet 1.9.1, fused", 1.0, "all"),
    (ACCELERATED, THEIRS, 1.0, "all"),
    (HALF, "OpenVINO bfloat16", 1.05, "all"),
    (HALF, "MXNet 1.9.1, fused", 1 / 3, "all"),
    (MINE, "OpenVINO", 1.3, "convolutional"),
    (MINE, THEIRS, 1.0, "all"),
    (MINE, "torch by hand", 1.0, "all"),
)
"""(who, beside whom, ratio that is wanted, on which networks)."""


def ratios(results):
    """Rows (network, batch, threads, who, beside whom, ratio, wanted)."""
    rows = []
    for key, found in results.items():
        name, batch, threads = key.split("|")
        for who, beside, wanted, which in TARGETS:
            if who in found and beside in found and (which == "all" or name != "LSTM"):
                rows.append((name, batch, threads, who, beside, found[who]["ms"] / found[beside]["ms"], wanted))
    return rows


def libraries(pythons):
    """Peak memory, in MB, of processes that have imported PyTorch and MXNet, and done nothing."""
    found = {}
    for peer, code in ((MINE, "import torch"), (THEIRS, "import mxnet")):
        if peer in pythons:
            python, environment = pythons[peer]
            process = Peer(python, 1, **environment)
            process(f"from benchmarks.runners import peak_memory; {code}")
            found[peer] = process("answer = peak_memory()")[1] / BYTES
            process.close()
    return found


def memories(results, bare):
    """What networks take beyond their library, as lines of a table."""
    if not {MINE, THEIRS} <= bare.keys():
        return []
    lines = [
        f"\nOf that, beyond what importing PyTorch ({bare[MINE]:.0f} MB) or MXNet ({bare[THEIRS]:.0f} MB) takes, MB:\n",
        f"| network, batch | {MINE} | {THEIRS} | ratio |\n|---|---:|---:|---:|",
    ]
    most = max(key.rpartition("|")[2] for key in results)
    for key, found in results.items():
        name, batch, threads = key.split("|")
        if threads == most and {MINE, THEIRS} <= found.keys():
            mine, theirs = (found[p]["mb"] - bare[p] for p in (MINE, THEIRS))
            lines.append(f"| {name}, {batch} | {mine:.0f} | {theirs:.0f} | {mine / theirs:.2f} |")
    return lines


def tables(results, bare):
    """Times for each batch and number of threads, then memory, then what was wanted."""
    lines = []
    places = sorted({tuple(map(int, key.split("|")[1:])) for key in results}, key=lambda p: (p[0], -p[1]))
    peers = [p for p in RUNNERS if any(p in found for found in results.values())]
    head = f"| network | {' | '.join(peers)} |\n|---|{'---:|' * len(peers)}"
    for batch, threads in places:
        lines += [f"\nBatch {batch}, {threads} thread{'s' * (threads > 1)}, ms:\n", head]
        for name in NETWORKS:
            found = results.get(f"{name}|{batch}|{threads}")
            if found:
                cells = [f"{found[p]['ms']:.1f}" if p in found else "" for p in peers]
                lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["\nPeak memory of the process, MB:\n", head.replace("| network |", "| network, batch |")]
    for key, found in results.items():
        name, batch, threads = key.split("|")
        if threads == str(max(t for _, t in places)):
            cells = [f"{found[p]['mb']:.0f}" if p in found else "" for p in peers]
            lines.append(f"| {name}, {batch} | {' | '.join(cells)} |")
    lines += memories(results, bare)
    return "\n".join(
        [*lines, "\nRatios, the worst of all networks, batches and numbers of threads:\n", *summary(results)]
    )


def summary(results):
    rows = ratios(results)
    lines = ["| who | beside | median ratio | worst | on | wanted |", "|---|---|---:|---:|---|---:|"]
    for who, beside, wanted, _ in TARGETS:
        each = [(r[5], f"{r[0]}, batch {r[1]}, {r[2]} thr.") for r in rows if r[3:5] == (who, beside)]
        if each:
            middle, worst = statistics.median(e[0] for e in each), max(each)
            lines.append(f"| {who} | {beside} | {middle:.2f} | {worst[0]:.2f} | {worst[1]} | <= {wanted:.2f} |")
    memory = [f[MINE]["mb"] / f[THEIRS]["mb"] for f in results.values() if {MINE, THEIRS} <= set(f)]
    if memory:
        place = f"| {MINE}: peak memory | {THEIRS} | {statistics.median(memory):.2f} | {max(memory):.2f} |"
        lines.append(f"{place} | <= 1.20 |")
    missed = [f"{r[0]} (batch {r[1]}, {r[2]} thr.) {r[3]} beside {r[4]}: {r[5]:.2f}" for r in rows if r[5] > r[6]]
    return [*lines, "", f"Of {len(rows)} ratios {len(missed)} miss what was wanted" + (":\n" if missed else "."),
            *(f"- {m}" for m in missed)]  # fmt: skip


METHOD = """\
Each network is written once over a few layers and made both as a graph, saved as an MXNet checkpoint with seeded \
weights, and as plain PyTorch calls on the same weights. MXNet and evergraph open the checkpoint; raw OpenVINO and \
onnxruntime get the PyTorch form, traced and exported. Each peer runs in a process of its own with the same number of \
threads; all results must agree to 1e-4 of the largest before anything is timed, then the peers take turns, and a \
figure is the median over all turns (float32). MXNet runs with its oneDNN kernels, fused is with its default graph \
fusion. Memory is the process's high-water mark, libraries included: importing PyTorch alone takes more than some \
small networks take with MXNet in all, so that what is beyond the libraries is shown too."""


def without_bfloat16(results):
    if any(HALF in found for found in results.values()):
        return ""
    return "\n\nThis processor has no bfloat16 arithmetic, so bfloat16 was not measured."


def plot(results, path):
    """Times of batch 1 as multiples of OpenVINO's own, for each network."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "evergraph"
    import matplotlib.pyplot as plt

    threads = max(key.rpartition("|")[2] for key in results if "|1|" in key)
    shown = [n for n in NETWORKS if f"{n}|1|{threads}" in results]
    peers = [p for p in RUNNERS if any(p in found for found in results.values()) and p != "OpenVINO"]
    colors = ["#1b4f72", "#3b6ea5", "#7fb3d5", "#b9770e", "#dc7633", "#7d6608", "#999999", "#555555"]
    figure, axes = plt.subplots(figsize=(9, 4))
    for i, peer in enumerate(peers):
        found = [results[f"{n}|1|{threads}"] for n in shown]
        heights = [f[peer]["ms"] / f["OpenVINO"]["ms"] if peer in f else 0 for f in found]
        places = [k + (i - len(peers) / 2) * 0.8 / len(peers) for k in range(len(shown))]
        axes.bar(places, heights, 0.8 / len(peers), label=peer, color=colors[i])
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(shown)), shown)
    axes.set_ylabel(f"time, OpenVINO = 1 (batch 1, {threads} threads)", fontsize=8)
    axes.legend(fontsize=7, ncols=3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


SHAPES = """
import time
import evergraph as eg, numpy as np
from evergraph.passes.upgrade import upgrade
from evergraph.passes.shapes import infer_shapes
from evergraph.engine import predictor
import evergraph.engine.prediction, evergraph.ops
evergraph.ops.names()
graph = upgrade(eg.open({stem!r} + "-symbol.json").graph).graph
def timed(run):
    start = time.perf_counter()
    found = run()
    return found, time.perf_counter() - start
shapes, first = timed(lambda: infer_shapes(graph, {{"data": (1, 3, 224, 224)}}))
again = min(timed(lambda: infer_shapes(graph, {{"data": (1, 3, 224, 224)}}))[1] for _ in range(5))
tensors = eg.open({stem!r} + "-0000.params")
x = evergraph.engine.prediction.torch.zeros(1, 3, 224, 224)
{{t.numpy().sum() for t in tensors.values()}}
predict, made = timed(lambda: predictor(graph, tensors, engine="torch"))
_, lowered = timed(lambda: predict.prepare([x]))
answer = [len(graph.nodes), first, again, made + lowered]
"""


def shapes(folder):
    """Seconds to infer ResNet-152's shapes and to make its plan, each in a fresh process."""
    stem = folder / "ResNet-152-b1"
    NETWORKS.setdefault("ResNet-152", (lambda b, x, batch: resnet(b, x, (3, 8, 36, 3), batch), (3, 224, 224)))
    prepare(folder, "ResNet-152", 1)
    NETWORKS.pop("ResNet-152")
    found = []
    for _ in range(3):
        peer = Peer(sys.executable, 2)
        found.append(peer(SHAPES.format(stem=str(stem)))[1])
        peer.close()
    nodes, first, again, made = (statistics.median(column) for column in zip(*found, strict=True))
    return [
        f"ResNet-152 ({nodes} nodes): shapes inferred in {1000 * first:.0f} ms the first time ({1000 * again:.0f} ms",
        f"later; wanted: 50), its plan made and lowered for PyTorch in {made:.2f} s (wanted: 1).",
    ]


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench-engine"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--peers", nargs="+", choices=RUNNERS, help="these only, with what they are measured against")
    parser.add_argument("--quick", action="store_true", help="batch 1, two threads: under four minutes")
    parser.add_argument(
        "--busy", action="store_true", help="for one thread: its processor time, where others work here"
    )
    parser.add_argument("--kept", action="store_true", help="measure nothing: tables of what was measured before")
    parser.add_argument("--shapes", action="store_true", help="only shape inference and planning of ResNet-152")
    parser.add_argument("--write", action="store_true", help="write tables and plot into docs/")
    return parser.parse_args()


def main():
    args = options()
    args.folder.mkdir(parents=True, exist_ok=True)
    kept = args.folder / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    bare = libraries(interpreters()) if args.write else {}
    planned = "\n".join(shapes(args.folder)) if args.shapes or args.write else ""
    if args.shapes:
        print(planned)
        return
    if args.quick:
        args.batches, args.threads = [1], [2]
    pythons = {p: v for p, v in interpreters().items() if not args.peers or p in args.peers}
    for name in () if args.kept else args.networks:
        for batch in args.batches:
            for threads in args.threads if batch == 1 else args.threads[:1]:
                start, key = time.perf_counter(), f"{name}|{batch}|{threads}"
                results[key] = run(args.folder, name, batch, threads, pythons, args.busy and threads == 1)
                shown = ", ".join(f"{p} {v['ms']:.1f}" for p, v in results[key].items())
                print(f"{key} ({time.perf_counter() - start:.0f} s): {shown}", flush=True)
                kept.write_text(json.dumps(results))
    text = f"## Inference\n\n{machine()}. {METHOD}{without_bfloat16(results)}\n"
    text += f"{tables(results, bare)}\n\n{planned}\n\n![Times as multiples of OpenVINO's](img/inference.svg)\n\n"
    text += "Measured by `python -m benchmarks.engine --write`."
    print(text)
    if args.write:
        page = Path(__file__).parents[1] / "docs" / "performance.md"
        plot(results, page.parent / "img" / "inference.svg")
        write_section(page, "inference", text)


if __name__ == "__main__":
    main()
