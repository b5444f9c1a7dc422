"""Hints while a large file is written change nothing that is written, and give every block back."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from evergraph.stores import commit
from evergraph.stores.writeback import LARGE, free_behind, hold, wait_until_freed

linux = pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="descriptors that only hold a file are Linux's")


def content(seed, size=LARGE + 12_345):
    return np.random.default_rng(seed).integers(0, 256, size, "uint8").tobytes()


def test_large_files_hold_what_was_written_in_pieces_of_any_size(tmp_path):
    path, whole = tmp_path / "large.params", content(0)
    cuts = [0, 1, 1, 7, 4096, 1 << 20, (1 << 20) + 1, 9 << 20, LARGE, len(whole)]
    parts = [whole[a:b] for a, b in itertools.pairwise(cuts)]
    with commit(path, total=len(whole)) as sink:
        for part in parts:
            sink.write(part)
    assert path.read_bytes() == whole
    assert path.stat().st_blocks * 512 < len(whole) + (1 << 20), "no room is kept behind the end"


def test_thousands_of_small_pieces_are_written_in_order(tmp_path):
    path, pieces = tmp_path / "small.params", [bytes((i % 251,)) * (i % 7) for i in range(5000)]
    with commit(path) as sink:
        for piece in pieces:
            sink.write(piece)
    assert path.read_bytes() == b"".join(pieces)


def test_arrays_of_any_type_are_written_as_their_bytes(tmp_path):
    path, arrays = tmp_path / "typed", [np.arange(6, dtype="float32").reshape(2, 3), np.arange(4, dtype="int16")]
    with commit(path) as sink:
        for array in arrays:
            sink.write(memoryview(array))
    assert path.read_bytes() == b"".join(a.tobytes() for a in arrays)


@linux
def test_a_replaced_large_file_is_given_back_when_the_save_has_returned(tmp_path):
    path = tmp_path / "large.params"
    path.write_bytes(content(1))
    old = path.stat().st_ino
    with commit(path) as sink:
        sink.write(b"new")
    wait_until_freed()
    held = [os.stat(f"/proc/self/fd/{n}").st_ino for n in os.listdir("/proc/self/fd") if alive(n)]
    assert old not in held
    assert path.read_bytes() == b"new"


def alive(number):
    return os.path.exists(f"/proc/self/fd/{number}")


@linux
def test_holds_large_files_only(tmp_path):
    small = tmp_path / "small"
    small.write_bytes(b"x")
    assert hold(str(small)) == -1
    assert hold(str(tmp_path / "none")) == -1
    large = tmp_path / "large"
    large.write_bytes(bytes(LARGE))
    large.chmod(0o000)
    held = hold(str(large))
    assert held >= 0, "no permission to read it is needed"
    free_behind(held)
    wait_until_freed()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)


@linux
def test_a_save_as_the_interpreter_ends_still_replaces_the_file(tmp_path):
    path = tmp_path / "large.params"
    path.write_bytes(content(2))
    program = f"import atexit, evergraph as eg; atexit.register(eg.save, {{'arg:w': [1.0]}}, {str(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_size < 1000


@linux
def test_a_child_does_not_keep_what_was_replaced(tmp_path):
    path = tmp_path / "large.params"
    path.write_bytes(content(3))
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


CHILD = """
import os, sys
from evergraph.stores.writeback import free_behind, hold
held = hold(sys.argv[1])
free_behind(held)
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1])
try:
    os.fstat(held)
except OSError:
    print("closed", flush=True)
"""
