"""Peers: each in a process of its own Python, asked one thing at a time, so that runs alternate fairly.

A peer is a Python with the other framework: `EVERGRAPH_BENCH_MXNET` (Python 3.8, mxnet==1.9.1, numpy==1.23.5) and
`EVERGRAPH_BENCH_MINDSPORE` (Python 3.11, mindspore==2.10.*) name their interpreters. A peer that is not there is left
out of the table, by name.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LOOP = """
import json, sys, time
space = {}
for line in sys.stdin:
    code = json.loads(line)
    answer = None
    start = time.perf_counter()
    try:
        exec(code, space)
        answer = space.pop("answer", None)
    except BaseException as error:
        answer = {"error": repr(error)}
    took = time.perf_counter() - start
    print(json.dumps([took, answer]), file=sys.__stdout__, flush=True)
"""


class Peer:
    """A Python process that runs programs and tells how long each took, in seconds."""

    def __init__(self, python: str, threads: int = 1, **environment: str) -> None:
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), **environment)
        self._process = subprocess.Popen(
            [python, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def __call__(self, code: str) -> tuple[float, Any]:
        self.begin(code)
        return self.finish(code)

    def begin(self, code: str) -> None:
        """Start a program; `finish` waits for it."""
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()

    def finish(self, code: str) -> tuple[float, Any]:
        """What the program that was begun took and answers."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer died at: {code}")
        took, answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{answer['error']} at: {code}")
        return took, answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def python_of(name: str) -> str | None:
    """The interpreter of a peer, or None where it is not there."""
    return os.environ.get(f"EVERGRAPH_BENCH_{name.upper()}")


def alternate(runs: Mapping[str, Callable[[], float]], times: int = 7) -> dict[str, float]:
    """Median seconds of each, measured in turns after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(times + 1):
        for name, run in runs.items():
            seconds = run()
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def machine() -> str:
    """What was measured on, in a line."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = [n.split(":", 1)[1].strip() for n in cpu.read_text().splitlines() if n.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between a page's marks `<!-- name -->` and `<!-- /name -->`, or append it."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = page.read_text() if page.exists() else "# Performance\n"
    block = f"{begin}\n{text.strip()}\n{end}"
    if begin in whole:
        head, _, rest = whole.partition(begin)
        whole = head + block + rest.partition(end)[2]
    else:
        whole = whole.rstrip("\n") + f"\n\n{block}\n"
    page.write_text(whole)


def human_seconds(value: float) -> str:
    return f"{value * 1e6:.0f} us" if value < 1e-3 else f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


if __name__ == "__main__":
    sys.exit("a module of the benchmarks: run files.py, engine.py, ...")
