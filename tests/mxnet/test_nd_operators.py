"""Every operator, called as a function of `mx.nd`, gives what MXNet 1.9.1 gave; so do the gradients it records."""

import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd
from evergraph.mxnet.ndarray.functions import function
from evergraph.ops import get
from tests.goldens import near, operator_cases, operator_values

CASES = operator_cases()
# shapes that depend on values, which the recorded graphs did not tell
UNTOLD = {"_npi_bincount", "_npi_unique", "_npx_nonzero", "_npi_delete"}
DRAWS = ("_random_", "_sample_", "_npi_random", "_npi_normal", "_npi_uniform", "_shuffle", "Dropout")


def called(case):
    values = operator_values(case)
    names = sorted((k[3:] for k in values if k.startswith("in:")), key=lambda k: int(k[2:]))
    arrays = {n: mx.nd.array(values["in:" + n], dtype=values["in:" + n].dtype) for n in names}
    return values, arrays


def tolerance(*arrays):
    return 2e-3 if any(a.dtype == "float16" for a in arrays) else 1e-4


def places(arrays):
    """Where the values of dense arrays lie."""
    return [a._data.untyped_storage().data_ptr() for a in arrays if a.stype == "default" and a.size]


@pytest.mark.parametrize("case", [c for c in CASES.values() if c["op"] not in UNTOLD], ids=lambda c: c["id"])
def test_function_gives_what_mxnet_gave_each_time_in_memory_of_its_own(case):
    with mx.np_shape(bool(case.get("np_shape"))):
        for turn in range(2):  # the second goes the short way
            values, arrays = called(case)
            found = function(case["op"])(*arrays.values(), **case["params"])
            found = found if isinstance(found, list) else [found]
            for i, got in enumerate(found):
                want = values.get(f"out:{i}")
                if want is not None:
                    loose = tolerance(want, *values.values())
                    near(got.asnumpy(), want, loose, loose, f"{case['id']} output {i}, call {turn}")
            taken = places([*arrays.values(), *found])
            assert len(set(taken)) == len(taken)


def differentiable(case):
    plain = not (get(case["op"]).wants_subgraphs or case["op"].startswith(DRAWS))
    return plain and case.get("gradients") and case["op"] not in UNTOLD


@pytest.mark.parametrize("case", [c for c in CASES.values() if differentiable(c)], ids=lambda c: c["id"])
def test_recorded_function_has_mxnets_gradients(case):
    values, arrays = called(case)
    wanted = {k[5:]: v for k, v in values.items() if k.startswith("grad:")}
    if not wanted:
        pytest.skip("MXNet gave no gradients")
    with mx.np_shape(bool(case.get("np_shape"))):
        for name in wanted:
            arrays[name].attach_grad()
        with autograd.record():
            found = function(case["op"])(*arrays.values(), **case["params"])
        found = found if isinstance(found, list) else [found]
        heads = [(o, i) for i, o in enumerate(found) if f"head:{i}" in values and o._leaf is not None]
        gradients = [mx.nd.array(values[f"head:{i}"], dtype=values[f"head:{i}"].dtype) for _, i in heads]
        autograd.backward([o for o, _ in heads], gradients)
        for name, want in wanted.items():
            loose = 10 * tolerance(want, *values.values())
            near(arrays[name].grad.asnumpy(), want, loose, loose, f"{case['id']} gradient of {name}")
