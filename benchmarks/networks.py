"""Networks, each written once over a few layers, and made either as a Symbol graph or as plain PyTorch code.

The PyTorch form is what a program written by hand does: calls of torch.nn.functional on the same parameters.
"""

import math
import zlib

import numpy as np

__all__ = ["NETWORKS", "Functions", "Symbols", "input_of", "parameters"]


class Symbols:
    """Layers as nodes of a graph, under the names of `evergraph.mxnet.sym`."""

    def __init__(self, sym):
        self.sym = sym

    def conv(self, x, name, filters, kernel, stride=1, pad=0, groups=1, bias=False):
        kernel, pad = pair(kernel), pair(pad)
        window = {"kernel": kernel, "stride": pair(stride), "pad": pad}
        return self.sym.Convolution(x, name=name, num_filter=filters, num_group=groups, no_bias=not bias, **window)

    def norm(self, x, name):
        return self.sym.BatchNorm(x, name=name, fix_gamma=False, eps=1e-5)

    def relu(self, x):
        return self.sym.Activation(x, act_type="relu")

    def pool(self, x, kind, kernel, stride, pad=0):
        return self.sym.Pooling(x, pool_type=kind, kernel=pair(kernel), stride=pair(stride), pad=pair(pad))

    def mean(self, x):
        return self.sym.Flatten(self.sym.Pooling(x, pool_type="avg", global_pool=True, kernel=(1, 1)))

    def flat(self, x):
        return self.sym.Flatten(x)

    def dense(self, x, name, size):
        return self.sym.FullyConnected(x, name=name, num_hidden=size)

    def softmax(self, x, axis=-1):
        return self.sym.softmax(x, axis=axis)

    def concat(self, xs, axis=1):
        return self.sym.Concat(*xs, dim=axis)

    def reshape(self, x, shape):
        return self.sym.Reshape(x, shape=shape)

    def transpose(self, x, axes):
        return self.sym.transpose(x, axes=axes)

    def embed(self, x, name, words, size):
        return self.sym.Embedding(x, name=name, input_dim=words, output_dim=size)

    def lstm(self, x, name, layers, size, batch):
        shape = (layers, batch, size)
        states = [self.sym.zeros(shape), self.sym.zeros(shape)]
        weight = self.sym.Variable(f"{name}_parameters")
        return self.sym.RNN(x, weight, *states, name=name, mode="lstm", num_layers=layers, state_size=size)


class Functions:
    """The same layers as calls on PyTorch tensors.

    Args:
        parameters: tensors by the graph's names.
    """

    def __init__(self, parameters):
        import torch
        from torch.nn import functional

        self.torch, self.f, self.p = torch, functional, parameters
        self.lstms = {}

    def conv(self, x, name, filters, kernel, stride=1, pad=0, groups=1, bias=False):
        weight, offset = self.p[f"{name}_weight"], self.p[f"{name}_bias"] if bias else None
        return self.f.conv2d(x, weight, offset, stride, pad, 1, groups)

    def norm(self, x, name):
        mean, var = self.p[f"{name}_moving_mean"], self.p[f"{name}_moving_var"]
        return self.f.batch_norm(x, mean, var, self.p[f"{name}_gamma"], self.p[f"{name}_beta"], False, 0.0, 1e-5)

    def relu(self, x):
        return self.f.relu(x, inplace=True)

    def pool(self, x, kind, kernel, stride, pad=0):
        return (self.f.max_pool2d if kind == "max" else self.f.avg_pool2d)(x, kernel, stride, pad)

    def mean(self, x):
        return self.f.adaptive_avg_pool2d(x, 1).flatten(1)

    def flat(self, x):
        return x.flatten(1)

    def dense(self, x, name, size):
        return self.f.linear(x, self.p[f"{name}_weight"], self.p[f"{name}_bias"])

    def softmax(self, x, axis=-1):
        return self.torch.softmax(x, axis)

    def concat(self, xs, axis=1):
        return self.torch.cat(xs, axis)

    def reshape(self, x, shape):
        # 0 keeps a size, as in the graphs
        return x.reshape([x.shape[i] if s == 0 else s for i, s in enumerate(shape)])

    def transpose(self, x, axes):
        return x.permute(axes)

    def embed(self, x, name, words, size):
        return self.f.embedding(x.long(), self.p[f"{name}_weight"])

    def lstm(self, x, name, layers, size, batch):
        if name not in self.lstms:
            self.lstms[name] = self.make_lstm(self.p[f"{name}_parameters"], int(x.shape[-1]), layers, size)
        return self.lstms[name](x)[0]

    def make_lstm(self, flat, width, layers, size):
        """torch.nn.LSTM on MXNet's one vector: all layers' weights, then all biases; gates are in the same order."""
        made, at = self.torch.nn.LSTM(width, size, layers), 0
        for kinds in (("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")):
            for layer in range(layers):
                for kind in kinds:
                    target = getattr(made, f"{kind}_l{layer}").data
                    target.copy_(flat[at : at + target.numel()].reshape(target.shape))
                    at += target.numel()
        made.flatten_parameters()
        return made.eval().requires_grad_(False)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def unit(b, x, name, *place, **more):
    """Convolution, normalization, activation."""
    return b.relu(b.norm(b.conv(x, name, *place, **more), f"{name}_bn"))


