"""Changes that fail in the middle: what is trained is as it was before, bit for bit, and training can go on."""

import signal
from typing import Any

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.optimizer.updater import states_to_bytes

X = np.random.RandomState(0).randn(24, 5).astype("f")
Y = (np.arange(24) % 3).astype("f")
BATCH = mx.io.DataBatch([mx.nd.array(X[:4])], [mx.nd.array(Y[:4])])
NAMES = ("fc1_weight", "fc1_bias", "bn_gamma", "bn_beta", "fc2_weight", "fc2_bias")
TWO = [mx.cpu(0), mx.cpu(1)]


class Boom(Exception):
    """What a program's own code raises."""


def network():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="fc1")
    net = mx.sym.Activation(mx.sym.BatchNorm(net, fix_gamma=False, name="bn"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def step(module):
    module.forward_backward(BATCH)
    module.update()


def trained(optimizer="sgd", settings=(("momentum", 0.9),), devices=None, store="local"):
    """A module after two steps."""
    module = mx.mod.Module(network(), context=devices or mx.cpu())
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    rng = np.random.RandomState(1)
    shapes = {name: array.shape for name, array in module._exec_group.execs[0].arg_dict.items() if name in NAMES}
    module.init_params(arg_params={n: mx.nd.array(rng.randn(*s) / 3) for n, s in shapes.items()}, allow_missing=True)
    module.init_optimizer(store, optimizer, dict(settings))
    step(module)
    step(module)
    return module


def updater_of(module):
    return module._kvstore._updater if module._update_on_kvstore else module._updater


def plain(value):
    """What a state is, to be compared."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value.asnumpy().tobytes() if hasattr(value, "asnumpy") else value


def state(module):
    """All that training goes on from."""
    updater, group = updater_of(module), module._exec_group
    optimizer = updater.optimizer
    counted = plain({k: v for k, v in vars(optimizer).items() if k not in ("lr_scheduler", "param_dict")})
    return {
        "params": plain([dict(sorted(p.items())) for p in module.get_params()]),
        "devices": plain([group.param_arrays, group.aux_arrays]),
        "states": plain(updater.states),
        "optimizer": (id(optimizer), counted),
        "schedule": plain(vars(optimizer.lr_scheduler)) if optimizer.lr_scheduler else None,
        "store": plain(module._kvstore._values) if module._kvstore else None,
    }


def values(module, **others):
    return {n: a * 0 + 7 for n, a in module.get_params()[0].items()} | others


MISFITS = {
    "a list": ([[1.0] * 8] * 3, "argument fc2_weight: list, which is no array"),
    "nothing": (None, "argument fc2_weight: NoneType, which is no array"),
    "a number": (3.0, "argument fc2_weight: float, which is no array"),
    "text": (np.array([["a"] * 8] * 3), "argument fc2_weight: type <U1"),
    "objects": (np.full((3, 8), None), "argument fc2_weight: type object"),
    "complex": (np.ones((3, 8), "complex64"), "argument fc2_weight: type complex64"),
    "another shape": (np.ones((8, 3)), r"argument fc2_weight: shape \(8, 3\) for \(3, 8\)"),
}


@pytest.mark.parametrize("missing", [False, True], ids=["all", "some"])
@pytest.mark.parametrize("kind", MISFITS)
def test_parameters_that_do_not_fit_change_none(kind, missing):
    module, (value, told) = trained(), MISFITS[kind]
    before = state(module)
    given = values(module, fc2_weight=value, fc1_bias=mx.nd.ones((2,)))
    with pytest.raises(mx.MXNetError, match=told) as caught:
        module.set_params(given, module.get_params()[1], allow_missing=missing)
    assert len(caught.value.details) == 2
    assert state(module) == before


def test_parameters_without_names_are_refused():
    module = trained()
    with pytest.raises(mx.MXNetError, match="arguments: list, where arrays by name are expected"):
        module.set_params([mx.nd.ones((8, 5))], {})


def test_arrays_of_numpy_and_torch_are_taken_with_their_types():
    import torch

    module = trained()
    given = values(module, fc2_weight=torch.full((3, 8), 2.0), fc1_bias=np.arange(8), bn_beta=np.ones(8, "float16"))
    module.set_params(given, module.get_params()[1])
    found = module.get_params()[0]
    assert (found["fc2_weight"].asnumpy() == 2).all()
    assert found["fc1_bias"].asnumpy().tolist() == list(range(8))
    assert (found["bn_beta"].asnumpy() == 1).all()


@pytest.mark.parametrize("devices", [None, TWO], ids=["one device", "two"])
@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
def test_an_initializer_that_raises_leaves_all_parameters(kind, devices):
    class Third(mx.init.Initializer):
        calls = 0

        def _init_weight(self, name, arr):
            arr[:] = 3

        def _init_bias(self, name, arr):
            arr[:] = 4
            self.calls += 1
            if self.calls == 2:
                raise kind

    module = trained(devices=devices)
    before = state(module)
    with pytest.raises(kind):
        module.init_params(Third(), force_init=True)
    assert state(module) == before
    with pytest.raises(mx.MXNetError, match="did not match any pattern"):
        module.init_params(mx.init.Mixed(["fc1.*", "bn.*"], [mx.init.One(), mx.init.Zero()]), force_init=True)
    assert state(module) == before


def edited(module, path, **changes):
    """The module's states as a file, with those of these parameters changed."""
    states = dict(updater_of(module).states)
    names: dict[str, object] = dict(zip(NAMES, states, strict=True))
    for name, change in changes.items():
        states[names[name]] = change(states[names[name]])
    path.write_bytes(states_to_bytes({k: v for k, v in states.items() if v is not ...}))
    return str(path)


@pytest.mark.parametrize("devices", [None, TWO], ids=["one device", "two"])
def test_states_that_do_not_fit_change_none_and_are_all_named(tmp_path, devices, caplog):
    module = trained(devices=devices)
    before, path = state(module), tmp_path / "net.states"
    wrong = {
        "fc1_bias": lambda s: mx.nd.ones((1,)),
        "bn_gamma": lambda s: s.astype("float64"),
        "fc2_weight": lambda s: (s, s),
        "fc2_bias": lambda s: None,
    }
    loads = [module.load_optimizer_states] + ([module._kvstore.load_optimizer_states] if devices else [])
    for load in loads:
        with pytest.raises(mx.MXNetError) as caught:
            load(edited(module, path, **wrong))
        assert [d.partition(":")[0] for d in caught.value.details] == list(wrong)
        assert "bn_gamma: array (8,) of float64, where array (8,) of float32 is kept" in caught.value.details
        assert state(module) == before
    module.load_optimizer_states(edited(module, path))
    assert not caplog.records
    module.load_optimizer_states(edited(module, path, bn_gamma=lambda s: ..., fc2_bias=lambda s: ...))
    assert caplog.messages == [f"{path} has no states of bn_gamma, fc2_bias: they begin anew"]


class Own(mx.optimizer.Optimizer):
    """A program's optimizer, with an array and numbers of its own, which raises at the third weight where told to."""

    raises = None

    def __init__(self, **settings):
        super().__init__(**settings)
        self.calls, self.seen, self.mean = 0, {"last": []}, mx.nd.zeros((1,))

    def create_state(self, index, weight):
        return mx.nd.zeros(weight.shape), [mx.nd.ones((1,))]

    def update(self, index, weight, grad, state):
        self._update_count(index)
        self.calls += 1
        self.seen["last"].append(index)
        self.mean += grad.mean()
        state[0][:] = 0.9 * state[0] + grad
        state[1][0] *= 1.5
        weight -= 0.1 * state[0] * state[1][0]
        if self.raises is not None and self.calls % len(NAMES) == 3:
            raise self.raises


class Schedule(mx.lr_scheduler.LRScheduler):
    """A program's schedule, which raises at its second call where told to."""

    raises: Any = None
    calls = 0

    def __call__(self, num_update):
        self.calls += 1
        if self.raises is not None and self.calls % 5 == 0:
            raise self.raises
        return 0.1 / num_update


STORES = {"updater": (None, None), "one device": ("local", None), "two": ("device", TWO), "local": ("local", TWO)}


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("optimizer", ["own", "adam", "nadam", "rmsprop"])
def test_an_update_that_raises_is_taken_back_and_can_be_done_again(optimizer, store, kind):
    name, devices = STORES[store]

    def made():
        if optimizer == "own":
            return (found := Own(rescale_grad=0.25)), trained(found, devices=devices, store=name)
        found = Schedule(0.1)
        return found, trained(optimizer, [("lr_scheduler", found)], devices=devices, store=name)

    raising, module = made()
    module.forward_backward(BATCH)
    raising.raises = kind
    before = state(module)
    with pytest.raises(kind):
        module.update()
    assert state(module) == before
    raising.raises = None
    module.update()
    _, other = made()
    step(other)
    assert state(module)["params"] == state(other)["params"]
    assert state(module)["states"] == state(other)["states"]


class Losing(mx.kv.KVStoreBase):
    """A program's store, which raises at the third key where told to."""

    type, rank, num_workers, raises = "losing", 0, 1, False

    def __init__(self):
        self.calls = 0

    def broadcast(self, key, value, out, priority=0):
        for each in out if isinstance(out, list) else [out]:
            each[:] = value

    def pushpull(self, key, value, out=None, priority=0):
        for each in value:
            each *= 2
        self.calls += 1
        if self.raises and self.calls % len(NAMES) == 3:
            raise Boom

    @staticmethod
    def is_capable(capability):
        return False


def test_a_store_that_raises_leaves_weights_and_gradients():
    store = Losing()
    module = trained(store=store)
    module.forward_backward(BATCH)
    grads = plain(module._exec_group.grad_arrays)
    weights, store.raises = plain(module._exec_group.param_arrays), True
    with pytest.raises(Boom):
        module.update()
    assert plain(module._exec_group.grad_arrays) == grads
    assert plain(module._exec_group.param_arrays) == weights


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
def test_a_trainers_step_that_raises_is_taken_back_and_can_be_done_again(kind):
    def made():
        net = mx.gluon.nn.HybridSequential(prefix="net_")
        net.add(*(mx.gluon.nn.Dense(4, in_units=5 if i == 0 else 4, prefix=f"fc{i}_") for i in range(3)))
        net.initialize(mx.init.Constant(0.1), ctx=TWO)
        optimizer = Own()
        return net, optimizer, mx.gluon.Trainer(net.collect_params(), optimizer)

    def gradients(net):
        with mx.autograd.record():
            losses = [(net(mx.nd.array(X[i : i + 4], ctx=c)) ** 2).sum() for i, c in enumerate(TWO)]
        mx.autograd.backward(losses)

    def found(net, trainer):
        arrays = [p.list_data() for p in net.collect_params().values()]
        return plain([arrays, [u.states for u in trainer._updaters]]), trainer.optimizer.num_update

    def run(raises):
        net, optimizer, trainer = made()
        for _ in range(3):
            gradients(net)
            trainer.allreduce_grads()
            if raises is not None:
                before, optimizer.raises = found(net, trainer), raises
                with pytest.raises(raises):
                    trainer.update(8)
                assert found(net, trainer) == before
                optimizer.raises = None
            trainer.update(8)
        return found(net, trainer)

    assert run(kind) == run(None)


def test_a_trainer_refuses_states_of_another_network(tmp_path):
    def made(hidden):
        net = mx.gluon.nn.Dense(hidden, in_units=5)
        net.initialize(mx.init.One())
        trainer = mx.gluon.Trainer(net.collect_params(), "adam")
        with mx.autograd.record():
            loss = net(mx.nd.ones((2, 5))).sum()
        loss.backward()
        trainer.step(2)
        return trainer

    other, mine = made(3), made(4)
    other.save_states(str(tmp_path / "other.states"))
    before, optimizer = plain(mine._updaters[0].states), mine.optimizer
    with pytest.raises(mx.MXNetError, match=r"array \(3, 5\).*where") as caught:
        mine.load_states(str(tmp_path / "other.states"))
    assert len(caught.value.details) == 2
    assert "other.states" in str(caught.value)
    assert plain(mine._updaters[0].states) == before
    assert mine.optimizer is optimizer


def test_states_of_a_network_are_set_all_or_none():
    data, a, b = map(mx.sym.Variable, ("data", "a", "b"))
    net = mx.sym.Group([data + a, data * b])
    module = mx.mod.Module(net, label_names=None, state_names=["a", "b"])
    module.bind([("data", (2, 3))])
    module.init_params()
    module.set_states(value=1)
    before = plain(module.get_states(False))
    good = [[mx.nd.full((2, 3), 5)], [mx.nd.full((2, 3), 6)]]
    for wrong, told in (
        ([good[0], [mx.nd.ones((3, 2))]], r"b, device 0: shape \(3, 2\) for \(2, 3\)"),
        ([good[0], [None]], "b, device 0: NoneType"),
        ([good[0], mx.nd.ones((2, 3))], "b: a list of 1 arrays"),
        ([good[0]], "2 states are kept, and 1 rows given"),
        (3.0, "2 states are kept, and float given"),
    ):
        with pytest.raises(mx.MXNetError, match=told):
            module.set_states(wrong)
        assert plain(module.get_states(False)) == before
    module.set_states(good)
    assert [float(row[0].asnumpy()[0, 0]) for row in module.get_states(False)] == [5, 6]


class Pressing(mx.metric.EvalMetric):
    """A metric during which the interrupt key is pressed, at these of its updates."""

    def __init__(self, at, times=1):
        super().__init__("pressing")
        self.at, self.times, self.updates, self.heard = at, times, 0, 0

    def update(self, labels, preds):
        self.updates += 1
        for _ in range(self.times if self.updates == self.at else 0):
            self.heard += 1
            signal.raise_signal(signal.SIGINT)


def fit(metric, batches):
    data = mx.io.NDArrayIter(X[: 4 * batches], Y[: 4 * batches], 4)
    module = mx.mod.Module(network())
    mx.random.seed(3)
    module.fit(data, eval_metric=metric, num_epoch=1, initializer=mx.init.Xavier())
    return module


@pytest.mark.parametrize("at", [1, 3])
def test_the_interrupt_key_ends_fit_behind_a_whole_batch(at, monkeypatch):
    modules = []
    monkeypatch.setattr(mx.mod.Module, "init_optimizer", _noting(mx.mod.Module.init_optimizer, modules))
    metric = Pressing(at)
    with pytest.raises(KeyboardInterrupt):
        fit(metric, 6)
    assert metric.updates == at
    whole = fit("acc", at)
    assert state(modules[0])["params"] == state(whole)["params"]
    assert state(modules[0])["states"] == state(whole)["states"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _noting(real, modules):
    def noted(self, *args, **kwargs):
        modules.append(self)
        return real(self, *args, **kwargs)

    return noted


def test_the_interrupt_key_is_heard_at_once_when_pressed_twice():
    metric = Pressing(1, times=3)
    with pytest.raises(KeyboardInterrupt):
        fit(metric, 3)
    assert metric.heard == 2


def test_a_program_that_handles_the_interrupt_key_itself_goes_on_doing_so():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        fit(Pressing(2), 3)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]


def block():
    net = mx.gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(
            mx.gluon.nn.Dense(4, in_units=5), mx.gluon.nn.BatchNorm(in_channels=4), mx.gluon.nn.Dense(3, in_units=4)
        )
    net.initialize(mx.init.One())
    return net


def values_of(net):
    return plain({name: each.data() for name, each in net.collect_params().items()})


WRONG = {
    "shapes": {"1.beta": mx.nd.ones((2,)), "2.weight": mx.nd.ones((3, 5))},
    "types": {"1.beta": mx.nd.ones((4,), dtype="float64"), "2.bias": mx.nd.ones((3,), dtype="float16")},
    "both": {"0.bias": mx.nd.ones((1,)), "2.bias": mx.nd.ones((3,), dtype="int32")},
}


@pytest.mark.parametrize("kind", WRONG)
def test_blocks_take_all_values_or_none_and_name_all_that_do_not_fit(kind, tmp_path):
    net, path, dotted = block(), str(tmp_path / "net.params"), str(tmp_path / "dotted.params")
    named = net._collect_params_with_prefix()
    given = {name: each.data() * 0 + 7 for name, each in named.items()} | WRONG[kind]
    before = values_of(net)
    mx.nd.save(path, {named[name].name: value for name, value in given.items()})
    mx.nd.save(dotted, given)
    for load in (
        lambda: net.load_dict(given),
        lambda: net.collect_params().load(path),
        lambda: net.load_parameters(dotted),
        lambda: net.load_parameters(dotted, ctx=mx.cpu(1)),
    ):
        with pytest.raises(mx.MXNetError, match="parameters do not fit; nothing was changed") as caught:
            load()
        assert len(caught.value.details) in (2, len(named))
        assert issubclass(caught.type, AssertionError)
        assert values_of(net) == before
    one = {name: value for name, value in given.items() if name not in list(WRONG[kind])[1:]}
    with pytest.raises(AssertionError, match="Failed loading Parameter"):
        net.load_dict(one, allow_missing=True)
    assert values_of(net) == before


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
def test_a_block_keeps_its_values_where_an_initializer_raises(kind):
    class Second(mx.init.Initializer):
        calls = 0

        def _init_weight(self, name, arr):
            arr[:] = 3
            self.calls += 1
            if self.calls == 2:
                raise kind

    net = block()
    net(mx.nd.ones((2, 5)))
    before = values_of(net)
    with pytest.raises(kind):
        net.initialize(Second(), force_reinit=True)
    assert values_of(net) == before
    with mx.autograd.record():
        loss = net(mx.nd.ones((2, 5))).sum()
    loss.backward()
    assert net[2].weight.grad().shape == (3, 4)


def row_of_modules(optimizer="sgd"):
    first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="a")
    second = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="b")
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(first, label_names=None))
    module.add(mx.mod.Module(mx.sym.SoftmaxOutput(second, name="softmax")), take_labels=True, auto_wiring=True)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    module.init_params(mx.init.One())
    module.init_optimizer(optimizer=optimizer, optimizer_params={"learning_rate": 0.1})
    step(module)
    return module


