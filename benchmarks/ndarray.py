"""Calls on small arrays: what a call of `mx.nd` costs beside torch's own call that computes the same.

Each pair runs in turns of a few hundred calls; a row's figures are the medians of its turns, its ratio the median of
the turns' ratios. Where MXNet's result is a copy and torch's a view (reshape, transpose, slices, split), torch copies
too. `python -m benchmarks.ndarray` prints the table, `--write` puts it and its plot into docs/performance.md.
"""

import argparse
import gc
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from benchmarks.peers import human_seconds, machine, write_section
from evergraph.mxnet import autograd, gluon, nd

torch.set_num_threads(1)
rng = np.random.default_rng(0)


def pair(*shape):
    values = rng.standard_normal(shape).astype("float32")
    return nd.array(values), torch.tensor(values)


(x, t), (y, u), (w, v) = pair(4, 6), pair(4, 6), pair(5, 6)
(row, t_row), (bias, t_bias) = pair(1, 6), pair(5)
(image, t_image), (kernel, t_kernel), (filters, t_filters) = pair(1, 3, 8, 8), pair(4, 3, 3, 3), pair(4)
picture, t_picture = pair(1, 3, 32, 32)
places, t_places = nd.array([0, 2, 1, 3]), torch.tensor([0.0, 2, 1, 3])
chosen, t_chosen = np.array([True, False, True, True]), torch.tensor([True, False, True, True])
mask = nd.array(rng.integers(0, 2, (4, 6)))
t_mask = torch.tensor(mask.asnumpy())
host = rng.standard_normal((4, 6)).astype("float32")
listed = [[1.0, 2.0], [3.0, 4.0]]
target, t_target = pair(4, 6)
corner, t_zeros = nd.zeros((3, 2)), torch.zeros(4, 6)
pairs, t_pairs = nd.array([[0, 2, 1], [1, 5, 3]]), torch.tensor([[0.0, 2, 1], [1, 5, 3]])
gamma, t_gamma = nd.ones((3,)), torch.ones(3)
beta, t_beta = nd.zeros((3,)), torch.zeros(3)
mean, t_mean = nd.zeros((3,)), torch.zeros(3)
var, t_var = nd.ones((3,)), torch.ones(3)

