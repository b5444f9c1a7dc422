"""Writes docs/corpus.md by running every public graph that is there: `python -m tests.corpus_table` (minutes)."""

import warnings
from pathlib import Path

import evergraph as eg
from evergraph.passes.binding import meanings
from evergraph.passes.upgrade import upgrade
from tests.corpus import CORPUS, entries
from tests.corpus_runs import DIFFERENT, reason, run, worst

PAGE = Path(__file__).parents[1] / "docs" / "corpus.md"
HEAD = """# Public graphs

Symbol files that people published from 2015 to 2025, opened, upgraded and run here. *Equal* is the largest difference
from what MXNet 1.9.1 recorded for the same inputs, as a part of the output's largest value; graphs without published
parameters are run on stand-in values. This page is made by `python -m tests.corpus_table`; the files are not part of
the project.
"""


def version(number):
    """MXNet's version in words."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}" if number else "before 0.9"


def unknown(row):
    """Operators of a graph that are not known here."""
    graph = upgrade(eg.open(CORPUS / row["file"]).graph).graph
    found = zip(graph.nodes, meanings(graph), strict=True)
    return sorted({n.op for n, means in found if means is not None and means.operator is None})


def outcome(row):
    """What becomes of a graph, in words."""
    missing = unknown(row)
    if missing:
        return f"opens; not run: no public meaning of {', '.join(f'`{m}`' for m in missing)}"
    outputs, recorded = run(row)
    if row["run"] != "ok":
        return "runs; MXNet 1.9.1 does not load it"
    if row["random_op"] or not row["output_finite"]:
        return "runs, shapes equal (random, or not finite in MXNet)"
    far = worst(outputs, recorded)
    return f"differs: {reason(row['id'])}" if far >= 1e-3 else f"equal, {far:.0e}" if far else "equal to the bit"


def page():
    """The page's text."""
    lines = []
    for row in entries().values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = outcome(row)
        upgraded = "" if not row["upgraded"] else "to 1.9.1's bytes"
        form = version(row["mxnet_version"])
        lines.append(f"| {row['repo']} | {row['path']} | {form} | {row['nodes']} | {upgraded} | {told} |")
    equal = sum("| equal" in line for line in lines)
    text = (
        f"{HEAD}\n{len(lines)} graphs: {equal} equal, {sum('| runs' in x for x in lines)} that run and have nothing to"
    )
    text += f" compare with,\n{sum('| differs' in x for x in lines)} that differ,"
    text += f" {sum('| opens' in x for x in lines)} that open only.\n"
    table = ["| repository | file | MXNet | nodes | upgraded | outcome |", "|---|---|---|---:|---|---|", *lines]
    return text + "\n" + "\n".join(table) + "\n"


if __name__ == "__main__":
    assert all(any(part in ident for ident in entries()) for part in DIFFERENT)
    PAGE.write_text(page())
