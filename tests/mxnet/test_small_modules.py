"""The profiler, features, registries, logs and the rest of `mx` around arrays."""

import json
import logging

import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import nd, profiler


@pytest.fixture
def profiling(tmp_path):
    profiler.set_config(profile_all=True, aggregate_stats=True, filename=str(tmp_path / "trace.json"))
    profiler.set_state("run")
    yield tmp_path / "trace.json"
    profiler.set_state("stop")
    profiler.dumps(reset=True)


def work():
    domain = profiler.Domain("domain")
    task, frame, event = domain.new_task("task"), domain.new_frame("frame"), profiler.Event("event")
    counter, marker = domain.new_counter("counter", 3), domain.new_marker("marker")
    for each in (task, frame, event):
        each.start()
    nd.relu(nd.ones((3, 3))).asnumpy()
    counter += 4
    counter -= 1
    marker.mark()
    for each in (event, frame, task):
        each.stop()
    return counter


def test_profiles_operators_tasks_counters_and_marks(profiling):
    assert work().value == 6
    found = json.loads(profiler.dumps(format="json"))
    assert found["Unit"] == {"Time": "ms", "Memory": "kB"}
    times = found["Time"]
    assert {"domain", "domain,frame", "domain,instant_marker", "event", "operator"} <= times.keys()
    assert times["domain"]["task"]["Count"] == 1
    assert times["domain"]["counter"]["Max"] == 7
    assert "aten::relu" in times["operator"]
    assert all(v["Min"] <= v["Avg"] <= v["Max"] for g in times.values() for v in g.values())
    table = profiler.dumps(reset=True)
    assert "Profile Statistics" in table
    assert "aten::relu" in table
    assert "aten::relu" not in profiler.dumps()


def test_writes_a_trace_that_browsers_read(profiling):
    work()
    profiler.dump()
    events = json.loads(profiling.read_text())["traceEvents"]
    assert {"task", "frame", "event", "counter", "marker", "aten::relu"} <= {e["name"] for e in events}
    assert all(e["dur"] >= 0 for e in events if e["ph"] == "X")


def test_measures_nothing_while_paused(profiling):
    profiler.pause()
    work()
    profiler.resume()
    assert json.loads(profiler.dumps(format="json"))["Time"].get("operator") is None


def test_rejects_settings_and_states_of_the_profiler_that_do_not_exist():
    with pytest.raises(mx.MXNetError, match="no such settings"):
        profiler.set_config(colour=1)
    with pytest.raises(KeyError):
        profiler.set_state("walk")
    with pytest.raises(AssertionError):
        profiler.dumps(format="picture")


def test_lists_features_by_name():
    found = mx.runtime.Features()
    assert found.is_enabled("int64_tensor_size")
    assert not found.is_enabled("TVM_OP")
    assert repr(found["TVM_OP"]) == "✖ TVM_OP"
    assert len(mx.runtime.feature_list()) == len(found)
    with pytest.raises(RuntimeError, match="unknown"):
        found.is_enabled("WARP_DRIVE")


def test_registers_classes_and_makes_objects_of_them():
    class Base:
        pass

    register = mx.registry.get_register_func(Base, "thing")
    create = mx.registry.get_create_func(Base, "thing")
    alias = mx.registry.get_alias_func(Base, "thing")

    @alias("other")
    class First(Base):
        def __init__(self, size=1):
            self.size = size

    register(First)
    assert create("First", size=3).size == 3
    assert create('["other", {"size": 4}]').size == 4
    assert create('{"thing": "first", "size": 5}').size == 5
    assert create(thing="first").size == 1
    one = First()
    assert create(one) is one
    assert mx.registry.get_registry(Base) == {"first": First, "other": First}
    with pytest.raises(AssertionError, match="not registered"):
        create("second")
    with pytest.raises(AssertionError, match="already an instance"):
        create(one, 3)


def test_a_later_class_takes_a_name_with_a_warning():
    class Base:
        pass

    register = mx.registry.get_register_func(Base, "thing")
    register(type("A", (Base,), {}), "x")
    with pytest.warns(UserWarning, match="thing x"):
        register(type("B", (Base,), {}), "x")


def test_logs_with_level_and_place(tmp_path):
    logger = mx.log.get_logger("evergraph-test-log", str(tmp_path / "log.txt"), level=logging.INFO)
    logger.info("epoch %d", 3)
    logger.debug("hidden")
    line = (tmp_path / "log.txt").read_text()
    assert line.startswith("I")
    assert "test_small_modules.py:test_logs_with_level_and_place" in line
    assert line.endswith("] epoch 3\n")
    for handler in logger.handlers:
        handler.close()


@pytest.mark.parametrize(
    "call",
    [
        mx.libinfo.find_lib_path,
        mx.libinfo.find_include_path,
        lambda: mx.library.load("ops.so"),
        lambda: mx.rtc.CudaModule("__global__ void f() {}"),
        mx.base._LIB.MXGetVersion,
    ],
)
def test_says_what_to_use_in_place_of_the_c_library(call):
    with pytest.raises(mx.MXNetError, match="what to do"):
        call()


def test_bulk_sizes_nest():
    before = mx.engine.set_bulk_size(30)
    with mx.engine.bulk(5):
        assert mx.engine.set_bulk_size(6) == 5
    assert mx.engine.set_bulk_size(before) == 30
