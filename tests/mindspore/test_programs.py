"""What programs written for MindSpore import and call besides layers and operators."""

import importlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import evergraph.mindspore as ms
from evergraph.errors import ShapeError, UsageError
from evergraph.mindspore import Parameter, Tensor, amp, nn, ops
from evergraph.mindspore.dataset import transforms

# a line each, all of which MindSpore 2.10 or an older release runs
IMPORTS = """
from mindspore import Accuracy, Loss, MAE, Metric
from mindspore import Callback, CheckpointConfig, EarlyStopping, LossMonitor, ModelCheckpoint, RunContext, TimeMonitor
from mindspore import JitConfig, Model, SummaryCollector, export, jit, jit_class, load, ms_class, mutable
from mindspore import ParallelMode, amp, context
from mindspore import data_sink, lazy_inline, run_check, set_deterministic
from mindspore import log as logger
from mindspore import numpy
from mindspore.amp import DynamicLossScaler, all_finite, auto_mixed_precision
from mindspore.common.api import jit, ms_function
from mindspore.communication import get_group_size, get_rank, init
from mindspore.communication.management import get_group_size, get_rank, init
from mindspore.context import ParallelMode
from mindspore.dataset import config
from mindspore.dataset.core import config
from mindspore.dataset.vision.utils import Border, Inter
from mindspore.nn import DistributedGradReducer, LossBase, Metric, get_metric_fn
from mindspore.nn.layer.activation import ReLU, get_activation
from mindspore.nn.layer.basic import Dense, Flatten
from mindspore.nn.layer.conv import Conv2d
from mindspore.nn.layer.normalization import BatchNorm2d, _BatchNorm
from mindspore.nn.loss.loss import LossBase, SoftmaxCrossEntropyWithLogits
from mindspore.nn.metrics import Accuracy
from mindspore.nn.optim.rmsprop import RMSProp
from mindspore.nn.optim.sgd import SGD
from mindspore.nn.wrap.cell_wrapper import TrainOneStepCell, WithLossCell
from mindspore.nn.wrap.grad_reducer import DistributedGradReducer
from mindspore.nn.wrap.loss_scale import TrainOneStepWithLossScaleCell
from mindspore.ops import constexpr, function, partial
from mindspore.ops.functional import partial
from mindspore.ops.primitive import Primitive, constexpr
from mindspore.parallel._utils import _get_device_num, _get_gradients_mean, _get_parallel_mode
from mindspore.train import Model, amp
from mindspore.train.amp import auto_mixed_precision
from mindspore.train.callback._callback import Callback, RunContext
import mindspore.dataset.engine
import mindspore.nn.layer
import mindspore.numpy
""".strip().splitlines()


