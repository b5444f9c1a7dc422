"""Real MXNet 1.9.1 opens what evergraph writes, and evergraph what MXNet writes: a table of checks.

python -m benchmarks.mxnet_interop --python MXNETS_PYTHON [--folder DIR] [--write]

MXNETS_PYTHON is a Python 3.8 with mxnet==1.9.1 and numpy==1.23.5. The networks are those of the recorded checkpoints
in tests/data/mxnet, of every release from 0.9.5 to 1.9.1, with their recorded inputs and outputs.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.peers import Peer, python_of, write_section

GOLDENS = Path(__file__).parents[1] / "tests" / "data" / "mxnet"

# the same program on both sides: each writes a folder, and reads one
COMMON = r"""
import glob, os
import numpy as np

RELEASES = sorted(p for p in os.listdir(GOLDENS) if os.path.exists(os.path.join(GOLDENS, p, "log.json")))
NETWORKS = sorted(
    (r, os.path.basename(p)[: -len("-symbol.json")])
    for r in RELEASES
    for p in glob.glob(os.path.join(GOLDENS, r, "checkpoints", "*-symbol.json"))
)

def golden(release, name, ending):
    return os.path.join(GOLDENS, release, "checkpoints", name + ending)

def collected(rows, one):
    # name -> "" where all is well, else what is wrong
    found = {}
    for row in rows:
        try:
            found["/".join(row)] = one(*row)
        except Exception as error:
            text = [line for line in str(error).splitlines() if line.strip()] or [""]
            found["/".join(row)] = type(error).__name__ + ": " + text[0][:120]
    return found

def sources():
    return [n for n in NETWORKS if os.path.exists(golden(n[0], n[1], "-0001.params"))]

def write_network(release, name):
    symbol, args, aux = mx.model.load_checkpoint(golden(release, name, ""), 1)
    mx.model.save_checkpoint(os.path.join(folder, release + "-" + name), 1, symbol, args, aux)
    return ""

def read_network(release, name):
    symbol, args, aux = mx.model.load_checkpoint(os.path.join(other, release + "-" + name), 1)
    first = mx.nd.load(golden(release, name, "-0001.params")) or {}
    both = dict([("arg:" + k, v) for k, v in args.items()] + [("aux:" + k, v) for k, v in aux.items()])
    if sorted(both) != sorted(first):
        return "other names"
    for key, value in first.items():
        if value.stype != both[key].stype or value.asnumpy().tobytes() != both[key].asnumpy().tobytes():
            return "other values of " + key
    return outputs(symbol, args, aux, golden(release, name, "-io.npz"))

def outputs(symbol, args, aux, path):
    if not os.path.exists(path):
        return ""
    values = np.load(path)
    given = {k[3:]: mx.nd.array(values[k], dtype=values[k].dtype) for k in values.files if k.startswith("in:")}
    drifted = path[: -len("io.npz")] + "out-by-1.9.1.npz"  # where 1.9.1 computes something else
    values = np.load(drifted) if os.path.exists(drifted) else values
    wanted = [values[k] for k in sorted((k for k in values.files if k.startswith("out:")), key=lambda k: int(k[4:]))]
    names = symbol.list_arguments()
    shapes = {k: v.shape for k, v in given.items() if k in names}
    if wanted and set(shapes) == set(given):
        types = {k: v.dtype for k, v in given.items()}
        bound = symbol.simple_bind(mx.cpu(), grad_req="null", type_dict=types, **shapes)
        bound.copy_params_from(args, aux, allow_extra_params=True)
        for told, found, want in zip(symbol.list_outputs(), bound.forward(is_train=False, **given), wanted):
            # MXNet does not repeat its own variance of moments: what it reads there was never written
            close = np.allclose(found.asnumpy(), want, rtol=2e-4, atol=2e-5, equal_nan=True)
            if told != "moments0_output1" and not close:
                return "other outputs"
    return ""

KINDS = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"]

def arrays():
    draw = np.random.RandomState(0)
    found = {k: mx.nd.array(draw.randint(0, 2 if k == "bool" else 100, (3, 5)), dtype=k) for k in KINDS}
    found["rows"] = mx.nd.sparse.row_sparse_array((np.ones((2, 3), "f"), [1, 4]), shape=(6, 3))
    found["csr"] = mx.nd.sparse.csr_matrix((np.arange(1.0, 4), [0, 2, 1], [0, 1, 3, 3]), shape=(3, 4))
    found["odd \u540d/\u00e9"] = mx.nd.array([np.nan, np.inf, -0.0])
    return found

