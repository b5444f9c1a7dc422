"""Gluon under NumPy's semantics: layers, losses, graphs, gradients, data and optimizers.

`python tests/mxnet/np_gluon_programs.py`, run with an MXNet, records what it gives.
"""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import json
import pathlib
import tempfile

import numpy as onp

try:
    from tests.mxnet.np_book_programs import Setting
except ImportError:  # run as a program
    from np_book_programs import Setting


def _run(s, net, *inputs):
    """A net's output, the gradient of its first input and of its first parameter, and its output as a graph."""
    net.initialize()
    net(*inputs)
    s.fill(net)
    inputs[0].attach_grad()
    with s.autograd.record():
        found = net(*inputs)
    found.backward()
    learned = [p for p in net._collect_params_with_prefix().values() if p.grad_req != "null"]
    told = [found.reshape(-1)[:6], found.shape, inputs[0].grad.reshape(-1)[:4], repr(net)]
    told += [learned[0].grad().reshape(-1)[:4]] if learned else []
    net.hybridize()
    return [*told, net(*inputs).reshape(-1)[:6]]


def layers_of_one_axis(mx):
    s = Setting(mx)
    nn, x = s.nn, s.array(2, 4, 7)
    layers = [nn.Conv1D(2, 3), nn.Conv1DTranspose(2, 3), nn.MaxPool1D(), nn.AvgPool1D(ceil_mode=True)]
    layers += [nn.GlobalAvgPool1D(), nn.GlobalMaxPool1D(), nn.Dense(3), nn.Dense(3, flatten=False, use_bias=False)]
    return [_run(s, layer, x) for layer in layers]


def layers_of_two_axes(mx):
    s = Setting(mx)
    nn, x = s.nn, s.array(2, 4, 5, 5)
    layers = [nn.Conv2D(2, 3, groups=2, dilation=2), nn.Conv2D(3, 2, in_channels=4, activation="relu")]
    layers += [nn.Conv2DTranspose(2, 3, strides=2, output_padding=1), nn.MaxPool2D(), nn.GlobalAvgPool2D()]
    layers += [nn.BatchNorm(), nn.BatchNorm(axis=2, scale=False), nn.BatchNorm(use_global_stats=True), nn.LayerNorm()]
    return [_run(s, layer, x) for layer in [*layers, nn.Flatten(), nn.Dropout(0)]]


def activations(mx):
    s = Setting(mx)
    nn, x = s.nn, s.array(2, 5)
    layers = [nn.Activation(k) for k in ("relu", "sigmoid", "tanh", "softrelu", "softsign")]
    layers += [nn.LeakyReLU(0.1), nn.PReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.Swish(2.0)]
    layers += [nn.HybridLambda(lambda F, x: F.npx.relu(x) + F.np.exp(x)), nn.Lambda(mx.npx.relu)]
    return [_run(s, layer, x) for layer in layers]


def embeddings(mx):
    s = Setting(mx)
    net, told = s.nn.Embedding(6, 3), []
    net.initialize()
    s.fill(net)
    for places in (s.np.array([[1, 2], [3, 5]]), s.numbers(6, 4)):
        with s.autograd.record():
            found = net(places)
        found.backward()
        told += [found, net.weight.grad()]
        net.hybridize()
    return told


def recurrent_layers(mx):
    s = Setting(mx)
    rnn, told = s.rnn, []
    layers = [rnn.RNN(3), rnn.RNN(3, activation="tanh", bidirectional=True), rnn.LSTM(3, 2), rnn.GRU(3, layout="NTC")]
    for layer in layers:
        x = s.array(2, 4, 2) if layer._layout == "NTC" else s.array(4, 2, 2)
        layer.initialize()
        begin = layer.begin_state(batch_size=2)
        layer(x)
        s.fill(layer)
        with s.autograd.record():
            found, states = layer(x, begin)
            loss = (found * found).sum() + states[0].sum()
        loss.backward()
        told += [layer(x), states, loss, layer.l0_h2h_weight.grad(), repr(layer)]
        layer.hybridize()
        told.append(layer(x, begin))
    return told


