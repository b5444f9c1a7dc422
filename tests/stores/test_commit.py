"""The commit fails at every system call that it makes: the old file is whole, or the new one complete."""

import errno
import multiprocessing
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from evergraph.errors import StoreError
from evergraph.stores import Transaction, commit
from tests.stores.faulty import CALLS, NEW, OLD, Faulty, commits, save


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "weights.params"
    path.write_bytes(OLD)
    return path


def number_of_calls(target, monkeypatch):
    counting = Faulty(0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", counting)
        save(target)
    target.write_bytes(OLD)
    return counting


def test_the_calls_of_a_commit_are_those_that_durability_needs(target, monkeypatch):
    log = number_of_calls(target, monkeypatch).log
    assert log.index("fsync") > max(i for i, n in enumerate(log) if n == "writev")
    assert log.index("replace") > log.index("fsync")
    assert log[log.index("replace") :].count("fsync") == 1, "the folder is synced after the rename"


@pytest.mark.parametrize("keep_failing", [False, True], ids=["fails once", "keeps failing"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=lambda e: errno.errorcode[e])
def test_either_file_is_whole_whichever_call_fails(target, monkeypatch, error, keep_failing):
    total = number_of_calls(target, monkeypatch).count
    assert total > 10
    for fail_at in range(1, total + 1):
        target.write_bytes(OLD)
        faulty = Faulty(fail_at, error, keep_failing)
        told = None
        with monkeypatch.context() as patch:
            patch.setattr(commits, "os", faulty)
            try:
                save(target)
            except StoreError as caught:
                told = caught
        found = target.read_bytes()
        failed = faulty.log[fail_at - 1]
        assert found in (OLD, NEW), f"call {fail_at} ({failed}) left a mix"
        if told is None:
            # only looking for leftovers and reading the old permissions may fail without a word
            assert found == NEW, f"call {fail_at} ({failed}) lost the save without a word"
        elif found == NEW:
            assert "in place" in str(told)
        for leftover in target.parent.glob(".*.evg-tmp"):
            assert keep_failing or failed == "unlink", f"call {fail_at} ({failed}) left {leftover.name}"
            leftover.unlink()


def test_a_short_write_is_continued(target, monkeypatch):
    total = number_of_calls(target, monkeypatch).count
    for fail_at in range(1, total + 1):
        with monkeypatch.context() as patch:
            patch.setattr(commits, "os", faulty := Faulty(fail_at, errno.EIO, short=True))
            if number_is_write(faulty, target):
                assert target.read_bytes() == NEW


def number_is_write(faulty, target):
    try:
        save(target)
    except StoreError:
        return False
    return faulty.log[faulty.fail_at - 1] == "writev"


KILLED = """
    import os, sys
    sys.path[:0] = {path!r}
    from tests.stores.faulty import Faulty, NEW, commits, save
    class Dying(Faulty):
        def __getattr__(self, name):
            call = super().__getattr__(name)
            def die(*args, **kwargs):
                if self.count + 1 == self.fail_at:
                    os.kill(os.getpid(), 9)
                return call(*args, **kwargs)
            return die if callable(call) and name in {calls!r} else call
    commits.os = Dying({at}, 0)
    save({target!r})
"""


@pytest.mark.wide
def test_a_kill_before_any_call_leaves_one_whole_file(target, monkeypatch):
    total = number_of_calls(target, monkeypatch).count
    for at in range(1, total + 1):
        target.write_bytes(OLD)
        code = textwrap.dedent(KILLED.format(path=sys.path, calls=CALLS, at=at, target=str(target)))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == -9, done.stderr.decode()
        assert target.read_bytes() in (OLD, NEW), f"killed before call {at}"
        save(target)  # and the next save works, and takes the dead process's leftover away
        assert target.read_bytes() == NEW
        assert not list(target.parent.glob(".*.evg-tmp"))


def interrupted(target, kind):
    with commit(target) as sink:
        sink.write(NEW)
        raise kind


def test_an_exception_while_writing_keeps_the_old_file(target):
    for kind in (KeyboardInterrupt, MemoryError, SystemExit, ValueError):
        with pytest.raises(kind):
            interrupted(target, kind)
        assert target.read_bytes() == OLD
        assert list(target.parent.iterdir()) == [target]


def test_files_of_one_transaction_appear_in_order_and_only_when_all_are_durable(tmp_path, monkeypatch):
    seen = []
    real = os.replace  # noqa: TID251 - this test watches the one place
    recorder = Faulty(0, 0)
    recorder.replace = lambda a, b: (
        seen.append((os.path.basename(b), len(list(tmp_path.glob(".*.evg-tmp"))))),
        real(a, b),
    )
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", recorder)
        with Transaction() as work:
            for name in ("a", "b", "manifest"):
                work.add(tmp_path / name).write(name.encode())
    assert seen == [("a", 3), ("b", 2), ("manifest", 1)]


def test_a_failing_check_keeps_the_old_file(target):
    def refuse(source):
        raise StoreError(f"{source.size} bytes are not what was meant")

    with pytest.raises(StoreError, match="not what was meant"), commit(target, check=refuse) as sink:
        sink.write(NEW)
    assert target.read_bytes() == OLD


def test_a_link_stays_a_link(target, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(target)
    save(link)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_permissions_are_kept_or_given(target):
    target.chmod(0o640)
    save(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    with commit(target, mode=0o400) as sink:
        sink.write(b"x")
    assert stat.S_IMODE(target.stat().st_mode) == 0o400
    save(target)
    assert target.read_bytes() == NEW, "a read-only file is replaced, not written into"


def test_rejects_a_folder_as_target(tmp_path):
    with pytest.raises(StoreError, match="folder"):
        save(tmp_path)


def test_rejects_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="cannot be created") as caught:
        save(tmp_path / "none" / "x.params")
    assert caught.value.fix == f"create the folder {tmp_path / 'none'} first; nothing was changed"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created") as caught:
        save(tmp_path / "file" / "x.params")
    assert "is none" in str(caught.value.fix)


def test_a_reader_of_the_old_file_keeps_it(target):
    from evergraph.stores import open_source

    with open_source(target) as source:
        save(target)
        assert bytes(source.read(0, 3)) == b"old"


def _writer(path, text):
    for _ in range(20):
        save(path, text * 1000)


def test_two_writers_never_mix(target):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_writer, args=(target, text)) for text in (b"a", b"b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert target.read_bytes() in (b"a" * 1000, b"b" * 1000)
