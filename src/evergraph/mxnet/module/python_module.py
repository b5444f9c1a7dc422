"""Modules written in Python: without parameters, such as a loss."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.initializer import Uniform
from evergraph.mxnet.module.base_module import BaseModule, ModuleStateError

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A module without parameters; subclasses define forward, backward and `_compute_output_shapes`.

    Args:
        data_names, label_names, output_names: names of what it reads and gives.
        logger: where it logs.
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ) -> None:
        super().__init__(logger)
        self._data_names = list(data_names)
        self._label_names = None if label_names is None else list(label_names)
        self._output_names = list(output_names)
        self._data_shapes: Any = None
        self._label_shapes: Any = None
        self._output_shapes: Any = None

    @property
    def data_names(self) -> list[str]:
        """Names of the data."""
        return self._data_names

    @property
    def label_names(self) -> Any:
        """Names of the labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data."""
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels."""
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """Name and shape of each output."""
        return self._output_shapes

    def trained_parts(self) -> list[Any]:
        """The modules that hold what is trained: none."""
        return []

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Nothing: it has no parameters."""
        return {}, {}

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Nothing: it has no parameters."""
        self.params_initialized = True

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Nothing: it has no parameters."""
        self.optimizer_initialized = True

    def update(self) -> None:
        """Nothing: it has no parameters."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric, where it reads labels."""
        if self._label_shapes is None:
            return
        if pre_sliced:
            raise RuntimeError("PythonModule does not support presliced labels")
        eval_metric.update(labels, self.get_outputs())

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Take the shapes of batches.

        Raises:
            AssertionError: other names than the module's, or a request other than "write".
        """
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if grad_req != "write":
            raise ModuleStateError("Python module only support write gradient", found=grad_req)
        names = [d[0] for d in data_shapes], [d[0] for d in label_shapes or []]
        if names[0] != self._data_names or (label_shapes and names[1] != self._label_names):
            raise ModuleStateError(
                "other inputs than the module's", expected=f"{self._data_names}, {self._label_names}", found=names
            )
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        self._output_shapes = self._compute_output_shapes()
        self.binded = True

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        raise NotImplementedError("a PythonModule defines _compute_output_shapes")


class PythonLossModule(PythonModule):
    """A loss whose gradient a function computes.

    Args:
        name: its output is `name_output`.
        data_names, label_names: the one name of the scores, and that of the labels.
        logger: where it logs.
        grad_func: (scores, labels) -> the scores' gradient.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [f"{name}_output"], logger)
        if len(data_names) != 1 or len(label_names) != 1:
            raise ModuleStateError("a loss reads one array of scores and one of labels")
        if grad_func is not None and not callable(grad_func):
            raise ModuleStateError("grad_func is a function", found=type(grad_func).__name__)
        self._name, self._grad_func = name, grad_func
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(f"{self._name}_output", self._data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Keep the scores, and in training the labels."""
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The scores."""
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the scores' gradient.

        Raises:
            AssertionError: gradients of the loss are given, or it is not bound for training.
        """
        if out_grads is not None or not self.for_training:
            raise ModuleStateError("a loss module is run backward in training, and takes no out_grads")
        self._backward_impl()

    def _backward_impl(self) -> None:
        if self._grad_func is None:
            raise NotImplementedError("give grad_func, or define _backward_impl")
        found = self._grad_func(self._scores, self._labels)
        self._scores_grad = found if isinstance(found, nd.NDArray) else nd.array(found)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The scores' gradient."""
        return [self._scores_grad]

    def install_monitor(self, mon: Any) -> None:
        """Nothing: it has no executor."""
