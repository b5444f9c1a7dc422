"""The same networks in PyTorch and in MindSpore's face, from one text: a kit of layers stands for the framework."""

import torch

from evergraph.mindspore import nn, ops


class Torch:
    """Layers of PyTorch."""

    Base = torch.nn.Module
    Sequential = torch.nn.Sequential
    List = torch.nn.ModuleList
    BatchNorm = torch.nn.BatchNorm2d
    Dense = torch.nn.Linear
    Embedding = torch.nn.Embedding
    ReLU, ReLU6, GELU = torch.nn.ReLU, torch.nn.ReLU6, torch.nn.GELU
    softmax = staticmethod(lambda x: torch.softmax(x, -1))
    matmul = torch.matmul
    transpose = staticmethod(lambda x, axes: x.permute(axes))
    mean = staticmethod(lambda x, axes: x.mean(axes))
    lstm = staticmethod(lambda *a, **k: torch.nn.LSTM(*a, batch_first=True, **k))

    @staticmethod
    def conv(inner, outer, kernel, stride=1, padding=0, groups=1, bias=False):
        return torch.nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups, bias=bias)

    @staticmethod
    def conv1d(inner, outer, kernel):
        return torch.nn.Conv1d(inner, outer, kernel)

    @staticmethod
    def pool(kernel, stride, padding=0):
        return torch.nn.MaxPool2d(kernel, stride, padding)

    @staticmethod
    def norm(width):
        return torch.nn.LayerNorm(width)


class MindSpore:
    """Layers of MindSpore's face."""

    Base = nn.Cell
    Sequential = nn.SequentialCell
    List = staticmethod(lambda layers: nn.CellList(list(layers)))
    BatchNorm = nn.BatchNorm2d
    Dense = nn.Dense
    Embedding = nn.Embedding
    ReLU, ReLU6 = nn.ReLU, nn.ReLU6
    GELU = staticmethod(lambda: nn.GELU(approximate=False))
    softmax = staticmethod(lambda x: ops.softmax(x, -1))
    matmul = staticmethod(ops.matmul)
    transpose = staticmethod(lambda x, axes: x.transpose(axes))
    mean = staticmethod(lambda x, axes: x.mean(axes))
    lstm = staticmethod(lambda *a, **k: nn.LSTM(*a, batch_first=True, **k))

    @staticmethod
    def conv(inner, outer, kernel, stride=1, padding=0, groups=1, bias=False):
        return nn.Conv2d(inner, outer, kernel, stride, "pad", padding, group=groups, has_bias=bias)

    @staticmethod
    def conv1d(inner, outer, kernel):
        return nn.Conv1d(inner, outer, kernel, pad_mode="valid", has_bias=True)

    @staticmethod
    def pool(kernel, stride, padding=0):
        return nn.MaxPool2d(kernel, stride, "pad", padding)

    @staticmethod
    def norm(width):
        return nn.LayerNorm((width,), epsilon=1e-5)


def module(kit, layers, call):
    """A module with these layers, computing `call(self, x)`."""
    made = type("Net", (kit.Base,), {"forward": call, "construct": call})()
    for name, layer in layers.items():
        setattr(made, name, layer)
    return made


def bottleneck(kit, inner, width, stride):
    outer = width * 4
    layers = {"conv1": kit.conv(inner, width, 1), "bn1": kit.BatchNorm(width)}
    layers |= {"conv2": kit.conv(width, width, 3, stride, 1), "bn2": kit.BatchNorm(width)}
    layers |= {"conv3": kit.conv(width, outer, 1), "bn3": kit.BatchNorm(outer), "relu": kit.ReLU()}
    if stride != 1 or inner != outer:
        layers["downsample"] = kit.Sequential(kit.conv(inner, outer, 1, stride), kit.BatchNorm(outer))

    def call(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))

    return module(kit, layers, call)


