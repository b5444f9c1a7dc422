"""Layers whose meaning the recorded cases do not show: shapes told backwards, CTC, binary networks, names."""

import math

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.run import Run


def call(name, *tensors, run=None, **parameters):
    op = ops.get(name)
    p = op.parse({k: str(v) for k, v in parameters.items()})
    extra = {"run": run or Run()} if op.wants_run else {}
    return op.body(*op.arrange(p, tensors), **p, **extra)


def gradient(tensor):
    assert tensor.grad is not None
    return tensor.grad


def shapes(name, *inputs, outputs=None, **parameters):
    op = ops.get(name)
    p = op.parse({k: str(v) for k, v in parameters.items()})
    given = list(inputs) + [None] * (len(op.input_names(p, len(inputs))) - len(inputs))
    return op.infer_shapes(p, given, outputs or [None] * len(op.output_names(p)))


def test_batch_sizes_come_back_from_outputs():
    ins, outs = shapes("FullyConnected", (None, 8), outputs=[(32, None)], num_hidden=4)
    assert ins == [(32, 8), (4, 8), (4,)]
    assert outs == [(32, 4)]
    kernel = {"kernel": (3, 3), "num_filter": 4}
    assert shapes("Convolution", (None, 2, 8, 8), outputs=[(32, None, None, None)], **kernel)[0][0] == (32, 2, 8, 8)
    assert shapes("Embedding", None, outputs=[(5, 7, 3)], input_dim=9, output_dim=3)[0] == [(5, 7), (9, 3)]


def test_layers_tell_the_shapes_of_their_parameters():
    assert shapes("Deconvolution", (1, 6, 4, 4), kernel=(3, 3), num_filter=4, num_group=2)[0][1] == (6, 2, 3, 3)
    assert shapes("Convolution", (1, 4, 4, 6), kernel=(3, 3), num_filter=4, layout="NHWC", no_bias=True)[0][1] == (
        4,
        3,
        3,
        6,
    )
    assert shapes("LayerNorm", (2, 3, 4), axis=1)[0][1:] == [(3,), (3,)]
    recurrent = {"mode": "lstm", "state_size": 5, "num_layers": 2, "bidirectional": True, "state_outputs": True}
    ins, outs = shapes("RNN", (7, 2, 3), **recurrent)
    assert ins[1:] == [(4 * 5 * 2 * (3 + 5 + 2) + 4 * 5 * 2 * (10 + 5 + 2),), (4, 2, 5), (4, 2, 5)]
    assert outs == [(7, 2, 10), (4, 2, 5), (4, 2, 5)]
    assert shapes("UpSampling", (1, 3, 4, 4), None, scale=2, sample_type="bilinear", num_filter=3, num_args=2)[0][
        1
    ] == ((3, 1, 4, 4))


@pytest.mark.parametrize("pad", [1, 2])
def test_rejects_padding_that_leaves_nothing_of_a_transposed_convolution(pad):
    with pytest.raises(ShapeError, match="exceeds the output"):
        shapes("Deconvolution", (1, 6, 2, 2), kernel=(1, 1), pad=(pad, pad), num_filter=4)


def test_layers_at_the_end_tell_the_shape_of_their_labels():
    assert shapes("SoftmaxOutput", (4, 3))[0][1] == (4,)
    assert shapes("SoftmaxOutput", (4, 3, 2, 2), multi_output=True)[0][1] == (4, 4)
    assert shapes("SoftmaxOutput", (4, 3, 2), preserve_shape=True)[0][1] == (4, 3)
    assert shapes("LinearRegressionOutput", (4, 1))[0][1] == (4,)
    assert shapes("LogisticRegressionOutput", (4, 3))[0][1] == (4, 3)
    assert shapes("SVMOutput", (4, 3))[0][1] == (4,)


