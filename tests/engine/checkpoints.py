"""The recorded checkpoints of every release: graph, parameters, inputs, outputs, gradients."""

from pathlib import Path

import numpy as np
import torch

from evergraph.graph import parse
from evergraph.passes.upgrade import upgrade
from tests.goldens import MXNET, RELEASES

# nets whose outputs MXNet itself changed since: 1.9.1's meaning is followed
_BY_NEWEST = {
    ("spatial_tf", "0.9.5"): "before 0.11 it clamped at the border and read past it",
    ("spatial_tf", "0.10.0"): "before 0.11 it clamped at the border and read past it",
}
# gradients that are wrong in the releases: an in-place output overwrites the data that its gradient reads
_WRONG_GRADIENTS = {("attrs", "pr_gamma"), ("convzoo", "prelu_gamma")}
# before 1.5 the gradient of max pooling with overlapping windows differs; 1.9.1's is that of the definition
_OVERLAPPING_POOLING = {"conv1d3d", "convzoo"}


class Recorded:
    """One recorded network of one release."""

    def __init__(self, stem):
        self.name, self.release = stem.name, stem.parent.parent.name
        self.values = dict(np.load(f"{stem}-io.npz"))
        self.graph = upgrade(parse(Path(f"{stem}-symbol.json").read_bytes())).graph
        self._stem = stem

    def value(self, name, training=False):
        keys = ["trainlabel:", "arg:", "aux:", "in:"] if training else ["arg:", "aux:", "in:"]
        return torch.from_numpy(next(self.values[k + name] for k in keys if k + name in self.values).copy())

    @property
    def tensors(self):
        return {k[4:]: v for k, v in self.values.items() if k.startswith(("arg:", "aux:"))}

    @property
    def inputs(self):
        return {k[3:]: v for k, v in self.values.items() if k.startswith("in:")}

    def outputs(self, names):
        """Recorded outputs by index; None for one that MXNet computes wrongly."""
        later = Path(f"{self._stem}-out-by-1.9.1.npz")
        known = self.as_recorded and any(k.startswith("out:") for k in self.values)
        found = self.values if known else dict(np.load(later))
        # moments: where only the variance is a head, MXNet leaves the mean out and the variance is garbage
        return [None if n.startswith("moments") else found[f"out:{i}"] for i, n in enumerate(names)]

    @property
    def as_recorded(self):
        """Whether 1.9.1 computes this network as the release did."""
        return (self.name, self.release) not in _BY_NEWEST

    @property
    def trains(self):
        return any(k.startswith("trainout:") for k in self.values)

    def gradients(self):
        """Recorded gradients by name; those of 1.9.1 where MXNet itself changed them."""
        found = {k[5:]: v for k, v in self.values.items() if k.startswith("grad:")}
        pooled = self.name in _OVERLAPPING_POOLING and RELEASES.index(self.release) < RELEASES.index("1.5.1")
        if pooled or (self.name, self.release) in _BY_NEWEST or (self.name, self.release) == ("spatial_tf", "0.11.0"):
            newest = dict(np.load(MXNET / "1.9.1" / "checkpoints" / f"{self.name}-io.npz"))
            heads = {k for k in (*newest, *self.values) if k.startswith("head:")}
            same = all(k in newest and k in self.values and np.array_equal(newest[k], self.values[k]) for k in heads)
            found = {n: newest[f"grad:{n}"] for n in found} if same else {}
        return {n: v for n, v in found.items() if (self.name, n) not in _WRONG_GRADIENTS}


def stems():
    return [
        Path(str(p).removesuffix("-io.npz"))
        for r in RELEASES
        for p in sorted((MXNET / r / "checkpoints").glob("*-io.npz"))
    ]


def ident(stem):
    return f"{stem.parent.parent.name}-{stem.name}"