def test_programs_find_every_module_and_name(tmp_path):
    program = tmp_path / "imports.py"
    program.write_text("\n".join([*IMPORTS, "print('all')"]))
    done = subprocess.run(
        [sys.executable, "-m", "evergraph.mindspore", str(program)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("all\n", 0), done.stderr


def test_modules_are_found_under_the_faces_own_name_too():
    found = importlib.import_module("evergraph.mindspore.nn.layer.conv")
    assert found.Conv2d is nn.Conv2d
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("evergraph.mindspore.nothing")


def test_dynamic_scales_follow_mindspores_sequence():
    scaler = amp.DynamicLossScaler(4, 2, 2)
    seen = []
    for finite in (1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1):
        assert bool(scaler.adjust(Tensor(bool(finite))))
        seen.append((float(scaler.scale_value), int(scaler.counter)))
    wanted = [(4, 1), (8, 0), (8, 1), (4, 0), (4, 1), (2, 0), (1, 0), (1, 0), (1, 1), (2, 0), (2, 1), (4, 0)]
    assert seen == wanted
    assert float(scaler.scale(Tensor(2.0))) == 8
    assert [float(t) for t in scaler.unscale((Tensor(8.0), Tensor(4.0)))] == [2, 1]


def test_refuses_scales_and_levels_that_there_are_not():
    wrong: list[tuple[Any, ...]] = [(0, 2, 2), (4, 0, 2), (4, 2, 0), (4, 2, 1.5)]
    for numbers in wrong:
        with pytest.raises(UsageError):
            amp.DynamicLossScaler(*numbers)
    with pytest.raises(UsageError):
        amp.StaticLossScaler(0)
    with pytest.raises(UsageError, match="no such amp_level"):
        amp.auto_mixed_precision(nn.Dense(1, 1), "O9")


def test_mixed_precision_is_computed_in_float32_and_told():
    net = nn.Dense(2, 1)
    with pytest.warns(UserWarning, match="Float32"):
        assert amp.auto_mixed_precision(net, "O2") is net
    step = amp.build_train_network(net, nn.SGD(net.trainable_params(), 0.1), nn.MSELoss())
    assert float(step(Tensor([[1.0, 2.0]]), Tensor([[0.0]]))) >= 0


def test_computes_in_half_precision_where_told():
    class Both(nn.Cell):
        def __init__(self):
            super().__init__()
            self.w, self.norm = Parameter(Tensor(np.ones((4, 2), "f4")), name="w"), nn.BatchNorm1d(2)

        def construct(self, x):
            return self.norm(ops.matmul(x, self.w))

    x = Tensor(np.arange(8, dtype="f4").reshape(2, 4) / 8)
    dense = nn.Dense(4, 2, weight_init="ones", bias_init="ones").to_float(ms.float16)
    assert dense(x).asnumpy().tolist() == [[1.75, 1.75], [3.75, 3.75]]
    assert dense(x).dtype == ms.float16
    net = Both().to_float(ms.float16).set_train()
    assert net(x).dtype == ms.float16
    assert net.norm.moving_mean.asnumpy().tolist() == pytest.approx([0.175, 0.175], abs=1e-3)
    gradients = ms.grad(lambda x: net(x).sum(), None, net.trainable_params())(x)
    assert {g.dtype for g in gradients} == {ms.float32}
    flagged = nn.Dense(4, 2)
    flagged.add_flags_recursive(fp16=True)
    assert flagged(x).dtype == ms.float16
    with pytest.raises(UsageError, match="to_float takes"):
        nn.Dense(4, 2).to_float(ms.int32)


def test_graphs_are_refused_with_what_to_do_instead():
    with pytest.raises(UsageError, match="ONNX") as refused:
        ms.export(nn.Dense(1, 1), Tensor([[1.0]]), file_name="x", file_format="ONNX")
    assert "torch.onnx" in str(refused.value)
    with pytest.raises(UsageError, match="no such file_format"):
        ms.export(nn.Dense(1, 1), Tensor([[1.0]]), file_name="x", file_format="BAD")
    with pytest.raises(UsageError, match="load_checkpoint"):
        ms.load("x.mindir")


def test_rows_are_padded_joined_and_cut():
    assert transforms.PadEnd([4], 7)([1, 2]).tolist() == [1, 2, 7, 7]
    assert transforms.PadEnd([None, 1])([[1, 2], [3, 4]]).tolist() == [[1], [3]]
    assert transforms.Concatenate(0, np.array([0]), np.array([9]))(np.array([1, 2])).tolist() == [0, 1, 2, 9]
    assert transforms.Slice(slice(1, None), [0])(np.arange(6).reshape(3, 2)).tolist() == [[2], [4]]
    assert [part.tolist() for part in transforms.Unique()(np.array([3, 1, 3, 2]))] == [
        [3, 1, 2],
        [0, 1, 0, 2],
        [2, 1, 1],
    ]
    with pytest.raises(UsageError, match="each axis"):
        transforms.PadEnd([4])(np.zeros((2, 2)))


def test_numpys_functions_have_mindspores_types():
    mnp = ms.numpy
    assert mnp.arange(3).dtype == ms.int32
    assert mnp.array([1.5, 2]).dtype == ms.float32
    assert mnp.zeros((2, 2)).dtype == ms.float32
    assert mnp.sum(mnp.ones((2, 3)), axis=1).asnumpy().tolist() == [3, 3]
    assert mnp.concatenate((mnp.array([1]), mnp.array([2]))).asnumpy().tolist() == [1, 2]
    assert mnp.where(mnp.array([True, False]), mnp.array([1.0, 1.0]), mnp.array([0.0, 0.0])).asnumpy().tolist() == [
        1,
        0,
    ]
    assert mnp.float16 is ms.float16
    with pytest.raises(AttributeError):
        mnp.no_such_function  # noqa: B018


def test_images_are_mirrored_inverted_and_cut():
    from evergraph.mindspore.dataset import vision

    image = np.arange(12, dtype="uint8").reshape(2, 2, 3)
    assert vision.HorizontalFlip()(image)[0, 0].tolist() == [3, 4, 5]
    assert vision.VerticalFlip()(image)[0, 0].tolist() == [6, 7, 8]
    assert vision.Invert()(image)[0, 0].tolist() == [255, 254, 253]
    assert vision.Crop((1, 0), (1, 2))(image).tolist() == image[1:].tolist()
    with pytest.raises(ShapeError, match="within the image"):
        vision.Crop((1, 1), 2)(image)
    # MindSpore 2.10 puts zeros around an image that is smaller than the crop
    assert vision.CenterCrop((4, 1))(image)[:, 0, 0].tolist() == [0, 0, 6, 0]


def test_random_images_have_the_asked_size_and_repeat_with_the_seed():
    from evergraph.mindspore.dataset import vision

    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype("uint8")
    for transform, shape in (
        (vision.RandomResizedCrop((4, 5)), (4, 5, 3)),
        (vision.RandomColorAdjust(0.4, 0.4, 0.4, 0.1), (9, 7, 3)),
        (vision.RandomRotation(30), (9, 7, 3)),
    ):
        ms.set_seed(3)
        first = transform(image)
        ms.set_seed(3)
        again = transform(image)
        assert (first.shape, first.dtype) == (shape, np.uint8)
        np.testing.assert_array_equal(first, again)
        ms.set_seed(4)
        assert not np.array_equal(transform(image), first)


def test_operators_take_a_number_first():
    x = Tensor([1, 5])
    assert ops.less(3, x).asnumpy().tolist() == [False, True]
    assert ops.mul(2, x).asnumpy().tolist() == [2, 10]
    assert ops.sub(2.5, x).asnumpy().tolist() == [1.5, -2.5]
