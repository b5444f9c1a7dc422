"""Gradients of batch normalisation do not depend on how axes of one element lie in memory."""

import pytest
import torch

import evergraph.mindspore as ms
import evergraph.mxnet as mx
from evergraph.ops.families.nn.strides import batch_norm

# shape, strides of the data, strides of the head gradient: those that PyTorch 2.13 by itself takes for another order
_ODD = {
    "gradient behind a sum over one image": ((1, 2, 3, 6), (36, 18, 6, 1), (3, 1, 12, 2)),
    "one image channels last": ((1, 16, 3, 2), (64, 1, 32, 16), (96, 6, 2, 1)),
    "both": ((1, 2, 3, 6), (1, 1, 12, 2), (1, 1, 12, 2)),
    "one column of a volume": ((2, 8, 1, 6, 2), (96, 12, 7, 2, 1), (96, 1, 64, 16, 8)),
    "usual, and no axis of one": ((2, 3, 4, 5), (60, 20, 5, 1), (60, 1, 15, 3)),
    "one row": ((4, 3, 1), (3, 1, 7), (3, 1, 1)),
}


def gradients(values, head, shape, training):
    channels = shape[1]
    data = values.requires_grad_()
    scale, shift = (torch.linspace(0.5, 1.5, channels).requires_grad_() for _ in range(2))
    out = batch_norm(data, scale, shift, torch.zeros(channels), torch.ones(channels), training, 0.1, 1e-3)
    return (out, *torch.autograd.grad(out, (data, scale, shift), head))


@pytest.mark.parametrize("training", [True, False], ids=["training", "fixed statistics"])
@pytest.mark.parametrize("case", _ODD)
def test_normalisation_learns_the_same_on_any_strides(case, training):
    shape, of_data, of_head = _ODD[case]
    rng = torch.Generator().manual_seed(0)
    values, head = (torch.randn(shape, generator=rng) for _ in range(2))
    odd = [torch.empty_strided(shape, s).copy_(v) for s, v in ((of_data, values), (of_head, head))]
    for found, usual in zip(
        gradients(odd[0], odd[1], shape, training), gradients(values, head, shape, training), strict=True
    ):
        torch.testing.assert_close(found, usual, rtol=1e-4, atol=1e-4)


def test_a_sum_over_one_image_changes_no_gradient():
    found = []
    for summed in (True, False):
        net = mx.sym.BatchNorm(mx.sym.Variable("data"), fix_gamma=False, name="n")
        net = mx.sym.sum(net, axis=0, keepdims=True) if summed else net
        net = mx.sym.Convolution(net, kernel=(3, 5), stride=(3, 3), num_filter=2, name="c")
        run = net.simple_bind(mx.cpu(), data=(1, 2, 14, 14), grad_req="write")
        rng = torch.Generator().manual_seed(0)
        for array in run.arg_dict.values():
            array[:] = torch.randn(array.shape, generator=rng).numpy()
        run.forward(is_train=True)
        run.backward([mx.nd.array(torch.randn(run.outputs[0].shape, generator=rng).numpy())])
        found.append({n: torch.from_numpy(g.asnumpy()) for n, g in run.grad_dict.items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-4)


def test_a_layer_of_mindspore_learns_the_same_behind_a_sum_over_one_image():
    values = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    head = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    layer = ms.nn.BatchNorm2d(2, use_batch_statistics=True)
    found = []
    for kept in (head, torch.empty_strided(head.shape, (3, 1, 12, 2)).copy_(head)):
        data = values.clone().requires_grad_()
        out = layer.construct(ms.Tensor(data))
        found.append(torch.autograd.grad(out._torch, data, kept)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
