"""Public graphs give the outputs that MXNet 1.9.1 recorded, and the page of them says so."""

import re

import numpy as np
import pytest

from tests.corpus import entries, needs_corpus
from tests.corpus_runs import SHAPES, reason, run, worst
from tests.corpus_table import PAGE, unknown

RECORDED = sorted(i for i, row in entries().items() if row["run"] == "ok" and row["golden"])
FORGOTTEN = sorted(i for i, row in entries().items() if row["run"] != "ok" and any(p in i for p in SHAPES))


@needs_corpus
@pytest.mark.wide
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ident", RECORDED)
def test_public_graphs_give_the_recorded_outputs(ident):
    row = entries()[ident]
    outputs, recorded = run(row)
    assert [o.shape for o in outputs] == [tuple(s) for s in row["output_shapes"]]
    if row["random_op"] or not row["output_finite"]:
        return
    # one that differs for a known reason must still differ: a stale reason is no reason
    assert (worst(outputs, recorded) < 1e-3) == (reason(ident) is None)


@needs_corpus
@pytest.mark.wide
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ident", FORGOTTEN)
def test_graphs_of_operators_that_mxnet_dropped_run(ident):
    outputs, _ = run(entries()[ident])
    assert all(np.isfinite(o).all() and o.any() for o in outputs)


@needs_corpus
def test_the_page_names_every_graph_and_what_holds_it_back():
    lines = [re.split(r" \| ", line.strip("| \n")) for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    told = {(cells[0], cells[1], int(cells[3])): cells[-1] for cells in lines[1:]}
    for row in entries().values():
        words = told[row["repo"], row["path"], row["nodes"]]
        for name in unknown(row):
            assert name in words
