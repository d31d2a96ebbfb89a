"""The zero-frequency value of a spectral density, with an error bar that holds what it says, and a verdict.

The estimate is that of ``warped_cepstrum``; the upper frequencies it is averaged over follow from the data
(``SPANS``), so that there is no f* to choose. The error is the larger of two: that of the estimate, and that which
parts of the spectrum lead one to expect (``typical``). The verdict is beside the number: what could hide near f = 0
without being seen is not in any error bar, so an estimate is called resolved only where the error is small and nothing
speaks against a plateau.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc

from ..errors import EstimateError
from .spectrum import Spectrum, schur_dof, schur_spectrum
from .warped_cepstrum import Average, bin_ordinates, typical, warped_cepstrum

__all__ = ["ZeroFrequency", "zero_frequency"]

Array = NDArray[np.float64]

FEWEST = 8
"""Ordinates above f = 0 that are needed."""
PREFERRED = 128
"""Ordinates in use at least, where the spectrum has them."""
SPANS = (1.4, 2.8)
"""Upper frequencies, as multiples of that below which half of the power lies."""
RESOLVED = 0.08
"""Error of ln S(0) up to which the plateau can be called resolved: the expected one, or the estimate's own where there
are too few ordinates to expect one."""
TOLERANCE = 1.125
"""By which the error of the estimate itself may then be larger than ``RESOLVED``."""
LEAKAGE = 0.5
"""Of the error: what a segment's finite length may change."""
MOST_LEAKAGE = 0.3
"""Of S(0): what is corrected at most."""
MANY = 30
"""Degrees of freedom from which on the ordinate at f = 0 is used. With fewer its share is negligible, and a mean that
was removed from a single series does not matter."""
ALARM = 1e-4
"""Chance of a false alarm about the mean of the flux."""
LOWEST = (1, 2, 4, 8)
"""Numbers of the lowest bins whose mean is compared with the estimate."""
ODD = 1e-3
"""Chance that such a mean is so far off, from which on a plateau is doubted."""
CUSP = 0.15
"""Weight of models without a slowest time from which on a plateau is doubted; in advance it is a fiftieth."""


@dataclass(frozen=True)
class ZeroFrequency:
    """Zero-frequency spectral density of flux 0, the others eliminated, and all that led to it."""

    value: float
    """S(0), flux² time: the exponential of the mean of ln S(0). A conductivity is S(0)/(2 V kB T)."""
    error: float
    """Standard error, ``value`` times ``log_error``."""
    log_error: float
    """Standard error of ln S(0): of this estimate, or what is expected of such spectra where that is larger."""
    resolved: bool
    """Whether the plateau at zero frequency is resolved."""
    reasons: tuple[str, ...]
    """Why not: sentences."""
    knee: float
    """Frequency above which S changes, 1/time: geometric mean over models."""
    cutoffs: tuple[float, ...]
    """Upper frequencies that were averaged over, 1/time."""
    cutoff_origin: str
    """``"given"`` or ``"automatic"``."""
    frequencies: Array
    """0 and the centres of bins, [B + 1], 1/time."""
    binned: Array
    """Averaged ordinates, their bias removed, [B + 1]; the first, at f = 0, is NaN where it is not in use."""
    smooth: Array
    """Estimate of S, [B + 1], flux² time."""
    lower: Array
    """One standard error below it, [B + 1]."""
    upper: Array
    """One standard error above it, [B + 1]."""