def params(module):
    return plain([dict(sorted(part.items())) for part in module.get_params()])


def test_modules_in_a_row_take_all_parameters_or_none():
    module = row_of_modules()
    before, given = params(module), values(module, b_weight=mx.nd.ones((8, 3)), a_bias=mx.nd.ones((2,)))
    for allowed in (False, True):
        with pytest.raises(mx.MXNetError, match="nothing was changed") as caught:
            module.set_params(given, {}, allow_missing=allowed)
        assert [d.partition(":")[0] for d in caught.value.details] == ["argument a_bias", "argument b_weight"]
        assert params(module) == before

    class Second(mx.init.Initializer):
        calls = 0

        def _init_weight(self, name, arr):
            arr[:] = 3
            self.calls += 1
            if self.calls == 2:
                raise Boom

    with pytest.raises(Boom):
        module.init_params(Second(), force_init=True)
    assert params(module) == before


def test_modules_in_a_row_step_all_or_none():
    schedule = Schedule(0.1)
    module = row_of_modules(mx.optimizer.create("adam", rescale_grad=0.25, lr_scheduler=schedule))
    module.forward_backward(BATCH)
    before, schedule.raises, schedule.calls = params(module), Boom, 2
    with pytest.raises(Boom):
        module.update()
    assert schedule.calls == 2
    assert params(module) == before


