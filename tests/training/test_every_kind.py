"""Each optimizer, schedule, metric, kind of data and of module goes on in the middle of an epoch, to the bit."""

import itertools

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.training.test_states import CLASSES, ROWS, assert_same, broken_off, fit, network

pytestmark = [
    pytest.mark.filterwarnings("ignore:Parameters already initialized"),
    pytest.mark.filterwarnings("ignore:Accumulating with float16"),
    pytest.mark.filterwarnings("ignore:Optimizer created manually"),
]


def goes_on(folder, make):
    """Train with and without a cut in the second of three epochs; what both end with is the same."""
    wanted = fit(None, 3, **make())
    broken_off(folder, after=9, epochs=3, asked={"batches": 1}, **make())
    assert_same(fit(folder, 3, seed=7, **make()), wanted)


SETTINGS = {
    "sgd": {"momentum": 0.9, "wd": 1e-3, "clip_gradient": 1.0},
    "nag": {"momentum": 0.9},
    "signum": {"wd_lh": 1e-3},
    "lars": {"momentum": 0.9},
    "lbsgd": {"momentum": 0.9, "batch_scale": 4},
    "dcasgd": {"momentum": 0.5},
    "rmsprop": {"centered": True},
}
# a worker may have met SVRG, whose optimizer is another one's shell, in a test before
KINDS = sorted(set(mx.optimizer.Optimizer.opt_registry) - {"test", "ccsgd", "groupadagrad", "_svrgoptimizer"})


@pytest.mark.parametrize("name", KINDS)
def test_each_optimizer_goes_on(tmp_path, name):
    rate = {} if name == "adadelta" else {"learning_rate": 0.02}
    goes_on(tmp_path, lambda: {"optimizer": name, "params": {**rate, **SETTINGS.get(name, {})}})


def half():
    net = mx.sym.Cast(mx.sym.Variable("data"), dtype="float16")
    net = mx.sym.Cast(mx.sym.FullyConnected(net, num_hidden=3, name="fc"), dtype="float32")
    return mx.sym.SoftmaxOutput(net, name="softmax")


@pytest.mark.parametrize("name", ["adam", "lamb", "nag", "ftrl"])
def test_float16_weights_go_on_by_each_family(tmp_path, name):
    params = {"learning_rate": 0.02, "multi_precision": True}
    goes_on(tmp_path, lambda: {"net": half(), "optimizer": name, "params": params})


