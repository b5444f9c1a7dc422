"""MXNet's pickles: recorded ones open to the recorded values; nothing in a pickle ever runs."""

import io
import os
import pickle
import struct

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, EvergraphError, FormatError, UnsafeError, UsageError
from evergraph.formats import by_name
from evergraph.formats.pickle_values import Record
from evergraph.formats.pickles import from_states, states_of
from evergraph.stores import BytesSource
from evergraph.tensors import Tensor
from tests.formats.battery import FormatBattery, opened, sample_arrays, written
from tests.goldens import MXNET, RELEASES, near

STATES = sorted(MXNET.glob("*/optstates/*.states"))
PICKLES = sorted(MXNET.glob("*/pickle/*.pkl"))


def recorded(path):
    found = np.load(path.with_name(path.name.replace("-0001.states", ".npz").replace(".states", ".npz")))
    return {k: found[k] for k in found.files if k.startswith("state:")}


@pytest.mark.parametrize("path", STATES, ids=[str(p.relative_to(MXNET)) for p in STATES])
def test_states_open_to_the_recorded_values(path):
    found, want = eg.open(path), recorded(path)
    assert found.format == "mxnet-states"
    got = {"state:{}:{}".format(*n.partition(".")[::2]): t.numpy() for n, t in found.items()}
    assert set(got) == set(want)
    for key in want:
        near(got[key], want[key], 0, 0, key)


@pytest.mark.parametrize("path", PICKLES, ids=[str(p.relative_to(MXNET)) for p in PICKLES])
def test_pickles_open_to_the_recorded_values(path):
    found, want = eg.open(path), np.load(path.with_name("ndarray.npz"))
    assert found.format == "mxnet-pickle"
    kind = path.name.split(".")[0]
    if kind == "symbol":
        assert found.graph.text == path.with_name("symbol.json").read_bytes()
    elif kind == "optimizer_adam":
        state = dict(found.metadata["structure"]["state"]["dict"])
        assert (state["beta1"], state["lr"], state["lr_scheduler"]) == (0.8, 0.01, None)
        assert found.metadata["structure"]["object"].endswith(".Adam")
    elif kind == "ndarray_dict":
        assert list(found) == ["a", "l.0"]
        assert found.metadata["structure"]["dict"][1] == ["l", {"list": [{"tensor": "l.0"}, None, 3]}]
        near(found["a"].numpy(), want["a"], 0, 0, "a")
        near(found["l.0"].numpy(), want["b"], 0, 0, "b")
    else:
        near(found["0"].numpy(), want[kind[-1]], 0, 0, kind)


def test_every_release_is_covered():
    assert {p.relative_to(MXNET).parts[0] for p in STATES} == set(RELEASES)
    assert {p.relative_to(MXNET).parts[0] for p in PICKLES} == set(RELEASES)


@pytest.mark.parametrize("path", [STATES[0], PICKLES[0], PICKLES[-1]], ids=str)
def test_an_unchanged_file_is_saved_to_the_same_bytes(path, tmp_path):
    found = eg.open(path)
    eg.save(found, tmp_path / "again", to=found.format)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", STATES[::7] + PICKLES[::5], ids=str)
def test_a_rewritten_file_says_the_same(path, tmp_path):
    found = eg.open(path)
    eg.save(found.replace(), tmp_path / "again", to=found.format)
    again = eg.open(tmp_path / "again")
    assert list(again) == list(found)
    assert again.metadata == found.metadata
    for name in found:
        near(again[name].numpy(), found[name].numpy(), 0, 0, name)


def test_the_optimizer_beside_its_states_is_a_record():
    found = eg.open(MXNET / "1.9.1" / "optstates" / "updater_dump_optimizer.states")
    states, optimizer = states_of(found)
    assert set(states) == {0, 3}
    assert optimizer.kind == "mxnet.optimizer.optimizer.Adam"
    assert optimizer.state["lr"] == 0.02
    assert optimizer.state["num_update"] == 1