def test_inputs_of_upsampling_are_named_by_what_it_does():
    op = ops.get("UpSampling")
    nearest = op.parse({"scale": "2", "sample_type": "nearest", "num_args": "2"})
    bilinear = op.parse({"scale": "2", "sample_type": "bilinear", "num_args": "1", "num_filter": "3"})
    assert op.input_names(nearest) == ["arg0", "arg1"]
    assert op.input_names(bilinear) == ["data", "weight"]


def test_ctc_reads_labels_up_to_their_padding():
    data = torch.randn(9, 2, 5)
    first = torch.tensor([[1.0, 2.0, 0.0, 0.0], [3.0, 3.0, 4.0, 1.0]])
    explicit = call("CTCLoss", data, first, torch.tensor([2.0, 4.0]), use_label_lengths=True)
    assert torch.allclose(call("CTCLoss", data, first), explicit)
    last = call("CTCLoss", data.roll(-1, 2), torch.where(first == 0, -1.0, first - 1), blank_label="last")
    assert torch.allclose(last, explicit, atol=1e-5)


def test_ctc_rounds_labels_that_are_fractions():
    data = torch.from_numpy(np.random.RandomState(0).randn(12, 3, 6).astype("f4"))
    labels = torch.tensor([[0.81, 0.3, 0.5], [1.7, 2.2, 0.4], [0.2, 0.0, 0.0]])
    # what MXNet 1.9.1 gives
    for blank, wanted in (("first", [13.005837, 19.76711, 25.210258]), ("last", [15.667047, 17.862303, 15.554922])):
        assert torch.allclose(call("CTCLoss", data, labels, blank_label=blank), torch.tensor(wanted), rtol=1e-5)


def test_ctc_of_a_label_too_long_for_its_sequence_is_free():
    data = torch.randn(3, 1, 4, requires_grad=True)
    loss = call("CTCLoss", data, torch.tensor([[2.0, 2.0, 2.0]]))
    loss.sum().backward()
    assert loss.tolist() == [0]
    assert not gradient(data).any()


def test_warpctc_predicts_and_learns_as_the_loss_does():
    data, label = torch.randn(8, 2, 5, requires_grad=True), torch.tensor([[1, 0, 2], [3, 3, 0]], dtype=torch.int32)
    out = call("WarpCTC", data.reshape(16, 5), label.flatten(), label_length=3, input_length=8)
    assert torch.allclose(out, torch.softmax(data.detach().reshape(16, 5), 1))
    out.backward(torch.full_like(out, 7))
    plain = data.detach().clone().requires_grad_()
    # the blank within the first label stands for nothing
    call("CTCLoss", plain, torch.tensor([[1.0, 2.0, 0.0], [3.0, 3.0, 0.0]])).sum().backward()
    assert torch.allclose(gradient(data), gradient(plain), atol=1e-6)


def signs(x):
    return np.where(x >= 0, 1.0, -1.0)


def pack(flat, bits):
    weights = (flat.reshape(-1, bits) >= 0).astype(f"u{bits // 8}")
    words = (weights << np.arange(bits, dtype=f"u{bits // 8}")).sum(1, dtype=f"u{bits // 8}")
    return torch.from_numpy(words.view(f"f{bits // 8}"))


