"""Transport coefficients of collective fluxes beside the total conductivity: results, curves and notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ..errors import EstimateError
from ..record import Record
from ..representation import STRESS_NAMES
from ..units import Units
from .conductivity_parts import (
    conductivity_tensor,
    dielectric_constant,
    species_conductivities,
)
from .flux_matrix import distinct_representations
from .heat_results import Eliminated, eliminated_fluxes, energy_names, gauge_results, heat_results, seebeck_result
from .result import Curve, Outcome, Result
from .spectral_part import require_state
from .state import State
from .viscosity_results import corrected_diffusion, viscosity_results


def collective_results(
    record: Record, state: State, units: Units, known: list[Result], *, cutoff: float | None = None
) -> Outcome:
    """Parts of the conductivity, heat and viscosity of ``record``; ``known`` are results so far, diffusion among them.

    ``cutoff`` is the highest frequency in use for heat and viscosity (1/time), where it is given. Representations with
    one and the same current count once, under the name of the first. What cannot be estimated becomes a note.
    """
    gathered, energies, stressed = _Gathered(), energy_names(record), set(STRESS_NAMES) <= set(record.flux_names)
    if not (record.representations or energies or stressed):
        return Outcome((), (), ())
    try:
        require_state(state)
        representations = distinct_representations(record)
    except EstimateError as error:
        return Outcome((), (), (f"parts of the conductivity, thermal conductivity and viscosity: {error}",))
    for name in representations:
        for what, action in _PARTS.items():
            gathered.attempt(f"{what} of '{name}'", partial(action, name, record, state, units))
    if energies:
        gathered.attempt("thermal conductivity", partial(_heat, gathered, energies, record, state, units, cutoff))
        for representation in representations:
            for name in energies:
                what = f"Seebeck coefficient of '{name}', '{representation}'"
                gathered.attempt(what, partial(_seebeck, name, representation, record, state, units))
    if stressed:
        gathered.attempt("viscosity", partial(viscosity_results, record, state, units, cutoff=cutoff))
        eta = next((result for result in gathered.results if result.quantity == "viscosity"), None)
        diffusion = [result for result in known if _is_plain_diffusion(result)]
        if eta is not None and len(diffusion) == len(record.species):
            what = "diffusion corrected for the size of the box"
            gathered.attempt(what, partial(_corrected, diffusion, eta, state, units))
    return Outcome(tuple(gathered.results), tuple(gathered.curves), tuple(gathered.notes))


_PARTS: dict[str, Callable[[str, Record, State, Units], Outcome]] = {
    "conductivity by species": species_conductivities,
    "conductivity tensor": conductivity_tensor,
    "static dielectric constant": dielectric_constant,
}


@dataclass
class _Gathered:
    results: list[Result] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, what: str, action: Callable[[], Outcome]) -> None:
        try:
            found = action()
        except EstimateError as error:
            self.notes.append(f"{what}: {error}")
            return
        self.results.extend(found.results)
        self.curves.extend(found.curves)
        self.notes.extend(found.notes)


def _is_plain_diffusion(result: Result) -> bool:
    return (result.quantity, result.method, result.details.get("frame")) == ("diffusion", "msd", "barycentric")


def _heat(
    gathered: _Gathered, energies: list[str], record: Record, state: State, units: Units, cutoff: float | None
) -> Outcome:
    eliminated: Eliminated = eliminated_fluxes(record)
    for name in energies:
        what = f"thermal conductivity of '{name}'"
        gathered.attempt(what, partial(heat_results, name, record, state, units, eliminated, cutoff=cutoff))
    return gauge_results(record, state, units, eliminated)


def _seebeck(name: str, representation: str, record: Record, state: State, units: Units) -> Outcome:
    return Outcome((seebeck_result(name, representation, record, state, units),), (), ())


def _corrected(diffusion: list[Result], eta: Result, state: State, units: Units) -> Outcome:
    return Outcome(tuple(corrected_diffusion(diffusion, eta, state, units)), (), ())
