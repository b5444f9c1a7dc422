"""Lowering: every step leaves the outputs as the unlowered plan has them, and does what it is for."""

import numpy as np
import pytest
import torch

from evergraph.engine.losses import predicting
from evergraph.engine.lowering import FOLDING, FUSING, fusion, lower
from evergraph.engine.plan import make_plan
from evergraph.engine.routine import Routine
from evergraph.passes.signature import signature
from tests.engine.checkpoints import Recorded, ident, stems
from tests.engine.graphs import chain, seeded
from tests.goldens import near


def programs(graph, values, inputs):
    """The plain program and one to be lowered, with everything but the inputs as constants."""
    found = []
    for _ in range(2):
        graph = predicting(graph)
        shapes = {n: tuple(values[n].shape) for n in signature(graph).inputs}
        plan = make_plan(graph, shapes=shapes, infer=True)
        program, names = plan.program, dict(zip(plan.program.inputs, (*plan.arguments, *plan.auxiliary), strict=True))
        program.constants |= {v: values[n] for v, n in names.items() if n not in inputs}
        program.inputs = [v for n in inputs for v, name in names.items() if name == n]
        program.prune()
        found.append(program)
    return found


def check(graph, shapes, inputs=("data",), steps=None, rtol=1e-5, seed=0):
    """Lower a graph of seeded values and hold it against the plain plan; returns program and report."""
    values = seeded(graph, shapes, seed)
    plain, lowered = programs(graph, values, inputs)
    everything = {**FOLDING, **FUSING}
    report = lower(lowered, without=set(everything) - set(steps) if steps is not None else ())
    for attempt in range(2):  # the second run finds what the first one overwrote
        given = [values[n].clone() for n in inputs]
        wanted, got = Routine(plain)([g.clone() for g in given]), Routine(lowered)(given)
        for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
            assert a.dtype == b.dtype
            near(a, b, rtol, rtol * float(b.abs().max()), f"output {i}, run {attempt}")
        for name, tensor in zip(inputs, given, strict=True):
            assert torch.equal(tensor, values[name]), f"input {name} was overwritten"
    return lowered, report


def kinds(program):
    return [s.kind for s in program.steps]


@pytest.mark.parametrize("step", [*FOLDING, *FUSING])
@pytest.mark.parametrize("stem", [s for s in stems() if "1.9.1" in str(s)], ids=ident)
def test_each_step_alone_predicts_as_recorded(stem, step):
    net = Recorded(stem)
    values = {n: torch.from_numpy(np.array(v)) for n, v in (net.tensors | net.inputs).items()}
    given = [n for n in net.inputs if n in signature(predicting(net.graph)).arguments]
    _, lowered = programs(net.graph, values, given)
    lower(lowered, without={*FOLDING, *FUSING} - {step})
    plan = make_plan(net.graph)
    for i, (out, want) in enumerate(
        zip(Routine(lowered)([values[n] for n in given]), net.outputs(plan.outputs), strict=True)
    ):
        if want is not None:
            near(out, want, 1e-5, 1e-5, f"output {i}")


BN = "gamma beta moving_mean moving_var"
CHANNELS = dict.fromkeys(BN.split(), (6,))


GROUPED = {"kernel": "(3, 3)", "num_filter": 6, "num_group": 2}


@pytest.mark.parametrize("fix_gamma", [True, False])
@pytest.mark.parametrize("no_bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "attrs", "weight", "data"),
    [
        ("Convolution", GROUPED | {"pad": "(1, 1)"}, (6, 2, 3, 3), (2, 4, 5, 5)),
        ("Convolution", {"kernel": "(3,)", "num_filter": 6}, (6, 4, 3), (2, 4, 7)),
        ("Convolution", {"kernel": "(1, 2, 2)", "num_filter": 6}, (6, 4, 1, 2, 2), (2, 4, 2, 3, 3)),
        ("Deconvolution", GROUPED | {"stride": "(2, 2)"}, (4, 3, 3, 3), (2, 4, 3, 3)),
        ("FullyConnected", {"num_hidden": 6}, (6, 12), (2, 3, 4)),
    ],
)  # fmt: skip
def test_batchnorm_folds_into_the_layer_before_it(layer, attrs, weight, data, no_bias, fix_gamma):
    inputs = "data weight" if no_bias else "data weight bias"
    graph = chain(
        (layer, "layer", inputs, attrs | {"no_bias": no_bias}),
        ("BatchNorm", "bn", f"layer {BN}", {"fix_gamma": fix_gamma, "eps": 1e-5}),
    )
    program, report = check(graph, {"data": data, "weight": weight, "bias": (6,), **CHANNELS}, steps=["scalings"])
    assert report["scalings"] == ["bn"]
    assert kinds(program) == [layer]


