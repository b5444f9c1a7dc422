"""The page of operators says what the registry and the recorded cases say."""

from tests.ops import table


def test_the_page_is_current():
    assert table.PAGE.read_text() == table.page(), "run: python -m tests.ops.table"
