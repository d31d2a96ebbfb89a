"""The transport coefficient of a time series as text for a terminal."""

from __future__ import annotations

from ..estimate.result import Outcome, Result
from .wording import STATE, one_line, quantity_text, quantity_with_unit, value_text
from .wording import essentials as general_essentials


def describe_series(outcome: Outcome, name: str) -> str:
    """As ``lammps-topo show`` prints: the state, the coefficient ± its standard error, method, what to heed."""
    state = [result for result in outcome.results if result.quantity in STATE]
    found = [result for result in outcome.results if result.quantity not in STATE]
    groups = [("state", [_row(quantity_text(result.quantity), result) for result in state])]
    groups += [(quantity_text(result.quantity), [_row(result.of, result)]) for result in found]
    rows = [row for _, group in groups for row in group]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = [one_line(name)]
    for title, group in groups:
        lines += ["", title]
        lines += ["  " + "  ".join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in group]
    if outcome.notes:
        lines += ["", *(f"note: {one_line(note)}" for note in outcome.notes)]
    return "\n".join(lines)


def essentials(result: Result) -> str:
    """The few details that say how much a number is worth."""
    details = result.details
    parts = general_essentials(result) if result.quantity in STATE or "order" in details else []
    if "eliminated" in details:
        parts.append(f"{', '.join(map(value_text, details['eliminated']))} eliminated")
    if details.get("resolved") is False:
        parts.append("not resolved")
    return ", ".join(parts)


def _row(name: str, result: Result) -> list[str]:
    return [one_line(cell) for cell in (name, quantity_with_unit(result), result.method, essentials(result))]
