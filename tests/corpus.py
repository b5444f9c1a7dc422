"""Symbol files of public repositories, where they lie; tests that need them are skipped elsewhere."""

import functools
import json
import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("EVERGRAPH_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))

needs_corpus = pytest.mark.skipif(
    not (CORPUS / "index.json").exists(), reason=f"no corpus in {CORPUS}: set EVERGRAPH_CORPUS"
)


@functools.cache
def entries():
    """The index's rows whose symbol file is there, by id."""
    if not (CORPUS / "index.json").exists():
        return {}
    rows = json.loads((CORPUS / "index.json").read_text())
    return {row["id"]: row for row in rows if (CORPUS / row["file"]).exists()}