def write_arrays(form):
    made = arrays()
    mx.nd.save(os.path.join(folder, form + ".nd"), made if form == "dict" else list(made.values()))
    return ""

def read_arrays(form):
    found, made = mx.nd.load(os.path.join(other, form + ".nd")), arrays()
    if form == "list":
        found = dict(zip(made, found))
    for key, value in made.items():
        same = value.stype == found[key].stype and value.dtype == found[key].dtype
        if not same or value.asnumpy().tobytes() != found[key].asnumpy().tobytes():
            return "other values of " + key
    return ""

OPTIMIZERS = {
    "sgd": {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-3}, "nag": {"learning_rate": 0.1, "momentum": 0.9},
    "adam": {"learning_rate": 0.01}, "adagrad": {"learning_rate": 0.1}, "rmsprop": {"learning_rate": 0.01},
    "adadelta": {}, "ftrl": {"learning_rate": 0.1}, "adamax": {}, "nadam": {}, "ftml": {"learning_rate": 0.01},
    "signum": {"learning_rate": 0.01, "momentum": 0.9}, "dcasgd": {"learning_rate": 0.1},
    "lamb": {"learning_rate": 0.01}, "lars": {"learning_rate": 0.1, "momentum": 0.9, "eta": 0.1},
    "rmsprop centered": {"learning_rate": 0.01, "centered": True},
    "signum plain": {"learning_rate": 0.01, "momentum": 0.0},
    "sgd plain": {"learning_rate": 0.1}, "nag decay": {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-2},
}

def trained(name, prefix, epochs, begin):
    draw = np.random.RandomState(1)
    x, y = draw.randn(24, 6).astype("f"), draw.randint(0, 3, 24).astype("f")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, no_bias=True, name="fc1")
    net = mx.sym.Activation(mx.sym.BatchNorm(net, name="bn", fix_gamma=False), act_type="tanh")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")
    rows = mx.io.NDArrayIter(x, y, batch_size=8)
    if begin:
        module = mx.mod.Module.load(prefix, begin, load_optimizer_states=True)
        first = {}
    else:
        module = mx.mod.Module(net)
        shapes, _, _ = net.infer_shape(data=(8, 6))
        sizes = dict(zip(net.list_arguments(), shapes))
        names = [n for n in sorted(sizes) if n not in ("data", "softmax_label")]
        first = {k: mx.nd.array(draw.randn(*sizes[k]) * 0.3) for k in names}
        first = {"arg_params": first, "aux_params": {}, "allow_missing": True}
    settings = {"optimizer": name.split()[0], "optimizer_params": dict(OPTIMIZERS[name])}
    module.fit(rows, num_epoch=epochs, begin_epoch=begin, **settings, **first)
    return module

def values(module):
    args, aux = module.get_params()
    return {k: v.asnumpy() for k, v in list(args.items()) + list(aux.items())}

def write_training(name):
    trained(name, None, 2, 0).save_checkpoint(os.path.join(folder, "train-" + name), 2, save_optimizer_states=True)
    prefix = os.path.join(folder, "train-" + name)
    np.savez(prefix + ".npz", **values(trained(name, prefix, 4, 2)))
    return ""

def read_training(name):
    wanted = np.load(os.path.join(other, "train-" + name + ".npz"))
    for key, value in values(trained(name, os.path.join(other, "train-" + name), 4, 2)).items():
        if not np.allclose(value, wanted[key], rtol=2e-3, atol=2e-4):
            return "other weights of %s by %.2g" % (key, np.abs(value - wanted[key]).max())
    return ""

def packets():
    draw = np.random.RandomState(2)
    for number in range(9):
        label = float(number) if number % 3 else draw.rand(4).astype("f")
        yield mx.recordio.IRHeader(0, label, number, 0), draw.bytes(number * 37)

def record_file(kind, place, flag):
    path = os.path.join(place, kind + ".rec")
    if kind == "indexed":
        return mx.recordio.MXIndexedRecordIO(path[:-4] + ".idx", path, flag)
    return mx.recordio.MXRecordIO(path, flag)

def write_records(kind):
    file = record_file(kind, folder, "w")
    for number, (header, data) in enumerate(packets()):
        packed = mx.recordio.pack(header, data)
        file.write_idx(number, packed) if kind == "indexed" else file.write(packed)
    file.close()
    return ""

def read_records(kind):
    file = record_file(kind, other, "r")
    order = list(range(9))
    if kind == "indexed":
        order.reverse()
    wanted = list(packets())
    for number in order:
        header, data = mx.recordio.unpack(file.read_idx(number) if kind == "indexed" else file.read())
        same = np.array_equal(header.label, wanted[number][0].label)
        if header.id != number or data != wanted[number][1] or not same:
            return "other record %d" % number
    return ""

