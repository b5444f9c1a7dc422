"""Module: a symbol that is trained, scored, saved and resumed, on one device or several."""

import contextlib
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet import kvstore as kvs
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import optimizer as opt
from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.fitting import misfit
from evergraph.mxnet.initializer import InitDesc, Uniform
from evergraph.mxnet.initializer import create as create_initializer
from evergraph.mxnet.io import DataDesc
from evergraph.mxnet.keeping import write_files
from evergraph.mxnet.model import checkpoint_files, load_checkpoint
from evergraph.mxnet.module.base_module import (
    BaseModule,
    ModuleStateError,
    check_all_names,
    check_input_names,
    parse_data_desc,
)
from evergraph.mxnet.module.batches import shapes_of
from evergraph.mxnet.module.executor_group import DataParallelExecutorGroup
from evergraph.mxnet.resume.parts import settings
from evergraph.mxnet.undo import foreign, whole
from evergraph.stores import commit, open_source

__all__ = ["Module", "refuse_parameters"]


class _MissingError(UsageError, RuntimeError):
    """Parameters that are not given, or of other shapes."""


def refuse_parameters(wrong: Sequence[str]) -> None:
    """Raise where parameters do not fit."""
    collect(
        _MissingError,
        "parameters do not fit the network; nothing was changed",
        wrong,
        fix="allow_missing=True initializes what is missing, allow_extra=True passes over what is too many",
    )


