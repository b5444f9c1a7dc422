"""A language model of two LSTM layers learns a short text, sentence by sentence, in buckets of like lengths.

python examples/lstm_text.py [--plot curve.png]
"""

import logging
import random

import numpy as np
from curve import Curve, arguments, finish

import evergraph.mxnet as mx

BATCH, BUCKETS, EMBEDDED, HIDDEN, LAYERS = 8, [6, 9, 12, 16], 48, 96, 2

TEXT = """
the keeper of the old lighthouse woke before the sun
he lit the stove and put the kettle on
then he climbed the stairs to the lamp
there were two hundred and twelve stairs and he knew each of them
the lamp was cold and the glass was wet with the breath of the sea
he wiped the glass until it was clear
he wound the clock until it was full
then he looked out over the grey water
no ship was there
no bird was there
only the wind went over the water as it always had
the keeper wrote it all down in his book
the wind from the west and the glass was clear
no ship was there he wrote and closed the book
below him the kettle began to sing
he went down the stairs and drank his tea
in the afternoon a boat came over the water
in the boat there was a girl with a yellow hat
she tied the boat to the iron ring and climbed the rocks
are you the keeper of the lighthouse she asked
i am the keeper he said
my father was the keeper and his father too
i have brought you a letter she said
the keeper wiped his hands and took the letter
he read it once and he read it again
they will send a machine he said
the machine will light the lamp and wind the clock
the machine will wipe the glass and write the book
and what will the machine drink asked the girl
the keeper looked at her and began to laugh
no machine will climb the stairs and know each of them he said
then they sat on the rocks and drank their tea
the sun went down and the water was red
the keeper climbed the stairs to the lamp and the girl came too
he lit the lamp and the light went out over the water
it is for the ships said the keeper
but no ship is there said the girl
the light is for the ship that is not there yet said the keeper
the girl wrote it all down in his book
the wind from the west she wrote and the light was clear
"""


def sentences():
    """The text as lists of numbers, and how many words there are; 0 fills up."""
    lines = [line.split() for line in TEXT.strip().split("\n")]
    numbers, vocabulary = mx.rnn.encode_sentences(lines, start_label=1, invalid_label=0)
    return numbers, len(vocabulary) + 1


def network(words):
    """The function that gives the network for a bucket."""
    stack = mx.rnn.SequentialRNNCell()
    for i in range(LAYERS):
        stack.add(mx.rnn.LSTMCell(num_hidden=HIDDEN, prefix=f"lstm_l{i}_"))

    def of_length(length):
        data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
        net = mx.sym.Embedding(data, input_dim=words, output_dim=EMBEDDED, name="embed")
        stack.reset()
        net, _ = stack.unroll(length, inputs=net, merge_outputs=True)
        net = mx.sym.FullyConnected(mx.sym.Reshape(net, shape=(-1, HIDDEN)), num_hidden=words, name="pred")
        label = mx.sym.Reshape(label, shape=(-1,))
        net = mx.sym.SoftmaxOutput(net, label, use_ignore=True, ignore_label=0, normalization="valid", name="softmax")
        return net, ("data",), ("softmax_label",)

    return of_length


def main():
    """Train; the perplexity begins near the number of words, and 1 would be to know the text by heart."""
    args = arguments(__doc__)
    logging.basicConfig(level=logging.INFO)
    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)
    numbers, words = sentences()
    train = mx.rnn.BucketSentenceIter(numbers, BATCH, buckets=BUCKETS, invalid_label=0)
    curve = Curve("perplexity")
    module = mx.mod.BucketingModule(network(words), default_bucket_key=train.default_bucket_key, context=mx.cpu())
    module.fit(
        train,
        eval_metric=mx.metric.Perplexity(0),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.01, "rescale_grad": 1.0, "clip_gradient": 1.0},
        initializer=mx.init.Xavier(factor_type="in", magnitude=2.34),
        batch_end_callback=curve.of("perplexity"),
        num_epoch=40,
    )
    train.reset()
    perplexity = dict(module.score(train, mx.metric.Perplexity(0)))["perplexity"]
    print(f"words: {words}")
    finish(args, curve, "perplexity", perplexity, 3, falls=True)


if __name__ == "__main__":
    main()
