"""Operators of the NumPy interface: true scalars, boolean comparisons, mixed types."""
