"""Blocks: layers and networks as Python objects that hold their parameters and children."""

import importlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from evergraph.errors import collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._later import later
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import BlockTypeError, BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.kinds import require_np
from evergraph.mxnet.gluon.loading import load_values
from evergraph.mxnet.gluon.model_files import load_model, save_model
from evergraph.mxnet.gluon.parameter import Parameter
from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.gluon.scope import BlockScope
from evergraph.mxnet.gluon.summary import summarize
from evergraph.mxnet.gluon.utils import HookHandle

__all__ = ["Block", "indented"]

__getattr__ = later(__name__, "evergraph.mxnet.gluon.hybrid", "evergraph.mxnet.gluon.symbol_block")


def indented(text: str, spaces: int = 2) -> str:
    """A text whose further lines are moved to the right."""
    first, *more = text.split("\n")
    return "\n".join([first, *(" " * spaces + line for line in more)])


class Block:
    """A layer or a network; subclasses define `forward` on arrays.

    Blocks and parameters that are set as attributes become its children and its parameters.

    Args:
        prefix: stands before its parameters' names; made of the class's name and a number where it is not given.
        params: a dictionary whose parameters are shared, `other.collect_params()`.

    >>> class Net(Block):
    ...     def forward(self, x): return x * 2
    >>> Net()(nd.ones((2,))).asnumpy()
    array([2., 2.], dtype=float32)
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None) -> None:
        self._empty_prefix = prefix == ""
        self._prefix, self._params = BlockScope.create(prefix, params, self._alias())
        self._name = self._prefix.removesuffix("_")
        self._scope = BlockScope(self)
        self._children: dict[str, Block] = {}
        self._reg_params: dict[str, Parameter] = {}
        self._forward_hooks: dict[int, Callable[..., Any]] = {}
        self._forward_pre_hooks: dict[int, Callable[..., Any]] = {}

    def __repr__(self) -> str:
        rows = [f"  ({k}): {indented(repr(v))}" for k, v in self.__dict__.items() if isinstance(v, Block)]
        return "\n".join([f"{type(self).__name__}(", *rows, ")"]) if rows else f"{type(self).__name__}(\n\n)"

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        if isinstance(old, (Parameter, Block)) and not isinstance(value, type(old)):
            raise BlockTypeError(
                f"Changing attribute type for {name} from {type(old)} to {type(value)} is not allowed."
            )
        if isinstance(value, Block):
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            if name in self._reg_params and self._reg_params[name] is not value:
                raise ParameterFitError(
                    f"Overriding Parameter attribute {name} is not allowed.",
                    fix="to share parameters between blocks, set 'params' when the block is made",
                )
            self._reg_params[name] = value
        super().__setattr__(name, value)

    def _alias(self) -> str:
        return type(self).__name__.lower()

    # ---- what it is made of

    @property
    def prefix(self) -> str:
        """What stands before its parameters' names."""
        return self._prefix

    @property
    def name(self) -> str:
        """The prefix without its last underscore."""
        return self._name

    @property
    def params(self) -> ParameterDict:
        """Its own parameters, without its children's."""
        return self._params

    def name_scope(self) -> BlockScope:
        """A scope in which children and parameters are named after it: `with self.name_scope():`."""
        return self._scope

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """Its own and its children's parameters; those whose names match the regular expression, where one is given."""
        self._warn_of_containers()
        pattern = re.compile(select) if select else None
        found = ParameterDict(self._params.prefix)
        found.update({n: p for n, p in self.params.items() if pattern is None or pattern.match(n)})
        for child in self._children.values():
            found.update(child.collect_params(select))
        return found

    def _warn_of_containers(self) -> None:
        children = {id(c) for c in self._children.values()}
        for name, value in self.__dict__.items():
            if name == "_children" or not isinstance(value, (list, tuple, dict)):
                continue
            if any(id(b) not in children for b in _blocks_in(value)):
                warnings.warn(
                    f'"{type(self).__name__}.{name}" is an unregistered container with Blocks. Note that Blocks inside'
                    " the list, tuple or dict will not be registered automatically. Make sure to register them using"
                    " register_child() or switching to nn.Sequential/nn.HybridSequential instead. ",
                    stacklevel=3,
                )

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Parameter]:
        before = f"{prefix}." if prefix else ""
        found = {before + k: p for k, p in self._reg_params.items()}
        for name, child in self._children.items():
            found.update(child._collect_params_with_prefix(before + name))
        return found

    def register_child(self, block: "Block", name: str | None = None) -> None:
        """Take a block as a child, by its number where no name is given."""
        self._children[str(len(self._children)) if name is None else name] = block

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(block, inputs)` before each `forward`."""
        return _hooked(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(block, inputs, outputs)` after each `forward`."""
        return _hooked(self._forward_hooks, hook)

    def apply(self, fn: Callable[["Block"], Any]) -> "Block":
        """Call a function on all children, then on itself."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    # ---- parameters

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initialize all parameters; see `ParameterDict.initialize`."""
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def save_parameters(self, filename: str, deduplicate: bool = False) -> None:
        """Save the parameters by their attributes' names, for `load_parameters`.

        Args:
            filename: a file, at any URI.
            deduplicate: whether a shared parameter is saved once.
        """
        nd.save(filename, self._saved_arrays(deduplicate))

    def _saved_arrays(self, deduplicate: bool = False) -> dict[str, Any]:
        params = self._collect_params_with_prefix()
        if deduplicate:
            last = {id(p): n for n, p in params.items()}
            params = {n: p for n, p in params.items() if last[id(p)] == n}
        return {n: p._reduce() for n, p in params.items()}

    def load_parameters(
        self,
        filename: str,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Load what `save_parameters`, or the older `save_params`, wrote.

        Args:
            filename: a file, at any URI.
            ctx: one or several devices.
            allow_missing: whether parameters may be missing in the file.
            ignore_extra: whether the file may hold others.
            cast_dtype: whether other element types are cast.
            dtype_source: "current" to cast the file's values, "saved" to change the parameters.

        Raises:
            AssertionError: parameters are missing in the file; all are listed.
            ValueError: the file holds others; all are listed.
        """
        loaded = nd.load(filename)
        params = self._collect_params_with_prefix()
        if not loaded and not params:
            return
        if not isinstance(loaded, dict):
            raise BlockValueError("the file holds arrays without names", where=printable(filename))
        if params and not any("." in name for name in loaded) and any("." in name for name in params):
            self.collect_params().load(
                filename, ctx, allow_missing, ignore_extra, self.prefix, cast_dtype, dtype_source
            )
            return
        self.load_dict(loaded, ctx, allow_missing, ignore_extra, cast_dtype, dtype_source)

    def load_dict(
        self,
        param_dict: Mapping[str, Any],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Load parameters from arrays by their attributes' names; see `load_parameters`."""
        params = self._collect_params_with_prefix()
        if not allow_missing:
            given = {id(params[n]) for n in param_dict if n in params}
            collect(
                ParameterFitError,
                "parameters are missing",
                [printable(n) for n, p in params.items() if id(p) not in given],
                fix="Set allow_missing=True to ignore missing parameters.",
            )
        if not ignore_extra:
            collect(
                BlockValueError,
                "parameters are loaded that the block does not have",
                [printable(n) for n in param_dict if n not in params],
                fix="Set ignore_extra=True to ignore.",
            )
        pairs = [(params[name], name, value) for name, value in param_dict.items() if name in params]
        load_values(pairs, ctx, cast_dtype, dtype_source)

    def save_params(self, filename: str) -> None:
        """Save the parameters by name, as releases before 1.4 did."""
        warnings.warn("save_params is deprecated. Please use save_parameters.", stacklevel=2)
        self.collect_params().save(filename, strip_prefix=self.prefix)

    def load_params(
        self, filename: str, ctx: Any = None, allow_missing: bool = False, ignore_extra: bool = False
    ) -> None:
        """`load_parameters` by its older name."""
        warnings.warn("load_params is deprecated. Please use load_parameters.", stacklevel=2)
        self.load_parameters(filename, ctx, allow_missing, ignore_extra)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.collect_params().zero_grad()

    def cast(self, dtype: Any) -> None:
        """Change the element type of all parameters."""
        for child in self._children.values():
            child.cast(dtype)
        for each in self.params.values():
            each.cast(dtype)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Run the hybrid blocks inside as graphs from now on, or not."""
        for child in self._children.values():
            child.hybridize(active, **kwargs)

    def register_op_hook(self, callback: Callable[..., Any], monitor_all: bool = False) -> None:
        """Show every operator's outputs of the hybridized blocks inside to `callback(name, operator, array)`.

        Args:
            callback: takes the output's name and the operator's, both as bytes as MXNet gives them, and the array.
            monitor_all: whether inputs are shown too.
        """
        for child in self._children.values():
            child.register_op_hook(callback, monitor_all)

    def summary(self, *inputs: Any) -> None:
        """Print the layers that run for these inputs, the shapes of their outputs and their numbers of parameters.

        Raises:
            AssertionError: a block inside is hybridized.

        >>> from evergraph.mxnet.gluon import nn
        >>> net = nn.Dense(4, in_units=3); net.initialize(); net.summary(nd.ones((2, 3)))  # doctest: +ELLIPSIS
        ---...
                     Dense-1                                     (2, 4)              16
        ===...
        """
        row = importlib.import_module("evergraph.mxnet.gluon.nn.containers")
        print(summarize(self, inputs, (row.Sequential, row.HybridSequential)))

    def save(self, prefix: str) -> None:
        """Write the structure and the parameters, `prefix-model.json` and `prefix-model.params`."""
        save_model(self, prefix)

    def load(self, prefix: str) -> None:
        """Take the parameters that `save` wrote for a block of the same structure, and hybridize what was.

        Raises:
            ValueError: the structures differ.
        """
        load_model(self, prefix)

    # ---- running

    def __call__(self, *args: Any) -> Any:
        """The outputs for these inputs, with hooks called before and after."""
        for hook in list(self._forward_pre_hooks.values()):
            hook(self, args)
        found = self.forward(*args)
        for hook in list(self._forward_hooks.values()):
            hook(self, args, found)
        if STATE.np_array:
            require_np(found)
        return found

    def forward(self, *args: Any) -> Any:
        """The outputs for these inputs.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")


def _hooked(hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> HookHandle:
    handle = HookHandle(hooks)
    hooks[id(handle)] = hook
    return handle


def _blocks_in(value: Any) -> Iterator[Block]:
    if isinstance(value, Block):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _blocks_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _blocks_in(each)