def test_states_from_memory_come_back(tmp_path):
    momentum = Tensor.of(np.arange(4, dtype="float32"))
    optimizer = Record("mxnet.optimizer.optimizer.SGD", (), {"lr": 0.1, "idx2name": {0: "w"}})
    eg.save(from_states({0: momentum, 1: None, "k": (momentum, None)}, optimizer), tmp_path / "a.states")
    states, found = states_of(eg.open(tmp_path / "a.states"))
    assert list(states) == [0, 1, "k"]
    assert (states[1], states["k"][1]) == (None, None)
    near(states["k"][0].numpy(), momentum.numpy(), 0, 0, "k")
    assert (found.kind, found.state) == (optimizer.kind, optimizer.state)


def test_states_by_name_are_put_in_their_places(tmp_path):
    arrays = {n: np.full(2, i, "float32") for i, n in enumerate(["3.1", "3.0", "0"])}
    eg.save(arrays, tmp_path / "a.states")
    states, _ = states_of(eg.open(tmp_path / "a.states"))
    assert [states[3][0].numpy()[0], states[3][1].numpy()[0], states[0].numpy()[0]] == [1, 0, 2]
    with pytest.raises(UsageError, match="named by numbers"):
        eg.save({"arg:w": np.zeros(2)}, tmp_path / "a.states")
    with pytest.raises(UsageError, match="numbered from 0"):
        eg.save({"0.1": np.zeros(2)}, tmp_path / "a.states")


class TestPickleBattery(FormatBattery):
    format_name = "mxnet-pickle"

    def examples(self):
        sparse = Tensor.sparse(
            "row_sparse", (4, 2), Tensor.of(np.ones((1, 2), "float32")), Tensor.of(np.array([3], "int64"))
        )
        return {
            "dict": (eg.Checkpoint(sample_arrays("float32", "float64", "int8", "bool")), {}),
            "sparse": (eg.Checkpoint({"a": sparse, "b": np.zeros(3, "float32")}), {}),
        }


class TestStatesBattery(FormatBattery):
    format_name = "mxnet-states"

    def examples(self):
        return {"sgd": (eg.Checkpoint({str(i): np.full((2, i + 1), i, "float32") for i in range(3)}), {})}


def test_texts_of_python_2_are_utf8_where_they_can_be():
    found = opened(b"(dS'caf\\xc3\\xa9'\nS'a\\xff'\ns.")
    assert found.metadata["structure"]["dict"] == [["café", "aÿ"]]


def test_rejects_a_symbol_whose_text_is_no_text():
    # found by the fuzzer: a lone surrogate where UTF-8 is made of it
    data = (MXNET / "1.6.0/pickle/symbol.p0.pkl").read_bytes().replace(b'"name"', b'"\\ud800"', 1)
    with pytest.raises(EvergraphError):
        assert opened(data).graph


# -- nothing in a pickle ever runs


class Command:
    def __reduce__(self):
        return os.system, ("touch /tmp/evergraph-was-here",)


HOSTILE = {
    "protocol 0": (b"cposix\nsystem\n(S'touch x'\ntR.", "global posix.system"),
    "protocol 2": (pickle.dumps(Command(), 2), "global posix.system"),
    "protocol 4": (pickle.dumps([Command()], 4), "global posix.system"),
    "instance": (b"(S'x'\nios\nsystem\n.", "global os.system"),
    "object": (b"(cos\nsystem\nS'x'\no.", "global os.system"),
    "nested name": (b"\x80\x04\x8c\x08builtins\x8c\x0cstr.__init__\x93.", "global builtins.str.__init__"),
    "eval": (b"c__builtin__\neval\n(S'1'\ntR.", "global __builtin__.eval"),
    "getattr": (b"cbuiltins\ngetattr\n(cmxnet.ndarray\nNDArray\nS'x'\ntR.", "global builtins.getattr"),
    "several": (b"(cos\nsystem\ncsubprocess\nPopen\nl.", "globals os.system, subprocess.Popen"),
    "broken behind it": (b"cposix\nsystem\n(S'touch x'\ntRgarbage", "global posix.system"),
    "mxnet function": (b"cmxnet.test_utils\ndownload\n(S'x'\ntR.", "global mxnet.test_utils.download"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_rejects_pickles_that_name_other_code(name, tmp_path):
    data, message = HOSTILE[name]
    with pytest.raises(UnsafeError, match=f"pickle refused: {message}"):
        opened(data)


@pytest.mark.parametrize("suffix", [".params", ".ckpt", ".states", ".pth"])
def test_rejects_a_pickle_where_data_is_expected(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps({"w": Command()}, 2))
    with pytest.raises(UnsafeError, match=r"pickle refused: global posix\.system"):
        eg.open(path)
    assert not os.path.exists("/tmp/evergraph-was-here")


def test_classes_that_the_caller_names_are_kept_as_records():
    data = b"(dS'args'\ncargparse\nNamespace\n(tR(dS'lr'\nF0.1\nsbs."
    with pytest.raises(UnsafeError, match=r"argparse\.Namespace"):
        opened(data)
    found = opened(data, inert=["argparse.Namespace"])
    assert found.metadata["structure"]["dict"] == [
        ["args", {"object": "argparse.Namespace", "state": {"dict": [["lr", 0.1]]}}]
    ]


def test_numpy_scalars_in_an_optimizer_are_numbers():
    data = pickle.dumps({0: None, 1: np.float64(0.5), 2: np.int64(7)}, 2)
    assert opened(data).metadata["states"]["dict"] == [[0, None], [1, 0.5], [2, 7]]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">i8", "|b1"])
