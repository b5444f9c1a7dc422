"""What training refuses: one error that names everything wrong, and nothing half changed."""

import re
from typing import Any

import numpy as np
import pytest

import evergraph.mxnet as mx

X = np.random.RandomState(0).randn(12, 5).astype("f")
Y = (np.arange(12) % 3).astype("f")


def network(width=8, first="fc1"):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=width, name=first)
    net = mx.sym.Activation(mx.sym.BatchNorm(net, name="bn"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def rows(data: Any = X, label: Any = Y, **settings):
    return mx.io.NDArrayIter(data, label, batch_size=4, **settings)


def fit(data=None, module=None, **settings):
    module = module or mx.mod.Module(network())
    module.fit(data or rows(), num_epoch=1, **settings)
    return module


def bound(module=None, **settings):
    module = module or mx.mod.Module(network())
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], **settings)
    return module


def batch(data=(4, 5), label=(4,)):
    return mx.io.DataBatch([mx.nd.ones(data)], [mx.nd.ones(label)])


def values(module):
    args, aux = module.get_params()
    return {k: v.asnumpy().copy() for k, v in {**args, **aux}.items()}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert value.tobytes() == wanted[name].tobytes(), name


def refused(call, *told):
    """The message of the one error of this project's family that a call raises; it says all of these."""
    with pytest.raises(mx.MXNetError) as caught:
        call()
    message = str(caught.value)
    missing = [t for t in told if not re.search(t, message)]
    assert not missing, message
    return message


# ---- names

NAMES = {
    "data that the symbol lacks": (
        lambda: mx.mod.Module(network(), data_names=["x", "data", "y"]),
        ["'x', 'y' not found"],
    ),
    "several kinds of names": (
        lambda: mx.mod.Module(network(), data_names=["x"], fixed_param_names=["zz", "fc1_weight"], state_names=["qq"]),
        ["data_names: x", "fixed_param_names: zz", "state_names: qq"],
    ),
    "names of the iterator's data": (lambda: fit(rows({"dat": X})), [r"\['dat'\] vs. \['data'\]"]),
    "the iterator's label by another name": (
        lambda: fit(rows(label_name="lab")),
        ["softmax_label: absent", "found: labels lab"],
    ),
    "grad_req by an unknown name": (lambda: bound(grad_req={"nope": "write", "no": "add"}), ["nope: no", "no: no arg"]),
    "no symbol": (lambda: mx.mod.Module("net.json"), ["takes a symbol", "Module.load"]),
    "no context": (lambda: mx.mod.Module(network(), context="cpu"), ["context is a device", "found: cpu"]),
    "no context among contexts": (lambda: mx.mod.Module(network(), context=[mx.cpu(), 1]), ["context is a device"]),
    "shares of work for other devices": (
        lambda: mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(1)], work_load_list=[1]),
        ["another length than contexts"],
    ),
    "more devices than samples": (
        lambda: fit(module=mx.mod.Module(network(), context=[mx.cpu(i) for i in range(5)])),
        ["at most 4 devices"],
    ),
}


@pytest.mark.filterwarnings("ignore:Data provided by label_shapes")
@pytest.mark.parametrize("case", NAMES)
def test_refuses_names_and_devices_at_once(case):
    call, told = NAMES[case]
    refused(call, *told)


# ---- shapes and types of batches

BATCHES = {
    "no data": (lambda: mx.io.DataBatch([], [mx.nd.ones(4)]), ["0 arrays for data", r"expected: data \(4, 5\)"]),
    "too many data": (lambda: mx.io.DataBatch([mx.nd.ones((4, 5))] * 2, [mx.nd.ones(4)]), ["2 arrays for data"]),
    "text": (lambda: mx.io.DataBatch(["abc"], [None]), [r"data\[0\]: str", r"label\[0\]: NoneType"]),
    "other features": (lambda: batch((4, 7)), [r"fc1_weight: \(8, 5\) is there, \(8, 7\) needed"]),
    "fewer labels than samples": (lambda: batch(label=(3,)), [r"softmax_label: \(3,\) for \(4,\)"]),
    "labels of another form": (lambda: batch(label=(4, 2)), [r"softmax_label: \(4, 2\) for \(4,\)"]),
    "another size, and labels of a third": (lambda: batch((6, 5), (3,)), ["softmax_label: 3 samples.* has 6"]),
}


