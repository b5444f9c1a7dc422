"""Symbols against expected values, against finite differences, and against themselves on other devices and types."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.testing.arrays import create_sparse_array, rand_ndarray
from evergraph.mxnet.testing.tolerances import (
    assert_almost_equal,
    compare_ndarray_tuple,
    default_context,
    default_numeric_eps,
    get_tolerance,
    get_tols,
)

__all__ = [
    "check_consistency",
    "check_gluon_hybridize_consistency",
    "check_numeric_gradient",
    "check_speed",
    "check_symbolic_backward",
    "check_symbolic_forward",
    "compare_optimizer",
    "numeric_grad",
    "same_symbol_structure",
    "simple_forward",
]

_FLOAT: Any = np.float32


def simple_forward(sym: Any, ctx: Any = None, is_train: bool = False, **inputs: Any) -> Any:
    """The outputs of a symbol for inputs by name, as NumPy arrays; a single one where there is one output."""
    executor = sym.bind(ctx or default_context(), args={k: nd.array(v) for k, v in inputs.items()})
    executor.forward(is_train=is_train)
    found = [o.asnumpy() for o in executor.outputs]
    return found[0] if len(found) == 1 else found


def _typed(value: Any, ctx: Any, dtype: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return nd.array(value, ctx=ctx, dtype=value.dtype if dtype == "asnumpy" else dtype)


def _named(what: str, names: Sequence[str], values: Any) -> dict[str, Any]:
    """Values by the names of a symbol's inputs.

    Raises:
        ValueError: other names.
    """
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ValueError(f"{what} of the symbol are {sorted(names)}, and values are given for {sorted(values)}")
        return dict(values)
    return dict(zip(names, values, strict=False))


def _parse_location(sym: Any, location: Any, ctx: Any, dtype: Any = _FLOAT) -> dict[str, Any]:
    """Arrays for all arguments of a symbol, by name, in the names' order."""
    given = _named("arguments", sym.list_arguments(), location)
    return {k: _typed(given[k], ctx, dtype) for k in sorted(given)}


def _parse_aux_states(sym: Any, aux_states: Any, ctx: Any, dtype: Any = _FLOAT) -> dict[str, Any] | None:
    """Arrays for all auxiliary states of a symbol, by name; None where none are given."""
    if aux_states is None:
        return None
    given = _named("auxiliary states", sym.list_auxiliary_states(), aux_states)
    return {
        k: nd.array(v, ctx=ctx, dtype=v.dtype if dtype == "asnumpy" else dtype) if not isinstance(v, Array) else v
        for k, v in given.items()
    }


def numeric_grad(
    executor: Any,
    location: dict[str, Any],
    aux_states: Mapping[str, Any] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = _FLOAT,
) -> dict[str, np.ndarray]:
    """Gradients of an executor's first output, summed, by central differences.

    Args:
        executor: what computes it.
        location: values of the arguments, by name.
        aux_states: values that auxiliary states have before each evaluation.
        eps: how far apart the two evaluations are.
        use_forward_train: whether they run as in training.
        dtype: type of the gradients.
    """

    def put(name: str, value: np.ndarray) -> None:
        target = executor.arg_dict[name]
        target[:] = nd.array(value, dtype=dtype).tostype(target.stype)

    def evaluated() -> np.ndarray:
        for name, value in (aux_states or {}).items():
            executor.aux_dict[name][:] = value
        executor.forward(is_train=use_forward_train)
        return executor.outputs[0].asnumpy()

    found = {k: np.zeros(v.shape, dtype) for k, v in location.items()}
    values = {k: np.array(v, order="C") for k, v in location.items()}
    for name, value in values.items():
        put(name, value)
    for name, value in values.items():
        if value.dtype.kind != "f":
            continue
        flat, gradient = value.reshape(-1), found[name].reshape(-1)
        for i in range(flat.size):
            before = flat[i]
            flat[i] = before + eps / 2
            put(name, value)
            above = evaluated()
            flat[i] = before - eps / 2
            put(name, value)
            gradient[i] = (above - evaluated()).sum() / eps
            flat[i] = before
        put(name, value)
    return found


def _requests(sym: Any, grad_nodes: Any) -> dict[str, str]:
    if grad_nodes is None:
        grad_nodes = sym.list_arguments()
    return dict(grad_nodes) if isinstance(grad_nodes, Mapping) else dict.fromkeys(grad_nodes, "write")


