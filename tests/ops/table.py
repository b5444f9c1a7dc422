"""Writes docs/operators.md from the recorded cases and the registry: `python -m tests.ops.table`."""

import textwrap
from collections import Counter
from pathlib import Path

from evergraph import ops
from tests.goldens import operator_cases, operator_schema
from tests.ops.deviations import CHANGED, DEVIATIONS, KEPT

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
# what MXNet's registry lists for its own build: planners, subgraph backends, TVM, graph sampling for DGL, gradients
INTERNAL = ("_backward", "_sg_", "_tvm", "_contrib_dgl", "_contrib_edge_id", "_NDArray", "_Native", "_copyto", "_set")


def schema():
    """The names of 1.9.1's operators."""
    found = operator_schema()
    return sorted(found["ops"])


def internal(name):
    """Whether an operator serves MXNet's own build only."""
    return name.startswith(INTERNAL) or "_backward_" in name or name.startswith("_FusedOp")


def page():
    """The page's text."""
    cases = Counter(row["op"] for row in operator_cases().values())
    gradients = Counter(row["op"] for row in operator_cases().values() if row.get("gradients"))
    missing = [n for n in schema() if ops.find(n) is None and not internal(n)]
    own = {n: o for n, o in ops.names().items() if o.body.__module__.startswith("evergraph.ops.families")}
    held = sum(cases.values()) - len(DEVIATIONS)
    lines = ["# Operators", ""]
    total, graded = sum(cases.values()), sum(gradients.values())
    text = (
        f"{len({o.name for o in own.values()})} operators under {len(own)} names."
        " MXNet 1.9.1 recorded"
        f" {total} cases of {len(cases)} of them, {graded} with gradients; {held} are"
        " held as tests, in outputs, gradients, auxiliary states and in-place effects; the others are listed below with"
        " their reasons. This page is made by `python -m tests.ops.table`."
    )
    lines += [*textwrap.wrap(text, 120), "", "## Deviations", "", "| case | why |", "|---|---|"]
    lines += [f"| `{case}` | {why} |" for case, why in DEVIATIONS.items()]
    lines += ["", "Beyond the recorded cases, operators were run beside MXNet 1.9.1 on about 20,000 random ones: every"]
    lines += ["parameter, types, ranks, sizes of 0 and 1. What differs and is kept:", ""]
    lines += ["| where | here | in MXNet 1.9.1 |", "|---|---|---|"]
    lines += [f"| {where} | {here} | {there} |" for where, here, there in KEPT]
    lines += ["", "Where earlier releases gave other values for the same graph, those of 1.9.1 are given:", ""]
    lines += ["| operator | until then |", "|---|---|"]
    lines += [f"| {name} | {change} |" for name, change in CHANGED]
    lines += ["", "## Absent", ""]
    lines += textwrap.wrap(", ".join(f"`{n}`" for n in missing) or "None.", 120, break_on_hyphens=False)
    lines += ["", "## Recorded cases", ""]
    lines += ["| operator | also called | cases | with gradients |", "|---|---|---:|---:|"]
    for name in sorted(cases):
        found = ops.get(name)
        others = ", ".join(f"`{a}`" for a in sorted({found.name, *found.aliases} - {name}))
        lines.append(f"| `{name}` | {others} | {cases[name]} | {gradients[name]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