@pytest.mark.parametrize("case", BATCHES)
def test_refuses_batches_and_stays_as_it_was(case):
    module = fit()
    before = values(module)
    made, told = BATCHES[case]
    refused(lambda: module.forward(made()), "nothing was changed|no array", *told)
    assert module.data_shapes[0].shape == (4, 5)
    assert_same(values(module), before)
    module.forward_backward(batch())
    module.update()
    assert module.get_outputs()[0].shape == (4, 3)


class Changing:
    """Batches of which the second has other shapes."""

    def __init__(self, data, label):
        whole = rows()
        self.provide_data, self.provide_label, self.batch_size = whole.provide_data, whole.provide_label, 4
        self._batches = [batch(), batch(data, label), batch()]

    def reset(self):
        pass

    def __iter__(self):
        return iter(self._batches)


@pytest.mark.parametrize(
    ("data", "label", "told"),
    [((4, 6), (4,), "fc1_weight"), ((4, 5), (3,), "softmax_label"), ((3, 5), (4,), "softmax_label: 4 samples")],
)
def test_an_iterator_that_changes_its_shapes_ends_training_after_the_last_whole_step(data, label, told):
    wanted = mx.mod.Module(network())
    start = {"initializer": mx.init.One(), "optimizer_params": {"learning_rate": 0.1}}
    one = Changing((4, 5), (4,))
    one._batches = one._batches[:1]
    fit(one, wanted, **start)
    module = mx.mod.Module(network())
    refused(lambda: fit(Changing(data, label), module, **start), told)
    assert_same(values(module), values(wanted))


def test_an_iterator_may_change_the_size_of_its_batches():
    assert fit(Changing((2, 5), (2,))).data_shapes[0].shape == (4, 5)


def test_an_iterator_without_batches_is_refused():
    empty = Changing((4, 5), (4,))
    empty._batches = []
    refused(lambda: fit(empty), "gives no batch")


def test_takes_types_that_convert():
    module = fit()
    for kind in ("float64", "int32", "uint8"):
        module.forward(mx.io.DataBatch([mx.nd.ones((4, 5), dtype=kind)], [mx.nd.ones(4, dtype="int64")]))
        assert module.get_outputs()[0].dtype == np.float32


