"""A symbol on one or several devices: batches are sliced, gradients stay with their device, outputs are merged."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.fitting import misfit
from evergraph.mxnet.io import DataDesc
from evergraph.mxnet.ndarray.tables import _DTYPE_MX_TO_NP
from evergraph.mxnet.undo import whole

__all__ = ["DataParallelExecutorGroup", "split_input_slice"]


class _GroupError(UsageError, AssertionError, ValueError):
    """Devices, batches or requests that do not fit together."""


def split_input_slice(batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """The part of a batch for each device, in proportion to its share of the work.

    Raises:
        ValueError: more devices than samples.

    >>> split_input_slice(10, [1, 3])
    [slice(0, 2, None), slice(2, 10, None)]
    """
    total = sum(work_load_list)
    sizes = [round(work * batch_size / total) for work in work_load_list]
    if sum(sizes) < batch_size:
        sizes[-1] += batch_size - sum(sizes)
    found, begin = [], 0
    for size in sizes:
        end = int(min(begin + size, batch_size))
        if begin >= end:
            raise _GroupError("Too many slices: a device gets no sample", expected=f"at most {batch_size} devices")
        found.append(slice(begin, end))
        begin = end
    return found


def _contexts_by_group(given: Any, number: int) -> list[dict[str, Context] | None]:
    """The context of each `ctx_group` on each device."""
    if given is None:
        return [None] * number
    if isinstance(given, list):
        if len(given) != number:
            raise _GroupError("group2ctxs has another length than contexts", expected=number, found=len(given))
        return given
    if not isinstance(given, Mapping):
        raise _GroupError("group2ctxs is a list of dicts, or a dict of contexts", found=type(given).__name__)
    found: list[dict[str, Context] | None] = [{} for _ in range(number)]
    for key, value in given.items():
        several = [value] * number if isinstance(value, Context) else list(value) * (number if len(value) == 1 else 1)
        if len(several) != number:
            raise _GroupError(f"group2ctxs[{key}] has another length", expected=f"1 or {number}", found=len(several))
        for table, ctx in zip(found, several, strict=True):
            if table is not None:
                table[key] = ctx
    return found


class DataParallelExecutorGroup:
    """Executors of one symbol, one for each device.

    Args:
        symbol: what is computed.
        contexts: the devices.
        workload: each device's share of a batch.
        data_shapes, label_shapes: descriptions of a whole batch.
        param_names: arguments that are parameters.
        for_training: whether gradients are wanted.
        inputs_need_grad: whether those of the data are.
        shared_group: a group whose parameters are shared.
        logger: where it logs.
        fixed_param_names: parameters without gradients.
        grad_req: "write", "add" or "null": for all, in order, or by name.
        state_names: arguments that are states, set by `set_states`.
        group2ctxs: context of each `ctx_group`.
    """

    def __init__(
        self,
        symbol: Any,
        contexts: Sequence[Context],
        workload: Sequence[float],
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None,
        param_names: Sequence[str],
        for_training: bool,
        inputs_need_grad: bool,
        shared_group: "DataParallelExecutorGroup | None" = None,
        logger: Any = logging,
        fixed_param_names: Sequence[str] | None = None,
        grad_req: Any = "write",
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
    ) -> None:
        self.symbol, self.contexts, self.workload, self.logger = symbol, list(contexts), workload, logger
        self.param_names = list(param_names)
        self.arg_names, self.aux_names = symbol.list_arguments(), symbol.list_auxiliary_states()
        self.output_names = symbol.list_outputs()
        self.num_outputs = len(self.output_names)
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self.fixed_param_names, self.state_names = list(fixed_param_names or []), list(state_names or [])
        self.group2ctxs = _contexts_by_group(group2ctxs, len(self.contexts))
        self._total_exec_bytes = 0
        data = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in data_shapes]
        self.grad_req = self._requests("null" if not for_training else grad_req, [d.name for d in data])
        shared = None if shared_group is None else shared_group
        self.shared_data_arrays = [{} for _ in self.contexts] if shared is None else shared.shared_data_arrays
        layouts = [self.symbol[i].attr("__layout__") for i in range(self.num_outputs)]
        self.output_layouts = [DataDesc.get_batch_axis(layout) for layout in layouts]
        self.execs: list[Any] = []
        self._default_execs: list[Any] | None = None
        self.batch_size: int = 0
        self.slices: list[slice] = []
        self.bind_exec(data, _described(label_shapes), shared)

    def _requests(self, given: Any, data_names: Sequence[str]) -> dict[str, str]:
        if isinstance(given, (list, tuple)):
            if len(given) != len(self.arg_names):
                raise _GroupError("grad_req has another length than arguments", expected=len(self.arg_names))
            return dict(zip(self.arg_names, given, strict=True))
        if not isinstance(given, (str, Mapping)):
            raise _GroupError("grad_req must be one of str, list, tuple, or dict.", found=type(given).__name__)
        usual = given if isinstance(given, str) else "write"
        parameters, data = set(self.param_names) - set(self.fixed_param_names), set(data_names)
        found = {
            n: usual if n in parameters or (n in data and self.inputs_need_grad) else "null" for n in self.arg_names
        }
        if isinstance(given, str):
            return found
        unknown = [f"{printable(n)}: no argument" for n in given if n not in found]
        collect(_GroupError, "grad_req names what the symbol does not have", unknown, expected=", ".join(found))
        return {**found, **given}

    # ---- binding

    def bind_exec(
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None,
        shared_group: Any = None,
        reshape: bool = False,
    ) -> None:
        """Make the executors, or reshape those that are there."""
        self.batch_size, self.slices = 0, []
        self.data_layouts = self.decide_slices(data_shapes)
        self.label_layouts = self.decide_slices(label_shapes) if label_shapes else []
        for i in range(len(self.contexts)):
            data = self._sliced(data_shapes, i, self.data_layouts)
            labels = self._sliced(label_shapes or [], i, self.label_layouts)
            if reshape:
                shapes = {d.name: d.shape for d in (*data, *labels)}
                first = (self._default_execs or self.execs)[i]
                self.execs[i] = first.reshape(allow_up_sizing=True, partial_shaping=True, **shapes)
            else:
                self.execs.append(self._bind(i, data, labels, shared_group))
        self.data_shapes, self.label_shapes = list(data_shapes), label_shapes
        self.data_names = [d.name for d in data_shapes]
        self.label_names = [d.name for d in label_shapes or []]
        self._collect()

    def decide_slices(self, data_shapes: Sequence[Any]) -> list[int]:
        """The batch axis of each input; all batches must be of one size."""
        axes = [DataDesc.get_batch_axis(d.layout) for d in data_shapes]
        wrong = []
        for each, axis in zip(data_shapes, axes, strict=True):
            if axis == -1:
                continue
            size = each.shape[axis]
            if not self.batch_size:
                self.batch_size, self.slices = size, split_input_slice(size, self.workload)
            elif size != self.batch_size:
                wrong.append(f"{printable(each.name)}: shape {tuple(each.shape)}")
        collect(_GroupError, "all data must have the same batch size", wrong, expected=self.batch_size)
        return axes

    def _sliced(self, shapes: Sequence[Any], i: int, axes: Sequence[int]) -> list[Any]:
        found = []
        for each, axis in zip(shapes, axes, strict=True):
            shape = list(each.shape)
            if axis >= 0:
                shape[axis] = self.slices[i].stop - self.slices[i].start
            found.append(DataDesc(each.name, tuple(shape), each.dtype, each.layout))
        return found

    def _bind(self, i: int, data: Sequence[Any], labels: Sequence[Any], shared_group: Any) -> Any:
        attributes = self.symbol.attr_dict()
        known = set(self.symbol.list_inputs())
        types: dict[str, Any] = {}
        for each in data:
            stated = attributes.get(each.name, {}).get("__dtype__", "-1")
            types[each.name] = each.dtype if stated == "-1" else _DTYPE_MX_TO_NP[int(stated)]
        types.update({d.name: d.dtype for d in labels})
        return self.symbol.simple_bind(
            ctx=self.contexts[i],
            grad_req=self.grad_req,
            type_dict={n: t for n, t in types.items() if n in known},
            shared_arg_names=self.param_names,
            shared_exec=None if shared_group is None else shared_group.execs[i],
            group2ctx=self.group2ctxs[i],
            shared_buffer=self.shared_data_arrays[i],
            **{d.name: d.shape for d in (*data, *labels) if d.name in known},
        )

    def _collect(self) -> None:
        places = {n: i for i, n in enumerate(self.arg_names)}
        slices = self.slices or [slice(i, i + 1) for i in range(len(self.execs))]

        def by_device(name: str) -> list[tuple[slice, Any]]:
            return [(s, e.arg_arrays[places[name]]) for s, e in zip(slices, self.execs, strict=True)]

        self.data_arrays = [by_device(n) for n in self.data_names if n in places]
        self.label_arrays = [by_device(n) if n in places else [] for n in self.label_names]
        self.state_arrays = [[e.arg_arrays[places[n]] for e in self.execs] for n in self.state_names]
        parameters = [i for i, n in enumerate(self.arg_names) if n in set(self.param_names)]
        self.param_arrays = [[e.arg_arrays[i] for e in self.execs] for i in parameters]
        self.grad_arrays = [[e.grad_arrays[i] for e in self.execs] for i in parameters] if self.for_training else []
        self.input_grad_arrays = [
            [e.grad_arrays[places[n]] for e in self.execs] for n in self.data_names if self.inputs_need_grad
        ]
        self.aux_arrays = [[e.aux_arrays[i] for e in self.execs] for i in range(len(self.aux_names))]

    def reshape(self, data_shapes: Sequence[Any], label_shapes: Sequence[Any] | None) -> None:
        """Take batches of other shapes; parameters are shared."""
        if data_shapes == self.data_shapes and label_shapes == self.label_shapes:
            return
        before = dict(vars(self))
        self.execs = list(self.execs)
        if self._default_execs is None:
            self._default_execs = list(self.execs)
        try:
            self.bind_exec(data_shapes, label_shapes, reshape=True)
            self._require_same_shapes(before)
        except BaseException:
            vars(self).update(before)  # nothing is half reshaped
            raise

    def _require_same_shapes(self, before: dict[str, Any]) -> None:
        """A batch that would need other parameters fits no network that has been trained."""
        wrong = []
        for names, kind in ((self.param_names, "param_arrays"), (self.aux_names, "aux_arrays")):
            for name, old, new in zip(names, before[kind], getattr(self, kind), strict=True):
                if tuple(old[0].shape) != tuple(new[0].shape):
                    wrong.append(f"{printable(name)}: {tuple(old[0].shape)} is there, {tuple(new[0].shape)} needed")
        shapes = ", ".join(f"{d.name} {tuple(d.shape)}" for d in self.data_shapes)
        collect(
            _GroupError,
            "a batch of these shapes needs parameters of other shapes; nothing was changed",
            wrong,
            found=shapes,
            expected=", ".join(f"{d.name} {tuple(d.shape)}" for d in before["data_shapes"]),
            fix="give batches that differ in the size of the batch only, or bind anew with force_rebind=True",
        )

    # ---- parameters

    def set_params(
        self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any], allow_extra: bool = False
    ) -> None:
        """Copy parameters to every device."""
        for each in self.execs:
            each.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def get_params(self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
        """Copy the devices' mean into these arrays."""
        for names, blocks, targets in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks, strict=True):
                mean: Any = block[0]
                if len(block) > 1:
                    total: Any = sum((w.copyto(cpu()) for w in block[1:]), block[0].copyto(cpu()))
                    mean = total / len(block)
                mean.astype(targets[name].dtype, copy=False).copyto(targets[name])

    # ---- running

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch, or a list of batches, one for each device."""
        several = isinstance(data_batch, list)
        _load(
            [b.data for b in data_batch] if several else data_batch.data, self.data_arrays, self.data_layouts, several
        )
        if self.label_arrays:  # a batch for prediction may have no attribute `label`
            labels = [b.label for b in data_batch] if several else data_batch.label
            if labels and (not several or labels[0]):
                _load(labels, self.label_arrays, self.label_layouts, several)
        train = self.for_training if is_train is None else is_train
        for each in self.execs:
            each.forward(is_train=train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients on every device.

        Raises:
            AssertionError: the group is not bound for training.
        """
        if not self.for_training:
            raise _GroupError("re-bind with for_training=True to run backward")
        heads = [out_grads] if isinstance(out_grads, nd.NDArray) else list(out_grads or [])
        for i, (each, part) in enumerate(zip(self.execs, self.slices, strict=True)):
            mine = []
            for grad, axis in zip(heads, self.output_layouts, strict=False):
                whole = axis < 0 or len(self.execs) == 1
                found = grad if whole else nd.slice_axis(grad, axis=axis, begin=part.start, end=part.stop)
                mine.append(found.as_in_context(self.contexts[i]))
            each.backward(out_grads=mine)

    def get_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each output of a whole batch."""
        found = []
        for name, out, axis in zip(self.output_names, self.execs[0].outputs, self.output_layouts, strict=True):
            shape = list(out.shape)
            if axis >= 0 and shape:
                shape[axis] = self.batch_size
            found.append((name, tuple(shape)))
        return found

    def get_outputs(self, merge_multi_context: bool = True, begin: int = 0, end: int | None = None) -> list[Any]:
        """The outputs, merged along the batch, or a list for each output with those of each device."""
        found = [[e.outputs[i] for e in self.execs] for i in range(begin, self.num_outputs if end is None else end)]
        return _merged(found, self.output_layouts[begin:]) if merge_multi_context else found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The data's gradients, merged along the batch, or those of each device."""
        if not self.inputs_need_grad:
            raise _GroupError("re-bind with inputs_need_grad=True to have the data's gradients")
        return _merged(self.input_grad_arrays, self.data_layouts) if merge_multi_context else self.input_grad_arrays

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states of each device.

        Raises:
            AssertionError: they are to be merged.
        """
        if merge_multi_context:
            raise _GroupError("merge_multi_context=True is not supported for get_states yet.")
        return self.state_arrays

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states, to arrays or to one value.

        Raises:
            AssertionError: both are given, or neither.
        """
        if (states is None) == (value is None):
            raise _GroupError("one of states & value must be specified.")
        if states is not None:
            _require_states(self.state_names, self.state_arrays, states)
        with whole(self.state_arrays):
            for i, targets in enumerate(self.state_arrays):
                for k, target in enumerate(targets):
                    target[:] = value if states is None else states[i][k]

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs, by name, to a metric."""
        for i, (each, part) in enumerate(zip(self.execs, self.slices, strict=True)):
            if pre_sliced:
                mine = labels[i]
            elif len(self.execs) == 1:
                mine = labels
            else:
                mine = [
                    x if axis < 0 else nd.slice_axis(x, axis=axis, begin=part.start, end=part.stop)
                    for x, axis in zip(labels, self.label_layouts, strict=False)
                ]
            named = dict(zip(self.label_names, mine or [], strict=False))
            eval_metric.update_dict(named, dict(zip(self.output_names, each.outputs, strict=True)))

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch every executor."""
        for each in self.execs:
            mon.install(each)


