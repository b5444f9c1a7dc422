"""Programs in the style of "Dive into Deep Learning" for MXNet: `mx.np` arrays in and out of gluon.

`python tests/mxnet/np_book_programs.py`, run with an MXNet, records what it gives.
"""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import math

import numpy as onp


class Setting:
    """The modules, and numbers that every library draws alike."""

    def __init__(self, mx, seed=3):
        self.mx, self.np, self.npx, self.gluon, self.nn = mx, mx.np, mx.npx, mx.gluon, mx.gluon.nn
        self.autograd, self.rnn = mx.autograd, mx.gluon.rnn
        self.drawn = onp.random.RandomState(seed)
        mx.npx.set_np()

    def array(self, *shape):
        return self.np.array(self.drawn.uniform(-1, 1, shape).astype("float32"))

    def numbers(self, below, *shape):
        return self.np.array(self.drawn.randint(0, below, shape).astype("int32"))

    def fill(self, *nets):
        """Give parameters values by the order of their attributes: names have numbers that go on."""
        for net in nets:
            for param in net._collect_params_with_prefix().values():
                values = self.drawn.uniform(-0.3, 0.3, param.shape).astype("float32")
                kind = param.name.rpartition("_")[2]
                param.set_data(self.np.array(abs(values) + 0.5 if kind in ("gamma", "var") else values))

    def trainer(self, params, kind, **options):
        return self.gluon.Trainer(params, kind, options)


def linear_regression_from_scratch(mx):
    s = Setting(mx)
    np, autograd = s.np, s.autograd
    features = s.array(40, 2)
    labels = np.dot(features, np.array([2, -3.4])) + 4.2
    w, b, losses = np.zeros((2, 1)), np.zeros(1), []
    for param in (w, b):
        param.attach_grad()
    for _ in range(2):
        for start in range(0, 40, 10):
            x, y = features[start : start + 10], labels[start : start + 10]
            with autograd.record():
                loss = (np.dot(x, w) + b - y.reshape(-1, 1)) ** 2 / 2
            loss.backward()
            for param in (w, b):
                param[:] = param - 0.3 * param.grad / 10
        losses.append(float(((np.dot(features, w) + b - labels.mean()) ** 2).mean()))
    return [w, b, w.grad, losses, str(np.array([0.5, -1.25]))]


def linear_regression_with_gluon(mx):
    s = Setting(mx)
    features = s.array(20, 2)
    labels = s.np.dot(features, s.np.array([2, -3.4])) + 4.2
    batches = s.gluon.data.DataLoader(s.gluon.data.ArrayDataset(features, labels), 5)
    net, told = s.nn.Sequential(), []
    net.add(s.nn.Dense(1))
    net.initialize(mx.init.Constant(0.1))
    told.append(repr(net))
    trainer, loss = s.trainer(net.collect_params(), "sgd", learning_rate=0.1), s.gluon.loss.L2Loss()
    for _ in range(2):
        for x, y in batches:
            with s.autograd.record():
                found = loss(net(x), y)
            found.backward()
            trainer.step(5)
    last = loss(net(features), labels)
    return [told, repr(net), last, last.mean(), net[0].weight.data(), net[0].weight.grad(), net[0].bias.data()]


def softmax_regression_from_scratch(mx):
    s = Setting(mx)
    np = s.np
    images, labels = s.array(12, 3, 2), s.numbers(4, 12)
    w, b = s.array(6, 4) * 0.1, np.zeros(4)
    w.attach_grad()
    b.attach_grad()

    def net(x):
        x = np.exp(np.dot(x.reshape((-1, 6)), w) + b)
        return x / x.sum(axis=1, keepdims=True)

    losses = []
    for _ in range(3):
        with s.autograd.record():
            found = net(images)
            loss = -np.log(found[range(len(found)), labels])
        loss.backward()
        w[:] = w - 0.5 * w.grad / 12
        b -= 0.5 * b.grad / 12
        losses.append(loss.sum())
    right = (net(images).argmax(axis=1).astype(labels.dtype) == labels).astype(labels.dtype).sum()
    return [losses, w, b, float(right), net(images)[:2]]


