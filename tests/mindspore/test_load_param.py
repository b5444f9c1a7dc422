"""`load_param_into_net`, against 603 cases that MindSpore 2.10 ran; all or nothing where it leaves half."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mindspore as ms

CASES = json.loads((Path(__file__).parents[1] / "data/mindspore/load_param_into_net_cases.json").read_text())


def kind(name):
    return getattr(ms, name)


class Net(ms.nn.Cell):
    def __init__(self, rows):
        super().__init__()
        for i, (name, shape, dtype) in enumerate(rows):
            value = 0 if dtype.startswith(("uint", "bool")) else -1
            tensor = ms.Tensor(np.full(shape, value).astype("float32")).astype(kind(dtype))
            setattr(self, f"p{i}", ms.Parameter(tensor, name=name))


def dictionary(rows):
    found = {}
    for i, (name, shape, dtype) in enumerate(rows):
        if dtype == "str":
            found[name] = "text"
        else:
            tensor = ms.Tensor(np.full(shape, i + 1).astype("float32")).astype(kind(dtype))
            found[name] = ms.Parameter(tensor, name=name)
    return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_matches_as_mindspore_does(number):
    case = CASES[number]
    net, wanted = Net(case["net"]), case.get("error", {}).get("type")
    before = {p.name: p.asnumpy().tobytes() for p in net.get_parameters()}
    if wanted:
        with pytest.raises((RuntimeError, ValueError, AttributeError)) as caught:
            ms.load_param_into_net(net, dictionary(case["dict"]), strict_load=case["strict_load"])
        assert wanted in [k.__name__ for k in type(caught.value).__mro__]
        assert {p.name: p.asnumpy().tobytes() for p in net.get_parameters()} == before
        return
    left, unused = ms.load_param_into_net(net, dictionary(case["dict"]), strict_load=case["strict_load"])
    assert (left, unused) == (case["param_not_load"], case["ckpt_not_load"])
    for param in net.get_parameters():
        after = case["after"][param.name]
        values = param.asnumpy().astype("float64").reshape(-1)
        assert list(param.shape) == after["shape"]
        assert values[: len(after["values"])].tolist() == after["values"]


ROWS = [["conv.w", [2], "float32"], ["b", [1], "float32"], ["missing", [1], "float32"]]
FOUND = [["net.conv.w", [2], "float16"], ["b", [1], "float32"], ["other", [1], "float32"]]


def test_tells_what_became_of_every_name():
    table = ms.load_param_into_net(Net(ROWS), dictionary(FOUND), report=True)
    assert table.by_name == ["b"]
    assert table.by_suffix == {"conv.w": "net.conv.w"}
    assert table.cast == {"conv.w": "Float16 -> Float32"}
    assert table.param_not_load == ["missing"]
    assert "other: in the dictionary, asked for by no parameter" in table.lines()


def test_really_strict_raises_where_anything_is_left_and_changes_nothing():
    net = Net(ROWS)
    with pytest.raises(ValueError, match=r"(?s)missing.*other"):
        ms.load_param_into_net(net, dictionary(FOUND), really_strict=True)
    assert all((p.asnumpy() == -1).all() for p in net.get_parameters())


def test_all_that_does_not_fit_is_said_at_once_and_nothing_changes():
    net = Net([["a", [2], "float32"], ["b", [2], "float32"], ["c", [2], "float32"]])
    rows = [["a", [2], "float32"], ["b", [3], "float32"], ["c", [2], "int32"]]
    with pytest.raises(RuntimeError, match=r"(?s)b should have the same shape.*c should have the same type"):
        ms.load_param_into_net(net, dictionary(rows))
    assert all((p.asnumpy() == -1).all() for p in net.get_parameters())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("net", {}), TypeError),
        ((Net([]), []), TypeError),
        ((Net([]), {"a": np.ones(1)}), TypeError),
        ((Net([]), {}, 1), TypeError),
        ((Net([]), {}, False, 1), ValueError),
    ],
)
def test_refuses_what_mindspore_refuses(arguments, error):
    with pytest.raises(error):
        ms.load_param_into_net(*arguments)
