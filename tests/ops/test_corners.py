"""Rules of operators that show only at odd parameters, shapes and types, against what MXNet 1.9.1 computed for them.

Slopes of their data's rank (LeakyReLU) are 1.3.1's: 1.9.1 does not take them.
`op-corners.json.gz` is a list of op, attrs, np_shape, inputs, outs and after (inputs that changed in place, by name);
where a gradient was asked for also touts (outputs in training), heads, grads and aux (states after training), by name.
An array is [type, shape, base64 of its bytes]. Each is run as one node of a graph.
"""

import functools
import gzip
import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.goldens import MXNET, near
from tests.ops.variants import array


@functools.cache
def corners():
    found = {}
    for case in json.loads(gzip.decompress((MXNET / "op-corners.json.gz").read_bytes())):
        found.setdefault(case["op"], []).append(case)
    return found


def graph_of(case):
    count = len(case["inputs"])
    nodes = [{"op": "null", "name": f"in{i}", "inputs": []} for i in range(count)]
    node = {"op": case["op"], "name": "op", "attrs": case["attrs"], "inputs": [[i, 0, 0] for i in range(count)]}
    heads = [[count, i, 0] for i in range(len(case["outs"]))]
    graph = {"nodes": [*nodes, node], "arg_nodes": list(range(count)), "heads": heads}
    return mx.sym.load_json(json.dumps({**graph, "attrs": {"mxnet_version": ["int", 10901]}}))


def hold(found, wanted, rtol, atol, what):
    assert found.dtype == wanted.dtype, f"{what} is {found.dtype} for {wanted.dtype}"
    near(found, wanted, rtol, atol, what)


def check(case):
    values = {f"in{i}": array(item) for i, item in enumerate(case["inputs"])}
    half = any(v.dtype == np.float16 for v in [*values.values(), *map(array, case["outs"])])
    rtol, atol = (1e-2, 1e-2) if half else (1e-4, 1e-5)
    symbol, wanted = graph_of(case), case.get("grads", {})
    given = {n: mx.nd.array(v, dtype=v.dtype) for n, v in values.items()}
    states = symbol.list_auxiliary_states()
    executor = symbol.bind(
        mx.cpu(),
        {n: given[n] for n in symbol.list_arguments()},
        args_grad={n: mx.nd.zeros(values[n].shape, dtype=values[n].dtype) for n in wanted},
        grad_req={n: "write" if n in wanted else "null" for n in symbol.list_arguments()},
        aux_states={n: given[n] for n in states},
    )
    for i, out in enumerate(executor.forward(is_train=False)):
        hold(out.asnumpy(), array(case["outs"][i]), rtol, atol, f"output {i}")
    for name, value in values.items():
        hold(
            given[name].asnumpy(), array(case["after"].get(name)) if name in case["after"] else value, rtol, atol, name
        )
    if wanted:
        for i, out in enumerate(executor.forward(is_train=True)):
            hold(out.asnumpy(), array(case["touts"][i]), rtol, atol, f"training output {i}")
        executor.backward([mx.nd.array(h, dtype=h.dtype) for h in map(array, case["heads"])])
        for name, item in wanted.items():
            hold(executor.grad_dict[name].asnumpy(), array(item), 10 * rtol, 10 * atol, f"gradient of {name}")
        for name, item in case["aux"].items():
            hold(executor.aux_dict[name].asnumpy(), array(item), rtol, atol, f"state {name}")


@pytest.mark.parametrize("name", sorted(corners()))
def test_odd_cases_are_those_of_mxnet(name):
    for case in corners()[name]:
        with mx.util.np_shape(case["np_shape"]):
            try:
                check(case)
            except AssertionError as error:
                shapes = ", ".join(f"{kind}{tuple(shape)}" for kind, shape, _ in case["inputs"])
                raise AssertionError(f"{name} {case['attrs']} of {shapes}: {error}") from error