def test_batchnorm_along_the_last_axis_folds_into_a_dense_layer_that_does_not_flatten():
    graph = chain(
        ("FullyConnected", "fc", "data weight", {"num_hidden": 6, "no_bias": True, "flatten": False}),
        ("BatchNorm", "bn", f"fc {BN}", {"axis": -1}),
    )
    program, _ = check(graph, {"data": (2, 3, 4), "weight": (6, 4), **CHANNELS}, steps=["scalings"])
    assert kinds(program) == ["FullyConnected"]


def test_batchnorm_along_another_axis_does_not_fold():
    graph = chain(
        ("Convolution", "conv", "data weight", {"kernel": "(1, 1)", "num_filter": 6, "no_bias": True}),
        ("BatchNorm", "bn", f"conv {BN}", {"axis": 3}),
    )
    program, _ = check(graph, {"data": (2, 4, 3, 6), "weight": (6, 4, 1, 1), **CHANNELS}, steps=["scalings"])
    assert kinds(program) == ["Convolution", "scaling"]


def test_what_others_read_too_is_not_folded():
    graph = chain(
        ("Convolution", "conv", "data weight", {"kernel": "(1, 1)", "num_filter": 6, "no_bias": True}),
        ("BatchNorm", "bn", f"conv {BN}"),
        ("elemwise_add", "sum", "conv bn"),
    )
    shapes = {"data": (2, 4, 3, 3), "weight": (6, 4, 1, 1), **CHANNELS}
    program, report = check(graph, shapes, steps=["scalings"])
    assert report["scalings"] == []
    assert kinds(program) == ["Convolution", "scaling", "elemwise_add"]


def test_a_weight_that_two_layers_share_is_scaled_for_each_alone():
    graph = chain(
        ("Convolution", "a", "data weight", {"kernel": "(1, 1)", "num_filter": 6, "no_bias": True}),
        ("BatchNorm", "bn", f"a {BN}"),
        ("Convolution", "b", "bn weight", {"kernel": "(1, 1)", "num_filter": 6, "no_bias": True}),
    )
    check(graph, {"data": (2, 6, 3, 3), "weight": (6, 6, 1, 1), **CHANNELS})


def test_chains_of_constant_scalings_fold():
    graph = chain(
        ("Convolution", "conv", "data weight bias", {"kernel": "(1, 1)", "num_filter": 6}),
        ("_mul_scalar", "m", "conv", {"scalar": 0.5}),
        ("_plus_scalar", "p", "m", {"scalar": 2}),
        ("_minus_scalar", "n", "p", {"scalar": 0.25}),
        ("_div_scalar", "d", "n", {"scalar": 3}),
        ("broadcast_mul", "bm", "d scale"),
        ("broadcast_add", "ba", "shift bm"),
        ("broadcast_sub", "bs", "ba shift"),
        ("broadcast_div", "bd", "bs scale"),
        ("BatchNorm", "bn", f"bd {BN}"),
    )
    shapes = {"data": (2, 4, 3, 3), "weight": (6, 4, 1, 1), "bias": (6,), "scale": (1, 6, 1, 1), "shift": (1, 6, 1, 1)}
    program, report = check(graph, shapes | CHANNELS, steps=["scalings"], rtol=1e-4)
    assert len(report["scalings"]) == 9
    assert kinds(program) == ["Convolution"]