def _sparse_gradients(arrays: dict[str, Any], stypes: Mapping[str, str] | None) -> None:
    for name, stype in (stypes or {}).items():
        if name in arrays and stype not in (None, "default"):
            dense = arrays[name]
            arrays[name] = nd.zeros(dense.shape, ctx=dense.context, dtype=dense.dtype, stype=stype)


def _compare_gradient(name: str, request: str, want: Any, got: Any, before: Any, options: dict[str, Any]) -> None:
    """Hold a gradient against what its request asks for."""
    names = (f"EXPECTED_{name}", f"BACKWARD_{name}")
    if request == "write":
        assert_almost_equal(want, got, names=names, **options)
    elif request == "add":
        assert_almost_equal(want, got.asnumpy() - before, names=names, **options)
    elif request == "null":
        assert_almost_equal(before, got, names=names, **options)
    else:
        raise ValueError(f"Invalid grad_req {request} for argument {name}")


def check_numeric_gradient(
    sym: Any,
    location: Any,
    aux_states: Any = None,
    numeric_eps: Any = None,
    rtol: Any = None,
    atol: Any = None,
    grad_nodes: Any = None,
    use_forward_train: bool = True,
    ctx: Any = None,
    grad_stype_dict: Mapping[str, str] | None = None,
    dtype: Any = _FLOAT,
) -> None:
    """Hold a symbol's gradients, of a random sum of its output's values, against central differences.

    Args:
        sym: a symbol with one output.
        location: values of all its arguments, by name or in order.
        aux_states: values of its auxiliary states, in the same way.
        numeric_eps: how far apart the differences are taken.
        rtol: relative tolerance.
        atol: absolute tolerance.
        grad_nodes: which arguments' gradients; a dict also says how ("write", "add", "null").
        use_forward_train: whether differences are taken as in training.
        ctx: the device.
        grad_stype_dict: storage of gradients by argument.
        dtype: type of all arrays.

    Raises:
        AssertionError: they differ.
    """
    from evergraph.mxnet import symbol

    ctx = ctx or default_context()
    arrays = _parse_location(sym, location, ctx, dtype)
    values = {k: v.asnumpy() for k, v in arrays.items()}
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    kept = None if states is None else {k: v.asnumpy() for k, v in states.items()}
    requests = _requests(sym, grad_nodes)
    _, (shape, *_), _ = sym.infer_shape(**{k: v.shape for k, v in arrays.items()})
    loss = symbol.make_loss(sym * symbol.Variable("__random_proj"))
    weights = np.random.rand(*shape) + 0.1  # smaller ones would drown in the differences' rounding
    arrays["__random_proj"] = nd.array(weights, ctx=ctx, dtype=dtype)
    shapes = {k: arrays[k].shape for k in requests} | {"__random_proj": shape}
    before = {k: np.random.normal(0, 0.01, size=s) for k, s in shapes.items()}
    gradients = {k: nd.array(v, ctx=ctx, dtype=dtype) for k, v in before.items()}
    _sparse_gradients(gradients, grad_stype_dict)
    executor = loss.bind(ctx, grad_req=requests, args=arrays, args_grad=gradients, aux_states=states)
    executor.forward(is_train=True)
    eps = get_tolerance(executor.outputs[0], numeric_eps, default_numeric_eps())
    executor.backward()
    got = {k: executor.grad_dict[k] for k in requests}
    want = numeric_grad(executor, values, kept, eps, use_forward_train, dtype)
    for name, request in requests.items():
        _compare_gradient(name, request, want[name], got[name], before[name], {"rtol": rtol, "atol": atol})


def check_symbolic_forward(
    sym: Any,
    location: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    ctx: Any = None,
    equal_nan: bool = False,
    dtype: Any = _FLOAT,
) -> Any:
    """Hold a symbol's outputs against expected ones.

    Args:
        sym: the symbol.
        location: values of all its arguments, by name or in order.
        expected: arrays by output or in order.
        rtol: relative tolerance.
        atol: absolute tolerance.
        aux_states: values of its auxiliary states.
        ctx: the device.
        equal_nan: whether NaN equals NaN.
        dtype: type of all arrays, or "asnumpy" for that of each given array.

    Returns:
        The outputs.

    Raises:
        AssertionError: they differ.
    """
    ctx = ctx or default_context()
    arrays = _parse_location(sym, location, ctx, dtype)
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    names = sym.list_outputs()
    if isinstance(expected, Mapping):
        expected = [expected[k] for k in names]
    executor = sym.bind(ctx=ctx, args=arrays, aux_states=states, grad_req="null")
    executor.forward(is_train=False)
    for name, want, got in zip(names, expected, executor.outputs, strict=False):
        assert_almost_equal(want, got, rtol, atol, (f"EXPECTED_{name}", f"FORWARD_{name}"), equal_nan=equal_nan)
    return executor.outputs


