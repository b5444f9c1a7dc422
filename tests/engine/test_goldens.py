"""Every recorded network of every release: predictions, training outputs, gradients, states after training."""

import numpy as np
import pytest
import torch

import evergraph
from evergraph.engine import Executor
from evergraph.graph import parse
from evergraph.passes.shapes import infer_shapes
from evergraph.passes.signature import signature
from evergraph.passes.upgrade import upgrade
from tests.engine.checkpoints import Recorded, ident, stems
from tests.goldens import MXNET, RELEASES, near


@pytest.mark.parametrize("stem", stems(), ids=ident)
def test_predicts_and_trains_as_the_release_did(stem):
    net = Recorded(stem)
    names = signature(net.graph)
    run = Executor(net.graph, [net.value(n) for n in names.arguments], [net.value(n) for n in names.auxiliary])
    for i, (out, want) in enumerate(zip(run.forward(), net.outputs(names.outputs), strict=True)):
        if want is not None:
            near(out, want, 1e-5, 1e-5, f"output {i}")
    if net.trains:
        check_training(net, names)


def check_training(net, names):
    wanted = net.gradients()
    run = Executor(
        net.graph,
        [net.value(n, training=True) for n in names.arguments],
        [net.value(n) for n in names.auxiliary],
        requests=dict.fromkeys(wanted, "write"),
    )
    outputs = run.forward(training=True)
    for i, out in enumerate(outputs if net.as_recorded else ()):
        near(out, net.values[f"trainout:{i}"], 1e-4, 1e-4, f"training output {i}")
    heads = [net.values.get(f"head:{i}") for i in range(len(outputs))]
    run.backward([None if h is None else torch.from_numpy(h) for h in heads])
    for name, found in zip(names.arguments, run.gradients, strict=True):
        if name in wanted:
            near(found, wanted[name], 1e-4, 1e-4, f"gradient of {name}")
    for name, state in zip(names.auxiliary, run.auxiliary, strict=True):
        near(state, net.values[f"trainaux:{name}"], 1e-4, 1e-4, f"{name} after training")


def exports(folder, pattern):
    return [p for r in RELEASES for p in sorted((MXNET / r / folder).glob(pattern)) if "upgraded" not in p.name]


@pytest.mark.parametrize("path", exports("gluon", "*-symbol.json"), ids=lambda p: f"{p.parent.parent.name}-{p.name}")
def test_runs_gluon_exports_to_their_recorded_outputs(path):
    graph = upgrade(parse(path.read_bytes())).graph
    values = dict(np.load(path.parent / path.name.replace("-symbol.json", "-io.npz")))
    names = signature(graph)
    saved = evergraph.open(path.parent / path.name.replace("-symbol.json", "-0000.params"))
    given = {k.partition(":")[2] or k: v.torch() for k, v in saved.items()}
    data, *states = (n for n in names.arguments if n not in given)  # data or data0; initial states are zeros
    given[data] = torch.from_numpy(values["in:data"])
    shapes = infer_shapes(graph, {n: tuple(v.shape) for n, v in given.items()}).variables()
    given |= {n: torch.zeros([d or 0 for d in shapes[n] or ()]) for n in states}
    run = Executor(graph, [given[n] for n in names.arguments], [given[n] for n in names.auxiliary])
    for i, out in enumerate(run.forward()):
        near(out, values[f"out:{i}"], 1e-5, 1e-5, f"output {i}")


@pytest.mark.parametrize("path", exports("control", "*.json"), ids=lambda p: f"{p.parent.parent.name}-{p.name}")
def test_runs_control_flow_to_its_recorded_outputs(path):
    graph = upgrade(parse(path.read_bytes())).graph
    values = dict(np.load(path.with_name(f"{path.stem}-io.npz")))
    names = signature(graph)
    given = {k.split(":", 1)[1]: torch.from_numpy(v.copy()) for k, v in values.items() if k.startswith("in:")}
    outputs = Executor(graph, [given[n] for n in names.arguments]).forward()
    for i, out in enumerate(outputs):
        want = values[f"out:{i}"]
        if path.stem == "while_loop" and i == 0:  # rows past the steps that ran are uninitialised memory in MXNet
            steps = int(values["out:1"][0])
            out, want = out[:steps], want[:steps]
        near(out, want, 1e-5, 1e-5, f"output {i}")
