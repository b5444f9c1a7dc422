"""Recording, and gradients of what was recorded.

While `record()` is on, operators keep how their results came about. `backward` follows this back and fills the arrays
that `attach_grad` or `mark_variables` gave; `grad` returns gradients instead.

>>> from evergraph.mxnet import autograd, nd
>>> x = nd.array([1, 2, 3]); x.attach_grad()
>>> with autograd.record():
...     y = (x * x).sum()
>>> y.backward(); x.grad.asnumpy()
array([2., 4., 6.], dtype=float32)
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, NoReturn

import torch

from evergraph.errors import ShapeError, UsageError
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gradients import deliver
from evergraph.mxnet.ndarray.base import Mark, leaf_of, wrap
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.ops.sparse import is_sparse

__all__ = [
    "Function",
    "backward",
    "get_symbol",
    "grad",
    "is_recording",
    "is_training",
    "mark_variables",
    "pause",
    "predict_mode",
    "record",
    "set_recording",
    "set_training",
    "train_mode",
]


def set_recording(is_recording: bool) -> bool:
    """Record from now on, or not; returns what was before."""
    before, STATE.recording = STATE.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Behave as in training from now on, or not; returns what was before."""
    before, STATE.training = STATE.training, bool(train_mode)
    return before


def is_recording() -> bool:
    """Whether operators are recorded."""
    return STATE.recording


def is_training() -> bool:
    """Whether layers behave as in training."""
    return STATE.training


class _RecordingStateScope:
    """Sets the thread's flags inside a `with` block; None leaves a flag as it is."""

    def __init__(self, is_record: bool | None, train_mode: bool | None) -> None:
        self._wanted = (is_record, train_mode)
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((STATE.recording, STATE.training))
        recording, training = self._wanted
        if recording is not None:
            STATE.recording = recording
        if training is not None:
            STATE.training = training

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        STATE.recording, STATE.training = self._before.pop()


def record(train_mode: bool = True) -> _RecordingStateScope:
    """A scope in which operators are recorded, and layers behave as in training unless `train_mode` is false."""
    return _RecordingStateScope(True, train_mode)


def pause(train_mode: bool = False) -> _RecordingStateScope:
    """A scope inside `record()` in which nothing is recorded."""
    return _RecordingStateScope(False, train_mode)


def train_mode() -> _RecordingStateScope:
    """A scope in which layers behave as in training."""
    return _RecordingStateScope(None, True)


def predict_mode() -> _RecordingStateScope:
    """A scope in which layers behave as in prediction."""
    return _RecordingStateScope(None, False)


def mark_variables(variables: Any, gradients: Any, grad_reqs: Any = "write") -> None:
    """Ask for the gradients of arrays, to be put into other arrays; the variables' own history ends.

    Args:
        variables: an array, or a list of them.
        gradients: as many arrays.
        grad_reqs: "write", "add" or "null", for all or one for each.

    Raises:
        UsageError: other numbers of them, or a gradient of another shape.
        KeyError: an unknown request.
    """
    if isinstance(variables, NDArray):
        variables, gradients = [variables], [gradients]
    requests = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else list(grad_reqs)
    for request in requests:
        if request not in ("write", "add", "null"):
            raise KeyError(request)
    if not len(variables) == len(gradients) == len(requests):
        raise UsageError(
            "variables, gradients and requests are not as many",
            found=f"{len(variables)}, {len(gradients)} and {len(requests)}",
        )
    for variable, gradient, request in zip(variables, gradients, requests, strict=True):
        _mark(variable, gradient, request)


def _mark(variable: NDArray, gradient: NDArray, request: str) -> None:
    if gradient.shape != variable.shape:
        raise UsageError(
            "a gradient has another shape than its variable", expected=variable.shape, found=gradient.shape
        )
    value = variable._data
    variable._mark = Mark(gradient, request)
    variable._leaf = None
    if request == "null":
        return
    kind = value.data.dtype if is_sparse(value) else value.dtype
    if not kind.is_floating_point:
        return
    variable._leaf = leaf_of(value)
    deliver(variable._leaf, variable._mark)


