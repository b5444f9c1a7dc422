"""The face runs small NDArray programs as MXNet 1.9.1 ran them: values, shapes, types, contexts, classes of errors."""

import pytest

import evergraph.mxnet as mx
from tests.mxnet.programs import check, recorded


@pytest.mark.parametrize(("program", "want"), recorded("arrays"))
def test_computes_as_mxnet(program, want):
    check(program, want, mx)


@pytest.mark.parametrize(("program", "want"), recorded("indexing"))
def test_indexes_makes_and_saves_as_mxnet(program, want):
    check(program, want, mx)


@pytest.mark.parametrize(("program", "want"), recorded("operators"))
def test_runs_operators_as_mxnet(program, want):
    check(program, want, mx)


@pytest.mark.parametrize(("program", "want"), recorded("everyday"))
def test_runs_everyday_programs_as_mxnet(program, want):
    check(program, want, mx)


@pytest.mark.parametrize(("program", "want"), recorded("types"))
def test_takes_and_refuses_types_as_mxnet(program, want):
    check(program, want, mx)
