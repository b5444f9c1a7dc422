"""Predictors: a graph with its parameters, arrays in, arrays out, on the fastest engine that takes it."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from evergraph.engine.compiling import Compiled, compile_program, freeze
from evergraph.engine.losses import predicting
from evergraph.engine.plan import make_plan
from evergraph.engine.program import Program
from evergraph.engine.settings import EngineWarning, resolve
from evergraph.engine.tensors import as_numpy, as_tensor
from evergraph.errors import UsageError, collect, printable
from evergraph.graph import Graph
from evergraph.ops.sparse import dense_value
from evergraph.passes.signature import signature
from evergraph.passes.types import TYPE_CODES, infer_types
from evergraph.passes.upgrade import upgrade
from evergraph.tensors import Tensor

__all__ = ["Predictor", "predictor"]

_KEPT = 8  # compiled forms that are kept, one for each set of input shapes


def predictor(
    graph: Graph,
    tensors: Mapping[str, Any],
    *,
    engine: str | None = None,
    precision: str | None = None,
    device: Any = "cpu",
) -> "Predictor":
    """A graph and its parameters, ready to predict.

    Loss layers are replaced by the predictions that they hold, so labels need not be given. For each set of input
    shapes the graph is lowered once (`evergraph.engine.lowering`) and kept.

    Args:
        graph: a graph of any release.
        tensors: values of arguments and auxiliary states by name (torch tensors, evergraph Tensors, NumPy arrays);
            `arg:` and `aux:` before a name are passed over.
        engine: "auto", "torch" or "openvino"; `evergraph.engine.use` holds where it is not given.
        precision: "float32" or "bfloat16", likewise.
        device: torch device string, such as "cuda:0".

    Raises:
        OperatorError: listing every unknown operator and malformed parameter of the graph.
        UsageError: auxiliary states are missing; an unknown engine, or one that is not for the device; no such device.
        MissingDependencyError: the engine is not installed.

    >>> from evergraph.graph import Node
    >>> x, w = Node("null", "x"), Node("null", "w")
    >>> layer = Node("FullyConnected", "y", {"num_hidden": "1", "no_bias": "True"}, ((0, 0, 0), (1, 0, 0)))
    >>> predict = predictor(Graph((x, w, layer), heads=((2, 0, 0),)), {"w": np.ones((1, 2), "float32")}, engine="torch")
    >>> predict({"x": np.array([[1.0, 2.0]], "float32")})
    [array([[3.]], dtype=float32)]
    """
    return Predictor(graph, tensors, engine=engine, precision=precision, device=device)


class Predictor:
    """Predicts with a graph; made by `predictor`.

    Attributes:
        graph: the upgraded graph.
        inputs: names of the inputs that must be given, in the graph's order.
        outputs: names of the outputs.
        unused: names of the given tensors that the graph does not have.
        notes: why the graph, or a part of it, does not run on the engine that was asked for.
    """

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Any], *, engine: str | None, precision: str | None, device: Any
    ) -> None:
        self._engine, self._precision = resolve(engine, precision)
        self._device = _device(device, self._engine)
        self.graph = upgrade(graph).graph
        names = signature(self.graph)
        given = {n.partition(":")[2] if n.startswith(("arg:", "aux:")) else n: v for n, v in tensors.items()}
        self.outputs, self.unused = names.outputs, tuple(n for n in given if n not in set(names.inputs))
        self._tensors = {n: given[n] for n in names.inputs if n in given}
        make_plan(self.graph, device=self._device)  # says what cannot be run
        self._predicting = predicting(self.graph)
        needed = signature(self._predicting).inputs
        self.inputs = tuple(n for n in dict.fromkeys(needed) if n not in self._tensors)
        self.notes: list[str] = []
        states = [f"missing: auxiliary state {printable(n)}" for n in names.auxiliary if n in self.inputs]
        stray = [f"not in the graph: {printable(n)}" for n in self.unused]
        collect(UsageError, "the parameters are not those of the graph", states + stray if states else ())
        self._types = _input_types(self.graph, self._tensors)
        self._prepared: OrderedDict[Any, Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, Any] | Sequence[Any]) -> list[np.ndarray]:
        """The outputs for these inputs, as NumPy arrays.

        Args:
            inputs: arrays by name, or in the order of `inputs`; labels of loss layers may be among the named ones.

        Raises:
            UsageError: inputs are missing or of unknown names; all are listed.
            ShapeError: their shapes do not fit the graph; every node that refuses them is listed.
        """
        return [as_numpy(o) for o in self.run(inputs)]

    def run(self, inputs: Mapping[str, Any] | Sequence[Any]) -> list[torch.Tensor]:
        """As a call, with torch tensors as results."""
        values = [self._typed(n, as_tensor(v)) for n, v in zip(self.inputs, self._in_order(inputs), strict=True)]
        with torch.no_grad():
            return self.prepare(values)(values)

    def _typed(self, name: str, value: Any) -> Any:
        wanted = self._types.get(name)
        if wanted is None and value.dtype == torch.float64:
            wanted = torch.float32  # as MXNet's arrays of NumPy values
        return dense_value(value).to(self._device, wanted or value.dtype)

    def _in_order(self, inputs: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
        if not isinstance(inputs, Mapping):
            if len(inputs) != len(self.inputs):
                expected = f"{len(self.inputs)}: {', '.join(map(printable, self.inputs))}"
                raise UsageError("the graph takes another number of inputs", expected=expected, found=len(inputs))
            return list(inputs)
        wrong = [f"missing: {printable(n)}" for n in self.inputs if n not in inputs]
        known = set(signature(self.graph).arguments)
        wrong += [f"not in the graph: {printable(n)}" for n in inputs if n not in known]
        collect(
            UsageError, "the inputs are not those of the graph", wrong, expected=", ".join(map(printable, self.inputs))
        )
        return [inputs[n] for n in self.inputs]

    def prepare(self, values: Sequence[torch.Tensor]) -> Compiled:
        """What computes the outputs for inputs of these shapes and types; made once for each, the newest are kept."""
        key = tuple((tuple(v.shape), v.dtype) for v in values)
        with self._lock:
            if key not in self._prepared:
                self._prepared[key] = self._prepare(values)
                if len(self._prepared) > _KEPT:
                    self._prepared.popitem(last=False)
            self._prepared.move_to_end(key)
            return self._prepared[key]

    def _prepare(self, values: Sequence[torch.Tensor]) -> Compiled:
        return compile_program(
            self._frozen(values),
            values,
            engine=self._engine,
            precision=self._precision,
            device=self._device,
            tell=self._tell,
        )

    def _frozen(self, values: Sequence[torch.Tensor]) -> Program:
        """The program with the parameters in it, and nowhere else where they are read from a file."""
        used = set(signature(self._predicting).inputs)
        tensors = {n: dense_value(as_tensor(t)).to(self._device) for n, t in self._tensors.items() if n in used}
        shapes = {n: tuple(t.shape) for n, t in (tensors | dict(zip(self.inputs, values, strict=True))).items()}
        plan = make_plan(self._predicting, device=self._device, shapes=shapes, infer=True)
        return freeze(plan, tensors, self.inputs)

    def _tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
            warnings.warn(note, EngineWarning, stacklevel=2)


def _input_types(graph: Graph, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The type of each variable for which one follows from the parameters."""
    known = {n: _type_name(t) for n, t in tensors.items()}
    found = infer_types(graph, {n: t for n, t in known.items() if t in TYPE_CODES}).variables()
    return {n: getattr(torch, t) for n, t in found.items() if t is not None and n not in tensors}


def _type_name(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(value.dtype)  # known without a look at the values
    return str(as_tensor(value).dtype).removeprefix("torch.")


def _device(name: Any, engine: str) -> torch.device:
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"{printable(name)!r} names no device", expected="such as cpu, cuda:0, mps") from error
    if device.type != "cpu":
        if engine == "openvino":
            raise UsageError("OpenVINO predicts on the CPU here", found=device, fix='engine="torch" takes this device')
        try:
            torch.empty(1, device=device)
        except Exception as error:
            count = torch.cuda.device_count()
            raise UsageError(
                f"there is no device {device} here",
                expected=f"cpu, or one of {count} CUDA devices",
                found=_first(error),
            ) from error
    return device


def _first(error: Exception) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])
