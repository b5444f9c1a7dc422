"""Arithmetic: element-wise, broadcast and scalar operators, reductions, linear algebra."""