class Module(BaseModule):
    """A symbol on one device or several.

    Args:
        symbol: what is computed.
        data_names: arguments that are data.
        label_names: arguments that are labels.
        logger: where it logs.
        context: a device, or a list of them.
        work_load_list: each device's share of a batch.
        fixed_param_names: parameters that are not trained.
        state_names: arguments that are states.
        group2ctxs: context of each `ctx_group`.
        compression_params: compression of gradients between devices.

    Raises:
        ValueError: names that the symbol does not have.
    """

    def __init__(
        self,
        symbol: Any,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Any = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger)
        if not hasattr(symbol, "list_arguments"):
            raise ModuleStateError(
                "a module takes a symbol",
                found=printable(symbol),
                fix="make one: mx.sym.load('net-symbol.json'), or Module.load(prefix, epoch) for a checkpoint",
            )
        context = cpu() if context is None else context
        self._context = [context] if isinstance(context, Context) else list(context)
        if not self._context or not all(isinstance(c, Context) for c in self._context):
            raise ModuleStateError("context is a device or a list of them", found=printable(context), fix="mx.cpu()")
        self._work_load_list = [1] * len(self._context) if work_load_list is None else list(work_load_list)
        if len(self._work_load_list) != len(self._context):
            raise ModuleStateError(
                "work_load_list has another length than contexts",
                expected=len(self._context),
                found=len(self._work_load_list),
            )
        self._symbol, self._group2ctxs, self._compression_params = symbol, group2ctxs, compression_params
        self._data_names, self._label_names = list(data_names or []), list(label_names or [])
        self._state_names, self._fixed_param_names = list(state_names or []), list(fixed_param_names or [])
        check_input_names(symbol, self._label_names, "label", throw=False)
        named = {"data": self._data_names, "state": self._state_names, "fixed_param": self._fixed_param_names}
        check_all_names(symbol, named)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [n for n in symbol.list_arguments() if n not in inputs]
        self._aux_names, self._output_names = symbol.list_auxiliary_states(), symbol.list_outputs()
        self._arg_params: Any = None
        self._aux_params: Any = None
        self._params_dirty = False
        self._optimizer: Any = None
        self.optimizer_settings: dict[str, Any] = {}
        self._kvstore: Any = None
        self._update_on_kvstore: Any = None
        self._updater: Any = None
        self._preload_opt_states: str | None = None
        self._grad_req: Any = None
        self._exec_group: Any = None
        self._data_shapes: Any = None
        self._label_shapes: Any = None

    # ---- checkpoints

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> "Module":
        """The module of a checkpoint; its optimizer's states are read when the optimizer is made.

        Args:
            prefix: `prefix-symbol.json` and `prefix-0001.params` are read; any URI.
            epoch: number of the epoch.
            load_optimizer_states: whether `prefix-0001.states` is read too.
            kwargs: settings of the module.
        """
        symbol, args, auxs = load_checkpoint(prefix, epoch)
        found = Module(symbol=symbol, **kwargs)
        found._arg_params, found._aux_params, found.params_initialized = args, auxs, True
        if load_optimizer_states:
            found._preload_opt_states = f"{prefix}-{epoch:04d}.states"
        return found

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Save symbol and parameters; whatever fails, all files are new or all as they were.

        Args:
            prefix: `prefix-symbol.json` and `prefix-0001.params` are written; any URI.
            epoch: number of the epoch.
            save_optimizer_states: whether `prefix-0001.states` is written too.
            remove_amp_cast: whether casts of automatic mixed precision are left out.
        """
        states = save_optimizer_states and self._own_updater() is not None
        write_files(self.checkpoint_files(prefix, epoch, states, remove_amp_cast))
        logging.info('Saved checkpoint to "%s"', f"{prefix}-{epoch:04d}.params")
        if save_optimizer_states:
            name = f"{prefix}-{epoch:04d}.states"
            if not states:
                self._kvstore.save_optimizer_states(name)
            logging.info('Saved optimizer state to "%s"', name)

    def checkpoint_files(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> dict[str, Any]:
        """What `save_checkpoint` writes, by URI: bytes, or arrays by name for a `.params` file."""
        files = checkpoint_files(prefix, epoch, self._symbol, *self.get_params(), remove_amp_cast)
        if save_optimizer_states:
            updater = self._own_updater()
            if updater is None:
                raise ModuleStateError(
                    "the states are kept by a store of the program's own",
                    found=type(self._kvstore).__name__,
                    fix="save them by save_optimizer_states, or without keep and background",
                )
            files[f"{prefix}-{epoch:04d}.states"] = updater.get_states()
        return files

    def _own_updater(self) -> Any:
        """What keeps the optimizer's states; None where a store of the program's own does."""
        self._require("optimizer_initialized")
        updater = getattr(self._kvstore, "_updater", None) if self._update_on_kvstore else self._updater
        return updater if isinstance(updater, opt.Updater) else None

    def trained_parts(self) -> list[Any]:
        """The modules that hold what is trained: itself."""
        return [self]

    def kept_arrays(self) -> dict[str, list[Any]]:
        """Arrays by name, of each device, that training keeps besides and changes in place: a state holds them too."""
        return {}

    def expect_kept_arrays(self) -> None:
        """Be ready to get `kept_arrays` back from a state."""

    def save_optimizer_states(self, fname: str) -> None:
        """Save the optimizer's states, in MXNet's form."""
        self._require("optimizer_initialized")
        if self._update_on_kvstore:
            self._kvstore.save_optimizer_states(fname)
            return
        data = self._updater.get_states()
        with commit(fname, total=len(data)) as sink:
            sink.write(data)

    def load_optimizer_states(self, fname: str) -> None:
        """Take over an optimizer's states from a `.states` file of any release."""
        self._require("optimizer_initialized")
        with open_source(fname) as source:
            data = bytes(source.head(source.size))
        updater = self._own_updater()
        if updater is None:
            self._kvstore.load_optimizer_states(fname)
            return
        weights, keys = {}, {}
        devices = 1 if self._update_on_kvstore else len(self._context)
        for i, (name, arrays) in enumerate(zip(self._param_names, self._exec_group.param_arrays, strict=True)):
            # stores step by names, in releases before 1.1 by numbers; updaters by numbers for each device
            mine = [name] if self._update_on_kvstore else [i * devices + k for k in range(devices)]
            weights |= dict(zip(mine, arrays, strict=False))
            keys[i if self._update_on_kvstore else name] = mine
        updater.set_states(data, weights, keys, where=fname)
        trained = zip(self._param_names, self._exec_group.grad_arrays, keys.values(), strict=True)
        absent = [printable(n) for n, gs, mine in trained if gs[0] is not None and mine[0] not in updater.states]
        if absent and updater.states:
            self.logger.warning("%s has no states of %s: they begin anew", printable(fname), ", ".join(absent))

    # ---- what it is

    @property
    def data_names(self) -> list[str]:
        """Names of the data."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> list[Any]:
        """Descriptions of the data of a batch."""
        self._require("binded")
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels of a batch."""
        self._require("binded")
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each output of a batch."""
        self._require("binded")
        return self._exec_group.get_output_shapes()

    # ---- parameters

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments and auxiliary states by name."""
        self._require("params_initialized")
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill parameters: from those that are given, else by the initializer.

        Raises:
            RuntimeError: parameters are missing, too many, or of other shapes; all are listed, and none is changed.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        self._require("binded")
        self._check(arg_params, aux_params, allow_missing, allow_extra)
        initializer = create_initializer(initializer) if isinstance(initializer, str) else initializer
        if initializer is not None and not callable(initializer):
            raise ModuleStateError("initializer is an initializer or its name", found=printable(initializer))
        tables = (self._arg_params, arg_params or {}), (self._aux_params, aux_params or {})
        changed = [
            array
            for mine, given in tables
            for name, array in mine.items()
            if (given[name] is not array if name in given else initializer is not None)
        ]
        # what has values keeps them where an initializer raises
        before = [*changed, *self._exec_group.param_arrays, *self._exec_group.aux_arrays] if changed else []
        with whole(*before) if self.params_initialized else contextlib.nullcontext():
            self._fill(tables, initializer)
            self._exec_group.set_params(self._arg_params, self._aux_params, allow_extra=allow_extra)
        self.params_initialized, self._params_dirty = True, False

    def _fill(self, tables: Any, initializer: Any) -> None:
        attributes = self._symbol.attr_dict()
        for mine, given in tables:
            for name, array in sorted(mine.items()):
                if name in given:
                    if given[name] is not array:
                        array[:] = given[name]
                elif initializer is not None:
                    initializer(InitDesc(name, attributes.get(name)), array)

    def _check(self, arg_params: Any, aux_params: Any, allow_missing: bool, allow_extra: bool) -> None:
        wrong, passed_over = self._misfits(arg_params, aux_params, allow_missing, allow_extra)
        refuse_parameters(wrong)
        if passed_over:
            self.logger.info("passed over parameters of layers that are left off: %s", ", ".join(passed_over))

    def _misfits(
        self, arg_params: Any, aux_params: Any, allow_missing: bool, allow_extra: bool
    ) -> tuple[list[str], list[str]]:
        """What is wrong with parameters that are given, and those of layers that are left off."""
        wrong, passed_over = [], []
        known, left_off = self._inputs(), self._symbol._left_off
        for what, mine, given in (
            ("argument", self._arg_params, arg_params),
            ("auxiliary state", self._aux_params, aux_params),
        ):
            if given is None:
                continue
            if not isinstance(given, Mapping):
                wrong.append(f"{what}s: {type(given).__name__}, where arrays by name are expected")
                continue
            if not allow_missing:
                wrong += [f"{what} {printable(n)} is not presented" for n in sorted(mine) if n not in given]
            for name, value in given.items():
                if name in left_off:
                    passed_over.append(printable(name))
                elif name not in mine:
                    wrong += [] if allow_extra or name in known else [f"{what} {printable(name)}: unknown"]
                elif (found := misfit(value, mine[name])) is not None:
                    wrong.append(f"{what} {printable(name)}: {found}")
        return wrong, passed_over

    def _inputs(self) -> set[str]:
        return {*self._data_names, *self._label_names, *self._state_names}

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters; with `allow_missing`, the others stay as they are."""
        if not allow_missing:
            self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._check(arg_params, aux_params, allow_missing, allow_extra)
        self._exec_group.set_params(arg_params or {}, aux_params or {}, allow_extra=allow_extra)
        self._params_dirty, self.params_initialized = True, True

    def _sync_params_from_devices(self) -> None:
        self._exec_group.get_params(self._arg_params, self._aux_params)
        if self._kvstore and self._update_on_kvstore:
            for name, value in sorted(self._arg_params.items()):
                if value.stype == "row_sparse":
                    rows = nd.arange(0, value.shape[0], dtype="int64")
                    self._kvstore.row_sparse_pull(name, value, row_ids=rows)
        self._params_dirty = False

    # ---- binding

    def _reset_bind(self) -> None:
        self.binded = False
        self._exec_group = self._data_shapes = self._label_shapes = None

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
        """Make executors for batches of these shapes.

        Args:
            data_shapes: descriptions of the data, or pairs (name, shape).
            label_shapes: those of the labels.
            for_training: whether gradients are wanted.
            inputs_need_grad: whether those of the data are.
            force_rebind: whether it is bound anew.
            shared_module: a module whose parameters are shared.
            grad_req: "write", "add" or "null": for all, in order, or by name.

        Raises:
            ValueError: names that are not the module's.
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        before = dict(vars(self))
        self._reset_bind()
        try:
            self._bind(data_shapes, label_shapes, for_training, inputs_need_grad, shared_module, grad_req)
        except BaseException:
            vars(self).update(before)  # what was bound goes on
            raise

    def _bind(
        self,
        data_shapes: Any,
        label_shapes: Any,
        for_training: bool,
        inputs_need_grad: bool,
        shared_module: Any,
        grad_req: Any,
    ) -> None:
        if inputs_need_grad and not for_training:
            raise ModuleStateError("inputs_need_grad needs for_training")
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        names = self.data_names, self.label_names
        self._data_shapes, self._label_shapes = parse_data_desc(*names, data_shapes, label_shapes)
        group = None
        if shared_module is not None:
            if not (isinstance(shared_module, Module) and shared_module.binded and shared_module.params_initialized):
                raise ModuleStateError("shared_module is not bound, or its parameters are not initialized")
            group = shared_module._exec_group
        self._exec_group = DataParallelExecutorGroup(
            self._symbol,
            self._context,
            self._work_load_list,
            self._data_shapes,
            self._label_shapes,
            self._param_names,
            for_training,
            inputs_need_grad,
            group,
            logger=self.logger,
            fixed_param_names=self._fixed_param_names,
            grad_req=grad_req,
            group2ctxs=self._group2ctxs,
            state_names=self._state_names,
        )
        self._take_params(shared_module)
        if shared_module is not None and shared_module.optimizer_initialized:
            self.borrow_optimizer(shared_module)
        self.binded = True

    def _take_params(self, shared_module: Any) -> None:
        group = self._exec_group
        if shared_module is not None:
            self.params_initialized = True
            self._arg_params, self._aux_params = shared_module._arg_params, shared_module._aux_params
        elif self.params_initialized:
            group.set_params(self._arg_params, self._aux_params)
        else:
            self._arg_params = {
                n: nd.zeros(x[0].shape, dtype=x[0].dtype, stype=x[0].stype)
                for n, x in zip(self._param_names, group.param_arrays, strict=True)
            }
            self._aux_params = {
                n: nd.zeros(x[0].shape, dtype=x[0].dtype)
                for n, x in zip(self._aux_names, group.aux_arrays, strict=True)
            }

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Take batches of other shapes."""
        self._require("binded")
        names = self.data_names, self.label_names
        shapes = parse_data_desc(*names, data_shapes, label_shapes)
        self._exec_group.reshape(*shapes)
        self._data_shapes, self._label_shapes = shapes

    # ---- the optimizer

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer.

        Args:
            kvstore: how gradients of several devices meet: a store or its name.
            optimizer: an optimizer or its name.
            optimizer_params: its settings; `rescale_grad` is 1 / batch size where not given.
            force_init: whether it is made anew.

        Raises:
            MXNetError: settings, a store or states that do not serve; what was there before goes on.
        """
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        if self._params_dirty:
            self._sync_params_from_devices()
        before, held = dict(vars(self)), None
        if isinstance(kvstore, kvs.KVStore):
            held = {**vars(kvstore), "_values": dict(kvstore._values)}
        try:
            self._init_optimizer(kvstore, optimizer, optimizer_params)
        except BaseException:
            # states that cannot be read, or a store that fails: the next call begins anew
            vars(self).update(before)
            if held is not None:
                vars(kvstore).update(held)
            raise

    def _init_optimizer(self, kvstore: Any, optimizer: Any, optimizer_params: Any) -> None:
        group, devices = self._exec_group, len(self._context)
        store, on_store = kvs.for_devices(kvstore, devices, self._arg_params)
        batch_size = group.batch_size
        if store and "dist" in store.type and "_sync" in store.type:
            batch_size *= store.num_workers
        names = group.param_names
        idx2name = {i * (1 if on_store else devices) + k: n for i, n in enumerate(names) for k in range(devices)}
        if on_store:
            idx2name = dict(enumerate(names))
        self._optimizer = self._made(optimizer, optimizer_params, 1.0 / batch_size, idx2name)
        self._kvstore, self._update_on_kvstore, self._updater = store, on_store, None
        if store:
            if self._compression_params:
                store.set_gradient_compression(self._compression_params)
            if on_store:
                store.set_optimizer(self._optimizer)
            kvs.initialize(store, group.param_arrays, self._arg_params, names, on_store)
        if not on_store:
            self._updater = opt.get_updater(self._optimizer)
        self.optimizer_settings = settings(self._optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def _made(self, optimizer: Any, params: Any, rescale: float, idx2name: dict[int, str]) -> Any:
        if isinstance(optimizer, str):
            settings = {"rescale_grad": rescale, **dict(params)}
            return opt.create(optimizer, sym=self.symbol, param_idx2name=idx2name, **settings)
        if not isinstance(optimizer, opt.Optimizer):
            raise ModuleStateError("an optimizer or its name is needed", found=type(optimizer).__name__)
        if optimizer.rescale_grad != rescale:
            warnings.warn(
                "Optimizer created manually outside Module but rescale_grad is not normalized to"
                f" 1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale}). Is this intended?",
                stacklevel=3,
            )
        optimizer.idx2name = optimizer.idx2name or dict(idx2name)
        return optimizer

    def borrow_optimizer(self, shared_module: Any) -> None:
        """Use the optimizer of another module."""
        shared_module._require("optimizer_initialized")
        self._optimizer, self._kvstore = shared_module._optimizer, shared_module._kvstore
        self._update_on_kvstore, self._updater = shared_module._update_on_kvstore, shared_module._updater
        self.optimizer_settings = shared_module.optimizer_settings
        self.optimizer_initialized = True

    def update(self) -> None:
        """Change parameters by their gradients.

        Where an optimizer, a schedule or a store of the program's own raises, nothing is changed.
        """
        self._require("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        group, store = self._exec_group, self._kvstore
        rows = zip(group.param_names, group.param_arrays, group.grad_arrays, strict=True)
        pairs = [(i, n, ws, gs) for i, (n, ws, gs) in enumerate(rows) if gs[0] is not None]
        optimizer = self._optimizer
        if foreign(optimizer, getattr(optimizer, "lr_scheduler", None), store):
            with whole(optimizer, self._updater, store, [(ws, gs) if store else ws for *_, ws, gs in pairs]):
                self._step(pairs)
        else:
            self._step(pairs)

    def _step(self, pairs: list[tuple[int, str, list[Any], list[Any]]]) -> None:
        if self._kvstore:
            for i, name, weights, grads in pairs:
                kvs.exchange(self._kvstore, name, weights, grads, i, self._update_on_kvstore)
        if self._update_on_kvstore:
            return
        devices = len(self._context)
        for k in range(devices):
            indices = [i * devices + k for i, *_ in pairs]
            self._updater(indices, [gs[k] for *_, gs in pairs], [ws[k] for _, _, ws, _ in pairs])

    # ---- running

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch; one of another shape reshapes the executors."""
        self._require("binded", "params_initialized")
        several = isinstance(data_batch, list)
        first = data_batch[0] if several else data_batch
        if several:
            shapes = [(len(data_batch) * x.shape[0], *x.shape[1:]) for x in first.data]
        else:
            shapes = shapes_of(data_batch, self._data_shapes, self._label_shapes)
        if shapes != [tuple(d.shape) for d in self._data_shapes]:
            self.reshape(*self._new_shapes(first, shapes))
        self._exec_group.forward(data_batch, is_train)

    def _new_shapes(self, batch: Any, shapes: Sequence[tuple[int, ...]]) -> tuple[Any, Any]:
        data = getattr(batch, "provide_data", None) or [
            DataDesc(d.name, s, d.dtype, d.layout) for d, s in zip(self._data_shapes, shapes, strict=True)
        ]
        labels = getattr(batch, "provide_label", None)
        if not labels and getattr(batch, "label", None):
            labels = [
                DataDesc(d.name, x.shape, d.dtype, d.layout)
                for d, x in zip(self._label_shapes or [], batch.label, strict=False)
            ]
        if not labels and self._label_shapes:
            # predictions of another batch size come without labels: their places follow
            old, new = self._data_shapes[0].shape[0], shapes[0][0]
            labels = [
                DataDesc(d.name, (new, *d.shape[1:]) if d.shape[:1] == (old,) else d.shape, d.dtype, d.layout)
                for d in self._label_shapes
            ]
        return data, labels or None

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients."""
        self._require("binded", "params_initialized")
        self._exec_group.backward(out_grads=out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last batch."""
        self._require("binded", "params_initialized")
        return self._exec_group.get_outputs(merge_multi_context=merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the last batch's data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        return self._exec_group.get_input_grads(merge_multi_context=merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states of each device."""
        self._require("binded", "params_initialized")
        return self._exec_group.get_states(merge_multi_context=merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states, to arrays or to one value."""
        self._require("binded", "params_initialized")
        self._exec_group.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric."""
        self._exec_group.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch every executor."""
        self._require("binded")
        self._exec_group.install_monitor(mon)

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Fetch the rows of sparse parameters that a batch needs.

        Args:
            data_batch: the batch.
            sparse_row_id_fn: batch -> rows that it needs, by parameter.
        """
        self._require("binded")
        if sparse_row_id_fn is None:
            return
        if not self._kvstore or not self._update_on_kvstore:
            warnings.warn(
                UserWarning("Parameters are not updated in the KVStore. No need to call sparse_row_id_fn."),
                stacklevel=2,
            )
            return
        wanted = sparse_row_id_fn(data_batch)
        if not isinstance(wanted, Mapping):
            raise ModuleStateError("Expected dict output from sparse_row_id_fn", found=type(wanted).__name__)
        for name, rows in wanted.items():
            place = self._exec_group.param_names.index(name)
            arrays = self._exec_group.param_arrays[place]
            if arrays[0].stype == "row_sparse":
                self._kvstore.row_sparse_pull(name, arrays, row_ids=rows, priority=-place)
            else:
                warnings.warn(
                    UserWarning(f"{name}.stype is not 'row_sparse'. No need to perform row_sparse_pull."), stacklevel=2
                )
