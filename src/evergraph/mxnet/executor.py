"""Executors: a symbol bound to arrays; forward and backward as MXNet runs them, on the engine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph import engine
from evergraph.errors import EvergraphError, ShapeError, UsageError, collect, printable
from evergraph.mxnet.context import Context
from evergraph.mxnet.fitting import misfit
from evergraph.mxnet.heads import needs_head_gradients
from evergraph.mxnet.ndarray import sparse as sparse_arrays
from evergraph.mxnet.ndarray.base import Array, wrap
from evergraph.mxnet.ndarray.creation import array, zeros
from evergraph.mxnet.random_streams import generator
from evergraph.ops.sparse import is_sparse
from evergraph.passes.shapes import infer_shapes
from evergraph.passes.types import infer_types
from evergraph.tensors import dtype as element_type

__all__ = ["Executor", "bind", "simple_bind"]

_REQUESTS = ("null", "write", "add", "inplace")


class _ValueError(UsageError, ValueError):
    """Arrays that do not fit the symbol."""


class _KindError(UsageError, TypeError):
    """A value of a kind that is not taken."""


class Executor:
    """A symbol bound to arrays; made by `Symbol.bind` and `Symbol.simple_bind`.

    The arrays are shared: what is written into them is seen by the next run, and gradients are written into
    `grad_arrays`. Auxiliary states change when a gradient passes, as in MXNet.

    Args:
        symbol: what is computed.
        ctx: its device.
        arguments: an array for each argument, in order.
        gradients: an array for each argument's gradient, None where there is none.
        requests: "write", "add" or "null" for each argument.
        states: an array for each auxiliary state, in order.
        groups: context of each `ctx_group`.

    >>> import evergraph.mxnet as mx
    >>> run = (mx.sym.Variable("x") * 2).bind(mx.cpu(), {"x": mx.nd.array([1, 2])})
    >>> run.forward()[0].asnumpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Context,
        arguments: Sequence[Any],
        gradients: Sequence[Any],
        requests: Sequence[str],
        states: Sequence[Any],
        groups: Mapping[str, Context] | None = None,
    ) -> None:
        self._symbol, self._ctx, self._groups = symbol, ctx, dict(groups or {})
        self.arg_arrays, self.grad_arrays, self.aux_arrays = list(arguments), list(gradients), list(states)
        self._requests = list(requests)
        self._grad_req = dict(zip(symbol.list_arguments(), requests, strict=True))
        names = symbol._signature
        self._names = names
        self._needs_heads: list[bool] | None = None
        self._monitor: Callable[[str, Any], None] | None = None
        self._monitor_all = False
        self._outputs: list[Any] | None = None
        device = ctx.torch_device
        self._run = engine.Executor(
            symbol.graph,
            [a._data for a in self.arg_arrays],
            [a._data for a in self.aux_arrays],
            gradients=[None if g is None else g._data for g in self.grad_arrays],
            requests=self._requests,
            device=device,
            groups={n: c.torch_device for n, c in self._groups.items()},
            generators={str(device): generator(ctx)},
            replace_gradients=True,
        )

    # ---- its arrays

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name."""
        return _by_name(self._names.arguments, self.arg_arrays)

    @property
    def grad_dict(self) -> dict[str, Any]:
        """Gradients by argument's name; None where there is none."""
        return _by_name(self._names.arguments, self.grad_arrays)

    @property
    def aux_dict(self) -> dict[str, Any]:
        """Auxiliary states by name."""
        return _by_name(self._names.auxiliary, self.aux_arrays)

    @property
    def output_dict(self) -> dict[str, Any]:
        """Outputs by name."""
        return _by_name(self._names.outputs, self.outputs)

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the last forward pass; zeros before the first."""
        if self._outputs is None:
            shapes, kinds = self._known_outputs()
            self._outputs = [zeros(s, self._ctx, k) for s, k in zip(shapes, kinds, strict=True)]
        return self._outputs

    def _known_outputs(self) -> tuple[list[Any], list[Any]]:
        given = {**self.arg_dict, **self.aux_dict}
        shapes = infer_shapes(self._symbol.graph, {n: a.shape for n, a in given.items()}).heads()
        types = infer_types(self._symbol.graph, {n: _type_of(a) for n, a in given.items()}).heads()
        whole = [s if s is not None and None not in s else (0,) for s in shapes]
        return whole, [t or "float32" for t in types]

    # ---- running

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[Any]:
        """Compute the outputs.

        Args:
            is_train: whether layers behave as in training, and `backward` may follow.
            kwargs: new values of arguments, by name; copied into the executor's arrays.

        Raises:
            TypeError: a name that is no argument.
            ValueError: a value of another shape.
        """
        if kwargs:
            self._feed(kwargs)
        self._refresh()
        found = self._run.forward(bool(is_train))
        contexts = self._output_contexts(len(found))
        self._outputs = [wrap(_packed(value), ctx) for value, ctx in zip(found, contexts, strict=True)]
        return self._outputs

    def _feed(self, given: Mapping[str, Any]) -> None:
        mine, wrong = self.arg_dict, []
        for name, value in given.items():
            if name not in mine:
                raise _KindError("Unknown argument", expected=", ".join(mine), found=printable(name))
            if tuple(mine[name].shape) != tuple(np.shape(value)):
                wrong.append(f"{printable(name)}: {tuple(np.shape(value))}, bound with {tuple(mine[name].shape)}")
        collect(_ValueError, "Shape not match!", wrong, fix="reshape the executor: executor.reshape(name=shape)")
        for name, value in given.items():
            if not isinstance(value, (Array, np.ndarray)):
                raise _KindError(
                    "only accept keyword argument of NDArrays and numpy.ndarray", found=type(value).__name__
                )
            mine[name][:] = value

    def _refresh(self) -> None:
        run = self._run
        run.arguments[:] = [a._data for a in self.arg_arrays]
        run.auxiliary[:] = [a._data for a in self.aux_arrays]
        storage = run.gradients
        for i, g in enumerate(self.grad_arrays):
            storage[i] = None if g is None else g._data

    def _output_contexts(self, count: int) -> list[Context]:
        if not self._groups:
            return [self._ctx] * count
        graph = self._symbol.graph
        names = (graph.nodes[source].attrs.get("__ctx_group__", "") for source, *_ in graph.heads)
        return [self._groups.get(name, self._ctx) for name in names]

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Compute the gradients of the arguments into `grad_arrays`, as their requests say.

        Args:
            out_grads: gradient of each output, an array where there is one output, or by output's name; not needed for
                loss layers.
            is_train: kept for MXNet's signature.

        Raises:
            TypeError: something that is no array.
        """
        self._refresh()
        heads = self._heads(out_grads)
        self._check_heads(heads)
        self._run.backward([None if h is None else h._data for h in heads])
        storage = self._run.gradients
        for i, mine in enumerate(self.grad_arrays):
            if mine is not None:
                # what another executor of the same arrays replaces is not to be held here
                mine._data, storage[i] = storage[i], None

    def _check_heads(self, heads: list[Any]) -> None:
        """Refuse to go backward from outputs of no loss whose gradients nobody gave."""
        if self._needs_heads is None:
            names, requests = self._names.arguments, self._requests
            trained = {n for n, request in zip(names, requests, strict=True) if request != "null"}
            self._needs_heads = needs_head_gradients(self._symbol.graph, trained)
        given = [*heads, *[None] * (len(self._needs_heads) - len(heads))]
        collect(
            _ValueError,
            "Because the last operator is not Loss function, head_gradient is required when calling backward.",
            [
                printable(name)
                for name, needed, head in zip(self._names.outputs, self._needs_heads, given, strict=False)
                if needed and head is None
            ],
            fix="give backward(out_grads) an array for each output, or pass what is minimized through mx.sym.MakeLoss"
            " and the other outputs through mx.sym.BlockGrad",
        )

    def _heads(self, given: Any) -> list[Any]:
        if given is None:
            return []
        if isinstance(given, Array):
            found = [given]
        elif isinstance(given, Mapping):
            found = [given[n] for n in self._names.outputs]
        else:
            found = list(given)
        wrong = [type(g).__name__ for g in found if g is not None and not isinstance(g, Array)]
        if wrong:
            raise _KindError("inputs must be NDArray", found=", ".join(wrong))
        return found

    def set_monitor_callback(self, callback: Callable[[str, Any], None] | None, monitor_all: bool = False) -> None:
        """Call `callback(name, array)` for every output of every node in each forward pass.

        In a backward pass it is called for the gradients that nodes give their inputs, "<node>_backward_output<i>"
        (without the number where there is one input; "<node>_backward_<input>" for MXNet's oldest operators).

        Args:
            callback: what is called; None ends it.
            monitor_all: whether inputs are shown too.
        """
        self._monitor, self._monitor_all = callback, monitor_all
        if callback is None:
            self._run.set_monitor(None)
            return
        self._run.set_monitor(lambda name, value: callback(name, wrap(_packed(value), self._ctx)), monitor_all)

    # ---- parameters, shapes

    def copy_params_from(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy values into arguments and auxiliary states.

        Args:
            arg_params: values by argument's name.
            aux_params: values by auxiliary state's name.
            allow_extra_params: whether other names are passed over.

        Raises:
            ValueError: names that the symbol does not have, or values of other shapes; all are listed.
        """
        wrong, pairs = [], []
        for what, mine, given in (
            ("argument", self.arg_dict, arg_params),
            ("auxiliary state", self.aux_dict, aux_params or {}),
        ):
            for name, value in given.items():
                if name not in mine:
                    wrong += [] if allow_extra_params else [f"{printable(name)}: no such {what}"]
                elif (found := misfit(value, mine[name])) is not None:
                    wrong.append(f"{printable(name)}: {found}")
                else:
                    pairs.append((mine[name], value))
        collect(_ValueError, "parameters do not fit the executor; nothing was copied", wrong)
        for mine_array, value in pairs:
            (value if isinstance(value, Array) else array(value)).astype(mine_array.dtype, copy=False).copyto(
                mine_array
            )

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Any) -> "Executor":
        """An executor for other input shapes; arrays whose shape stays are shared with this one, and its monitor.

        Args:
            partial_shaping: whether arrays that are not named may change their shape.
            allow_up_sizing: whether arrays may grow.
            kwargs: new shapes by argument's name.

        Raises:
            MXNetError: an array would change its shape, or grow, without leave; all are listed.
        """
        names, symbol = self._names, self._symbol
        found = infer_shapes(symbol.graph, kwargs).require()
        arguments = [found.of(i) for i in names.nodes if i not in names.states]
        states = [found.of(i) for i in names.nodes if i in names.states]
        wrong: list[str] = []
        known = dict(kwargs)

        def shaped(name: str, old: Any, shape: Any, may: bool) -> Any:
            if old is None or tuple(old.shape) == tuple(shape):
                return old
            if not (may or partial_shaping):
                wrong.append(f"{printable(name)}: {tuple(old.shape)} to {tuple(shape)}; give partial_shaping=True")
            elif old.size < int(np.prod(shape)) and not allow_up_sizing:
                wrong.append(
                    f"{printable(name)}: {tuple(old.shape)} grows to {tuple(shape)}; give allow_up_sizing=True"
                )
            return zeros(shape, old.context, old.dtype)

        rows = list(zip(names.arguments, arguments, strict=True))
        args = [shaped(n, a, s, n in known) for (n, s), a in zip(rows, self.arg_arrays, strict=True)]
        grads = [shaped(n, g, s, n in known) for (n, s), g in zip(rows, self.grad_arrays, strict=True)]
        auxes = [shaped(n, a, s, False) for n, s, a in zip(names.auxiliary, states, self.aux_arrays, strict=True)]
        collect(_ReshapeError, "arrays would change that were not named", list(dict.fromkeys(wrong)))
        made = Executor(symbol, self._ctx, args, grads, self._requests, auxes, self._groups)
        if self._monitor is not None:
            made.set_monitor_callback(self._monitor, self._monitor_all)
        return made

    def debug_str(self) -> str:
        """A listing of the symbol's nodes."""
        return self._symbol.debug_str()

    def get_optimized_symbol(self) -> Any:
        """The symbol; what the engine makes of it is no symbol."""
        return self._symbol


class _ReshapeError(ShapeError, AssertionError):
    """Shapes that may not change."""


def _packed(value: Any) -> Any:
    """A value in the order of its axes, as arrays are reshaped and written to: a transposed one is copied."""
    return value if is_sparse(value) or value.is_contiguous() else value.contiguous()


def _by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    twice = sorted({n for n in names if list(names).count(n) > 1}) if len(set(names)) < len(names) else []
    collect(_ValueError, "names stand twice, so a dictionary cannot hold them all", map(printable, twice))
    return dict(zip(names, values, strict=True))


def _type_of(found: Any) -> str:
    data = found._data
    return str(element_type(data.data.dtype if is_sparse(data) else data.dtype))


def _in_order(names: Sequence[str], given: Any, what: str, missing: bool) -> list[Any]:
    """Arrays in the order of their names.

    Raises:
        TypeError: something that is no array.
        ValueError: arrays are missing, or of another number.
    """
    if isinstance(given, Mapping):
        lost = [f"`{printable(n)}`" for n in names if n not in given]
        if lost and not missing:
            raise _ValueError(f"key {', '.join(lost)} is missing in `{what}`", found=", ".join(map(printable, given)))
        found = [given.get(n) for n in names]
    elif isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise _ValueError(
                f"Length of {what} does not match the number of arguments",
                expected=f"{len(names)}: {', '.join(names)}",
                found=len(given),
            )
        found = list(given)
    else:
        raise _KindError(
            "Only accept list of NDArrays or dict of str to NDArray", where=what, found=type(given).__name__
        )
    wrong = [n for n, a in zip(names, found, strict=True) if not isinstance(a, Array) and not (missing and a is None)]
    if wrong:
        raise _KindError("Only accept list of NDArrays or dict of str to NDArray", where=what, found=", ".join(wrong))
    return found


def _requests(names: Sequence[str], given: Any) -> list[str]:
    if isinstance(given, str):
        found = [given] * len(names)
    elif isinstance(given, Mapping):
        found = [given.get(n, "null") for n in names]
    elif isinstance(given, (list, tuple)):
        found = list(given)
    else:
        raise _KindError("grad_req is a text, a list or a dict", found=type(given).__name__)
    wrong = [r for r in found if r not in _REQUESTS]
    if wrong or len(found) != len(names):
        raise _ValueError(
            "grad_req must be in write, add, null, one for each argument", found=", ".join(map(str, found))
        )
    return ["write" if r == "inplace" else r for r in found]


def bind(
    symbol: Any,
    ctx: Any,
    args: Any,
    args_grad: Any = None,
    grad_req: Any = "write",
    aux_states: Any = None,
    group2ctx: Mapping[str, Context] | None = None,
    shared_exec: Any = None,  # noqa: ARG001
) -> Executor:
    """An executor over these arrays.

    Args:
        symbol: what is computed.
        ctx: its device.
        args: arrays of the arguments, in order or by name.
        args_grad: arrays for gradients, in order or by name; missing ones get none.
        grad_req: "write", "add" or "null": one for all, in order, or by name.
        aux_states: arrays of the auxiliary states, in order or by name.
        group2ctx: context of each `ctx_group`.
        shared_exec: kept for MXNet's signature; torch shares its memory by itself.

    Raises:
        TypeError, ValueError: arrays that do not fit.
        MXNetError: shapes or types contradict each other, at these nodes.
    """
    if not isinstance(ctx, Context):
        raise _KindError("Context type error", expected="a Context such as mx.cpu()", found=type(ctx).__name__)
    names = symbol._signature
    arguments = _in_order(names.arguments, args, "args", False)
    states = _in_order(names.auxiliary, [] if aux_states is None else aux_states, "aux_states", False)
    requests = _requests(names.arguments, grad_req)
    gradients = (
        [None] * len(arguments) if args_grad is None else _in_order(names.arguments, args_grad, "args_grad", True)
    )
    requests = ["null" if g is None else r for g, r in zip(gradients, requests, strict=True)]
    _check(symbol, names, arguments, states)
    return Executor(symbol, ctx, arguments, gradients, requests, states, group2ctx)


def _check(symbol: Any, names: Any, arguments: Sequence[Any], states: Sequence[Any]) -> None:
    """Raise where shapes or types of the arrays do not fit the symbol."""
    pairs = dict(zip((*names.arguments, *names.auxiliary), (*arguments, *states), strict=True))
    infer_shapes(symbol.graph, {n: tuple(a.shape) for n, a in pairs.items()})
    infer_types(symbol.graph, {n: _type_of(a) for n, a in pairs.items()})


class _BindError(ShapeError):
    """Shapes that remain unknown when arrays are to be made."""


def simple_bind(
    symbol: Any,
    ctx: Any,
    grad_req: Any,
    type_dict: Mapping[str, Any] | None,
    stype_dict: Mapping[str, str] | None,
    group2ctx: Mapping[str, Context] | None,
    shared_arg_names: Sequence[str] | None,
    shared_exec: Any,
    shared_buffer: dict[str, Any] | None,
    shapes: Mapping[str, Any],
) -> Executor:
    """An executor with arrays of zeros made for it.

    Args:
        symbol: what is computed.
        ctx: its device.
        grad_req: "write", "add" or "null": one for all, in order, or by name.
        type_dict: element types by name; the others follow, or are float32.
        stype_dict: storage by name, before what the variables themselves ask for.
        group2ctx: context of each `ctx_group`.
        shared_arg_names: arguments that are taken from `shared_exec`, where it has them in the same shape.
        shared_exec: an executor whose arrays are shared.
        shared_buffer: arrays by name that are used where they are large enough, and that new ones are put into.
        shapes: shapes by name.

    Raises:
        MXNetError: shapes remain unknown, or contradict each other.
    """
    names, graph = symbol._signature, symbol.graph
    try:
        known = {n.name for n in graph.variables()}  # MXNet passes over shapes of variables that are not there
        found = infer_shapes(graph, {n: tuple(s) for n, s in shapes.items() if n in known}).require()
    except EvergraphError as error:
        raise _BindError(
            f"simple_bind error: {error.what}",
            details=error.details,
            found=", ".join(f"{n}: {tuple(s)}" for n, s in shapes.items()) or "no shapes",
            fix=error.fix,
        ) from error
    given = {n: str(element_type(np.dtype(t) if not isinstance(t, str) else t)) for n, t in (type_dict or {}).items()}
    kinds = infer_types(graph, given, default="float32")
    requests = _requests(names.arguments, grad_req)
    stored = {**_storage(graph), **(stype_dict or {})}
    make = _Maker(ctx, group2ctx or {}, graph, stored, shared_exec, set(shared_arg_names or ()), shared_buffer)
    places = [i for i in names.nodes if i not in names.states]
    arguments = [make.argument(i, found.of(i), kinds.of(i)) for i in places]
    gradients = [
        None if r == "null" else make.gradient(i, a) for i, a, r in zip(places, arguments, requests, strict=True)
    ]
    states = [make.state(i, found.of(i), kinds.of(i)) for i in names.nodes if i in names.states]
    return Executor(symbol, ctx, arguments, gradients, requests, states, group2ctx)


class _Maker:
    """Makes the arrays of `simple_bind`, or takes those that are shared."""

    def __init__(
        self,
        ctx: Context,
        groups: Mapping[str, Context],
        graph: Any,
        stored: Mapping[str, str],
        shared: Any,
        shared_names: set[str],
        buffer: dict[str, Any] | None,
    ) -> None:
        self._ctx, self._groups, self._graph, self._stored = ctx, groups, graph, stored
        self._arguments = {} if shared is None else dict(zip(shared._names.arguments, shared.arg_arrays, strict=True))
        self._gradients = {} if shared is None else dict(zip(shared._names.arguments, shared.grad_arrays, strict=True))
        self._states = {} if shared is None else dict(zip(shared._names.auxiliary, shared.aux_arrays, strict=True))
        self._shared_names, self._buffer = shared_names, buffer
        self._sparse = _sparse_gradients(graph)

    def _new(self, index: int, shape: Any, kind: Any, stype: str | None = None) -> Any:
        node = self._graph.nodes[index]
        ctx = self._groups.get(node.attrs.get("__ctx_group__", ""), self._ctx)
        stype = stype or self._stored.get(node.name, "default")
        if stype != "default":
            return sparse_arrays.zeros(stype, shape, ctx, kind)
        return zeros(shape, ctx, kind)

    def argument(self, index: int, shape: Any, kind: Any) -> Any:
        """The array of an argument."""
        name = self._graph.nodes[index].name
        old = self._arguments.get(name)
        if name in self._shared_names and old is not None and tuple(old.shape) == tuple(shape):
            return old
        if self._buffer is None or name in self._stored:
            return self._new(index, shape, kind)
        held = self._buffer.get(name)
        need = int(np.prod(shape))
        if held is not None and held.size >= need and held.stype == "default" and _type_of(held) == kind:
            return held if tuple(held.shape) == tuple(shape) else held.reshape((-1,))[:need].reshape(shape)
        self._buffer[name] = made = self._new(index, shape, kind)
        return made

    def gradient(self, index: int, argument: Any) -> Any:
        """The array for an argument's gradient."""
        name = self._graph.nodes[index].name
        old = self._gradients.get(name)
        if name in self._shared_names and old is not None and tuple(old.shape) == tuple(argument.shape):
            return old
        stype = "row_sparse" if argument.stype == "row_sparse" or name in self._sparse else "default"
        return self._new(index, argument.shape, _type_of(argument), stype)

    def state(self, index: int, shape: Any, kind: Any) -> Any:
        """The array of an auxiliary state."""
        old = self._states.get(self._graph.nodes[index].name)
        return old if old is not None and tuple(old.shape) == tuple(shape) else self._new(index, shape, kind)


_STORAGE = {"1": "row_sparse", "2": "csr"}


def _storage(graph: Any) -> dict[str, str]:
    """The storage that variables ask for, where it is sparse."""
    asked = {n.name: n.attrs.get("__storage_type__", "") for n in graph.nodes if n.is_variable}
    return {name: _STORAGE[kind] for name, kind in asked.items() if kind in _STORAGE}


def _sparse_gradients(graph: Any) -> set[str]:
    """Names of the weights whose gradients are rows: those of embeddings that ask for it."""
    found = set()
    for node in graph.nodes:
        asks = node.op == "_contrib_SparseEmbedding" or (
            node.op == "Embedding" and node.attrs.get("sparse_grad") in ("True", "1", "true")
        )
        if asks and len(node.inputs) > 1 and graph.nodes[node.inputs[1][0]].is_variable:
            found.add(graph.nodes[node.inputs[1][0]].name)
    return found
