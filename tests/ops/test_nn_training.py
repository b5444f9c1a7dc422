"""Layers that behave differently in training: batch statistics, dropout, random slopes, sparse gradients."""

import concurrent.futures
import threading

import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.nn import batch_norm
from evergraph.ops.run import Run


def run(name, *tensors, training=False, run=None, **parameters):
    op = ops.get(name)
    p = op.parse({k: str(v) for k, v in parameters.items()})
    extra = {"run": run or Run(training=training)} if op.wants_run else {}
    return op.body(*op.arrange(p, tensors), **p, **extra)


def gradient(tensor):
    assert tensor.grad is not None
    return tensor.grad


def batch_norm_inputs(channels=3):
    ones = torch.ones(channels)
    return torch.randn(4, channels, 5), ones.clone(), torch.zeros(channels), torch.zeros(channels), ones.clone()


def test_fixed_gamma_is_overwritten_in_inference_too():
    data, gamma, beta, mean, var = batch_norm_inputs()
    gamma.fill_(7)
    out = run("BatchNorm", data, gamma, beta, mean, var)
    assert gamma.tolist() == [1, 1, 1]
    assert torch.allclose(out, data / (1 + 0.0010000000474974513) ** 0.5)


def test_moving_statistics_stay_until_the_backward_pass():
    data, gamma, beta, mean, var = batch_norm_inputs()
    data.requires_grad_()
    out = run("BatchNorm", data, gamma, beta, mean, var, training=True, momentum=0.5)
    assert mean.tolist() == [0, 0, 0]
    out.sum().backward()
    assert torch.allclose(mean, 0.5 * data.detach().mean((0, 2)))
    assert torch.allclose(var, 0.5 + 0.5 * data.detach().var((0, 2), correction=0))


def test_layers_that_share_states_each_move_them():
    data, gamma, beta, mean, var = batch_norm_inputs()
    data.requires_grad_()
    for x in (data, data + 1):
        run("BatchNorm", x, gamma, beta, mean, var, training=True, momentum=0.5).sum().backward(retain_graph=True)
    both = [data.detach().mean((0, 2)), data.detach().mean((0, 2)) + 1]
    assert torch.allclose(mean, 0.25 * both[0] + 0.5 * both[1])


def test_two_layers_share_one_fixed_gamma_in_training():
    data, gamma, beta, mean, var = batch_norm_inputs()
    gamma.requires_grad_()
    data.requires_grad_()
    first = run("BatchNorm", data, gamma, beta, mean, var, training=True)
    run("BatchNorm", first, gamma, beta, mean, var, training=True).sum().backward()
    assert gamma.grad is None or not gamma.grad.any()


class Together:
    """Adds up what as many threads as there are parts bring, in place of processes."""

    def __init__(self, parts):
        self.barrier, self.brought = threading.Barrier(parts), [torch.empty(0)] * parts
        self.mine = threading.local()

    def __call__(self, x):
        self.brought[self.mine.rank] = x.detach().clone()
        self.barrier.wait(60)
        total = torch.stack(self.brought).sum(0)
        self.barrier.wait(60)
        return total


def test_processes_share_the_statistics_of_their_batches(monkeypatch):
    x, head = torch.randn(2, 4, 3, 5)
    together = Together(2)
    monkeypatch.setattr(batch_norm, "_processes", lambda: 2)
    monkeypatch.setattr(batch_norm, "_over_processes", together)
    gamma, found = torch.tensor([1.0, 2.0, 3.0]), {}

    def work(rank):
        together.mine.rank = rank
        mine = x[rank * 2 : rank * 2 + 2].clone().requires_grad_()
        mean, var = torch.zeros(3), torch.ones(3)
        options = {"key": "k", "ndev": 2, "fix_gamma": False}
        out = run("_contrib_SyncBatchNorm", mine, gamma, torch.zeros(3), mean, var, training=True, **options)
        out.backward(head[rank * 2 : rank * 2 + 2])
        found[rank] = out.detach(), gradient(mine), mean, var

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    mean, var = torch.zeros(3), torch.ones(3)
    x.requires_grad_()
    out = run("BatchNorm", x, gamma, torch.zeros(3), mean, var, training=True, fix_gamma=False)
    out.backward(head)
    for i, whole in enumerate((out.detach(), gradient(x))):
        assert torch.allclose(torch.cat([found[0][i], found[1][i]]), whole, atol=1e-5)
    for part in found.values():
        assert torch.allclose(part[2], mean, atol=1e-6)
        assert torch.allclose(part[3], var, atol=1e-6)


