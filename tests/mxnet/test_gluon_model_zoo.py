"""The zoo's networks, whose graphs and parameters MXNet 1.9.1 recorded as SHA-256 of their JSON."""

import hashlib
import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.gluon.model_zoo import model_store, vision
from tests.goldens import MXNET

RECORDED = json.loads((MXNET / "zoo" / "1.9.1.json").read_text())


def digest(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_has_the_releases_graph_and_parameters(name):
    wanted = RECORDED[name]
    with mx.name.NameManager():
        net = vision.get_model(name)
        symbol = net(mx.sym.var("data"))
    assert digest(symbol.tojson()) == wanted["graph"]
    assert digest(sorted(net._collect_params_with_prefix())) == wanted["structure"]
    size = 299 if name == "inceptionv3" else 224
    arguments, outputs, states = symbol.infer_shape(data=(1, 3, size, size))
    shapes = dict(zip(symbol.list_arguments(), arguments, strict=True))
    shapes |= zip(symbol.list_auxiliary_states(), states, strict=True)
    assert digest([[n, list(shapes[n])] for n in net.collect_params()]) == wanted["params"]
    assert list(outputs[0]) == wanted["out"]


def test_loads_trained_parameters_from_a_folder(tmp_path):
    net = vision.get_model("squeezenet1.1", classes=3)
    net.initialize(mx.init.Xavier())
    x = mx.nd.random.uniform(shape=(1, 3, 64, 64))
    net.output[2]._kwargs["kernel"] = (3, 3)
    wanted = net(x)
    net.save_parameters(str(tmp_path / "squeezenet1.1-33ba0f93.params"))
    loaded = vision.get_model("squeezenet1.1", classes=3, pretrained=True, root=str(tmp_path))
    loaded.output[2]._kwargs["kernel"] = (3, 3)
    assert np.array_equal(loaded(x).asnumpy(), wanted.asnumpy())
    model_store.purge(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_refuses_to_download_and_says_what_to_do(tmp_path):
    with pytest.raises(OSError, match=r"(?s)resnet18_v1.*not downloaded.*root="):
        vision.get_model("resnet18_v1", pretrained=True, root=str(tmp_path))


def test_refuses_a_network_that_is_not_there():
    with pytest.raises(ValueError, match="resnet19_v1 is not supported"):
        vision.get_model("resnet19_v1")
