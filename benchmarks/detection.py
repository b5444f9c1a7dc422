"""Detection and CTC operators at real sizes, beside MXNet 1.9.1: `python -m benchmarks.detection [--write]`."""

import argparse
import sys
from pathlib import Path

from benchmarks.peers import Peer, alternate, human_seconds, machine, python_of, write_section

PREPARE = """
import numpy as np, {module} as mx
r = np.random.RandomState(0)
n = 8732
corner, size = r.rand(n, 2), r.rand(n, 2) * 0.3
anchors = mx.nd.array(np.concatenate([corner, corner + size], 1)[None].astype("float32"))
start = r.rand(4, 100, 2) * 0.7
objects = np.concatenate([r.randint(0, 20, (4, 100, 1)), start, start + 0.1 + r.rand(4, 100, 2) * 0.2], 2)
objects = mx.nd.array(objects.astype("float32"))
classes = mx.nd.array(r.randn(4, 21, n).astype("float32"))
moves = mx.nd.array(r.randn(4, n * 4).astype("float32") * 0.1)
chances = mx.nd.softmax(classes, axis=1)
boxes = [r.randint(0, 20, (4, n, 1)), r.rand(4, n, 1), anchors.asnumpy().repeat(4, 0)]
boxes = mx.nd.array(np.concatenate(boxes, 2).astype("float32"))
overlaps = mx.nd.array(r.rand(n, 100).astype("float32"))
image = mx.nd.zeros((1, 3, 64, 64))
fore = mx.nd.softmax(mx.nd.array(r.rand(1, 18, 64, 64).astype("float32")), axis=1)
deltas, info = mx.nd.array(r.randn(1, 36, 64, 64).astype("float32") * 0.1), mx.nd.array([[1024, 1024, 1]])
plane = mx.nd.array(r.rand(1, 256, 50, 50).astype("float32"))
near = r.rand(300, 2) * 300
regions = mx.nd.array(np.concatenate([np.zeros((300, 1)), near, near + 10 + r.rand(300, 2) * 400], 1))
sound = mx.nd.array(r.randn(100, 32, 80).astype("float32"))
words = mx.nd.array(r.randint(1, 80, (32, 30)).astype("float32"))
mx.nd.waitall()
"""
CALLS = {
    "MultiBoxPrior": "MultiBoxPrior(image, sizes=(0.2, 0.3), ratios=(1, 2, 0.5))",
    "MultiBoxTarget, 4 x 100 objects": (
        "MultiBoxTarget(anchors, objects, classes, negative_mining_ratio=3, negative_mining_thresh=0.5)"
    ),
    "MultiBoxDetection, best 400": "MultiBoxDetection(chances, moves, anchors, nms_topk=400)",
    "MultiBoxDetection, all": "MultiBoxDetection(chances, moves, anchors)",
    "box_nms, best 400": "box_nms(boxes, overlap_thresh=0.45, valid_thresh=0.01, topk=400, id_index=0)",
    "box_nms, all": "box_nms(boxes, overlap_thresh=0.45, valid_thresh=0.01, topk=-1, id_index=0)",
    "bipartite_matching, 100 columns": "bipartite_matching(overlaps, threshold=0.5)",
    "Proposal, 36,864 anchors": "Proposal(fore, deltas, info, scales=(8, 16, 32), ratios=(0.5, 1, 2))",
    "ROIAlign, 300 regions": "ROIAlign(plane, regions, pooled_size=(7, 7), spatial_scale=0.0625, sample_ratio=2)",
    "CTCLoss, 100 steps of 80, batch 32": "CTCLoss(sound, words)",
}


def measure():
    """Median seconds of each call, here and in MXNet."""
    peers = {"evergraph": Peer(sys.executable, 2)}
    peers["evergraph"](PREPARE.format(module="evergraph.mxnet"))
    python = python_of("mxnet")
    if python:
        peers["mxnet"] = Peer(python, 2, MXNET_STORAGE_FALLBACK_LOG_VERBOSE="0")
        peers["mxnet"](PREPARE.format(module="mxnet"))
    found = {}
    for name, call in CALLS.items():
        space = "" if call.startswith("CTC") else "contrib."
        program = f"out = mx.nd.{space}{call}; [o.asnumpy() for o in (out if isinstance(out, list) else [out])]"
        runs = {who: (lambda peer=peer, program=program: peer(program)[0]) for who, peer in peers.items()}
        found[name] = alternate(runs, 7)
    for peer in peers.values():
        peer.close()
    return found


def main():
    """Measure, print, and with --write put the table into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    args = parser.parse_args()
    lines = ["| operator | evergraph | MXNet 1.9.1 | ratio |", "|---|---:|---:|---:|"]
    for name, times in measure().items():
        theirs = times.get("mxnet")
        shown = f"{human_seconds(theirs)} | {times['evergraph'] / theirs:.2f}" if theirs else "- | -"
        lines.append(f"| {name} | {human_seconds(times['evergraph'])} | {shown} |")
    text = f"## Detection and CTC\n\nReal sizes (8,732 anchors, batch 4, 2 threads), one run, medians; {machine()}.\n\n"
    text += "\n".join(lines) + "\n\nMeasured by `python -m benchmarks.detection --write`."
    print(text)
    if args.write:
        write_section(Path(__file__).parents[1] / "docs" / "performance.md", "detection", text)


if __name__ == "__main__":
    main()
