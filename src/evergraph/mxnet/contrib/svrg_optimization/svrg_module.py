"""`SVRGModule`: a Module that trains by stochastic variance-reduced gradients.

Every few epochs it keeps a copy of the weights and the gradient over all data there. Each step then follows
gradient(weights) - gradient(copy) + gradient over all data (Johnson and Zhang, 2013).
"""

import logging
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.context import cpu
from evergraph.mxnet.kvstore import KVStore
from evergraph.mxnet.module import Module

__all__ = ["SVRGModule"]


class _FrequencyError(UsageError, TypeError):
    """A frequency that is no whole number."""


class SVRGModule(Module):
    """A Module that trains by stochastic variance-reduced gradients.

    As in MXNet 1.9.1 the gradients over all data add to a share of the last ones, 1 / number of batches, where the
    method would start from zero. Over several processes they are averaged, so that each step stays unbiased, and the
    first step on several devices starts from the weights, where MXNet's starts from zeros. Training states hold the
    copy and the gradients over all data: `fit(checkpoint=...)` goes on to the bit.

    Args:
        symbol: the network with its loss.
        data_names: inputs that data fills.
        label_names: inputs that labels fill.
        logger: where `fit` writes.
        context: a device, or a list of them.
        work_load_list: the share of each device.
        fixed_param_names: parameters that are not trained.
        state_names: inputs that keep their values between batches.
        group2ctxs: devices of `ctx_group` attributes.
        compression_params: how gradients are compressed between devices.
        update_freq: after how many epochs the gradient over all data is computed again.

    Raises:
        TypeError: update_freq is no int.
        ValueError: it is not positive.
    """

    def __init__(
        self,
        symbol: Any,
        data_names: Any = ("data",),
        label_names: Any = ("softmax_label",),
        logger: Any = logging,
        context: Any = None,
        work_load_list: Any = None,
        fixed_param_names: Any = None,
        state_names: Any = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
        update_freq: int | None = None,
    ) -> None:
        context = cpu() if context is None else context
        rest = (logger, context, work_load_list, fixed_param_names, state_names, group2ctxs, compression_params)
        super().__init__(symbol, data_names, label_names, *rest)
        if not isinstance(update_freq, int):
            raise _FrequencyError("update_freq says after how many epochs", expected="an int", found=repr(update_freq))
        if update_freq <= 0:
            raise UsageError("update_freq must be positive", found=update_freq)
        self.update_freq = update_freq
        self._mod_aux = Module(symbol, data_names, label_names, *rest)
        self._param_dict: list[dict[str, Any]] = []
        self._ctx_len = len(self._context)

    def _reset_bind(self) -> None:
        super()._reset_bind()
        self._mod_aux._reset_bind()

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Take other shapes of inputs, in both copies."""
        super().reshape(data_shapes, label_shapes)
        self._mod_aux.reshape(data_shapes, label_shapes)

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
        """Make executors for shapes of inputs; for training also those of the copy."""
        rest = (for_training, inputs_need_grad, force_rebind)
        super().bind(data_shapes, label_shapes, *rest, shared_module, grad_req)
        if for_training:
            shared = getattr(shared_module, "_mod_aux", shared_module)
            self._mod_aux.bind(data_shapes, label_shapes, *rest, shared, grad_req)

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer, and room for the gradients over all data."""
        if not self.optimizer_initialized or force_init:
            values = self.get_params()[0]
            self._param_dict = [
                {name: nd.zeros(value.shape, ctx=ctx, dtype=value.dtype) for name, value in values.items()}
                for ctx in self._context
            ]
        super().init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_settings = {**self.optimizer_settings, "update_freq": self.update_freq}

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs; in training also the copy's."""
        super().forward(data_batch, is_train)
        if self.for_training if is_train is None else is_train:
            self._mod_aux.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients, and the copy's."""
        super().backward(out_grads)
        if self._mod_aux.binded:
            self._mod_aux.backward(out_grads)

    def update(self) -> None:
        """Change the weights by gradients of less variance."""
        self._update_svrg_gradients()
        super().update()

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Make both copies ready for a batch."""
        super().prepare(data_batch, sparse_row_id_fn)
        self._mod_aux.prepare(data_batch, sparse_row_id_fn)

    def _gradients(self, module: Module) -> Any:
        """(parameter, device, gradient) of everything that has one."""
        group = module._exec_group
        for name, arrays in zip(group.param_names, group.grad_arrays, strict=True):
            for device, grad in enumerate(arrays):
                if grad is not None:
                    yield name, device, grad

    def _update_svrg_gradients(self) -> None:
        pairs = zip(self._gradients(self), self._gradients(self._mod_aux), strict=True)
        for (name, device, grad), (_, _, before) in pairs:
            grad -= before
            grad += self._param_dict[device][name]

    def update_full_grads(self, train_data: Any) -> None:
        """Copy the weights, and compute the gradient there over all of the data.

        Args:
            train_data: batches; it is reset first, and is at its end afterwards.
        """
        train_data.reset()
        self._compute_full_grads(train_data)

    def _compute_full_grads(self, train_data: Any) -> None:
        self._mod_aux.set_params(*self.get_params())
        count, pad, size = 0, 0, 1
        for batch in train_data:
            self._mod_aux.forward(batch, is_train=True)
            self._mod_aux.backward()
            for name, device, grad in self._gradients(self._mod_aux):
                self._param_dict[device][name] += grad
            count, pad = count + 1, batch.pad or 0
            size = batch.data[0].shape[0]
        if not count:
            raise UsageError("the training data gives no batch", fix="reset it, or give at least a batch of samples")
        names = {name for name, _, _ in self._gradients(self._mod_aux)}
        for name in sorted(names):
            for one in self._param_dict:
                one[name] /= count - pad / size
            if self._kvstore:
                self._share(name)

    def _share(self, name: str) -> None:
        """Give each device its part of the gradient over all devices and processes."""
        own = [one[name] for one in self._param_dict]
        store = self._kvstore
        total = store._reduced(f"{name}_full", own) if isinstance(store, KVStore) else nd.add_n(*own)
        parts = self._ctx_len * getattr(store, "num_workers", 1)
        for one in self._param_dict:
            one[name] = total.as_in_context(one[name].context) / parts

    def kept_arrays(self) -> dict[str, list[Any]]:
        """The copy of the weights, and the gradients over all data."""
        group = self._mod_aux._exec_group
        rows = {f"copy:{n}": row for n, row in zip(group.param_names, group.param_arrays, strict=True)}
        rows |= {f"copy:{n}": row for n, row in zip(group.aux_names, group.aux_arrays, strict=True)}
        full = {f"full:{name}": [one[name] for one in self._param_dict] for name in self._param_dict[0]}
        return {name: list(row) for name, row in (rows | full).items()}

    def expect_kept_arrays(self) -> None:
        """Give the copy values, which the state's then replace."""
        self._mod_aux.set_params(*self.get_params())

    def _epoch(
        self,
        epoch: int,
        train_data: Any,
        eval_metric: Any,
        batch_end_callback: Any,
        run: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        # an epoch that goes on from its middle has the gradients that it began with
        if epoch % self.update_freq == 0 and not run.batch:
            run.reset(train_data)
            self._compute_full_grads(train_data)
            run.reset(train_data)
        return super()._epoch(epoch, train_data, eval_metric, batch_end_callback, run, *args, **kwargs)
