"""Symbol: one or more outputs of a computation that is described, not yet done."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.errors import EvergraphError, GraphError, UsageError, collect, printable
from evergraph.graph import Graph, parse, to_json
from evergraph.mxnet._later import later
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import NotImplementedForSymbol
from evergraph.mxnet.ndarray.types import numpy_type
from evergraph.mxnet.symbol import nodes
from evergraph.mxnet.symbol.nodes import (
    Entry,
    SymbolNode,
    adopt,
    attribute_key,
    graph_of,
    remember_whole,
    shown_attributes,
)
from evergraph.passes.shapes import Shapes, infer_shapes
from evergraph.passes.signature import Signature, internals, signature
from evergraph.passes.types import infer_types
from evergraph.passes.upgrade import upgrade
from evergraph.stores import commit, open_source
from evergraph.tensors import dtype as element_type

__all__ = ["Group", "Symbol", "SymbolBase", "fromjson", "load", "load_json", "loads"]

__getattr__ = later(__name__, "evergraph.mxnet.symbol")


class _NameError(GraphError, ValueError):
    """A name that no output has, or several."""


class _KindError(UsageError, TypeError):
    """A value that is no symbol, or no shape."""


class _ValueError(UsageError, ValueError):
    """Arguments that contradict each other, or have the wrong form."""


_CHANGES = [0]


class SymbolBase:
    """What tells symbols from other values."""

    __slots__ = ()


class Symbol(SymbolBase):
    """One or more outputs of a computation.

    Nodes are shared between symbols: an attribute that is set on one is seen by all that use the node.

    Args:
        handle: the outputs, as (node, number); symbols are made by `var`, by operators and by `load`.

    >>> from evergraph.mxnet import sym
    >>> net = sym.FullyConnected(sym.Variable("data"), num_hidden=4, name="fc")
    >>> net.list_arguments(), net.list_outputs()
    (['data', 'fc_weight', 'fc_bias'], ['fc_output'])
    """

    __slots__ = ("__dict__", "__weakref__", "_entries", "_known")
    # NumPy scalars on the left must ask the symbol
    __array_priority__ = 1000.0

    def __init__(self, handle: Sequence[Entry]) -> None:
        self._entries = tuple(handle)
        self._known: tuple[Any, Graph, list[SymbolNode]] | None = None

    # ---- the graph behind it

    @property
    def handle(self) -> int:
        """A number that is this symbol's own, where MXNet has a pointer."""
        return id(self)

    @property
    def graph(self) -> Graph:
        """The graph as MXNet 1.9.1 has it."""
        return self._made()[0]

    def _made(self) -> tuple[Graph, list[SymbolNode]]:
        key = (_CHANGES[0], STATE.np_shape)
        if self._known is None or self._known[0] != key:
            self._known = (key, *graph_of(self._entries, STATE.np_shape))
        return self._known[1], self._known[2]

    @property
    def _left_off(self) -> frozenset[str]:
        """Names of the variables, beside its own, of the networks that its layers were taken from."""
        made = self._made()[1]
        return frozenset().union(*{n.whole for n in made}) - {n.name for n in made}

    @property
    def _signature(self) -> Signature:
        return signature(self.graph)

    # ---- its parts

    @property
    def name(self) -> str | None:
        """The node's name; None for a group of several nodes."""
        names = {id(n): n.name for n, _ in self._entries}
        return next(iter(names.values())) if len(names) == 1 else None

    def __repr__(self) -> str:
        name = self.name
        if name is None:
            listed = ", ".join(str(nodes_name) for nodes_name in (each.name for each in self))
            return f"<{type(self).__name__} group [{listed}]>"
        return f"<{type(self).__name__} {name}>"

    def __iter__(self) -> Iterator["Symbol"]:
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_outputs(self) -> int:
        """How many outputs it has."""
        return len(self._entries)

    def __getitem__(self, index: Any) -> "Symbol":
        """The output of a number or a name, or a group of those of a slice."""
        if isinstance(index, slice):
            return Group([self[i] for i in range(*index.indices(len(self)))])
        if isinstance(index, str):
            index = self._place(index)
        elif not isinstance(index, (int, np.integer)):
            raise _KindError("outputs are found by number or name", found=type(index).__name__)
        if not 0 <= index < len(self._entries):
            raise IndexError(f"output {index} of {len(self._entries)}")
        return type(self)((self._entries[index],))

    def _place(self, name: str) -> int:
        outputs = self.list_outputs()
        places = [i for i, each in enumerate(outputs) if each == name]
        if len(places) != 1:
            word = "no output has this name" if not places else "several outputs have this name"
            raise _NameError(word, expected=", ".join(map(printable, outputs)), found=printable(name))
        return places[0]

    def get_internals(self) -> "Symbol":
        """Every output of every node, as a group."""
        graph, made = self._made()
        remember_whole(made)
        return type(self)([(made[i], output) for _, (i, output, _) in internals(graph)])

    def get_children(self) -> "Symbol | None":
        """The inputs of its nodes, as a group; None for a variable."""
        distinct = {id(n): n for n, _ in self._entries}
        entries = [e for n in distinct.values() for e in n.inputs]
        return type(self)(entries) if entries else None

    # ---- lists

    def list_arguments(self) -> list[str]:
        """Names of its inputs and parameters, in order."""
        return list(self._signature.arguments)

    def list_outputs(self) -> list[str]:
        """Names of its outputs."""
        return list(self._signature.outputs)

    def list_auxiliary_states(self) -> list[str]:
        """Names of its auxiliary states, in order."""
        return list(self._signature.auxiliary)

    def list_inputs(self) -> list[str]:
        """Names of arguments and auxiliary states, in the order of the graph."""
        return list(self._signature.inputs)

    # ---- attributes

    def attr(self, key: str) -> str | None:
        """The text of an attribute of its node, or None."""
        attrs = self._node("an attribute").attrs
        return attrs.get(key, attrs.get(attribute_key(key)))

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """The attributes of its node.

        Raises:
            DeprecationWarning: for `recursive`, whose place `attr_dict` took.
        """
        if recursive:
            raise DeprecationWarning("Symbol.list_attr with recursive=True has been deprecated. Use attr_dict instead.")
        return shown_attributes(self._node("attributes").attrs)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """The attributes of every node that has any, by name; nodes of one name share theirs."""
        found: dict[str, dict[str, str]] = {}
        for node in self._made()[1]:
            if node.attrs:
                found.setdefault(node.name, {}).update(shown_attributes(node.attrs))
        return found

    def _set_attr(self, **kwargs: str) -> None:
        """Set attributes of its node.

        Raises:
            ValueError: a value is no text.
        """
        node = self._node("attributes")
        for key, value in kwargs.items():
            if not isinstance(value, str):
                raise _ValueError("attributes are texts", where=key, found=f"{type(value).__name__} {value!r}")
            node.attrs[attribute_key(key)] = value
        _CHANGES[0] += 1

    def _node(self, what: str) -> SymbolNode:
        if len({id(n) for n, _ in self._entries}) != 1:
            raise GraphError(f"a group has no {what} of its own", fix="take one of its outputs first: group[0]")
        return self._entries[0][0]

    # ---- composition

    def __call__(self, *args: Any, **kwargs: Any) -> "Symbol":
        """A copy with variables replaced by other symbols, by position or by name."""
        found = self.__copy__()
        found._compose(*args, **kwargs)
        return found

    def _compose(self, *args: Any, **kwargs: Any) -> None:
        """Replace variables in place."""
        name = kwargs.pop("name", None)
        if args and kwargs:
            raise _KindError("compose takes inputs by position or by name, not both")
        for value in (*args, *kwargs.values()):
            if not isinstance(value, SymbolBase):
                raise _KindError("compose expects symbols", found=f"{type(value).__name__} {value!r}")
        named = {k: single(v, k) for k, v in kwargs.items()}
        self._entries = tuple(nodes.replace_variables(self._entries, [single(a) for a in args], named, name))
        self._known = None

    def __copy__(self) -> "Symbol":
        return type(self)(nodes.replace_variables(self._entries, (), {}, None))

    def __deepcopy__(self, _: Any) -> "Symbol":
        return self.__copy__()

    # ---- shapes and types

    def infer_shape(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """Shapes of arguments, outputs and auxiliary states from those that are given, by name or by position.

        Returns:
            three lists; three None, with a warning, where something remains unknown.

        Raises:
            MXNetError: shapes contradict each other; the message names the nodes.
        """
        found = self._shapes(args, kwargs)
        names = self._signature
        parts = self._listed(found, names)
        unknown = [
            n for n, s in zip((*names.arguments, *names.auxiliary), (*parts[0], *parts[2]), strict=True) if _open(s)
        ]
        if unknown or any(_open(s) for s in parts[1]):
            shown = "".join(f"\n\t{n}: {_legacy(found.variables().get(n))}" for n in unknown)
            warnings.warn(
                "Cannot decide shape for the following arguments (0s in shape means unknown dimensions)."
                f" Consider providing them as input:{shown}",
                stacklevel=2,
            )
            return None, None, None
        return tuple([tuple(s) for s in part] for part in parts)  # type: ignore[return-value]

    def infer_shape_partial(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """As `infer_shape`, with what is unknown left open: () or 0; None or -1 under NumPy's meaning of shapes."""
        found = self._shapes(args, kwargs)
        return tuple([_legacy(s) for s in part] for part in self._listed(found, self._signature))  # type: ignore[return-value]

    def _listed(self, found: Any, names: Signature) -> tuple[list[Any], list[Any], list[Any]]:
        arguments = [found.of(i) for i in names.nodes if i not in names.states]
        return arguments, found.heads(), [found.of(i) for i in names.nodes if i in names.states]

    def _shapes(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Shapes:
        return infer_shapes(self.graph, self._given(args, kwargs, "shapes", _is_shape, tuple))

    def _given(self, args: Sequence[Any], kwargs: Mapping[str, Any], what: str, fits: Any, read: Any) -> dict[str, Any]:
        if args and kwargs:
            raise _ValueError(f"Can only specify known argument {what} either by positional or kwargs way.")
        given = dict(zip(self.list_arguments(), args, strict=False)) if args else dict(kwargs)
        given = {k: v for k, v in given.items() if v is not None}
        wrong = [f"{printable(k)}: {type(v).__name__} {v!r}" for k, v in given.items() if not fits(v)]
        collect(_KindError, f"Arguments need to be {what}", wrong)
        return {k: read(v) for k, v in given.items()}

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """NumPy types of arguments, outputs and auxiliary states from those that are given.

        Returns:
            three lists; three None where something remains unknown.

        Raises:
            MXNetError: types contradict each other; the message names the nodes.
        """
        parts = self.infer_type_partial(*args, **kwargs)
        return (None, None, None) if any(t is None for part in parts for t in part) else parts

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """As `infer_type`, with None for what is unknown."""
        given = self._given(args, kwargs, "types", lambda _: True, _type_text)
        found = infer_types(self.graph, given)
        parts = self._listed(found, self._signature)
        return tuple([None if t is None else numpy_type(element_type(t).torch()) for t in p] for p in parts)  # type: ignore[return-value]

    # ---- files

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """The symbol file's text, byte for byte as MXNet 1.9.1 writes it.

        Args:
            remove_amp_cast: whether casts of automatic mixed precision are left out.
        """
        graph = self.graph
        if remove_amp_cast and any(n.op.startswith("amp_") for n in graph.nodes):
            graph = _without_casts(self).graph
        return to_json(graph).decode("utf-8", "surrogateescape")

    def save(self, fname: Any, remove_amp_cast: bool = True) -> None:
        """Save to a symbol file, at any URI; the file is replaced at one instant.

        Raises:
            TypeError: `fname` is no name.
        """
        if not isinstance(fname, str):
            raise _KindError("fname need to be string", found=type(fname).__name__)
        data = self.tojson(remove_amp_cast).encode("utf-8", "surrogateescape")
        with commit(fname, total=len(data)) as sink:
            sink.write(data)

    def __getstate__(self) -> dict[str, Any]:
        return {"handle": self.tojson(remove_amp_cast=False)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        text = state.get("handle")
        found = load_json(text) if text is not None else Symbol(())
        self._entries, self._known = found._entries, None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ((),), self.__getstate__()

    def debug_str(self) -> str:
        """A listing of every node, its inputs and attributes."""
        lines = ["Symbol Outputs:"]
        lines += [f"\toutput[{i}]={n.name}({output})" for i, (n, output) in enumerate(self._entries)]
        for node in self._made()[1]:
            if node.is_variable:
                lines.append(f"Variable:{node.name}")
                continue
            lines += ["--------------------", f"Op:{node.op}, Name={node.name}", "Inputs:"]
            for i, (source, output) in enumerate(node.inputs):
                version = " version=0" if source.is_variable else ""
                lines.append(f"\targ[{i}]={source.name}({output}){version}")
            if node.attrs:
                lines += ["Attrs:", *(f"\t{k}={v}" for k, v in sorted(node.attrs.items()))]
        return "\n".join(lines) + "\n"

    # ---- what has values only when bound

    def gradient(self, wrt: Any) -> "Symbol":
        """A symbol of the gradient: 1.x does not make one; executors compute gradients.

        Raises:
            MXNetError: always.
        """
        raise EvergraphError(
            "a symbol of a gradient cannot be made", fix="bind the symbol, and call backward() on the executor"
        )

    def get_backend_symbol(self, backend: str) -> "Symbol":
        """The symbol itself: no backend of MXNet is here to cut it into pieces."""
        return self

    def optimize_for(self, backend: str, *_: Any, **__: Any) -> "Symbol":
        """The symbol itself: the engine optimizes what it runs, whatever backend is named."""
        return self

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol(self.__bool__, "bool")

    def asnumpy(self) -> Any:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.asnumpy, None)

    def asscalar(self) -> Any:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.asscalar, None)

    def wait_to_read(self) -> None:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.wait_to_read, None)

    def backward(self) -> None:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.backward, None)

    def detach(self) -> Any:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.detach, None)

    def as_in_context(self, *_: Any) -> Any:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.as_in_context, None)

    def copy(self) -> Any:
        """Not for symbols."""
        raise NotImplementedForSymbol(self.copy, None)

    def as_nd_ndarray(self) -> "Symbol":
        """The symbol itself."""
        return self

    def as_np_ndarray(self) -> Any:
        """The same outputs as a symbol of mx.np's arrays."""
        from evergraph.mxnet.symbol.numpy import _Symbol

        return _Symbol(self._entries)

    # ---- binding: see evergraph.mxnet.executor

    def bind(
        self,
        ctx: Any,
        args: Any,
        args_grad: Any = None,
        grad_req: Any = "write",
        aux_states: Any = None,
        group2ctx: Mapping[str, Any] | None = None,
        shared_exec: Any = None,
    ) -> Any:
        """An executor over these arrays; see `evergraph.mxnet.executor.bind`."""
        from evergraph.mxnet import executor

        return executor.bind(self, ctx, args, args_grad, grad_req, aux_states, group2ctx, shared_exec)

    def simple_bind(
        self,
        ctx: Any,
        grad_req: Any = "write",
        type_dict: Mapping[str, Any] | None = None,
        stype_dict: Mapping[str, str] | None = None,
        group2ctx: Mapping[str, Any] | None = None,
        shared_arg_names: Sequence[str] | None = None,
        shared_exec: Any = None,
        shared_buffer: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """An executor with arrays made for the shapes in `kwargs`; see `evergraph.mxnet.executor.simple_bind`."""
        from evergraph.mxnet import executor

        return executor.simple_bind(
            self, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer, kwargs
        )

    def eval(self, ctx: Any = None, **kwargs: Any) -> list[Any]:
        """The outputs for these arrays, by argument's name."""
        from evergraph.mxnet.context import current_context

        return self.bind(ctx if ctx is not None else current_context(), kwargs, grad_req="null").forward()


def single(symbol: Any, name: str = "") -> Entry:
    """The one output of a symbol.

    Raises:
        MXNetError: it has several.
    """
    if len(symbol._entries) != 1:
        raise GraphError(
            "one output is needed, and the symbol has several",
            where=f"input {name}" if name else None,
            found=", ".join(symbol.list_outputs()),
            fix="take one of them: symbol[0]",
        )
    return symbol._entries[0]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(d, (int, np.integer)) for d in value)


