"""What the charge representations of a record say together: do they conduct alike, which constants, which carriers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .bound_species import bound_species
from .carrier_parts import carrier_conductivities
from .gauge_results import compare_representations
from .integer_charges import charge_results, fluctuating
from .result import Outcome
from .state import State


def charge_outcome(record: Record, config: Config, state: State, units: Units) -> Outcome:
    """Comparisons of all representations, bound species, best constant charges, parts of the conductivity by carriers.

    What cannot be estimated becomes a note.
    """
    actions: dict[str, Callable[[], Outcome]] = {
        "comparison of representations": partial(compare_representations, record, config, state, units),
    }
    for name in fluctuating(record):
        actions[f"constant charges for '{name}'"] = partial(charge_results, name, record, config, units)
    for name in record.representations:
        what = f"conductivity of carriers in '{name}'"
        actions[what] = partial(carrier_conductivities, name, record, config, state, units)
    found, notes = [bound_species(record, config)] if record.representations else [], []
    for what, action in actions.items():
        try:
            found.append(action())
        except EstimateError as error:
            notes.append(f"{what}: {error}")
    return Outcome(
        tuple(result for one in found for result in one.results),
        tuple(curve for one in found for curve in one.curves),
        (*notes, *(note for one in found for note in one.notes)),
    )


def verdict_lines(outcome: Outcome) -> list[str]:
    """For the log: a line for each pair of representations."""
    differences = {one.of: one for one in outcome.results if one.quantity == "conductivity_difference"}
    lines = []
    for result in outcome.results:
        if result.quantity == "gauge":
            difference = differences[result.of]
            lines.append(
                f"charges {result.of}: {result.details['verdict']}, conductivities differ by {difference.value:.4g} ± "
                f"{difference.error:.2g} {difference.unit}"
            )
    return lines