def perceptron_with_decay_and_dropout(mx):
    s = Setting(mx)
    net = s.nn.Sequential()
    net.add(s.nn.Dense(6, activation="relu"), s.nn.Dropout(0.0), s.nn.Dense(3))
    net.initialize(mx.init.Normal(sigma=0.01))
    x, y = s.array(8, 4), s.numbers(3, 8)
    net(x)
    s.fill(net)
    net.collect_params(".*bias").setattr("wd_mult", 0)
    trainer = s.trainer(net.collect_params(), "sgd", learning_rate=0.5, wd=0.1, momentum=0.9)
    loss, losses = s.gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(3):
        with s.autograd.record():
            found = loss(net(x), y)
        found.backward()
        trainer.step(8)
        losses.append(found)
    return [losses, net[0].weight.data(), net[2].bias.data(), net[2].bias.grad(), repr(net)]


def layers_of_ones_own(mx):
    s = Setting(mx)
    np, npx, nn = s.np, s.npx, s.nn

    class Scaled(nn.Block):
        def __init__(self, units, in_units, **kwargs):
            super().__init__(**kwargs)
            self.weight = self.params.get("weight", shape=(in_units, units), init=mx.init.One())
            self.bias = self.params.get("bias", shape=(units,), init=mx.init.Zero())
            self.fixed = self.params.get_constant("fixed", np.array([[1.0, -2.0, 0.5]]))

        def forward(self, x):
            found = npx.relu(np.dot(x, self.weight.data(ctx=x.ctx)) + self.bias.data())
            return found * self.fixed.data()

    layer = Scaled(3, 2)
    layer.initialize()
    x = s.array(2, 2)
    with s.autograd.record():
        found = layer(x)
        total = found.sum()
    total.backward()
    centered = nn.Lambda(lambda a: a - a.mean())
    return [found, total, layer.weight.grad(), layer.fixed.data(), layer.fixed.value, centered(np.array([1, 2, 3]))]


def shared_and_changed_parameters(mx):
    s = Setting(mx)
    nn, np = s.nn, s.np
    shared = nn.Dense(2, activation="relu", in_units=2)
    net = nn.Sequential()
    net.add(nn.Dense(2, in_units=3), shared, nn.Dense(2, activation="relu", params=shared.params))
    net.initialize(mx.init.Constant(0.5))
    net[1].weight.data()[0, 0] = 100
    same = (net[1].weight.data() == net[2].weight.data()).all()
    net[0].weight.set_data(np.arange(6).reshape(2, 3))
    net[0].weight.data()[:] += 1
    return [same, net[0].weight.data(), net(np.ones((1, 3))), net[0].weight.list_data(), net[0].weight.shape]


def convolution_from_scratch(mx):
    s = Setting(mx)
    np = s.np
    x = np.ones((6, 8))
    x[:, 2:6] = 0
    y = np.zeros((6, 7))
    for i in range(6):
        for j in range(7):
            y[i, j] = (x[i : i + 1, j : j + 2] * np.array([[1.0, -1.0]])).sum()
    layer = s.nn.Conv2D(1, kernel_size=(1, 2), use_bias=False)
    told = repr(layer)
    layer.initialize(mx.init.Constant(0.2))
    x, y, losses = x.reshape(1, 1, 6, 8), y.reshape(1, 1, 6, 7), []
    for _ in range(4):
        with s.autograd.record():
            loss = (layer(x) - y) ** 2
        loss.backward()
        layer.weight.data()[:] -= 3e-2 * layer.weight.grad()
        losses.append(float(loss.sum()))
    return [y, losses, layer.weight.data().reshape((1, 2)), told, repr(layer)]


def convolutional_network(mx):
    s = Setting(mx)
    nn = s.nn
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, padding=1, activation="sigmoid"), nn.AvgPool2D(2, 2), nn.BatchNorm())
    net.add(nn.Conv2D(6, 3, activation="relu"), nn.MaxPool2D(2, 2), nn.Dense(5, activation="tanh"), nn.Dense(4))
    net.initialize()
    told, x, y = repr(net), s.array(3, 1, 10, 10), s.numbers(4, 3)
    net(x)
    s.fill(net)
    shapes, z = [], x
    for layer in net:
        z = layer(z)
        shapes.append(list(z.shape))
    trainer, loss = s.trainer(net.collect_params(), "sgd", learning_rate=0.5), s.gluon.loss.SoftmaxCrossEntropyLoss()
    losses = []
    for step in range(4):
        with s.autograd.record():
            found = loss(net(x), y)
        found.backward()
        trainer.step(3)
        losses.append(found)
        if step == 1:
            net.hybridize()
    return [told, repr(net), shapes, losses, net[2].running_mean.data(), net[0].weight.grad(), net(x)]


