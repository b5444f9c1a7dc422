"""Small programs that real MXNet ran, and what they gave.

`python tests/mxnet/programs.py FOLDER NAME...`, run with an MXNet, runs each program of `FOLDER/NAME.txt` (lines of
`---` part them) and writes `FOLDER/NAME.json`. A program leaves what it found in `r`.
"""

from __future__ import annotations  # MXNet 1.9.1 runs on Python 3.8

import json
import pathlib
import sys
import tempfile
import warnings
from typing import Any

import numpy as np

RECORDED = pathlib.Path(__file__).parents[1] / "data" / "mxnet" / "programs"


def read(path):
    """The programs of a file."""
    return [p.strip("\n") for p in path.read_text().split("\n---\n")]


def recorded(name):
    """(program, what MXNet gave) of a file."""
    found = json.loads((RECORDED / f"{name}.json").read_text())
    return list(zip(read(RECORDED / f"{name}.txt"), found, strict=True))


def described(value, mx):
    """What a value is, as JSON: types, shapes, contexts and numbers."""
    if isinstance(value, mx.nd.NDArray):
        return _array(value)
    if isinstance(value, np.ndarray):
        numbers = np.asarray(value, "float64").reshape(-1).tolist() if value.dtype.kind in "fiub" else str(value)
        return {"numpy": value.dtype.name, "shape": list(value.shape), "values": numbers}
    if isinstance(value, (list, tuple)):
        return [described(v, mx) for v in value]
    if isinstance(value, dict):
        return {str(k): described(v, mx) for k, v in value.items()}
    if isinstance(value, np.generic):
        return {"numpy": value.dtype.name, "value": float(value)}
    if isinstance(value, (int, float, str)) or value is None:
        return value
    return repr(value).replace("evergraph.mxnet", "mxnet")


def _array(value):
    found = {
        "class": type(value).__name__,
        "shape": list(value.shape),
        "dtype": np.dtype(value.dtype).name,
        "context": str(value.context),
        "values": np.asarray(value.asnumpy(), "float64").reshape(-1).tolist(),
    }
    if value.stype != "default":
        found["stype"] = value.stype
        found["data"] = value.data.asnumpy().astype("float64").reshape(-1).tolist()
        found["indices"] = value.indices.asnumpy().tolist()
    return found


def run(program, mx) -> dict[str, Any]:
    """What a program gives: {"result": ...} or {"error": names of the error's classes}."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"mx": mx, "nd": mx.nd, "np": np, "folder": folder}
        try:
            exec(compile(program, "program", "exec"), names)
            return {"result": described(names.get("r"), mx)}
        except Exception as error:  # noqa: BLE001
            return {"error": [c.__name__ for c in type(error).__mro__], "message": str(error)}


def difference(want, got, rtol=1e-5, atol=1e-5, path="r"):
    """Where two descriptions part, in words; empty where they agree."""
    if isinstance(want, float) and isinstance(got, (int, float)):
        same = want == got or abs(want - got) <= atol + rtol * abs(want) or (want != want and got != got)
    elif type(want) is not type(got):
        same = False
    elif isinstance(want, dict) and want.keys() == got.keys():
        return next(filter(None, (difference(want[k], got[k], rtol, atol, f"{path}.{k}") for k in want)), "")
    elif isinstance(want, list) and len(want) == len(got):
        parts = enumerate(zip(want, got))  # noqa: B905
        return next(filter(None, (difference(a, b, rtol, atol, f"{path}[{i}]") for i, (a, b) in parts)), "")
    else:
        same = want == got
    return "" if same else f"{path}: {str(got)[:300]} for {str(want)[:300]}"


def check(program, want, mx):
    """Assert that a program gives what MXNet gave: the same values, or an error of the same class."""
    got = run(program, mx)
    if "result" in want:
        assert "result" in got, f"{program}\n{got}"
        found = difference(want["result"], got["result"])
        assert not found, f"{program}\n{found}"
        return
    assert "error" in got, f"{program}\ngave {got} where MXNet raises {want['error']}"
    wanted = want["error"].replace("MXNetError", "EvergraphError")
    if wanted in ("AssertionError", "Exception"):
        expected = {wanted, "EvergraphError", "TypeError", "ValueError"}
        assert expected & set(got["error"][:-3]) or wanted in got["error"][:1], f"{program}\n{got}"
    else:
        assert wanted in got["error"], f"{program}\n{got} for {wanted}"
    assert got["message"], f"{program}\nan error that says nothing"


if __name__ == "__main__":
    import mxnet

    for each in sys.argv[2:]:
        source = pathlib.Path(sys.argv[1]) / f"{each}.txt"
        found = [run(p, mxnet) for p in read(source)]
        found = [{"error": row["error"][0]} if "error" in row else row for row in found]
        source.with_suffix(".json").write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n")
