"""Networks whose symbol depends on a key of the batch, such as a sequence's length; parameters are shared."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.errors import printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import symbol as sym
from evergraph.mxnet.context import cpu
from evergraph.mxnet.initializer import Uniform
from evergraph.mxnet.keeping import write_files
from evergraph.mxnet.model import checkpoint_files, load_params
from evergraph.mxnet.module.base_module import BaseModule, ModuleStateError, check_input_names
from evergraph.mxnet.module.module import Module
from evergraph.mxnet.name import NameManager

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """A module for each bucket, made when its first batch comes; all share parameters and optimizer.

    Args:
        sym_gen: bucket's key -> (symbol, data names, label names).
        default_bucket_key: the bucket that parameters are made for; the largest.
        logger, context, work_load_list, fixed_param_names, state_names, group2ctxs, compression_params: see `Module`.
    """

    def __init__(
        self,
        sym_gen: Callable[[Any], tuple[Any, Sequence[str], Sequence[str]]],
        default_bucket_key: Any = None,
        logger: Any = logging,
        context: Any = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger)
        if default_bucket_key is None:
            raise ModuleStateError("default_bucket_key is needed")
        self._default_bucket_key, self._sym_gen = default_bucket_key, sym_gen
        symbol, data_names, label_names = self._generated(default_bucket_key)
        for what, names, throw in (
            ("data", data_names, True),
            ("label", label_names, False),
            ("state", state_names, True),
            ("fixed_param", fixed_param_names, True),
        ):
            check_input_names(symbol, list(names or []), what, throw)
        self._settings = {
            "logger": logger,
            "context": cpu() if context is None else context,
            "work_load_list": work_load_list,
            "fixed_param_names": fixed_param_names,
            "state_names": state_names,
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        self._buckets: dict[Any, Module] = {}
        self._curr_module: Any = None
        self._curr_bucket_key: Any = None
        self._params_dirty = False
        self._monitor: Any = None
        self._grad_req: Any = None

    def _generated(self, key: Any) -> tuple[Any, Any, Any]:
        with NameManager():
            return self._sym_gen(key)

    def _module(self, key: Any) -> Module:
        symbol, data_names, label_names = self._generated(key)
        return Module(symbol, data_names, label_names, **self._settings)

    def _reset_bind(self) -> None:
        self.binded, self._buckets = False, {}
        self._curr_module = self._curr_bucket_key = None

    # ---- what it is

    @property
    def data_names(self) -> Any:
        """Names of the data."""
        return self._curr_module.data_names if self.binded else self._generated(self._default_bucket_key)[1]

    @property
    def label_names(self) -> Any:
        """Names of the labels."""
        return self._curr_module.label_names if self.binded else self._generated(self._default_bucket_key)[2]

    @property
    def output_names(self) -> Any:
        """Names of the outputs."""
        if self.binded:
            return self._curr_module.output_names
        return self._generated(self._default_bucket_key)[0].list_outputs()

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data of the last bucket's batches."""
        self._require("binded")
        return self._curr_module.data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels of the last bucket's batches."""
        self._require("binded")
        return self._curr_module.label_shapes

    @property
    def output_shapes(self) -> Any:
        """Name and shape of each output of the last bucket."""
        self._require("binded")
        return self._curr_module.output_shapes

    @property
    def symbol(self) -> Any:
        """The last bucket's symbol."""
        self._require("binded")
        return self._curr_module.symbol

    # ---- parameters

    def get_params(self) -> tuple[Any, Any]:
        """Arguments and auxiliary states by name."""
        self._require("params_initialized")
        self._curr_module._params_dirty = self._params_dirty
        found = self._curr_module.get_params()
        self._params_dirty = False
        return found

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill parameters; see `Module.init_params`."""
        if self.params_initialized and not force_init:
            return
        self._require("binded")
        self._curr_module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._params_dirty, self.params_initialized = False, True

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters; see `Module.set_params`."""
        if not allow_missing:
            self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        self._curr_module.set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._params_dirty = self.params_initialized = True

    # ---- binding

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
        """Make the default bucket's executors; see `Module.bind`."""
        kept = self.get_params() if self.params_initialized else None
        if force_rebind:
            self._reset_bind()
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if shared_module is not None:
            raise ModuleStateError("shared_module for BucketingModule is not supported")
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        key = self._default_bucket_key
        found = self._buckets.get(key) or self._module(key)
        found.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        self._buckets[key] = self._curr_module = found
        self._curr_bucket_key, self.binded = key, True
        if kept is not None:
            self.set_params(*kept)

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Use the module of a bucket, made and bound where it is not there.

        Raises:
            ModuleStateError: the bucket is new, and the shapes of its batches are not told.
        """
        self._require("binded")
        found = self._buckets.get(bucket_key)
        if (found is None or not found.binded) and data_shapes is None:
            raise ModuleStateError(
                "the first batch of a bucket tells its shapes",
                expected="a DataBatch with bucket_key, provide_data and provide_label",
                found=f"bucket_key={printable(bucket_key)} and no provide_data",
            )
        if found is None:
            found = self._buckets[bucket_key] = self._module(bucket_key)
        if not found.binded:
            current = self._curr_module
            found.bind(
                data_shapes,
                label_shapes,
                current.for_training,
                current.inputs_need_grad,
                shared_module=self._buckets[self._default_bucket_key],
                grad_req=self._grad_req,
            )
            if self._monitor is not None:
                found.install_monitor(self._monitor)
        self._curr_module, self._curr_bucket_key = found, bucket_key

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer that all buckets use; see `Module.init_optimizer`."""
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        self._curr_module.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for each in self._buckets.values():
            if each is not self._curr_module:
                each.borrow_optimizer(self._curr_module)
        self.optimizer_initialized = True

    # ---- running

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch of any bucket."""
        self._require("binded", "params_initialized")
        current = self._curr_bucket_key
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        self.switch_bucket(current, None, None)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch on its bucket's module."""
        self._require("binded", "params_initialized")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients."""
        self._curr_module.backward(out_grads=out_grads)

    def update(self) -> None:
        """Change parameters by their gradients."""
        self._require("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        self._curr_module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last batch."""
        self._require("binded", "params_initialized")
        return self._curr_module.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the last batch's data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        return self._curr_module.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states of each device."""
        self._require("binded", "params_initialized")
        return self._curr_module.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states."""
        self._require("binded", "params_initialized")
        self._curr_module.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric."""
        self._require("binded", "params_initialized")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch all buckets."""
        self._require("binded")
        self._monitor = mon
        for each in self._buckets.values():
            each.install_monitor(mon)

    # ---- checkpoints

    def trained_parts(self) -> list[Any]:
        """The modules that hold what is trained: the default bucket's, whose parameters all share."""
        return [self._buckets[self._default_bucket_key]]

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Save parameters, the symbol of each bucket, and the list of buckets.

        Args:
            prefix: `prefix-0001.params`, `prefix-KEY-symbol.json` and `prefix.buckets` are written.
            epoch: number of the epoch.
            remove_amp_cast: whether casts of automatic mixed precision are left out.
        """
        write_files(self.checkpoint_files(prefix, epoch, remove_amp_cast))

    def checkpoint_files(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> dict[str, Any]:
        """What `save_checkpoint` writes, by URI: bytes, or arrays by name."""
        if not self._buckets:
            raise ModuleStateError("Empty BucketingModule cannot be saved")
        files = checkpoint_files(prefix, epoch, None, *self.get_params())
        for key in self._buckets:
            symbol = self._generated(key)[0]
            files[f"{prefix}-{key}-symbol.json"] = symbol.tojson(remove_amp_cast).encode("utf-8", "surrogateescape")
        files[f"{prefix}.buckets"] = [nd.array(list(self._buckets), dtype=np.int32)]
        return files

    @staticmethod
    def load(
        prefix: str, epoch: int, sym_gen: Any = None, default_bucket_key: Any = None, **kwargs: Any
    ) -> "BucketingModule":
        """The module of a checkpoint of `save_checkpoint`.

        Args:
            prefix: see `save_checkpoint`.
            epoch: number of the epoch.
            sym_gen: see `BucketingModule`.
            default_bucket_key: see `BucketingModule`.
            kwargs: see `BucketingModule`.
        """
        keys = [int(k) for k in nd.load(f"{prefix}.buckets")[0].asnumpy()]
        symbols = {k: sym.load(f"{prefix}-{k}-symbol.json") for k in keys}
        return BucketingModule.load_dict(symbols, sym_gen, default_bucket_key, *load_params(prefix, epoch), **kwargs)

    @staticmethod
    def load_dict(
        sym_dict: Mapping[Any, Any] | None = None,
        sym_gen: Any = None,
        default_bucket_key: Any = None,
        arg_params: Any = None,
        aux_params: Any = None,
        **kwargs: Any,
    ) -> "BucketingModule":
        """A module of symbols by bucket's key, and parameters.

        Raises:
            AssertionError: something is not given; all is named.
        """
        given = {"sym_dict": sym_dict, "sym_gen": sym_gen, "default_bucket_key": default_bucket_key}
        given |= {"arg_params": arg_params, "aux_params": aux_params}
        missing = [k for k, v in given.items() if v is None]
        if missing:
            raise ModuleStateError(f"to load a BucketingModule these are needed: {', '.join(missing)}")
        found = BucketingModule(sym_gen, default_bucket_key, **kwargs)
        for key, symbol in (sym_dict or {}).items():
            _, data_names, label_names = found._generated(key)
            found._buckets[key] = Module(symbol, data_names, label_names, **kwargs)
        found._curr_module = found._buckets[default_bucket_key]
        found._curr_module._arg_params, found._curr_module._aux_params = arg_params, aux_params
        found._curr_module.params_initialized = found.params_initialized = True
        return found
