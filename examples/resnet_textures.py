"""A small ResNet learns ten textures in colour images of 32x32 pixels, CIFAR's shape, drawn here.

python examples/resnet_textures.py [--plot curve.png]

A class is one of five directions and one of two wave lengths; colours, phases, contrast and noise are chance.
"""

import logging

import numpy as np
from curve import Curve, arguments, finish

import evergraph.mxnet as mx

BATCH, CLASSES, SIDE = 32, 10, 32


def textures(number, seed):
    """Images (number, 3, 32, 32) and their classes."""
    rng = np.random.RandomState(seed)
    label = rng.randint(0, CLASSES, number)
    angle = (label % 5) * np.pi / 5 + rng.normal(0, 0.06, number)
    wave = np.where(label < 5, 5.0, 9.0) * rng.uniform(0.9, 1.1, number)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype("float32")
    way = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    lines = np.sin(2 * np.pi * way / wave[:, None, None] + rng.uniform(0, 2 * np.pi, number)[:, None, None])
    colours = rng.uniform(-1, 1, (number, 3, 1, 1))
    images = colours * lines[:, None] + rng.uniform(-0.5, 0.5, (number, 3, 1, 1))
    return (images + rng.normal(0, 0.5, images.shape)).astype("float32"), label.astype("float32")


def convolution(data, filters, kernel, stride, name):
    """A convolution and its batch normalisation."""
    pad = (kernel // 2, kernel // 2)
    data = mx.sym.Convolution(
        data,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=pad,
        num_filter=filters,
        no_bias=True,
        name=name + "_conv",
    )
    return mx.sym.BatchNorm(data, fix_gamma=False, eps=1e-5, momentum=0.9, name=name + "_bn")


def unit(data, filters, stride, name):
    """A residual unit: two convolutions beside a short way."""
    body = mx.sym.Activation(convolution(data, filters, 3, stride, name + "_a"), act_type="relu")
    body = convolution(body, filters, 3, 1, name + "_b")
    short = data if stride == 1 else convolution(data, filters, 1, stride, name + "_short")
    return mx.sym.Activation(body + short, act_type="relu", name=name + "_relu")


def resnet():
    """A first convolution, three residual units, a mean over all space."""
    net = mx.sym.Activation(convolution(mx.sym.Variable("data"), 16, 3, 1, "first"), act_type="relu")
    for i, (filters, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
        net = unit(net, filters, stride, f"unit{i}")
    net = mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(8, 8))
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=CLASSES, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def main():
    """Train, and score on images that were never trained on."""
    args = arguments(__doc__)
    logging.basicConfig(level=logging.INFO)
    np.random.seed(0)
    mx.random.seed(0)
    train = mx.io.NDArrayIter(*textures(1600, 1), batch_size=BATCH, shuffle=True)
    test = mx.io.NDArrayIter(*textures(320, 2), batch_size=BATCH)
    curve = Curve("cross entropy")
    steps = mx.lr_scheduler.FactorScheduler(step=100, factor=0.5)
    module = mx.mod.Module(resnet(), context=mx.cpu())
    module.fit(
        train,
        eval_data=test,
        eval_metric=mx.metric.create(["acc", "ce"]),
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-4, "lr_scheduler": steps},
        initializer=mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
        batch_end_callback=curve.of("cross-entropy"),
        num_epoch=4,
    )
    accuracy = dict(module.score(test, "acc"))["accuracy"]
    finish(args, curve, "accuracy", accuracy, 0.9)


if __name__ == "__main__":
    main()