def check_symbolic_backward(
    sym: Any,
    location: Any,
    out_grads: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    grad_req: Any = "write",
    ctx: Any = None,
    grad_stypes: Mapping[str, str] | None = None,
    equal_nan: bool = False,
    dtype: Any = _FLOAT,
) -> dict[str, Any]:
    """Hold a symbol's gradients against expected ones.

    Args:
        sym: the symbol.
        location: values of all its arguments, by name or in order.
        out_grads: gradients of the outputs, by name or in order; None for none.
        expected: gradients of arguments, by name or in order.
        rtol: relative tolerance.
        atol: absolute tolerance.
        aux_states: values of its auxiliary states.
        grad_req: "write", "add" or "null", for all or by argument.
        ctx: the device.
        grad_stypes: storage of gradients by argument.
        equal_nan: whether NaN equals NaN.
        dtype: type of all arrays, or "asnumpy" for that of each given array.

    Returns:
        The gradients.

    Raises:
        AssertionError: they differ.
    """
    ctx = ctx or default_context()
    arguments = sym.list_arguments()
    arrays = _parse_location(sym, location, ctx, dtype)
    states = _parse_aux_states(sym, aux_states, ctx, dtype)
    wanted = dict(expected) if isinstance(expected, Mapping) else dict(zip(arguments, expected, strict=False))
    before = {k: np.random.normal(size=wanted[k].shape) for k in sorted(wanted)}  # a write must not keep these
    gradients = {
        k: nd.array(v, ctx=ctx, dtype=wanted[k].dtype if dtype == "asnumpy" else dtype) for k, v in before.items()
    }
    for name, stype in (grad_stypes or {}).items():
        if name in gradients and stype not in (None, "default"):
            gradients[name] = create_sparse_array(gradients[name].shape, stype, density=0.0)
    if isinstance(grad_req, str):
        grad_req = dict.fromkeys(arguments, grad_req)
    elif not isinstance(grad_req, Mapping):
        grad_req = dict(zip(arguments, grad_req, strict=False))
    executor = sym.bind(ctx=ctx, args=arrays, args_grad=gradients, aux_states=states, grad_req=grad_req)
    executor.forward(is_train=True)
    if isinstance(out_grads, Mapping):
        out_grads = {k: _typed(v, ctx, dtype) for k, v in out_grads.items()}
    elif out_grads is not None:
        out_grads = [_typed(v, ctx, dtype) for v in out_grads]
    executor.backward(out_grads)
    options = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
    for name, want in wanted.items():
        _compare_gradient(name, grad_req[name], want, gradients[name], before[name], options)
    return gradients


def check_speed(
    sym: Any,
    location: Any = None,
    ctx: Any = None,
    N: int = 20,
    grad_req: Any = None,
    typ: str = "whole",
    **kwargs: Any,
) -> float:
    """Seconds that a symbol takes on average, forward and backward ("whole") or "forward" alone.

    Raises:
        ValueError: another `typ`.
    """
    if typ not in ("whole", "forward"):
        raise ValueError('typ can only be "whole" or "forward".')
    shapes = kwargs if location is None else {k: v.shape for k, v in location.items()}
    executor = sym.simple_bind(grad_req=grad_req or "write", ctx=ctx or default_context(), **shapes)
    if location is None:
        location = {k: np.random.normal(size=v.shape) for k, v in executor.arg_dict.items()}
    for name, value in location.items():
        executor.arg_dict[name][:] = value.astype(executor.arg_dict[name].dtype)

    def once() -> None:
        executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(out_grads=executor.outputs)

    once()
    nd.waitall()
    start = time.time()
    for _ in range(N):
        once()
    nd.waitall()
    return (time.time() - start) / N


