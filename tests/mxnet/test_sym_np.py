"""`mx.sym.np` and `mx.sym.npx`: the graphs that MXNet 1.9.1 describes, and their values."""

import json

import numpy as onp
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import np, npx
from evergraph.mxnet.base import NotImplementedForSymbol
from evergraph.mxnet.symbol.symbol import Symbol

S, X = mx.sym.np, mx.sym.npx


@pytest.fixture(autouse=True)
def _numpy_semantics():
    npx.set_np()
    with mx.name.NameManager():
        yield
    npx.reset_np()


def _names():
    names = {n: mx.sym.var(n).as_np_ndarray() for n in "abc"}
    return names | {"S": S, "X": X, "R": S.random, "L": S.linalg, "mx": mx, "onp": onp}


def _nodes(symbol):
    """(operator, name, attributes, names of inputs) of each node that computes."""
    graph = json.loads(symbol.tojson())
    names = [n["name"] for n in graph["nodes"]]
    return [
        (n["op"], n["name"], n.get("attrs", {}), [names[i[0]] for i in n["inputs"]])
        for n in graph["nodes"]
        if n["op"] != "null"
    ]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("a + b", [("_npi_add", "add0", {}, ["a", "b"])]),
        ("a + 1", [("_npi_add_scalar", "add_scalar0", {"is_int": "True", "scalar": "1.0"}, ["a"])]),
        ("a + 1.5", [("_npi_add_scalar", "add_scalar0", {"is_int": "False", "scalar": "1.5"}, ["a"])]),
        ("1 + a", [("_npi_add_scalar", "add_scalar0", {"is_int": "True", "scalar": "1.0"}, ["a"])]),
        ("2 * a", [("_npi_multiply_scalar", "multiply_scalar0", {"is_int": "False", "scalar": "2.0"}, ["a"])]),
        ("2 - a", [("_npi_rsubtract_scalar", "rsubtract_scalar0", {"is_int": "False", "scalar": "2.0"}, ["a"])]),
        ("2 / a", [("_npi_rtrue_divide_scalar", "rtrue_divide_scalar0", {"is_int": "False", "scalar": "2.0"}, ["a"])]),
        ("-a", [("_npi_multiply_scalar", "multiply_scalar0", {"is_int": "False", "scalar": "-1.0"}, ["a"])]),
        (
            "a >= 1",
            [("_npi_greater_equal_scalar", "greater_equal_scalar0", {"is_int": "True", "scalar": "1.0"}, ["a"])],
        ),
        ("a != b", [("_npi_not_equal", "not_equal0", {}, ["a", "b"])]),
        (
            "a[0, 1:2]",
            [
                ("slice", "slice0", {"begin": "[0, 1]", "end": "[1, 2]", "step": "[1, None]"}, ["a"]),
                ("_npx_reshape", "reshape0", {"newshape": "(-3, -2, -4)"}, ["slice0"]),
            ],
        ),
        ("a[::-1]", [("slice", "slice0", {"begin": "[None]", "end": "[None]", "step": "-1"}, ["a"])]),
        ("a[()]", []),
        ("a.T.T", [("_np_transpose", f"transpose{i}", {}, [x]) for i, x in enumerate(["a", "transpose0"])]),
        ("a.reshape(-1, 2)", [("_np_reshape", "reshape0", {"newshape": "(-1, 2)", "order": "C"}, ["a"])]),
        ("a.flatten()", [("_np_reshape", "reshape0", {"newshape": "(-1,)", "order": "C"}, ["a"])]),
        ("a.transpose(1, 0)", [("_np_transpose", "transpose0", {"axes": "(1, 0)"}, ["a"])]),
        ("a.astype('float16')", [("Cast", "cast0", {"dtype": "float16"}, ["a"])]),
        ("a.mean(axis=0)", [("_npi_mean", "mean0", {"axis": "0", "keepdims": "False"}, ["a"])]),
        ("a.swapaxes(0, 1)", [("SwapAxis", "swapaxes0", {"dim1": "0", "dim2": "1"}, ["a"])]),
        ("S.dot(a, b)", [("_np_dot", "dot0", {}, ["a", "b"])]),
        ("S.matmul(a, b)", [("_npi_matmul", "matmul0", {}, ["a", "b"])]),
        (
            "S.concatenate([a, b], axis=1)",
            [("_npi_concatenate", "concatenate0", {"axis": "1", "num_args": "2"}, ["a", "b"])],
        ),
        ("S.stack([a, b])", [("_npi_stack", "stack0", {"axis": "0", "num_args": "2"}, ["a", "b"])]),
        ("S.where(a, b, c)", [("_npi_where", "where0", {}, ["a", "b", "c"])]),
        ("S.maximum(a, b)", [("broadcast_maximum", "maximum0", {}, ["a", "b"])]),
        ("S.ones((2, 3))", [("_npi_ones", "ones0", {"ctx": "cpu(0)", "dtype": "float32", "shape": "(2, 3)"}, [])]),
        ("S.broadcast_to(a, (2, 3))", [("_npi_broadcast_to", "broadcast_to0", {"shape": "(2, 3)"}, ["a"])]),
        ("L.inv(a)", [("_linalg_inverse", "inv0", {}, ["a"])]),
        ("L.det(a)", [("_linalg_det", "det0", {}, ["a"])]),
        ("X.relu(a)", [("_npx_relu", "relu0", {}, ["a"])]),
        ("X.softmax(a, b, use_length=True)", [("softmax", "softmax0", {"use_length": "True"}, ["a", "b"])]),
        ("X.batch_flatten(a, name='flat')", [("Flatten", "flat", {}, ["a"])]),
        (
            "X.reshape(a, -1, reverse=True)",
            [("_npx_reshape", "reshape0", {"newshape": "-1", "order": "C", "reverse": "True"}, ["a"])],
        ),
        ("X.image.to_tensor(a)", [("_image_to_tensor", "to_tensor0", {}, ["a"])]),
        (
            "R.uniform(a, 2.0, size=(2, 2))",
            [
                (
                    "_npi_uniform",
                    "uniform0",
                    {"ctx": "cpu(0)", "dtype": "float32", "high": "2.0", "low": "None", "size": "(2, 2)"},
                    ["a"],
                )
            ],
        ),
    ],
)
def test_describes_the_nodes_that_mxnet_describes(text, nodes):
    found = eval(text, _names())
    assert type(found) is S._Symbol
    assert _nodes(found) == nodes


