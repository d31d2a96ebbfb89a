"""What a conductivity is made of: species and Cartesian components; and the static dielectric response.

With J = sum_A J_A over species, sigma_AB = S_AB(0)/(2 V kB T); the sum of all of them is the conductivity, exactly,
and sum_B sigma_AB/sigma is the transference number of A in the frame of the currents (in the barycentric frame of a
binary salt it is a ratio of masses). Where the dipole M of a representation stays
bounded, it does not conduct, and the static dielectric constant is 1 + <dM_x²>/(eps0 V kB T); elsewhere there is none.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import constants as si
from scipy.special import chdtrc

from ..errors import EstimateError
from ..record import Record, SeriesRecord
from ..units import Units
from .current_spectrum import (
    current_series,
    current_weights,
    representation_spectrum,
    representation_weights,
    series_spectrum,
)
from .flux_matrix import flux_matrix
from .onsager import Onsager, onsager
from .result import Outcome, Result
from .spectral_part import require_state
from .state import State
from .zero_frequency import RESOLVED, zero_frequency

Array = NDArray[np.float64]

_TENSOR_DOF = 10
"""Degrees of freedom of the spectra of Cartesian components."""
_ALARM = 1e-3
"""Chance, in an isotropic system, of being called anisotropic."""
_ROUNDING = 1e-7
"""Error of a transference number that is none: the square root of what rounding leaves of its variance."""
_WINDOWS = 8
_BOUNDED = 1.5
"""Ratio of the dipole's variance in the run and in an eighth of it: 8 for a random walk, 1 for what stays."""


def species_conductivities(name: str, record: Record, state: State, units: Units) -> Outcome:
    """sigma_AB, its sums by species, and transference numbers of the representation ``name``.

    Raises EstimateError where T or V is not known, or with too little data.
    """
    require_state(state)
    rows = representation_weights(record, name)
    number = len(rows)
    joint = flux_matrix(record, np.concatenate((rows.sum(axis=0, keepdims=True), rows)), ordered=1)
    pairs = [(a, b) for a in range(number) for b in range(a, number)]
    forms = np.zeros((len(pairs) + number + 1, number + 1, number + 1))
    for index, (a, b) in enumerate(pairs):
        forms[index, 1 + a, 1 + b] = 1.0
    for a in range(number):
        forms[len(pairs) + a, 1 + a, 1:] = 1.0
    forms[-1, 1:, 1:] = 1.0
    values, covariance = joint.combination(forms)
    errors = np.sqrt(np.diag(covariance))
    half, common = 0.5 * state.conductivity_scale, {"resolved": joint.resolved, "frame": record.frame}
    results = []
    words = [f"{record.species[a]}-{record.species[b]}" for a, b in pairs] + [f"{one}, all" for one in record.species]
    for word, value, error in zip(words, half * values[:-1], half * errors[:-1], strict=True):
        of = f"{name}, {word}"
        results.append(Result("partial_conductivity", of, "onsager", value, error, units.label("S/m"), common))
    for a, species in enumerate(record.species if values[-1] > 0 else ()):
        place = len(pairs) + a
        ratio = values[place] / values[-1]
        slope = np.zeros(len(values))
        slope[place] = 1 / values[-1]
        slope[-1] -= ratio / values[-1]
        error = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
        fixed = error < _ROUNDING * max(abs(ratio), 1.0)
        details = {"fixed": "by the frame", **common} if fixed else common
        results.append(
            Result("transference_number", f"{name}, {species}", "onsager", ratio, 0.0 if fixed else error, "1", details)
        )
    return Outcome(tuple(results), (), ())


