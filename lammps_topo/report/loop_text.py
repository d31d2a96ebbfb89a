"""Topological charges of a loop as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..topology.additivity import Additivity
from ..topology.loop import Loop, TopologicalCharge
from ..topology.path import Array
from .wording import number, one_line, with_error

#: Particles whose windings are listed.
_MOST_LISTED = 12


def describe_loop(loop: Loop, name: str) -> str:
    """Windings; by representation Q, its distance from an integer, prediction and excess along a, b, c; the verdict."""
    path, closure = loop.path, loop.closure
    counts = ", ".join(f"{len(path.of(kind))} {kind}" for kind in path.kinds)
    lines = [
        one_line(f"{name}: {len(path.positions)} points, {counts}; the ends are {number(closure.gap, 2)} apart"),
        "",
        *_rows([["winding numbers", "a", "b", "c"], *_windings(loop)]),
    ]
    for charge in loop.charges:
        rows = [[f"charge '{one_line(charge.representation)}', e", "a", "b", "c"], *_charge_rows(charge)]
        lines += ["", *_rows(rows), one_line(f"verdict: {charge.verdict}: {charge.reason}")]
    return "\n".join(lines)


def describe_additivity(found: Sequence[Additivity]) -> str:
    """What several loops say together, a line for each representation."""
    lines = []
    for one in found:
        charges = ", ".join(f"{atom}: {value:+g}".replace("-", "−") for atom, value in one.charges.items())
        lines.append(
            one_line(f"all loops, '{one.representation}': {one.reason}" + (f" ({charges})" if charges else ""))
        )
    return "\n".join(lines)


def _windings(loop: Loop) -> list[list[str]]:
    path, closure = loop.path, loop.closure
    turning = np.flatnonzero(closure.windings.any(axis=1))
    rows = [[path.particle(int(i)), *_whole(closure.windings[i])] for i in turning[:_MOST_LISTED]]
    if len(turning) > _MOST_LISTED:
        rows.append([f"and {len(turning) - _MOST_LISTED} atoms more (--json)", "", "", ""])
    others = int(path.is_atom.sum()) - len(turning)
    if others:
        rows.append(
            [f"{'the other' if rows else 'all'} {others} atoms" if others > 1 else "the other atom", "0", "0", "0"]
        )
    return rows + [[f"centres {name}, together", *_whole(turns)] for name, turns in closure.centres.items()]


def _charge_rows(charge: TopologicalCharge) -> list[list[str]]:
    values = [
        with_error(value, error) if error else f"{value:.3f}"
        for value, error in zip(charge.charge, charge.error, strict=True)
    ]
    rows = [["Q", *(value.replace("-", "−") for value in values)]]
    rows.append(["distance from an integer", *(number(value, 2) for value in charge.distance)])
    if charge.prediction is not None and charge.excess is not None:
        rows.append(["Σ oxidation state × winding", *_whole(charge.prediction)])
        rows.append(["excess: pumped", *_whole(charge.excess)])
    else:
        rows.append(["Σ oxidation state × winding", "?", "?", "?"])
    return rows


def _whole(numbers: Array | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[str]:
    return [number(float(value) + 0.0) for value in numbers]


def _rows(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        (
            "  " * (place > 0)
            + row[0].ljust(widths[0] + 2 * (place == 0))
            + "".join("  " + cell.rjust(max(width, 6)) for cell, width in zip(row[1:], widths[1:], strict=True))
        ).rstrip()
        for place, row in enumerate(rows)
    ]
