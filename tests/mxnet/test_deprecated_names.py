"""Old names that MXNet 1.9.1 warns of: its words and its kind of warning, and they work."""

import warnings

import numpy as np
import pytest

import evergraph.mxnet as mx


def network():
    data = mx.sym.Variable("data")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), name="softmax")


class Doubled(mx.operator.NumpyOp):
    def forward(self, in_data, out_data):
        out_data[0][:] = 2 * in_data[0]


class Copied(mx.operator.NDArrayOp):
    pass


def block_files(path):
    block = mx.gluon.nn.Dense(2, in_units=2)
    block.initialize()
    block.save_params(f"{path}/net.params")
    block.load_params(f"{path}/net.params")


def feedforward(path):
    model = mx.model.FeedForward(network(), num_epoch=1)
    model.fit(mx.io.NDArrayIter(np.ones((4, 2), "f"), np.zeros(4, "f"), 4))
    model.save(f"{path}/net")
    mx.model.FeedForward.load(f"{path}/net", 1)


def rnn_unroll(_):
    steps = [mx.sym.Variable("a"), mx.sym.Variable("b")]
    assert len(mx.rnn.rnn_unroll(mx.rnn.RNNCell(3), 2, inputs=steps)[0]) == 2


def profile(path):
    mx.profiler.profiler_set_config(filename=f"{path}/profile.json")
    mx.profiler.profiler_set_state("run")
    mx.nd.ones((2,)).asnumpy()
    mx.profiler.profiler_set_state("stop")
    mx.profiler.dump_profile()


def default_context(_):
    with mx.cpu(1):
        assert mx.Context.default_ctx == mx.cpu(1)


FEEDFORWARD = "mxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead."
DEFAULT = (
    "Context.default_ctx has been deprecated. Please use Context.current_context() instead. Please use"
    " test_utils.set_default_context to set a default context"
)
TOLD = {
    feedforward: [(DeprecationWarning, FEEDFORWARD)] * 2,
    rnn_unroll: [(UserWarning, "rnn_unroll is deprecated. Please call cell.unroll directly.")],
    profile: [
        (UserWarning, f"profiler.{old}() is deprecated. Please use profiler.{new}() instead")
        for old, new in (
            ("profiler_set_config", "set_config"),
            ("profiler_set_state", "set_state"),
            ("profiler_set_state", "set_state"),
            ("dump_profile", "dump"),
        )
    ],
    default_context: [(DeprecationWarning, DEFAULT)],
    block_files: [
        (UserWarning, "save_params is deprecated. Please use save_parameters."),
        (UserWarning, "load_params is deprecated. Please use load_parameters."),
    ],
}


@pytest.mark.parametrize("use", TOLD, ids=lambda f: f.__name__)
def test_warns_as_1_9_1_does_and_works(use, tmp_path):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        use(tmp_path)
    assert [(w.category, str(w.message)) for w in found] == TOLD[use]
    assert {w.filename for w in found} <= {__file__, mx.model.FeedForward.load.__code__.co_filename}


def test_old_ways_to_get_loggers_and_operators_warn():
    with pytest.warns(DeprecationWarning, match="getLogger is deprecated, Use get_logger instead"):
        assert mx.log.getLogger("deprecated names").name == "deprecated names"
    for kind in (Doubled, Copied):
        with pytest.warns(UserWarning, match="Please use CustomOp") as found:
            kind()
        base = kind.__mro__[1].__name__
        wanted = {f"{n} has been deprecated. Please use CustomOp" for n in ("PythonOp", base)}
        assert {str(w.message) for w in found} == wanted