@pytest.mark.parametrize(
    ("op", "inputs", "shape"),
    [
        ("broadcast_sub", "shift conv", (1, 6, 1, 1)),  # the constant comes first
        ("broadcast_add", "conv shift", (1, 1, 3, 1)),  # not along the channels
        ("broadcast_add", "conv shift", (2, 1, 1, 1)),  # one for each sample
    ],
)
def test_other_constants_stay(op, inputs, shape):
    graph = chain(
        ("Convolution", "conv", "data weight", {"kernel": "(1, 1)", "num_filter": 6, "no_bias": True}),
        (op, "y", inputs),
    )
    program, _ = check(graph, {"data": (2, 4, 3, 3), "weight": (6, 4, 1, 1), "shift": shape}, steps=["scalings"])
    assert kinds(program) == ["Convolution", op]


def test_division_by_zero_is_not_folded():
    graph = chain(
        ("FullyConnected", "fc", "data weight", {"num_hidden": 2, "no_bias": True}),
        ("_div_scalar", "d", "fc", {"scalar": 0}),
    )
    plain, lowered = programs(graph, {"data": torch.ones(1, 2), "weight": torch.eye(2)}, ["data"])
    lower(lowered)
    assert torch.equal(
        Routine(lowered)([torch.tensor([[1.0, -1.0]])])[0], Routine(plain)([torch.tensor([[1.0, -1.0]])])[0]
    )


def test_dropout_and_identities_fall_away_but_not_dropout_that_is_always_on():
    graph = chain(
        ("Dropout", "d", "data"),
        ("_copy", "c", "d"),
        ("BlockGrad", "b", "c"),
        ("Dropout", "always", "b", {"mode": "always", "p": 0.0}),
    )
    program, report = check(graph, {"data": (2, 3)})
    assert report["identities"] == ["d", "c", "b"]
    assert kinds(program) == ["Dropout"]


def test_what_needs_no_input_is_computed_once_and_random_numbers_are_not():
    graph = chain(
        ("_arange", "range", "", {"start": 0, "stop": 3}),
        ("_mul_scalar", "twice", "range", {"scalar": 2}),
        ("zeros_like", "zeros", "data"),
        ("broadcast_add", "sum", "data twice"),
        ("elemwise_add", "y", "sum zeros"),
    )
    program, report = check(graph, {"data": (2, 3)}, steps=["constants"])
    assert report["constants"] == ["range", "twice", "zeros"]
    assert kinds(program) == ["broadcast_add", "elemwise_add"]
    random = chain(("_random_uniform", "noise", "", {"shape": "(2, 3)"}), ("elemwise_add", "y", "data noise"))
    _, lowered = programs(random, {"data": torch.zeros(2, 3)}, ["data"])
    lower(lowered)
    first, second = (Routine(lowered)([torch.zeros(2, 3)])[0] for _ in range(2))
    assert not torch.equal(first, second)


RESIDUAL = {"kernel": "(3, 3)", "pad": "(1, 1)", "num_filter": 4, "no_bias": True}
WEIGHT = (4, 4, 3, 3)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("Activation", {"act_type": "relu"}),
        ("Activation", {"act_type": "sigmoid"}),
        ("Activation", {"act_type": "tanh"}),
        ("LeakyReLU", {"act_type": "leaky", "slope": 0.1}),
        ("LeakyReLU", {"act_type": "gelu"}),
        ("clip", {"a_min": -0.5, "a_max": 0.5}),
        ("relu", {}),
    ],
)
@pytest.mark.parametrize("summed", [False, True])
def test_a_sum_and_an_activation_become_part_of_the_convolution(op, attrs, summed):
    lines = [("Convolution", "conv", "data weight", RESIDUAL)]
    lines += [("elemwise_add", "sum", "conv data")] if summed else []
    program, report = check(chain(*lines, (op, "act", lines[-1][1], attrs)), {"data": (2, 4, 6, 6), "weight": WEIGHT})
    if not summed:
        assert (kinds(program), report["layers"]) == (["convolution"], ["act"])
    elif attrs.get("act_type") == "relu" or op == "relu":
        assert (kinds(program), report["layers"]) == (["convolution"], ["sum", "act"])
    else:
        assert (kinds(program), report["layers"]) == (["convolution", "activation"], ["sum"])


