"""Each message says what to do."""

import copy

import pytest

from evergraph.errors import DamagedError, EvergraphError, IntegrityError, StoreError, UnsafeError


@pytest.mark.parametrize("kind", [DamagedError, IntegrityError, StoreError, UnsafeError], ids=lambda k: k.__name__)
def test_errors_about_files_always_say_what_to_do(kind):
    error = kind("it is broken")
    assert error.remedy in str(error).splitlines()[-1]
    assert error.report()["fix"] == error.remedy
    assert str(kind("it is broken", fix="mend it")).endswith("what to do: mend it")
    assert str(kind("it is broken", fix="")) == "it is broken"
    assert "fix" not in kind("it is broken", fix="").report()
    assert str(copy.copy(error)) == str(error), "as between processes"


def test_an_error_of_no_special_kind_says_only_what_it_was_given():
    assert str(EvergraphError("no")) == "no"
