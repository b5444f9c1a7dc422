"""The MindSpore face beside MindSpore 2.10, safetensors, OpenSSL and plain PyTorch. Ratios of interleaved medians.

python -m benchmarks.mindspore [--folder DIR] [--python MINDSPORES_PYTHON] [--rounds N] [--write]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.files import plot, table
from benchmarks.peers import Peer, alternate, machine, python_of, write_section

TENSORS, SHAPE = 3004, (130, 128)

# the files' content, made alike on both sides
ROWS = f"""
import numpy as np
rng = np.random.default_rng(1)
rows = [{{"name": f"layer{{i:04}}.weight", "data": ms.Tensor(rng.standard_normal({SHAPE}, "float32"))}}
        for i in range({TENSORS})]
key = b"0123456789abcdef"
"""

LENET = """
class LeNet(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, pad_mode="valid")
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
        self.fc1 = nn.Dense(400, 120)
        self.fc2 = nn.Dense(120, 84)
        self.fc3 = nn.Dense(84, 10)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2, 2)
        self.flatten = nn.Flatten()
    def construct(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.flatten(self.pool(self.relu(self.conv2(x))))
        return self.fc3(self.relu(self.fc2(self.relu(self.fc1(x)))))
ms.set_context(mode=ms.PYNATIVE_MODE)
net = LeNet()
loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
step = nn.TrainOneStepCell(nn.WithLossCell(net, loss), nn.Momentum(net.trainable_params(), 0.01, 0.9))
step.set_train()
x = ms.Tensor(np.random.default_rng(0).standard_normal((64, 1, 32, 32), "float32"))
y = ms.Tensor(np.arange(64, dtype="int32") % 10)
def train(count):
    for _ in range(count):
        value = step(x, y)
    return float(value.asnumpy())
train(3)
"""

TORCH_LENET = """
import numpy as np, torch
from torch import nn
net = nn.Sequential(
    nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9)
loss = nn.CrossEntropyLoss()
x = torch.from_numpy(np.random.default_rng(0).standard_normal((64, 1, 32, 32), "float32"))
y = torch.arange(64) % 10
def train(count):
    for _ in range(count):
        optimizer.zero_grad()
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
    return value.item()
train(3)
"""


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def imports(python, rounds, rows):
    """Whole processes, up to the import."""

    def whole(interpreter, line):
        return lambda: timed(lambda: subprocess.run([interpreter, "-c", line], check=True, capture_output=True))

    runs = {
        "ours": whole(sys.executable, "import evergraph.mindspore"),
        "names": whole(sys.executable, "from evergraph.mindspore import Model, Tensor, load_checkpoint, nn"),
        "torch": whole(sys.executable, "import torch"),
    }
    runs |= {"theirs": whole(python, "import mindspore")} if python else {}
    found = alternate(runs, rounds)
    rows.append(("import evergraph.mindspore", found["ours"], "limit", 1.5, "<= 1"))
    if python:
        rows.append(
            ("from evergraph.mindspore import nn, ...", found["names"], "import mindspore", found["theirs"], "")
        )
    rows.append(("from evergraph.mindspore import nn, ...", found["names"], "import torch", found["torch"], ""))


def files(folder, python, rounds, rows):
    """200 MB in 3,004 tensors: load, save, checksums, encryption."""
    ours, peer = Peer(sys.executable), Peer(python) if python else None
    ours("import evergraph.mindspore as ms, safetensors.torch" + ROWS)
    ours("held = {r['name']: r['data'].torch for r in rows}")
    if peer is not None:
        peer("import mindspore as ms" + ROWS)
    names = {n: str(folder / n) for n in ("plain.ckpt", "crc.ckpt", "gcm.ckpt", "o.ckpt", "t.ckpt", "s.safetensors")}
    setup = (
        f"ms.save_checkpoint(rows, {names['plain.ckpt']!r}); "
        f"ms.save_checkpoint(rows, {names['crc.ckpt']!r}, crc_check=True); "
        f"ms.save_checkpoint(rows, {names['gcm.ckpt']!r}, enc_key=key)"
    )
    ours(setup)
    both = {
        "load": f"found = ms.load_checkpoint({names['plain.ckpt']!r})",
        "load crc": f"found = ms.load_checkpoint({names['crc.ckpt']!r}, crc_check=True)",
        "load gcm": f"found = ms.load_checkpoint({names['gcm.ckpt']!r}, dec_key=key)",
        "save": "ms.save_checkpoint(rows, {path!r})",
        "save crc": "ms.save_checkpoint(rows, {path!r}, crc_check=True)",
        "save gcm": "ms.save_checkpoint(rows, {path!r}, enc_key=key)",
    }
    runs = {}
    for what, code in both.items():
        runs[what] = lambda c=code: ours(c.format(path=names["o.ckpt"]))[0]
        if peer is not None:
            runs[f"{what}, theirs"] = lambda c=code: peer(c.format(path=names["t.ckpt"]))[0]
    values = "; total = sum(p.asnumpy().size for p in found.values())"
    runs["values"] = lambda: ours(both["load"] + values)[0]
    runs["values crc"] = lambda: ours(both["load crc"] + values)[0]
    runs["safetensors"] = lambda: ours(f"safetensors.torch.save_file(held, {names['s.safetensors']!r})")[0]
    ours("from cryptography.hazmat.primitives.ciphers.aead import AESGCM; import os; data = bytes(200_000_000)")
    runs["openssl"] = lambda: ours("sealed = AESGCM(key).encrypt(b'0' * 12, data, None); del sealed")[0]
    ours("from evergraph.stores.writeback import wait_until_freed")

    def settled(run):
        def call():
            # what earlier runs have left to write or to free is done before a run, not beside it
            os.sync()
            ours("wait_until_freed()")
            return run()

        return call

    found = alternate({what: settled(run) for what, run in runs.items()}, rounds)
    _file_rows(found, peer is not None, rows)
    ours.close()
    if peer is not None:
        peer.close()


def _file_rows(found, beside, rows):
    if beside:
        for what, ours, theirs, wanted in (
            ("load_checkpoint, values as they are used", "load", "load", "<= 0.2"),
            ("load_checkpoint, and read every value", "values", "load", "<= 0.2"),
            ("load_checkpoint, crc_check", "load crc", "load crc", "<= 0.33"),
            ("load_checkpoint, crc_check, and read every value", "values crc", "load crc", ""),
            ("load_checkpoint, AES-GCM", "load gcm", "load gcm", ""),
            ("save_checkpoint, durable", "save", "save", "<= 1"),
            ("save_checkpoint, crc_check, durable", "save crc", "save crc", ""),
            ("save_checkpoint, AES-GCM, durable", "save gcm", "save gcm", ""),
        ):
            rows.append((what, found[ours], "mindspore (not durable)", found[f"{theirs}, theirs"], wanted))
    rows.append(("save_checkpoint, durable", found["save"], "safetensors (not durable)", found["safetensors"], "<= 1"))
    sealing = found["save"] + found["openssl"]
    rows.append(
        ("save_checkpoint, AES-GCM, durable", found["save gcm"], "saving plain + OpenSSL alone", sealing, "<= 1")
    )


def training(python, rounds, threads, rows):
    """LeNet, 64 images a step, fed from memory: seconds for 64 images."""
    steps = 40
    ours, plain = Peer(sys.executable, threads), Peer(sys.executable, threads)
    start = "import numpy as np\nimport {0} as ms\nfrom {0} import nn\n" + LENET
    ours(start.format("evergraph.mindspore"))
    plain(TORCH_LENET)
    runs = {
        "ours": lambda: ours(f"answer = train({steps})")[0] / steps,
        "torch": lambda: plain(f"answer = train({steps})")[0] / steps,
    }
    peer = Peer(python, threads) if python else None
    if peer is not None:
        peer(start.format("mindspore"))
        runs["theirs"] = lambda: peer("answer = train(3)")[0] / 3
    found = alternate(runs, rounds)
    what = f"LeNet, a training step of 64 images, {threads} threads"
    if peer is not None:
        rows.append((what, found["ours"], "mindspore, PyNative", found["theirs"], "<= 0.1"))
        peer.close()
    rows.append((what, found["ours"], "a hand-written PyTorch loop", found["torch"], "<= 1.11"))
    ours.close(), plain.close()


def memory(folder, rows):
    """Peak memory of encrypted saves and reads beyond that of the program that holds the values."""
    program = """
import resource, sys, numpy as np
import evergraph as eg
kind, path = sys.argv[1:]
data = {f"w{i}": np.ones((1 << 20,), "float32") for i in range(96)}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if kind == "save":
    eg.save(data, path, enc_key=b"0" * 16)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    out = subprocess.run(
        [sys.executable, "-c", program, "save", str(folder / "mem.ckpt")], capture_output=True, text=True, check=True
    )
    rows.append(("memory to encrypt 403 MB (blocks of 64 MiB)", float(out.stdout), "limit", 150, "MB"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-mindspore"))
    parser.add_argument("--python", default=python_of("mindspore"), help="a Python that has mindspore 2.10")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true", help="put the table and the plot into docs/")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    imports(asked.python, asked.rounds, rows)
    files(asked.folder, asked.python, asked.rounds, rows)
    training(asked.python, asked.rounds, asked.threads, rows)
    memory(asked.folder, rows)
    missing = "" if asked.python else " MindSpore was not there: its rows are left out."
    text = (
        "## MindSpore\n\n"
        f"A checkpoint of 200 MB in {TENSORS:,} tensors, and LeNet; one run, medians of {asked.rounds} interleaved "
        f"rounds; {machine()}.{missing}\n\n{table(rows)}\n\n"
        "![Times as multiples of the peers'](img/mindspore.svg)\n\n"
        "Values are read when they are first used: the second row reads every one of them. Saves here are durable\n"
        "(fsync) and atomic, those of MindSpore and safetensors are neither.\n\n"
        "Measured by `python -m benchmarks.mindspore --python MINDSPORES_PYTHON --write`."
    )
    print(text)
    if asked.write:
        docs = Path(__file__).parents[1] / "docs"
        plot(rows, docs / "img" / "mindspore.svg")
        write_section(docs / "performance.md", "mindspore", text)


if __name__ == "__main__":
    main()