# ruff: noqa: PLW0108 - a method taken once would not be looked up at every call
CALLS = {
    "x + y": (lambda: x + y, lambda: t + u),
    "x - y": (lambda: x - y, lambda: t - u),
    "x + 1": (lambda: x + 1, lambda: t + 1),
    "x * y": (lambda: x * y, lambda: t * u),
    "x * 2": (lambda: x * 2, lambda: t * 2),
    "1 / x": (lambda: 1 / x, lambda: 1 / t),
    "x > 0": (lambda: x > 0, lambda: (t > 0).float()),
    "-x": (lambda: -x, lambda: -t),
    "x += y": (lambda: x.__iadd__(y), lambda: t.__iadd__(u)),
    "x[1:3]": (lambda: x[1:3], lambda: t[1:3]),
    "x[1]": (lambda: x[1], lambda: t[1]),
    "x[:, 1:3]": (lambda: x[:, 1:3], lambda: t[:, 1:3].clone(memory_format=torch.contiguous_format)),
    "x[1:3] = y[1:3]": (lambda: x.__setitem__(slice(1, 3), w[1:3]), lambda: t.__setitem__(slice(1, 3), v[1:3])),
    "x[:] = 0": (lambda: target.__setitem__(slice(None), 0), lambda: t_target.__setitem__(slice(None), 0)),
    "x[:] = y": (lambda: target.__setitem__(slice(None), y), lambda: t_target.__setitem__(slice(None), u)),
    "x[mask]": (lambda: x[chosen], lambda: t[t_chosen]),
    "x[1] = 3": (lambda: target.__setitem__(1, 3), lambda: t_target.__setitem__(1, 3)),
    "relu": (lambda: nd.relu(x), lambda: torch.relu(t)),
    "exp": (lambda: nd.exp(x), lambda: torch.exp(t)),
    "sqrt": (lambda: nd.sqrt(x), lambda: torch.sqrt(t)),
    "abs": (lambda: nd.abs(x), lambda: torch.abs(t)),
    "square": (lambda: nd.square(x), lambda: torch.square(t)),
    "sigmoid": (lambda: nd.sigmoid(x), lambda: torch.sigmoid(t)),
    "clip": (lambda: nd.clip(x, -1, 1), lambda: torch.clamp(t, -1, 1)),
    "Activation": (lambda: nd.Activation(x, act_type="relu"), lambda: torch.relu(t)),
    "LeakyReLU": (lambda: nd.LeakyReLU(x, slope=0.1), lambda: F.leaky_relu(t, 0.1)),
    "smooth_l1": (lambda: nd.smooth_l1(x, scalar=1.0), lambda: F.smooth_l1_loss(t, t_zeros, reduction="none")),
    "sum()": (lambda: x.sum(), lambda: t.sum()),
    "sum(axis=1)": (lambda: x.sum(axis=1), lambda: t.sum(dim=1)),
    "mean(axis=1)": (lambda: x.mean(axis=1), lambda: t.mean(dim=1)),
    "mean()": (lambda: x.mean(), lambda: t.mean()),
    "max(axis=1)": (lambda: x.max(axis=1), lambda: t.amax(dim=1)),
    "min()": (lambda: x.min(), lambda: t.min()),
    "prod(axis=1)": (lambda: x.prod(axis=1), lambda: t.prod(dim=1)),
    "norm": (lambda: nd.norm(x), lambda: torch.linalg.vector_norm(t)),
    "argmax(axis=1)": (lambda: nd.argmax(x, axis=1), lambda: torch.argmax(t, 1).float()),
    "topk": (lambda: nd.topk(x, k=2), lambda: torch.topk(t, 2)[1].float()),
    "sort": (lambda: nd.sort(x), lambda: torch.sort(t)[0]),
    "softmax": (lambda: nd.softmax(x), lambda: torch.softmax(t, -1)),
    "log_softmax": (lambda: nd.log_softmax(x), lambda: torch.log_softmax(t, -1)),
    "dot": (lambda: nd.dot(x, w, transpose_b=True), lambda: torch.mm(t, v.t())),
    "linalg.gemm2": (lambda: nd.linalg.gemm2(x, w, transpose_b=True), lambda: torch.matmul(t, v.mT)),
    "FullyConnected": (lambda: nd.FullyConnected(x, w, bias, num_hidden=5), lambda: F.linear(t, v, t_bias)),
    "Convolution": (
        lambda: nd.Convolution(image, kernel, filters, kernel=(3, 3), num_filter=4),
        lambda: F.conv2d(t_image, t_kernel, t_filters),
    ),
    "Convolution (1, 3, 32, 32)": (
        lambda: nd.Convolution(picture, kernel, filters, kernel=(3, 3), num_filter=4),
        lambda: F.conv2d(t_picture, t_kernel, t_filters),
    ),
    "Pooling": (
        lambda: nd.Pooling(image, kernel=(2, 2), stride=(2, 2), pool_type="max"),
        lambda: F.max_pool2d(t_image, 2, 2),
    ),
    "BatchNorm": (
        lambda: nd.BatchNorm(image, gamma, beta, mean, var, fix_gamma=False),
        lambda: F.batch_norm(t_image, t_mean, t_var, t_gamma, t_beta, False),
    ),
    "Dropout": (lambda: nd.Dropout(x, p=0.5), lambda: F.dropout(t, 0.5, False).clone()),
    "Embedding": (
        lambda: nd.Embedding(places, w, input_dim=5, output_dim=6),
        lambda: F.embedding(t_places.long(), v),
    ),
    "reshape (method)": (lambda: x.reshape((6, 4)), lambda: t.reshape((6, 4))),
    "reshape((0, -1))": (lambda: x.reshape((0, -1)), lambda: t.reshape((4, -1))),
    "nd.reshape": (lambda: nd.reshape(x, shape=(6, 4)), lambda: torch.reshape(t, (6, 4)).clone()),
    "flatten": (lambda: nd.flatten(image), lambda: torch.flatten(t_image, 1).clone()),
    "transpose": (lambda: nd.transpose(x, axes=(1, 0)), lambda: torch.permute(t, (1, 0)).contiguous()),
    "transpose by a list": (lambda: nd.transpose(x, axes=[1, 0]), lambda: torch.permute(t, [1, 0]).contiguous()),
    "x.T": (lambda: x.T, lambda: t.T.contiguous()),
    "swapaxes": (lambda: nd.swapaxes(x, 0, 1), lambda: torch.transpose(t, 0, 1).contiguous()),
    "expand_dims": (lambda: nd.expand_dims(x, axis=1), lambda: torch.unsqueeze(t, 1).clone()),
    "squeeze": (lambda: nd.squeeze(row, axis=0), lambda: torch.squeeze(t_row, 0).clone()),
    "slice_axis": (
        lambda: nd.slice_axis(x, axis=1, begin=1, end=3),
        lambda: torch.narrow(t, 1, 1, 2).contiguous(),
    ),
    "slice_like": (lambda: nd.slice_like(x, corner), lambda: t[:3, :2].contiguous()),
    "slice": (lambda: nd.slice(x, begin=(1, 1), end=(3, 4)), lambda: t[1:3, 1:4].contiguous()),
    "broadcast_add": (lambda: nd.broadcast_add(x, row), lambda: torch.add(t, t_row)),
    "broadcast_mul": (lambda: nd.broadcast_mul(x, row), lambda: torch.mul(t, t_row)),
    "broadcast_to": (lambda: nd.broadcast_to(row, shape=(4, 6)), lambda: t_row.broadcast_to((4, 6)).contiguous()),
    "elemwise_add": (lambda: nd.elemwise_add(x, y), lambda: torch.add(t, u)),
    "maximum": (lambda: nd.maximum(x, y), lambda: torch.maximum(t, u)),
    "maximum(x, 0)": (lambda: nd.maximum(x, 0), lambda: torch.clamp(t, min=0)),
    "concat": (lambda: nd.concat(x, y, dim=0), lambda: torch.cat((t, u), 0)),
    "concatenate": (lambda: nd.concatenate([x, y], axis=0), lambda: torch.cat([t, u], 0)),
    "stack": (lambda: nd.stack(x, y, axis=0), lambda: torch.stack((t, u), 0)),
    "add_n": (lambda: nd.add_n(x, y, target), lambda: t + u + t_target),
    "split": (
        lambda: nd.split(x, num_outputs=2, axis=1),
        lambda: [p.contiguous() for p in torch.split(t, 3, 1)],
    ),
    "take": (lambda: nd.take(x, places), lambda: torch.index_select(t, 0, t_places.long().clamp(0, 3))),
    "pick": (
        lambda: nd.pick(x, places, axis=1),
        lambda: torch.gather(t, 1, t_places.long().clamp(0, 5).unsqueeze(1)).squeeze(1),
    ),
    "gather_nd": (lambda: nd.gather_nd(x, pairs), lambda: t[tuple(t_pairs.long())]),
    "one_hot": (lambda: nd.one_hot(places, 5), lambda: F.one_hot(t_places.long(), 5).float()),
    "where": (lambda: nd.where(mask, x, y), lambda: torch.where(t_mask != 0, t, u)),
    "tile": (lambda: nd.tile(x, reps=(2, 1)), lambda: torch.tile(t, (2, 1))),
    "repeat": (lambda: nd.repeat(x, repeats=2, axis=0), lambda: torch.repeat_interleave(t, 2, 0)),
    "zeros_like": (lambda: nd.zeros_like(x), lambda: torch.zeros_like(t)),
    "astype": (lambda: x.astype("float64"), lambda: t.to(torch.float64)),
    "copy": (lambda: x.copy(), lambda: t.clone()),
    "copyto": (lambda: x.copyto(target), lambda: t_target.copy_(t)),
    "zeros": (lambda: nd.zeros((4, 6)), lambda: torch.zeros((4, 6))),
    "ones": (lambda: nd.ones((4, 6)), lambda: torch.ones((4, 6))),
    "full": (lambda: nd.full((4, 6), 2.0), lambda: torch.full((4, 6), 2.0)),
    "arange": (lambda: nd.arange(10), lambda: torch.arange(0.0, 10.0)),
    "linspace": (lambda: nd.linspace(0, 1, 10), lambda: torch.linspace(0, 1, 10)),
    "eye": (lambda: nd.eye(4), lambda: torch.eye(4)),
    "array of a list": (lambda: nd.array(listed), lambda: torch.tensor(listed)),
    "array": (lambda: nd.array(host), lambda: torch.tensor(host)),
    "asnumpy": (lambda: x.asnumpy(), lambda: t.numpy().copy()),
    "x.shape": (lambda: x.shape, lambda: t.shape),
    "asscalar": (lambda: bias[0:1].asscalar(), lambda: t_bias[0:1].item()),
    "random.uniform": (lambda: nd.random.uniform(shape=(4, 6)), lambda: torch.rand((4, 6))),
    "random.normal": (lambda: nd.random.normal(shape=(4, 6)), lambda: torch.randn((4, 6))),
    "random.randint": (
        lambda: nd.random.randint(0, 9, shape=(4, 6)),
        lambda: torch.randint(0, 9, (4, 6), dtype=torch.int32),
    ),
    "sgd_update": (lambda: nd.sgd_update(x, y, out=x, lr=0.01), lambda: t.add_(u, alpha=-0.01)),
}