def conductivity_tensor(name: str, record: Record, state: State, units: Units) -> Outcome:
    """sigma_alpha,beta from the Cartesian components as fluxes, and whether it is isotropic.

    It is resolved where the conductivity is, as long as its errors are those of a third of the data, by sqrt(3) larger.
    Raises EstimateError where T or V is not known, where there is no series, or too little of it.
    """
    require_state(state)
    series = _series(record)
    stretches = current_series(series, current_weights(record, name))
    joint = onsager(series_spectrum([part[:, :, None] for part in stretches], record.interval, _TENSOR_DOF))
    if len(joint.pivots) < 3:
        raise EstimateError("the current has fewer than three independent components")
    half = 0.5 * state.conductivity_scale
    matrix, error = half * joint.matrix, half * joint.error()
    chance = isotropy(joint)
    verdict = "anisotropic" if chance < _ALARM else "isotropic within the errors"
    largest = max(pivot.log_error for pivot in joint.pivots)
    resolved = largest < RESOLVED * math.sqrt(3) and zero_frequency(representation_spectrum(record, name)).resolved
    details = {"resolved": resolved, "frame": record.frame}
    results = [
        Result("conductivity_tensor", f"{name}, {'xyz'[a]}{'xyz'[b]}", "onsager", float(matrix[a, b]),
               float(error[a, b]), units.label("S/m"), details)
        for a in range(3) for b in range(a, 3)
    ]  # fmt: skip
    results.append(Result("isotropy", name, "onsager", chance, 0.0, "1", {"verdict": verdict, **details}))
    notes = [f"the conductivity of '{name}' is anisotropic: its mean over x, y and z does not describe it"]
    return Outcome(tuple(results), (), tuple(notes if chance < _ALARM else []))


def isotropy(joint: Onsager) -> float:
    """Chance that a matrix of this many equivalent, independent fluxes comes out so far from a multiple of one.

    Then all ln D_j are equal and all beta_jk zero; both are nearly normal.
    """
    logarithm = np.log([pivot.value for pivot in joint.pivots])
    weight = np.array([pivot.log_error for pivot in joint.pivots]) ** -2.0
    away = logarithm - weight @ logarithm / weight.sum()
    total, freedom = float(weight @ away**2), len(logarithm) - 1
    for j, covariance in enumerate(joint.regression_covariance):
        row = joint.regression[j, :j]
        total += float(row @ np.linalg.solve(covariance, row)) if j else 0.0
        freedom += j
    return float(chdtrc(freedom, total))


def dielectric_constant(name: str, record: Record, state: State, units: Units) -> Outcome:
    """Static dielectric constant of the charges of ``name``, without what electrons add, where they do not conduct.

    From the dipole's variance, its error from parts of the run. Empty where it is not defined: the dipole is not
    bounded, or its largest excursions take as long as the run. Raises EstimateError without a flux series.
    """
    require_state(state)
    series = _series(record)
    weights = current_weights(record, name)[: series.moment.shape[1]]
    dipole = np.einsum("p,tpc->tc", weights, series.moment)
    stretches = [part for part in np.split(dipole, series.stretches[1:]) if len(part) >= 2 * _WINDOWS]
    if not stretches:
        raise EstimateError("the flux series is too short")
    parts, inside, whole = [], 0.0, 0.0
    for part in stretches:
        away = (part - part.mean(axis=0)) ** 2
        parts += [window.mean() for window in np.array_split(away, _WINDOWS)]
        inside += len(part) * float(np.mean([window.var(axis=0).mean() for window in np.array_split(part, _WINDOWS)]))
        whole += len(part) * float(away.mean())
    if not inside > 0:
        raise EstimateError("the dipole does not change")
    if whole > _BOUNDED * inside:
        return Outcome((), (), ())  # the charges conduct, as they do in most runs: nothing to say
    variance = whole / sum(map(len, stretches))
    permittivity = 1 / (4 * math.pi) if units.reduced else si.epsilon_0
    factor = units.charge**2 / (units.length * units.energy) / (permittivity * state.volume * state.thermal)
    error = factor * float(np.std(parts, ddof=1)) / math.sqrt(len(parts))
    details = {"frame": record.frame, "parts": len(parts)}
    return Outcome((Result("dielectric_constant", name, "dipole", 1 + factor * variance, error, "1", details),), (), ())


def _series(record: Record) -> SeriesRecord:
    if record.series is None:
        raise EstimateError("the flux series is not kept (key 'series')")
    return record.series
