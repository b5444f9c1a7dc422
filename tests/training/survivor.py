"""A training that is killed and started again, as a program: `python survivor.py FOLDER KIND KILLS EPOCHS`.

KILLS are counts of batches (`3`), or seconds after the first batch (`0.02s`), joined by commas: then the process is
killed by SIGKILL, and the next one begins anew. How many kills there were is printed.
What the training ends with goes to `killed.npz`, and to `whole.npz` what one ends with that was never killed.
"""

import importlib
import os
import random
import signal
import sys
import threading
from pathlib import Path

import numpy as np

import evergraph.mxnet as mx

ROWS = np.random.default_rng(0).normal(size=(60, 6)).astype("f")
CLASSES = (ROWS[:, 0] > 0).astype("f") + (ROWS[:, 1] > 0.5)


def network():
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=8, name="fc1")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Activation(net, act_type="tanh", name="act")
    net = mx.sym.Dropout(net, p=0.3, name="drop")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def data(kind):
    """Batches, as different as programs have them."""
    arrays = mx.io.NDArrayIter(ROWS, CLASSES, 8, shuffle=True, last_batch_handle="roll_over")
    if kind == "ahead":
        return mx.io.PrefetchingIter(mx.io.ResizeIter(arrays, 6))
    if kind == "loader":
        import torch

        rows = torch.utils.data.TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(CLASSES))
        return torch.utils.data.DataLoader(rows, batch_size=10, shuffle=True)
    return arrays


SETTINGS = {
    "arrays": ("adam", {"learning_rate": 0.02}),
    "ahead": ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-3}),
    "loader": ("nadam", {"learning_rate": 0.01}),
    "devices": ("sgd", {"learning_rate": 0.1, "momentum": 0.9}),
}


def train(out, folder, kind, kill, epochs, **asked):
    random.seed(7)
    np.random.seed(7)
    mx.random.seed(7)
    importlib.import_module("torch").manual_seed(7)
    scheduler = mx.lr_scheduler.FactorScheduler(step=5, factor=0.9, base_lr=SETTINGS[kind][1]["learning_rate"])
    devices = [mx.cpu(0), mx.cpu(1)] if kind == "devices" else mx.cpu()
    module, seen = mx.mod.Module(network(), context=devices), []
    count = [0]

    def after(param):
        count[0] += 1
        np.random.rand()  # callbacks draw too
        if count[0] == 1 and kill.endswith("s"):
            threading.Timer(float(kill[:-1]), os.kill, (os.getpid(), signal.SIGKILL)).start()
        if str(count[0]) == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    module.fit(
        data(kind),
        eval_data=mx.io.NDArrayIter(ROWS[:20], CLASSES[:20], 10, shuffle=True),
        eval_metric=["acc", "ce"],
        optimizer=SETTINGS[kind][0],
        optimizer_params={**SETTINGS[kind][1], "lr_scheduler": scheduler},
        initializer=mx.init.Xavier(),
        kvstore="local" if kind != "devices" else "device",
        num_epoch=epochs,
        batch_end_callback=after,
        eval_end_callback=lambda p: seen.append(p.eval_metric.get_name_value()),
        checkpoint=None if folder is None else mx.callback.TrainingCheckpoint(folder, **asked),
    )
    args, auxs = module.get_params()
    found = {**{f"arg:{k}": v.asnumpy() for k, v in args.items()}, **{f"aux:{k}": v.asnumpy() for k, v in auxs.items()}}
    found["last validation"] = np.array([v for _, v in seen[-1]]) if seen else np.zeros(0)
    np.savez(out, **found)


def preload():
    """Import what every child needs, once; nothing is computed before the children begin."""
    for name in ("evergraph.mxnet.module", "evergraph.mxnet.random", "torch.utils.data", "torch._meta_registrations"):
        importlib.import_module(name)
    importlib.import_module("torch.fx.experimental.symbolic_shapes")
    assert mx.mod.Module
    assert mx.callback.TrainingCheckpoint
    assert mx.init.Xavier
    assert mx.io.PrefetchingIter


def child(kill, *args, **asked):
    """Train in a child process; its wait status."""
    process = os.fork()
    if not process:
        train(*args[:3], kill, *args[3:], **asked)
        sys.stdout.flush()
        os._exit(0)
    return os.waitpid(process, 0)[1]


def main(folder, kind, kills, epochs, batches="1", background="1"):
    place, asked = Path(folder), {"batches": int(batches), "background": background == "1"}
    preload()
    if child("", place / "whole.npz", place / "whole", kind, int(epochs), **asked):
        return 1
    points = [k for k in kills.split(",") if k]
    for done, kill in enumerate([*points, ""]):
        status = child(kill, place / "killed.npz", place / "killed", kind, int(epochs), **asked)
        if (place / "killed.npz").exists():
            sys.stdout.write(f"{done} kills\n")
            return 0  # it came to its end, perhaps before its time
        if not kill or not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.stderr.write(f"kill at {kill}: status {status}\n")
            return 1
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
