"""Floors use only floors below them; what must stay light imports no PyTorch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "evergraph"
FLOORS = ["errors", "_lazy", "stores", "tensors", "graph", "checkpoint", "formats", "saving", "ops", "passes"]
FLOORS += ["engine", "training"]
FACES = ("mxnet", "mindspore")
JOINING = ("api", "converting", "upgrading", "verifying", "crossing", "cli", "samples", "__main__", "__init__")


def imports(path, top_only=False):
    """Modules of this package that a file imports, as (dotted name, line)."""
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names)


def floor(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_module_belongs_to_a_floor():
    assert {floor(p) for p in FILES} <= {*FLOORS, *FACES, *JOINING}


def test_floors_use_only_floors_below_them():
    wrong = []
    for path in FILES:
        here = floor(path)
        for name, line in imports(path):
            there = name.split(".")[1] if name.startswith("evergraph.") else ""
            if not there or here in JOINING or there == here:
                continue
            allowed = FLOORS if here in FACES else FLOORS[: FLOORS.index(here)]
            if there not in allowed:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "program",
    [
        "import evergraph; evergraph.open, evergraph.save, evergraph.convert, evergraph.upgrade, evergraph.verify",
        "import evergraph.ops; evergraph.ops.get('Convolution')",
        "import evergraph.passes; evergraph.passes.apply",
        "from evergraph.cli import main; main(['inspect', '--help'])",
        "import evergraph as eg, numpy as np; eg.save({'w': np.ones(3)}, 'memory://light/a.npz'); eg.open('memory://light/a.npz')['w'].numpy()",
    ],
)
def test_the_light_part_imports_no_torch(program):
    checked = f"import sys\ntry:\n    {program}\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", checked], check=True, capture_output=True, timeout=120)