def batch_norm_from_scratch(mx):
    s = Setting(mx)
    np, autograd = s.np, s.autograd

    class Norm(s.nn.Block):
        def __init__(self, channels):
            super().__init__()
            shape = (1, channels, 1, 1)
            self.gamma = self.params.get("gamma", shape=shape, init=mx.init.One())
            self.beta = self.params.get("beta", shape=shape, init=mx.init.Zero())
            self.mean, self.var = np.zeros(shape), np.ones(shape)

        def forward(self, x):
            if not autograd.is_training():
                return self.gamma.data() * (x - self.mean) / np.sqrt(self.var + 1e-5) + self.beta.data()
            mean = x.mean(axis=(0, 2, 3), keepdims=True)
            var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
            self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
            return self.gamma.data() * (x - mean) / np.sqrt(var + 1e-5) + self.beta.data()

    norm, x = Norm(2), s.array(2, 2, 3, 3)
    norm.initialize()
    with autograd.record():
        loss = (norm(x) ** 3).sum()
    loss.backward()
    return [loss, norm.gamma.grad(), norm.beta.grad(), norm.mean, norm.var, norm(x)[0]]


def recurrent_network_from_scratch(mx):
    s = Setting(mx)
    np, npx = s.np, s.npx
    x = np.arange(10).reshape((2, 5))
    params = [s.array(12, 4), s.array(4, 4), np.zeros(4), s.array(4, 12), np.zeros(12)]
    for param in params:
        param.attach_grad()
    loss, state, told = s.gluon.loss.SoftmaxCrossEntropyLoss(), (np.zeros((2, 4)),), []
    for _ in range(3):
        for each in state:
            each.detach()
        with s.autograd.record():
            outputs, (hidden,) = [], state
            for step in npx.one_hot(x.T, 12):
                hidden = np.tanh(np.dot(step, params[0]) + np.dot(hidden, params[1]) + params[2])
                outputs.append(np.dot(hidden, params[3]) + params[4])
            state = (hidden,)
            found = loss(np.concatenate(outputs, axis=0), x.T.reshape(-1)).mean()
        found.backward()
        norm = math.sqrt(sum((p.grad**2).sum() for p in params))
        for param in params:
            if norm > 0.5:
                param.grad[:] *= 0.5 / norm
            param[:] -= param.grad
        told.append([found, norm, math.exp(found)])
    return [told, state[0], params[1], params[2]]


def recurrent_language_model(mx):
    s = Setting(mx)
    npx, nn = s.npx, s.nn

    class Model(nn.Block):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.rnn, self.dense = s.rnn.LSTM(4), nn.Dense(9)

        def forward(self, inputs, state):
            y, state = self.rnn(npx.one_hot(inputs.T, 9), state)
            return self.dense(y.reshape(-1, y.shape[-1])), state

    net, x = Model(), s.numbers(9, 2, 5)
    net.initialize(ctx=mx.cpu())
    state = net.rnn.begin_state(batch_size=2, ctx=mx.cpu())
    net(x, state)
    s.fill(net)
    trainer, loss = s.trainer(net.collect_params(), "adam", learning_rate=0.05), s.gluon.loss.SoftmaxCrossEntropyLoss()
    losses = []
    for _ in range(4):
        for each in state:
            each.detach()
        with s.autograd.record():
            found, state = net(x, state)
            mean = loss(found, x.T.reshape(-1)).mean()
        mean.backward()
        trainer.step(1)
        losses.append(mean)
    return [losses, state, net.dense.bias.data(), repr(net)]