SCHEDULES = {
    "factor": lambda s: s.FactorScheduler(3, 0.7, warmup_steps=4, warmup_begin_lr=0.01, base_lr=0.1),
    "multi-factor": lambda s: s.MultiFactorScheduler([4, 9, 15], 0.5, base_lr=0.1),
    "poly": lambda s: s.PolyScheduler(18, 0.1, 2, 0.001, warmup_steps=5),
    "cosine": lambda s: s.CosineScheduler(18, 0.1, 0.001, warmup_steps=5, warmup_mode="constant"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_goes_on(tmp_path, name):
    def make():
        return {"optimizer": "sgd", "params": {"momentum": 0.9, "lr_scheduler": SCHEDULES[name](mx.lr_scheduler)}}

    goes_on(tmp_path, make)


class Own(mx.optimizer.Optimizer):
    """An optimizer of a program's own, with attributes and states that no other has."""

    def __init__(self):
        super().__init__(learning_rate=0.01)
        self.steps, self.seen = 0, {}

    def create_state(self, index, weight):
        return [mx.nd.zeros_like(weight), {"count": 0, "kinds": frozenset((index,))}]

    def update(self, index, weight, grad, state):
        self._update_count(index)
        self.steps += 1
        state[1]["count"] += 1
        self.seen.setdefault(index, []).append(float(state[1]["count"]))
        assert isinstance(state[1]["kinds"], frozenset)
        state[0][:] = state[0] * 0.9 + grad
        weight[:] = weight - self._get_lr(index) * state[0] * (1 + 0.01 * len(self.seen[index]) + 0.001 * self.steps)


class OwnSchedule(mx.lr_scheduler.LRScheduler):
    def __init__(self):
        super().__init__(0.1)
        self.calls = 0

    def __call__(self, num_update):
        self.calls += 1
        return self.base_lr / (1 + 0.01 * self.calls)


class OwnMetric(mx.metric.EvalMetric):
    def __init__(self):
        super().__init__("own")

    def reset(self):
        super().reset()
        self.seen = []

    def update(self, labels, preds):
        self.seen.append(float(preds[0].asnumpy().sum()))
        self.sum_metric += len(self.seen) * 0.3
        self.num_inst += 1


def test_optimizers_schedules_and_metrics_of_a_programs_own_go_on(tmp_path):
    goes_on(tmp_path / "optimizer", lambda: {"optimizer": Own()})
    goes_on(tmp_path / "schedule", lambda: {"optimizer": "sgd", "params": {"lr_scheduler": OwnSchedule()}})
    goes_on(tmp_path / "metric", lambda: {"eval_metric": OwnMetric()})


METRICS = {
    "accuracy": lambda m: m.Accuracy(),
    "several": lambda m: m.create(["acc", "ce", "mae", "rmse", m.TopKAccuracy(2)]),
    "perplexity": lambda m: m.Perplexity(None),
    "pcc": lambda m: m.PCC(),
    "likelihood": lambda m: m.NegativeLogLikelihood(),
    "own-function": lambda m: m.np(lambda label, pred: (float((label - pred[:, 1]).sum()), label.size)),
}


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_counts_on(tmp_path, name):
    def last(folder, **rest):
        seen = []

        def call(told):
            seen.append(told.eval_metric.get_name_value())

        fit(folder, 2, eval_metric=METRICS[name](mx.metric), batch_end_callback=call, **rest)
        return seen[-1]

    wanted = last(None)
    broken_off(tmp_path, after=9, eval_metric=METRICS[name](mx.metric), asked={"batches": 1})
    assert last(tmp_path, seed=7) == wanted


def dropping():
    net = mx.sym.FullyConnected(mx.sym.Dropout(mx.sym.Variable("data"), p=0.3), num_hidden=5, name="fc1")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def python_loss():
    row = mx.mod.SequentialModule()
    first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    row.add(mx.mod.Module(first, label_names=[]))
    loss = mx.mod.PythonLossModule(grad_func=lambda scores, labels: scores - mx.nd.one_hot(labels, 3))
    return row.add(loss, take_labels=True, auto_wiring=True)


def adding():
    module = mx.mod.Module(network())
    module.bind([("data", (4, 4))], [("softmax_label", (4,))], grad_req="add")
    return module


def grouped():
    with mx.AttrScope(ctx_group="a"):
        first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    with mx.AttrScope(ctx_group="b"):
        net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(first, num_hidden=3, name="fc2"), name="softmax")
    return mx.mod.Module(net, group2ctxs={"a": mx.cpu(0), "b": mx.cpu(1)})


def devices(count, **more):
    return mx.mod.Module(dropping(), context=[mx.cpu(i) for i in range(count)], **more)


MODULES = {
    "dropout": lambda: {"net": dropping()},
    "two-devices-with-dropout": lambda: {"module": devices(2), "kvstore": "device"},
    "uneven-devices": lambda: {"module": devices(3, work_load_list=[1, 2, 1]), "kvstore": "device"},
    "two-devices-without-a-store": lambda: {"module": devices(2), "kvstore": None},
    "fixed-parameters": lambda: {"module": mx.mod.Module(network(), fixed_param_names=["fc1_weight"])},
    "python-loss": lambda: {"module": python_loss()},
    "gradients-that-add-up": lambda: {"module": adding(), "optimizer": "sgd"},
    "groups-of-contexts": lambda: {"module": grouped()},
}


@pytest.mark.parametrize("name", MODULES)
def test_each_module_goes_on(tmp_path, name):
    goes_on(tmp_path, MODULES[name])


def csv(folder):
    np.savetxt(folder / "rows.csv", ROWS, delimiter=",")
    np.savetxt(folder / "labels.csv", CLASSES, delimiter=",")
    return mx.io.CSVIter(str(folder / "rows.csv"), (4,), 5, str(folder / "labels.csv"))


def sparse(folder):
    lines = (
        f"{c} {' '.join(f'{j}:{v:.3f}' for j, v in enumerate(row))}\n" for c, row in zip(CLASSES, ROWS, strict=True)
    )
    (folder / "rows.libsvm").write_text("".join(lines))
    return mx.io.LibSVMIter(str(folder / "rows.libsvm"), (4,), 5)


def arrays(**more):
    return mx.io.NDArrayIter(ROWS, CLASSES, 5, shuffle=True, **more)


DATA = {
    "pad": lambda _: arrays(),
    "roll-over": lambda _: arrays(last_batch_handle="roll_over"),
    "csv": csv,
    "libsvm": sparse,
    "resized": lambda _: mx.io.ResizeIter(arrays(), 7),
    "fetched-ahead": lambda _: mx.io.PrefetchingIter(mx.io.ResizeIter(arrays(), 4)),
}


@pytest.mark.parametrize("name", DATA)
def test_each_kind_of_data_goes_on(tmp_path, name):
    folders = itertools.count()

    def make():
        number = next(folders)
        np.random.seed(5 if number < 2 else 6)  # the training that goes on begins in another order
        folder = tmp_path / f"data-{number}"
        folder.mkdir()
        return {"data": DATA[name](folder)}

    goes_on(tmp_path / "states", make)