@pytest.mark.parametrize("bits", [32, 64])
def test_packed_binary_weights_give_what_full_ones_give(bits):
    rng = np.random.default_rng(1)
    data, weight = rng.normal(size=(2, 64, 5, 5)).astype("f4"), rng.normal(size=(3, 64, 3, 3)).astype("f4")
    options = {"kernel": (3, 3), "num_filter": 3, "pad": (1, 1)}
    full = call("QConvolution", torch.from_numpy(data), torch.from_numpy(weight), **options)
    padded = np.pad(data, ((0, 0), (0, 0), (1, 1), (1, 1)))
    plain = torch.conv2d(torch.from_numpy(signs(padded)), torch.from_numpy(signs(weight)))
    assert torch.equal(full, ((plain + 64 * 9) / 2).float())
    words = pack(weight.flatten(), bits)
    packed = call("QConvolution", torch.from_numpy(data), words, binarized_weights_only=True, **options)
    assert torch.equal(packed, full)
    rows, matrix = data[:, :, 0, 0], rng.normal(size=(4, 64)).astype("f4")
    full = call("QFullyConnected", torch.from_numpy(rows), torch.from_numpy(matrix), num_hidden=4)
    assert np.array_equal(full, (signs(rows) @ signs(matrix).T + 64) / 2)
    blocks = matrix.reshape(4, 64 // bits, bits).transpose(1, 0, 2)
    words = pack(np.ascontiguousarray(blocks).flatten(), bits)
    packed = call("QFullyConnected", torch.from_numpy(rows), words, num_hidden=4, binarized_weights_only=True)
    assert torch.equal(packed, full)


def test_binary_activation_passes_gradients_near_zero():
    x = torch.tensor([-2.0, -0.5, 0.0, 0.7, 1.5], requires_grad=True)
    out = call("QActivation", x)
    assert out.tolist() == [-1, -1, 1, 1, 1]
    out.sum().backward()
    assert gradient(x).tolist() == [0, 1, 1, 1, 0]
    assert call("QActivation", x, backward_only=True).tolist() == x.tolist()
    two = call("QActivation", torch.tensor([-1.0, 0.4, 0.5, 2.0]), act_bit=2)
    assert two.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_rejects_training_on_packed_weights():
    with pytest.raises(OperatorError, match="cannot be trained"):
        call(
            "QFullyConnected",
            torch.randn(1, 32),
            torch.zeros(4),
            run=Run(training=True),
            num_hidden=4,
            binarized_weights_only=True,
        )


def test_binary_layers_train_on_their_signs():
    data, weight = torch.randn(2, 8, requires_grad=True), torch.randn(3, 8, requires_grad=True)
    before = weight.detach().clone()
    out = call("QFullyConnected", data, weight, run=Run(training=True), num_hidden=3)
    assert torch.equal(weight.detach(), torch.where(before >= 0, 1.0, -1.0))
    out.sum().backward()
    assert torch.equal(gradient(weight), torch.where(data >= 0, 1.0, -1.0).sum(0).expand(3, 8))
    assert torch.equal(gradient(data), weight.detach().sum(0).expand(2, 8))


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [
        ("ROIPooling", [(1, 2, 6, 6), (3, 5)], {"pooled_size": (2, 2), "spatial_scale": 0.5}),
        ("BatchNorm", [(2, 3, 4), (3,), (3,), (3,), (3,)], {}),
        ("Pooling", [(1, 2, 7, 7)], {"kernel": (3, 3), "stride": (2, 2), "pooling_convention": "full"}),
        ("SpatialTransformer", [(2, 2, 5, 5), (2, 6)], {"transform_type": "affine", "sampler_type": "bilinear"}),
        (
            "_contrib_DeformableConvolution",
            [(1, 2, 5, 5), (1, 18, 3, 3), (2, 2, 3, 3), (2,)],
            {"kernel": (3, 3), "num_filter": 2},
        ),
    ],
)
def test_layers_can_be_exported(name, tensors, parameters):
    class Layer(torch.nn.Module):
        def forward(self, *inputs):
            return call(name, *inputs, **parameters)

    inputs = tuple(torch.rand(s) for s in tensors)
    if name == "ROIPooling":
        inputs = (inputs[0], torch.tensor([[0.0, 0, 0, 8, 8], [0, 2, 2, 11, 6], [0, 5, 5, 4, 4]]))
    want = call(name, *(i.clone() for i in inputs), **parameters)
    with torch.no_grad():
        exported = torch.export.export(Layer(), inputs)
    assert torch.allclose(exported.module()(*inputs), want, atol=1e-6)


