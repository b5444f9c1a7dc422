"""The page about converting: its programs run, its rules are rules, its options are the command's."""

import re
import tomllib
from pathlib import Path

import pytest

from evergraph.cli import main
from evergraph.crossing import KINDS
from evergraph.crossing.rules import rules_of

PAGE = (Path(__file__).parents[2] / "docs" / "convert.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_of_the_page_runs(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(PROGRAMS[number], f"docs/convert.md, program {number}", "exec"), {})
    assert list(tmp_path.iterdir())


def test_the_pages_rules_are_rules_and_name_every_kind():
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert rules_of(tomllib.loads(text)).kind("table") == "embedding"
    assert set(KINDS) == set(re.findall(r"# (batch_norm.*)", text)[0].split(", "))


def test_every_option_of_the_page_is_one(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    option = re.compile(r"(?<!-)--[a-z][a-z-]+")
    assert set(option.findall(PAGE)) <= set(option.findall(capsys.readouterr().out))