def _type_text(value: Any) -> str:
    try:
        return str(element_type(np.dtype(value) if not isinstance(value, str) else value))
    except EvergraphError as error:
        raise _KindError(error.what, expected=error.expected) from error


def _open(shape: Any) -> bool:
    return shape is None or None in shape


def _legacy(shape: Any) -> Any:
    """A shape that may be open, as MXNet gives it."""
    if shape is None:
        return None if STATE.np_shape else ()
    return tuple((-1 if STATE.np_shape else 0) if d is None else d for d in shape)


def _without_casts(symbol: Symbol) -> Symbol:
    """A copy without the casts of automatic mixed precision."""
    copy = symbol.__copy__()

    def real(entry: Entry) -> Entry:
        node, output = entry
        while node.op in ("amp_cast", "amp_multicast"):
            node, output = node.inputs[output if node.op == "amp_multicast" else 0]
        return node, output

    for node in copy._made()[1]:
        node.inputs = [real(e) for e in node.inputs]
    return Symbol([real(e) for e in copy._entries])


def Group(symbols: Any, create_fn: Any = Symbol) -> Symbol:
    """A symbol of the outputs of several.

    Raises:
        TypeError: no symbols.

    >>> from evergraph.mxnet import sym
    >>> Group([sym.Variable("a"), sym.Variable("b")]).list_outputs()
    ['a', 'b']
    """
    found = list(symbols) if symbols is not None and not isinstance(symbols, SymbolBase) else []
    if not found or any(not isinstance(s, Symbol) for s in found):
        raise _KindError("Expected a list of symbols as input", found=repr(symbols))
    return create_fn([e for s in found for e in s._entries])


