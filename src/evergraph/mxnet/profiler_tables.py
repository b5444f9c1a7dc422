"""What the profiler measured, as tables and as JSON."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Row", "as_json", "as_table", "statistics"]


_FIELDS = {"count": "calls"}  # a tuple has a method of the other name


class Row(NamedTuple):
    """Numbers of one name: how often, and the total, smallest, largest and average value."""

    name: str
    calls: int
    total: float
    min: float
    max: float
    avg: float


def statistics(
    groups: Mapping[str, Mapping[str, list[float]]], sort_by: str, ascending: bool = False
) -> dict[str, list[Row]]:
    """A row for each name of each group, in the wanted order.

    >>> statistics({"work": {"a": [1.0, 3.0]}}, "total")
    {'work': [Row(name='a', calls=2, total=4.0, min=1.0, max=3.0, avg=2.0)]}
    """
    found = {}
    for group in sorted(groups):
        rows = [
            Row(name, len(values), sum(values), min(values), max(values), sum(values) / len(values))
            for name, values in groups[group].items()
        ]
        found[group] = sorted(rows, key=lambda r: getattr(r, _FIELDS.get(sort_by, sort_by)), reverse=not ascending)
    return found


def as_table(times: Mapping[str, list[Row]], storage: Mapping[str, list[Row]]) -> str:
    """Tables for people: times in ms, memory in kB."""
    lines = ["", "Profile Statistics:", "\tNote the difference in units for different entries."]
    for groups, unit in ((storage, "Use  (kB)"), (times, "Time (ms)")):
        for group, rows in groups.items():
            names = ("Name", "Total Count", *(f"{w}{unit}" for w in ("", "Min ", "Max ", "Avg ")))
            lines += [group, "=" * 17, _line(names), _line(["-" * len(n) for n in names])]
            lines += [_line([r.name, str(r.calls), *(f"{v:.4f}" for v in r[2:])]) for r in rows]
            lines.append("")
    return "\n".join([*lines, ""])


def _line(parts: Any) -> str:
    name, *rest = parts
    return f"{name:<28}" + "".join(f"{p:>17}" for p in rest)


def as_json(times: Mapping[str, list[Row]], storage: Mapping[str, list[Row]]) -> str:
    """The same as JSON: {"Time": {group: {name: {"Count", "Total", "Min", "Max", "Avg"}}}, "Memory", "Unit"}."""

    def nested(groups: Mapping[str, list[Row]], names: tuple[str, ...]) -> dict[str, Any]:
        return {
            group: {r.name: {n: getattr(r, _FIELDS.get(n.lower(), n.lower())) for n in names} for r in rows}
            for group, rows in groups.items()
        }

    parts = {
        "Time": nested(times, ("Count", "Total", "Min", "Max", "Avg")),
        "Memory": nested(storage, ("Count", "Min", "Max", "Avg")),
        "Unit": {"Time": "ms", "Memory": "kB"},
    }
    return json.dumps(parts, indent=4)
