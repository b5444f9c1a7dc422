"""Schedules of learning rates: those of MXNet 1.9.1 over 100 updates, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

DATA = np.load(Path(__file__).parents[1] / "data/mxnet/recorded/schedules.npz")
CASES = json.loads(str(DATA["cases"]))
REFUSED = json.loads(str(DATA["refused"]))


def made(kind, settings):
    return getattr(mx.lr_scheduler, kind)(**settings)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in CASES}))
def test_gives_the_rates_of_1_9_1(kind):
    for (name, settings), one_by_one, leaping in zip(CASES, DATA["rates"], DATA["leaps"], strict=True):
        if name == kind:
            schedule = made(kind, settings)
            np.testing.assert_allclose(
                [schedule(i) for i in range(101)], one_by_one, rtol=1e-6, atol=1e-8, err_msg=str(settings)
            )
            schedule = made(kind, settings)
            found = [schedule(i) for i in (0, 35, 36, 99, 150)]
            np.testing.assert_allclose(found, leaping, rtol=1e-6, atol=1e-8, err_msg=str(settings))


@pytest.mark.parametrize(("kind", "settings"), REFUSED, ids=lambda v: v if isinstance(v, str) else json.dumps(v))
def test_refuses_what_1_9_1_refuses(kind, settings):
    with pytest.raises(mx.MXNetError) as caught:
        made(kind, settings)
    assert isinstance(caught.value, (ValueError, AssertionError))
