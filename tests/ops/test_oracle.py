"""Every operator against the values, gradients and side effects that MXNet 1.9.1 recorded."""

import pytest

from evergraph import ops
from tests.goldens import operator_cases, operator_schema
from tests.ops.deviations import DEVIATIONS
from tests.ops.harness import check_case


@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(operator_cases().keys() - DEVIATIONS.keys()))
def test_recorded_case(ident):
    check_case(operator_cases()[ident])


@pytest.mark.parametrize(
    "name", sorted(n for n, op in ops.names().items() if op.name == n and n in operator_schema()["ops"])
)
def test_parameters_are_those_of_the_release(name):
    assert [[*a] for a in ops.get(name).arguments] == operator_schema()["ops"][name]["args"]


def test_aliases_are_those_of_the_release():
    schema = operator_schema()
    wrong = {a: n for a, n in schema["aliases"].items() if n in ops.names() and ops.find(a) is not ops.find(n)}
    assert not wrong
