"""What an operator is: its parameters, inputs, outputs, shape and type rules, and its computation, in one value."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

from evergraph.errors import OperatorError, collect, printable
from evergraph.ops.rules import Dims, DtypeRule, ShapeRule, same_dtype, unify
from evergraph.ops.run import Run
from evergraph.ops.types import REQUIRED, ParameterType, parameter_type

__all__ = ["Aux", "InPlace", "Input", "Operator", "Parameter", "Params", "Subgraphs"]

Aux = Annotated[Any, "auxiliary"]
"""Marks an input as an auxiliary state: kept beside the arguments, never differentiated, changed by training."""

InPlace = Annotated[Any, "in place"]
"""Marks an input that the operator changes, such as an optimizer's momentum."""

Subgraphs = Annotated[Sequence[Any], "subgraphs"]
"""Marks the keyword that receives a control-flow node's subgraphs, each callable on tensors."""


class Params(dict[str, Any]):
    """An operator's parsed parameters, by key or by attribute."""

    # a function of its own: torch.compile does not look through dict.__getitem__ here
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no parameter {name}") from None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword of an operator: name, type, and default (`REQUIRED` where it has none)."""

    name: str
    type: ParameterType
    default: Any

    @property
    def description(self) -> str:
        """MXNet's type string."""
        return self.type.describe(self.default)


@dataclass(frozen=True, slots=True)
class Input:
    """One input of an operator: `kind` is "data", "auxiliary" or "in place"."""

    name: str
    kind: str = "data"
    optional: bool = False


_HIDDEN = frozenset(("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage"))
_HIDDEN_OF_INPUTS = tuple(f"_{key}" for key in _HIDDEN)


