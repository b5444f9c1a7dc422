"""Parameters of blocks: named arrays, one for each device, whose shape may become known later."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from evergraph.errors import printable
from evergraph.mxnet import autograd
from evergraph.mxnet._later import later
from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, cpu, current_context
from evergraph.mxnet.gluon.errors import (
    BlockTypeError,
    BlockValueError,
    DeferredInitializationError,
    NotInitializedError,
    ParameterFitError,
)
from evergraph.mxnet.gluon.initial import fill
from evergraph.mxnet.ndarray import NDArray, add_n, array, zeros
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.symbol import Symbol, var

__all__ = ["Constant", "DeferredInitializationError", "Parameter", "shape_is_known", "tensor_types"]

__getattr__ = later(__name__, "evergraph.mxnet.gluon.parameter_dict")

tensor_types = (Symbol, NDArray)

_STYPES = ("default", "row_sparse", "csr")
_REQUESTS = ("write", "add", "null")


def shape_is_known(shape: Sequence[int] | None) -> bool:
    """Whether every size is known: 0 stands for an unknown one, -1 under NumPy's meaning of shapes.

    >>> shape_is_known((2, 3)), shape_is_known((2, 0)), shape_is_known(None)
    (True, False, False)
    """
    if shape is None:
        return False
    unknown = -1 if STATE.np_shape else 0
    return (len(shape) > 0 or STATE.np_shape) and unknown not in shape


def _contexts(ctx: Any) -> list[Context]:
    if ctx is None:
        return [current_context()]
    return [ctx] if isinstance(ctx, Context) else list(ctx)


class Parameter:
    """A named array that a block learns; it lives on one or several devices.

    Args:
        name: its full name.
        grad_req: "write", "add" or "null": what happens to its gradient.
        shape: its shape; 0 (or -1 under NumPy's meaning of shapes) stands for a size that is not yet known.
        dtype: its element type.
        lr_mult: what the optimizer multiplies its learning rate with.
        wd_mult: what the optimizer multiplies its weight decay with.
        init: its own initializer.
        allow_deferred_init: whether `initialize` may wait for the shape.
        differentiable: whether it has a gradient at all.
        stype: storage of its values.
        grad_stype: storage of its gradient.

    >>> from evergraph.mxnet import nd
    >>> weight = Parameter("weight", shape=(2, 2))
    >>> weight.initialize(init=lambda name, values: values.__setitem__(slice(None), 1))
    >>> weight.data().asnumpy().tolist(), weight.grad().shape
    ([[1.0, 1.0], [1.0, 1.0]], (2, 2))
    """

    def __init__(
        self,
        name: str,
        grad_req: str = "write",
        shape: Any = None,
        dtype: Any = np.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
        differentiable: bool = True,
        stype: str = "default",
        grad_stype: str = "default",
    ) -> None:
        for what, given in (("grad_stype", grad_stype), ("stype", stype)):
            if given not in _STYPES:
                raise ParameterFitError(f"{what} of parameter {printable(name)}", expected=_STYPES, found=given)
        self.name, self.init, self.lr_mult, self.wd_mult = name, init, lr_mult, wd_mult
        self._shape = (shape,) if isinstance(shape, int) else None if shape is None else tuple(shape)
        self._dtype, self._stype, self._grad_stype = dtype, stype, grad_stype
        self._differentiable, self._allow_deferred_init = differentiable, allow_deferred_init
        self._data: list[Any] | None = None
        self._grad: list[Any] | None = None
        self._ctx_list: list[Context] = []
        self._deferred_init: tuple[Any, ...] = ()
        self._trainer: Any = None
        self._var: Symbol | None = None
        self._grad_req = ""
        self.grad_req = grad_req

    def __repr__(self) -> str:
        return f"Parameter {self.name} (shape={self.shape}, dtype={self.dtype})"

    # ---- what it is

    @property
    def grad_req(self) -> str:
        """What happens to its gradient: "write", "add" or "null"."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, req: str) -> None:
        if req not in _REQUESTS:
            raise ParameterFitError("grad_req must be one of 'write', 'add', or 'null'", found=repr(req))
        req = req if self._differentiable else "null"
        if req == self._grad_req:
            return
        self._grad_req = req
        if self._data is None:
            return
        if req == "null":
            self._grad, self._data = None, [d.detach() for d in self._data]
        else:
            self._init_grad()

    @property
    def dtype(self) -> Any:
        """Its element type."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        self.cast(dtype)

    @property
    def stype(self) -> str:
        """How its values are stored."""
        return self._stype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Its shape, where 0 (-1 under NumPy's meaning of shapes) stands for a size that is not yet known."""
        if self._shape is None or not STATE.np_shape:
            return self._shape
        return tuple(-1 if d == 0 else d for d in self._shape)

    @shape.setter
    def shape(self, new_shape: Sequence[int]) -> None:
        old, new = self._shape, tuple(new_shape)
        if old is not None and (
            len(old) != len(new) or any(o not in (-1, 0, n) for o, n in zip(old, new, strict=True))
        ):
            raise ParameterFitError(
                f"parameter {printable(self.name)}: expected shape {new} is incompatible with given shape {old}",
                expected=old,
                found=new,
            )
        self._shape = new

    def var(self) -> Symbol:
        """The variable that stands for it in symbols."""
        found = self._var
        if found is None:
            found = self._var = var(
                self.name,
                shape=self.shape,
                dtype=self.dtype,
                lr_mult=self.lr_mult,
                wd_mult=self.wd_mult,
                init=self.init if isinstance(self.init, str) or hasattr(self.init, "dumps") else None,
                stype=self._stype,
            )
            if STATE.np_array:
                found = self._var = found.as_np_ndarray()
        return found

    # ---- its values

    def initialize(
        self, init: Any = None, ctx: Any = None, default_init: Any = None, force_reinit: bool = False
    ) -> None:
        """Make its values; where its shape is not yet known, at the first batch.

        Args:
            init: how; its own initializer where it is not given, and then `default_init`.
            ctx: one or several devices.
            default_init: what patterns of names fall back to; uniform in (-0.07, 0.07) where it is not given.
            force_reinit: whether values that are there are made anew.

        Raises:
            ValueError: the shape is not known, and it may not wait.
        """
        if self._data is not None and not force_reinit:
            warnings.warn(
                f"Parameter '{self.name}' is already initialized, ignoring. Set force_reinit=True to re-initialize.",
                stacklevel=2,
            )
            return
        self._data = self._grad = None
        chosen = init if init is not None else self.init if self.init is not None else default_init
        if not shape_is_known(self.shape) and not self._allow_deferred_init:
            raise BlockValueError(
                f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}."
            )
        self._deferred_init = (chosen, _contexts(ctx), default_init, None)
        if shape_is_known(self.shape):
            self._finish_deferred_init()

    def _finish_deferred_init(self) -> None:
        if not self._deferred_init:
            return
        init, ctx, default, data = self._deferred_init
        if not shape_is_known(self.shape):
            raise ParameterFitError(
                f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}.",
                fix="specify in_units, in_channels, etc for `Block`s",
            )
        self._deferred_init = ()
        with autograd.pause():
            if data is None:
                data = self._zeros(self.shape, cpu(), self.dtype, self._stype)
                fill(self.name, init, default, data)
            self._init_impl(data, ctx)

    def _init_impl(self, data: Any, ctx: Sequence[Context]) -> None:
        self._ctx_list = list(ctx)
        if STATE.np_array:
            data = data.as_np_ndarray()
        self._data = [data.copyto(c) for c in self._ctx_list]
        self._init_grad()

    def _init_grad(self) -> None:
        data = self._data or []
        if self._grad_req == "null":
            self._grad = None
            return
        self._grad = [self._zeros(d.shape, d._ctx, d.dtype, self._grad_stype) for d in data]
        autograd.mark_variables(data, self._grad, self._grad_req)

    def _zeros(self, shape: Any, ctx: Context, dtype: Any, stype: str) -> Any:
        if not STATE.np_array:
            return zeros(shape, ctx, dtype, stype=stype)
        if stype != "default":
            raise BlockValueError(
                f"arrays with NumPy's semantics are dense, and parameter '{printable(self.name)}' is not",
                expected="default",
                found=stype,
            )
        return zeros(shape, ctx, dtype).as_np_ndarray()

    def _load_init(self, data: Any, ctx: Any, cast_dtype: bool = False, dtype_source: str = "current") -> None:
        """Take the values of a file.

        Raises:
            MXNetError: another shape, another element type, or other devices than it is on.
        """
        wrong = self._misfit(data, ctx, cast_dtype)
        if wrong is not None:
            raise wrong
        data = self._fitting(data, dtype_source)
        if self._data is None:
            self._init_impl(data, self._held_on() or (None if ctx is None else _contexts(ctx)) or [cpu()])
        else:
            self.set_data(data)
        self._deferred_init = ()

    def _held_on(self) -> Any:
        """The devices that it is on, or will be; None where that is open."""
        return self._ctx_list if self._data is not None else self._deferred_init[1] if self._deferred_init else None

    def _misfit(self, data: Any, ctx: Any, cast_dtype: bool) -> ParameterFitError | None:
        """What is wrong with a file's values for it."""
        shape, found = self.shape, tuple(data.shape)
        if shape is not None and (
            len(shape) != len(found) or any(s not in (-1, 0, d) for s, d in zip(shape, found, strict=True))
        ):
            return ParameterFitError(
                f"Failed loading Parameter '{self.name}' from saved params: shape incompatible",
                expected=shape,
                found=f"{found} in the file",
            )
        if not cast_dtype and self.dtype is not None and np.dtype(self.dtype) != np.dtype(data.dtype):
            return ParameterFitError(
                f"Failed loading Parameter '{self.name}' from saved params: dtype incompatible",
                expected=np.dtype(self.dtype).name,
                found=f"{np.dtype(data.dtype).name} in the file",
                fix="Set cast_dtype=True to cast the dtype of saved params.",
            )
        wanted, held = None if ctx is None else _contexts(ctx), self._held_on()
        if wanted is None or held is None or set(wanted) == set(held):
            return None
        return ParameterFitError(
            f"Failed to load Parameter '{self.name}' on other devices than it was initialized on",
            expected=", ".join(map(str, held)),
            found=", ".join(map(str, wanted)),
            fix="move it first: reset_ctx(ctx)",
        )

    def _fitting(self, data: Any, dtype_source: str) -> Any:
        if self.shape is not None:
            self.shape = tuple(data.shape)
        if self.dtype is not None and np.dtype(self.dtype) != np.dtype(data.dtype):
            if dtype_source == "current":
                data = data.astype(self.dtype, copy=False)
            else:
                self.dtype = data.dtype
        return data if data.stype == self._stype else data.tostype(self._stype)

    def set_data(self, data: Any) -> None:
        """Give it values, on every device."""
        self.shape = data.shape
        if self._data is None:
            if not self._deferred_init:
                raise ParameterFitError(f"Parameter '{self.name}' has not been initialized")
            self._deferred_init = (*self._deferred_init[:3], data)
            return
        with autograd.pause():
            for each in self._data:
                value = data if isinstance(data, Array) else array(data, dtype=each.dtype)
                value.astype(each.dtype, copy=False).copyto(each)

    def reset_ctx(self, ctx: Any) -> None:
        """Move it to one or several other devices.

        Raises:
            ValueError: it has not been initialized.
        """
        wanted = _contexts(ctx)
        if self._data is not None:
            with autograd.pause():
                self._init_impl(self._reduce(), wanted)
        elif self._deferred_init:
            init, _, default, data = self._deferred_init
            self._deferred_init = (init, wanted, default, data)
        else:
            raise BlockValueError(
                f"Cannot reset context for Parameter '{self.name}' because it has not been initialized."
            )

    def _reduce(self) -> Any:
        """Its values on the CPU: the mean over its devices."""
        copies = [d.copyto(cpu()) for d in self._read(self._data, list)]
        return copies[0] if len(copies) == 1 else add_n(*copies) / len(copies)

    def _read(self, arrays: list[Any] | None, ctx: Any) -> Any:
        if arrays is None:
            raise self._missing()
        if ctx is list:
            return arrays
        if ctx is None:
            if len(arrays) == 1:
                return arrays[0]
            ctx = current_context()
        for held, each in zip(self._ctx_list, arrays, strict=True):
            if (
                held is ctx
                or held == ctx
                or (held.device_typeid & 1 == ctx.device_typeid & 1 and held.device_id == ctx.device_id)
            ):
                return each
        raise NotInitializedError(
            f"Parameter '{self.name}' was not initialized on context {ctx}."
            f" It was only initialized on {self._ctx_list}."
        )

    _check_and_get = _read

    def _missing(self) -> Exception:
        if self._deferred_init:
            return DeferredInitializationError(
                f"Parameter '{self.name}' has not been initialized yet because initialization was deferred",
                fix="pass one batch of data through the network first, or specify in_units, num_features, etc.",
            )
        return NotInitializedError(
            f"Parameter '{self.name}' has not been initialized",
            fix="initialize with Block.collect_params().initialize(), which includes nested blocks' parameters",
        )

    def _require_dense(self, method: str) -> None:
        if self._stype != "default":
            raise NotInitializedError(
                f"Cannot return a copy of Parameter '{self.name}' via {method}() because its storage type is"
                f" {self._stype}",
                fix="use row_sparse_data() instead",
            )

    def data(self, ctx: Context | None = None) -> Any:
        """Its values on a device."""
        if self._stype != "default":
            self._require_dense("data")
        return self._read(self._data, ctx)

    def list_data(self) -> list[Any]:
        """Its values on each device."""
        self._require_dense("list_data")
        return self._read(self._data, list)

    def row_sparse_data(self, row_id: Any) -> Any:
        """The rows of these numbers, of a parameter stored by rows."""
        return self._rows(row_id, row_id.context)

    def list_row_sparse_data(self, row_id: Any) -> list[Any]:
        """The rows of these numbers on each device."""
        return self._rows(row_id, list)

    def _rows(self, row_id: Any, ctx: Any) -> Any:
        if not isinstance(row_id, NDArray):
            raise BlockTypeError("row_id must have NDArray type", found=type(row_id).__name__)
        if self._stype != "row_sparse":
            raise NotInitializedError(
                f"Parameter '{self.name}' has no rows of its own because its storage type is {self._stype}",
                fix="use data() instead",
            )
        if self._trainer is None:
            raise NotInitializedError(
                f"Cannot get row_sparse data for Parameter '{self.name}' when no Trainer is created with it."
            )
        found = self._read(self._data, ctx)
        return [f.retain(row_id) for f in found] if isinstance(found, list) else found.retain(row_id)

    def _gradients(self) -> list[Any] | None:
        if self._data is not None and self._grad is None:
            raise NotInitializedError(f"Cannot get gradient array for Parameter '{self.name}' because grad_req='null'")
        return self._grad

    def grad(self, ctx: Context | None = None) -> Any:
        """Its gradient on a device."""
        return self._read(self._gradients(), ctx)

    def list_grad(self) -> list[Any]:
        """Its gradient on each device."""
        return self._read(self._gradients(), list)

    def list_ctx(self) -> list[Context]:
        """The devices it is on."""
        if self._data is not None:
            return self._ctx_list
        if self._deferred_init:
            return self._deferred_init[1]
        raise NotInitializedError(f"Parameter '{self.name}' has not been initialized")

    def zero_grad(self) -> None:
        """Set its gradient to zero."""
        for each in self._grad or ():
            each[:] = 0

    def cast(self, dtype: Any) -> None:
        """Change its element type."""
        self._dtype, self._var = dtype, None
        if self._data is None:
            return
        with autograd.pause():
            self._data = [d.astype(dtype) for d in self._data]
            self._init_grad()

    def _set_trainer(self, trainer: Any) -> None:
        if self._stype != "default" and self._trainer and trainer and self._trainer is not trainer:
            raise NotInitializedError(
                f"Failed to set the trainer for Parameter '{self.name}' because it was already set",
                expected=f"one trainer for a {self._stype} parameter",
            )
        self._trainer = trainer


class Constant(Parameter):
    """A named array that is not learned.

    Args:
        name: its full name.
        value: its values.

    >>> Constant("scale", [[1.0, 2.0]]).shape
    (1, 2)
    """

    def __init__(self, name: str, value: Any) -> None:
        held = value if isinstance(value, NDArray) else array(value)
        if STATE.np_array:
            held = held.as_np_ndarray()
        self.value = held

        def put(_: Any, target: Any) -> None:
            held.copyto(target)

        super().__init__(name, grad_req="null", shape=held.shape, dtype=held.dtype, init=put)

    def __repr__(self) -> str:
        return f"Constant {self.name} (shape={self.shape}, dtype={self.dtype})"

    @property
    def grad_req(self) -> str:
        """Always "null"."""
        return "null"

    @grad_req.setter
    def grad_req(self, req: str) -> None:
        if req != "null":
            warnings.warn(
                f'Constant parameter "{self.name}" does not support grad_req other than "null", and new value'
                f' "{req}" is ignored.',
                stacklevel=2,
            )
        self._grad_req = "null"