def attention(mx):
    s = Setting(mx)
    np, npx, nn = s.np, s.npx, s.nn

    def masked_softmax(x, lengths):
        shape = x.shape
        lengths = lengths.repeat(shape[1]) if lengths.ndim == 1 else lengths.reshape(-1)
        x = npx.sequence_mask(x.reshape(-1, shape[-1]), lengths, True, value=-1e6, axis=1)
        return npx.softmax(x).reshape(shape)

    class Heads(nn.Block):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = [nn.Dense(8, use_bias=False, flatten=False) for _ in range(4)]
            self.norm, self.dropout = nn.LayerNorm(), nn.Dropout(0.1)

        def split(self, x):
            return x.reshape(x.shape[0], x.shape[1], 2, -1).transpose(0, 2, 1, 3).reshape(-1, x.shape[1], 4)

        def forward(self, x, lengths):
            q, k, v = [self.split(f(x)) for f in (self.q, self.k, self.v)]
            self.weights = masked_softmax(
                npx.batch_dot(q, k, transpose_b=True) / math.sqrt(4), lengths.repeat(2, axis=0)
            )
            found = npx.batch_dot(self.weights, v).reshape(-1, 2, x.shape[1], 4).transpose(0, 2, 1, 3)
            return self.norm(self.o(found.reshape(x.shape)) + x)

    places = np.zeros((1, 5, 8))
    angles = np.arange(5).reshape(-1, 1) / np.power(10000, np.arange(0, 8, 2) / 8)
    places[:, :, 0::2], places[:, :, 1::2] = np.sin(angles), np.cos(angles)
    embedding, heads, x, lengths = nn.Embedding(7, 8), Heads(), s.numbers(7, 2, 5), np.array([3, 2])
    embedding.initialize()
    heads.initialize()
    heads(places, np.array([5]))
    s.fill(embedding, heads)
    with s.autograd.record(train_mode=False):
        found = heads(embedding(x) * math.sqrt(8) + places[:, : x.shape[1], :].as_in_ctx(x.ctx), lengths)
        loss = (found * np.arange(8)).sum()
    loss.backward()
    gradients = [embedding.weight.grad(), heads.q.weight.grad(), heads.norm.gamma.grad()]
    return [found[0], heads.weights[0], loss, gradients, masked_softmax(s.array(2, 2, 3), np.array([[1, 3], [2, 3]]))]


def sequence_to_sequence(mx):
    s = Setting(mx)
    np, npx, nn, rnn = s.np, s.npx, s.nn, s.rnn

    class MaskedLoss(s.gluon.loss.SoftmaxCELoss):
        def forward(self, pred, label, valid_len):
            weights = np.expand_dims(np.ones_like(label), axis=-1)
            return super().forward(pred, label, npx.sequence_mask(weights, valid_len, True, axis=1))

    class Encoder(nn.Block):
        def __init__(self):
            super().__init__()
            self.embedding, self.rnn = nn.Embedding(6, 4), rnn.GRU(5, 2)

        def forward(self, x):
            x = self.embedding(x).swapaxes(0, 1)
            return self.rnn(x, self.rnn.begin_state(batch_size=x.shape[1], ctx=x.ctx))

    class Decoder(nn.Block):
        def __init__(self):
            super().__init__()
            self.embedding, self.rnn, self.dense = nn.Embedding(6, 4), rnn.GRU(5, 2), nn.Dense(6, flatten=False)

        def forward(self, x, state):
            x, context = self.embedding(x).swapaxes(0, 1), state[0][-1]
            context = np.broadcast_to(context, (x.shape[0], context.shape[0], context.shape[1]))
            found, state = self.rnn(np.concatenate((x, context), 2), state)
            return self.dense(found).swapaxes(0, 1), state

    encoder, decoder, loss = Encoder(), Decoder(), MaskedLoss()
    x, lengths, first = s.numbers(6, 3, 4), np.array([4, 2, 1]), np.ones((3, 1))
    for net in (encoder, decoder):
        net.initialize(mx.init.Xavier())
    found, state = decoder(x, encoder(x)[1])
    s.fill(encoder, decoder)
    params = {**dict(encoder.collect_params().items()), **dict(decoder.collect_params().items())}
    trainer, losses = s.trainer(params, "adam", learning_rate=0.02), []
    for _ in range(3):
        with s.autograd.record():
            found, state = decoder(np.concatenate([first, x[:, :-1].astype("float32")], 1), encoder(x)[1])
            loss_of_each = loss(found, x, lengths)
        loss_of_each.backward()
        trainer.step(int(lengths.sum()))
        losses.append(loss_of_each)
    guess, _ = decoder(np.expand_dims(np.array([1]), axis=0), [state[0][:, :1]])
    return [losses, state, found.argmax(axis=2).astype("int32"), int(guess.argmax(axis=2).squeeze(axis=0).item())]


def embeddings_of_users_and_words(mx):
    s = Setting(mx)
    np, npx, nn = s.np, s.npx, s.nn
    users, items, bias = nn.Embedding(5, 3), nn.Embedding(4, 3), nn.Embedding(5, 1)
    for net in (users, items, bias):
        net.initialize(mx.init.Normal(0.01))
    s.fill(users, items, bias)
    u, i, y, loss = s.numbers(5, 6), s.numbers(4, 6), s.array(6), s.gluon.loss.L2Loss()
    params = {**users.collect_params()._params, **items.collect_params()._params, **bias.collect_params()._params}
    trainer, losses = s.trainer(params, "adam", learning_rate=0.1, wd=1e-3), []
    for _ in range(3):
        with s.autograd.record():
            found = loss(((users(u) * items(i)).sum(axis=1) + np.squeeze(bias(u))).flatten(), y)
        found.backward()
        trainer.step(6)
        losses.append(found)
    center, context = s.numbers(5, 2, 1), s.numbers(4, 2, 3)
    scores = npx.batch_dot(users(center), items(context).swapaxes(1, 2)).reshape(2, 3)
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    binary = s.gluon.loss.SigmoidBCELoss()(scores, np.array([[1, 0, 0], [1, 0, 0]]), mask)
    weight = users.weight.data()
    cosine = np.dot(weight, weight[2]) / np.sqrt(np.sum(weight * weight, axis=1) * np.sum(weight[2] * weight[2]) + 1e-9)
    return [losses, weight, binary * mask.shape[1] / mask.sum(axis=1), npx.topk(cosine, k=2, ret_typ="indices")]


