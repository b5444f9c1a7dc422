"""What `mx` holds: every name that programs use, modules only when they are used, and old programs run unchanged."""

import json
import os
import subprocess
import sys

import pytest

import evergraph.mxnet as mx
from tests.goldens import MXNET, operator_schema

NAMES = (MXNET / "names.txt").read_text().split()


def home(name):
    """The module that a name of `mx` stands in, where it is one of the face's table."""
    first = name.split(".")[1]
    return mx._MODULES.get(first) or mx._NAMES.get(first)


@pytest.mark.filterwarnings("ignore:Context.default_ctx has been deprecated:DeprecationWarning")
@pytest.mark.parametrize("first", sorted({n.split(".")[1] for n in NAMES}))
def test_has_every_name_that_programs_use(first):
    module = home(f"mx.{first}")
    assert module, f"mx.{first} is not in the face's table"
    missing = []
    for name in NAMES:
        parts = name.split(".")[1:]
        if parts[0] != first:
            continue
        found = mx
        try:
            for part in parts:
                found = getattr(found, part)
        except AttributeError as error:
            missing.append(f"{name}: {error}")
    assert not missing, "\n".join(missing)


def test_says_that_there_is_no_such_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mx.nothing  # noqa: B018


def python(*arguments, **environment):
    found = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    return found.returncode, found.stdout, found.stderr


def test_imports_only_what_is_used():
    code = "import evergraph.mxnet, sys; print([m for m in sys.modules if m.startswith('evergraph.mxnet.')])"
    status, out, error = python("-c", code)
    assert status == 0, error
    assert set(json.loads(out.replace("'", '"'))) == {"evergraph.mxnet.alias"}


PROGRAM = """
import sys
import mxnet as mx
import mxnet.ndarray as F
from mxnet import nd, autograd
from mxnet.base import MXNetError
from mxnet.test_utils import *
x = nd.array([[1, 2], [3, 4]])
x.attach_grad()
with autograd.record():
    y = (x * x).sum()
y.backward()
assert_almost_equal(x.grad, 2 * x)
try:
    nd.dot(x, nd.ones((3, 2)))
except MXNetError:
    print("refused")
print(__name__, sys.argv[1:], F.NDArray is mx.nd.NDArray, np.float32(1), x.grad.asnumpy().tolist())
import helper
"""


def test_runs_an_unchanged_program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "helper.py").write_text("import mxnet\nprint('beside', mxnet.__version__)\n")
    status, out, error = python("-m", "evergraph.mxnet", str(tmp_path / "program.py"), "--lr", "0.1")
    assert status == 0, error
    assert out.splitlines() == [
        "refused",
        "__main__ ['--lr', '0.1'] True 1.0 [[2.0, 4.0], [6.0, 8.0]]",
        "beside 1.9.1",
    ]


def test_passes_on_what_the_program_exits_with(tmp_path):
    (tmp_path / "program.py").write_text("import sys; sys.exit(7)")
    assert python("-m", "evergraph.mxnet", str(tmp_path / "program.py"))[0] == 7


def test_says_how_it_is_used_where_there_is_no_program(tmp_path):
    assert python("-m", "evergraph.mxnet")[0] == 2
    status, _, error = python("-m", "evergraph.mxnet", str(tmp_path / "missing.py"))
    assert status == 2
    assert "there is no such file" in error
    assert python("-m", "evergraph.mxnet", "--help")[0] == 0


def test_tells_every_operators_arguments_as_the_release_does():
    schema = operator_schema()["ops"]
    known = set(mx.operator.get_all_registered_operators())
    wrong = {}
    for name in sorted(known & schema.keys()):
        found = mx.operator.get_operator_arguments(name)
        wanted = schema[name]["args"]
        if list(zip(found.names, found.types, strict=True)) != [tuple(a) for a in wanted] or found.narg != len(wanted):
            wrong[name] = found
    assert len(known & schema.keys()) >= 590
    assert not wrong
