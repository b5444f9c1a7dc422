"""Bad input of the kinds that users and attackers have: one error that says what, where and what to do."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, EvergraphError, FormatError, StoreError
from tests.formats.battery import opened, read_everything, written
from tests.goldens import MXNET

SUFFIXES = [
    ".params",
    ".nd",
    ".ckpt",
    ".safetensors",
    ".pth",
    ".npz",
    ".npy",
    ".states",
    ".json",
    ".tar.gz",
    ".zip",
    "",
]


@pytest.fixture(params=SUFFIXES, ids=lambda s: s or "no suffix")
def path(request, tmp_path):
    return tmp_path / f"model{request.param}"


def refused(path):
    """The one error of opening and reading, which cost little."""
    tracemalloc.start()
    with pytest.raises(EvergraphError) as caught:
        read_everything(eg.open(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert os.path.basename(path) in str(caught.value), "the message names no file"
    return str(caught.value)


def test_rejects_an_empty_file(path):
    path.write_bytes(b"")
    assert "empty (0 bytes)" in refused(path)


def test_rejects_a_page_instead_of_a_file(path):
    path.write_bytes(b"<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>")
    assert "an HTML page" in refused(path)
    path.write_bytes(b'{"error": {"code": 404, "message": "gone"}}')
    assert "a server's error message" in refused(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    assert "a PNG picture" in refused(path)


def test_rejects_a_git_lfs_pointer(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 553433881\n")
    message = refused(path)
    assert "git lfs pull" in message
    assert "553.4 MB" in message


def test_rejects_a_cut_at_every_byte_and_says_where(tmp_path):
    data = (MXNET / "1.9.1/ndarray/dict.nd").read_bytes()
    for at in range(1, len(data)):
        (tmp_path / "cut.params").write_bytes(data[:at])
        message = refused(tmp_path / "cut.params")
        assert "cut short" in message or "larger than the file" in message or "than it can hold" in message, message
        assert f"byte {at}" in message or f"{at} bytes" in message or "bytes that are left" in message, message


# -- names

HOSTILE_NAMES = [
    *(b"caf\xe9", b"a\x00b", b"line\nbreak", b"\x1b[31mred", b"<script>alert(1)</script>", b"../../etc/passwd"),
    *("\u202egnp.exe".encode(), b"", b" ", b"a" * 5000, b"\xed\xa0\x80"),
]


def params_with(names):
    record = struct.pack("<IiiqiiiB", 0xF993FAC9, 0, 1, 1, 1, 0, 3, 7)
    head = struct.pack("<QQQ", 0x112, 0, len(names)) + record * len(names) + struct.pack("<Q", len(names))
    return head + b"".join(struct.pack("<Q", len(n)) + n for n in names)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_kept_and_never_shown_raw(name, tmp_path):
    data = params_with([name, b"w"])
    (tmp_path / "a.params").write_bytes(data)
    found = eg.open(tmp_path / "a.params")
    for suffix in (".params", ".npz", ".pth", ".safetensors"):
        eg.save(found, tmp_path / f"there{suffix}")
        eg.save(eg.open(tmp_path / f"there{suffix}"), tmp_path / "back.params")
        assert (tmp_path / "back.params").read_bytes() == data, suffix
    with pytest.raises(EvergraphError) as caught:
        opened(params_with([name, name]))
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    assert sorted(os.listdir(tmp_path)) == [
        "a.params",
        "back.params",
        *(f"there{s}" for s in (".npz", ".params", ".pth", ".safetensors")),
    ]


def test_rejects_names_that_stand_twice():
    with pytest.raises(DamagedError, match=r"(?s)names stand twice.*'a': arrays 0 and 2.*'b': arrays 1 and 3"):
        opened(params_with([b"a", b"b", b"a", b"b"]))


def test_rejects_more_or_fewer_names_than_arrays():
    good = params_with([b"a", b"b"])
    for count in (1, 3):
        at = len(good) - 2 * 9 - 8
        with pytest.raises(DamagedError, match="numbers of arrays and names differ"):
            opened(good[:at] + struct.pack("<Q", count) + good[at + 8 :])


def test_one_name_in_both_roles_stays_two_tensors(tmp_path):
    data = params_with([b"arg:x", b"aux:x"])
    (tmp_path / "a.params").write_bytes(data)
    for suffix in (".npz", ".pth", ".safetensors"):
        eg.save(eg.open(tmp_path / "a.params"), tmp_path / f"there{suffix}")
        found = eg.open(tmp_path / f"there{suffix}")
        assert list(found) == ["arg:x", "aux:x"]


def test_rejects_bytes_behind_the_end():
    good = (MXNET / "1.9.1/ndarray/dict.nd").read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("evil.py", "print()")
    for tail in (b"\0", b"\n", archive.getvalue(), good):
        with pytest.raises(DamagedError, match=f"{len(tail)} bytes stand behind the end"):
            opened(good + tail)


def test_rejects_a_zip_archive_behind_other_content():
    archive = written("npz", eg.Checkpoint({"a": np.ones(2)}))
    with pytest.raises(FormatError):
        opened(b"#!/bin/sh\n" + archive)
    with pytest.raises(FormatError):
        opened(b"PK\3\4" + archive)


# -- what is no file, and files that change


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_rejects_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.params")
    with pytest.raises(StoreError, match="a pipe"):
        eg.open(tmp_path / "pipe.params")
    with pytest.raises(StoreError, match="a device"):
        eg.open("/dev/zero")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="no checkpoint is found there"):
        eg.open(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"(?s)link to a file that is not there.*nowhere"):
        eg.open(tmp_path / "link")


@pytest.mark.parametrize("suffix", [".params", ".npz", ".pth", ".safetensors"])
def test_rejects_a_file_that_changes_while_it_is_read(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    eg.save({"w": np.arange(100_000, dtype="float32")}, path)
    found = eg.open(path)
    with open(path, "r+b") as file:
        file.truncate(5000)
    with pytest.raises(StoreError, match="was changed while it was being read"):
        found["w"].numpy()


def test_a_file_that_is_replaced_stays_as_it_was_opened(tmp_path):
    path = tmp_path / "a.npz"
    eg.save({"w": np.zeros(1000)}, path)
    found = eg.open(path)
    eg.save({"w": np.ones(1000)}, path)
    assert not found["w"].numpy().any()
    assert eg.open(path)["w"].numpy().all()


def test_a_traceback_is_never_what_a_program_shows(tmp_path):
    (tmp_path / "a.params").write_bytes(b"\x12\1" + bytes(30))
    program = (
        f"import evergraph as eg\ntry: eg.open({os.fspath(tmp_path / 'a.params')!r})\nexcept eg.EvergraphError: pass"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