def resnet(b, x, blocks=(3, 4, 6, 3), batch=1):  # noqa: ARG001 - as the others
    """ResNet v1 of bottlenecks; 3, 4, 6, 3 of them are ResNet-50, 3, 8, 36, 3 ResNet-152."""
    x = b.pool(unit(b, x, "conv0", 64, 7, 2, 3), "max", 3, 2, 1)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            name, stride = f"stage{stage}_{block}", 2 if stage and not block else 1
            y = unit(b, x, f"{name}_a", width, 1, stride)
            y = unit(b, y, f"{name}_b", width, 3, 1, 1)
            y = b.norm(b.conv(y, f"{name}_c", 4 * width, 1), f"{name}_c_bn")
            if not block:
                x = b.norm(b.conv(x, f"{name}_d", 4 * width, 1, stride), f"{name}_d_bn")
            x = b.relu(x + y)
    return [b.softmax(b.dense(b.mean(x), "fc", 1000))]


def inception(b, x, batch=1):  # noqa: ARG001 - as the others
    """Inception-v3 without its auxiliary head."""
    for i, place in enumerate([(32, 3, 2), (32, 3), (64, 3, 1, 1)]):
        x = unit(b, x, f"conv{i}", *place)
    x = b.pool(x, "max", 3, 2)
    x = b.pool(unit(b, unit(b, x, "conv3", 80, 1), "conv4", 192, 3), "max", 3, 2)

    def tower(x, name, *layers):
        for i, place in enumerate(layers):
            x = unit(b, x, f"{name}_{i}", *place)
        return x

    for i, last in enumerate((32, 64, 64)):
        towers = [((64, 1),), ((48, 1), (64, 5, 1, 2)), ((64, 1), (96, 3, 1, 1), (96, 3, 1, 1))]
        each = [tower(x, f"a{i}_{j}", *t) for j, t in enumerate(towers)]
        x = b.concat([*each, unit(b, b.pool(x, "avg", 3, 1, 1), f"a{i}_pool", last, 1)])
    each = [tower(x, "b_0", (384, 3, 2)), tower(x, "b_1", (64, 1), (96, 3, 1, 1), (96, 3, 2))]
    x = b.concat([*each, b.pool(x, "max", 3, 2)])
    for i, width in enumerate((128, 160, 160, 192)):
        wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
        short = ((width, 1), (width, *wide), (192, *tall))
        long = ((width, 1), (width, *tall), (width, *wide), (width, *tall), (192, *wide))
        each = [tower(x, f"c{i}_{j}", *t) for j, t in enumerate([((192, 1),), short, long])]
        x = b.concat([*each, unit(b, b.pool(x, "avg", 3, 1, 1), f"c{i}_pool", 192, 1)])
    long = ((192, 1), (192, (1, 7), 1, (0, 3)), (192, (7, 1), 1, (3, 0)), (192, 3, 2))
    x = b.concat([tower(x, "d_0", (192, 1), (320, 3, 2)), tower(x, "d_1", *long), b.pool(x, "max", 3, 2)])
    for i in range(2):
        y, z = unit(b, x, f"e{i}_1", 384, 1), tower(x, f"e{i}_2", (448, 1), (384, 3, 1, 1))
        parts = [unit(b, x, f"e{i}_0", 320, 1)]
        for j, part in enumerate((y, z)):
            parts.append(unit(b, part, f"e{i}_{j}_wide", 384, (1, 3), 1, (0, 1)))
            parts.append(unit(b, part, f"e{i}_{j}_tall", 384, (3, 1), 1, (1, 0)))
        x = b.concat([*parts, unit(b, b.pool(x, "avg", 3, 1, 1), f"e{i}_pool", 192, 1)])
    return [b.softmax(b.dense(b.mean(x), "fc", 1000))]