def test_windows_of_a_pool_may_lie_in_its_padding():
    x = torch.arange(5.0).reshape(1, 1, 5)
    options = {"kernel": (1,), "stride": (4,), "pad": (1,), "pool_type": "avg"}
    assert call("Pooling", x, pooling_convention="full", **options).flatten().tolist() == [0, 3, 0]
    assert call("Pooling", x, kernel=(2,), stride=(2,), pooling_convention="same").flatten().tolist() == [1, 3, 4]


def test_half_precision_layers_keep_their_type():
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.rand(1, 3, 4, 4, 4, dtype=dtype)
        assert call("Pooling", x, kernel=(2, 2, 2), pool_type="avg").dtype == dtype
        assert call("LRN", x[:, :, 0], nsize=3).dtype == dtype
        assert call("CTCLoss", x[0, :, :, :, 0], torch.tensor([[1.0], [2.0], [1.0], [1.0]])).dtype == dtype
        assert math.isfinite(call("softmax_cross_entropy", x[0, :, 0, 0], torch.zeros(3)).item())


@pytest.mark.parametrize("channels", [1, 4, 6, 12, 16])
def test_strided_kernels_of_one_pixel_learn_in_either_memory_order(channels):
    # PyTorch 2.13 by itself corrupts memory where channels stand last and fill no vector
    rng = torch.Generator().manual_seed(channels)
    values = torch.randn(2, channels, 8, 8, generator=rng), torch.randn(4, channels, 1, 1, generator=rng)
    found, y = [], values[0]
    for order in (torch.contiguous_format, torch.channels_last):
        data, weight = (v.clone(memory_format=order).requires_grad_() for v in values)
        for _ in range(20):  # what is corrupted shows when it is freed
            y = call("Convolution", data, weight, kernel=(1, 1), stride=(2, 2), num_filter=4, no_bias=True)
            data.grad = weight.grad = None
            y.square().sum().backward()
        found.append((y, gradient(data), gradient(weight)))
    for plain, last in zip(*found, strict=True):
        torch.testing.assert_close(last, plain)


# PyTorch 2.13 by itself crashes, or corrupts memory, where the channels of these stand last
_FRAGILE = {
    "dilated kernel of one pixel, wide": ("Convolution", (2, 17, 13, 1), (16, 17, 1, 1), (1, 3), (0, 2), (1, 2), 1),
    "dilated kernel of one column": ("Convolution", (2, 3, 7, 1), (16, 3, 5, 1), (3, 3), (2, 2), (1, 2), 1),
    "transposed, one pixel": ("Deconvolution", (4, 8, 4, 14), (8, 5, 1, 1), (3, 4), (0, 0), (1, 1), 1),
    "transposed, groups": ("Deconvolution", (8, 12, 5, 11), (12, 1, 3, 7), (2, 1), (3, 0), (1, 1), 3),
    "transposed, one channel": ("Deconvolution", (3, 1, 8, 2), (1, 2, 1, 1), (2, 1), (0, 0), (1, 1), 1),
}


@pytest.mark.parametrize("case", _FRAGILE)
def test_odd_kernels_learn_in_either_memory_order(case):
    name, shape, kernel, stride, pad, dilate, groups = _FRAGILE[case]
    filters = kernel[0] if name == "Convolution" else kernel[1] * groups
    options = {"kernel": kernel[2:], "stride": stride, "pad": pad, "dilate": dilate, "num_group": groups}
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=rng), torch.randn(kernel, generator=rng)
    found, y = [], values[0]
    for order in (torch.contiguous_format, torch.channels_last):
        data, weight = (v.clone().to(memory_format=order).requires_grad_() for v in values)
        for _ in range(20):
            y = call(name, data, weight, num_filter=filters, no_bias=True, **options)
            data.grad = weight.grad = None
            y.square().sum().backward()
        found.append((y, gradient(data), gradient(weight)))
    for plain, last in zip(*found, strict=True):
        torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)
