"""`load_checkpoint` knows everything at once and reads values when they are used; the file is never written to."""

import copy
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

import evergraph.mindspore as ms
from evergraph.errors import StoreError
from evergraph.mindspore.serialization import stored
from evergraph.mindspore.serialization.stored import StoredParameter
from tests.goldens import MINDSPORE

FILES = MINDSPORE / "ckpt"


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    values = {"w": rng.normal(size=(100, 300)).astype("f4"), "n": np.arange(5), "h": np.ones((2, 3), "f2")}
    ms.save_checkpoint({k: ms.Parameter(ms.Tensor(v), name=k) for k, v in values.items()}, str(tmp_path / "a.ckpt"))
    return str(tmp_path / "a.ckpt")


def test_shapes_and_types_are_known_without_reading(path, monkeypatch):
    monkeypatch.setattr(stored, "read", lambda _: pytest.fail("a value was read"))
    loaded = ms.load_checkpoint(path)
    assert [(p.name, p.shape, str(p.dtype), p.ndim, p.size, p.nbytes) for p in loaded.values()] == [
        ("w", (100, 300), "Float32", 2, 30000, 120000),
        ("n", (5,), "Int64", 1, 5, 40),
        ("h", (2, 3), "Float16", 2, 6, 12),
    ]
    assert repr(loaded["w"]) == "Parameter (name=w, shape=(100, 300), dtype=Float32, requires_grad=True)"
    loaded["w"].requires_grad = False
    assert not loaded["w"].requires_grad


def test_a_value_that_was_used_is_a_parameter_like_any_other(path):
    param = ms.load_checkpoint(path)["w"]
    param.requires_grad = False
    assert type(param) is StoredParameter
    first = param.asnumpy()[0, 0]
    assert type(param) is ms.Parameter
    assert not param.torch.requires_grad
    param.requires_grad = True
    assert vars(param).keys() == vars(ms.Parameter(ms.Tensor([1.0]), name="x")).keys()
    assert param.clone().asnumpy()[0, 0] == copy.deepcopy(param).asnumpy()[0, 0] == first
    assert pickle.dumps(ms.load_checkpoint(path)["w"]) == pickle.dumps(param.clone())


def test_what_is_written_to_a_parameter_never_reaches_the_file(path):
    before = Path(path).read_bytes()
    loaded = ms.load_checkpoint(path)
    for param in loaded.values():
        param.asnumpy()[...] = 0
        param.torch.data.add_(1)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_a_file_that_goes_away_is_still_read(path, change):
    loaded = ms.load_checkpoint(path)
    if change == "replaced":
        ms.save_checkpoint({"other": ms.Parameter(ms.Tensor([1.0]), name="other")}, path)
    else:
        os.remove(path)
    assert loaded["n"].asnumpy().tolist() == [0, 1, 2, 3, 4]


def test_a_file_that_is_changed_in_place_is_an_error_and_no_network_changes(path):
    class Net(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.n = ms.Parameter(ms.Tensor(np.zeros(5, "int64")), name="n")

    net, loaded = Net(), ms.load_checkpoint(path)
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.truncate(10)
    with pytest.raises(StoreError, match="changed while it was being read"):
        ms.load_param_into_net(net, loaded)
    assert net.n.asnumpy().tolist() == [0] * 5


def test_threads_that_ask_at_once_get_one_value(path):
    param, found = ms.load_checkpoint(path)["w"], []
    threads = [threading.Thread(target=lambda: found.append(id(param.torch))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_loaded_dictionary_is_saved_from_file_to_file(path, tmp_path, monkeypatch):
    loaded = ms.load_checkpoint(path)
    monkeypatch.setattr(stored, "read", lambda _: pytest.fail("a value was read"))
    ms.save_checkpoint(loaded, str(tmp_path / "b.ckpt"))
    assert (tmp_path / "b.ckpt").read_bytes() == Path(path).read_bytes()
    ms.save_checkpoint(loaded, path, async_save=True)  # over the file that it is read from
    while ms.async_ckpt_thread_status():
        pass
    assert (tmp_path / "b.ckpt").read_bytes() == Path(path).read_bytes()


def test_few_files_stay_open(path):
    kept = [ms.load_checkpoint(path) for _ in range(stored.MOST_FILES + 5)]
    assert type(kept[0]["w"]) is StoredParameter
    assert type(kept[-1]["w"]) is ms.Parameter
    del kept
    assert type(ms.load_checkpoint(path)["w"]) is StoredParameter


def test_large_files_are_read_by_several_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "WORTH_THREADS", 1000)
    values = {f"p{i}": np.full((i + 1, 40), i, "f4") for i in range(50)}
    ms.save_checkpoint({k: ms.Parameter(ms.Tensor(v), name=k) for k, v in values.items()}, str(tmp_path / "a.ckpt"))

    class Net(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            for i in range(50):
                setattr(self, f"p{i}", ms.Parameter(ms.Tensor(np.zeros((i + 1, 40), "f4")), name=f"p{i}"))

    net = Net()
    ms.load_checkpoint(str(tmp_path / "a.ckpt"), net)
    for param in net.get_parameters():
        np.testing.assert_array_equal(param.asnumpy(), values[param.name])


def test_every_recorded_value_is_read():
    # the files that MindSpore loads itself, value for value what a whole read gives
    import evergraph

    for name in ("dtypes.ckpt", "scalars0d.ckpt", "slices_bytes.ckpt", "special_floats.ckpt", "dtypes.safetensors"):
        format = name.rpartition(".")[2]
        options = {} if format == "ckpt" else {"format": format}
        loaded, held = ms.load_checkpoint(str(FILES / name), **options), evergraph.open(FILES / name)
        assert sorted(loaded) == sorted(held)
        for key, param in loaded.items():
            assert param.asnumpy().tobytes() == held[key].numpy().tobytes(), (name, key)