def _listed(heads: Any, head_grads: Any) -> tuple[list[NDArray], list[Any]]:
    found = [heads] if isinstance(heads, NDArray) else list(heads)
    grads = [head_grads] if isinstance(head_grads, NDArray) else head_grads
    if grads is None:
        return found, [None] * len(found)
    if len(grads) != len(found):
        raise AssertionError("heads and head_grads must be lists of the same length")
    return found, list(grads)


def _roots(heads: Sequence[NDArray], grads: Sequence[Any], keep: bool) -> tuple[list[Any], list[Any]]:
    """The tensors to start from, and their gradients."""
    tensors, values = [], []
    for head, given in zip(heads, grads, strict=True):
        if head._leaf is None:
            _not_recorded()
        root = head._leaf.data if is_sparse(head._leaf) else head._leaf
        if given is None:
            value = torch.ones_like(root)
        else:
            value = (given._leaf if keep and given._leaf is not None else given._data).to(root.dtype)
            if value.numel() != root.numel():
                raise ShapeError(
                    "a head's gradient has another shape than the head",
                    expected=tuple(root.shape),
                    found=tuple(value.shape),
                )
            if value.shape != root.shape:
                value = value.reshape(root.shape)
        tensors.append(root)
        values.append(value)
    return tensors, values


def _not_recorded() -> NoReturn:
    raise UsageError(
        "Cannot differentiate node because it is not in a computational graph",
        found="an array that was not computed from marked variables while recording, or whose history was used up",
        fix="compute it inside autograd.record(); to differentiate the same graph twice, pass retain_graph=True",
    )


def _run(call: Any, train_mode: bool) -> Any:
    before, STATE.training = STATE.training, train_mode
    try:
        return call()
    except RuntimeError as error:
        if "second time" in str(error):
            _not_recorded()
        raise
    finally:
        STATE.training = before


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Fill the gradients of the marked variables that heads were computed from.

    Args:
        heads: an array, or a list of them.
        head_grads: their gradients; None stands for ones.
        retain_graph: whether the history is kept for another pass.
        train_mode: whether layers behave as in training.

    Raises:
        UsageError: a head has no history.
    """
    found, grads = _listed(heads, head_grads)
    tensors, values = _roots(found, grads, False)
    _run(lambda: torch.autograd.backward(tensors, values, retain_graph=retain_graph), train_mode)
    if not retain_graph:
        for head in found:
            if head._mark is None:
                _forget(head)


def _forget(array: Any) -> None:
    """End an array's history; its value may have been read from nothing but its leaf until now."""
    array._data = array._data
    array._leaf = None


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[Any]:
    """Gradients of heads with respect to variables, as new arrays.

    Args:
        heads: an array, or a list of them.
        variables: an array, or a list of them, that heads were computed from.
        head_grads: gradients of the heads; None stands for ones.
        retain_graph: whether the history is kept; as `create_graph` where it is not given.
        create_graph: whether the gradients are recorded themselves, for gradients of higher order.
        train_mode: whether layers behave as in training.

    Returns:
        A list of as many arrays, for a single variable too.

    Raises:
        UsageError: a head or a variable has no history.
    """
    found, grads = _listed(heads, head_grads)
    wanted = [variables] if isinstance(variables, NDArray) else list(variables)
    if not wanted:
        raise AssertionError("variables cannot be an empty list.")
    tensors, values = _roots(found, grads, create_graph)
    if any(v._leaf is None for v in wanted):
        _not_recorded()
    inputs = [v._leaf.data if is_sparse(v._leaf) else v._leaf for v in wanted]
    keep = create_graph if retain_graph is None else retain_graph
    options = {"retain_graph": keep, "create_graph": create_graph, "allow_unused": True, "materialize_grads": True}
    got = _run(lambda: torch.autograd.grad(tensors, inputs, values, **options), train_mode)
    return [_result(v, g, create_graph) for v, g in zip(wanted, got, strict=True)]