def _require_states(names: Sequence[str], arrays: Sequence[Sequence[Any]], states: Any) -> None:
    """Refuse states that are not an array for each device of each state; all that is wrong is told."""
    wrong = []
    if not isinstance(states, (list, tuple)) or len(states) != len(arrays):
        found = f"{len(states)} rows" if isinstance(states, (list, tuple)) else type(states).__name__
        wrong.append(f"{len(arrays)} states are kept, and {found} given")
    else:
        for name, targets, row in zip(names, arrays, states, strict=True):
            if not isinstance(row, (list, tuple)) or len(row) != len(targets):
                wrong.append(f"{printable(name)}: a list of {len(targets)} arrays is expected, one for each device")
                continue
            told = (misfit(value, target) for value, target in zip(row, targets, strict=True))
            wrong += [f"{printable(name)}, device {k}: {each}" for k, each in enumerate(told) if each is not None]
    collect(_GroupError, "the states do not fit the network; nothing was changed", wrong)


def _described(shapes: Sequence[Any] | None) -> list[Any] | None:
    return None if shapes is None else [x if isinstance(x, DataDesc) else DataDesc(*x) for x in shapes]


def _load(sources: Any, targets: Sequence[Any], axes: Sequence[int], several: bool) -> None:
    """Copy a batch's arrays into the devices' arrays."""
    for number, (parts, axis) in enumerate(zip(targets, axes, strict=False)):
        for place, (part, target) in enumerate(parts):
            source = sources[place][number] if several else sources[number]
            if several or axis < 0 or len(parts) == 1:
                _copy(source, target)
            else:
                _copy(nd.slice_axis(source, axis=axis, begin=part.start, end=part.stop), target)


def _copy(source: Any, target: Any) -> None:
    if isinstance(source, nd.NDArray) and source.stype == target.stype == "default" and source.shape == target.shape:
        target._data.copy_(source._data)
    elif isinstance(source, nd.NDArray):
        source.copyto(target)
    else:
        target[:] = source


def _merged(outputs: Sequence[Sequence[Any]], axes: Sequence[int]) -> list[Any]:
    found = []
    for arrays, axis in zip(outputs, axes, strict=False):
        if len(arrays) == 1 or axis < 0:
            found.append(arrays[0])
        else:
            found.append(nd.concat(*(a.as_in_context(arrays[0].context) for a in arrays), dim=axis))
    return found
