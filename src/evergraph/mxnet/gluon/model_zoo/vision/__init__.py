"""`mx.gluon.model_zoo.vision`: networks for images, with the graphs and parameters' names of MXNet 1.9.1.

>>> net = get_model("mobilenet0.25", classes=10)
>>> net.output
Dense(None -> 10, linear)
"""

from typing import Any

from evergraph.mxnet.gluon.model_zoo.vision import alexnet as _alexnet
from evergraph.mxnet.gluon.model_zoo.vision import densenet as _densenet
from evergraph.mxnet.gluon.model_zoo.vision import inception as _inception
from evergraph.mxnet.gluon.model_zoo.vision import mobilenet as _mobilenet
from evergraph.mxnet.gluon.model_zoo.vision import resnet as _resnet
from evergraph.mxnet.gluon.model_zoo.vision import squeezenet as _squeezenet
from evergraph.mxnet.gluon.model_zoo.vision import vgg as _vgg

_HOMES = (_alexnet, _densenet, _inception, _mobilenet, _resnet, _squeezenet, _vgg)
# the functions, several of which are called as their modules are, come last
for _home in _HOMES:
    globals().update({n: getattr(_home, n) for n in _home.__all__})

__all__ = ["get_model"]

_FUNCTIONS = {
    "alexnet": "alexnet",
    "inceptionv3": "inception_v3",
    **{f"densenet{n}": f"densenet{n}" for n in (121, 161, 169, 201)},
    **{f"mobilenet{n}": f"mobilenet{n.replace('.', '_')}" for n in ("1.0", "0.75", "0.5", "0.25")},
    **{f"mobilenetv2_{n}": f"mobilenet_v2_{n.replace('.', '_')}" for n in ("1.0", "0.75", "0.5", "0.25")},
    **{f"resnet{n}_v{v}": f"resnet{n}_v{v}" for v in (1, 2) for n in (18, 34, 50, 101, 152)},
    **{f"squeezenet{n}": f"squeezenet{n.replace('.', '_')}" for n in ("1.0", "1.1")},
    **{f"vgg{n}{e}": f"vgg{n}{e}" for e in ("", "_bn") for n in (11, 13, 16, 19)},
}


def get_model(name: str, **kwargs: Any) -> Any:
    """A network by its name, such as "resnet50_v1", "mobilenetv2_1.0" or "vgg16_bn".

    Args:
        name: the name.
        kwargs: `pretrained`, `ctx`, `root`, `classes` and what the network takes.

    Raises:
        ValueError: there is no network of this name.
    """
    found = _FUNCTIONS.get(name.lower())
    if found is None:
        known = "\n\t".join(sorted(_FUNCTIONS))
        raise ValueError(f"Model {name} is not supported. Available options are\n\t{known}")
    return globals()[found](**kwargs)