def losses(mx):
    s = Setting(mx)
    loss, np, told = s.gluon.loss, s.np, []
    p, t, w = [
        np.array(s.drawn.uniform(0.05, 0.95, shape).astype("float32")) for shape in ((3, 2, 2),) * 2 + ((3, 1, 1),)
    ]
    logits, classes = s.array(3, 4), np.array([0, 3, 1])
    cases = [(loss.L2Loss(), (p, t)), (loss.L2Loss(weight=3), (p, t, w)), (loss.L2Loss(), (s.array(3, 1), s.array(3)))]
    cases += [(loss.L2Loss(), (s.array(3), s.array(3))), (loss.L2Loss(batch_axis=1), (p, t)), (loss.L1Loss(), (p, t))]
    cases += [(loss.SigmoidBCELoss(), (p, t)), (loss.SigmoidBCELoss(), (p, t, w, np.array([[[2.0, 1.0]]])))]
    cases += [(loss.SigmoidBCELoss(from_sigmoid=True), (p, t)), (loss.SoftmaxCELoss(), (logits, classes))]
    cases += [(loss.SoftmaxCELoss(sparse_label=False), (logits, s.array(3, 4)))]
    cases += [(loss.SoftmaxCELoss(axis=1), (s.array(2, 4, 3), s.numbers(4, 2, 3)))]
    cases += [(loss.SoftmaxCELoss(from_logits=True, weight=2.0), (logits, classes, s.array(3, 1)))]
    for each, given in cases:
        given[0].attach_grad()
        with s.autograd.record():
            found = each(*given)
        found.backward()
        each.hybridize()
        told.append([found, given[0].grad, each(*given)])
    return told


def _nodes(path):
    """What stands in a graph's file, without the numbers that names go on by."""
    graph = json.loads(pathlib.Path(path).read_text())
    rows = [[n["op"], sorted(map(list, n.get("attrs", {}).items())), n["inputs"]] for n in graph["nodes"]]
    return [rows, graph["heads"], graph["attrs"].get("is_np_shape")]


def graphs_and_files(mx):
    s = Setting(mx)
    nn, told = s.nn, []
    net = nn.HybridSequential()
    net.add(nn.Conv2D(2, 3, activation="relu"), nn.BatchNorm(), nn.MaxPool2D(), nn.Flatten(), nn.Dropout(0.5))
    net.add(nn.Dense(3, activation="tanh"), nn.LayerNorm(), nn.LeakyReLU(0.1), nn.Dense(2))
    net.initialize()
    x = s.array(2, 1, 6, 6)
    net(x)
    s.fill(net)
    net.hybridize()
    told.append(net(x))
    with tempfile.TemporaryDirectory() as folder:
        net.export(f"{folder}/net", epoch=3)
        told += _nodes(f"{folder}/net-symbol.json")
        block = s.gluon.SymbolBlock.imports(f"{folder}/net-symbol.json", ["data"], f"{folder}/net-0003.params")
        told.append(block(x))
        net.save_parameters(f"{folder}/saved")
        data = pathlib.Path(f"{folder}/saved").read_bytes()
        told += [data[:32].hex(), len(data)]
        loaded = mx.npx.load(f"{folder}/saved")
        told += [list(loaded), [type(v).__name__ for v in loaded.values()], loaded["8.bias"]]
        net.load_parameters(f"{folder}/saved")
    return [*told, net(x), type(net(mx.sym.var("data").as_np_ndarray())).__name__]


def imported_blocks_are_trained(mx):
    s = Setting(mx)
    net, x = s.nn.HybridSequential(), s.array(4, 3)
    net.add(s.nn.Dense(5, activation="relu"), s.nn.BatchNorm(), s.nn.Dense(2))
    net.initialize()
    net.hybridize()
    net(x)
    s.fill(net)
    with tempfile.TemporaryDirectory() as folder:
        net.export(f"{folder}/net")
        block = s.gluon.SymbolBlock.imports(f"{folder}/net-symbol.json", "data", f"{folder}/net-0000.params")
    trainer, losses = s.trainer(block.collect_params(), "sgd", learning_rate=0.1), []
    for _ in range(3):
        with s.autograd.record():
            loss = s.gluon.loss.L2Loss()(block(x), s.np.ones((4, 2)))
        loss.backward()
        trainer.step(4)
        losses.append(loss)
    return [losses, block(x), [p.data().asnumpy() for p in block.collect_params().values()]]


