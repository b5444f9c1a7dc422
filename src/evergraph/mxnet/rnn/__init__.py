"""`mx.rnn`: recurrent cells on symbols.

>>> from evergraph.mxnet import rnn, sym
>>> outputs, states = rnn.LSTMCell(8, prefix="l_").unroll(3, sym.Variable("data"), merge_outputs=True)
>>> outputs.infer_shape(data=(2, 3, 4))[1]
[(2, 3, 8)]
"""

from evergraph.mxnet.rnn import io, rnn, rnn_cell
from evergraph.mxnet.rnn.cells import BaseRNNCell, GRUCell, LSTMCell, RNNCell, RNNParams
from evergraph.mxnet.rnn.checkpoints import do_rnn_checkpoint, load_rnn_checkpoint, rnn_unroll, save_rnn_checkpoint
from evergraph.mxnet.rnn.combined import (
    BidirectionalCell,
    DropoutCell,
    ModifierCell,
    ResidualCell,
    SequentialRNNCell,
    ZoneoutCell,
)
from evergraph.mxnet.rnn.convolutional import BaseConvRNNCell, ConvGRUCell, ConvLSTMCell, ConvRNNCell
from evergraph.mxnet.rnn.fused import FusedRNNCell
from evergraph.mxnet.rnn.sentences import BucketSentenceIter, encode_sentences

__all__ = [
    "BaseConvRNNCell",
    "BaseRNNCell",
    "BidirectionalCell",
    "BucketSentenceIter",
    "ConvGRUCell",
    "ConvLSTMCell",
    "ConvRNNCell",
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
    "do_rnn_checkpoint",
    "encode_sentences",
    "io",
    "load_rnn_checkpoint",
    "rnn",
    "rnn_cell",
    "rnn_unroll",
    "save_rnn_checkpoint",
]
