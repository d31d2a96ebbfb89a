"""Thermal conductivity from energy fluxes, its gauge invariance, and the Seebeck coefficient.

With several species the coefficient of heat conduction without diffusion belongs to the energy flux with the particle
fluxes eliminated, at zero frequency (physics.md §3): kappa = 1/(S^-1)_EE/(2 V kB T²). That is free of the zero of
energy of each species, which shifts the energy flux by a combination of particle fluxes; the coefficient of the energy
flux alone is not. The open-circuit field in a temperature gradient is S grad T, S = S_JE(0)/(T S_JJ(0)), of the charge
current J: the regression of E on J at zero frequency. It does hold the zeros of energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .current_spectrum import current_series, current_weights, flux_covariance, flux_spectrum
from .flux_matrix import flux_matrix, independent
from .result import Curve, Outcome, Result
from .series_check import doubts_of_stretches
from .spectral_part import doubts, require_state, spectral_curves, spectral_result, thermal_conductivity
from .state import State
from .zero_frequency import zero_frequency

Array = NDArray[np.float64]

_EXACT = 1e-8
"""Share of another energy flux that is rounding."""


@dataclass(frozen=True)
class Eliminated:
    """Particle fluxes that are eliminated from an energy flux: species, and rows (R, F) of basis fluxes."""

    species: tuple[str, ...]
    weights: Array


def eliminated_fluxes(record: Record) -> Eliminated:
    """The independent particle fluxes of a mixture; none for one species.

    Those that do not move, as the host in its own frame, or that follow from the others, as in the barycentric frame,
    are left out. Raises EstimateError where there is no spectrum.
    """
    weights = np.zeros((len(record.species), len(record.flux_names)))
    for index, number in enumerate(record.population):
        weights[index, index] = 1 / max(number, 1)
    if len(record.species) == 1:
        return Eliminated((), weights[:0])
    kept = sorted(independent(flux_covariance(record, weights))[1])
    return Eliminated(tuple(record.species[index] for index in kept), weights[kept])


def energy_names(record: Record) -> list[str]:
    """Names of the energy fluxes."""
    return [name.partition("/")[2] for name in record.flux_names if name.startswith("energy/")]


def energy_weights(record: Record, name: str) -> Array:
    """Row (F,) of the energy flux ``name``."""
    return np.array([float(flux == f"energy/{name}") for flux in record.flux_names])


def heat_weights(record: Record, name: str, eliminated: Eliminated) -> Array:
    """Rows (1 + R, F) of the energy flux ``name`` and of the particle fluxes that are eliminated from it."""
    return np.concatenate((energy_weights(record, name)[None], eliminated.weights))


def heat_results(
    name: str, record: Record, state: State, units: Units, eliminated: Eliminated, *, cutoff: float | None = None
) -> Outcome:
    """Thermal conductivity from the energy flux ``name``, for mixtures also without elimination.

    ``cutoff`` as in ``zero_frequency``.
    Raises EstimateError where T or V is not known, or with too little data.
    """
    kind = thermal_conductivity(state, units)
    weights = heat_weights(record, name, eliminated)
    spectrum = flux_spectrum(record, weights)
    found = zero_frequency(spectrum, cutoff=cutoff)
    words = {"eliminated": ", ".join(eliminated.species)} if eliminated.species else {}
    results = [spectral_result(kind, name, "spectral", spectrum, found, units, **words)]
    curves: list[Curve] = spectral_curves("heat", name, kind, spectrum, found, units)
    if eliminated.species:
        spectrum = flux_spectrum(record, weights[:1])
        results.append(
            spectral_result(
                kind, name, "spectral-alone", spectrum, zero_frequency(spectrum, cutoff=cutoff), units,
                eliminated="none",
            )
        )  # fmt: skip
    notes = doubts(f"thermal conductivity of '{name}'", found)
    if record.series is not None:
        notes += doubts_of_stretches(current_series(record.series, weights[:1]), [f"energy/{name}"])
    return Outcome(tuple(results), tuple(curves), tuple(notes))


def gauge_results(record: Record, state: State, units: Units, eliminated: Eliminated) -> Outcome:
    """Differences of the thermal conductivities by different energy fluxes, with errors from their joint statistics.

    Where they differ by a combination of particle fluxes, it vanishes exactly. Raises EstimateError as
    :func:`heat_results`.
    """
    kind = thermal_conductivity(state, units)
    results = []
    form = np.array([[[-1.0, 0.0], [0.0, 1.0]]])
    for one, other in combinations(energy_names(record), 2):
        both = (energy_weights(record, one), energy_weights(record, other))
        joint = flux_matrix(record, np.concatenate((eliminated.weights, both))).without(len(eliminated.weights))
        value, covariance = (kind.factor * float(part.sum()) for part in joint.combination(form))
        details: dict[str, object] = {"resolved": joint.resolved}
        if len(joint.pivots) == 1 and abs(joint.expression[1, 0] - 1) < _EXACT:
            value, covariance, details = 0.0, 0.0, {"fluxes": "differ by particle fluxes only"}
        results.append(
            Result(
                "thermal_conductivity_difference", f"{other} − {one}", "onsager", value,
                (kind.factor * covariance) ** 0.5, kind.unit, details,
            )
        )  # fmt: skip
    return Outcome(tuple(results), (), ())


def seebeck_result(name: str, representation: str, record: Record, state: State, units: Units) -> Result:
    """Seebeck coefficient from the charge current of ``representation`` and the energy flux ``name``.

    Raises EstimateError where T is not known, with too little data, or where there is no current.
    """
    require_state(state)
    weights = np.stack((current_weights(record, representation), energy_weights(record, name)))
    joint = flux_matrix(record, weights)
    if not np.abs(joint.expression[0]).max() > 0:
        raise EstimateError("the current is zero throughout")
    if len(joint.pivots) < 2:
        raise EstimateError("the energy flux is proportional to the current")
    factor = units.seebeck / state.temperature
    return Result(
        "seebeck_coefficient", f"{representation}, {name}", "onsager", factor * float(joint.regression[1, 0]),
        factor * float(joint.regression_covariance[1][0, 0]) ** 0.5, units.label("V/K"),
        {
            "resolved": joint.resolved, "convention": "E = S grad T at zero current",
            "energies": "as streamed, partial enthalpies not subtracted", "frame": record.frame,
        },
    )  # fmt: skip
