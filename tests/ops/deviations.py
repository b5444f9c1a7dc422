"""Recorded cases that are not followed, each with its reason. The documentation's table is made from this."""

_UNSIZED = (
    "MXNet's executor lays out the output before its size is known, and recorded none of its values. The values of an "
    "immediate call are given, as tests/ops/test_numpy_sized_by_values.py holds them."
)

DEVIATIONS: dict[str, str] = {
    "_npi_bincount__0": _UNSIZED,
    "_npi_bincount__1": _UNSIZED,
    "_npi_delete__0": _UNSIZED,
    "_npi_unique__0": _UNSIZED,
    "_npi_unique__1": _UNSIZED,
    "_npx_nonzero__0": _UNSIZED,
}

# what random cases beside MXNet 1.9.1 showed that is kept apart, or that has no value to follow
KEPT: tuple[tuple[str, str, str], ...] = (
    (
        "`_contrib_SyncBatchNorm` and `LeakyReLU` with rrelu in inference, `_adamw_update` with a scale of 0 or NaN",
        "mean and variance are given, and the slopes; the weight is given as it was",
        "MXNet leaves these outputs unwritten (`_contrib_SyncBatchNorm`, the mask of rrelu, the updated weight).",
    ),
    (
        "`ROIAlign` with a region of number -1",
        "its outputs are 0, and no other",
        "MXNet writes one 0, over a value of the first region.",
    ),
    (
        "`GridGenerator` and `SpatialTransformer` with a side of 1 in target_shape",
        "the position is -1",
        "MXNet divides by 0 and gives NaN for the whole row.",
    ),
    (
        "`LeakyReLU` with prelu in a graph, behind another operator",
        "the gradient of the slopes",
        "MXNet 1.9.1 sums it from what it has already overwritten, the head gradient times the slopes (1.0 does not).",
    ),
    (
        "`Pooling`, averages in three dimensions under the full convention, of windows beyond the padded data",
        "0, as in one and two dimensions",
        "MXNet divides 0 by 0 there.",
    ),
    (
        "`Deconvolution` with stride and dilate above 1 on one axis, gradients of data in `Convolution_v1` with both",
        "the transposed convolution",
        "MXNet's loop over the patches leaves out and misplaces terms.",
    ),
    (
        "`RNN`, rnn_tanh and rnn_relu with three or more layers in float64 (until 1.5 float32 and gru too)",
        "the gradient of the inner layers' input weights",
        "MXNet's own kernel takes the wrong layer's input; oneDNN's, for float32, does not.",
    ),
    (
        "`gather_nd` with negative indices",
        "the gradient goes where the value came from",
        "MXNet writes it to other places, some outside the array.",
    ),
    (
        "`_unravel_index` of arrays with two or more axes",
        "one coordinate for each number, in the input's shape",
        "MXNet gives as many columns as the first axis is long, and numbers beyond the shape.",
    ),
    (
        "`argsort`, `sort` and `topk` with equal values in rows longer than 16",
        "the first of equals comes first",
        "MXNet's order of equals follows the steps of the C++ library's sort.",
    ),
    (
        "`norm` of integers",
        "the root of the sum of squares, cut",
        "MXNet scales the sum in integers, and loses their fractions at each step.",
    ),
    (
        "`nansum` of infinite values; gradients at NaN of `relu`, `maximum` and `minimum`",
        "infinite; passed on as they are",
        "MXNet's compensated sum gives NaN; its gradient there is NaN (relu) or 0.",
    ),
    (
        "`_npi_norm` with matrices that are not on the last axes",
        "the gradient of each matrix",
        "MXNet mixes the axes up in its gradient.",
    ),
    (
        "`_linalg_det` and `_linalg_slogdet` of a single matrix under NumPy's shapes",
        "one value, of shape (1,)",
        "MXNet gives shape () there, and (1,) otherwise.",
    ),
    (
        "int8 convolutions and products whose pairs of terms leave sixteen bits",
        "the exact sum",
        "oneDNN saturates each pair on processors without VNNI instructions.",
    ),
    (
        "`_contrib_quantized_conv` of int8 data with a bias",
        "the bias is brought to the scale of the sums, as on MXNet's GPUs",
        "MXNet takes only uint8 data on a CPU, and adds their bias as it is; that is done here too.",
    ),
    (
        "`Cast` to an integer type, arrays of integers with a gradient",
        "no gradient passes; an array of integers cannot start a backward pass",
        "MXNet passes gradients on, cut to whole numbers.",
    ),
    (
        "integer division by 0 in `_rdiv_scalar`, `_mod` and their like",
        "an error that names it",
        "MXNet's process ends, or the value is undefined.",
    ),
    (
        "inputs that 1.9.1 refuses on a CPU: float16 and float64 in some layers, NHWC, integers in `Pad`, more axes",
        "a result",
        "What the operator means is known; MXNet's GPU kernels, or later releases, take them.",
    ),
    (
        "functions of `mx.nd` and `mx.sym` with arrays or symbols of `mx.np`",
        "a result of `mx.np`; [the page on NumPy's semantics](numpy.md) lists what follows from it",
        "MXNet raises a TypeError.",
    ),
)

# where a release gave other values for the same graph, and 1.9.1's are given
CHANGED: tuple[tuple[str, str], ...] = (
    ("`Pooling` with global_pool and pad", "until 1.0 the padding moved the window off the last rows."),
    ("`Convolution` with two different dilations", "0.9 exchanged them in places."),
    (
        "`MultiBoxPrior`",
        "until 0.11 boxes did not follow the map's aspect; until 1.3 sizes did not have the first ratio.",
    ),
    ("`MultiBoxDetection` with nms_topk", "until 1.0 boxes beyond nms_topk were kept."),
    ("`BilinearSampler`, `SpatialTransformer`", "0.9 read positions outside the image at its edge."),
    ("`SoftmaxOutput` with out_grad", "until 1.3 not all its forms multiplied by the head gradient."),
    ("`take` with mode wrap", "until 1.5 its gradient did not wrap around."),
    ("`PSROIPooling`, `DeformablePSROIPooling`", "until 1.3 a CPU left their outputs unwritten."),
    ("`norm`", "until 1.0 it had no axes, and gave one number."),
)