def test_layers_make_their_parameters():
    layer = X.fully_connected(mx.sym.var("x").as_np_ndarray(), num_hidden=3, name="fc")
    assert layer.list_arguments() == ["x", "fc_weight", "fc_bias"]
    assert layer.infer_shape(x=(2, 5))[0] == [(2, 5), (3, 5), (3,)]


def test_operators_own_functions_take_a_name_and_attributes():
    found = S.sum(mx.sym.var("a").as_np_ndarray(), axis=1, dtype=None, name="total", attr={"__group__": "7"})
    assert _nodes(found) == [("_np_sum", "total", {"__group__": "7", "axis": "1"}, ["a"])]


VALUES = {
    "a": [[0.2, 1.5, 2.6], [3.1, 0.7, 1.0]],
    "b": [[1.3, 2.2, 1.0], [0.4, 1.9, 3.0]],
    "c": [1.0, 2.0, 0.0],
}


@pytest.mark.parametrize(
    ("text", "dtype", "values"),
    [
        ("a[1:, 0]", "float32", [3.1]),
        ("a[0, 1]", "float32", 1.5),
        ("a.sum()", "float32", 9.1),
        ("a.argmax(axis=1)", "int64", [2, 0]),
        ("a.astype('int32') + 1.5", "float64", [[1.5, 2.5, 3.5], [4.5, 1.5, 2.5]]),
        ("a.astype('int32') * 2", "int32", [[0, 2, 4], [6, 0, 2]]),
        ("a.astype('int32') / 2", "float32", [[0.0, 0.5, 1.0], [1.5, 0.0, 0.5]]),
        ("S.array_split(a, 2, axis=1)[0]", "float32", [[0.2, 1.5], [3.1, 0.7]]),
        ("S.array_split(a, [1], axis=1)[1]", "float32", [[1.5, 2.6], [0.7, 1.0]]),
        ("S.unravel_index(c.astype('int64'), (2, 3))", "int64", [[0, 0, 0], [1, 2, 0]]),
        ("S.percentile(a, 50, axis=1)", "float32", [1.5, 1.0]),
        ("S.average(a, axis=1, weights=c)", "float32", [1.0666667, 1.5]),
        ("S.ediff1d(c)", "float32", [1, -2]),
        ("S.where(a > 1, 1, b)", "float32", [[1.3, 1, 1], [1, 1.9, 3]]),
        ("L.norm(a, axis=1)", "float32", [3.0083218, 3.3316664]),
        ("X.softmax(c)", "float32", [0.24472848, 0.66524094, 0.09003057]),
        ("X.pick(a, S.zeros((2,)))", "float32", [0.2, 3.1]),
        ("X.reshape(a, (-5,))", "float32", [0.2, 1.5, 2.6, 3.1, 0.7, 1.0]),
        ("X.slice(a, begin=(0, 1), end=(1, 3))", "float32", [[1.5, 2.6]]),
    ],
)
def test_computes_the_values_of_mxnet(text, dtype, values):
    symbol = eval(text, _names())
    loaded = mx.sym.load_json(symbol.tojson()).as_np_ndarray()
    found = loaded.eval(**{n: np.array(VALUES[n]) for n in loaded.list_inputs()})[0].asnumpy()
    assert found.dtype == dtype
    onp.testing.assert_allclose(found, onp.array(values), rtol=1e-5)


