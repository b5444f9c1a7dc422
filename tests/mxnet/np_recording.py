"""What MXNet 1.9.1 gave for programs with `mx.np` arrays, recorded and compared."""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import json
import pathlib
import sys
import warnings

HOME = pathlib.Path(__file__).parents[1]
RECORDED = HOME / "data" / "mxnet" / "recorded"


def rounded(value):
    """A description whose numbers have as many digits as float32."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def record(name, programs):
    """Write what the installed MXNet gives for each program."""
    import mxnet

    sys.path.insert(0, str(HOME.parent))
    from tests.mxnet.programs import described

    warnings.simplefilter("ignore")
    rows = {key: rounded(described(program(mxnet), mxnet)) for key, program in programs.items()}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items()]
    (RECORDED / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def recorded(name):
    """What MXNet gave, by program."""
    return json.loads((RECORDED / f"{name}.json").read_text())
