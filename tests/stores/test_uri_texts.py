"""Texts that are no paths are refused before a system call sees them."""

import pytest

import evergraph as eg
from evergraph.errors import UsageError
from evergraph.stores import locate


@pytest.mark.parametrize("given", ["", "\0", "a\0b.params", "s3://bucket/\0", None, 3, b"x"], ids=repr)
def test_rejects_what_is_no_path(given):
    for use in (locate, eg.open, eg.verify):
        with pytest.raises(UsageError, match="a URI or a path is needed"):
            use(given)