def load_json(json_str: str) -> Symbol:
    """The symbol of a symbol file's text, of any release; upgraded as MXNet 1.9.1 does.

    Raises:
        TypeError: no text.
        MXNetError: the text is no symbol; the message says where.
    """
    if not isinstance(json_str, str):
        raise _KindError("the text of a symbol is needed", found=type(json_str).__name__)
    return _adopted(parse(json_str.encode("utf-8", "surrogateescape")))


def fromjson(json_str: str) -> Symbol:
    """`load_json` by MXNet 2's name."""
    return load_json(json_str)


def load(fname: Any) -> Symbol:
    """The symbol in a file, at any URI.

    Raises:
        TypeError: `fname` is no name.
        MXNetError: the file is not there, or no symbol.
    """
    if not isinstance(fname, str):
        raise _KindError("fname need to be string", found=type(fname).__name__)
    with open_source(fname) as source:
        return _adopted(parse(bytes(source.head(source.size)), name=source.name))


def loads(text: str) -> Symbol:
    """The symbol of a symbol file's text, or of the file of this name: tutorials write it for either.

    Raises:
        MXNetError: the text is no symbol, or the file is not there.

    >>> loads(Symbol.tojson(load_json('{"nodes": [{"op": "null", "name": "a", "inputs": []}], "heads": [[0, 0, 0]]}')))
    <Symbol a>
    """
    return load_json(text) if isinstance(text, str) and text.lstrip().startswith("{") else load(text)


def _adopted(graph: Graph) -> Symbol:
    found = upgrade(graph).graph
    entries, made = adopt(found)
    remember_whole(made)
    symbol = Symbol(entries)
    if found.numpy_shapes == STATE.np_shape:
        symbol._known = ((_CHANGES[0], STATE.np_shape), found.replace(), made)
    return symbol