JOBS = {
    "checkpoints": (sources, write_network, read_network),
    "arrays": (lambda: [("dict",), ("list",)], write_arrays, read_arrays),
    "training": (lambda: [(n,) for n in OPTIMIZERS], write_training, read_training),
    "records": (lambda: [("plain",), ("indexed",)], write_records, read_records),
}
"""

TOLD = {
    "checkpoints": "checkpoints of recorded networks, 0.9.5 to 1.9.1: names, bytes of every array, outputs to 2e-4",
    "arrays": "array files: every type, dense, row_sparse and csr, named and in a list, to the bit",
    "training": "`.states`: two epochs on one side, two more on the other, weights to 2e-3, for each optimizer",
    "records": "record files, plain and indexed: every header, label and byte",
}


def side(python, module, folder, other):
    # MXNet computes fused recurrent layers with oneDNN only
    peer = Peer(python, MXNET_SUBGRAPH_BACKEND="NONE", MXNET_MKLDNN_ENABLED="1", PYTHONWARNINGS="ignore")
    peer("import logging; logging.disable(50)")
    peer(f"import {module} as mx\nGOLDENS, folder, other = {str(GOLDENS)!r}, {str(folder)!r}, {str(other)!r}")
    peer(COMMON)
    return peer


def checks(ours, theirs):
    """Rows: what, how many, failures of evergraph reading MXNet's and of MXNet reading evergraph's."""
    for job, told in TOLD.items():
        written = {
            name: peer(f"rows, write, _ = JOBS[{job!r}]\nanswer = collected(rows(), write)")[1]
            for name, peer in (("evergraph", ours), ("MXNet", theirs))
        }
        read = {
            name: peer(f"rows, _, read = JOBS[{job!r}]\nanswer = collected(rows(), read)")[1]
            for name, peer in (("evergraph", ours), ("MXNet", theirs))
        }
        other = {"evergraph": "MXNet", "MXNet": "evergraph"}
        cells = []
        for reader, rows in read.items():
            unwritten = {k for k, v in written[other[reader]].items() if v}
            failures = {k: v for k, v in rows.items() if v and k not in unwritten}
            cells.append((len(rows) - len(unwritten), failures, {k: written[other[reader]][k] for k in unwritten}))
        yield told, cells


def shown(rows):
    lines = ["| content | evergraph opens MXNet's | MXNet opens evergraph's |", "|---|---|---|"]
    notes, failed = [], 0
    for told, cells in rows:
        texts = []
        for (count, failures, unwritten), writer in zip(cells, ("MXNet", "evergraph"), strict=True):
            texts.append(f"{count - len(failures)} of {count}")
            failed += len(failures)
            notes += [f"- NO: {name}: {why}" for name, why in sorted(failures.items())]
            notes += [f"- {writer} did not write {name}: {why}" for name, why in sorted(unwritten.items())]
            failed += len(unwritten) if writer == "evergraph" else 0
        lines.append(f"| {told} | {' | '.join(texts)} |")
    return "\n".join(lines), notes, failed


def compared(python, place):
    folders = [place / name for name in ("evergraph", "mxnet")]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    ours = side(sys.executable, "evergraph.mxnet", *folders)
    theirs = side(python, "mxnet", *reversed(folders))
    found = shown(list(checks(ours, theirs)))
    ours.close()
    theirs.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where both sides write; a temporary folder where not given")
    parser.add_argument("--python", default=python_of("mxnet"), help="a Python that has mxnet 1.9.1")
    parser.add_argument("--write", action="store_true", help="put the table into docs/training.md")
    asked = parser.parse_args()
    if not asked.python:
        sys.exit("give --python: a Python 3.8 with mxnet==1.9.1 and numpy==1.23.5")
    with tempfile.TemporaryDirectory() as temporary:
        table, notes, failed = compared(asked.python, (asked.folder or Path(temporary)).resolve())
    more = "\n" + "\n".join(notes) + "\n" if notes else ""
    text = (
        "## Checked beside MXNet\n\n"
        "MXNet 1.9.1 on one side, evergraph on the other: each writes, the other opens, runs and goes on.\n\n"
        f"{table}\n{more}\n"
        "Measured by `python -m benchmarks.mxnet_interop --python MXNETS_PYTHON --write`."
    )
    print(text)
    if asked.write:
        write_section(Path(__file__).parents[1] / "docs" / "training.md", "interop", text)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
