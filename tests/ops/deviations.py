"""Recorded cases that are not followed, each with its reason. The documentation's table is made from this."""

DEVIATIONS: dict[str, str] = {}
