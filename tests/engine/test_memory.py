"""Memory between training steps: what one step frees, the next one gets without asking the system."""

import resource

import pytest
import torch

import evergraph.mxnet as mx
from evergraph.engine.memory import keep_freed_memory

BLOCKS, BLOCK = 32, 1 << 20


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_freed_memory_is_not_asked_for_again():
    if not keep_freed_memory():
        pytest.skip("another C library, or the environment says how it allocates")
    asked = 0
    for _ in range(2):
        before = faults()
        blocks = [torch.ones(BLOCK // 4) for _ in range(BLOCKS)]
        asked = faults() - before
        del blocks
    assert asked < BLOCKS * BLOCK // resource.getpagesize() // 4


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_environment_decides_how_memory_is_allocated(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert keep_freed_memory.__wrapped__() is False


def test_training_on_a_cpu_keeps_freed_memory(monkeypatch):
    seen = []
    monkeypatch.setattr("evergraph.engine.executor.keep_freed_memory", lambda: seen.append("executor"))
    monkeypatch.setattr("evergraph.mxnet.gluon.cached.keep_freed_memory", lambda: seen.append("block"))
    run = (mx.sym.Variable("x") * 2).simple_bind(mx.cpu(), x=(1,))
    block = mx.gluon.nn.Dense(1)
    block.initialize()
    block.hybridize()
    run.forward()
    block(mx.nd.ones((1, 1)))
    assert not seen
    run.forward(is_train=True)
    with mx.autograd.record():
        block(mx.nd.ones((1, 1)))
    assert seen == ["executor", "block"]