def check_consistency(
    sym: Any,
    ctx_list: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    grad_req: Any = "write",
    arg_params: dict[str, Any] | None = None,
    aux_params: dict[str, Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    raise_on_err: bool = True,
    ground_truth: Any = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> dict[str, Any]:
    """Hold a symbol on several devices and types against the one of the most precise type.

    Args:
        sym: a symbol, or one for each entry of `ctx_list`.
        ctx_list: what `simple_bind` takes: `ctx`, shapes by argument, `type_dict`.
        scale: standard deviation of random arguments.
        grad_req: "write", "add" or "null".
        arg_params: values of arguments; random where not given.
        aux_params: values of auxiliary states; 0 where not given.
        rtol: relative tolerance.
        atol: absolute tolerance.
        raise_on_err: whether a difference raises; it is printed in any case.
        ground_truth: arrays by output and argument to hold against instead.
        equal_nan: whether NaN equals NaN.
        use_uniform: whether random arguments are uniform rather than normal.
        rand_type: type of random arguments before they are put in.

    Returns:
        Outputs and gradients that the others were held against.

    Raises:
        AssertionError: they differ.
    """
    symbols = list(sym) if isinstance(sym, (list, tuple)) else [sym] * len(ctx_list)
    if len(ctx_list) < 2 or len(symbols) != len(ctx_list):
        raise AssertionError(f"{len(symbols)} symbols for {len(ctx_list)} contexts; two at least are compared")
    executors = [s.simple_bind(grad_req=grad_req, **dict(c)) for s, c in zip(symbols, ctx_list, strict=True)]
    _fill(executors, arg_params or {}, aux_params or {}, (scale, use_uniform, rand_type), grad_req)
    best = int(np.argmax([np.dtype(e.outputs[0].dtype).itemsize for e in executors]))
    for executor in executors:
        executor.forward(is_train=False)
    outputs = symbols[0].list_outputs()
    truth = dict(ground_truth) if ground_truth is not None else dict(executors[best].output_dict)

    kinds = [np.dtype(e.outputs[0].dtype) for e in executors]

    def compare(names: Sequence[str], arrays: Any, which: int) -> None:
        for name, got in zip(names, arrays, strict=True):
            if got is not None and truth.get(name) is not None:
                told = _difference(got, truth[name], kinds[which], (rtol, atol), equal_nan)
                if told:
                    print(f"{name}: context {which} differs from context {best}\n{told}")
                    if raise_on_err:
                        raise AssertionError(f"{name} of context {which}: {told}")

    for i, executor in enumerate(executors):
        if i != best:
            compare(outputs, executor.outputs, i)
    if grad_req != "null":
        _run_backward(executors)
        if ground_truth is None:
            truth = dict(executors[best].output_dict) | dict(executors[best].grad_dict)
        for i, executor in enumerate(executors):
            if i != best:
                compare([*outputs, *symbols[0].list_arguments()], [*executor.outputs, *executor.grad_arrays], i)
    return truth


def _difference(got: Any, want: Any, kind: np.dtype, tolerances: tuple[Any, Any], equal_nan: bool) -> str:
    """How two arrays differ, by the tolerances of the less precise of an array and what it was computed with."""
    low = min(np.dtype(got.dtype), kind, key=lambda t: t.itemsize)
    try:
        assert_almost_equal(got, want, *get_tols(got.astype(low), want, *tolerances), equal_nan=equal_nan)
    except AssertionError as error:
        return str(error)
    return ""


def _fill(executors: Sequence[Any], arguments: Any, states: Any, random: tuple[float, bool, Any], request: Any) -> None:
    """The same values into all executors."""
    scale, uniform, kind = random
    given = {}
    for name, array in sorted(executors[0].arg_dict.items()):
        if name in arguments:
            given[name] = arguments[name]
        elif uniform:
            given[name] = np.random.uniform(-0.92 * scale, 0.92 * scale, size=array.shape).astype(kind)
        else:
            given[name] = np.random.normal(size=array.shape, scale=scale).astype(kind)
    for executor in executors:
        for name, array in executor.arg_dict.items():
            array[:] = given[name]
        for name, array in executor.aux_dict.items():
            array[:] = states.get(name, 0)
        if request == "add":
            for array in executor.grad_arrays:
                array[:] = 0


def _run_backward(executors: Sequence[Any]) -> None:
    """Forward in training, and backward from the first one's outputs in the least precise type of all."""
    for executor in executors:
        executor.forward(is_train=True)
    heads = []
    for i, output in enumerate(executors[0].outputs):
        kinds = [np.dtype(e.outputs[i].dtype) for e in executors]
        heads.append(output.asnumpy().astype(min(kinds, key=lambda t: t.itemsize)))
    for executor in executors:
        executor.backward(
            [nd.array(h, ctx=o.context, dtype=o.dtype) for h, o in zip(heads, executor.outputs, strict=True)]
        )


def _same_pair(shape: Any, stype: str, dtype: Any, density: float | None) -> tuple[Any, Any]:
    """A random array twice: dense, and in the wanted storage."""
    if stype == "default":
        found = nd.random.uniform(shape=shape, ctx=default_context(), dtype=dtype)
    elif stype in ("row_sparse", "csr"):
        found = rand_ndarray(shape, stype, density=density, dtype=dtype)
    else:
        raise AssertionError(f"no arrays of storage {stype}")
    return found.copyto(default_context()).tostype("default"), found


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = "default",
    g_stype: str = "default",
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
    ntensors: int = 1,  # noqa: ARG001
) -> None:
    """Hold two optimizers against each other over one step.

    Args:
        opt1: the first, which updates one dense weight at a time.
        opt2: the second.
        shape: of the weight; a list of shapes where opt2 updates several at once.
        dtype: type of the weights.
        w_stype: storage of opt2's weight.
        g_stype: storage of opt2's gradient.
        rtol: relative tolerance.
        atol: absolute tolerance.
        compare_states: whether states are held against each other too.
        ntensors: how many weights opt2 updates at once.

    Raises:
        AssertionError: they differ.
    """
    if isinstance(shape, list):
        _compare_many(opt1, opt2, shape, dtype, (rtol, atol), compare_states)
        return
    w1, w2 = _same_pair(shape, w_stype, dtype, 1)
    g1, g2 = _same_pair(shape, g_stype, dtype, None)
    state1, state2 = opt1.create_state_multi_precision(0, w1), opt2.create_state_multi_precision(0, w2)
    if compare_states:
        compare_ndarray_tuple(state1, state2)
    opt1.update_multi_precision(0, w1, g1, state1)
    opt2.update_multi_precision(0, w2, g2, state2)
    if compare_states:
        compare_ndarray_tuple(state1, state2, rtol=rtol, atol=atol)
    assert_almost_equal(w1, w2, rtol=rtol, atol=atol)


def _compare_many(
    opt1: Any, opt2: Any, shapes: list[Any], dtype: Any, tolerances: tuple[float, float], states: bool
) -> None:
    pairs = [(_same_pair(s, "default", dtype, None), _same_pair(s, "default", dtype, None)) for s in shapes]
    weights, gradients = [w[1] for w, _ in pairs], [g[1] for _, g in pairs]
    together = [opt2.create_state_multi_precision(i, w) for i, w in enumerate(weights)]
    opt2.update_multi_precision(list(range(len(pairs))), weights, gradients, together)
    for i, ((w1, w2), (g1, _)) in enumerate(pairs):
        alone = opt1.create_state_multi_precision(i, w1)
        opt1.update_multi_precision(i, w1, g1, alone)
        if states:
            compare_ndarray_tuple(alone, together[i], *tolerances)
        compare_ndarray_tuple(w1, w2, *tolerances)


def same_symbol_structure(sym1: Any, sym2: Any) -> bool:
    """Whether the operators of two symbols' nodes are the same, in order."""
    first, second = ([n["op"] for n in json.loads(s.tojson())["nodes"]] for s in (sym1, sym2))
    return all(a == b for a, b in zip(first, second, strict=False))


def check_gluon_hybridize_consistency(
    net_builder: Any,
    data_l: Sequence[Any],
    numpy_func: Any = None,
    test_grad: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Hold a gluon block that is hybridized against itself as it is, and against a function of NumPy arrays.

    Args:
        net_builder: makes the block.
        data_l: its inputs.
        numpy_func: the same function of NumPy arrays, if any.
        test_grad: whether gradients are compared too.
        rtol: relative tolerance.
        atol: absolute tolerance.

    Raises:
        AssertionError: they differ.
    """
    from evergraph.mxnet import autograd

    found = []
    for hybrid in (False, True):
        net = net_builder(prefix="net_")
        net.initialize()
        if hybrid:
            net.hybridize()
        if found:  # the same parameters as before
            for name, parameter in net.collect_params().items():
                parameter.set_data(found[0][2][name])
        inputs = [d.copy() for d in data_l]
        for each in inputs:
            each.attach_grad()
        with autograd.record(train_mode=test_grad):
            out = net(*inputs)
        if test_grad:
            out.backward(nd.ones_like(out))
        kept = {k: p.data().copy() for k, p in net.collect_params().items()}
        found.append((out, [i.grad for i in inputs] if test_grad else [], kept))
    assert_almost_equal(found[0][0], found[1][0], rtol=rtol, atol=atol)
    for plain, hybrid in zip(found[0][1], found[1][1], strict=True):
        assert_almost_equal(plain, hybrid, rtol=rtol, atol=atol)
    if numpy_func is not None:
        assert_almost_equal(numpy_func(*[d.asnumpy() for d in data_l]), found[0][0], rtol=rtol, atol=atol)
