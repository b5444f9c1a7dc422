"""`Model.fit` and the callbacks that act on its values do as MindSpore 2.10 did."""

import json

import pytest

import evergraph.mindspore as ms
from evergraph.mindspore import dataset, nn, train
from tests.goldens import MINDSPORE
from tests.mindspore.fits import fitted

ROWS = json.loads((MINDSPORE / "fits.json").read_text())


def flat(value):
    if isinstance(value, dict):
        return [v for k in value for v in (k, value[k])]
    return [v for part in value for v in flat(part)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['text']} every {row['frequency']}" for row in ROWS])
def test_fits_and_stops_as_mindspore(row, capsys):
    found = fitted(ms, nn, train, dataset, row["text"], row["frequency"])
    assert len(found) == len(row["rows"])
    for mine, other in zip(found, row["rows"], strict=True):
        numbers = [v for v in flat(other) if isinstance(v, float)]
        assert [v for v in flat(mine) if not isinstance(v, float)] == [
            v for v in flat(other) if not isinstance(v, float)
        ]
        assert [v for v in flat(mine) if isinstance(v, float)] == pytest.approx(numbers, rel=1e-4, abs=1e-6)
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch:")]
    assert [line.partition(",")[0] for line in shown] == [line.partition(",")[0] for line in row["shown"]]


def test_warns_where_the_monitored_value_is_not_there():
    x = ms.Tensor([[1.0]])
    net = nn.Dense(1, 1)
    model = train.Model(net, nn.MSELoss(), nn.SGD(net.trainable_params(), 0.1), metrics={"loss"})
    data = dataset.NumpySlicesDataset((x.asnumpy(), x.asnumpy()), ["x", "y"], shuffle=False).batch(1)
    with pytest.warns(UserWarning, match="no eval_loss here, only loss"):
        model.train(1, data, callbacks=train.EarlyStopping("eval_loss"))
