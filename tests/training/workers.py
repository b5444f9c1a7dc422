"""A training in several processes, as torchrun starts it: `workers.py FOLDER OUT KILLED AT EPOCHS [sharded] [changes]`.

Process KILLED is killed by SIGKILL after AT batches; 0 batches is never. Where torchrun starts the job again after
that, lists such as 1,0 and 3,2 say it for each start.
"""

import os
import signal
import sys

import numpy as np

import evergraph.mxnet as mx


def network():
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=8, name="fc1")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Dropout(mx.sym.Activation(net, act_type="relu"), p=0.25)
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def main(folder, out, killed, at, epochs, *rest):
    store = mx.kv.create("dist_sync")
    rng = np.random.default_rng(0)
    rows, classes = rng.normal(size=(48, 5)).astype("f"), rng.integers(0, 3, 48).astype("f")
    mine = slice(store.rank, None, store.num_workers)
    mx.random.seed(store.rank)
    np.random.seed(store.rank)
    count, starts = [0], int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    die, when = ([*map(int, text.split(",")), 0, 0][starts] for text in (killed, at))

    def after(_):
        count[0] += 1
        if count[0] == when and store.rank == die:
            os.kill(os.getpid(), signal.SIGKILL)

    module = mx.mod.Module(network())
    module.fit(
        mx.io.NDArrayIter(rows[mine], classes[mine], 4, shuffle=True),
        num_epoch=int(epochs),
        kvstore=store,
        optimizer="adam",
        optimizer_params={"learning_rate": 0.02},
        initializer=mx.init.Xavier(),
        batch_end_callback=after,
        checkpoint=mx.callback.TrainingCheckpoint(
            folder, batches=2, sharded="sharded" in rest, changes="changes" in rest, on_sigterm="notice" in rest
        ),
    )
    args, auxs = module.get_params()
    found = {**{f"arg:{k}": v.asnumpy() for k, v in args.items()}, **{f"aux:{k}": v.asnumpy() for k, v in auxs.items()}}
    found["starts"] = np.array(starts)
    np.savez(f"{out}-{store.rank}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
