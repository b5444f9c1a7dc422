"""Selecting, renaming and merging: what would change nothing, or lose something, is said."""

import numpy as np
import pytest

import evergraph as eg
from evergraph.checkpoint import merge, rename, select
from evergraph.errors import UsageError


@pytest.fixture
def net():
    names = ("arg:conv0_weight", "arg:conv0_bias", "aux:bn_moving_mean", "arg:fc_weight")
    return eg.Checkpoint({n: np.full(2, i) for i, n in enumerate(names)}, metadata={"epoch": 3})


def test_patterns_select_with_and_without_roles(net):
    assert list(select(net, only="conv0_*")) == ["arg:conv0_weight", "arg:conv0_bias"]
    assert list(select(net, only=["arg:*"], drop="*_bias")) == ["arg:conv0_weight", "arg:fc_weight"]
    assert select(net, drop="aux:*").metadata == {"epoch": 3}


def test_patterns_that_fit_nothing_are_all_named(net):
    with pytest.raises(UsageError) as caught:
        select(net, only=["conv*", "pool*"], drop=["x*"])
    assert "- pool*" in str(caught.value)
    assert "- x*" in str(caught.value)
    assert "- conv*" not in str(caught.value)


RULES = """
[names]
"arg:fc_weight" = "head.weight"
[[rules]]
find = "^(arg|aux):"
replace = ""
[[rules]]
find = '_(weight|bias|moving_mean)$'
replace = '.\\1'
"""


@pytest.mark.parametrize(
    "rules",
    [
        RULES,
        {
            "arg:conv0_weight": "conv0.weight",
            "arg:conv0_bias": "conv0.bias",
            "aux:bn_moving_mean": "bn.moving_mean",
            "arg:fc_weight": "head.weight",
        },
        [("arg:fc_weight", "head.weight"), (r"^(arg|aux):", ""), (r"_(weight|bias|moving_mean)$", r".\1")],
        lambda n: (
            n.replace("arg:fc_weight", "head.weight")[4 * (":" in n and "fc" not in n) :]
            .replace("_weight", ".weight")
            .replace("_bias", ".bias")
            .replace("bn_", "bn.")
        ),
    ],
    ids=["TOML", "mapping", "rules", "function"],
)
def test_every_way_of_giving_rules_renames(net, rules):
    found = rename(net, rules)
    assert list(found) == ["conv0.weight", "conv0.bias", "bn.moving_mean", "head.weight"]
    assert [t.numpy()[0] for t in found.values()] == [0, 1, 2, 3]
    assert found.metadata == {"epoch": 3}


def test_names_that_would_clash_are_all_listed(net):
    with pytest.raises(UsageError, match="arg:conv0_weight, arg:fc_weight"):
        rename(net, [(r"conv0|fc", "x")])


def test_rules_that_change_nothing_are_said(net):
    with pytest.raises(UsageError, match=r"(?s)fit no name.*pool\\d"):
        rename(net, [(r"conv0", "c"), (r"pool\d", "p")])
    with pytest.raises(UsageError, match="arg:nothing"):
        rename(net, {"arg:nothing": "x"})


@pytest.mark.parametrize(
    "rules",
    [
        *("names = 3", "[names]\na = 1", "x = 1", "rules = [{find = 'a'}]", "not toml at all ="),
        *([("(", "x")], [("a", r"\2")], [("a",)], [(r"(a", r"\1")]),
    ],
)
def test_rejects_broken_rules(net, rules):
    with pytest.raises(UsageError):
        rename(net, rules)


def test_merging_takes_each_name_once(net):
    other = eg.Checkpoint({"extra": np.ones(1)}, metadata={"epoch": 9, "note": "x"})
    found = merge(net, other)
    assert list(found) == [*net, "extra"]
    assert found.metadata == {"epoch": 3, "note": "x"}
    with pytest.raises(UsageError, match="arg:fc_weight"):
        merge(net, eg.Checkpoint({"arg:fc_weight": np.ones(1)}))
    assert merge(net, eg.Checkpoint({"arg:fc_weight": np.ones(5)}), replace=True)["arg:fc_weight"].shape == (5,)


def test_the_original_is_never_changed(net):
    before = list(net)
    rename(net, {"arg:fc_weight": "x"})
    select(net, only="*bias")
    assert list(net) == before