def test_sums_over_processes_are_those_of_torch_s_group(tmp_path):
    assert batch_norm._processes() == 1
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        x = torch.randn(3, requires_grad=True)
        total = batch_norm._summed(x)
        total.backward(torch.tensor([1.0, 2.0, 3.0]))
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(total.detach(), x.detach())
    assert gradient(x).tolist() == [1, 2, 3]


def test_dropout_drops_its_share_and_scales_the_rest():
    out = run("Dropout", torch.ones(100, 100), training=True, p=0.3)
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1 / 0.7])
    assert out.eq(0).float().mean() == pytest.approx(0.3, abs=0.03)


def test_dropout_in_inference_changes_nothing_unless_always():
    x = torch.ones(50, 50)
    assert run("Dropout", x, p=0.5) is x
    assert run("Dropout", x, p=0.5, mode="always").eq(0).any()


def test_values_along_dropout_axes_share_their_fate():
    out = run("Dropout", torch.ones(6, 20, 5), training=True, p=0.5, axes="(2,)")
    assert torch.equal(out, out[:, :, :1].expand_as(out))
    assert out.eq(0).any()
    assert out.ne(0).any()


def test_dropout_follows_the_run_s_generator():
    def draw():
        generator = torch.Generator().manual_seed(3)
        return run("Dropout", torch.ones(64), run=Run(training=True, generators={"cpu": generator}))

    assert torch.equal(draw(), draw())


def test_random_slopes_lie_between_their_bounds_and_are_their_mean_in_inference():
    x = -torch.ones(1000)
    out, slopes = run("LeakyReLU", x, training=True, act_type="rrelu", lower_bound=0.1, upper_bound=0.3)
    assert -0.3 <= out.min() < out.max() <= -0.1
    assert out.mean() == pytest.approx(-0.2, abs=0.01)
    assert torch.equal(out, -slopes)
    still, _ = run("LeakyReLU", x, act_type="rrelu", lower_bound=0.1, upper_bound=0.3)
    assert torch.allclose(still, torch.full_like(x, -0.2))


def test_embedding_gives_a_sparse_gradient_only_where_both_ask_for_it():
    rows = torch.tensor([2.0, 0.0, 2.0])
    for sparse_grad, allowed, sparse in ((True, True, True), (True, False, False), (False, True, False)):
        weight = torch.randn(4, 3, requires_grad=True)
        out = run(
            "Embedding",
            rows,
            weight,
            run=Run(training=True, sparse_gradients=allowed),
            input_dim=4,
            output_dim=3,
            sparse_grad=sparse_grad,
        )
        out.sum().backward()
        assert gradient(weight).is_sparse == sparse
        dense = gradient(weight).to_dense() if sparse else gradient(weight)
        assert dense.tolist() == [[1, 1, 1], [0, 0, 0], [2, 2, 2], [0, 0, 0]]


def test_rejects_what_no_layer_can_take():
    x = torch.randn(1, 2, 4, 4)
    with pytest.raises(ShapeError, match="adj"):
        run("Deconvolution", x, torch.randn(2, 1, 3, 3), kernel=(3, 3), num_filter=1, adj=(1, 1))
    with pytest.raises(ShapeError, match="target_shape"):
        run("Deconvolution", x, torch.randn(2, 1, 3, 3), kernel=(3, 3), num_filter=1, target_shape=(9, 9))
    with pytest.raises(ShapeError, match="Pooling"):
        run("Pooling", x, kernel=(7, 7))
    with pytest.raises(OperatorError, match="p_value"):
        run("Pooling", x, kernel=(2, 2), pool_type="lp", p_value=4)
    with pytest.raises(OperatorError, match="first two axes"):
        run("Pad", x, mode="edge", pad_width=(0, 0, 1, 1, 0, 0, 0, 0))
    with pytest.raises(ShapeError, match="Crop"):
        run("Crop", x, num_args=1, h_w=(5, 5))
    with pytest.raises(ShapeError, match="groups"):
        run("GroupNorm", x, torch.ones(3), torch.ones(3), num_groups=3)
    with pytest.raises(ShapeError, match="parameters of RNN"):
        run(
            "RNN",
            torch.randn(2, 1, 3),
            torch.randn(5),
            torch.zeros(1, 1, 2),
            mode="gru",
            state_size=2,
            num_layers=1,
        )
