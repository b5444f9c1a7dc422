"""Programs on OpenVINO: traced as a torch module, taken by its PyTorch frontend, compiled for the CPU.

The frontend is called directly: the library's own converter asks its telemetry, and nothing here may reach the network.
"""

import functools
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from evergraph._lazy import load
from evergraph.engine.program import Program
from evergraph.engine.routine import Routine
from evergraph.errors import ConversionError, printable

__all__ = ["Compiled", "accelerate", "split"]

# what depends on values, or runs Python: their families stay on PyTorch, with all that comes after them
_FAMILIES = ("vision", "control", "quantized", "random", "sparse", "image", "update")


# PyTorch's packed LSTM was measured 1.0 to 4 times as fast as OpenVINO's, over lengths 1 to 129 and batches 1 and 32
_FASTER_ON_TORCH = ("lstm", "RNN")


def split(program: Program, fastest: bool = True) -> tuple[Program, Program]:
    """The part that OpenVINO can be asked to take, and the rest: the first one's outputs are inputs of the second.

    Args:
        program: a folded program.
        fastest: leave to PyTorch also what it is faster at: recurrent layers, and what comes after them.

    Returns:
        Two programs over the same value numbers; either may have no steps.
    """
    behind: set[int] = set()
    first, second = program.copy(), program.copy()
    first.steps, second.steps = [], []
    for step in program.steps:
        if _stays(step) or (fastest and step.kind in _FASTER_ON_TORCH) or not behind.isdisjoint(step.inputs):
            behind.update(step.outputs)
            second.steps.append(step)
        else:
            first.steps.append(step)
    made = {v for s in first.steps for v in s.outputs}
    wanted = [v for s in second.steps for v in s.inputs] + program.outputs
    first.outputs = list(dict.fromkeys(v for v in wanted if v in made))
    second.inputs = first.outputs + program.inputs
    first.prune()
    second.prune()
    return first, second


def _stays(step: Any) -> bool:
    if step.op is None:
        return False
    family = step.op.body.__module__.removeprefix("evergraph.ops.families.").split(".")
    known = step.op.body.__module__.startswith("evergraph.ops.families.")
    # dropout that is left over is one that is wanted in inference too
    return not known or family[0] in _FAMILIES or step.kind == "Dropout"


class _Traceable(torch.nn.Module):
    def __init__(self, routine: Routine) -> None:
        super().__init__()
        self._routine = routine

    def forward(self, *inputs: Any) -> Any:
        return tuple(self._routine(inputs))


class Compiled:
    """A program compiled for one set of input shapes; calls from several threads wait for each other.

    Args:
        model: OpenVINO's compiled model.
        places: for each of its inputs, which of the program's it is.
        types: types of the outputs.
    """

    def __init__(self, model: Any, places: Sequence[int], types: Sequence[torch.dtype]) -> None:
        self._request, self._lock = model.create_infer_request(), threading.Lock()
        self._tensor = load("openvino", "openvino").Tensor
        self._places, self._types = tuple(places), tuple(types)

    def __call__(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The outputs for these inputs."""
        with self._lock:
            for index, place in enumerate(self._places):
                array = inputs[place].detach().contiguous().numpy()
                self._request.set_input_tensor(index, self._tensor(array, shared_memory=True))
            self._request.infer()
            # copies: the request's own memory is written again by the next call
            found = [torch.from_numpy(t.data.copy()) for t in self._request.output_tensors]
        return [o.to(t) for o, t in zip(found, self._types, strict=True)]


# of each output's largest value: networks differ by 1e-6 to 1e-5, and what differs by more runs on PyTorch
# (OpenVINO's global means of maps that vary little were seen 1e-3 off)
_AGREEMENT = {"float32": 2e-4, "bfloat16": 0.25}


def accelerate(program: Program, values: Sequence[torch.Tensor], precision: str) -> Compiled:
    """Compile a program for inputs of these shapes and types, and compare it with PyTorch on these values.

    Args:
        program: steps that OpenVINO may take.
        values: inputs, in order; the compiled form holds for their shapes and types.
        precision: "float32" or "bfloat16".

    Raises:
        ConversionError: OpenVINO does not take the program, or computes other values; the message says which.
        MissingDependencyError: OpenVINO is not installed.
    """
    read = {v for s in program.steps for v in s.inputs}
    places = [i for i, v in enumerate(program.inputs) if v in read]
    part = program.copy()
    part.inputs = [program.inputs[i] for i in places]
    given = [values[i] for i in places]
    wanted = Routine(part)(given)
    # traced on other values than it is compared on: what depended on them shows
    example = [torch.rand(v.shape).to(v.dtype) if v.is_floating_point() else torch.zeros_like(v) for v in given]
    try:
        model = _compile(_converted(_traced(part, example), example), precision)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"OpenVINO does not take this graph: {printable(reason, 300)}") from error
    compiled = Compiled(model, places, [o.dtype for o in wanted])
    for found, want in zip(compiled(values), wanted, strict=True):
        limit = _AGREEMENT[precision] * max(float(want.abs().max()), 1e-6) if want.numel() else 0.0
        worst = (
            float((found.double() - want.double()).abs().max()) if found.shape == want.shape and want.numel() else 0.0
        )
        if found.shape != want.shape or not worst <= limit:
            raise ConversionError(
                f"OpenVINO computes other values than PyTorch ({worst:.2g} apart)", expected=f"within {limit:.2g}"
            )
    return compiled


def _compile(model: Any, precision: str) -> Any:
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # some processors would otherwise compute in bfloat16 without being asked
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
    }
    return _core().compile_model(model, "CPU", options)


@functools.cache
def _core() -> Any:
    """OpenVINO's core, one for the life of the process.

    Each core gives the thread another stack for signals, and takes its memory away when it ends. Behind several of
    them, ended in the order in which they were made, the thread is left with a stack that is not there, and the next
    signal, such as the interrupt key's, kills the process (OpenVINO 2026.4).
    """
    return load("openvino", "openvino").Core()


def _traced(program: Program, example: Sequence[torch.Tensor]) -> Any:
    module = _Traceable(Routine(program)).eval()
    with warnings.catch_warnings(), torch.no_grad():
        # tracing is deprecated in favour of exporting, whose form OpenVINO reads less well; that sizes become
        # constants is wanted here, and what else might is found by comparing results
        warnings.simplefilter("ignore")
        return torch.jit.trace(module, tuple(example), check_trace=False, strict=False)


def _converted(traced: Any, example: Sequence[torch.Tensor]) -> Any:
    frontends = load("openvino.frontend", "openvino").FrontEndManager()
    decoders = load("openvino.frontend.pytorch.ts_decoder", "openvino")
    decoder = decoders.TorchScriptPythonDecoder(traced, example_input=tuple(example), shared_memory=True)
    frontend = frontends.load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    model.reshape({port: list(t.shape) for port, t in zip(model.inputs, example, strict=True)})
    return model
