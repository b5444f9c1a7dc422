"""The same networks in PyTorch, with the loops that one writes by hand."""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - what every PyTorch program calls it
from torch import nn

from benchmarks import training_networks as net


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)])
        self.fc0, self.fc1 = nn.Linear(800, 500), nn.Linear(500, net.CLASSES)

    def forward(self, x):
        for conv in self.convs:
            x = F.max_pool2d(torch.tanh(conv(x)), 2, 2)
        return self.fc1(torch.tanh(self.fc0(x.flatten(1))))


class Unit(nn.Module):
    def __init__(self, into, filters, stride):
        super().__init__()
        self.conv0 = nn.Conv2d(into, filters, 3, stride, 1, bias=False)
        self.conv1 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn0, self.bn1 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.short = nn.Identity()
        if into != filters:
            self.short = nn.Sequential(nn.Conv2d(into, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn0(self.conv0(x)), inplace=True)
        return F.relu(self.bn1(self.conv1(y)) + self.short(x), inplace=True)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.units = nn.Sequential(*[Unit(a, b, 1 if a == b else 2) for a, b in pairwise(widths)])
        self.fc = nn.Linear(64, net.CLASSES)

    def forward(self, x):
        x = self.units(F.relu(self.bn(self.conv(x)), inplace=True))
        return self.fc(x.mean((2, 3)))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(net.VOCABULARY, net.EMBEDDED)
        self.lstm = nn.LSTM(net.EMBEDDED, net.HIDDEN, net.LAYERS, batch_first=True)
        self.pred = nn.Linear(net.HIDDEN, net.VOCABULARY)

    def forward(self, x):
        return self.pred(self.lstm(self.embed(x))[0].flatten(0, 1))


def mlp():
    width = net.WIDE
    return nn.Sequential(
        nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, net.CLASSES)
    )


MODELS = {"lenet": LeNet, "resnet20": ResNet20, "lstm": LanguageModel, "mlp": mlp}


class Loop:
    """A training loop written by hand, an epoch at a time: one loss, one backward pass, one step of SGD.

    Args:
        name: the network.
        batches: how many make an epoch.
        channels_last: whether images and weights are kept channels last.
    """

    def __init__(self, name, batches, channels_last=False):
        data, label = net.samples(name, batches)
        self.data, self.label = torch.from_numpy(data), torch.from_numpy(label.astype(np.int64))
        self.model, self.size = MODELS[name](), net.BATCHES[name]
        if name == "lstm":
            self.data = self.data.long()
        elif channels_last:
            self.data = self.data.contiguous(memory_format=torch.channels_last)
            self.model = self.model.to(memory_format=torch.channels_last)
        self.sgd = torch.optim.SGD(self.model.parameters(), net.RATES[name], momentum=0.9, foreach=True)

    def fit(self):
        """One epoch."""
        self.model.train()
        for start in range(0, len(self.data), self.size):
            x, y = self.data[start : start + self.size], self.label[start : start + self.size]
            loss = F.cross_entropy(self.model(x), y.flatten())
            self.sgd.zero_grad(set_to_none=True)
            loss.backward()
            self.sgd.step()
