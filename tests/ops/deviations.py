"""Recorded cases that are not followed, each with its reason. The documentation's table is made from this."""

_UNSIZED = (
    "MXNet's executor lays out the output before its size is known, and recorded none of its values. The values of an "
    "immediate call are given, as tests/ops/test_numpy_sized_by_values.py holds them."
)

DEVIATIONS: dict[str, str] = {
    "_npi_bincount__0": _UNSIZED,
    "_npi_bincount__1": _UNSIZED,
    "_npi_delete__0": _UNSIZED,
    "_npi_unique__0": _UNSIZED,
    "_npi_unique__1": _UNSIZED,
    "_npx_nonzero__0": _UNSIZED,
}