@dataclass(eq=False)
class Operator:
    """One operator: what a graph's text means, what shapes come out, and how PyTorch computes it.

    Args:
        name: canonical name, as MXNet 1.9.1 registers it.
        body: the computation; positional arguments are the inputs, keywords the parameters.
        aliases: other names that graphs use.
        shape: rule for shapes, or None to run the body on meta tensors.
        dtype: rule for types.
        outputs: number or names of the outputs, or a function of the parameters.
        visible: how many outputs others can use; the rest are the operator's own.
        optional: for inputs that only some parameters call for, when they do.
        retired: parameters of older releases that change nothing, each with its reason.
        count: the parameter that holds the number of inputs of a variadic operator.
        description: type strings that follow no rule, by parameter or input.
        documented: names in the order in which MXNet's registry lists them, where that is not inputs, then
            parameters; a name in it that the operator does not take has its type string in `description`.
        names: for a variadic operator whose parameters name its inputs: (params, count) -> names, or None for the
            usual ones.
        states: for a variadic operator that changes some of its inputs: params -> their names.
    """

    name: str
    body: Callable[..., Any]
    aliases: tuple[str, ...] = ()
    shape: ShapeRule | None = None
    dtype: DtypeRule = same_dtype
    outputs: int | tuple[str, ...] | Callable[[Params], int | tuple[str, ...]] = 1
    visible: int | Callable[[Params], int] | None = None
    optional: Mapping[str, Callable[[Params], bool]] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)
    count: str = "num_args"
    description: Mapping[str, str] = field(default_factory=dict)
    documented: tuple[str, ...] | None = None
    names: Callable[[Params, int | None], list[str] | None] | None = None
    states: Callable[[Params], Sequence[str]] | None = None

    def __post_init__(self) -> None:
        self.inputs: tuple[Input, ...] = ()
        self.parameters: dict[str, Parameter] = {}
        self.variadic: str | None = None
        self.open_ended: bool = False
        self.wants_run = self.wants_subgraphs = False
        self._parameter_shapes: Callable[[Params, Any], dict[str, Any]] | None = None
        self.quick: Callable[..., Callable[..., Any] | None] | None = None
        self.overwriting: Callable[..., Callable[..., Any] | None] | None = None
        self._complete: Callable[[Params, list[Dims]], Params] | None = None
        self.sparse_bodies: dict[tuple[str, ...], Callable[..., Any]] = {}
        self.sparse_results: dict[tuple[str, ...], str | Callable[[Params], str]] = {}
        self._read_signature()
        if self.variadic is None or self.count not in self.parameters:
            self.count = ""

    def _read_signature(self) -> None:
        inputs = []
        for name, p in inspect.signature(self.body).parameters.items():
            if p.kind is p.VAR_POSITIONAL:
                self.variadic = name
            elif p.kind is p.VAR_KEYWORD:
                self.open_ended = True
            elif p.kind is not p.KEYWORD_ONLY:
                kind = _marker(p.annotation) or "data"
                inputs.append(Input(name, kind, p.default is not p.empty))
            elif p.annotation is Run:
                self.wants_run = True
            elif _marker(p.annotation) == "subgraphs":
                self.wants_subgraphs = True
            else:
                default = REQUIRED if p.default is p.empty else p.default
                self.parameters[name] = Parameter(name, parameter_type(p.annotation), default)
        self.inputs = tuple(inputs)

    @property
    def doc(self) -> str:
        """The operator's documentation."""
        return inspect.cleandoc(self.body.__doc__ or "")

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """Name and MXNet's type string of each input and parameter, in the order of MXNet's registry."""
        found = {i.name: "NDArray-or-Symbol" for i in self.inputs}
        if self.variadic:
            found[self.variadic] = "NDArray-or-Symbol[]"
        found |= {p.name: p.description for p in self.parameters.values()} | dict(self.description)
        return [(name, found[name]) for name in (found if self.documented is None else self.documented)]

    def parse(self, attributes: Mapping[str, str]) -> Params:
        """The parameters that a node's texts stand for.

        Keys that belong to the graph and not to the operator (`__key__`, `ctx_group`, `lr_mult`...) are passed over,
        as are parameters that older releases had and that change nothing, and everything that an operator without
        any parameters is given.

        Raises:
            OperatorError: naming every unknown, missing or malformed parameter at once.
        """
        given: dict[str, str] = {}
        extra: dict[str, str] = {}
        for key, text in attributes.items():
            if key in self.parameters:
                given[key] = text
            elif (self.parameters or self.open_ended) and not (
                key.startswith("__") or key in _HIDDEN or key in self.retired or key.endswith(_HIDDEN_OF_INPUTS)
            ):
                extra[key] = text
        return self._resolve(given, extra, lambda kind, text: kind.parse(text))

    def convert(self, values: Mapping[str, Any]) -> Params:
        """The parameters that Python arguments stand for.

        Raises:
            OperatorError: naming every unknown, missing or malformed parameter at once.
        """
        given = {k: v for k, v in values.items() if k in self.parameters}
        extra = {k: v for k, v in values.items() if k not in self.parameters and k not in self.retired}
        return self._resolve(given, extra, lambda kind, value: kind.convert(value))

    def _resolve(self, given: Mapping[str, Any], extra: Mapping[str, Any], read: Callable[..., Any]) -> Params:
        params, wrong = Params(), []
        for name, parameter in self.parameters.items():
            if name in given:
                try:
                    params[name] = read(parameter.type, given[name])
                except (ValueError, TypeError) as error:
                    wrong.append(f"parameter {name}: expected {error}, found {printable(given[name])!r}")
            elif parameter.default is not REQUIRED:
                params[name] = parameter.default
            elif name != self.count:
                wrong.append(f"parameter {name}: required ({parameter.type.name}), not given")
        if self.open_ended:
            params.update(extra)
        else:
            wrong += [f"parameter {printable(k)}: unknown (value {printable(v)!r})" for k, v in extra.items()]
        if wrong:
            known = ", ".join(self.parameters) or "none"
            collect(
                OperatorError,
                f"operator {self.name} cannot take these parameters",
                wrong,
                expected=f"parameters: {known}",
            )
        return params

    def input_names(self, p: Params, count: int | None = None) -> list[str]:
        """Names of the inputs that these parameters call for, auxiliary states included, in order.

        Args:
            p: parsed parameters.
            count: number of inputs of a variadic operator, where the parameters do not tell.
        """
        named = self.names(p, count) if self.names is not None else None
        if named is not None:
            return named
        if self.variadic is not None:
            number = p.get(self.count, count) if self.count else count
            return [i.name for i in self.inputs] + [f"arg{i}" for i in range((number or 0) - len(self.inputs))]
        return [i.name for i in self.inputs if self.uses(i, p)]

    def uses(self, item: Input, p: Params) -> bool:
        """Whether these parameters call for this input."""
        wanted = self.optional.get(item.name)
        return wanted(p) if wanted is not None else True

    def auxiliary_names(self, p: Params) -> list[str]:
        """Names of the inputs that are auxiliary states."""
        return [i.name for i in self.inputs if i.kind == "auxiliary" and self.uses(i, p)]

    def changed_names(self, p: Params) -> list[str]:
        """Names of the inputs that it may change: auxiliary states, and those that are updated in place."""
        if self.states is not None:
            return list(self.states(p))
        return [i.name for i in self.inputs if i.kind != "data" and self.uses(i, p)]

    def output_names(self, p: Params) -> tuple[str, ...]:
        """Names of all outputs, the operator's own included: `output`, or `output0`, `output1`..."""
        found = self.outputs(p) if callable(self.outputs) else self.outputs
        if isinstance(found, int):
            return ("output",) if found == 1 else tuple(f"output{i}" for i in range(found))
        return found

    def visible_outputs(self, p: Params) -> int:
        """How many of the outputs, from the first, other nodes and users see."""
        if self.visible is None:
            return len(self.output_names(p))
        return self.visible(p) if callable(self.visible) else self.visible

    def arrange(self, p: Params, tensors: Sequence[Any]) -> list[Any]:
        """The body's positional arguments: given tensors, with None for each input that is not used.

        Raises:
            OperatorError: more or fewer inputs than these parameters call for.
        """
        if self.variadic is not None:
            return list(tensors)
        names = self.input_names(p)
        if len(tensors) != len(names):
            raise OperatorError(
                f"operator {self.name} takes other inputs",
                expected=f"{len(names)}: {', '.join(names)}",
                found=len(tensors),
            )
        given: Iterator[Any] = iter(tensors)
        return [next(given) if self.uses(i, p) else None for i in self.inputs]

    def parameter_shapes(
        self, rule: Callable[[Params, Any], dict[str, Any]]
    ) -> Callable[[Params, Any], dict[str, Any]]:
        """Decorates the function (params, shape of the first input) -> shapes of the inputs that follow from it."""
        self._parameter_shapes = rule
        return rule

    def quickened(self, rule: Callable[..., Callable[..., Any] | None]) -> Callable[..., Callable[..., Any] | None]:
        """Decorates the function (params, recorded, *tensors) -> a quicker computation for tensors like these, or None.

        `mx.nd` asks for it at the first call with some parameters, and calls what it got for all dense, contiguous
        tensors of the same types and numbers of axes: what depends on these alone is found out once. The computation's
        result is contiguous and shares no memory with its inputs; where it cannot be made, it raises what torch
        raises, and the body is asked. With `recorded` it must have the body's gradients too. For an operator without
        inputs the function is (params, run), the run on the CPU, and what it gives takes no arguments.
        """
        self.quick = rule
        return rule

    def overwrites(self, rule: Callable[..., Callable[..., Any] | None]) -> Callable[..., Callable[..., Any] | None]:
        """Decorates the function (params, *tensors) -> a computation that changes its first tensor to the result.

        `mx.nd` asks for it where that array is also the one that takes the result (`out`), as it asks for the
        quick one.
        """
        self.overwriting = rule
        return rule

    def completes(self, rule: Callable[[Params, list[Dims]], Params]) -> Callable[[Params, list[Dims]], Params]:
        """Decorates the function (params, inferred output shapes) -> params that the body can run with.

        For operators that make arrays of which a graph leaves a size open, as in `_zeros` of shape (0, 200).
        """
        self._complete = rule
        return rule

    @property
    def waits_for_shapes(self) -> bool:
        """Whether inferred shapes may complete its parameters."""
        return self._complete is not None

    def complete(self, p: Params, outputs: Sequence[Dims]) -> Params:
        """The parameters with what only inferred shapes tell; to be called before the body is."""
        return p if self._complete is None else self._complete(p, list(outputs))

    def storage(
        self, *kinds: str, result: str | Callable[[Params], str] | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorates the computation for inputs of these storage kinds ("default", "row_sparse", "csr").

        It takes the same arguments as the body, with sparse inputs as `evergraph.ops.sparse` values, and may return
        such values, or NotImplemented for parameters that it does not know. Other combinations are computed on dense
        copies, as MXNet's storage fallback does; see `evergraph.ops.sparse.compute`.

        Args:
            kinds: one for each input; a variadic operator's one kind, and "*", stands for any number of them.
            result: the storage kind of the first output, or a function of the parameters; the first input's, where
                it is not given.
        """

        def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
            self.sparse_bodies[kinds] = body
            self.sparse_results[kinds] = kinds[0] if result is None else result
            return body

        return decorate

    def infer_shapes(self, p: Params, inputs: Sequence[Dims], outputs: Sequence[Dims]) -> tuple[list[Dims], list[Dims]]:
        """Shapes of inputs and outputs, as far as each follows from the others (None: unknown).

        Args:
            p: parsed parameters.
            inputs: shapes in the order of `input_names`; None where unknown, None for unknown sizes.
            outputs: shapes of all outputs in the same form.

        Raises:
            ShapeError: the shapes contradict each other.
        """
        ins, outs = self.check_parameter_shapes(p, inputs), list(outputs)
        if self.shape is not None:
            return self.shape(p, ins, outs)
        return ins, outs

    def check_parameter_shapes(self, p: Params, inputs: Sequence[Any]) -> list[Any]:
        """Shapes of the inputs, those of the layer's parameters filled in from its data's.

        Raises:
            ShapeError: a parameter has another shape.
        """
        ins = list(inputs)
        if self._parameter_shapes is not None and ins and ins[0] is not None:
            found = self._parameter_shapes(p, ins[0])
            # inputs that are lacking are told where the others are arranged
            for i, name in enumerate(self.input_names(p, len(ins))[: len(ins)]):
                if name in found:
                    ins[i] = unify(ins[i], found[name], f"input {name} of {self.name}")
        return ins

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """The computation on tensors: inputs by position, parameters by name."""
        return self.body(*inputs, **parameters)

    def __repr__(self) -> str:
        return f"<operator {self.name}>"


def _marker(annotation: Any) -> str | None:
    if get_origin(annotation) is Annotated:
        return next((m for m in get_args(annotation)[1:] if isinstance(m, str)), None)
    return None
