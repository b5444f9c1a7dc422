"""Runs public graphs on recorded values, or on stand-ins that a seed makes, as MXNet's outputs were recorded."""

import functools
import importlib.util
import json

import numpy as np

import evergraph.mxnet as mx
from tests.corpus import CORPUS

SHAPES = {
    "binarized_cifar10": {"data": (1, 3, 32, 32)},
    "binarized_imagenet": {"data": (1, 3, 224, 224)},
    "binarized_mnist": {"data": (1, 1, 28, 28)},
    "binarized_32": {"data": (1, 3, 224, 224)},
    "ocr_recognition": {"data": (1, 30, 100), "label": (1, 4)}
    | {f"l{i}_init_{s}": (1, 128) for i in (0, 1) for s in "hc"},
}
"""Inputs of graphs that MXNet 1.9.1 does not load, by a part of their id."""

DIFFERENT = {
    "senet_154": "with stand-in values the network is chaotic: MXNet's own two kernel sets differ by as much",
    "ssd_512_vgg16": "boxes of equal score change places; MXNet's own two kernel sets differ too",
    "mask_rcnn_resnet18": "boxes of equal score change places; MXNet's own two kernel sets differ too",
    "mask_rcnn_resnet101": "1,000 boxes have the score 1.0: argsort keeps their order here, MXNet's std::sort does not",
    "Inception-100": "a Dropout of mode always is random",
}
"""Graphs whose outputs are not those that were recorded, and why, by a part of their id."""


def reason(ident):
    """Why a graph's outputs differ from the recorded ones; None where they must not."""
    return next((why for part, why in DIFFERENT.items() if part in ident), None)


@functools.cache
def seeded():
    """The corpus's own maker of stand-in values."""
    spec = importlib.util.spec_from_file_location("seedgen", CORPUS / "seedgen.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.value


def parameters(row):
    """Real parameters by their bare names, where the graph has some."""
    file = (row["params"] or {}).get("file")
    if not file or not (row["real_params"] or row["run"] != "ok"):
        return {}
    return {k.partition(":")[2] or k: v for k, v in mx.nd.load(str(CORPUS / file)).items()}


def values(row, recorded, names, shapes):
    """An array for each input and parameter."""
    loaded, found = parameters(row), {}
    for name, shape in zip(names, shapes, strict=True):
        used = (row["inputs_used"] or {}).get(name)
        if f"in:{name}" in recorded:
            array = recorded[f"in:{name}"]
            found[name] = mx.nd.array(array, dtype=array.dtype)
        elif used:
            array = seeded()(name, shape, used["dtype"], "input", used.get("hi"))
            found[name] = mx.nd.array(array, dtype=used["dtype"])
        elif name in loaded:
            found[name] = loaded[name]
        else:
            found[name] = mx.nd.array(seeded()(name, shape, "float32", "param"))
    return found


def run(row):
    """Outputs of a graph, and what MXNet recorded for them (None where it recorded nothing)."""
    recorded = dict(np.load(CORPUS / row["golden"])) if row["golden"] else {}
    symbol = mx.sym.load(str(CORPUS / row["file"]))
    shapes = row["input_shapes"] or next(s for part, s in SHAPES.items() if part in row["id"])
    if row["run"] != "ok":  # packed weights tell their shapes themselves
        names = {*symbol.list_arguments(), *symbol.list_auxiliary_states()}
        shapes = shapes | {k: v.shape for k, v in parameters(row).items() if k in names}
    given, _, states = symbol.infer_shape(**{k: tuple(v) for k, v in shapes.items()})
    arguments = values(row, recorded, symbol.list_arguments(), given)
    auxiliary = values(row, recorded, symbol.list_auxiliary_states(), states)
    bound = symbol.bind(mx.cpu(), arguments, grad_req="null", aux_states=auxiliary)
    outputs = [o.asnumpy() for o in bound.forward(is_train=False)]
    return outputs, [recorded.get(f"out:{i}") for i in range(len(outputs))]


def worst(outputs, recorded):
    """The largest difference, as a part of the largest value of its output."""
    found = 0.0
    for output, wanted in zip(outputs, recorded, strict=True):
        if wanted is not None:
            assert output.shape == wanted.shape
            scale = np.abs(wanted).max() + 1e-6
            found = max(found, float(np.abs(output.astype("f8") - wanted.astype("f8")).max() / scale))
    return found


def rows():
    """The index's rows, in order."""
    return json.loads((CORPUS / "index.json").read_text())
