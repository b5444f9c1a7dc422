"""Small runs of `Model.fit` with a callback, which MindSpore and evergraph make with the same values.

Imports neither: the program that records MindSpore's values uses it as the tests do.
"""

import numpy as np

FITS = [
    "EarlyStopping('eval_loss', patience=2)",
    "EarlyStopping('eval_loss')",
    "EarlyStopping('loss', patience=1, min_delta=0.1)",
    "EarlyStopping('mae', patience=1, restore_best_weights=True)",
    "EarlyStopping('mae', patience=2, mode='max')",
    "ReduceLROnPlateau('eval_loss', factor=0.5, patience=1)",
    "ReduceLROnPlateau('loss', factor=0.3, patience=1, cooldown=1, min_lr=0.05)",
    "ReduceLROnPlateau('mae', patience=0)",
    "LearningRateScheduler(lambda rate, step: rate * 0.9 if step % 2 == 0 else rate)",
    "LossMonitor(2)",
    "History()",
]


def fitted(ms, nn, train, ds, text, frequency):
    """For each epoch its number, metrics, learning rate and whether it is the last; at the end the weights."""
    x = np.random.RandomState(0).randn(24, 4).astype("f4")
    noise = np.random.RandomState(1).randn(24, 1)
    y = (x @ np.ones((4, 1), "f4") + 0.1 * noise).astype("f4")
    data = lambda: ds.NumpySlicesDataset((x, y), ["x", "y"], shuffle=False).batch(8)
    net = nn.Dense(4, 1)
    net.weight.set_data(ms.Tensor(np.full((1, 4), 0.5, "f4")))
    net.bias.set_data(ms.Tensor(np.zeros(1, "f4")))
    optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
    model = train.Model(net, nn.MSELoss(), optimizer, metrics={"loss", "mae"})
    rows = []

    class Noted(train.Callback):
        def on_train_epoch_end(self, run_context):
            told = run_context.original_args()
            found = {k: float(v) for k, v in sorted((told.get("eval_results") or {}).items())}
            rate = float(optimizer.learning_rate.asnumpy())
            rows.append([told.cur_epoch_num, found, rate, run_context.get_stop_requested()])

        def on_eval_end(self, run_context):
            rows.append(["eval", run_context.original_args().mode, run_context.original_args().batch_num])

    callbacks = [eval(f"train.{text}", {"train": train}), Noted()]
    model.fit(6, data(), data(), callbacks=callbacks, valid_frequency=frequency, dataset_sink_mode=False)
    return [*rows, net.weight.asnumpy().ravel().tolist()]