def test_a_dense_layer_takes_its_activation_at_every_size():
    for hidden, inside, rows in ((3, 4, 2), (1024, 1100, 16)):
        graph = chain(
            ("FullyConnected", "fc", "data weight bias", {"num_hidden": hidden}),
            ("Activation", "act", "fc", {"act_type": "relu"}),
        )
        program, _ = check(graph, {"data": (rows, inside), "weight": (hidden, inside), "bias": (hidden,)})
        assert kinds(program) == ["dense"]


def test_both_sides_of_a_sum_may_be_convolutions():
    graph = chain(
        ("Activation", "x", "data", {"act_type": "relu"}),
        ("Convolution", "a", "x w1", RESIDUAL),
        ("Convolution", "b", "x w2", RESIDUAL),
        ("elemwise_add", "sum", "a b"),
        ("Activation", "act", "sum", {"act_type": "relu"}),
    )
    program, _ = check(graph, {"data": (2, 4, 6, 6), "w1": WEIGHT, "w2": WEIGHT})
    assert sorted(kinds(program)) == ["Activation", "convolution", "convolution"]


@pytest.mark.parametrize(
    "late",
    [
        ("elemwise_mul", "y", "act x"),  # reads the summand after the sum
        ("Flatten", "y", "x"),  # holds a view of it
        ("slice_axis", "y", "x", {"axis": 1, "begin": 0, "end": 2}),
    ],
)
def test_a_summand_that_is_read_later_or_seen_through_a_view_is_not_overwritten(late):
    graph = chain(
        ("Activation", "x", "data", {"act_type": "relu"}),
        *([late] if late[0] != "elemwise_mul" else []),
        ("Convolution", "conv", "x weight", RESIDUAL),
        ("elemwise_add", "sum", "conv x"),
        ("Activation", "act", "sum", {"act_type": "relu"}),
        *([late] if late[0] == "elemwise_mul" else []),
        heads=["act", "y"],
    )
    check(graph, {"data": (2, 4, 6, 6), "weight": WEIGHT})


def test_a_layer_does_not_overwrite_the_data_that_it_reads():
    graph = chain(
        ("Convolution", "x", "data w0", RESIDUAL),
        ("Convolution", "conv", "x weight", RESIDUAL),
        ("elemwise_add", "sum", "x conv"),
        ("Activation", "y", "sum", {"act_type": "relu"}),
    )
    check(graph, {"data": (2, 4, 6, 6), "weight": WEIGHT, "w0": WEIGHT})


def test_a_layer_that_runs_where_its_sum_is_still_finds_its_data():
    graph = chain(
        ("Convolution", "x", "data w0", RESIDUAL),
        ("Convolution", "late", "x w1", RESIDUAL),
        ("Convolution", "conv", "data w2", RESIDUAL),
        ("elemwise_add", "first", "conv x"),
        ("Convolution", "next", "first w3", RESIDUAL),
        ("Pooling", "pool", "next", {"kernel": "(1, 1)"}),
        ("elemwise_add", "y", "late pool"),
    )
    check(graph, {"data": (2, 4, 6, 6), **dict.fromkeys(("w0", "w1", "w2", "w3"), WEIGHT)})


def test_a_sum_with_itself_and_with_another_shape_is_not_fused():
    twice = chain(("Convolution", "conv", "data weight", RESIDUAL), ("elemwise_add", "y", "conv conv"))
    check(twice, {"data": (2, 4, 6, 6), "weight": WEIGHT})
    broadcast = chain(("Convolution", "conv", "data weight", RESIDUAL), ("broadcast_add", "y", "conv other"))
    check(broadcast, {"data": (2, 4, 6, 6), "weight": WEIGHT, "other": (2, 1, 1, 6)}, inputs=("data", "other"))


def test_activations_overwrite_only_what_nobody_else_reads():
    graph = chain(
        ("broadcast_mul", "m", "data scale"),
        ("Activation", "a", "m", {"act_type": "relu"}),
        ("broadcast_add", "n", "data scale"),
        ("Activation", "b", "n", {"act_type": "tanh"}),
        ("elemwise_add", "c", "n b"),
        ("elemwise_add", "y", "a c"),
        ("Activation", "first", "data", {"act_type": "relu"}),
        heads=["y", "first"],
    )
    _, report = check(graph, {"data": (2, 3), "scale": (1, 3)})
    assert report["overwriting"] == ["a", "c", "y"]


