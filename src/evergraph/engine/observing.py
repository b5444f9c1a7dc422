"""What a monitor is shown of a step: names as MXNet 1.9.1 spells them, and outputs of the operator's own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from evergraph.engine.program import NOTHING, Step
from evergraph.ops.families.nn.dropout import keep_mask
from evergraph.ops.run import Run

__all__ = ["gradient_names", "input_names", "with_own_outputs"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# operators of one input that MXNet calls "data"; that of all others is "input0"
_NAMED = _words(
    "Custom Dropout GridGenerator IdentityAttachKLSparseReg L2Normalization LRN LeakyReLU MakeLoss Pad Pooling"
    " Pooling_v1 SequenceLast SequenceMask SequenceReverse SliceChannel SwapAxis UpSampling"
    " _contrib_BilinearResize2D _contrib_MultiBoxPrior _contrib_index_array _contrib_quadratic"
    " _contrib_quantize_v2 _image_normalize _image_to_tensor _np_all _np_any _np_diag _np_diagflat _np_diagonal"
    " _np_roll _np_trace _npi_bincount _npi_diag_indices_from _npi_dsplit _npi_equal_scalar _npi_flip"
    " _npi_greater_equal_scalar _npi_greater_scalar _npi_hsplit _npi_less_equal_scalar _npi_less_scalar"
    " _npi_nan_to_num _npi_not_equal_scalar _npi_pad _npi_rot90 _npi_tril _npi_unique _ravel_multi_index _split_v2"
    " _unravel_index col2im depth_to_space diag im2col log_softmax moments repeat reverse softmax space_to_depth"
    " squeeze tile"
)
# operators whose gradients have the names of their inputs
_BY_INPUT = _words(
    "BatchNorm_v1 BilinearSampler Convolution_v1 Correlation Crop GridGenerator IdentityAttachKLSparseReg"
    " InstanceNorm L2Normalization MakeLoss Pad Pooling_v1 ROIPooling SVMOutput SequenceLast SequenceMask"
    " SequenceReverse SliceChannel SpatialTransformer SwapAxis _contrib_DeformableConvolution"
    " _contrib_DeformablePSROIPooling _contrib_MultiBoxDetection _contrib_MultiBoxPrior _contrib_MultiBoxTarget"
    " _contrib_MultiProposal _contrib_PSROIPooling _contrib_Proposal _contrib_SyncBatchNorm"
)
# the gradient of a sum is passed on, and no node computes it
_PASSED_ON = frozenset(("add_n", "elemwise_add"))


def input_names(step: Step, count: int) -> list[str]:
    """Names of a step's inputs."""
    op = step.op
    if op is None:
        return []
    found = op.input_names(step.params, count)
    return ["input0"] if found == ["data"] and op.name not in _NAMED else found


def gradient_names(step: Step) -> list[str]:
    """Names of the gradients that a step gives its inputs, states aside; none where no node computes them."""
    op = step.op
    if op is None or op.name in _PASSED_ON:
        return []
    count = len([v for v in step.inputs if v != NOTHING])
    names = op.input_names(step.params, count)
    names = names[: len(names) - len(op.auxiliary_names(step.params))]
    if op.name in _BY_INPUT:
        return [f"backward_{name}" for name in names]
    if len(names) == 1:
        return ["backward_output"]
    return [f"backward_output{i}" for i in range(len(names))]


# ---- outputs of the operator's own


def _batch_norm(p: Any, run: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    x, mean, var = given[0], given[3], given[4]
    if run.training and not p["use_global_stats"]:
        axis = p.get("axis", 1) % x.ndim
        var, mean = torch.var_mean(x, [i for i in range(x.ndim) if i != axis], correction=0)
    return found, mean.clone(), torch.rsqrt(var + p["eps"])


def _layer_norm(p: Any, _: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    var, mean = torch.var_mean(given[0], p["axis"], correction=0, keepdim=True)
    return found, mean, torch.sqrt(var + p["eps"])


def _group_norm(p: Any, _: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    groups = given[0].flatten(1).unflatten(1, (p["num_groups"], -1))
    var, mean = torch.var_mean(groups, 2, correction=0)
    return found, mean, torch.sqrt(var + p["eps"])


def _instance_norm(_: Any, __: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    var, mean = torch.var_mean(given[0].flatten(2), 2, correction=0)
    return found, mean, var


def _l2_normalization(p: Any, _: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    x = given[0]
    axes = {"instance": range(1, x.ndim), "channel": (1,), "spatial": range(2, x.ndim)}[p["mode"]]
    return found, torch.sqrt(torch.sum(x * x, tuple(axes)) + p["eps"])


def _lrn(p: Any, _: Run, given: Sequence[Any], found: Any) -> tuple[Any, ...]:
    x, reach = given[0], p["nsize"] // 2
    squares = torch.nn.functional.pad(x * x, (0, 0, 0, 0, reach, reach))
    total = squares.unfold(1, p["nsize"], 1).sum(-1)
    return found, total * (p["alpha"] / p["nsize"]) + p["knorm"]


_OWN: dict[str, Callable[[Any, Run, Sequence[Any], Any], tuple[Any, ...]]] = {
    "BatchNorm": _batch_norm,
    "BatchNorm_v1": _batch_norm,
    "GroupNorm": _group_norm,
    "InstanceNorm": _instance_norm,
    "L2Normalization": _l2_normalization,
    "LRN": _lrn,
    "LayerNorm": _layer_norm,
    "_contrib_SyncBatchNorm": _batch_norm,
}


def with_own_outputs(step: Step, run: Run, given: Sequence[Any]) -> Any:
    """A step's outputs, and after them the statistics and masks that MXNet's operator keeps for its gradient."""
    name = "" if step.op is None else step.op.name
    if name == "Dropout":
        p, x = step.params, given[0]
        if p["p"] == 0 or not (run.training or p["mode"] == "always"):
            return step.call(*given)
        mask = keep_mask(x, p["p"], run, tuple(1 if i in p["axes"] else d for i, d in enumerate(x.shape)))
        return x * mask, mask
    found = step.call(*given)
    if name in _OWN and isinstance(found, torch.Tensor):
        with torch.no_grad():
            plain = [v.detach() if isinstance(v, torch.Tensor) else v for v in given]
            return _OWN[name](step.params, run, plain, found)
    return found
