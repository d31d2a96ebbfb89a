"""Topological charges of a loop as results and curves."""

from __future__ import annotations

import numpy as np

from ..topology.loop import Loop, TopologicalCharge
from ..units import Units
from .result import Curve, Outcome, Result, thinned

#: Atoms whose windings are listed.
_MOST_LISTED = 60


def loop_outcome(loop: Loop, units: Units) -> Outcome:
    """Q along each cell vector for each representation, winding numbers that are not zero, Δμ along the path."""
    results = [result for charge in loop.charges for result in _charges(charge, units)]
    results += _windings(loop)
    notes = [f"{charge.representation}: {charge.reason}" for charge in loop.charges]
    return Outcome(tuple(results), tuple(curve for one in loop.charges for curve in _curves(one, units)), tuple(notes))


def loop_lines(outcome: Outcome) -> list[str]:
    """For the log: a line for each representation, once the path is closed."""
    if not any(result.quantity == "topological_charge" for result in outcome.results):
        return []
    return [f"closed path, {note}" for note in outcome.notes]


def _charges(found: TopologicalCharge, units: Units) -> list[Result]:
    results = []
    for axis, name in enumerate("abc"):
        details: dict[str, object] = {"along": name, "distance_from_integer": float(found.distance[axis])}
        if found.prediction is not None and found.excess is not None:
            details |= {"predicted": float(found.prediction[axis]), "pumped": float(found.excess[axis])}
        details |= {"verdict": found.verdict, "reason": found.reason}
        value, error = float(found.charge[axis]), float(found.error[axis])
        of = f"{found.representation}, along {name}"
        results.append(Result("topological_charge", of, "loop", value, error, units.charge_label, details))
    return results


def _windings(loop: Loop) -> list[Result]:
    path, closure = loop.path, loop.closure
    turns = [
        (f"{path.species[i]} {path.tags[i]}", closure.windings[i]) for i in np.flatnonzero(closure.windings.any(1))
    ]
    turns += [(f"all {name}", whole) for name, whole in closure.centres.items() if whole.any()]
    return [
        Result("winding_number", f"{name}, along {axis}", "loop", float(number), 0.0, "1")
        for name, numbers in turns[:_MOST_LISTED]
        for axis, number in zip("abc", numbers, strict=True)
        if number
    ]


def _curves(found: TopologicalCharge, units: Units) -> list[Curve]:
    shown = thinned(len(found.dipole))
    return [
        Curve(
            name=f"loop/{found.representation}/{axis}",
            figure="loop",
            label=f"{found.representation}, along {axis}",
            x=shown.astype(np.float64),
            y=found.dipole[shown, place],
            x_label="point of the path",
            y_label=f"Δμ / cell vector ({units.charge_label})",
        )
        for place, axis in enumerate("abc")
    ]