LABELS = {
    "absent in training": (lambda: fit(rows(label=None)), ["softmax_label: absent", "NDArrayIter"]),
    "of two numbers each": (lambda: fit(rows(label=np.ones((12, 2), "f"))), ["softmax", r"found \(4, 2\)"]),
    "absent in scoring": (lambda: fit().score(rows(label=None), "acc"), ["Shape of labels 0", "have no labels"]),
    "bound for another number of samples": (
        lambda: mx.mod.Module(network()).bind([("data", (4, 5))], [("softmax_label", (3,))]),
        ["same batch size", r"softmax_label: shape \(3,\)"],
    ),
    "of a regression by one number for three outputs": (
        lambda: mx.sym.LinearRegressionOutput(mx.sym.Variable("data"), name="o").simple_bind(
            mx.cpu(), data=(4, 3), o_label=(4,)
        ),
        [r"expected \(4, 3\)", r"found \(4,\)"],
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_refuses_labels(case):
    call, told = LABELS[case]
    refused(call, *told)


# ---- parameters


def given(change):
    args, aux = fit().get_params()
    args, aux = dict(args), dict(aux)
    change(args, aux)
    return args, aux


def damage(args, aux):
    del args["fc1_bias"], aux["bn_moving_var"]
    args["fc1_weight"], args["zz"], aux["yy"] = mx.nd.ones((8, 9)), mx.nd.ones(2), mx.nd.ones(1)


ALL = [
    "argument fc1_bias is not presented",
    r"argument fc1_weight: shape \(8, 9\) for \(8, 5\)",
    "argument zz: unknown",
    "auxiliary state bn_moving_var is not presented",
    "auxiliary state yy: unknown",
    "nothing was changed",
]


@pytest.mark.parametrize("step", ["set_params", "init_params", "fit"])
def test_refuses_missing_extra_and_misshapen_parameters_at_once(step):
    args, aux = given(damage)
    module = fit()
    before = values(module)
    if step == "set_params":
        refused(lambda: module.set_params(args, aux), *ALL)
    elif step == "init_params":
        refused(lambda: module.init_params(arg_params=args, aux_params=aux, force_init=True), *ALL)
    else:
        refused(lambda: fit(module=module, arg_params=args, aux_params=aux, force_init=True), *ALL)
    assert_same(values(module), before)


# ---- settings

SETTINGS = {
    "optimizer": ({"optimizer": "nope"}, ["Cannot find optimizer nope", "sgd"]),
    "settings of the optimizer": (
        {"optimizer_params": {"learning_rat": 0.1, "momentumm": 1}},
        ["learning_rat: unknown", "momentumm: unknown", "expected: momentum"],
    ),
    "metric": ({"eval_metric": ["acc", "nope"]}, ["no metric is named nope"]),
    "store": ({"kvstore": "nope"}, ["Unknown KVStore type nope", "dist_sync"]),
    "initializer": ({"initializer": "nope"}, ["no initializer is named nope", "xavier"]),
    "no initializer": ({"initializer": 3}, ["initializer is an initializer"]),
    "callbacks": (
        {"batch_end_callback": [3], "epoch_end_callback": "x"},
        ["batch_end_callback: 3", "epoch_end_callback: x"],
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_refuses_settings_before_the_first_step(case):
    settings, told = SETTINGS[case]
    refused(lambda: fit(**settings), *told)


def test_takes_initializers_by_name():
    module = bound()
    module.init_params("ones")
    assert (module.get_params()[0]["fc1_weight"].asnumpy() == 1).all()


def test_refuses_steps_before_those_they_need():
    module = mx.mod.Module(network())
    refused(lambda: module.forward(batch()), "bind it", "init_params")
    refused(module.init_optimizer, "bind it", "init_params")
    refused(lambda: bound(module).update(), "init_params", "init_optimizer")
    module.init_params()
    refused(module.get_input_grads, "inputs_need_grad=True")
    refused(lambda: module.fit(rows()), "number of epochs")
    predicting = bound(for_training=False)
    predicting.init_params()
    predicting.forward(batch())
    refused(predicting.backward, "for_training=True")


# ---- states


def states(tmp_path, optimizer="adam", net=None, **settings):
    module = fit(module=mx.mod.Module(network() if net is None else net), optimizer=optimizer, **settings)
    module.save_checkpoint(str(tmp_path / "net"), 1, save_optimizer_states=True)
    return str(tmp_path / "net-0001.states")


def test_refuses_states_of_another_optimizer_and_stays_as_it_was(tmp_path):
    file = states(tmp_path)
    module = fit(optimizer="sgd", optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    before = module._updater.get_states()
    refused(
        lambda: module.load_optimizer_states(file),
        "those that SGD keeps",
        r"fc1_weight: \(array \(8, 5\), array \(8, 5\)\), where array \(8, 5\) is kept",
        "fc2_bias",
    )
    assert module._updater.get_states() == before
    bare = fit(optimizer="sgd")
    refused(lambda: bare.load_optimizer_states(file), "where nothing is kept")


def test_refuses_states_of_another_network(tmp_path):
    file = states(tmp_path, net=network(width=6))
    module = fit(optimizer="adam")
    refused(lambda: module.load_optimizer_states(file), r"fc1_weight: \(array \(6, 5\)", "fc2_weight")
    assert "bn_beta" in refused(lambda: module.load_optimizer_states(file))


def test_refuses_states_of_parameters_that_are_not_there(tmp_path):
    file = states(tmp_path)
    small = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="f"), name="softmax")
    module = fit(module=mx.mod.Module(small), optimizer="adam")
    refused(lambda: module.load_optimizer_states(file), "5: the network has no such parameter", "f_weight")


def test_states_of_one_device_go_on_with_two_whose_store_steps(tmp_path):
    file = states(tmp_path, optimizer_params={"learning_rate": 0.01})
    two = mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(1)])
    fit(module=two, optimizer="adam", kvstore="device")
    two.load_optimizer_states(file)
    one = fit(optimizer="adam")
    one.load_optimizer_states(file)
    kept = two._kvstore._updater.states
    for i, name in enumerate(one._param_names):
        assert kept[name][0].asnumpy().tobytes() == one._updater.states[i][0].asnumpy().tobytes()


@pytest.mark.filterwarnings("ignore:Parameters already initialized")
@pytest.mark.parametrize("ending", ["params", "states"])
def test_refuses_files_that_are_cut_short(tmp_path, ending):
    states(tmp_path)
    file = tmp_path / f"net-0001.{ending}"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    def resumed():
        module = mx.mod.Module.load(str(tmp_path / "net"), 1, load_optimizer_states=True)
        fit(module=module, optimizer="adam")

    refused(resumed, "cut short", "byte", "fetch or copy the file again")


def test_refuses_checkpoints_that_are_not_there(tmp_path):
    refused(lambda: mx.mod.Module.load(str(tmp_path / "none"), 3), "none-symbol.json", "cannot be opened")


def test_the_guard_stops_before_nan_reaches_a_parameter():
    data = X.copy()
    data[5] = np.nan
    module, first = mx.mod.Module(network()), mx.mod.Module(network())
    settings = {"initializer": mx.init.One(), "optimizer_params": {"learning_rate": 0.1}}
    told = "data 0 of the batch: 5 of 20 values"
    refused(lambda: fit(rows(data), module, nan_guard=True, **settings), told, "batch 1", "fc1_weight")
    fit(rows(X[:4], Y[:4]), first, **settings)
    assert_same(values(module), values(first))


def test_rejects_a_batch_that_tells_no_bucket():
    def generated(key):
        return network(), ["data"], ["softmax_label"]

    module = bound(mx.mod.BucketingModule(generated, default_bucket_key=4))
    module.init_params()
    refused(lambda: module.forward(batch()), "the first batch of a bucket", "bucket_key=None and no provide_data")
    module.forward(mx.io.DataBatch(batch().data, batch().label, bucket_key=4))
    assert module.get_outputs()[0].shape == (4, 3)


class Giving(mx.io.DataIter):
    """An iterator of a program's own, whose second batch is what it is told to give."""

    def __init__(self, second):
        super().__init__(4)
        self.provide_data, self.provide_label = [("data", (4, 5))], [("softmax_label", (4,))]
        self.second, self.at = second, 0

    def reset(self):
        self.at = 0

    def next(self):
        self.at += 1
        if self.at > 2:
            raise StopIteration
        return batch() if self.at == 1 else self.second


@pytest.mark.parametrize("second", [(X[:4], Y[:4]), "batch", None], ids=["tuple", "text", "nothing"])
def test_an_iterator_that_gives_what_is_no_batch_is_told(second):
    module, kind = mx.mod.Module(network()), type(second).__name__
    refused(lambda: fit(Giving(second), module), "the data gives what is no batch", f"found: {kind}", "DataBatch")
    before = values(module)
    refused(lambda: module.score(Giving(second), "acc"), "the data gives what is no batch")
    refused(lambda: module.predict(Giving(second)), "the data gives what is no batch")
    assert_same(values(module), before)


def test_an_error_of_the_iterators_own_leaves_the_batches_before_it():
    class Failing(Giving):
        def next(self):
            if self.at == 2:
                raise OSError("the disk is gone")
            self.at += 1
            return batch()

    module, whole = mx.mod.Module(network()), mx.mod.Module(network())
    with pytest.raises(OSError, match="the disk is gone"):
        fit(Failing(None), module, initializer=mx.init.One())
    fit(Giving(batch()), whole, initializer=mx.init.One())
    assert_same(values(module), values(whole))
