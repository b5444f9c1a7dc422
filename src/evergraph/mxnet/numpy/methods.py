"""Methods of `mx.np.ndarray`, and of symbols like it, that stand for functions of `mx.np`; Python's operators."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from evergraph.mxnet.numpy.face import Face
from evergraph.mxnet.numpy.functions import choosing, editing, products, reductions
from evergraph.mxnet.numpy.functions import shape as shapes

__all__ = ["ARITHMETIC", "COMPARISONS", "NumpyMethods", "install"]

ARITHMETIC = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
}
"""Python's operator -> function."""

_OPERATORS = {**ARITHMETIC, "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}
COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
}
_UNARY = {"abs": "absolute", "invert": "invert", "ceil": "ceil", "floor": "floor", "trunc": "trunc"}
# methods of the legacy arrays that arrays with NumPy's semantics refuse: NumPy's own have none of these names
_REFUSED = """
    abs arccos arccosh arcsin arcsinh arctan arctanh argmax_channel broadcast_axes broadcast_like cbrt ceil cos cosh
    degrees depth_to_space diag exp expand_dims expm1 fix flip floor log log10 log1p log2 log_softmax nanprod nansum
    norm one_hot ones_like pad pick radians rcbrt reciprocal relu reshape_like rint rsqrt shape_array sigmoid sign sin
    sinh size_array slice slice_axis slice_like softmax softmin space_to_depth split split_v2 sqrt square tan tanh tile
    topk trunc zeros_like
"""


class NumpyMethods:
    """NumPy's methods, over any face."""

    __slots__ = ()

    _op: Face

    @property
    def T(self) -> Any:
        """A copy with the axes in reverse order."""
        return self.transpose()

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Whether every value is not 0."""
        return reductions.all_(self._op, self, axis, keepdims, out)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Whether some value is not 0."""
        return reductions.any_(self._op, self, axis, keepdims, out)

    def argmax(self, axis: int | None = None, out: Any = None) -> Any:
        """The place of the greatest value, in int64."""
        return reductions.argmax(self._op, self, axis, out)

    def argmin(self, axis: int | None = None, out: Any = None) -> Any:
        """The place of the least value, in int64."""
        return reductions.argmin(self._op, self, axis, out)

    def argsort(self, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:
        """The places in ascending order of the values, in int64."""
        return choosing.argsort(self._op, self, axis, kind, order)

    def clip(self, min: Any = None, max: Any = None, out: Any = None) -> Any:
        """The values limited to a range."""
        return choosing.clip(self._op, self, min, max, out)

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        """The running sum along an axis, or through all values."""
        return reductions.cumsum(self._op, self, axis, dtype, out)

    def dot(self, b: Any, out: Any = None) -> Any:
        """The dot product with another array."""
        return products.dot(self._op, self, b, out)

    def flatten(self, order: str = "C") -> Any:
        """A copy with one axis."""
        return self.reshape(-1, order=order)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The greatest value."""
        return reductions.max_(self._op, self, axis, keepdims, out)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The mean; of integers in float32."""
        return reductions.mean(self._op, self, axis, dtype, out, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The least value."""
        return reductions.min_(self._op, self, axis, keepdims, out)

    def nonzero(self) -> Any:
        """The places of what is not 0, an array of them for each axis."""
        return choosing.nonzero(self._op, self)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The product."""
        return reductions.prod(self._op, self, axis, dtype, out, keepdims)

    def repeat(self, repeats: int, axis: int | None = None) -> Any:
        """Every value repeated next to itself."""
        return shapes.repeat(self._op, self, repeats, axis)

    def reshape(self, *args: Any, **kwargs: Any) -> Any:
        """A copy under another shape, given as one tuple or as several sizes.

        Raises:
            TypeError: there is no shape, or a keyword besides `order`.
        """
        order = kwargs.pop("order", "C")
        if kwargs:
            raise TypeError(f"{min(kwargs)!r} is an invalid keyword argument for this function")
        if not args:
            raise TypeError("reshape() takes exactly 1 argument (0 given)")
        wanted = args[0] if len(args) == 1 else args
        return shapes.reshape(self._op, self, wanted, order)

    def round(self, decimals: int = 0, out: Any = None, **kwargs: Any) -> Any:
        """The values rounded to decimals."""
        return editing.around(self._op, self, decimals, out, **kwargs)

    __round__ = round

    def sort(self, axis: int | None = -1, kind: Any = None, order: Any = None) -> NoReturn:
        """NumPy's sorting in place, which these arrays have not.

        Raises:
            TypeError: always.
        """
        raise TypeError("arrays are not sorted in place: x = np.sort(x) gives a sorted copy")

    def squeeze(self, axis: Any = None) -> Any:
        """A copy without axes of size 1."""
        return shapes.squeeze(self._op, self, axis)

    def std(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The standard deviation; of integers in float32."""
        return reductions.std(self._op, self, axis, dtype, out, ddof, keepdims)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The sum."""
        return reductions.sum_(self._op, self, axis, dtype, keepdims, None, out)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """A copy with two axes exchanged."""
        return shapes.swapaxes(self._op, self, axis1, axis2)

    def take(self, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
        """The values at places along an axis."""
        return choosing.take(self._op, self, indices, axis, mode)

    def transpose(self, *axes: Any) -> Any:
        """A copy with the axes in another order, in reverse order where none is given."""
        order = None if not axes else axes[0] if len(axes) == 1 else axes
        return shapes.transpose(self._op, self, order)

    def var(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The variance; of integers in float32."""
        return reductions.var(self._op, self, axis, dtype, out, ddof, keepdims)

    def broadcast_to(self, shape: Any) -> Any:
        """The values repeated to a shape."""
        return shapes.broadcast_to(self._op, self, shape)


def _refused(name: str) -> Callable[..., NoReturn]:
    def call(self: Any, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG001
        raise AttributeError(f"mxnet.numpy.ndarray object has no attribute {name}")

    call.__name__ = name
    call.__doc__ = "No method of NumPy's arrays; raises AttributeError."
    return call


for _name in _REFUSED.split():
    setattr(NumpyMethods, _name, _refused(_name))


def install(kind: Any, functions: Mapping[str, Callable[..., Any]], in_place: Any, reflected: Any) -> None:
    """Give a class its operators, each by the function of this name.

    Args:
        kind: the class.
        functions: the functions by name.
        in_place: makes the method of an augmented assignment from a function's name and the function.
        reflected: makes the method for a left operand of another class from the same.
    """
    for name, called in {**_OPERATORS, **COMPARISONS}.items():
        setattr(kind, f"__{name}__", functions[called])
    for name, called in _OPERATORS.items():
        setattr(kind, f"__r{name}__", reflected(called, functions[called]))
        setattr(kind, f"__i{name}__", in_place(called, functions[called]))
    for name, called in _UNARY.items():
        setattr(kind, f"__{name}__", functions[called])
    kind.__div__, kind.__rdiv__, kind.__idiv__ = kind.__truediv__, kind.__rtruediv__, kind.__itruediv__
