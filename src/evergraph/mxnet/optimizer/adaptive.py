"""Optimizers whose rates follow each value's gradients: Adam and its kin."""

import math
from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.optimizer.base import Optimizer, register, zeros_like

__all__ = ["FTML", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl", "GroupAdaGrad", "Nadam", "RMSProp", "Test"]


@register
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with decay added to the gradient.

    Args:
        learning_rate: the rate.
        beta1, beta2: how long means and squares are remembered.
        epsilon: added to the denominator.
        lazy_update: whether rows without a gradient stay as they are.
        kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.lazy_update = beta1, beta2, epsilon, lazy_update

    def create_state(self, index: Any, weight: Any) -> Any:
        """The means of gradients and of their squares."""
        return zeros_like(weight, 2, stored=self.lazy_update)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, t = self._begin(index)
        lr *= math.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)
        rule = self._rule(beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, lazy_update=self.lazy_update)
        nd.adam_update(weight, grad, *state, out=weight, lr=lr, wd=wd, **rule)


@register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok, 2017).

    Args:
        beta1, beta2: how long means and squares are remembered.
        epsilon: added to the denominator.
        kwargs: see `Optimizer`.
    """

    def __init__(self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def create_state(self, index: Any, weight: Any) -> Any:
        """Its three means."""
        return zeros_like(weight, 3)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, t = self._begin(index)
        rule = self._rule(beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, t=t)
        if "clip_gradient" in rule:
            rule["clip_grad"] = rule.pop("clip_gradient")
        nd.ftml_update(weight, grad, *state, out=weight, lr=lr, wd=wd, **rule)


@register
class AdaGrad(Optimizer):
    """AdaGrad (Duchi and others, 2011): the rate falls with the sum of squared gradients.

    Args:
        eps: added to the sum.
        kwargs: see `Optimizer`.
    """

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: Any) -> Any:
        """The sum of squared gradients."""
        return zeros_like(weight, typed=False, stored=True)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, _ = self._begin(index)
        if grad.stype == "row_sparse":
            rule = self._rule(epsilon=self.float_stable_eps)
            nd.sparse.adagrad_update(weight, grad, state, out=weight, lr=lr, wd=wd, **rule)
            return
        grad = self._scaled(grad)
        state[:] = state + nd.square(grad)
        weight[:] = weight + (grad / nd.sqrt(state + self.float_stable_eps) + weight * wd) * -lr


@register
class GroupAdaGrad(Optimizer):
    """AdaGrad with one sum for each row of a matrix.

    Args:
        eps: added to the sum.
        kwargs: see `Optimizer`; there is no decay.
    """

    def __init__(self, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: Any) -> Any:
        """The sum of each row.

        Raises:
            AssertionError: the weight is no matrix.
        """
        if len(weight.shape) != 2:
            raise InputTypeError("GroupAdaGrad takes matrices", found=f"an array of shape {weight.shape}")
        return nd.zeros((weight.shape[0], 1), weight.context, stype=weight.stype)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient.

        Raises:
            AssertionError: there is decay.
        """
        lr, wd, _ = self._begin(index)
        if wd != 0:
            raise InputTypeError("Weight decay is not supported for GroupAdaGrad", expected="wd=0", found=wd)
        if grad.stype == "row_sparse":
            rule = self._rule(epsilon=self.float_stable_eps)
            nd.contrib.group_adagrad_update(weight, grad, state, out=weight, lr=lr, **rule)
            return
        grad = self._scaled(grad)
        state[:] = state + nd.mean(nd.square(grad), axis=1, keepdims=True)
        weight[:] = weight - lr * grad / nd.sqrt(state + self.float_stable_eps)