def zero_frequency(spectrum: Spectrum, *, cutoff: float | None = None) -> ZeroFrequency:
    """Estimate of S(0) of flux 0 of ``spectrum``, all other fluxes eliminated.

    ``cutoff`` (1/time) replaces the upper frequencies that follow from the data. Raises EstimateError for fewer than
    eight ordinates, more fluxes than degrees of freedom, fluxes that depend on each other, or a constant one.
    """
    if cutoff is not None and not cutoff > 0:
        raise EstimateError(f"the cut-off frequency must be positive, not {cutoff}")
    ordinates = spectrum.frequency.size - 1  # above zero
    if ordinates < FEWEST:
        raise EstimateError(f"the spectrum has {ordinates} ordinates above f = 0; {FEWEST} are needed")
    spacing, dof = float(spectrum.frequency[1]), schur_dof(spectrum)
    above = replace(spectrum, frequency=spectrum.frequency[1:], matrix=spectrum.matrix[1:])
    density = schur_spectrum(above) * (spectrum.dof / dof)
    shape = np.where(above.halved, dof / 2, dof)
    kept = _upper(density, cutoff, spacing)
    usual = typical(density, shape, kept, spacing)
    average, bins = _fit(density, shape, kept, 1, spacing)
    doubts = _of_mean(spectrum, average)
    first = 0 if dof >= MANY and not doubts and spectrum.matrix[0, 0, 0].real > 0 else 1
    if first == 0:
        lowest = replace(spectrum, frequency=spectrum.frequency[:1], matrix=spectrum.matrix[:1])
        density = np.append(schur_spectrum(lowest) * (spectrum.dof / dof), density)
        average, bins = _fit(density, np.append(dof / 2, shape), kept, 0, spacing)
    # an estimate that is low by chance has an error that is small by chance
    own = math.sqrt(average.variance)
    log_error = float(np.fmax(own, usual.error))
    leakage = _leakage(average, bins, density[max(kept) + 1 - first :], spacing)
    if len(spectrum.matrix[0]) == 1:  # of eliminated fluxes it leaks in another way
        average = replace(average, mean=average.mean - math.log1p(np.clip(leakage, -MOST_LEAKAGE, MOST_LEAKAGE)))
    below = slice(1 - first, None)  # the curve without its point at f = 0, where it has one
    curve = np.append(average.mean, average.curve[below])
    band = np.append(log_error, average.band[below])
    doubts = [
        *_of_plateau(own, usual.error, average.knee / spacing, leakage, max(average.cusp, usual.cusp)),
        *_of_lowest(average, bins),
        *doubts,
    ]
    return ZeroFrequency(
        value=math.exp(average.mean),
        error=math.exp(average.mean) * log_error,
        log_error=log_error,
        resolved=not doubts,
        reasons=tuple(doubts),
        knee=average.knee,
        cutoffs=bins.cutoffs,
        cutoff_origin="automatic" if cutoff is None else "given",
        frequencies=np.append(0.0, bins.centre[below]),
        binned=np.append(bins.power[0] if first == 0 else np.nan, bins.power[below]),
        smooth=np.exp(curve),
        lower=np.exp(curve - band),
        upper=np.exp(curve + band),
    )


@dataclass(frozen=True)
class _Bins:
    centre: Array
    power: Array
    shape: Array
    cutoffs: tuple[float, ...]


def _fit(density: Array, shape: Array, kept: list[int], first: int, spacing: float) -> tuple[Average, _Bins]:
    """The average over models from the ordinates ``first``, ``first`` + 1, … up to those of ``kept``."""
    used = slice(0, max(kept) + 1 - first)
    power, weight, centre, edges = bin_ordinates(density[used], shape[used], first)
    prefixes = sorted({max(int(np.searchsorted(edges, number + 1, side="right")) - 1, 2) for number in kept})
    cutoffs = tuple(float(edges[bins] - 1) * spacing for bins in prefixes)
    average = warped_cepstrum(centre * spacing, power, weight, prefixes, spacing)
    return average, _Bins(centre * spacing, power, weight, cutoffs)


