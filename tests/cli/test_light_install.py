"""What the light install says where PyTorch would be needed, and does without it."""

import subprocess
import sys

import pytest

from tests.goldens import MXNET

LENET = MXNET / "0.9.5" / "checkpoints" / "lenet"

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; "


def light(program, *words):
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + program, *map(str, words)], capture_output=True, check=False, text=True
    )
    return found.returncode, found.stdout, found.stderr


COMMAND = "from evergraph.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize(
    "words",
    [("predict", LENET, "--input", "x.npy"), ("upgrade", LENET, "{}/new", "--check"), ("demo",)],
    ids=["predict", "upgrade", "demo"],
)
def test_commands_that_compute_say_what_to_install(words, tmp_path):
    code, _, err = light(COMMAND, *(str(w).format(tmp_path) for w in words))
    assert (code, "Traceback" in err) == (2, False)
    assert "error: torch is needed for this and is not installed" in err
    assert "pip install 'evergraph[torch]'" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "program",
    [
        "import evergraph.mxnet as mx; mx.nd",
        "from evergraph.mxnet import nd",
        "import evergraph.mindspore as ms; ms.Tensor",
        "from evergraph.engine import predictor",
    ],
)
def test_faces_and_engine_say_what_to_install(program):
    code, _, err = light(program)
    assert code == 1
    assert "MissingDependencyError: torch is needed for this and is not installed" in err


def test_files_need_no_torch(tmp_path):
    program = (
        "import evergraph as eg; eg.verify(sys.argv[1]); eg.upgrade(sys.argv[1], sys.argv[2] + '/today');"
        "eg.convert(sys.argv[1], sys.argv[2] + '/x.pth'); print(len(eg.open(sys.argv[2] + '/x.pth')))"
    )
    code, out, err = light(program, LENET, tmp_path)
    assert (code, out.strip()) == (0, "14"), err
