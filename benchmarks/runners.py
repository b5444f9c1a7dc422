"""What each peer of `benchmarks.engine` runs, in a process of its own: a network from its files, timed call by call.

Also read by the Pythons of the peers (MXNet's is 3.8), so nothing else is imported before it is needed.
"""

import os
import time

import numpy as np

__all__ = ["RUNNERS", "measure", "peak_memory"]


def measure(run, seconds, most, warm, clock):
    """Seconds of each of some calls; at least one, more while they stay within `seconds`.

    Where `warm`, one call before them does not count: it brings back the caches that other peers have used.
    """
    if warm:
        run()
    now = getattr(time, clock)
    taken = []
    while not taken or (len(taken) < most and sum(taken) + taken[-1] < seconds):
        start = now()
        run()
        taken.append(now() - start)
    return taken


def peak_memory():
    """Most memory that this process has held, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def predictor_of(stem, engine, precision="float32"):
    import evergraph as eg
    from evergraph.engine import predictor

    checkpoint = eg.open(f"{stem}-0000.params")
    graph = checkpoint.graph or eg.open(f"{stem}-symbol.json").graph
    return predictor(graph, checkpoint, engine=engine, precision=precision)


def evergraph_torch(stem, x, threads):  # noqa: ARG001 - OMP_NUM_THREADS says it
    predict = predictor_of(stem, "torch")
    return lambda: predict([x])


def evergraph_openvino(stem, x, threads):  # noqa: ARG001 - as above
    predict = predictor_of(stem, "openvino")
    return lambda: predict([x])


def evergraph_bfloat16(stem, x, threads):  # noqa: ARG001 - as above
    predict = predictor_of(stem, "openvino", "bfloat16")
    return lambda: predict([x])


def by_hand(stem):
    """The network as PyTorch code, and a module of it."""
    import torch

    import evergraph as eg
    from benchmarks.networks import NETWORKS, Functions

    tensors = {
        n.partition(":")[2]: torch.from_numpy(t.numpy().copy()) for n, t in eg.open(f"{stem}-0000.params").items()
    }
    layers, make = Functions(tensors), NETWORKS[os.path.basename(stem).rpartition("-b")[0]][0]

    class Module(torch.nn.Module):
        def forward(self, x):
            return tuple(make(layers, x, batch=x.shape[-1]))

    return torch, Module().eval()


def plain_torch(stem, x, threads):  # noqa: ARG001 - as above
    torch, module = by_hand(stem)

    def run():
        with torch.inference_mode():
            return [o.numpy() for o in module(torch.from_numpy(x))]

    return run


def traced(stem, x):
    torch, module = by_hand(stem)
    with torch.no_grad():
        module(torch.from_numpy(x))  # makes the recurrent layers
        return torch, torch.jit.trace(module, torch.from_numpy(x), check_trace=False)


def raw_openvino(stem, x, threads, precision="f32"):
    import openvino

    torch, module = traced(stem, x)
    model = openvino.convert_model(module, example_input=torch.from_numpy(x), input=list(x.shape))
    hints = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(model, "CPU", {**hints, "INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()

    def run():
        found = request.infer([x], share_inputs=True, share_outputs=True)
        return [found[o] for o in compiled.outputs]

    return run


def raw_openvino_bfloat16(stem, x, threads):
    return raw_openvino(stem, x, threads, "bf16")


def export_onnx(stem, x):
    """The ONNX file of a network, written where PyTorch and the onnx package are."""
    torch, module = by_hand(stem)
    with torch.no_grad():
        module(torch.from_numpy(x))
        torch.onnx.export(module, (torch.from_numpy(x),), f"{stem}.onnx", dynamo=False, input_names=["data"])


def onnxruntime(stem, x, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(f"{stem}.onnx", options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"data": x})


def mxnet(stem, x, threads):  # noqa: ARG001 - the environment says it, and whether layers are fused
    import mxnet as mx

    symbol, arguments, states = mx.model.load_checkpoint(stem, 0)
    run = symbol.simple_bind(mx.cpu(), data=x.shape, grad_req="null")
    run.copy_params_from(arguments, states)
    data = mx.nd.array(x)
    return lambda: [o.asnumpy() for o in run.forward(is_train=False, data=data)]


RUNNERS = {
    "evergraph, torch": evergraph_torch,
    "evergraph, OpenVINO": evergraph_openvino,
    "evergraph, OpenVINO bfloat16": evergraph_bfloat16,
    "torch by hand": plain_torch,
    "OpenVINO": raw_openvino,
    "OpenVINO bfloat16": raw_openvino_bfloat16,
    "onnxruntime": onnxruntime,
    "MXNet 1.9.1, fused": mxnet,
    "MXNet 1.9.1": mxnet,
}
"""(file names' stem, input, number of threads) -> a call that gives the outputs as arrays, by the peer's name."""


def outputs(run, path):
    """Write what a call gives."""
    np.savez(path, *[np.asarray(o) for o in run()])
