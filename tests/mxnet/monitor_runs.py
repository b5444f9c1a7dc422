"""Networks whose monitored names and values real MXNet recorded.

`python tests/mxnet/monitor_runs.py FILE`, run with MXNet 1.9.1, writes what a monitor is shown of each.
"""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import json
import pathlib
import sys

import numpy as np

# what MXNet's own graph passes add, and what oneDNN keeps: not to be compared
INNER = ("backward_input", "workspace", "sum_grad", "zeros_without")


def networks(mx):
    """Symbols, and shapes of their inputs, by name."""
    sym, x = mx.sym, mx.sym.Variable("data")
    plane, row = {"data": (2, 2, 4, 4)}, {"data": (2, 4)}

    def dense(of, name, count=4):
        return sym.FullyConnected(of, num_hidden=count, name=name)

    def loss(of):
        return sym.MakeLoss(of, name="ml")

    conv = sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=3, name="c1")
    lenet = sym.Activation(sym.BatchNorm(conv, fix_gamma=False, name="b1"), act_type="relu", name="r1")
    lenet = sym.Flatten(sym.Pooling(lenet, kernel=(2, 2), stride=(2, 2), pool_type="max", name="p1"), name="fl")
    both = sym.SliceChannel(x, num_outputs=2, axis=1, name="sl")
    weight = sym.Variable("sw")
    shared = sym.FullyConnected(x, weight, num_hidden=4, no_bias=True, name="f1")
    shared = sym.FullyConnected(shared, weight, num_hidden=4, no_bias=True, name="f2")
    moved = sym.transpose(sym.Reshape(dense(x, "f1"), shape=(-1, 2), name="rs"), name="tr")
    added = sym.broadcast_add(x, sym.Variable("w", shape=(1, 4)), name="ba") * 2 + 1 - x
    return {
        "conv": (sym.SoftmaxOutput(dense(lenet, "fc", 3), name="softmax"), plane),
        "concat": (sym.LinearRegressionOutput(sym.Concat(dense(x, "f1"), dense(x, "f2"), name="cc"), name="lro"), row),
        "slice": (loss(sym.sum(both[0] * both[1], name="s")), row),
        "arithmetic": (loss(added), row),
        "response": (loss(sym.LRN(conv, nsize=3, name="lrn")), plane),
        "layer": (loss(sym.LayerNorm(x, name="ln")), row),
        "group": (loss(sym.GroupNorm(x, num_groups=2, name="gn")), plane),
        "instance": (loss(sym.InstanceNorm(x, name="i_n")), plane),
        "length": (loss(sym.L2Normalization(dense(x, "f1"), name="l2n")), row),
        "shared": (sym.LinearRegressionOutput(shared, name="lro"), row),
        "greatest": (loss(sym.topk(dense(x, "f1"), k=2, ret_typ="both", name="tk")[0]), row),
        "residual": (sym.SoftmaxOutput(dense(dense(x, "f1") + x, "f2", 3), name="softmax"), row),
        "moved": (loss(moved), row),
        "padded": (loss(sym.Pad(conv, mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1), name="pd")), plane),
        "leaky": (loss(sym.LeakyReLU(dense(x, "f1"), name="lk")), row),
    }


def shown(mx, symbol, shapes, training, inputs):
    """(name, first values) of all that a monitor is shown; a row of dashes before the backward pass."""
    run = symbol.simple_bind(mx.cpu(), grad_req="write", **shapes)
    values = np.random.RandomState(1)
    for name, array in run.arg_dict.items():
        label = name.endswith("label")
        array[:] = mx.nd.array(values.randint(0, 3, array.shape) if label else values.uniform(-1, 1, array.shape))
    for name, array in run.aux_dict.items():
        array[:] = 2 if "var" in name else 0.5
    monitor = mx.mon.Monitor(1, stat_func=lambda x: x.astype("float32").reshape((-1,))[:6], monitor_all=inputs)
    monitor.install(run)
    monitor.tic()
    run.forward(is_train=training)
    if training:
        monitor.queue.append((0, "-", None))
        run.backward()
    mx.nd.waitall()
    rows = [(name, None if array is None else array.asnumpy().tolist()) for _, name, array in monitor.queue]
    return [row for row in rows if not any(part in row[0] for part in INNER)]


def given(mx):
    """All rows, by network and way."""
    ways = {"inference": (False, False), "inputs": (False, True), "training": (True, False)}
    return {
        f"{name} {way}": shown(mx, symbol, shapes, *options)
        for name, (symbol, shapes) in networks(mx).items()
        for way, options in ways.items()
    }


if __name__ == "__main__":
    import mxnet

    rows = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in given(mxnet).items()]
    pathlib.Path(sys.argv[1]).write_text("{\n" + ",\n".join(rows) + "\n}\n")
