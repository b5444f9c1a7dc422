"""Detection operators against random parameters and inputs that MXNet 1.9.1 ran."""

import pytest

from tests.ops.recorded import cases, check


@pytest.mark.parametrize("name", cases("vision"))
def test_recorded_vision_case(name):
    check(cases("vision")[name])
