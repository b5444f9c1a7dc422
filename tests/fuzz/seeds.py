"""Good files of every registered format, recorded and written: what the mutations begin from."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np

import evergraph as eg
from evergraph.formats import FORMATS
from evergraph.formats.shards import table_sum
from evergraph.formats.training_state import manifest_sum
from evergraph.graph import Graph, Node
from evergraph.tensors import Tensor
from tests.formats.battery import written
from tests.goldens import DATA, MINDSPORE, MXNET

LARGEST = 24_000
RECORDED = (
    (MXNET, "*/ndarray/*.nd", 9),
    (MXNET, "*/pickle/*.pkl", 9),
    (MXNET, "*/optstates/*.states", 17),
    (MXNET, "*/checkpoints/*-symbol.json", 31),
    (MXNET, "*/control/*.json", 5),
    (MXNET, "*/ndarray/*.npz", 29),
    (MINDSPORE, "ckpt/*.ckpt", 3),
    (MINDSPORE, "ckpt/*.safetensors", 2),
    (DATA / "tensorflow", "*.index", 2),
)
"""Where recorded files lie, and every how manieth of them is taken."""


def arrays():
    kinds = ("float32", "float16", "int64", "uint8", "bool")
    found = {f"arg:{k}": np.arange(12).reshape(3, 4).astype(k) for k in kinds}
    return found | {"aux:scalar": np.float32(3), "arg:none": np.zeros((0, 2), "float32")}


def checkpoints():
    """Checkpoints that hold something of each kind."""
    rows = Tensor.sparse("row_sparse", (4, 2), Tensor.of(np.ones((1, 2), "float32")), Tensor.of(np.array([3])))
    csr = Tensor.sparse(
        "csr",
        (2, 5),
        Tensor.of(np.array([1.0, 2.0], "float32")),
        Tensor.of(np.array([0, 4])),
        Tensor.of(np.array([0, 1, 2])),
    )
    graph = Graph((Node("null", "x"), Node("relu", "y", {"a": "(1, 2)"}, ((0, 0, 0),))), heads=((1, 0, 0),))
    return {
        "arrays": eg.Checkpoint(arrays()),
        "sparse": eg.Checkpoint({"a": rows, "b": csr, "c": np.ones(2)}),
        "graph": eg.Checkpoint({"arg:w": np.ones(3, "float32")}, graph=graph, metadata={"epoch": 3}),
        "states": eg.Checkpoint({"0": np.ones(2, "float32"), "1": np.ones(3, "float32")}),
    }


def every_format():
    """What each format that writes one file writes of them."""
    found = {}
    for form in FORMATS:
        for name, checkpoint in checkpoints().items():
            for options in ({}, {"compress": True}) if form == "npz" else ({},):
                try:
                    data = written(form, checkpoint, **options)
                except (eg.EvergraphError, ValueError):
                    # read-only formats, those of several files, and what a format cannot hold
                    continue
                found[f"{form}/{name}{'/compressed' * bool(options)}"] = data
    return found


def packed(files, how):
    out = io.BytesIO()
    if how.startswith("zip"):
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if "deflated" in how else zipfile.ZIP_STORED) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        return out.getvalue()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT if "pax" in how else tarfile.GNU_FORMAT
    ) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0) if "gz" in how else out.getvalue()


def archives(written_files):
    files = {
        "model/net-symbol.json": written_files["mxnet-symbol/graph"],
        "model/net-0001.params": written_files["mxnet-params/arrays"],
        "model/model-shapes.json": json.dumps([{"name": "data", "shape": [1, 3]}]).encode(),
        "MAR-INF/MANIFEST.json": b'{"model": {"modelName": "net"}}',
    }
    found = {f"archive/{how}": packed(files, how) for how in ("tar", "tar pax", "tar gz", "zip", "zip deflated")}
    return found | {"archive/gz": gzip.compress(written_files["mxnet-params/arrays"], mtime=0)}


def from_torch():
    """Files of torch's own, where it is installed."""
    try:
        import torch

        from tests.formats.test_torch import old_archive
    except ImportError:
        return {}
    shared = torch.nn.Parameter(torch.ones(3, 2))
    value = {"sd": {"a": shared, "b": shared, "t": torch.arange(6.0).reshape(2, 3).t()}, "epoch": 3, "lr": [0.1, None]}
    found = {}
    for name, options in (("torch", {}), ("torch-legacy", {"_use_new_zipfile_serialization": False})):
        out = io.BytesIO()
        torch.save(value, out, **options)
        found[f"{name}/own"] = out.getvalue()
    return found | {"torch-tar/old": old_archive()}


def states():
    """The two tables of training states, with the files that they name where the cases are read."""
    eg.save(
        {"w#0": np.ones((2, 3), "float32"), "w#1": np.zeros((1, 3), "float32")}, "memory://fuzz/shard-0.safetensors"
    )
    chunks = [
        {"offsets": [0, 0], "sizes": [2, 3], "file": "shard-0.safetensors", "name": "w#0"},
        {"offsets": [2, 0], "sizes": [1, 3], "file": "shard-0.safetensors", "name": "w#1"},
    ]
    tensors = {"w": {"dtype": "float32", "shape": [3, 3], "chunks": chunks}}
    shards = {"evergraph_shards": 1, "tensors": tensors, "crc": table_sum(tensors)}
    values = {
        "shared": {"modules": [{"arguments": {"w": [{"$tensor": "x", "kind": "nd"}]}}], "settings": [{"lr": 0.1}]},
        "own": {"modules": [{"auxiliary": {}}], "metric": {"kind": "Accuracy"}},
    }
    text = np.frombuffer(json.dumps(values).encode(), np.uint8)
    eg.save({"values": text, "x": np.ones(3, "float32")}, "memory://fuzz/process-0.safetensors")
    parts = [{"file": "process-0.safetensors", "sums": "0"}]
    state = {"evergraph_training": 1, "epoch": 1, "batch": 0, "parts": parts, "step": 3}
    state["crc"] = manifest_sum(state)
    return {
        "evergraph-shards/table": json.dumps(shards).encode(),
        "training-state/manifest": json.dumps(state).encode(),
    }


def seeds():
    """Name -> bytes of every seed, in a fixed order."""
    found = every_format()
    found |= archives(found) | from_torch() | states()
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    found["safetensors-sharded/index"] = json.dumps(index).encode()
    found["pickle/numpy"] = pickle.dumps({"a": np.arange(3.0), "b": [np.float32(1), (1, "x", None)]}, 2)
    for root, pattern, step in RECORDED:
        paths = [p for p in sorted(root.glob(pattern)) if 0 < p.stat().st_size <= LARGEST]
        group = "tensorflow-bundle/" if root.name == "tensorflow" else ""
        found |= {f"{group}{p.relative_to(root)}": p.read_bytes() for p in paths[::step]}
    return found