def test_numpy_arrays_in_a_pickle_are_tensors(kind, order):
    array = np.asarray(np.arange(6).reshape(2, 3) % 2, dtype=kind, order=order)
    for protocol in (0, 2, 4):
        found = opened(pickle.dumps({"a": array}, protocol))
        near(found["a"].numpy(), array, 0, 0, "a")


DAMAGE = {
    "length beyond the end": (b"\x80\x04B\xff\xff\xff\x7fab.", "length beyond its end"),
    "nothing on the stack": (b"\x80\x02q\x00.", "without its operands"),
    "below a mark": (b"\x80\x02N(s.", "without its operands"),
    "memo": (b"\x80\x02h\x05.", "was not there before"),
    "an object of nothing": (b"\x80\x02(o.", "without its operands"),
    "two values": (b"\x80\x02NN.", "more or less than one value"),
    "a large number": (b"\x80\x02]I" + b"9" * 5000 + b"\na.", "impossible length"),
    "marks without end": (b"\x80\x02" + b"(" * 100_000 + b".", "nested without end"),
    "unknown opcode": (b"\x80\x02\xff.", "unknown opcode"),
    "newer protocol": (b"(d\x80\x06.", "unknown protocol"),
    "one key twice": (b"\x80\x02}q\x00(K\x01NK\x01Nu.", "one key twice"),
    "a list as key": (b"\x80\x02}(]Nu.", "no plain value"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_rejects_broken_pickles(name):
    data, message = DAMAGE[name]
    with pytest.raises(DamagedError, match=message):
        opened(data)


def test_rejects_values_that_are_nested_without_end():
    with pytest.raises(EvergraphError, match="nested without end"):
        opened(b"\x80\x02N" + b"\x85" * 100_000 + b".")


def test_rejects_values_that_multiply_without_end():
    # each level holds the one below twice: 2**60 elements in 300 bytes
    level = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with pytest.raises(UnsafeError, match="without end"):
        opened(b"\x80\x02]" + level + b".")


def test_rejects_more_objects_than_the_size_explains():
    with pytest.raises(UnsafeError, match="more objects"):
        opened(b"\x80\x02(" + b"]" * 300_000 + b"l.")


def test_rejects_an_array_record_with_bytes_behind_it():
    data = bytearray(pickle.dumps({"handle": bytearray(struct.pack("<II4i", 1, 1, 1, 0, 3, 7))}, 4))
    assert opened(bytes(data)).metadata
    state = pickle.dumps({"handle": bytearray(struct.pack("<II4iB", 1, 1, 1, 0, 3, 7, 0))}, 4)[2:-1]
    with pytest.raises(DamagedError, match="behind an array's record"):
        opened(b"\x80\x04cmxnet.ndarray\nNDArray\nN\x85R" + state + b"b.")


def test_states_format_rejects_other_pickles():
    with pytest.raises(FormatError, match="no optimizer states"):
        by_name("mxnet-states").read(BytesSource(pickle.dumps([1, 2])))


def test_bytes_of_arrays_pass_through_unchanged():
    checkpoint = eg.Checkpoint({"0": np.arange(1000, dtype="float32")})
    data = written("mxnet-states", checkpoint)
    assert np.arange(1000, dtype="float32").tobytes() in data
    assert pickle.Unpickler(io.BytesIO(data)) is not None
