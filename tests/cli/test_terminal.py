"""What commands show in a terminal of 80 columns, and in a pipe."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest

import evergraph as eg
from evergraph.cli import main
from evergraph.cli.output import table
from tests.goldens import MXNET

LENET = MXNET / "0.9.5" / "checkpoints" / "lenet"


def shown(columns, *words):
    """Everything that a command writes into a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    rest = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    call = [sys.executable, "-m", "evergraph", *map(str, words)]
    with subprocess.Popen(call, stdin=theirs, stdout=theirs, stderr=theirs, env=rest | {"NO_COLOR": "1"}):
        os.close(theirs)
        found = bytearray()
        while True:
            try:
                block = os.read(ours, 1 << 16)
            except OSError:  # what Linux says at the end of a terminal
                break
            if not block:
                break
            found += block
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


def test_long_lines_are_wrapped_in_a_terminal(capsys):
    lines = shown(80, "verify", LENET).splitlines()
    assert max(map(len, lines)) <= 80
    at = next(i for i, line in enumerate(lines) if line.startswith("  note: no checksums"))
    assert lines[at + 1].startswith("        noticed"), "what goes on stands under the words, not under the mark"
    main(["verify", str(LENET)])
    notes = [line for line in capsys.readouterr().out.splitlines() if "no checksums" in line]
    assert notes[0].endswith("to have them)"), "in a pipe each line is whole"


def test_one_long_name_does_not_push_the_others_off_the_screen(tmp_path):
    eg.save({"w": np.zeros(2, "f4"), "n" * 70: np.zeros(3, "f4")}, tmp_path / "x.params")
    lines = shown(80, "inspect", tmp_path / "x.params").splitlines()
    assert "  w     float32  2       8 bytes" in lines
    assert lines[-2:] == ["  " + "n" * 70, "        float32  3      12 bytes"]


def test_one_very_long_name_moves_no_other_row_in_a_pipe():
    found = table([("name", "type"), ("n" * 150, "float32"), ("x", "int8")])
    assert found == ["name  type", "n" * 150 + "  float32", "x     int8"]


def test_texts_are_shown_with_their_ends(tmp_path, capsys):
    eg.save({"a": "", "b": " two "}, tmp_path / "x.ckpt")
    assert main(["inspect", str(tmp_path / "x.ckpt")]) == 0
    out = capsys.readouterr().out
    assert "str text  ''" in out
    assert "str text  ' two '" in out


def test_a_table_that_is_too_wide_as_a_whole_stays_one():
    rows = [("name", "type"), ("long_name", "float32"), ("x", "int8")]
    assert table(rows, width=6) == table(rows)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("1.9.1", "ndarray", "empty_list.nd"), "holds   no tensors"),
        (("1.9.1", "ndarray", "odd_names.nd"), "\n  ''  "),
        (("1.9.1", "pickle", "optimizer_adam.p2.pkl"), "optimizer.Adam: rescale_grad 1.0, lr 0.01"),
        (("1.9.1", "ndarray", "single.nd"), "holds   1 tensor, 48 bytes"),
    ],
    ids=["empty", "names", "optimizer", "single"],
)
def test_inspect_says_what_there_is(words, text, capsys):
    assert main(["inspect", str(MXNET.joinpath(*words))]) == 0
    assert text in capsys.readouterr().out


def test_verify_speaks_of_no_tensors_where_there_are_none(capsys):
    assert main(["verify", f"{LENET}-symbol.json"]) == 0
    out = capsys.readouterr().out
    assert "tensors" not in out
    assert "checksums" not in out


def test_wide_characters_do_not_move_the_columns_behind_them():
    rows = table([("name", "type"), ("权重", "float32"), ("e\u0301", "int8"), ("weight", "bool")])
    assert rows == ["name    type", "权重    float32", "e\u0301       int8", "weight  bool"]
