"""Results as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..estimate.result import Result
from ..store import Results
from .wording import (
    STATE,
    Fact,
    all_details,
    by_quantity,
    composition,
    essentials,
    one_line,
    parameters,
    provenance_facts,
    quantity_text,
    quantity_with_unit,
    run_facts,
    told_once,
    with_error,
)

__all__ = ["chosen", "provenance_text", "results_table", "with_error"]


def results_table(results: Results, only: Sequence[str] = ()) -> str:
    """All numbers, a group for each quantity: what it belongs to, value ± standard error, method, essential details.

    With ``only``, those alone whose quantity, name or method holds one of these words.
    """
    groups: list[tuple[str, list[list[str]]]] = []
    asked_for = chosen(results.outcome.results, only)
    if any(result.quantity in STATE for result in asked_for):
        groups.append(("state", []))
    for quantity, found in by_quantity(asked_for).items():
        if quantity in STATE:
            groups[0][1].extend(_row(quantity_text(quantity), result) for result in found)
        else:
            names = list(dict.fromkeys(result.of for result in found))
            found = sorted(found, key=lambda result: names.index(result.of))
            groups.append((quantity_text(quantity), [_row(result.of, result) for result in found]))
    widths = _widths(row for _, rows in groups for row in rows)
    lines = [one_line(f"{results.path.name}: {composition(results.record)}")]
    for title, rows in groups:
        lines += ["", one_line(title), *(_aligned(row, widths) for row in rows)]
    if not groups:
        lines += ["", f"no results for {' or '.join(only)}" if only else "no results"]
    if results.outcome.notes and not only:
        lines += ["", *(f"note: {one_line(note)}" for note in told_once(results.outcome.notes))]
    return "\n".join(lines)


def provenance_text(results: Results) -> str:
    """Where the file comes from, what was measured, every parameter with its origin, every detail of every number."""
    lines = []
    sections: list[tuple[str, list[Fact]]] = [
        ("provenance", provenance_facts(results)),
        ("measured", run_facts(results.record)),
        ("parameters", parameters(results)),
    ]
    for title, facts in sections:
        rows = [[fact.name, fact.value, f"[{fact.origin}]" if fact.origin else ""] for fact in facts]
        rows = [[one_line(cell) for cell in row] for row in rows]
        lines += ["", title, *(_aligned(row, _widths([row[:1] for row in rows])) for row in rows)]
    lines += ["", "details"]
    for result in results.outcome.results:
        if result.details:
            lines.append(one_line(f"{quantity_text(result.quantity)}, {result.of}, {result.method}"))
            lines += [f"  {one_line(detail)}" for detail in all_details(result)]
    return "\n".join(lines)


def chosen(results: Iterable[Result], words: Sequence[str]) -> list[Result]:
    """Those whose quantity, name or method holds one of ``words``; all without any."""

    def said(result: Result) -> str:
        return f"{result.quantity}\n{quantity_text(result.quantity)}\n{result.of}\n{result.method}".lower()

    return [result for result in results if not words or any(word.lower() in said(result) for word in words)]


def _row(name: str, result: Result) -> list[str]:
    cells = (name, quantity_with_unit(result), result.method, ", ".join(essentials(result)))
    return [one_line(cell) for cell in cells]


def _widths(rows: Iterable[Sequence[str]]) -> list[int]:
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    return widths


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(widths[column]) if column < len(widths) else cell for column, cell in enumerate(row)]
    return ("  " + "  ".join(padded)).rstrip()