def networks():
    """Layers and steps of a small network, 6 to 8 to 5: `mx.gluon` beside `torch.nn`."""
    layer, block = gluon.nn.Dense(8, in_units=6), gluon.nn.HybridSequential()
    block.add(gluon.nn.Dense(8, in_units=6, activation="relu"), gluon.nn.Dense(5, in_units=8))
    graph = gluon.nn.HybridSequential()
    graph.add(gluon.nn.Dense(8, in_units=6, activation="relu"), gluon.nn.Dense(5, in_units=8))
    for each in (layer, block, graph):
        each.initialize()
    graph.hybridize()
    linear = torch.nn.Linear(6, 8)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5))
    trainer = gluon.Trainer(block.collect_params(), "sgd", {"learning_rate": 0.001})
    mover = gluon.Trainer(graph.collect_params(), "sgd", {"learning_rate": 0.001, "momentum": 0.9})
    sgd = torch.optim.SGD(net.parameters(), lr=0.001)
    momentum = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    data, t_data = x.detach(), t.detach()

    def ours(found):
        with autograd.record():
            loss = found(data).square().mean()
        loss.backward()

    def theirs():
        net.zero_grad()
        net(t_data).square().mean().backward()

    def stepped(trainer, arrays):
        for each in arrays:
            each._fresh_grad = True  # noqa: SLF001 - as a backward pass leaves it
        trainer.step(4)

    def inferred(module):
        with torch.no_grad():
            return module(t_data)

    for each in (block, graph):
        ours(each)
    theirs()
    weights, moved = ([p.data() for p in b.collect_params().values()] for b in (block, graph))
    return {
        "Dense": (lambda: layer(data), lambda: inferred(linear)),
        "two layers": (lambda: block(data), lambda: inferred(net)),
        "two layers, hybridized": (lambda: graph(data), lambda: inferred(net)),
        "two layers, recorded and backward": (lambda: ours(block), theirs),
        "the same, hybridized": (lambda: ours(graph), theirs),
        "Trainer.step": (lambda: stepped(trainer, weights), sgd.step),
        "Trainer.step, momentum": (lambda: stepped(mover, moved), momentum.step),
    }


