"""`nn.Cell`: MindSpore's network class, over torch.nn.Module."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter, ParameterTuple
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap
from evergraph.mindspore.nn.backward import hooked, with_bprop

__all__ = ["Cell", "GraphCell", "is_recording", "recording"]


_FLAGS = {torch.float16: "fp16", torch.float32: "fp32", torch.bfloat16: "bf16"}
"""What cells compute in -> the flag that says so."""


class _State(threading.local):
    recording = False


_state = _State()


def is_recording() -> bool:
    """Whether what is computed now is recorded."""
    return _state.recording


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Record what is computed, so that gradients can be taken of it."""
    before, _state.recording = _state.recording, True
    try:
        with torch.enable_grad():
            yield
    finally:
        _state.recording = before


class _Handle:
    """Takes a hook away again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Cell(torch.nn.Module):
    """A network or a part of one: Parameters, child cells, and `construct`.

    It is a torch.nn.Module, too: called with torch tensors it answers with torch tensors and records as torch does.
    Called with Tensors it records only where a gradient is asked for.

    Args:
        auto_prefix: whether its children's parameters get the children's names before their own.
        flags: kept, as `get_flags` answers.

    >>> class Net(Cell):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w = Parameter(Tensor([2.0]))
    ...     def construct(self, x):
    ...         return x * self.w
    >>> Net()(Tensor([3.0])).asnumpy(), Net().trainable_params()
    (array([6.], dtype=float32), [Parameter (name=w, shape=(1,), dtype=Float32, requires_grad=True)])
    """

    _params: "OrderedDict[str, Parameter | None]"
    _keeps_types = _keeps_parameters = False  # whether `to_float` leaves inputs and parameters, or parameters alone

    def __init__(self, auto_prefix: bool = True, flags: dict[str, Any] | None = None) -> None:
        super().__init__()
        own = self.__dict__
        own["_params"] = OrderedDict()
        own["_auto_prefix"] = auto_prefix
        own["_flags"] = dict(flags or {})
        own["_hooks_before"], own["_hooks_after"] = [], []
        own["_hooks_of_inputs"], own["_hooks_of_outputs"] = [], []
        own["_to_float"], own["_casts"] = None, None
        own["_instance_name"] = ""
        own["_param_prefix"] = ""
        own["_unnamed"] = 1
        own["cls_name"] = type(self).__name__
        own["requires_grad"] = False
        own["training"] = False

    # attributes

    def __setattr__(self, name: str, value: Any) -> None:
        params = self.__dict__.get("_params")
        if params is None:
            if isinstance(value, (Cell, Parameter)):
                raise UsageError("call super().__init__() before setting attributes", where=type(self).__name__)
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self.__dict__.pop(name, None)
            self.insert_param_to_cell(name, value)
        elif isinstance(value, ParameterTuple):
            for item in self._named(value):
                self.insert_param_to_cell(item.name, item, check_name_contain_dot=False)
            object.__setattr__(self, name, value)
        elif isinstance(value, Cell):
            self.__dict__.pop(name, None)
            if self.__dict__["_auto_prefix"]:
                value.update_parameters_name(name + ".")
            self._modules[name] = value
        elif name in params and value is not None:
            self._assigned(name, value)
        else:
            torch.nn.Module.__setattr__(self, name, value)  # type: ignore[arg-type]

    def _named(self, params: ParameterTuple) -> ParameterTuple:
        """Parameters, of which those without a name have got one."""
        for item in params:
            if item._generated:
                own = self.__dict__
                item.name, own["_unnamed"] = f"Parameter${own['_unnamed']}", own["_unnamed"] + 1
        return params

    def _assigned(self, name: str, value: Any) -> None:
        """A value for an attribute that is a Parameter."""
        held = self._params[name]
        if not isinstance(value, Tensor) or held is None:
            raise UsageError(
                "the attribute is a Parameter", where=printable(name), found=printable(type(value).__name__)
            )
        held.set_data(value)

    def __getattr__(self, name: str) -> Any:
        params = self.__dict__.get("_params")
        if params is not None and name in params:
            kind = self.__dict__["_casts"]
            return params[name] if kind is None or params[name] is None else _cast(params[name], kind)
        modules = self.__dict__.get("_modules")
        if modules is not None and name in modules:
            return modules[name]
        return super().__getattr__(name)

    def __delattr__(self, name: str) -> None:
        if name in self._params:
            del self._params[name]
            self._parameters.pop(name.replace(".", "_"), None)
        else:
            super().__delattr__(name)

    def __bool__(self) -> bool:
        return True

    # running

    def construct(self, *inputs: Any, **named: Any) -> Any:
        """The computation; subclasses define it."""
        raise UsageError("a cell defines construct(self, ...)", where=type(self).__name__)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The computation on torch tensors."""
        return unwrap(self(*wrap(inputs), **{k: wrap(v) for k, v in named.items()}))

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Run `construct` and the hooks around it."""
        if inputs and isinstance(inputs[0], torch.Tensor):
            with recording() if torch.is_grad_enabled() else contextlib.nullcontext():
                return self.forward(*inputs, **named)
        if torch.is_grad_enabled() and not _state.recording:
            with torch.no_grad():
                return self._run(inputs, named)
        return self._run(inputs, named)

    def _run(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        own = self.__dict__
        kind = None if self._keeps_types else own["_to_float"]
        if kind is not None:
            inputs = tuple(_cast(v, kind) for v in inputs)
        for hook in own["_hooks_before"]:
            changed = hook(self, inputs)
            if changed is not None:
                inputs = changed if isinstance(changed, tuple) else (changed,)
        if kind is None or self._keeps_parameters:
            output = self._computed(inputs, named)
        else:
            own["_casts"] = kind
            try:
                output = self._computed(inputs, named)
            finally:
                own["_casts"] = None
        for hook in own["_hooks_after"]:
            changed = hook(self, inputs, output)
            output = output if changed is None else changed
        return output

    def _computed(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What `construct` gives, with the cell's own gradients and hooks where gradients are asked for."""
        own = self.__dict__
        if _state.recording and not named and hasattr(type(self), "bprop"):
            return with_bprop(self, inputs)
        if _state.recording and not named and (own["_hooks_of_inputs"] or own["_hooks_of_outputs"]):
            return hooked(self, inputs, own["_hooks_of_outputs"], own["_hooks_of_inputs"])
        return self.construct(*inputs, **named)

    def register_backward_hook(self, hook_fn: Callable[..., Any]) -> Any:  # type: ignore[override]
        """Call `hook_fn(cell, inputs' gradients, outputs' gradients)`; what it returns replaces the first ones."""
        self._hooks_of_inputs.append(hook_fn)
        return _Handle(self._hooks_of_inputs, hook_fn)

    def register_backward_pre_hook(self, hook_fn: Callable[..., Any]) -> Any:
        """Call `hook_fn(cell, outputs' gradients)`; what it returns takes their place."""
        self._hooks_of_outputs.append(hook_fn)
        return _Handle(self._hooks_of_outputs, hook_fn)

    def register_forward_pre_hook(self, hook_fn: Callable[..., Any], **_: Any) -> Any:  # type: ignore[override]
        """Call `hook_fn(cell, inputs)` before `construct`; what it returns takes the inputs' place."""
        self._hooks_before.append(hook_fn)
        return _Handle(self._hooks_before, hook_fn)

    def register_forward_hook(self, hook_fn: Callable[..., Any], **_: Any) -> Any:  # type: ignore[override]
        """Call `hook_fn(cell, inputs, output)` after `construct`; what it returns takes the output's place."""
        self._hooks_after.append(hook_fn)
        return _Handle(self._hooks_after, hook_fn)

    def compile(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Nothing: cells run as they are written."""

    def set_inputs(self, *_: Any, **__: Any) -> None:
        """Nothing: shapes may change from call to call."""

    def set_jit_config(self, *_: Any, **__: Any) -> None:
        """Nothing: cells run as they are written."""

    def recompute(self, **_: Any) -> None:
        """Nothing: activations are kept."""

    # parameters

    def insert_param_to_cell(
        self, param_name: str, param: Parameter | None, check_name_contain_dot: bool = True
    ) -> None:
        """Own a Parameter under a name, which becomes its own where it has none.

        Raises:
            UsageError: the name is empty, holds a dot, or is another attribute's; `param` is no Parameter.
        """
        if not param_name or (check_name_contain_dot and "." in param_name):
            raise UsageError("a parameter's attribute name has no dot, and is not empty", found=printable(param_name))
        if param is not None and not isinstance(param, Parameter):
            raise UsageError("a Parameter is inserted", found=printable(type(param).__name__))
        if param_name in self.__dict__ or param_name in self._modules:
            raise UsageError("the cell has an attribute of this name", where=printable(param_name))
        if param is not None and param._generated:
            param.name = param_name
        self._params[param_name] = param
        if param is not None:
            self._parameters[param_name.replace(".", "_")] = param._torch  # type: ignore[assignment]

    def insert_child_to_cell(self, child_name: str, child_cell: "Cell") -> None:
        """Own a child cell under a name.

        Raises:
            UsageError: the name is empty, holds a dot, or is another attribute's; the child is no Cell.
        """
        if not isinstance(child_name, str) or not child_name or "." in child_name:
            raise UsageError("a child's name is a string without dots", found=printable(child_name))
        if child_name in self.__dict__ or child_name in self._params:
            raise UsageError("the cell has an attribute of this name", where=printable(child_name))
        if not isinstance(child_cell, Cell) and child_cell is not None:
            raise UsageError("a Cell is inserted", found=printable(type(child_cell).__name__))
        self._modules[child_name] = child_cell

    def parameters_and_names(self, name_prefix: str = "", expand: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Each Parameter once, by its attributes' path: a cell's own before its children's."""
        seen: set[int] = set()
        for path, cell in self.cells_and_names(name_prefix=name_prefix) if expand else [(name_prefix, self)]:
            for name, param in cell._listed():
                if param is not None and id(param) not in seen:
                    seen.add(id(param))
                    yield (f"{path}.{name}" if path else name), param

    def _listed(self) -> "list[tuple[str, Parameter | None]]":
        """Its own Parameters by the names of its attributes."""
        return list(self._params.items())

    def get_parameters(self, expand: bool = True) -> Iterator[Parameter]:
        """Each Parameter once."""
        return (param for _, param in self.parameters_and_names(expand=expand))

    def trainable_params(self, recurse: bool = True) -> list[Parameter]:
        """The Parameters that require gradients."""
        return [p for p in self.get_parameters(expand=recurse) if p.requires_grad]

    def untrainable_params(self, recurse: bool = True) -> list[Parameter]:
        """The Parameters that require none."""
        return [p for p in self.get_parameters(expand=recurse) if not p.requires_grad]

    def parameters_dict(self, recurse: bool = True) -> "OrderedDict[str, Parameter]":
        """Each Parameter by its own name."""
        return OrderedDict((p.name, p) for p in self.get_parameters(expand=recurse))

    def update_parameters_name(self, prefix: str = "", recurse: bool = True) -> None:
        """Name each Parameter `prefix` and its attributes' path."""
        for name, param in list(self.parameters_and_names(expand=recurse)):
            param.name = prefix + name

    def check_names(self) -> None:
        """Raise where two Parameters have one name.

        Raises:
            UsageError: names are there twice.
        """
        names = [p.name for p in self.get_parameters()]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise UsageError("Parameters share names", details=[printable(n) for n in twice])

    def parameters_broadcast_dict(self, recurse: bool = True) -> "OrderedDict[str, Parameter]":
        """The Parameters that are the same on all devices, by name: those that are not `layerwise_parallel`."""
        return OrderedDict((n, p) for n, p in self.parameters_dict(recurse).items() if not p.layerwise_parallel)

    @property
    def param_prefix(self) -> str:
        """The path that stands before its Parameters' names, as `update_cell_prefix` sets it."""
        return self.__dict__["_param_prefix"]

    def update_cell_prefix(self) -> None:
        """Note the path of each cell."""
        for path, cell in self.cells_and_names():
            cell.__dict__["_param_prefix"] = path

    def init_parameters_data(self, auto_parallel_mode: bool = False) -> dict[Parameter, Parameter]:
        """Every Parameter with itself: values are there from the start."""
        return {p: p for p in self.get_parameters()}

    # children

    def cells(self) -> Iterator["Cell"]:
        """The direct children."""
        return iter(self.name_cells().values())

    def name_cells(self) -> "OrderedDict[str, Cell]":
        """The direct children by name, each once."""
        found: OrderedDict[str, Cell] = OrderedDict()
        for name, cell in self._modules.items():
            if isinstance(cell, Cell) and not any(cell is other for other in found.values()):
                found[name] = cell
        return found

    def cells_and_names(self, cells: Any = None, name_prefix: str = "") -> Iterator[tuple[str, "Cell"]]:
        """This cell and all below it, each once, by path."""
        seen = cells if cells is not None else set()
        if id(self) in seen:
            return
        seen.add(id(self))
        yield name_prefix, self
        for name, cell in self._modules.items():
            if isinstance(cell, Cell):
                yield from cell.cells_and_names(seen, f"{name_prefix}.{name}" if name_prefix else name)

    def apply(self, fn: Callable[["Cell"], Any]) -> "Cell":  # type: ignore[override]
        """Call `fn` with each cell, children first."""
        for cell in self.cells():
            cell.apply(fn)
        fn(self)
        return self

    # how it runs

    def set_train(self, mode: bool = True) -> "Cell":
        """Train (True) or infer: what BatchNorm and Dropout ask for."""
        for _, cell in self.cells_and_names():
            cell.__dict__["training"] = bool(mode)
        return self

    def train(self, mode: bool = True) -> "Cell":
        """As `set_train`."""
        return self.set_train(mode)

    def set_grad(self, requires_grad: bool = True) -> "Cell":
        """Kept for programs that set it; gradients are taken where they are asked for."""
        self.__dict__["requires_grad"] = requires_grad
        return self

    def to_float(self, dst_type: Any) -> "Cell":
        """Cast floating inputs and parameters to this type where this cell and its children compute.

        Raises:
            UsageError: it is neither Float16, BFloat16 nor Float32.
        """
        kind = mstype.of(dst_type).torch
        if kind not in _FLAGS:
            raise UsageError("to_float takes float16, bfloat16 or float32", found=printable(dst_type))
        for _, cell in self.cells_and_names():
            cell.__dict__["_to_float"] = kind
            cell._flags.update({flag: kind is one for one, flag in _FLAGS.items()})
        return self

    def add_flags(self, **flags: Any) -> "Cell":
        """Keep flags; `fp16`, `bf16` and `fp32` choose what this cell computes in, as `to_float` does."""
        self._flags.update(flags)
        for kind, flag in _FLAGS.items():
            if flags.get(flag):
                self.__dict__["_to_float"] = kind
        return self

    def add_flags_recursive(self, **flags: Any) -> "Cell":
        """Keep flags, here and in all children."""
        for _, cell in self.cells_and_names():
            cell.add_flags(**flags)
        return self

    def get_flags(self) -> dict[str, Any]:
        """The flags that were kept."""
        return self._flags

    # printing

    def extend_repr(self) -> str:
        """What stands between the parentheses."""
        return ""

    def __repr__(self) -> str:
        children = self._modules.items()
        inside = self.extend_repr()
        if not children:
            return f"{type(self).__name__}({inside})"
        lines = [f"({name}): " + repr(cell).replace("\n", "\n  ") for name, cell in children]
        return f"{type(self).__name__}({inside}\n  " + "\n  ".join(lines) + "\n)"

    __str__ = __repr__

    def __hash__(self) -> int:
        return id(self)


def _cast(value: Any, kind: torch.dtype) -> Any:
    return value.astype(kind) if isinstance(value, Tensor) and value._torch.is_floating_point() else value


class GraphCell(Cell):
    """A compiled graph of MindSpore's own; it cannot be run here.

    Raises:
        UsageError: always.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise UsageError("a MindIR graph is not run here", fix="build the network with nn.Cell and load its checkpoint")