def test_what_was_bound_goes_on_where_it_cannot_be_bound_anew():
    module = trained()
    before = state(module)
    for shapes in ([("data", (4, 5, 6, 7))], [("data", (4, 6))], [("dat", (4, 5))]):
        with pytest.raises(mx.MXNetError):
            module.bind(shapes, [("softmax_label", (3, 2))], force_rebind=True)
        assert module.binded
        assert module.data_shapes[0].shape == (4, 5)
        assert state(module) == before
    step(module)
    step(other := trained())
    assert state(module)["params"] != before["params"]
    assert state(module)["params"] == state(other)["params"]


@pytest.mark.parametrize("devices", [None, TWO], ids=["one device", "two"])
def test_an_optimizer_whose_states_cannot_be_read_is_not_made(tmp_path, devices):
    prefix = str(tmp_path / "net")
    trained(devices=devices).save_checkpoint(prefix, 1, save_optimizer_states=True)
    good = (tmp_path / "net-0001.states").read_bytes()
    (tmp_path / "net-0001.states").write_bytes(good[:-20])
    module, store = mx.mod.Module.load(prefix, 1, True, context=devices or mx.cpu()), mx.kv.create("local")
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    for _ in range(2):
        with pytest.raises(mx.MXNetError, match=r"net-0001\.states"):
            module.init_optimizer(store, "sgd", {"momentum": 0.9})
        assert not module.optimizer_initialized
    (tmp_path / "net-0001.states").write_bytes(good)
    module.init_optimizer(store, "sgd", {"momentum": 0.9})
    step(module)
    whole = trained(devices=devices)
    step(whole)
    # each device had statistics of its own, which a checkpoint joins
    assert params(module)[0] == params(whole)[0]


@pytest.mark.parametrize("wrong", [{"optimizer": "nope"}, {"optimizer_params": {"zz": 1}}, {"kvstore": "nope"}])
def test_the_optimizer_before_goes_on_where_another_cannot_be_made(wrong):
    module, other = trained(), trained()
    with pytest.raises(mx.MXNetError):
        module.init_optimizer(force_init=True, **wrong)
    step(module)
    step(other)
    assert state(module)["params"] == state(other)["params"]
