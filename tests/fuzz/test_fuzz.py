"""No file, however broken, ends in anything but a checkpoint or one evergraph error."""

import os
import random
import signal

import pytest

from evergraph.errors import FormatError
from evergraph.formats import FORMATS
from tests.fuzz import run as run_module
from tests.fuzz.mutations import mutate
from tests.fuzz.run import Findings, one, run
from tests.fuzz.seeds import seeds

SECONDS = float(os.environ.get("EVERGRAPH_FUZZ_SECONDS", "30"))
SEVERAL_FILES = {"mxnet-checkpoint"}


@pytest.fixture(scope="module")
def good():
    return seeds()


def test_every_format_is_among_the_seeds(good):
    names = {n.split("/")[0] for n in good}
    pytest.importorskip("torch")
    assert set(FORMATS) - SEVERAL_FILES <= names


def crash(data):
    raise KeyError("shape")


def allocate(data):
    bytearray(200 << 20)


def mislead(data):
    raise FormatError("bad\x1b[31m name")


def hang(data):
    # the alarm is set; what it calls when the time is over is called here, so that no signal reaches a busy process
    assert signal.alarm(0)
    signal.getsignal(signal.SIGALRM)(signal.SIGALRM, None)


@pytest.mark.parametrize(
    ("fault", "word"),
    [(crash, "KeyError"), (allocate, "MB of memory"), (mislead, "control character"), (hang, "no end after")],
)
def test_the_fuzzer_notices_a_faulty_reader(fault, word, monkeypatch):
    monkeypatch.setattr(run_module, "read", fault)
    findings = Findings()
    one("case", b"data", findings)
    assert word in findings.faults[0]


def test_one_seed_makes_the_same_cases_again(good):
    name = next(iter(good))
    rounds = [[mutate(good[name], random.Random(f"0/{i}"), good[name]) for i in range(50)] for _ in range(2)]
    assert rounds[0] == rounds[1]
    assert len(set(rounds[0])) > 40


@pytest.mark.fuzz
def test_rejects_every_broken_file_with_one_error(good):
    found = run(good, SECONDS)
    assert not found.faults, "\n\n".join(found.faults)
    assert found.refused > found.opened > 0
