"""Layers that apply a function to each element."""

from typing import Any

from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.gluon.hybrid import HybridBlock

__all__ = ["ELU", "GELU", "SELU", "Activation", "LeakyReLU", "PReLU", "SiLU", "Swish"]


def _leaky(F: Any) -> Any:
    return F.npx.leaky_relu if STATE.np_array else F.LeakyReLU


class Activation(HybridBlock):
    """An activation function: "relu", "sigmoid", "tanh", "softrelu" or "softsign".

    >>> from evergraph.mxnet import nd
    >>> Activation("relu")(nd.array([-1, 2])).asnumpy()
    array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: str, **kwargs: Any) -> None:
        self._act_type = activation
        super().__init__(**kwargs)

    def _alias(self) -> str:
        return self._act_type

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        call = F.npx.activation if STATE.np_array else F.Activation
        return call(x, act_type=self._act_type, name="fwd")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._act_type})"


class LeakyReLU(HybridBlock):
    """x where it is positive, else alpha * x."""

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        if alpha < 0:
            raise ParameterFitError("Slope coefficient for LeakyReLU must be no less than 0.", found=alpha)
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        return _leaky(F)(x, act_type="leaky", slope=self._alpha, name="fwd")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._alpha})"


class PReLU(HybridBlock):
    """x where it is positive, else alpha * x with a learned alpha."""

    def __init__(self, alpha_initializer: Any = None, in_channels: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if alpha_initializer is None:
            from evergraph.mxnet import initializer

            alpha_initializer = initializer.Constant(0.25)
        with self.name_scope():
            self.alpha = self.params.get("alpha", shape=(in_channels,), init=alpha_initializer)

    def hybrid_forward(self, F: Any, x: Any, alpha: Any) -> Any:
        """The function of x."""
        return _leaky(F)(x, gamma=alpha, act_type="prelu", name="fwd")


class ELU(HybridBlock):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        return _leaky(F)(x, act_type="elu", slope=self._alpha)


class SELU(HybridBlock):
    """The scaled exponential linear unit."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        return _leaky(F)(x, act_type="selu", name="fwd")


class GELU(HybridBlock):
    """The Gaussian error linear unit."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        return _leaky(F)(x, act_type="gelu", name="fwd")


class Swish(HybridBlock):
    """x * sigmoid(beta * x)."""

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._beta = beta

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The function of x."""
        inner = self._beta * x
        return x * (F.npx.sigmoid(inner) if STATE.np_array else F.sigmoid(inner, name="fwd"))


class SiLU(Swish):
    """x * sigmoid(x)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1.0, **kwargs)