def _leakage(average: Average, bins: _Bins, beyond: Array, spacing: float) -> float:
    """What a segment of length T = 1/``spacing`` adds to S(0), as a share of it.

    The periodogram is S folded with T sinc²(pi f T), the mean of which, beyond a few ordinates, is 1/(2 (pi f)² T):
    S(0) becomes S(0) + 1/(pi² T) int (S(f) - S(0))/f² df, f > 0, which is S(0) - (1/T) int |t| C(t) dt. From the
    estimate, and the ordinates ``beyond``. A relaxation loses, a dip gains.
    """
    known = bins.centre > 0
    frequency = bins.centre[known]
    excess = (np.exp(average.curve[known] - average.mean) - 1) / frequency**2
    total = float(excess[0] * frequency[0] + np.diff(frequency) @ (excess[1:] + excess[:-1]) / 2)
    above = frequency[-1] + spacing * np.arange(1, beyond.size + 1)
    total += spacing * float(((beyond / math.exp(average.mean) - 1) / above**2).sum())
    return total * spacing / math.pi**2


def _half_power(density: Array) -> int:
    """Ordinate, counted from 1, below which half of the power of ``density`` [K] (from there on) lies.

    A relaxation of time tau has it at 1/(2 pi tau), white noise in the middle of the band. It needs no smoothing, being
    a sum over many ordinates.
    """
    power = np.cumsum(density)
    return int(np.searchsorted(power, 0.5 * power[-1])) + 1


def _upper(density: Array, cutoff: float | None, spacing: float) -> list[int]:
    """Numbers of ordinates above zero in use, for each upper frequency."""
    most = density.size
    if cutoff is None:
        half = _half_power(density)
        return [int(np.clip(span * half, min(PREFERRED, most), most)) for span in SPANS]
    number = int(min(cutoff / spacing * (1 + 1e-12), most))
    if number < FEWEST:
        raise EstimateError(
            f"only {number} ordinates above f = 0 lie below the cut-off frequency {cutoff:g}; {FEWEST} are needed"
        )
    return [number]


def _of_plateau(own: float, expected: float, knee: float, leakage: float, cusp: float) -> list[str]:
    """Reasons not to trust a plateau whose ``knee`` is at so many ordinates."""
    reasons = []
    log_error = float(np.fmax(own, expected))
    if not (own <= RESOLVED if math.isnan(expected) else expected <= RESOLVED and own <= TOLERANCE * RESOLVED):
        reasons.append(
            f"S(0) is known to {100 * log_error:.0f} % only, from the {knee:.0f} ordinates below the knee of the "
            "spectral density: something slower could hide below; a longer run is needed"
        )
    if abs(leakage) > LEAKAGE * log_error:
        reasons.append(
            "the segments are too short for the error bar: their length changes S(0) by some "
            f"{100 * abs(leakage):.1g} %"
        )
    if cusp > CUSP:
        reasons.append(
            "the spectral density may approach S(0) like a power of the frequency, without a plateau; a longer run is "
            "needed"
        )
    return reasons


def _of_lowest(average: Average, bins: _Bins) -> list[str]:
    """Whether the mean of the lowest ordinates is far from the estimate, which then is too smooth for them."""
    allowed = math.exp(math.sqrt(average.variance))  # of the estimate
    share = np.cumsum(bins.shape)
    sums = np.cumsum(bins.shape * bins.power / np.exp(average.curve))
    for number in LOWEST:
        shape, total = share[number - 1], sums[number - 1]
        if min(gammainc(shape, total * allowed), gammaincc(shape, total / allowed)) < ODD / 2:
            return ["the lowest ordinates do not fit a plateau: something slower hides there; a longer run is needed"]
    return []


def _of_mean(spectrum: Spectrum, average: Average) -> list[str]:
    """Whether the ordinate at f = 0 of a flux alone lies far above what all others say of it."""
    # two errors are allowed for: the uncertainty of S(0) itself must not raise an alarm
    expected = math.exp(average.mean + 2 * math.sqrt(average.variance))
    shape = spectrum.dof / 2
    if len(spectrum.matrix[0]) > 1 or gammaincc(shape, shape * spectrum.matrix[0, 0, 0].real / expected) > ALARM:
        return []
    return ["the mean of the flux is not zero within its error: a net drift, or another frame is needed"]