def test_says_in_the_graph_that_shapes_are_numpys():
    symbol = mx.sym.var("a").as_np_ndarray().sum()
    assert json.loads(symbol.tojson())["attrs"]["is_np_shape"] == ["int", 1]
    assert symbol.infer_shape(a=(2, 0))[1] == [()]


def test_gives_several_outputs_as_a_list():
    parts = S.split(mx.sym.var("a").as_np_ndarray(), 3, axis=1)
    assert [type(p) for p in parts] == [S._Symbol] * 3
    assert parts[2].list_outputs() == ["split0_output2"]


def test_whole_graphs_and_files_are_of_legacy_symbols():
    both = mx.sym.var("a").as_np_ndarray() + mx.sym.var("b").as_np_ndarray()
    assert repr(both) == "<_Symbol add0>"
    assert type(both(a=mx.sym.var("z").as_np_ndarray())) is S._Symbol
    for found in (
        both.get_internals(),
        both.get_internals()["a"],
        both.get_children(),
        mx.sym.Group([both, both]),
        mx.sym.load_json(both.tojson()),
        both.__reduce__()[0](()),
        both.as_nd_ndarray(),
    ):
        assert type(found) is Symbol
    assert both.as_np_ndarray() is both


@pytest.mark.parametrize("key", ["...", "None", "'x'", "[0, 1]", "b", "1.5", "(slice(1, 2), None)"])
def test_rejects_keys_that_symbols_are_not_indexed_with(key):
    names = _names()
    with pytest.raises(IndexError, match="integers, slices"):
        names["a"][eval(key, names)]


@pytest.mark.parametrize(
    "text",
    [
        "X.relu(mx.sym.var('q'))",
        "S.sin(mx.sym.var('q'))",
        "S.add(a, mx.sym.var('q'))",
        "a < mx.sym.var('q')",
        "a + None",
        "a + 'x'",
        "a & b",
        "a // b",
    ],
)
def test_rejects_legacy_symbols_and_other_operands(text):
    with pytest.raises(TypeError):
        eval(text, _names())


@pytest.mark.parametrize(
    "name", ["exp", "tile", "norm", "slice", "softmax", "expand_dims", "abs", "relu", "topk", "diag"]
)
def test_lacks_the_methods_that_mxnet_lacks(name):
    with pytest.raises(AttributeError, match=name):
        getattr(mx.sym.var("a").as_np_ndarray(), name)


def test_symbols_are_neither_written_to_nor_read():
    a = mx.sym.var("a").as_np_ndarray()
    with pytest.raises(NotImplementedForSymbol):
        a += 1
    with pytest.raises(NotImplementedForSymbol):
        a[0] = 1
    with pytest.raises(NotImplementedForSymbol):
        bool(a)
    with pytest.raises(NotImplementedForSymbol):
        a.asnumpy()


def test_arrays_and_symbols_are_reached_by_the_names_of_blocks():
    x = np.array([-1.0, 4.0])
    assert mx.nd.np.sum(x).item() == 3
    assert mx.nd.npx.relu(x).tolist() == [0, 4]
    assert mx.nd.numpy.linalg.norm(np.ones(4)).item() == 2
    assert mx.nd.np._internal.add_scalar(x, 1.0).tolist() == [0, 5]
    assert _nodes(S._internal.flip(mx.sym.var("a").as_np_ndarray(), axis=0, name="f"))[0][:2] == ("_npi_flip", "f")
    assert mx.nd.np.resize(x, (3,)).tolist() == [-1, 4, -1]
    assert mx.symbol.numpy is mx.sym.np
    assert mx.symbol.numpy_extension is mx.sym.npx
    for space, name in ((mx.nd.np, "array"), (mx.sym.np, "array"), (mx.nd.npx, "cpu"), (mx.nd.npx, "save")):
        with pytest.raises(AttributeError):
            getattr(space, name)