@pytest.mark.parametrize("kernel", [(1, 1), (3, 1)], ids=["one pixel", "one column"])
def test_dilated_kernels_of_one_pixel_are_fused(kernel):
    # PyTorch 2.13 with oneDNN ends by a segmentation fault where such a dilation is left to it
    options = {"kernel": kernel, "dilate": (1, 2), "pad": (2, 2), "stride": (1, 3), "num_filter": 4}
    graph = chain(("Convolution", "conv", "data weight bias", options), ("relu", "act", "conv"))
    shapes = {"data": (1, 1, 14, 1), "weight": (4, 1, *kernel), "bias": (4,)}
    program, report = check(graph, shapes)
    assert report["layers"] == ["act"]
    assert kinds(program) == ["convolution"]


def test_without_the_private_operators_the_same_runs_as_plain_calls(monkeypatch):
    monkeypatch.setattr(fusion.onednn, "convolving", lambda: None)
    graph = chain(
        ("Convolution", "conv", "data weight", RESIDUAL),
        ("BatchNorm", "bn", "conv gamma beta moving_mean moving_var"),
        ("elemwise_add", "sum", "bn data"),
        ("Activation", "act", "sum", {"act_type": "relu"}),
    )
    shapes = {"data": (2, 4, 6, 6), "weight": WEIGHT} | dict.fromkeys(CHANNELS, (4,))
    program, report = check(graph, shapes)
    assert report["layers"] == []
    assert kinds(program) == ["Convolution", "activation", "activation"]


def test_training_plans_are_never_lowered():
    graph = chain(("Dropout", "drop", "data"), ("BatchNorm", "bn", f"drop {BN}"))
    plan = make_plan(graph, training=True)
    assert kinds(plan.program) == ["Dropout", "BatchNorm"]


def lstm(time, layers=1, order=(0, 1, 2, 3), spelled=("Activation", "elemwise_mul"), size=4, inside=3):
    """An LSTM spelled out cell by cell; `order` gives the slices of input, forget, transform and output gate."""
    act, product = spelled
    lines, inputs = [], [f"x{t}" for t in range(time)]
    for k in range(layers):
        h, c = f"h{k}_init", f"c{k}_init"
        results = []
        for t, x in enumerate(inputs):
            n = f"l{k}t{t}_"
            slices = [(n + "slice", i) for i in order]
            sigmoid, tanh = {"act_type": "sigmoid"}, {"act_type": "tanh"}
            lines += [
                ("FullyConnected", n + "i2h", f"{x} l{k}_i2h_weight l{k}_i2h_bias", {"num_hidden": 4 * size}),
                ("FullyConnected", n + "h2h", f"{h} l{k}_h2h_weight", {"num_hidden": 4 * size, "no_bias": True}),
                ("elemwise_add", n + "sum", f"{n}i2h {n}h2h"),
                ("SliceChannel", n + "slice", n + "sum", {"num_outputs": 4}),
                (act, n + "i", [slices[0]], sigmoid),
                (act, n + "f", [slices[1]], sigmoid),
                (act, n + "g", [slices[2]], tanh),
                (act, n + "o", [slices[3]], sigmoid),
                (product, n + "fc", f"{n}f {c}"),
                (product, n + "ig", f"{n}i {n}g"),
                ("elemwise_add", n + "c", f"{n}fc {n}ig"),
                (act, n + "tc", n + "c", tanh),
                (product, n + "h", f"{n}o {n}tc"),
            ]
            h, c = n + "h", n + "c"
            results.append(h)
        inputs = results
    # time before layers, as programs that build graphs step by step write them
    lines.sort(key=lambda line: int(line[1].split("t")[1].split("_")[0]))
    shapes = {f"x{t}": (2, inside) for t in range(time)}
    for k in range(layers):
        shapes |= {f"l{k}_i2h_weight": (4 * size, size if k else inside), f"l{k}_h2h_weight": (4 * size, size)}
        shapes |= {f"l{k}_i2h_bias": (4 * size,), f"h{k}_init": (2, size), f"c{k}_init": (2, size)}
    return lines, inputs, shapes


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3)])
@pytest.mark.parametrize("steps", [["recurrences"], None])
def test_an_lstm_that_is_spelled_out_becomes_one_call_for_each_layer(order, steps):
    lines, results, shapes = lstm(5, layers=2, order=order)
    given = (*(f"x{t}" for t in range(5)), "h0_init", "c1_init")
    graph = chain(*lines, ("Concat", "all", " ".join(results), {"dim": 1, "num_args": 5}), heads=["all", "l0t4_c"])
    program, report = check(graph, shapes, inputs=given, steps=steps)
    assert kinds(program).count("lstm") == 2
    assert len(program.steps) == 3
    assert len(report["recurrences"]) == 10