def blocks_of_several_inputs_and_outputs(mx):
    s = Setting(mx)

    class Net(s.nn.HybridBlock):
        def __init__(self):
            super().__init__()
            self.w = self.params.get("w", shape=(5, 2), init=mx.init.One())
            self.c = self.params.get_constant("c", s.np.array([[1.0, 2.0]]))

        def hybrid_forward(self, F, x, y, w, c):
            a = F.np.concatenate([x, y], axis=-1)
            b = F.np.where(a > 0, a, F.np.exp(a).sum(axis=1, keepdims=True) * 2)
            return [F.np.dot(b, w) + c, (F.np.transpose(b), F.np.mean(b))]

    net, x, y = Net(), s.array(2, 3), s.array(2, 2)
    net.initialize()
    told = [net(x, y)[0], net(x, y)[1]]
    net.hybridize()
    return [*told, net(x, y), net.w.var().__class__.__name__]


def arrays_of_gradients(mx):
    s = Setting(mx)
    np, autograd = s.np, s.autograd
    x = np.arange(4.0)
    x.attach_grad()
    with autograd.record():
        y = (x**3).sum()
    gradients = autograd.grad(y, [x])
    with autograd.record():
        y = x * x
        z = y.detach() * x
    z.backward()
    told = [x.grad, x.grad == y, gradients, y]
    variable, gradient = np.ones(3), np.zeros(3)
    autograd.mark_variables([variable], [gradient], "add")
    for head in (None, np.array([1.0, 2.0, 3.0])):
        with autograd.record():
            found = variable * variable
        autograd.backward([found], None if head is None else [head])
    a = np.array(0.7)
    a.attach_grad()
    with autograd.record():
        b = a * 2
        while np.linalg.norm(b) < 1000:
            b = b * 2
    b.backward()
    return [*told, variable.grad, gradient, a.grad == b / a, a.grad]


