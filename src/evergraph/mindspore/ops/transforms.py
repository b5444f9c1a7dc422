"""Functions made of functions: products with Jacobians, Jacobians, and a function over a further axis."""

from collections.abc import Callable
from typing import Any

import torch

from evergraph.mindspore.common.tensor import unwrap, wrap
from evergraph.mindspore.nn.cell import recording

__all__ = ["jacfwd", "jacrev", "jvp", "vjp", "vmap"]


def _on_torch(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch tensors that records what `fn` computes."""

    def run(*inputs: Any) -> Any:
        with recording():
            return unwrap(fn(*wrap(inputs)))

    return run


def _packed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def jvp(fn: Callable[..., Any], inputs: Any, v: Any, has_aux: bool = False) -> Any:
    """The output of `fn`, and its change where the inputs move along `v`.

    Args:
        fn: function or Cell.
        inputs: a Tensor or several.
        v: a Tensor for each input.
        has_aux: whether only the first output is differentiated; the others follow at the end.

    >>> from evergraph.mindspore import Tensor
    >>> jvp(lambda x: x**3, Tensor([1.0]), Tensor([1.0]))[1].asnumpy().tolist()
    [3.0]
    """
    places, moves = unwrap(_packed(inputs)), unwrap(_packed(v))
    rest: list[Any] = []

    def split(*given: Any) -> Any:
        found = _on_torch(fn)(*given)
        rest[:] = found[1:] if has_aux else []
        return found[0] if has_aux else found

    found = wrap(torch.autograd.functional.jvp(split, places, moves))
    return (*found, *wrap(tuple(rest))) if has_aux else found


def vjp(fn: Callable[..., Any], *inputs: Any, weights: Any = None, has_aux: bool = False) -> Any:
    """The output of `fn`, and a function that gives the inputs' gradients for gradients of the output.

    Args:
        fn: function or Cell.
        inputs: Tensors.
        weights: Parameters whose gradients are given as well.
        has_aux: whether only the first output is differentiated; the others follow at the end.

    >>> from evergraph.mindspore import Tensor
    >>> output, pull = vjp(lambda x: x**3, Tensor([2.0]))
    >>> pull(Tensor([1.0]))[0].asnumpy().tolist()
    [12.0]
    """
    from evergraph.mindspore.ops.gradients import gradients_of

    positions = tuple(range(len(inputs)))
    output = fn(*inputs)

    def pull(*sens: Any) -> Any:
        return gradients_of(fn, inputs, positions, weights, sens, has_aux)[1]

    if not has_aux:
        return output, pull
    return output[0], pull, output[1] if len(output) == 2 else output[1:]


def jacrev(fn: Callable[..., Any], grad_position: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the Jacobian of `fn`: the output's axes, then the input's.

    Args:
        fn: function or Cell.
        grad_position: an input's position, or several.
        has_aux: whether only the first output is differentiated; the others follow.

    >>> from evergraph.mindspore import Tensor
    >>> jacrev(lambda x: x * x)(Tensor([1.0, 2.0])).asnumpy().tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    def split(*given: Any) -> Any:
        found = _on_torch(fn)(*given)
        return (found[0], tuple(found[1:])) if has_aux else found

    def jacobians(*inputs: Any) -> Any:
        return wrap(torch.func.jacrev(split, argnums=grad_position, has_aux=has_aux)(*unwrap(inputs)))

    return jacobians


jacfwd = jacrev  # the same values, from the other end


def vmap(fn: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """`fn` for each place of an axis of its inputs, all at once.

    Args:
        fn: function or Cell.
        in_axes: the axis of all inputs, or of each; None for inputs that are the same for all.
        out_axes: where the axis stands in the outputs.

    >>> from evergraph.mindspore import Tensor
    >>> vmap(lambda x, y: x * y, (0, None))(Tensor([1, 2]), Tensor(3)).asnumpy().tolist()
    [3, 6]
    """
    axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes

    def mapped(*inputs: Any) -> Any:
        return wrap(torch.vmap(_on_torch(fn), axes, out_axes)(*unwrap(inputs)))

    return mapped
