"""Modules in a row: the outputs of each are the data of the next."""

import contextlib
import copy
import logging
from collections.abc import Sequence
from typing import Any

from evergraph.errors import collect, printable
from evergraph.mxnet.initializer import Uniform
from evergraph.mxnet.module.base_module import BaseModule, ModuleStateError
from evergraph.mxnet.module.module import refuse_parameters
from evergraph.mxnet.undo import foreign, whole

__all__ = ["SequentialModule"]


def _values(parts: Sequence[Any]) -> list[Any]:
    """All arrays of parameters and auxiliary states."""
    groups = [part._exec_group for part in parts]
    masters = [[part._arg_params, part._aux_params] for part in parts]
    return [masters, [[group.param_arrays, group.aux_arrays] for group in groups]]


class SequentialModule(BaseModule):
    """Modules in a row.

    Args:
        logger: where it logs.
    """

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: Any = logging) -> None:
        super().__init__(logger)
        self._modules: list[Any] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None

    def add(self, module: Any, **kwargs: Any) -> "SequentialModule":
        """Append a module; returns the row itself.

        Args:
            module: the module.
            kwargs: `take_labels`: it reads the labels; `auto_wiring`: its data are the outputs before it, in order.
        """
        known = (self.META_TAKE_LABELS, self.META_AUTO_WIRING)
        unknown = [printable(k) for k in kwargs if k not in known]
        collect(ModuleStateError, "Unknown meta, a typo?", unknown, expected=", ".join(known))
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    def trained_parts(self) -> list[Any]:
        """The modules that hold what is trained."""
        return [part for each in self._modules for part in each.trained_parts()]

    def _known_parts(self) -> list[Any]:
        """Those of `trained_parts` that modules of a program's own do not hide."""
        found: list[Any] = []
        for each in self._modules:
            with contextlib.suppress(ModuleStateError):
                found += each.trained_parts()
        return found

    @property
    def data_names(self) -> Any:
        """Names of the first module's data."""
        return self._modules[0].data_names if self._modules else []

    @property
    def label_names(self) -> Any:
        """Names of the labels."""
        return [n for m in self._modules for n in (getattr(m, "label_names", None) or [])]

    @property
    def output_names(self) -> Any:
        """Names of the last module's outputs."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the first module's data."""
        self._require("binded")
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels; None where no module reads them."""
        self._require("binded")
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """Name and shape of each of the last module's outputs."""
        self._require("binded")
        return self._modules[-1].output_shapes

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments and auxiliary states of all, by name."""
        self._require("binded", "params_initialized")
        args: dict[str, Any] = {}
        auxs: dict[str, Any] = {}
        for each in self._modules:
            arg, aux = each.get_params()
            args.update(arg)
            auxs.update(aux)
        return args, auxs

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill parameters of all; what is given is looked for in every module.

        Raises:
            AssertionError: two modules have parameters of one name; all are listed.
        """
        if self.params_initialized and not force_init:
            return
        self._require("binded")
        parts = self._known_parts()
        found = (part._misfits(arg_params, aux_params, allow_missing, True)[0] for part in parts)
        refuse_parameters([line for wrong in found for line in wrong])
        with whole(_values(parts)) if self.params_initialized else contextlib.nullcontext():
            for each in self._modules:
                # the parameters of the other modules are here too
                each.init_params(initializer, arg_params, aux_params, allow_missing, force_init, True)
        first: dict[str, int] = {}
        twice = []
        for i, each in enumerate(self._modules):
            for name in {k for part in each.get_params() for k in part}:
                if name in first:
                    twice.append(f"{printable(name)}: modules {first[name]} and {i}")
                first.setdefault(name, i)
        collect(ModuleStateError, "Duplicated parameter names", sorted(twice))
        self.params_initialized = True

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the executors of all; see `Module.bind`."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if shared_module is not None or not self._modules or (inputs_need_grad and not for_training):
            raise ModuleStateError(
                "a row of modules is bound without a shared module, holds one at least, and gives gradients in training"
            )
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        shapes, labelled = data_shapes, False
        for i, (each, meta) in enumerate(zip(self._modules, self._metas, strict=True)):
            takes = bool(meta.get(self.META_TAKE_LABELS))
            labelled = labelled or takes
            if meta.get(self.META_AUTO_WIRING):
                shapes = [(n, s[1]) for n, s in zip(each.data_names, shapes, strict=True)]
            each.bind(
                shapes,
                label_shapes if takes else None,
                for_training,
                bool(inputs_need_grad or (for_training and i > 0)),
                force_rebind,
                None,
                grad_req,
            )
            shapes = each.output_shapes
        self._label_shapes = label_shapes if labelled else None
        self.binded = True

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizers of all; see `Module.init_optimizer`."""
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        for each in self._modules:
            each.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_initialized = True

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch through all."""
        self._require("binded", "params_initialized")
        batch = copy.copy(data_batch)
        for i, each in enumerate(self._modules):
            if i and getattr(batch, "provide_data", None) is not None:
                batch.provide_data = [(n, x.shape) for n, x in zip(each.data_names, batch.data, strict=True)]
            each.forward(batch, is_train=is_train)
            batch.data = each.get_outputs()

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients through all, from the last."""
        self._require("binded", "params_initialized")
        for i in reversed(range(len(self._modules))):
            self._modules[i].backward(out_grads=out_grads)
            out_grads = self._modules[i].get_input_grads() if i else None

    def update(self) -> None:
        """Change parameters of all by their gradients."""
        self._require("binded", "params_initialized", "optimizer_initialized")
        parts = self._known_parts()
        kept = [x for part in parts for x in (part._optimizer, part._updater, part._kvstore)]
        own = foreign(*(x for part in parts for x in (part._optimizer, getattr(part._optimizer, "lr_scheduler", None))))
        # each takes its own step back where it raises, and those before it theirs
        with whole(kept, _values(parts)) if own else contextlib.nullcontext():
            for each in self._modules:
                each.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last module."""
        self._require("binded", "params_initialized")
        return self._modules[-1].get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the first module's data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        return self._modules[0].get_input_grads(merge_multi_context=merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs of the modules that read labels to a metric."""
        self._require("binded", "params_initialized")
        for each, meta in zip(self._modules, self._metas, strict=True):
            if meta.get(self.META_TAKE_LABELS):
                each.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch all."""
        self._require("binded")
        for each in self._modules:
            each.install_monitor(mon)
