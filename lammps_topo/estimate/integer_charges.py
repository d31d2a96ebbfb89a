"""The constant charges that describe a fluctuating current best, and whether they are integers.

A current J whose charges fluctuate is, at zero frequency, a combination of the number fluxes of the species,

    J = sum_S q_S J_S + d,    J_S = sum_(i in S) v_i

whose rest d diffuses least: q is the regression of J on J_S at f = 0 (``gauge.regress``). Where transport is strongly
adiabatic the q_S are the oxidation numbers, and d does not diffuse at all [PGB, B]. The number fluxes are not
independent: sum_S m_S J_S = 0 in the barycentric frame, and the host does not move in its own. The regression then
knows q but for a multiple of the vector v with sum_S v_S J_S = 0 (the masses, the species of the host); neutrality,
sum_S N_S q_S = Q, tells the rest, for N is never orthogonal to v. Where they are independent, it is one more datum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .current_spectrum import current_is_zero, current_weights, flux_covariance, flux_spectrum
from .flux_matrix import independent
from .gauge import Limit, limit, regress, sine_amplitudes
from .onsager import onsager
from .result import Outcome, Result

__all__ = ["Regression", "charge_results", "fluctuating", "neutral_charges", "regression"]

Array = NDArray[np.float64]

DECIDED = 0.2
"""Largest error with which a charge can be told from the next integer."""
NEAR = 2.0
"""Standard errors that an integer may be off."""
EXACT = 1e-6


@dataclass(frozen=True)
class Regression:
    """Of a current on number fluxes at f = 0, and what it leaves; the R that are independent."""

    slope: Array
    """[R]."""
    covariance: Array
    """[R, R]."""
    rest: Limit
    """S(0) of the current that it leaves."""
    ions: tuple[Limit, ...]
    """S(0) of the number fluxes."""


def regression(target: Sequence[Array], numbers: Sequence[Array], interval: float) -> Regression:
    """From displacements in stretches of the run: ``target`` (n_i, C) and ``numbers`` (n_i, R, C).

    Raises EstimateError for a run too short.
    """
    both = [np.concatenate((one[:, None], others), axis=1) for one, others in zip(target, numbers, strict=True)]
    sines = sine_amplitudes(both, interval)
    ions = tuple(limit(sines, place) for place in range(1, sines.amplitude.shape[1]))
    slope, covariance, rest = regress(sines, sines.amplitude[:, 0], sines.amplitude[:, 1:])
    return Regression(slope, covariance, limit(sines, rest), ions)


def neutral_charges(
    slope: Array, covariance: Array, expression: Array, population: NDArray[np.int64], net: float
) -> tuple[Array, Array]:
    """Charge of an atom of each species [S] and their covariance [S, S], from a regression on R number fluxes.

    ``expression`` [S, R] says how all number fluxes follow from these, ``net`` what charge all atoms together have.
    Raises EstimateError where several combinations of species do not move.
    """
    species, kept = expression.shape
    if species - kept > 1:
        raise EstimateError(
            f"only {kept} of the {species} species move independently; {species - 1} are needed to tell charges"
        )
    # q = base + turn p: all q of that net charge; expression^T q = slope
    base = population * (net / float(population @ population))
    turn = np.linalg.svd(population[None].astype(float))[2][1:].T  # [S, S - 1]
    design = expression.T @ turn  # [R, S - 1]
    if kept == species:  # one datum more than unknowns
        weight = np.linalg.pinv(covariance) if covariance.any() else np.eye(species)
        known = np.linalg.inv(design.T @ weight @ design) @ design.T @ weight
    else:
        known = np.linalg.inv(design)
    step = turn @ known
    return base + step @ (slope - expression.T @ base), step @ covariance @ step.T


def fluctuating(record: Record) -> list[str]:
    """Representations whose charges are not constants by species."""
    number = len(record.species)
    own = [name for name in record.representations if current_weights(record, name)[number:].any()]
    return [name for name in own if not current_is_zero(record, name)]


def charge_results(name: str, record: Record, config: Config, units: Units) -> Outcome:
    """Best constants of the representation ``name``, and whether they are oxidation numbers.

    Raises EstimateError without a flux series, and as :func:`neutral_charges`.
    """
    series = record.series
    if series is None:
        raise EstimateError("the flux series is not kept (key 'series')")
    number, particles = len(record.species), series.moment.shape[1]
    if number < 2:
        raise EstimateError("a single species has the charge of the system, whatever its atoms do")
    basis = np.eye(len(record.flux_names))[:number]
    expression, kept = independent(flux_covariance(record, basis))
    if not kept:
        raise EstimateError("no species moves")
    row = current_weights(record, name)
    dipole = np.tensordot(series.moment, row[:particles], axes=(1, 0))
    found = regression(
        np.split(dipole, series.stretches[1:]), np.split(series.moment[:, kept], series.stretches[1:]), record.interval
    )
    certain = 1 - config.gauge.level
    if any(one.chance >= certain for one in found.ions):
        raise EstimateError(
            "the species are not seen to diffuse against one another: no charge of theirs is transported"
        )
    diffuses = found.rest.chance < certain
    slope, covariance = found.slope, found.covariance
    if diffuses:  # then all ordinates below the knee tell something
        joint = onsager(flux_spectrum(record, np.concatenate((basis[kept], row[None]))))
        slope, covariance = joint.regression[-1, :-1], joint.regression_covariance[-1]
    net = float(record.charges_of(name) @ record.population)
    charges, spread = neutral_charges(slope, covariance, expression, record.population, net)
    results, notes = [], []
    rest = "diffuses" if diffuses else "is not seen to diffuse" if found.rest.smooth.any() else "is nothing"
    scale, method = units.elementary, "onsager" if diffuses else "sines"
    for place, species in enumerate(record.species):
        value, error = scale * float(charges[place]), scale * max(float(spread[place, place]), 0.0) ** 0.5
        details: dict[str, object] = {} if units.reduced else {"verdict": _verdict(value, error, diffuses)}
        if species in record.oxidation:
            given = scale * record.oxidation[species]
            agrees = abs(value - given) <= max(NEAR * error, EXACT)
            details |= {"oxidation": given, "oxidation_agrees": agrees}
        details |= {"rest": rest, "frame": record.frame}
        of = f"{name}, {species}"
        results.append(Result("constant_charge", of, method, value, error, units.charge_label, details))
    if diffuses:
        notes.append(
            f"no constant charges by species describe the current of '{name}': what the best ones leave diffuses "
            "(charge moves without ions, or is shared between atoms)"
        )
    return Outcome(tuple(results), (), tuple(notes))


def _verdict(value: float, error: float, diffuses: bool) -> str:
    """``+1``, where the data support that integer."""
    nearest = round(value)
    if error >= DECIDED:
        return "cannot tell"
    if abs(value - nearest) > max(NEAR * error, EXACT):
        return "no integer"
    integer = f"{nearest:+d}".replace("-", "−") if nearest else "0"
    return f"near {integer}, but the rest diffuses" if diffuses else integer