def test_a_decoder_that_feeds_its_results_back_is_not_batched_over_time():
    lines, _, shapes = lstm(3)
    lines = [
        (
            op,
            name,
            inputs.replace("x1", "l0t0_back").replace("x2", "l0t1_back") if isinstance(inputs, str) else inputs,
            *rest,
        )
        for op, name, inputs, *rest in lines
    ]
    for t in (0, 1):
        place = 1 + next(i for i, line in enumerate(lines) if line[1] == f"l0t{t}_h")
        lines.insert(place, ("slice_axis", f"l0t{t}_back", f"l0t{t}_h", {"axis": 1, "begin": 0, "end": 3}))
    program, report = check(chain(*lines), shapes, inputs=("x0", "h0_init", "c0_init"))
    assert report["recurrences"] == []
    assert "lstm" not in kinds(program)


def test_a_cell_whose_state_others_read_is_not_fused():
    lines, results, shapes = lstm(3)
    graph = chain(*lines, ("abs", "seen", "l0t1_c"), heads=[results[-1], "seen"])
    _, report = check(graph, shapes, inputs=("x0", "x1", "x2", "h0_init", "c0_init"))
    assert report["recurrences"] == []


def test_what_only_resembles_a_cell_is_left_alone():
    lines, _, shapes = lstm(3)
    lines = [
        (op, name, inputs, *([{"act_type": "tanh"}] if name.endswith("_f") else rest))
        for op, name, inputs, *rest in lines
    ]
    _, report = check(chain(*lines), shapes, inputs=("x0", "x1", "x2", "h0_init", "c0_init"))
    assert report["recurrences"] == []


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("state_outputs", [False, True])
def test_the_recurrent_operator_runs_on_packed_weights(bidirectional, state_outputs):
    from evergraph.ops.families.nn.rnn import parameter_count

    attrs = {
        "mode": "lstm",
        "state_size": 4,
        "num_layers": 2,
        "bidirectional": bidirectional,
        "state_outputs": state_outputs,
    }
    directions = 2 if bidirectional else 1
    heads = [("rnn", i) for i in range(3 if state_outputs else 1)]
    graph = chain(("RNN", "rnn", "data parameters state cell", attrs), heads=heads)
    state = (2 * directions, 3, 4)
    shapes = {
        "data": (5, 3, 6),
        "state": state,
        "cell": state,
        "parameters": (parameter_count("lstm", 6, 4, 2, directions),),
    }
    program, report = check(graph, shapes, inputs=("data", "state", "cell"))
    assert report["recurrent weights"] == ["rnn"]
    assert kinds(program) == ["lstm layers"]


def test_the_recurrent_operator_takes_data_whose_axes_were_swapped():
    from evergraph.ops.families.nn.rnn import parameter_count

    attrs = {"mode": "lstm", "state_size": 4, "num_layers": 1}
    swap = ("SwapAxis", "swap", "data", {"dim1": 0, "dim2": 1})
    graph = chain(swap, ("RNN", "rnn", "swap parameters state cell", attrs))
    state, number = (1, 3, 4), parameter_count("lstm", 6, 4, 1)
    shapes = {"data": (3, 5, 6), "state": state, "cell": state, "parameters": (number,)}
    _, report = check(graph, shapes, inputs=("data", "state", "cell"))
    assert report["recurrent weights"] == ["rnn"]