_FAMILIAR = """
x + y|x * 2|x > 0|x[1:3]|relu|exp|square|clip|sum()|sum(axis=1)|mean(axis=1)|max(axis=1)|softmax|dot
FullyConnected|Convolution|Pooling|nd.reshape|transpose|expand_dims|slice_axis|broadcast_add|concat|take|pick|where
""".strip().replace("\n", "|")
RECORDED = tuple(_FAMILIAR.split("|"))
ARRAYS = (x, y, w, bias, image, kernel, filters, row)
TENSORS = (t, u, v, t_bias, t_image, t_kernel, t_filters, t_row)


def turns(calls, rounds, seconds):
    """Seconds a call of each, round by round, and the ratios of the rounds."""
    ours, theirs = calls

    def timed(call, count):
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    count = max(5, int(seconds / max(timed(ours, 50), 1e-7)))
    pairs = [(timed(ours, count), timed(theirs, count)) for _ in range(rounds)]
    return [statistics.median(p) for p in zip(*pairs, strict=True)] + [statistics.median(a / b for a, b in pairs)]


def measured(rounds, seconds, only=None):
    rows = []
    gc.disable()
    pairs = [*CALLS.items(), *networks().items()]
    rows += [(n, *turns(p, rounds, seconds)) for n, p in pairs if only is None or n in only]
    for array, tensor in zip(ARRAYS, TENSORS, strict=True):
        array.attach_grad()
        tensor.requires_grad_()
    with autograd.record():
        chosen = [n for n in RECORDED if only is None or n in only]
        rows += [(f"{n}, recorded", *turns(CALLS[n], rounds, seconds)) for n in chosen]
    gc.enable()
    return rows


