"""Snapshots with electronic centres as text: numbers for a terminal, and the polarisation as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..centres.analysis import CentreAnalysis
from ..centres.snapshot import CentreSnapshot, polarisation
from .wording import one_line, quantity_text, quantity_with_unit


def describe_centres(analysis: CentreAnalysis, name: str) -> str:
    """One line a number: quantity, species, value ± standard error, and how many it is the mean of."""
    quantities = list(dict.fromkeys(result.quantity for result in analysis.outcome.results))
    rows = [
        [quantity_text(quantity), result.of, quantity_with_unit(result), result.method]
        for quantity in quantities
        for result in analysis.outcome.results
        if result.quantity == quantity
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = [one_line(name), ""]
    lines += ["  ".join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in rows]
    for (cation, anion), joint in analysis.joint.items():
        r, angle = joint.peak()
        lines.append(f"{cation} about the centres of {anion}: most often at {r:.2f} Å and {angle:.0f}°")
    lines += ["", *(f"note: {one_line(note)}" for note in analysis.outcome.notes)] if analysis.outcome.notes else []
    return "\n".join(lines)


def polarisation_table(snapshots: Sequence[CentreSnapshot], valence: Mapping[str, float], weight: float) -> str:
    """Ionic, electronic and total dipole of each snapshot, e Å, modulo e times lattice vectors."""
    head = "# snapshot" + "".join(f" {part}_{axis}" for part in ("ionic", "electronic", "total") for axis in "xyz")
    lines = ["# dipole of the cell (e A), modulo e times lattice vectors", head]
    for place, snapshot in enumerate(snapshots):
        numbers = [value for part in polarisation(snapshot, valence, weight) for value in part]
        index = snapshot.info.get("index", place)
        lines.append(" ".join([str(index), *(f"{value:.5f}" for value in numbers)]))
    return "\n".join(lines) + "\n"
