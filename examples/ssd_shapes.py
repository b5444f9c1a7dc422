"""A single-shot detector learns to find squares and discs in images that are drawn here.

python examples/ssd_shapes.py [--plot curve.png]

Two layers see the image at two scales. Each place of a layer has three boxes of its own (MultiBoxPrior), which are
matched with what is in the image (MultiBoxTarget), classified, and moved (MultiBoxDetection).
"""

import logging

import numpy as np
from curve import Curve, arguments, finish

import evergraph.mxnet as mx

BATCH, SIDE, CLASSES, MOST = 16, 48, 2, 2
SIZES, RATIOS = ("(0.3, 0.4)", "(0.5, 0.65)"), "(1.0, 2.0)"


def drawn(number, seed):
    """Images (number, 3, 48, 48) and labels (number, 2, 5): class, left, top, right, bottom (0 to 1); -1 for none."""
    rng = np.random.RandomState(seed)
    images = rng.normal(0, 0.3, (number, 3, SIDE, SIDE))
    labels = -np.ones((number, MOST, 5))
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    for i in range(number):
        for k in range(rng.randint(1, MOST + 1)):
            kind, side = rng.randint(CLASSES), rng.uniform(0.28, 0.48) * SIDE
            half = SIDE / MOST  # each shape has its own half of the image: none hides another
            left = k * half + rng.uniform(0, half - side) if side < half else k * half
            top = rng.uniform(0, SIDE - side)
            across, down = (x - left) / side * 2 - 1, (y - top) / side * 2 - 1
            inside = across**2 + down**2 <= 1 if kind else np.maximum(abs(across), abs(down)) <= 1
            images[i] += inside * rng.choice([-1, 1]) * rng.uniform(1, 2, (3, 1, 1))
            labels[i, k] = [kind, left / SIDE, top / SIDE, (left + side) / SIDE, (top + side) / SIDE]
    return images.astype("float32"), labels.astype("float32")


def stage(data, filters, name):
    """A convolution with batch normalisation, and half the size."""
    data = mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=name)
    data = mx.sym.Activation(mx.sym.BatchNorm(data, fix_gamma=False, name=name + "_bn"), act_type="relu")
    return mx.sym.Pooling(data, kernel=(2, 2), stride=(2, 2), pool_type="max")


def head(data, filters, name):
    """What a layer says of its boxes: a row for each box."""
    found = mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=filters, name=name)
    return mx.sym.Flatten(mx.sym.transpose(found, axes=(0, 2, 3, 1)))


def detector():
    """The network: class probabilities, loss of places, targets and detections."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((16, 32)):
        net = stage(net, filters, f"body{i}")
    layers = []
    for i in range(2):
        net = stage(net, 64, f"scale{i}")
        layers.append(net)
    boxes = 3  # as many as sizes and ratios, less one
    classes = [head(x, boxes * (CLASSES + 1), f"class{i}") for i, x in enumerate(layers)]
    places = [head(x, boxes * 4, f"place{i}") for i, x in enumerate(layers)]
    priors = [mx.sym.contrib.MultiBoxPrior(x, sizes=s, ratios=RATIOS) for x, s in zip(layers, SIZES)]  # noqa: B905 - old Pythons too
    classes = mx.sym.Reshape(mx.sym.Concat(*classes, dim=1), shape=(0, -1, CLASSES + 1))
    classes = mx.sym.transpose(classes, axes=(0, 2, 1))
    places = mx.sym.Concat(*places, dim=1)
    priors = mx.sym.Concat(*[mx.sym.Reshape(p, shape=(0, -1, 4)) for p in priors], dim=1)
    target, mask, wanted = mx.sym.contrib.MultiBoxTarget(
        priors, mx.sym.Variable("label"), classes, overlap_threshold=0.5, negative_mining_ratio=3, ignore_label=-1,
        negative_mining_thresh=0.5, minimum_negative_samples=0, variances=(0.1, 0.1, 0.2, 0.2), name="target"
    )  # fmt: skip
    likely = mx.sym.SoftmaxOutput(
        classes, wanted, ignore_label=-1, use_ignore=True, multi_output=True, normalization="valid", name="likely"
    )
    away = mx.sym.smooth_l1(mask * (places - target), scalar=1.0)
    away = mx.sym.MakeLoss(away, normalization="valid", valid_thresh=1e-9, name="away")
    found = mx.sym.contrib.MultiBoxDetection(
        likely, places, priors, nms_threshold=0.45, variances=(0.1, 0.1, 0.2, 0.2), name="found"
    )
    rest = [mx.sym.MakeLoss(x, grad_scale=0, name=name) for x, name in ((wanted, "wanted"), (found, "detections"))]
    return mx.sym.Group([likely, away, *rest])


class Surprise(mx.metric.EvalMetric):
    """The mean negative logarithm of the probability of each box's class."""

    def __init__(self):
        super(Surprise, self).__init__("surprise", has_global_stats=True)  # noqa: UP008

    def update(self, labels, preds):
        """Take the outputs of a batch."""
        likely, wanted = preds[0].asnumpy(), preds[2].asnumpy().astype(int)
        chosen = np.take_along_axis(likely, np.maximum(wanted, 0)[:, None], 1)[:, 0]
        total, number = float(-np.log(np.maximum(chosen[wanted >= 0], 1e-8)).sum()), int((wanted >= 0).sum())
        self.sum_metric, self.num_inst = self.sum_metric + total, self.num_inst + number
        self.global_sum_metric, self.global_num_inst = self.global_sum_metric + total, self.global_num_inst + number


def overlap(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = max(sides[0], 0) * max(sides[1], 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def found_rightly(detections, labels):
    """The F1 score: detections above one half against shapes, right where class and at least half the place agree."""
    hits = claims = shapes = 0
    for rows, truth in zip(detections, labels):  # noqa: B905
        rows, left = rows[(rows[:, 0] >= 0) & (rows[:, 1] > 0.5)], [t for t in truth if t[0] >= 0]
        claims, shapes = claims + len(rows), shapes + len(left)
        for row in rows:
            hit = [i for i, t in enumerate(left) if t[0] == row[0] and overlap(row[2:], t[1:]) > 0.5]
            if hit:
                left.pop(hit[0])
                hits += 1
    return 2.0 * hits / (claims + shapes)


def main():
    """Train, and look for shapes in images that were never trained on."""
    args = arguments(__doc__)
    logging.basicConfig(level=logging.INFO)
    np.random.seed(0)
    mx.random.seed(0)
    train = mx.io.NDArrayIter(*drawn(640, 1), batch_size=BATCH, shuffle=True, label_name="label")
    images, labels = drawn(160, 2)
    test = mx.io.NDArrayIter(images, labels, batch_size=BATCH, label_name="label")
    curve = Curve("negative log likelihood")
    module = mx.mod.Module(detector(), data_names=["data"], label_names=["label"], context=mx.cpu())
    module.fit(
        train,
        eval_metric=Surprise(),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.004, "rescale_grad": 1.0},
        initializer=mx.init.Xavier(),
        batch_end_callback=curve.of("surprise"),
        num_epoch=6,
    )
    detections = module.predict(test)[3].asnumpy()
    finish(args, curve, "F1", found_rightly(detections, labels), 0.8)


if __name__ == "__main__":
    main()
