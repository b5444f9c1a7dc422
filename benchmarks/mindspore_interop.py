"""Real MindSpore 2.10 opens what evergraph writes, and evergraph what MindSpore writes: a table of checks.

python -m benchmarks.mindspore_interop --python MINDSPORES_PYTHON [--folder DIR] [--write]

MINDSPORES_PYTHON is a Python 3.11 with mindspore==2.10.*, numpy 1.26 and cryptography; with --install one is made in
the folder with pip.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers import Peer, python_of, write_section

# the same program on both sides: what is saved, and a digest of what was loaded
COMMON = """
import hashlib, os, numpy as np
rng = np.random.default_rng(7)
KINDS = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
def parameter(name, array):
    return ms.Parameter(ms.Tensor(array), name=name)
def rows():
    found = {k: rng.integers(0, 100, (3, 5)).astype(k) for k in KINDS}
    found |= {"bool": rng.integers(0, 2, (7,)).astype(bool), "scalar": np.float32(2.5) * np.ones((), "f4")}
    found |= {"net.conv.weight": rng.standard_normal((4, 3, 3, 3), "float32"), "four": np.zeros((1, 2, 1, 2), "f2")}
    found |= {"nan": np.array([np.nan, np.inf, -np.inf, -0.0], "f4"), "\\u540d": np.arange(3, dtype="i4")}
    return {k: parameter(k, v) for k, v in found.items()}
rng = np.random.default_rng(7)
ROWS = rows()
def digest(loaded):
    lines = []
    for name in sorted(loaded):
        value = loaded[name]
        if isinstance(value, str):
            lines.append((name, "text", value))
            continue
        array = value.asnumpy()
        lines.append((name, str(value.dtype).lower(), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()))
    return lines
def attempt(run):
    try:
        return digest(run())
    except Exception as error:
        return type(error).__name__ + ": " + str(error).splitlines()[0][:80]
class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, pad_mode="valid")
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Dense(4, 2)
    def construct(self, x):
        return self.fc(self.bn(self.conv(x)).mean((2, 3)))
def network(fill):
    net = Net()
    for i, p in enumerate(net.get_parameters()):
        p.set_data(ms.Tensor(np.full(p.shape, fill * (i + 1) / 7, "float32")))
    return net
def stepped(net):
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    step = nn.TrainOneStepCell(nn.WithLossCell(net, loss), nn.Momentum(net.trainable_params(), 0.1, 0.9))
    step.set_train()
    x = ms.Tensor(np.linspace(-1, 1, 2 * 3 * 6 * 6, dtype="float32").reshape(2, 3, 6, 6))
    step(x, ms.Tensor(np.array([0, 1], "int32")))
    return step
