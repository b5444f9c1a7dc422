"""The page of operators says what the registry and the recorded cases say."""

import subprocess
import sys

from tests.ops import table


def test_the_page_is_current():
    # in a process of its own: other tests register operators
    code = "import sys; from tests.ops import table; sys.stdout.buffer.write(table.page().encode())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=table.PAGE.parents[1], check=True)
    assert table.PAGE.read_text() == found.stdout.decode(), "run: python -m tests.ops.table"