@pytest.mark.parametrize(
    ("attributes", "dtype", "values"),
    [
        (
            {"op_type": "empty_like_fallback", "dtype": "None", "order": "C", "shape": "None", "subok": "False"},
            "float32",
            [0] * 4,
        ),
        (
            {"op_type": "empty_like_fallback", "dtype": "int32", "order": "C", "shape": "None", "subok": "False"},
            "int32",
            [0] * 4,
        ),
        ({"op_type": "resize_fallback", "new_shape": "(2, 3)"}, "float32", [[0, 1, 2], [3, 0, 1]]),
        ({"op_type": "resize_fallback", "new_shape": "5"}, "float32", [0, 1, 2, 3, 0]),
        ({"op_type": "unravel_index_fallback", "shape": "(2, 3)"}, "int64", [[0, 0, 0, 1], [0, 1, 2, 0]]),
    ],
)
def test_runs_what_mxnet_has_written_in_python(attributes, dtype, values):
    """Graphs of MXNet 1.9.1's functions that it hands to NumPy."""
    given = "int64" if dtype == "int64" else "float32"
    nodes = [{"op": "null", "name": "a", "inputs": []}]
    nodes.append({"op": "Custom", "name": "custom0", "attrs": attributes, "inputs": [[0, 0, 0]]})
    graph = {
        "nodes": nodes,
        "arg_nodes": [0],
        "heads": [[1, 0, 0]],
        "attrs": {"is_np_shape": ["int", 1], "mxnet_version": ["int", 10901]},
    }
    found = mx.sym.load_json(json.dumps(graph)).eval(a=np.arange(4, dtype=given))[0].asnumpy()
    assert found.dtype == dtype
    assert found.tolist() == values


def test_refuses_gradients_through_what_mxnet_has_written_in_python():
    a = mx.sym.var("a").as_np_ndarray()
    bound = S.resize(a, (3,)).bind(mx.cpu(), {"a": np.ones(2)}, args_grad={"a": np.zeros(2)})
    bound.forward(is_train=True)
    with pytest.raises(mx.base.MXNetError, match="resize"):
        bound.backward(np.ones(3))


@pytest.mark.parametrize("hybridized", [False, True])
def test_blocks_draw_numbers_by_arrays_and_by_symbols(hybridized):
    class Draws(mx.gluon.nn.HybridBlock):
        def hybrid_forward(self, F, x):
            drawn = (
                F.np.random.uniform(x, 4.0),
                F.np.random.gamma(2.0, 1.0, size=(2, 3)),
                F.np.random.choice(5, size=(4,)),
            )
            return *drawn, F.np.random.randint(0, 3, size=2), F.npx.random.bernoulli(0.5, size=(3,), dtype="int32")

    block = Draws()
    if hybridized:
        block.hybridize()
    found = block(np.full((100,), 3.0))
    assert [(v.shape, onp.dtype(v.dtype).name) for v in found] == [
        ((100,), "float32"),
        ((2, 3), "float32"),
        ((4,), "int64"),
        ((2,), "int64"),
        ((3,), "int32"),
    ]
    assert 3 <= float(found[0].min()) <= float(found[0].max()) < 4
    assert float(found[0].std()) > 0.1


def test_blocks_take_parts_of_arrays_alike_before_and_after_hybridization():
    class Parts(mx.gluon.nn.HybridBlock):
        def hybrid_forward(self, F, x):
            left, right = F.np.split(x, 2, axis=1)
            return x[1:, 0], x[0], x[-1], x[:, ::-1], left + right, F.np.linalg.norm(x, axis=1), F.npx.reshape(x, (-5,))

    block = Parts()
    x = np.arange(8).reshape(2, 4)
    before = [v.tolist() for v in block(x)]
    block.hybridize()
    after = block(x)
    assert [type(v) for v in after] == [np.ndarray] * 7
    for each, wanted in zip(after, before, strict=True):
        onp.testing.assert_allclose(each.asnumpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "args", "named", "wanted"),
    [
        ("clip", (), {"min": 1, "max": 3}, lambda x: x.clip(1, 3)),
        ("max", (1, None, True), {}, lambda x: x.max(1, keepdims=True)),
        ("sum", (1, None, None, True), {}, lambda x: x.sum(1, keepdims=True)),
        ("transpose", (1, 0), {}, lambda x: x.T),
        ("flatten", (), {}, lambda x: x.ravel()),
    ],
    ids=["clip", "max", "sum", "transpose", "flatten"],
)
def test_methods_of_symbols_take_the_arguments_of_those_of_arrays(method, args, named, wanted):
    values = onp.arange(6, dtype="float32").reshape(2, 3)
    symbol = getattr(mx.sym.var("x").as_np_ndarray(), method)(*args, **named)
    with mx.util.np_shape():
        (found,) = symbol.eval(x=np.array(values))
    onp.testing.assert_array_equal(found.asnumpy(), wanted(values))