def table(rows):
    lines = ["| call | evergraph | torch | ratio |", "|---|---:|---:|---:|"]
    lines += [f"| {n} | {human_seconds(a)} | {human_seconds(b)} | {r:.2f} |" for n, a, b, r in rows]
    return "\n".join(lines)


def plot(rows, path):
    """Ratios as bars: shorter is better, the line at 2 is what is promised."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.14 * len(rows) + 1))
    axes.barh([r[0] for r in rows][::-1], [r[3] for r in rows][::-1], color="#3b6ea5")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.axvline(2, color="black", linewidth=0.8, linestyle="--")
    axes.set_xlabel("time of a call on 4 x 6 numbers, as a multiple of torch's")
    axes.tick_params(axis="y", labelsize=5)
    axes.margins(y=0.005)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


REASONS = """
MXNet asks for more than torch's call does in these: `min()` has the shape (1,), a second call for torch, which takes as
long as the first; `concatenate` refuses other ranks and types, which `torch.cat` passes over; the gradient of `max`
reaches every one of equal values, where torch divides it among them.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=61)
    parser.add_argument("--seconds", type=float, default=0.0008, help="length of a turn")
    parser.add_argument("--only", nargs="*", help="names of calls")
    parser.add_argument("--write", action="store_true", help="write table and plot into docs/")
    args = parser.parse_args()
    rows = measured(args.rounds, args.seconds, args.only)
    above = [f"{n} ({r:.2f})" for n, _, _, r in rows if r > 2]
    text = (
        "## Calls\n\nCalls of `mx.nd` on small arrays beside torch's own, and layers and steps of a small network of "
    )
    text += f"`mx.gluon` beside `torch.nn`, one thread, medians; {machine()}, "
    text += f"torch {torch.__version__}.\nThe median of the ratios is {statistics.median(r[3] for r in rows):.2f}"
    text += f"; above 2: {', '.join(above) or 'none'}.\n{REASONS}\n{table(rows)}\n\n"
    text += "![Times as multiples of torch's](img/calls.svg)\n\nMeasured by `python -m benchmarks.ndarray --write`."
    print(text)
    if args.write:
        page = Path(__file__).parents[1] / "docs" / "performance.md"
        plot(rows, page.parent / "img" / "calls.svg")
        write_section(page, "calls", text)


if __name__ == "__main__":
    main()