def decorated_blocks(mx):
    s = Setting(mx)
    mx.npx.reset_np()

    @mx.util.use_np
    class Net(s.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.dense = s.nn.Dense(2, in_units=3)

        def hybrid_forward(self, F, x):
            return F.npx.relu(self.dense(x))

    net = Net()
    net.initialize(mx.init.One())
    found = net(s.np.ones((1, 3)))
    net.hybridize()
    return [net.dense.weight.data(), found, net(s.np.ones((1, 3))), mx.npx.is_np_array()]


def batches(mx):
    s = Setting(mx)
    data, np = s.gluon.data, s.np
    x, y = s.drawn.uniform(size=(5, 2)).astype("float32"), onp.arange(5)
    sets = [data.ArrayDataset(np.array(x), np.array(y)), data.ArrayDataset(x, y), data.SimpleDataset([1.5, 2, 3])]
    sets += [np.array(x), sets[0].transform_first(lambda each: each * 2)]
    told = []
    for each in sets:
        for workers in (0, 2):
            batch = next(iter(data.DataLoader(each, 2, num_workers=workers)))
            # workers give arrays of the memory that MXNet's processes share
            told.append([a.copyto(mx.cpu()) for a in (batch if isinstance(batch, list) else [batch])])
    told += [[list(b[0].shape) for b in data.DataLoader(sets[0], 2, last_batch=w)] for w in ("keep", "discard")]
    parts = [s.gluon.utils.split_data(np.array(x), 2, even_split=False), s.gluon.utils.split_data(np.array(x), 2, 1)]
    parts.append(s.gluon.utils.split_and_load(x[:4], [mx.cpu(0), mx.cpu(1)]))
    return [told, parts, s.gluon.utils.split_and_load(np.array(x), [mx.cpu()])]


def transforms(mx):
    s = Setting(mx)
    made = mx.gluon.data.vision.transforms
    image = s.np.array(s.drawn.randint(0, 255, (6, 5, 3)).astype("uint8"))
    steps = [made.ToTensor(), made.Cast("float32"), made.Resize((3, 4)), made.CenterCrop(3)]
    steps.append(made.Compose([made.Resize(4), made.ToTensor(), made.Normalize([0.1, 0.2, 0.3], [0.5, 0.5, 0.5])]))
    told = [step(image) for step in steps] + [made.Normalize(0.5, 0.5)(steps[0](image))]
    drawn = [made.RandomFlipLeftRight(), made.RandomBrightness(0.1), made.RandomResizedCrop(4), made.RandomHue(0.1)]
    drawn += [made.RandomColorJitter(0.1, 0.1, 0.1, 0.1), made.RandomLighting(0.1)]
    kinds = [[type(found).__name__, found.shape, str(found.dtype)] for found in (step(image) for step in drawn)]
    batch = s.np.array(s.drawn.randint(0, 255, (2, 5, 6, 3)).astype("uint8"))
    return [told, kinds, made.ToTensor()(batch), mx.image.imresize(image, 3, 3)]


def optimizers(mx):
    s = Setting(mx)
    x, y, told = s.array(4, 3), s.array(4, 2), []
    kinds = [
        "sgd",
        "adam",
        "nag",
        "rmsprop",
        "adagrad",
        "adadelta",
        "ftrl",
        "adamax",
        "nadam",
        "signum",
        "ftml",
        "lamb",
    ]
    for kind in kinds:
        net = s.nn.Dense(2, in_units=3)
        net.initialize(mx.init.One())
        options = {"momentum": 0.9} if kind in ("sgd", "nag") else {}
        trainer, loss = (
            s.trainer(net.collect_params(), kind, learning_rate=0.1, wd=0.01, **options),
            s.gluon.loss.L2Loss(),
        )
        with tempfile.TemporaryDirectory() as folder:
            for step in range(3):
                with s.autograd.record():
                    found = loss(net(x), y)
                found.backward()
                trainer.step(4)
                if step == 1:
                    trainer.save_states(f"{folder}/states")
                    trainer.load_states(f"{folder}/states")
        told.append(net.weight.data())
    return told


def optimizers_of_ones_own(mx):
    s = Setting(mx)
    seen = []

    class Mine(mx.optimizer.Optimizer):
        def create_state(self, index, weight):
            return mx.nd.zeros(weight.shape)

        def update(self, index, weight, grad, state):
            seen.append([type(each).__name__ for each in (weight, grad, state)])
            weight[:] -= self._get_lr(index) * grad

    net = s.nn.Dense(2, in_units=3)
    net.initialize(mx.init.One())
    trainer = s.gluon.Trainer(net.collect_params(), Mine(learning_rate=0.1))
    with s.autograd.record():
        loss = (net(s.np.ones((1, 3))) ** 2).sum()
    loss.backward()
    trainer.step(1)
    return [seen, net.weight.data()]


def several_devices(mx):
    s = Setting(mx)
    devices, net, loss = [mx.cpu(0), mx.cpu(1)], s.nn.Dense(2, in_units=3), s.gluon.loss.L2Loss()
    net.initialize(mx.init.One(), ctx=devices)
    trainer = s.trainer(net.collect_params(), "sgd", learning_rate=0.1)
    x, y = [s.gluon.utils.split_and_load(s.array(4, n), devices) for n in (3, 2)]
    with s.autograd.record():
        found = [loss(net(a), b) for a, b in zip(x, y)]  # noqa: B905
    for each in found:
        each.backward()
    trainer.step(4)
    store, out = mx.kv.create("local"), s.np.zeros((2, 2))
    store.init(3, s.np.ones((2, 2)))
    store.push(3, [s.np.ones((2, 2)) * 4, s.np.ones((2, 2))])
    store.pull(3, out=out)
    return [found, net.weight.list_data(), net.weight._reduce(), out]


def operators_in_python(mx):
    s = Setting(mx)
    seen = []

    class Square(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            seen.append([type(each).__name__ for each in (*in_data, *out_data)])
            self.assign(out_data[0], req[0], in_data[0] * in_data[0])

    @mx.operator.register("np_gluon_square")
    class SquareProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx, shapes, types):
            return Square()

    found = mx.nd.Custom(s.array(3).as_nd_ndarray(), op_type="np_gluon_square")
    found.wait_to_read()
    return [found, seen]


def a_network_of_the_zoo(mx):
    s = Setting(mx)
    net, x = mx.gluon.model_zoo.vision.resnet18_v2(classes=3), s.array(1, 3, 32, 32)
    net.initialize(mx.init.Constant(0.02))
    plain = net(x)
    net.hybridize()
    return [plain, net(x)]


PROGRAMS = {name: found for name, found in globals().items() if name[0].islower() and hasattr(found, "__code__")}


if __name__ == "__main__":
    from np_recording import record

    record("np_gluon", PROGRAMS)