"""

KEYS = {"AES-GCM": (16, 24, 32), "AES-CBC": (16, 24, 32), "SM4-CBC": (16,)}


def cases():
    """Name -> (program that saves to {path}, program that loads it), with their file's ending."""
    found = {
        "a dictionary of every type": ("ms.save_checkpoint(ROWS, {path!r})", "ms.load_checkpoint({path!r})", "ckpt"),
        "a list": (
            "ms.save_checkpoint([{{'name': k, 'data': v}} for k, v in ROWS.items()], {path!r})",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
        "a list of Parameters": (
            "ms.save_checkpoint(list(ROWS.values()), {path!r})",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
        "appended numbers, truth values and texts": (
            "ms.save_checkpoint(ROWS, {path!r}, append_dict=dict(epoch=3, lr=0.1, on=True, note='caf\\u00e9'))",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
        "chosen names": (
            "ms.save_checkpoint(ROWS, {path!r}, choice_func=lambda n: 'int' in n)",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
        "behind the call": (
            "ms.save_checkpoint(ROWS, {path!r}, async_save=True)\nwhile ms.async_ckpt_thread_status(): pass",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
        "a checksum": (
            "ms.save_checkpoint(ROWS, {path!r}, crc_check=True)",
            "ms.load_checkpoint({path!r}, crc_check=True)",
            "ckpt",
        ),
        "safetensors": (
            "ms.save_checkpoint(ROWS, {path!r}, format='safetensors')",
            "ms.load_checkpoint({path!r}, format='safetensors')",
            "safetensors",
        ),
        "safetensors, a checksum": (
            "ms.save_checkpoint(ROWS, {path!r}, format='safetensors', crc_check=True)",
            "ms.load_checkpoint({path!r}, format='safetensors', crc_check=True)",
            "safetensors",
        ),
        "a network": ("ms.save_checkpoint(network(1.0), {path!r})", "ms.load_checkpoint({path!r})", "ckpt"),
        "a training step with its optimizer": (
            "ms.save_checkpoint(stepped(network(0.5)), {path!r})",
            "ms.load_checkpoint({path!r})",
            "ckpt",
        ),
    }
    for mode, sizes in KEYS.items():
        for size in sizes:
            found[f"{mode}, {size * 8} bits"] = (
                f"ms.save_checkpoint(ROWS, {{path!r}}, enc_key=b'k' * {size}, enc_mode={mode!r})",
                f"ms.load_checkpoint({{path!r}}, dec_key=b'k' * {size}, dec_mode={mode!r})",
                "ckpt",
            )
    return found


def checks(ours, theirs, folder):
    """Rows: what, we open theirs, they open ours, whether the bytes are equal."""
    for number, (what, (save, load, ending)) in enumerate(cases().items()):
        answers, data = {}, {}
        for who, writer in (("ours", ours), ("theirs", theirs)):
            path = folder / f"{who}{number}.{ending}"
            path.unlink(missing_ok=True)
            writer(save.format(path=str(path)))
            data[who] = path.read_bytes()
            for reader_name, reader in (("ours", ours), ("theirs", theirs)):
                code = f"answer = attempt(lambda: {load.format(path=str(path))})"
                answers[who, reader_name] = reader(code)[1]
        wanted = answers["theirs", "theirs"]
        yield (
            what,
            verdict(wanted, answers["theirs", "ours"]),
            verdict(answers["ours", "ours"], answers["ours", "theirs"]),
            _bytes(what, data),
        )
    yield _into_network(ours, theirs, folder)


def _bytes(what, data):
    if data["ours"] == data["theirs"]:
        return "yes"
    if "bits" in what:
        return "random vectors" if len(data["ours"]) == len(data["theirs"]) else "NO"
    if "training" in what:
        return "values to rounding" if len(data["ours"]) == len(data["theirs"]) else "NO"
    if what.startswith("safetensors"):
        # the library that MindSpore calls writes the notes of a file in an order that differs from run to run
        (one, rest), (other, further) = (_split(d) for d in data.values())
        return "but for the order of notes" if one == other and rest == further else "NO"
    return "NO"


def _split(data):
    """A safetensors file's header, parsed, and its values."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def verdict(wanted, found):
    """Whether two sides loaded the same: names, types, shapes and every bit."""
    if isinstance(wanted, str) or isinstance(found, str):
        return f"NO: {found if isinstance(found, str) else wanted}"
    return f"yes, {len(found)} entries" if wanted == found else "NO: other values"


def _into_network(ours, theirs, folder):
    """A trained network's file into the other side's network: the returned lists, and the next output."""
    code = (
        "net = network(0.0); net.set_train(False)\n"
        "left = ms.load_param_into_net(net, ms.load_checkpoint({path!r}))\n"
        "x = ms.Tensor(np.linspace(-1, 1, 108, dtype='float32').reshape(1, 3, 6, 6))\n"
        "answer = [list(left[0]), list(left[1]), net(x).asnumpy().ravel().tolist()]"
    )
    cells = []
    for who, writer in (("theirs", theirs), ("ours", ours)):
        path = str(folder / f"{who}-net.ckpt")
        writer(f"ms.save_checkpoint(stepped(network(0.5)), {path!r})")
        first, second = (side(code.format(path=path))[1] for side in (ours, theirs))
        close = all(abs(a - b) <= 1e-6 + 1e-5 * abs(b) for a, b in zip(first[2], second[2], strict=True))
        cells.append("yes" if first[:2] == second[:2] and close else f"NO: {first} {second}")
    return "load_param_into_net, and the network's output to 1e-5", *cells, ""


def table(rows):
    lines = [
        "| content | evergraph opens MindSpore's | MindSpore opens evergraph's | equal bytes |",
        "|---|---|---|---|",
    ]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def installed(folder):
    """A Python with MindSpore, made in the folder where it is not there yet."""
    place = folder / "mindspore-2.10"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        wanted = ["mindspore==2.10.*", "numpy==1.26.4", "cryptography"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-interop"))
    parser.add_argument("--python", default=python_of("mindspore"), help="a Python that has mindspore 2.10")
    parser.add_argument("--install", action="store_true", help="make such a Python in the folder")
    parser.add_argument("--write", action="store_true", help="put the table into docs/mindspore.md")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    python = installed(asked.folder) if asked.install else asked.python
    if not python:
        sys.exit("give --python, or --install")
    folder = asked.folder.resolve()
    ours, theirs = Peer(sys.executable), Peer(python, GLOG_v="3")
    for side, module in ((ours, "evergraph.mindspore"), (theirs, "mindspore")):
        side(f"import {module} as ms\nfrom {module} import nn\n{COMMON}")
    version = theirs("answer = ms.__version__")[1]
    rows = list(checks(ours, theirs, folder))
    ours.close(), theirs.close()
    failed = sum("NO" in cell for row in rows for cell in row)
    text = (
        "## Checked beside MindSpore\n\n"
        f"MindSpore {version} on one side, evergraph on the other: each saves, both load, and names, types, shapes\n"
        f"and every bit are compared. {len(rows)} contents, {failed} failures.\n\n{table(rows)}\n\n"
        "Measured by `python -m benchmarks.mindspore_interop --install --write`."
    )
    print(text)
    if asked.write:
        write_section(Path(__file__).parents[1] / "docs" / "mindspore.md", "interop", text)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
