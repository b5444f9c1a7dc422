"""The README's commands and names are there."""

import re
from pathlib import Path

import pytest

import evergraph as eg
from evergraph.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_command_of_the_readme_is_one():
    named = set(re.findall(r"^evergraph (\w+)", README, re.MULTILINE)) | set(re.findall(r"evergraph (demo)", README))
    assert named <= set(COMMANDS)
    assert len(named) >= 6


def test_every_public_name_is_documented_and_there():
    for name in eg.__all__:
        assert getattr(eg, name).__doc__, name
    assert set(re.findall(r"\beg\.(\w+)", README)) <= set(eg.__all__)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
)
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_commands_for_a_fresh_machine_are_one_line_each():
    for mark in ("demo", "tests"):
        (block,) = re.findall(rf"<!-- {mark} -->\n```\n(.*?)```", README, re.DOTALL)
        assert block.count("\n") == 1
        assert "-c constraints.txt" in block
