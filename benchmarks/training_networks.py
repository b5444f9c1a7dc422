"""The networks of the training benchmark as an MXNet program defines them; `mx` is MXNet or `evergraph.mxnet`.

Written for every Python that a peer may have, from 3.6 on: the peers run this very file.
"""

import numpy as np

CLASSES = 10
VOCABULARY, EMBEDDED, HIDDEN, LAYERS, STEPS = 2000, 200, 200, 2, 32
WIDE = 2048
BATCHES = {"lenet": 64, "resnet20": 32, "lstm": 32, "mlp": 128}
RATES = {"lenet": 0.02, "resnet20": 0.02, "lstm": 0.1, "mlp": 0.01}
SHAPES = {"lenet": (1, 28, 28), "resnet20": (3, 32, 32), "lstm": (STEPS,), "mlp": (784,)}


def samples(name, batches):
    """Data and labels for so many batches, the same everywhere."""
    rng = np.random.RandomState(0)
    number = batches * BATCHES[name]
    if name == "lstm":
        words = rng.randint(0, VOCABULARY, (number, STEPS + 1)).astype("float32")
        return words[:, :-1].copy(), words[:, 1:].copy()
    data = rng.uniform(-1, 1, (number,) + SHAPES[name]).astype("float32")
    return data, rng.randint(0, CLASSES, number).astype("float32")


def lenet(mx):
    """LeNet: two convolutions, two dense layers."""
    x = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        x = mx.sym.Convolution(x, kernel=(5, 5), num_filter=filters, name=f"conv{i}")
        x = mx.sym.Activation(x, act_type="tanh")
        x = mx.sym.Pooling(x, pool_type="max", kernel=(2, 2), stride=(2, 2))
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=500, name="fc0")
    x = mx.sym.Activation(x, act_type="tanh")
    x = mx.sym.FullyConnected(x, num_hidden=CLASSES, name="fc1")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def _unit(mx, x, filters, stride, same, name):
    y = x
    for i, step in enumerate((stride, 1)):
        y = mx.sym.Convolution(
            y,
            kernel=(3, 3),
            stride=(step, step),
            pad=(1, 1),
            num_filter=filters,
            no_bias=True,
            name=f"{name}_conv{i}",
        )
        y = mx.sym.BatchNorm(y, fix_gamma=False, eps=1e-5, name=f"{name}_bn{i}")
        if i == 0:
            y = mx.sym.Activation(y, act_type="relu")
    if not same:
        x = mx.sym.Convolution(
            x, kernel=(1, 1), stride=(stride, stride), num_filter=filters, no_bias=True, name=name + "_sc"
        )
        x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-5, name=name + "_scbn")
    return mx.sym.Activation(y + x, act_type="relu")


def resnet20(mx):
    """ResNet-20 for images of 32x32: three stages of three residual units."""
    x = mx.sym.Variable("data")
    x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True, name="conv0")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-5, name="bn0"), act_type="relu")
    for stage, filters in enumerate((16, 32, 64)):
        for unit in range(3):
            first = unit == 0 and stage > 0
            x = _unit(mx, x, filters, 2 if first else 1, not first, f"s{stage}u{unit}")
    x = mx.sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(8, 8))
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=CLASSES, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def lstm(mx):
    """A language model: embedding, two layers of LSTM, and a softmax over the vocabulary at each step."""
    data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
    x = mx.sym.Embedding(data, input_dim=VOCABULARY, output_dim=EMBEDDED, name="embed")
    cell = mx.rnn.FusedRNNCell(HIDDEN, num_layers=LAYERS, mode="lstm", prefix="lstm_")
    x, _ = cell.unroll(STEPS, inputs=x, merge_outputs=True, layout="NTC")
    x = mx.sym.FullyConnected(mx.sym.Reshape(x, shape=(-1, HIDDEN)), num_hidden=VOCABULARY, name="pred")
    return mx.sym.SoftmaxOutput(x, mx.sym.Reshape(label, shape=(-1,)), name="softmax")


