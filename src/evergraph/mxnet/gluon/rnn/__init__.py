"""`mx.gluon.rnn`: recurrent layers."""

from evergraph.mxnet.gluon.rnn.rnn_layer import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
