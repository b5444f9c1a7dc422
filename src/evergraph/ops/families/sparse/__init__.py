"""Computations on row_sparse and csr values, beside the operators' dense ones."""
