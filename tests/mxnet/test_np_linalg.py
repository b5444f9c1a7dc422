"""`mx.np.linalg` beside what MXNet 1.9.1 answered."""

import pytest

from evergraph.mxnet import npx
from tests.mxnet.numpy_answers import check, recorded


@pytest.fixture(autouse=True)
def _numpy_semantics():
    npx.set_np()
    yield
    npx.reset_np()


@pytest.mark.parametrize(("text", "answer"), [pytest.param(*pair, id=pair[0]) for pair in recorded("np_linalg")])
def test_answers_as_mxnet(text, answer):
    check(text, answer)