def resnet(kit, base=64, blocks=(3, 4, 6, 3), classes=1000):
    """ResNet-50's structure."""
    layers = {"conv1": kit.conv(3, base, 7, 2, 3), "bn1": kit.BatchNorm(base), "relu": kit.ReLU()}
    layers["maxpool"] = kit.pool(3, 2, 1)
    inner = base
    for i, count in enumerate(blocks):
        width = base << i
        made = [bottleneck(kit, inner if j == 0 else width * 4, width, 2 if i and j == 0 else 1) for j in range(count)]
        layers[f"layer{i + 1}"] = kit.Sequential(*made)
        inner = width * 4
    layers["fc"] = kit.Dense(inner, classes)

    def call(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(len(blocks)):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(kit.mean(x, (2, 3)))

    return module(kit, layers, call)


def vgg(kit, plan=(64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0), hidden=4096, side=7):
    """VGG-16's structure."""
    features, inner = [], 3
    for width in plan:
        features += [kit.conv(inner, width, 3, 1, 1, bias=True), kit.ReLU()] if width else [kit.pool(2, 2)]
        inner = width or inner
    dense = (kit.Dense(inner * side * side, hidden), kit.ReLU(), kit.Dense(hidden, 10))
    layers = {"features": kit.Sequential(*features), "classifier": kit.Sequential(*dense)}

    def call(self, x):
        x = self.features(x)
        return self.classifier(x.reshape((x.shape[0], -1)))

    return module(kit, layers, call)


def mobilenet(kit, width=32, plan=((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)), classes=10):
    """MobileNet-v2's structure: expansion, depthwise convolution, projection."""

    def unit(inner, outer, kernel, stride=1, groups=1):
        padding = (kernel - 1) // 2
        conv = kit.conv(inner, outer, kernel, stride, padding, groups)
        return kit.Sequential(conv, kit.BatchNorm(outer), kit.ReLU6())

    def block(inner, outer, stride, expansion):
        hidden = inner * expansion
        made = [] if expansion == 1 else [unit(inner, hidden, 1)]
        made += [unit(hidden, hidden, 3, stride, hidden), kit.conv(hidden, outer, 1), kit.BatchNorm(outer)]
        added = stride == 1 and inner == outer
        layers = {"conv": kit.Sequential(*made)}
        return module(kit, layers, lambda self, x: x + self.conv(x) if added else self.conv(x))

    made, inner = [unit(3, width, 3, 2)], width
    for expansion, outer, count, stride in plan:
        for i in range(count):
            made.append(block(inner, outer, stride if i == 0 else 1, expansion))
            inner = outer
    layers = {"features": kit.Sequential(*made), "classifier": kit.Dense(inner, classes)}
    return module(kit, layers, lambda self, x: self.classifier(kit.mean(self.features(x), (2, 3))))


def bert(kit, width=768, heads=12, depth=12, words=30522, length=512, inner=3072):
    """BERT-base's structure: embeddings, attention blocks, a pooler."""

    def block():
        layers = {name: kit.Dense(width, width) for name in ("query", "key", "value", "output")}
        layers |= {"attention_norm": kit.norm(width), "output_norm": kit.norm(width), "act": kit.GELU()}
        layers |= {"intermediate": kit.Dense(width, inner), "dense": kit.Dense(inner, width)}

        def call(self, x):
            def split(y):
                return kit.transpose(y.reshape((y.shape[0], y.shape[1], heads, width // heads)), (0, 2, 1, 3))

            query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
            scores = kit.matmul(query, kit.transpose(key, (0, 1, 3, 2))) / (width // heads) ** 0.5
            mixed = kit.transpose(kit.matmul(kit.softmax(scores), value), (0, 2, 1, 3)).reshape(x.shape)
            x = self.attention_norm(x + self.output(mixed))
            return self.output_norm(x + self.dense(self.act(self.intermediate(x))))

        return module(kit, layers, call)

    layers = {"word_embeddings": kit.Embedding(words, width), "position_embeddings": kit.Embedding(length, width)}
    layers |= {"norm": kit.norm(width), "layers": kit.List([block() for _ in range(depth)])}
    layers["pooler"] = kit.Dense(width, width)

    def call(self, x):
        y = self.norm(self.word_embeddings(x) + self.position_embeddings(x * 0 + 1))
        for each in self.layers:
            y = each(y)
        return self.pooler(y[:, 0])

    return module(kit, layers, call)


def lstm(kit, words=1000, width=64, hidden=128, depth=2):
    """An embedding, a Conv1d, a bidirectional LSTM and a dense layer."""
    layers = {"embedding": kit.Embedding(words, width), "conv": kit.conv1d(width, width, 3)}
    layers |= {"rnn": kit.lstm(width, hidden, depth, bidirectional=True), "fc": kit.Dense(2 * hidden, words)}

    def call(self, x):
        y = kit.transpose(self.conv(kit.transpose(self.embedding(x), (0, 2, 1))), (0, 2, 1))
        return self.fc(self.rnn(y)[0])

    return module(kit, layers, call)
