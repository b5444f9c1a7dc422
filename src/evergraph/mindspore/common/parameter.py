"""MindSpore's Parameter: a named tensor that a network owns; and tuples of them."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor

__all__ = ["Parameter", "ParameterTuple"]

_count = itertools.count(1)
_KINDS: dict[type, Any] = {int: mstype.int32, np.float64: mstype.float32}
"""Type of a number -> the Parameter's, where it is not the Tensor's."""


class Parameter(Tensor):
    """A tensor with a name, which networks own, optimizers update and checkpoints hold.

    Args:
        default_input: Tensor, NumPy array or number, which is copied.
        name: its name; without one it is `Parameter#n` until a cell that takes it gives it its attribute's.
        requires_grad: whether it is trained.
        layerwise_parallel, parallel_optimizer: kept for programs that read them.

    >>> Parameter(Tensor([1.0, 2.0]), name="w")
    Parameter (name=w, shape=(2,), dtype=Float32, requires_grad=True)
    """

    def __init__(
        self,
        default_input: Any,
        name: str | None = None,
        requires_grad: bool = True,
        layerwise_parallel: bool = False,
        parallel_optimizer: bool = True,
        storage_format: str = "",
        device: str | None = None,
    ) -> None:
        if isinstance(default_input, Tensor):
            held = default_input._torch.detach()
            held = held if default_input._fresh else held.clone()
            default_input._fresh = False
        else:
            held = Tensor(default_input, _KINDS.get(type(default_input)))._torch.detach()
        kind = held.dtype
        self._torch = torch.nn.Parameter(
            held, requires_grad=requires_grad and (kind.is_floating_point or kind.is_complex)
        )
        self._requires_grad = bool(requires_grad)
        self.name = name
        self.layerwise_parallel = layerwise_parallel
        self.parallel_optimizer = parallel_optimizer
        self.comm_fusion = 1
        self.sliced = False
        self.init_in_server = False

    @property
    def name(self) -> str:
        """Its name in checkpoints."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise UsageError("a Parameter's name is a string or None", found=printable(type(name).__name__))
        stripped = (name or "").strip()
        self._generated = not stripped
        self._name: str = stripped or f"Parameter#{next(_count)}"

    @property
    def requires_grad(self) -> bool:
        """Whether it is trained."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise UsageError("requires_grad is True or False", found=printable(value))
        self._requires_grad = value
        self._torch.requires_grad_(value and (self._torch.is_floating_point() or self._torch.is_complex()))

    @property
    def is_init(self) -> bool:
        """Whether its values are there: always."""
        return True

    @property
    def inited_param(self) -> None:
        """The Parameter that took this one's place: none."""
        return

    def set_data(self, data: Any, slice_shape: bool = False) -> "Parameter":
        """Hold other values, whose memory is shared from now on.

        Args:
            data: Tensor, Parameter or number; cast to this one's type. Its shape becomes the Parameter's.
            slice_shape: taken, as in MindSpore 2.10, which takes another shape either way.
        """
        value = data if isinstance(data, Tensor) else Tensor(data, self.dtype)
        held = value._torch.detach()
        self._torch.data = held if held.dtype == self._torch.dtype else held.to(self._torch.dtype)
        return self

    def init_data(self, *_: Any, **__: Any) -> "Parameter":
        """The Parameter, whose values are there already."""
        return self

    def value(self) -> Tensor:
        """Its values as a Tensor that shares its memory."""
        return self._wrapped(self._torch.detach())

    def asnumpy(self) -> Any:
        """Its values as a NumPy array that shares its memory."""
        return super().asnumpy()

    def clone(self, init: Any = "same") -> "Parameter":
        """A Parameter of the same name and flags, with memory of its own.

        Args:
            init: "same" copies the values; otherwise a Tensor, number, or initializer's name or object.
        """
        if isinstance(init, str) and init == "same":
            data = self._wrapped(self._torch)
        elif isinstance(init, Tensor):
            data = init
        else:
            from evergraph.mindspore.common.initializer import initializer

            data = initializer(init, self.shape, self.dtype)
        made = Parameter(data, self.name, self.requires_grad, self.layerwise_parallel, self.parallel_optimizer)
        made._generated = self._generated
        return made

    def __repr__(self) -> str:
        return (
            f"Parameter (name={printable(self._name)}, shape={self.shape}, dtype={self.dtype.title}, "
            f"requires_grad={self._requires_grad})"
        )

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        return self.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameter, (Tensor(self), self._name, self._requires_grad)


class ParameterTuple(tuple):
    """A tuple of Parameters, all of different names.

    Raises:
        UsageError: an element is no Parameter, or a name is there twice.
    """

    __slots__ = ()

    def __new__(cls, iterable: Iterable[Parameter]) -> "ParameterTuple":
        """Check the elements, then hold them."""
        found = tuple(iterable)
        seen: dict[str, Parameter] = {}
        for item in found:
            if not isinstance(item, Parameter):
                raise UsageError("a ParameterTuple holds Parameters", found=printable(type(item).__name__))
            if seen.setdefault(item.name, item) is not item:
                raise UsageError("two Parameters have one name", where=printable(item.name))
        return super().__new__(cls, found)

    def clone(self, prefix: str, init: Any = "same") -> "ParameterTuple":
        """Copies, each named `prefix.name`.

        Args:
            prefix: what stands before the names.
            init: as `Parameter.clone` takes it.
        """
        made = []
        for item in self:
            copied = item.clone(init)
            copied.name = f"{prefix}.{item.name}"
            made.append(copied)
        return ParameterTuple(made)
