"""Stores whose files are seen while they grow, such as HDFS: written beside, renamed, never neither."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from evergraph.errors import StoreError
from evergraph.stores import Transaction, commit, uri
from evergraph.stores.uri import Protocol


class Growing(MemoryFileSystem):
    """As HDFS behaves: no rename replaces a file. Fails at the call that is asked for."""

    protocol = "growing"
    store = {}
    pseudo_dirs = [""]
    log: list[str] = []
    fails = -1

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("growing://", "memory://"))

    def _step(self, name):
        self.log.append(name)
        if len(self.log) - 1 == self.fails:
            raise OSError(28, "No space left on device")

    def open(self, path, mode="rb", **options):
        self._step("open")
        return super().open(path, mode, **options)

    def info(self, path, **options):
        self._step("info")
        return super().info(path, **options)

    def exists(self, path, **options):
        self._step("exists")
        return path in self.store

    def mv(self, path1, path2, **options):
        self._step("mv")
        assert path2 not in self.store, "HDFS renames over nothing"
        self.store[path2] = self.store.pop(path1)

    def rm_file(self, path):
        self._step("rm_file")
        del self.store[path]


@pytest.fixture
def growing(monkeypatch):
    fsspec.register_implementation("growing", Growing, clobber=True)
    monkeypatch.setitem(uri._protocols, "growing", Protocol("growing", "fsspec", "all", renames=True))
    Growing.clear_instance_cache()
    Growing.store.clear()
    Growing.log, Growing.fails = [], -1
    return Growing


def content(store):
    return {name: file.getvalue() for name, file in store.items()}


def test_a_new_file_appears_whole_and_alone(growing):
    with commit("growing://models/a.params") as sink:
        sink.write(b"new")
        assert "/models/a.params" not in growing.store
    assert content(growing.store) == {"/models/a.params": b"new"}


def test_an_old_file_is_replaced_and_nothing_stays_beside(growing):
    for text in (b"old", b"new"):
        with commit("growing://models/a.params") as sink:
            sink.write(text)
    assert content(growing.store) == {"/models/a.params": b"new"}


def broken(sink):
    sink.write(b"half")
    raise StoreError("half a file")


def test_an_exception_keeps_the_old_file(growing):
    with commit("growing://models/a.params") as sink:
        sink.write(b"old")
    with pytest.raises(StoreError, match="half a file"), Transaction() as work:
        broken(work.add("growing://models/a.params"))
    assert content(growing.store) == {"/models/a.params": b"old"}


def test_whatever_call_fails_one_of_the_two_is_there_whole(growing):
    with commit("growing://models/a.params") as sink:
        sink.write(b"old")
    before, failed = dict(growing.store), 0
    for step in range(20):
        growing.store.clear()
        growing.store.update(before)
        growing.log, growing.fails = [], step
        try:
            with Transaction() as work:
                work.add("growing://models/a.params").write(b"new")
            break
        except StoreError:
            failed += 1
        growing.fails = -1
        assert growing.store["/models/a.params"].getvalue() in (b"old", b"new"), growing.log
    assert failed >= 6
    assert content(growing.store) == {"/models/a.params": b"new"}