def vgg(b, x, batch=1):  # noqa: ARG001 - as the others
    """VGG-16."""
    for stage, (count, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        for i in range(count):
            x = b.relu(b.conv(x, f"conv{stage}_{i}", width, 3, 1, 1, bias=True))
        x = b.pool(x, "max", 2, 2)
    x = b.flat(x)
    for i in range(2):
        x = b.relu(b.dense(x, f"fc{i}", 4096))
    return [b.softmax(b.dense(x, "fc2", 1000))]


MOBILE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def mobile_features(b, x):
    """MobileNet v1 up to its last convolution; also what its twelfth gives (stride 16)."""
    x, width, middle = unit(b, x, "conv0", 32, 3, 2, 1), 32, None
    for i, (filters, stride) in enumerate(MOBILE):
        x = unit(b, x, f"conv{i + 1}_depth", width, 3, stride, 1, groups=width)
        x, width = unit(b, x, f"conv{i + 1}", filters, 1), filters
        middle = x if i == 10 else middle
    return middle, x


def mobilenet(b, x, batch=1):  # noqa: ARG001 - as the others
    """MobileNet v1 of full width."""
    return [b.softmax(b.dense(b.mean(mobile_features(b, x)[1]), "fc", 1000))]


def ssd(b, x, batch=1, classes=21):  # noqa: ARG001 - as the others
    """SSD on MobileNet v1 at 300: class probabilities (N, classes, anchors), offsets (N, 4 * anchors)."""
    maps = list(mobile_features(b, x))
    for i, filters in enumerate((512, 256, 256, 128)):
        reduced = unit(b, maps[-1], f"extra{i}_a", filters // 2, 1)
        maps.append(unit(b, reduced, f"extra{i}_b", filters, 3, 2, 1))
    scores, offsets = [], []
    for i, each in enumerate(maps):
        count = 3 if i == 0 else 6
        score = b.transpose(b.conv(each, f"score{i}", count * classes, 3, 1, 1, bias=True), (0, 2, 3, 1))
        offset = b.transpose(b.conv(each, f"offset{i}", count * 4, 3, 1, 1, bias=True), (0, 2, 3, 1))
        scores.append(b.reshape(score, (0, -1, classes)))
        offsets.append(b.reshape(offset, (0, -1)))
    return [b.softmax(b.transpose(b.concat(scores), (0, 2, 1)), 1), b.concat(offsets)]


def lstm(b, x, batch=1, words=10000, size=512):
    """Two layers of LSTM over 64 words, (time, batch) -> probabilities of the next ones."""
    x = b.lstm(b.embed(x, "words", words, size), "lstm", 2, size, batch)
    return [b.softmax(b.dense(b.reshape(x, (-1, size)), "fc", 1000))]


NETWORKS = {
    "ResNet-50": (resnet, (3, 224, 224)),
    "Inception-v3": (inception, (3, 299, 299)),
    "VGG-16": (vgg, (3, 224, 224)),
    "MobileNet-v1": (mobilenet, (3, 224, 224)),
    "SSD": (ssd, (3, 300, 300)),
    "LSTM": (lstm, (64,)),
}
"""(what makes it, shape of one example) by name; the LSTM's is its number of time steps."""


def input_of(name, batch):
    """Seeded input of a network."""
    shape, rng = NETWORKS[name][1], np.random.default_rng(batch)
    if name == "LSTM":
        return rng.integers(0, 10000, (*shape, batch)).astype("float32")
    return rng.standard_normal((batch, *shape), "float32")


_SCALES = {"words_weight": 1.0, "lstm_parameters": 0.08}


def parameters(shapes):
    """Seeded values by name, under which activations keep their size from layer to layer."""
    found = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        if name.endswith(("_gamma", "_var")):
            # the last of a residual block adds little, as in trained networks
            low, high = (0.2, 0.4) if name.endswith("_c_bn_gamma") else (0.8, 1.2)
            found[name] = rng.uniform(low, high, shape).astype("float32")
        elif name.endswith(("_beta", "_mean", "_bias")):
            found[name] = rng.uniform(-0.1, 0.1, shape).astype("float32")
        else:
            width = math.prod(shape[1:]) if len(shape) > 1 else 512
            scale = math.sqrt(2 / width) if len(shape) == 4 else _SCALES.get(name, math.sqrt(1 / width))
            found[name] = rng.standard_normal(shape, "float32") * np.float32(scale)
    return found
