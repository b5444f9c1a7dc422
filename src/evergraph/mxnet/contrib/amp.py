"""`mx.contrib.amp`: programs that ask for mixed precision run, and are computed in float32.

MXNet computes some operators in half precision, on devices that do so faster, and scales losses so that gradients do
not vanish in it. Here everything stays in float32: the losses' scale is 1, and models are given back as they are. To
train in half precision, cast the network (`net.cast("float16")`) and give the optimizer `multi_precision=True`; to
predict in bfloat16, `evergraph.engine.use(precision="bfloat16")`.

>>> from evergraph.mxnet import autograd, gluon, nd
>>> init(); net = gluon.nn.Dense(1, in_units=2); net.initialize()
>>> trainer = gluon.Trainer(net.collect_params(), "sgd"); init_trainer(trainer)
>>> with autograd.record():
...     loss = net(nd.ones((1, 2)))
...     with scale_loss(loss, trainer) as scaled:
...         autograd.backward(scaled)
>>> scaled is loss
True
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.symbol import Symbol

__all__ = [
    "convert_hybrid_block",
    "convert_model",
    "convert_symbol",
    "init",
    "init_trainer",
    "scale_loss",
    "unscale",
]

_TYPES = ("float16", "bfloat16")
_LOG = logging.getLogger("evergraph")


def _kept(target_dtype: Any) -> None:
    """Check the type, and say that it is not used."""
    name = getattr(target_dtype, "__name__", str(target_dtype))
    if name not in _TYPES:
        raise UsageError("mixed precision has a narrower type than float32", expected=" or ".join(_TYPES), found=name)
    _LOG.warning("mixed precision (%s) was asked for: everything is computed in float32", name)


def init(target_dtype: Any = "float16", *lists: Any, **kwargs: Any) -> None:  # noqa: ARG001 - lists of operators
    """Ask for mixed precision; the lists of operators that it concerns are taken, and not used.

    Raises:
        UsageError: a type that mixed precision does not have.
    """
    _kept(target_dtype)


def _required(found: Any) -> Any:
    from evergraph.mxnet.gluon import Trainer

    if not isinstance(found, Trainer):
        raise TypeError(f"optimizer_or_trainer should be a Gluon Trainer, instead is {type(found).__name__}")
    return found


def init_trainer(optimizer_or_trainer: Any) -> None:
    """Prepare a trainer for scaled losses: the scale is 1.

    Raises:
        TypeError: no gluon trainer.
    """
    trainer = _required(optimizer_or_trainer)
    trainer._amp_original_scale = trainer._scale


@contextmanager
def scale_loss(loss: Any, optimizer_or_trainer: Any) -> Iterator[Any]:
    """The loss, or the list of losses, to go backward from.

    Raises:
        UsageError: the trainer was not prepared.
    """
    trainer = _required(optimizer_or_trainer)
    original = getattr(trainer, "_amp_original_scale", None)
    if original is None:
        raise UsageError("the trainer is not prepared for scaled losses", fix="call amp.init_trainer(trainer) first")
    trainer._scale = original
    yield loss


def unscale(optimizer_or_trainer: Any) -> None:
    """Bring the gradients to what they are without the losses' scale, and by the trainer's own, before they are cut."""
    trainer = _required(optimizer_or_trainer)
    for each in trainer._params:
        for gradient in each.list_grad() if each.grad_req != "null" else ():
            gradient[:] *= trainer._scale
    trainer._scale = 1.0


def convert_symbol(sym: Symbol, target_dtype: Any = "float16", *lists: Any, **kwargs: Any) -> Symbol:  # noqa: ARG001
    """A symbol of mixed precision: the symbol itself."""
    _kept(target_dtype)
    return sym


def convert_model(
    sym: Symbol,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    target_dtype: Any = "float16",
    *lists: Any,  # noqa: ARG001
    **kwargs: Any,  # noqa: ARG001
) -> tuple[Symbol, Mapping[str, Any], Mapping[str, Any]]:
    """A model of mixed precision: the model itself."""
    _kept(target_dtype)
    return sym, arg_params, aux_params


def convert_hybrid_block(block: Any, target_dtype: Any = "float16", *lists: Any, **kwargs: Any) -> Any:  # noqa: ARG001
    """A block of mixed precision: the block itself."""
    _kept(target_dtype)
    return block