def mlp(mx):
    """Two wide hidden layers."""
    x = mx.sym.Variable("data")
    for i in range(2):
        x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=WIDE, name=f"fc{i}"), act_type="relu")
    x = mx.sym.FullyConnected(x, num_hidden=CLASSES, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


NETWORKS = {"lenet": lenet, "resnet20": resnet20, "lstm": lstm, "mlp": mlp}


class Trainer(object):  # noqa: UP004 - Python 2's form does no harm
    """Module.fit, an epoch at a time."""

    def __init__(self, mx, name, batches):
        data, label = samples(name, batches)
        self.number = len(data)
        self.rows = mx.io.NDArrayIter(data, label, batch_size=BATCHES[name], label_name="softmax_label")
        self.module = mx.mod.Module(NETWORKS[name](mx), context=mx.cpu())
        self.module.logger = _Quiet()
        self.metric = mx.metric.Perplexity(None) if name == "lstm" else mx.metric.create("acc")
        self.epoch, self.mx = 0, mx
        self.settings = {"learning_rate": RATES[name], "momentum": 0.9}

    def fit(self, callback=None):
        """One epoch."""
        self.module.fit(
            self.rows,
            eval_metric=self.metric,
            optimizer="sgd",
            optimizer_params=self.settings,
            initializer=self.mx.init.Xavier(),
            begin_epoch=self.epoch,
            num_epoch=self.epoch + 1,
            epoch_end_callback=callback,
        )
        self.epoch += 1
        self.mx.nd.waitall()


def _gluon_lenet(nn, _):
    net = nn.HybridSequential()
    for filters in (20, 50):
        net.add(nn.Conv2D(filters, 5, activation="tanh"), nn.MaxPool2D(2, 2))
    net.add(nn.Flatten(), nn.Dense(500, activation="tanh"), nn.Dense(CLASSES))
    return net


def _gluon_resnet20(nn, block):
    class Unit(block):
        def __init__(self, into, filters, stride):
            super(Unit, self).__init__()  # noqa: UP008
            with self.name_scope():
                self.body = nn.HybridSequential()
                self.short = None if into == filters else nn.HybridSequential()
            _add_normalised(nn, self.body, filters, 3, stride)
            self.body.add(nn.Activation("relu"))
            _add_normalised(nn, self.body, filters, 3, 1)
            if self.short is not None:
                _add_normalised(nn, self.short, filters, 1, stride)

        def hybrid_forward(self, F, x):  # noqa: N803
            return F.Activation(self.body(x) + (x if self.short is None else self.short(x)), act_type="relu")

    net = nn.HybridSequential()
    _add_normalised(nn, net, 16, 3, 1)
    net.add(nn.Activation("relu"))
    widths = [16] * 4 + [32] * 3 + [64] * 3
    for into, filters in zip(widths, widths[1:]):  # noqa: B905, RUF007 - Python 3.6
        net.add(Unit(into, filters, 1 if into == filters else 2))
    net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(CLASSES))
    return net


def _add_normalised(nn, net, filters, kernel, stride):
    net.add(nn.Conv2D(filters, kernel, stride, kernel // 2, use_bias=False), nn.BatchNorm(epsilon=1e-5))


GLUON = {"lenet": _gluon_lenet, "resnet20": _gluon_resnet20}


class GluonTrainer(object):  # noqa: UP004
    """A hybridized block, gluon's loss and trainer, an epoch at a time."""

    def __init__(self, mx, name, batches):
        data, label = samples(name, batches)
        self.data, self.label, self.size, self.mx = mx.nd.array(data), mx.nd.array(label), BATCHES[name], mx
        self.net = GLUON[name](mx.gluon.nn, mx.gluon.HybridBlock)
        self.net.initialize(mx.init.Xavier())
        self.net.hybridize(static_alloc=True, static_shape=True)
        self.loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        settings = {"learning_rate": RATES[name], "momentum": 0.9}
        self.trainer = mx.gluon.Trainer(self.net.collect_params(), "sgd", settings)

    def fit(self):
        """One epoch."""
        for start in range(0, len(self.data), self.size):
            x, y = self.data[start : start + self.size], self.label[start : start + self.size]
            with self.mx.autograd.record():
                loss = self.loss(self.net(x), y)
            loss.backward()
            self.trainer.step(self.size)
        self.mx.nd.waitall()


class _Quiet(object):  # noqa: UP004
    def info(self, *args):
        """Nothing."""

    warning = info
