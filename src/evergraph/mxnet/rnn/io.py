"""`mx.rnn.io`: batches of sentences, by the module's old name."""

from evergraph.mxnet.rnn.sentences import BucketSentenceIter, encode_sentences

__all__ = ["BucketSentenceIter", "encode_sentences"]
