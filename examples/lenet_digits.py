"""LeNet learns handwritten digits: scikit-learn's 1,797 bundled ones, or MNIST where its files are.

python examples/lenet_digits.py [--data FOLDER] [--plot curve.png]

FOLDER holds MNIST's four files, unpacked: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
t10k-labels-idx1-ubyte.
"""

import logging
import os

import numpy as np
from curve import Curve, arguments, finish

import evergraph.mxnet as mx

BATCH = 64


def digits():
    """Iterators over four fifths of the digits and over the rest."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.RandomState(0).permutation(len(found.target))
    images = (found.images[order, np.newaxis] / 16.0).astype("float32")
    labels = found.target[order].astype("float32")
    cut = len(order) * 4 // 5
    train = mx.io.NDArrayIter(images[:cut], labels[:cut], BATCH, shuffle=True, last_batch_handle="discard")
    return train, mx.io.NDArrayIter(images[cut:], labels[cut:], BATCH)


def mnist(folder):
    """Iterators over MNIST's files."""
    made = []
    for part in ("train", "t10k"):
        images, labels = (os.path.join(folder, part + end) for end in ("-images-idx3-ubyte", "-labels-idx1-ubyte"))
        made.append(mx.io.MNISTIter(image=images, label=labels, batch_size=BATCH, shuffle=part == "train", flat=False))
    return made


def lenet():
    """Two convolutions with pooling, two dense layers; it takes images of any size."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), pad=(2, 2), num_filter=filters, name=f"conv{i}")
        net = mx.sym.Activation(net, act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=128, name="fc0")
    net = mx.sym.Activation(net, act_type="tanh")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def main():
    """Train, and score on digits that were never trained on."""
    args = arguments(__doc__, data="folder with MNIST's files")
    logging.basicConfig(level=logging.INFO)
    np.random.seed(0)
    mx.random.seed(0)
    train, test = mnist(args.data) if args.data else digits()
    curve = Curve("cross entropy")
    module = mx.mod.Module(lenet(), context=mx.cpu())
    module.fit(
        train,
        eval_data=test,
        eval_metric=mx.metric.create(["acc", "ce"]),
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-4},
        initializer=mx.init.Xavier(),
        batch_end_callback=curve.of("cross-entropy"),
        num_epoch=3 if args.data else 12,
    )
    accuracy = dict(module.score(test, "acc"))["accuracy"]
    finish(args, curve, "accuracy", accuracy, 0.98)


if __name__ == "__main__":
    main()
