"""Mathematics against MXNet 1.9.1 over types, ranks, axes, ties, zeros, infinities and NaN."""

import pytest

from tests.ops.variants import check_dense, dense_cases


@pytest.mark.parametrize("name", sorted(dense_cases("math")))
def test_values_types_and_gradients_are_those_of_mxnet(name):
    for case in dense_cases("math")[name]:
        check_dense(case)