@register
class RMSProp(Optimizer):
    """RMSProp, as Tieleman and Hinton (2012) wrote it, or centered as Graves (2013) did.

    Args:
        learning_rate: the rate.
        gamma1: how long squares are remembered.
        gamma2: momentum of the centered form.
        epsilon: added to the denominator.
        centered: whether the mean is taken off.
        clip_weights: weights are clipped to [-clip_weights, clip_weights].
        kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1, self.gamma2, self.epsilon = gamma1, gamma2, epsilon
        self.centered, self.clip_weights = centered, clip_weights

    def create_state(self, index: Any, weight: Any) -> Any:
        """The mean of squares; centered, also that of gradients, and the last step."""
        if self.centered:
            return zeros_like(weight, 3, typed=False, stored=True)
        return (zeros_like(weight, typed=False, stored=True),)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, _ = self._begin(index)
        rule = self._rule(gamma1=self.gamma1, epsilon=self.epsilon)
        rule |= {"gamma2": self.gamma2} if self.centered else {}
        rule |= {"clip_weights": self.clip_weights} if self.clip_weights else {}
        function = nd.rmspropalex_update if self.centered else nd.rmsprop_update
        function(weight, grad, *state, out=weight, lr=lr, wd=wd, **rule)


@register
class AdaDelta(Optimizer):
    """AdaDelta (Zeiler, 2012): steps in the units of the weights, without a rate.

    Args:
        rho: how long squares are remembered.
        epsilon: added to the means.
        kwargs: see `Optimizer`.
    """

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rho, self.epsilon = rho, epsilon

    def create_state(self, index: Any, weight: Any) -> Any:
        """The means of squared gradients and squared steps."""
        return zeros_like(weight, 2, typed=False)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        _, wd, _ = self._begin(index)
        grad = self._scaled(grad)
        squares, steps = state
        squares[:] = squares * self.rho + (1.0 - self.rho) * grad * grad
        step = nd.sqrt(steps + self.epsilon) / nd.sqrt(squares + self.epsilon) * grad
        steps[:] = steps * self.rho + (1.0 - self.rho) * step * step
        weight[:] = weight - (step + wd * weight)


@register
class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan and others, 2013).

    Args:
        lamda1: strength of the absolute penalty.
        learning_rate: the rate.
        beta: added to the root of the sum of squares.
        kwargs: see `Optimizer`.
    """

    def __init__(self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lamda1, self.beta, self.lr = lamda1, beta, learning_rate

    def create_state(self, index: Any, weight: Any) -> Any:
        """Its two sums."""
        return zeros_like(weight, 2, typed=False, stored=True)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, _ = self._begin(index)
        rule = self._rule(lamda1=self.lamda1, beta=self.beta)
        if weight.stype == "default":
            grad = grad.tostype("default")  # rows without a gradient follow their sums too
        nd.ftrl_update(weight, grad, *state, out=weight, lr=lr, wd=wd, **rule)


@register
class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root of squares (Kingma and Ba, 2015).

    Args:
        learning_rate: the rate.
        beta1, beta2: how long means and largest gradients are remembered.
        kwargs: see `Optimizer`.
    """

    def __init__(self, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2 = beta1, beta2

    def create_state(self, index: Any, weight: Any) -> Any:
        """The mean of gradients, and the largest."""
        return zeros_like(weight, 2)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, t = self._begin(index)
        lr /= 1.0 - self.beta1**t
        grad = self._clipped(grad * self.rescale_grad + wd * weight)
        mean, largest = state
        mean[:] = mean * self.beta1 + (1.0 - self.beta1) * grad
        largest[:] = nd.maximum(self.beta2 * largest, nd.abs(grad))
        weight[:] = weight - lr * mean / largest


@register
class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    Args:
        learning_rate: the rate.
        beta1, beta2: how long means and squares are remembered.
        epsilon: added to the denominator.
        schedule_decay: how fast the momentum grows.
        kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.schedule_decay = beta1, beta2, epsilon, schedule_decay
        self.m_schedule = 1.0

    def create_state(self, index: Any, weight: Any) -> Any:
        """The means of gradients and of their squares."""
        return zeros_like(weight, 2)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, t = self._begin(index)
        grad = self._clipped(grad * self.rescale_grad + wd * weight)
        now, after = (self.beta1 * (1.0 - 0.5 * pow(0.96, n * self.schedule_decay)) for n in (t, t + 1))
        # as in MXNet, one product for all weights
        self.m_schedule *= now
        mean, squares = state
        mean[:] = mean * self.beta1 + (1.0 - self.beta1) * grad
        squares[:] = squares * self.beta2 + (1.0 - self.beta2) * grad * grad
        step = (1.0 - now) * (grad / (1.0 - self.m_schedule)) + after * (mean / (1.0 - self.m_schedule * after))
        weight[:] = weight - lr * step / (nd.sqrt(squares / (1.0 - pow(self.beta2, t))) + self.epsilon)


@register
class Test(Optimizer):
    """Adds gradients to weights, and keeps a copy: for tests of what calls optimizers."""

    __test__ = False

    def create_state(self, index: Any, weight: Any) -> Any:
        """A copy's place."""
        return zeros_like(weight, typed=False)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Add the gradient to the weight."""
        weight[:] = weight + grad * self.rescale_grad
        state[:] = weight
