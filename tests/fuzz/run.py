"""Runs one case: reading must end in a checkpoint or in one evergraph error, soon and in little memory."""

import base64
import hashlib
import os
import random
import resource
import signal
import sys
import time
import traceback
import tracemalloc
import warnings
from dataclasses import dataclass, field

import evergraph as eg
from evergraph.formats import by_content, by_name
from evergraph.stores import BytesSource, locate
from tests.fuzz.mutations import mutate, within

HANG = 20
"""Seconds after which a case has not ended: on a busy machine, a good one takes a hundredth of one."""
TRACED = 16
"""Every how manieth case is traced to the byte; the others are seen by the process's peak, which only grows."""
COSTS = 64 << 20
MEMORY = 128 << 20
"""What a case may take beyond the largest so far: 64 MB that hostile input may cost, and as much for Python itself."""
NOT_PLANNED = ("mxnet-checkpoint", "safetensors-sharded", "training-state", "evergraph-shards")
"""Formats of several files."""


@dataclass
class Findings:
    """What a run has seen."""

    cases: int = 0
    opened: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


class _HangError(BaseException):
    """The case did not end."""


def _peak():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def read(data):
    """Open, look at everything, and now and then plan to save it again."""
    found = by_content(source := BytesSource(data, "memory://fuzz/case")).read(source)
    for tensor in found.values():
        for part in (tensor, *tensor.parts.values()):
            for chunk in part.blob.chunks():
                len(chunk)
    assert found.graph is None or len(found.graph) >= 0
    repr(found)
    if len(data) % 5 == 0 and found.format not in NOT_PLANNED:
        layout = by_name(found.format).plan(found.replace(), locate("memory://fuzz/target"))
        for file in layout.files:
            for piece in file.pieces():
                for chunk in (piece,) if isinstance(piece, bytes) else piece.chunks():
                    len(chunk)


def one(name, data, findings):
    """Run a case; what is wrong with it goes among the faults."""
    before, begin, traced = _peak(), time.monotonic(), findings.cases % TRACED == 0
    if traced:
        tracemalloc.start()
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(HANG)
    fault = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(data)
        findings.opened += 1
    except eg.EvergraphError as error:
        findings.refused += 1
        if any(ord(c) < 32 and c != "\n" for c in str(error)):
            fault = f"a control character reaches the message: {str(error)!r}"
    except _HangError:
        fault = f"no end after {HANG} s"
    except BaseException:  # noqa: BLE001 - whatever else comes out is what the fuzzer looks for
        fault = traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)
    findings.cases += 1
    taken, allowed = _peak() - before, MEMORY
    if traced:
        taken, allowed = tracemalloc.get_traced_memory()[1], COSTS
        tracemalloc.stop()
    if fault is None and taken > allowed + 4 * len(data):
        fault = f"{taken >> 20} MB of memory"
    if fault is not None:
        kept = keep(data)
        findings.faults.append(
            f"{name}, {len(data)} bytes, {time.monotonic() - begin:.1f} s, kept as {kept}\n{fault}"
            + (f"\n{base64.b64encode(data).decode()}" if len(data) < 600 else "")
        )


def _stop(*_):
    raise _HangError


def keep(data):
    """Save a case that failed, by its content's hash, where EVERGRAPH_FUZZ_KEEP says."""
    folder = os.environ.get("EVERGRAPH_FUZZ_KEEP")
    digest = hashlib.sha256(data).hexdigest()[:16]
    if folder:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, digest), "wb") as file:
            file.write(data)
    return digest


def run(seeds, seconds, seed=0, tell=lambda findings: None):
    """Mutate the seeds in turn until the time is over.

    Args:
        seeds: name -> bytes.
        seconds: how long.
        seed: first number of the random generators: case i of seed s is always the same.
        tell: called after every thousand cases.
    """
    findings, names = Findings(), list(seeds)
    for name in names:
        # the largest good file sets the memory that counts as usual
        one(name, seeds[name], findings)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end and len(findings.faults) < 20:
        rng = random.Random(f"{seed}/{number}")
        name = names[number % len(names)]
        change = within if rng.random() < 0.4 else mutate
        one(f"{name}, case {seed}/{number}", change(seeds[name], rng, seeds[rng.choice(names)]), findings)
        number += 1
        if number % 1000 == 0:
            tell(findings)
    return findings
