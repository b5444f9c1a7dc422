"""`mx.rnn`: recurrent cells on symbols.

>>> from evergraph.mxnet import rnn, sym
>>> outputs, states = rnn.LSTMCell(8, prefix="l_").unroll(3, sym.Variable("data"), merge_outputs=True)
>>> outputs.infer_shape(data=(2, 3, 4))[1]
[(2, 3, 8)]
"""

from evergraph.mxnet.rnn.cells import BaseRNNCell, GRUCell, LSTMCell, RNNCell, RNNParams
from evergraph.mxnet.rnn.combined import (
    BidirectionalCell,
    DropoutCell,
    ModifierCell,
    ResidualCell,
    SequentialRNNCell,
    ZoneoutCell,
)
from evergraph.mxnet.rnn.fused import FusedRNNCell

__all__ = [
    "BaseRNNCell",
    "BidirectionalCell",
    "DropoutCell",
    "FusedRNNCell",
    "GRUCell",
    "LSTMCell",
    "ModifierCell",
    "RNNCell",
    "RNNParams",
    "ResidualCell",
    "SequentialRNNCell",
    "ZoneoutCell",
]
