"""Names fit a graph's arguments one to one, by rules that are told; never silently."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evergraph as eg
from evergraph.checkpoint import Wanted, match, wanted_by
from evergraph.errors import ConversionError, UsageError
from evergraph.graph import Graph, Node
from tests.goldens import MXNET, RELEASES

GLUON = [
    (p, p.with_name(p.name.split(".")[0] + "-symbol.json"))
    for p in sorted(MXNET.glob("*/gluon/*.params"))
    if p.with_name(p.name.split(".")[0].split("-")[0] + "-symbol.json").exists() and "-0000" not in p.name
]


@pytest.mark.parametrize(("path", "symbol"), GLUON, ids=lambda p: str(p.relative_to(MXNET)))
def test_one_net_saved_in_every_way_has_equal_tensors(path, symbol):
    exported = eg.open(symbol.with_name(symbol.name.replace("-symbol.json", "")))
    found = match(eg.open(path), exported.graph, "fuzzy")
    if path.relative_to(MXNET).parts[0] == "1.3.1" and path.name == "lstm.save_parameters.params":
        # Python 2 wrote its cells in any order, and l_cell and r_cell are alike: nothing says which is which
        assert any("no order" in line for line in found.lines())
        return
    assert found.ok, found.lines()
    fitted = found.apply(eg.open(path))
    assert set(fitted) == set(exported)
    for name in exported:
        assert np.array_equal(fitted[name].numpy(), exported[name].numpy()), name


@pytest.mark.parametrize("release", RELEASES)
def test_a_modules_checkpoint_fits_its_graph_strictly(release):
    for symbol in sorted((MXNET / release / "checkpoints").glob("*-symbol.json"))[::3]:
        found = eg.open(str(symbol).removesuffix("-symbol.json"))
        result = match(found, wanted_by(found.graph, inputs=_inputs(found)), "strict")
        assert {p.wanted.role + p.wanted.name for p in result.pairs} == set(found), symbol


def _inputs(found):
    """What MXNet itself did not save: the graph's inputs."""
    bare = {n.split(":", 1)[1] for n in found}
    return {v.name for v in found.graph.variables()} - bare


def test_auxiliary_states_that_old_files_do_not_list_are_asked_for():
    graph = Graph((Node("null", "data"), Node("BatchNorm", "bn", inputs=((0, 0, 0),))), heads=((1, 0, 0),))
    assert [w.role + w.name for w in wanted_by(graph)] == ["arg:data", "aux:bn_moving_mean", "aux:bn_moving_var"]


def tensors(**shapes):
    return eg.Checkpoint({n.replace("__", "."): np.zeros(s, "float32") for n, s in shapes.items()})


def test_strict_lists_everything_and_what_would_fit():
    wanted = [Wanted("net_fc_weight", (2, 3)), Wanted("net_fc_bias", (2,)), Wanted("other", (9,))]
    with pytest.raises(ConversionError) as caught:
        match(tensors(fc_weight=(2, 3), fc_bias=(2,), spare=(4,)), wanted)
    text = str(caught.value)
    for line in (
        *("missing: net_fc_weight", "missing: other", "not asked for: spare"),
        "suggested by prefix: fc_weight -> net_fc_weight",
    ):
        assert line in text


def test_report_applies_names_only_and_suggests_the_rest():
    found = match(tensors(fc_weight=(2, 3), b=(1,)), [Wanted("b", (1,)), Wanted("fc0_weight", (2, 3))], "report")
    assert [(p.found, p.rule) for p in found.pairs] == [("b", "exact")]
    assert [(p.found, p.rule) for p in found.suggested] == [("fc_weight", "structure")]
    assert list(found.apply(tensors(fc_weight=(2, 3), b=(1,)))) == ["arg:b"]


def test_shapes_keep_layers_of_another_net_apart():
    wanted = [Wanted("fc_weight", (5, 3)), Wanted("fc_bias", (5,))]
    found = match(tensors(x__weight=(2, 3), x__bias=(2,)), wanted, "fuzzy")
    assert (found.pairs, found.missing) == ((), ("fc_weight", "fc_bias"))


def test_torchs_normalisation_fits_mxnets():
    names = ("weight", "bias", "running_mean", "running_var")
    found = match(
        tensors(**{f"bn1__{n}": (3,) for n in names}),
        [Wanted(f"bn_{n}", (3,)) for n in ("gamma", "beta", "moving_mean", "moving_var")],
        "fuzzy",
    )
    assert {p.found: p.wanted.name for p in found.pairs} == {
        "bn1.weight": "bn_gamma",
        "bn1.bias": "bn_beta",
        "bn1.running_mean": "bn_moving_mean",
        "bn1.running_var": "bn_moving_var",
    }


def test_names_with_both_roles_stay_apart():
    found = match(eg.Checkpoint({"arg:x": np.zeros(1), "aux:x": np.ones(1)}), [Wanted("x", (1,), "aux:")], "report")
    assert [p.found for p in found.pairs] == ["aux:x"]
    assert found.extra == ("arg:x",)


def test_shapes_that_clash_are_said():
    found = match(tensors(w=(2,)), [Wanted("w", (3,))], "report")
    assert found.clashes == ("w: (2,) for (3,)",)
    assert not found.ok


def test_unknown_modes_are_refused():
    with pytest.raises(UsageError, match="strict, report, fuzzy"):
        match(tensors(w=(2,)), [], "loose")


NAMES = st.lists(
    st.from_regex(r"(net0_|a\.)?(fc|conv|bn)[0-9]?[_.](weight|bias|gamma|running_mean)", fullmatch=True),
    unique=True,
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(NAMES, NAMES, st.sampled_from(["report", "fuzzy"]), st.randoms(use_true_random=False))
def test_the_mapping_is_injective_and_nothing_is_silent(have, want, mode, rng):
    checkpoint = eg.Checkpoint({n: np.zeros(rng.choice([1, 2])) for n in have})
    found = match(checkpoint, [Wanted(n, rng.choice([None, (1,), (2,)])) for n in want], mode)
    pairs = [*found.pairs, *found.suggested]
    assert len({p.found for p in pairs}) == len({p.wanted.name for p in pairs}) == len(pairs)
    assert {p.wanted.name for p in found.pairs} | set(found.missing) == set(want)
    assert {p.found for p in found.pairs} | set(found.extra) == set(have)
    for pair in pairs:
        if pair.rule != "exact" and pair.wanted.shape is not None:
            assert checkpoint[pair.found].shape == pair.wanted.shape