def adversarial_networks(mx):
    s = Setting(mx)
    np, nn = s.np, s.nn
    maker, judge = nn.Sequential(), nn.Sequential()
    maker.add(nn.Conv2DTranspose(4, 4, 1, 0, use_bias=False), nn.BatchNorm(), nn.Activation("relu"))
    maker.add(nn.Conv2DTranspose(3, 4, 2, 1, use_bias=False, activation="tanh"))
    judge.add(nn.Conv2D(4, 4, 2, 1, use_bias=False), nn.BatchNorm(), nn.LeakyReLU(0.2), nn.Conv2D(1, 4, use_bias=False))
    noise, real = s.array(2, 3, 1, 1), s.array(2, 3, 8, 8)
    for net in (maker, judge):
        net.initialize(mx.init.Normal(0.02), force_reinit=True)
    judge(maker(noise))
    s.fill(maker, judge)
    trainers = [s.trainer(net.collect_params(), "adam", learning_rate=0.05, beta1=0.5) for net in (judge, maker)]
    loss, ones, zeros, told = s.gluon.loss.SigmoidBCELoss(), np.ones((2,)), np.zeros((2,)), []
    for _ in range(2):
        with s.autograd.record():
            made = maker(noise)
            judged = (loss(judge(real), ones) + loss(judge(made.detach()), zeros)) / 2
        judged.backward()
        trainers[0].step(2)
        with s.autograd.record():
            fooled = loss(judge(maker(noise)), ones)
        fooled.backward()
        trainers[1].step(2)
        told += [judged, fooled]
    return [told, maker(noise)[0, 0], repr(maker), repr(judge)]


def optimizers_from_scratch(mx):
    s = Setting(mx)
    np = s.np
    params = [np.array([1.0, 2.0]), np.array([3.0])]
    states = [(np.zeros(2), np.zeros(2)), (np.zeros(1), np.zeros(1))]
    for param in params:
        param.attach_grad()
    losses = []
    for t in range(1, 4):
        with s.autograd.record():
            loss = (params[0] ** 2).sum() * params[1]
        loss.backward()
        for param, (v, square) in zip(params, states):  # noqa: B905
            v[:] = 0.9 * v + 0.1 * param.grad
            square[:] = 0.999 * square + 0.001 * np.square(param.grad)
            step = v / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-6)
            param[:] -= 0.01 * step
        losses.append(loss)
    return [losses, params, states[0][0]]


def folds_of_house_prices(mx):
    s = Setting(mx)
    np = s.np
    features, prices = s.array(12, 3), np.abs(s.array(12, 1)) + 1
    loss, told = s.gluon.loss.L2Loss(), []
    for fold in range(3):
        parts = [slice(i * 4, (i + 1) * 4) for i in range(3) if i != fold]
        x = np.concatenate([features[p, :] for p in parts], 0)
        y = np.concatenate([prices[p] for p in parts], 0)
        net = s.nn.Sequential()
        net.add(s.nn.Dense(1))
        net.initialize(mx.init.Constant(0.3))
        trainer = s.trainer(net.collect_params(), "adam", learning_rate=0.1, wd=0.1)
        for each, price in s.gluon.data.DataLoader(s.gluon.data.ArrayDataset(x, y), 5):
            with s.autograd.record():
                found = loss(net(each), price)
            found.backward()
            trainer.step(5)
        clipped = np.clip(net(x), 1, float("inf"))
        told.append(float(np.sqrt(2 * loss(np.log(clipped), np.log(y)).mean())))
    return told


PROGRAMS = {name: found for name, found in globals().items() if name[0].islower() and hasattr(found, "__code__")}


if __name__ == "__main__":
    from np_recording import record

    record("np_book", PROGRAMS)