def _result(variable: NDArray, value: Any, recorded: bool) -> Any:
    if value.is_sparse:
        value = value.to_dense()
    if is_sparse(variable._leaf):
        value = variable._data.with_data(value)
    found = wrap(value, variable._ctx)
    if not recorded:
        _forget(found)
    return found


def get_symbol(x: NDArray) -> NoReturn:
    """What was recorded is torch's graph, and no symbol can be made of it.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "a recorded computation is not turned into a symbol",
        found=f"an array of shape {x.shape}",
        fix="write the network with mx.sym, or hybridize a gluon block and export it",
    )


class Function:
    """A computation with a gradient of its own: subclasses define `forward` and `backward` on arrays.

    An instance is called once.

    >>> from evergraph.mxnet import nd
    >>> class Double(Function):
    ...     def forward(self, x): return x * 2
    ...     def backward(self, dy): return dy * 2
    >>> x = nd.ones((2,)); x.attach_grad()
    >>> with record():
    ...     y = Double()(x)
    >>> y.backward(); x.grad.asnumpy()
    array([2., 2.], dtype=float32)
    """

    def __init__(self) -> None:
        self._used = False
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *args: Any) -> None:
        """Keep arrays for `backward`, as `saved_tensors`."""
        self.saved_tensors = args

    def __call__(self, *inputs: NDArray) -> Any:
        """Compute `forward`, and record it while recording is on."""
        if getattr(self, "_used", False):
            raise AssertionError("Each Function instance can only be called once. Please create another instance.")
        self._used = True
        before = set_recording(False)
        try:
            outputs = self.forward(*inputs)
        finally:
            set_recording(before)
        if not before:
            return outputs
        found = (outputs,) if isinstance(outputs, NDArray) else tuple(outputs)
        sources = [x._leaf if x._leaf is not None else x._data for x in inputs]
        if any(s.requires_grad for s in sources):
            values = _FunctionLink.apply(
                self, [o._ctx for o in found], len(inputs), *sources, *[o._data for o in found]
            )
            for array, value in zip(found, values, strict=True):
                array._leaf = value
        return outputs

    def forward(self, *inputs: Any) -> Any:
        """The results from the inputs; nothing in here is recorded.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError("a subclass of autograd.Function defines forward")

    def backward(self, *output_grads: Any) -> Any:
        """The inputs' gradients from those of the outputs.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError("a subclass of autograd.Function defines backward")


class _FunctionLink(torch.autograd.Function):
    """Puts a `Function`'s results into torch's graph."""

    @staticmethod
    def forward(ctx: Any, owner: Function, devices: list[Any], count: int, *tensors: Any) -> Any:
        ctx.owner, ctx.devices, ctx.count = owner, devices, count
        ctx.shapes = [t.shape for t in tensors[:count]]
        return tuple(t.view_as(t) for t in tensors[count:])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        owner = ctx.owner
        given = [NDArray(g.contiguous(), d) for g, d in zip(grads, ctx.devices, strict=True)]
        with pause(train_mode=STATE.training):
            found = owner.backward(*given)
        found = (found,) if isinstance(found, NDArray) else tuple(found)
        name = type(owner).__name__
        if len(found) != ctx.count:
            raise UsageError(
                f"{name}.backward must return as many arrays as forward takes", expected=ctx.count, found=len(found)
            )
        if not all(isinstance(f, NDArray) for f in found):
            raise UsageError(f"{name}.backward must return NDArrays", found=[type(f).__name__ for f in found])
        values = [f._data.expand(s) if f._data.shape != s else f._data for f, s in zip(found, ctx.shapes, strict=True)]
        return (None, None, None, *values, *[None] * len(grads))
