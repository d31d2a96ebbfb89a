"""The zero-frequency value of a spectral density, with an error bar that holds what it says, and a verdict.

The estimate is that of ``warped_cepstrum``; the upper frequencies it is averaged over follow from the data
(``SPANS``), so that there is no f* to choose. The verdict is beside the number: what could hide near f = 0 without
being seen is not in any error bar, so an estimate is called resolved only where the error is small and nothing at the
lowest frequencies speaks against a plateau.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from ..errors import EstimateError
from .spectrum import Spectrum, schur_dof, schur_spectrum, truncate
from .warped_cepstrum import bin_ordinates, warped_cepstrum

__all__ = ["ZeroFrequency", "half_power", "zero_frequency"]

Array = NDArray[np.float64]

FEWEST = 8
"""Ordinates above f = 0 that are needed."""
PREFERRED = 128
"""Ordinates in use at least, where the spectrum has them."""
SPANS = (1.4, 2.8)
"""Upper frequencies, as multiples of that below which half the power lies."""
RESOLVED = 0.08
"""Error of ln S(0) below which the plateau can be called resolved."""
LEAKAGE = 0.5
"""Of the error: what a segment's finite length may change."""
LOWEST = 3
"""Ordinates above zero that are compared with what the others predict for them."""
ALARM = 1e-4
"""Chance of a false alarm of each of the two tests at the lowest frequencies."""


@dataclass(frozen=True)
class ZeroFrequency:
    """Zero-frequency spectral density of flux 0, the others eliminated, and all that led to it."""

    value: float
    """S(0), flux² time: the exponential of the mean of ln S(0). A conductivity is S(0)/(2 V kB T)."""
    error: float
    """Standard error, ``value`` times ``log_error``."""
    log_error: float
    """Standard error of ln S(0)."""
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
    """Averaged ordinates, their bias removed, [B + 1]; the first, at f = 0, is NaN: it is not in use."""
    smooth: Array
    """Estimate of S, [B + 1], flux² time."""
    lower: Array
    """One standard error below it, [B + 1]."""
    upper: Array
    """One standard error above it, [B + 1]."""


def zero_frequency(spectrum: Spectrum, *, cutoff: float | None = None) -> ZeroFrequency:
    """Estimate of S(0) of flux 0 of ``spectrum``, all other fluxes eliminated.

    ``cutoff`` (1/time) replaces the upper frequencies that follow from the data. The ordinate at f = 0 is not used, so
    that a mean that was removed does not matter. Raises EstimateError for fewer than eight ordinates, more fluxes than
    degrees of freedom, fluxes that depend on each other, or a constant one.
    """
    if cutoff is not None and not cutoff > 0:
        raise EstimateError(f"the cut-off frequency must be positive, not {cutoff}")
    if spectrum.frequency.size <= FEWEST:
        raise EstimateError(
            f"the spectrum has {spectrum.frequency.size - 1} ordinates above f = 0; {FEWEST} are needed"
        )
    above = replace(spectrum, frequency=spectrum.frequency[1:], matrix=spectrum.matrix[1:])
    limits = [cutoff] if cutoff is not None else [span * half_power(above) for span in SPANS]
    spacing = float(spectrum.frequency[1])
    kept = [int(np.clip(limit / spacing * (1 + 1e-12), PREFERRED, len(above.frequency))) for limit in limits]
    if cutoff is not None:
        kept = [int(min(cutoff / spacing * (1 + 1e-12), len(above.frequency)))]
        if kept[0] < FEWEST:
            raise EstimateError(
                f"only {kept[0]} ordinates above f = 0 lie below the cut-off frequency {cutoff:g}; {FEWEST} are needed"
            )
    used = truncate(above, float(above.frequency[max(kept) - 1])) if max(kept) < len(above.frequency) else above
    dof = schur_dof(used)
    shape = np.where(used.halved, dof / 2, dof)
    density = schur_spectrum(used) * (used.dof / dof)
    power, weight, centre, edges = bin_ordinates(density, shape)
    prefixes = sorted({max(int(np.searchsorted(edges, number + 1, side="right")) - 1, 2) for number in kept})
    centre *= spacing
    average = warped_cepstrum(centre, power, weight, prefixes)
    log_error = math.sqrt(average.variance)
    curve = np.append(average.mean, average.curve)
    band = np.append(log_error, average.band)
    reasons = _doubts(log_error, average.knee / spacing) + _lowest(spectrum, density, curve, band, dof)
    return ZeroFrequency(
        value=math.exp(average.mean),
        error=math.exp(average.mean) * log_error,
        log_error=log_error,
        resolved=not reasons,
        reasons=tuple(reasons),
        knee=average.knee,
        cutoffs=tuple(float(edges[bins] - 1) * spacing for bins in prefixes),
        cutoff_origin="automatic" if cutoff is None else "given",
        frequencies=np.append(0.0, centre),
        binned=np.append(np.nan, power),
        smooth=np.exp(curve),
        lower=np.exp(curve - band),
        upper=np.exp(curve + band),
    )


def half_power(spectrum: Spectrum) -> float:
    """Frequency below which half of the power of flux 0, the others eliminated, lies, 1/time.

    A relaxation of time tau has it at 1/(2 pi tau), white noise in the middle of the band. It needs no smoothing, being
    a sum over many ordinates.
    """
    power = np.cumsum(schur_spectrum(spectrum))
    return float(spectrum.frequency[np.searchsorted(power, 0.5 * power[-1])])


def _doubts(log_error: float, knee: float) -> list[str]:
    """Reasons not to trust a plateau whose ``knee`` is at so many ordinates."""
    reasons = []
    if not log_error <= RESOLVED:
        reasons.append(
            f"S(0) is known to {100 * log_error:.0f} % only, from the {knee:.0f} ordinates below the knee of the "
            "spectral density: something slower could hide below; a longer run is needed"
        )
    leakage = 1 / (2 * math.pi * knee)  # (1/T) int |t| C(t) dt / S(0) of a relaxation with that knee
    if leakage > LEAKAGE * log_error:
        reasons.append(
            f"the segments are too short for the error bar: their length changes S(0) by some {100 * leakage:.1g} %"
        )
    return reasons


def _lowest(spectrum: Spectrum, density: Array, curve: Array, band: Array, dof: float) -> list[str]:
    """What the lowest ordinates say against the plateau: a mean that is not zero, a drift, something slower."""
    reasons = []
    # the prediction is taken high by two of its errors: its own uncertainty must not raise an alarm
    expected = np.exp(curve[: LOWEST + 1] + 2 * band[: LOWEST + 1])
    mean = spectrum.matrix[0, 0, 0].real
    if len(spectrum.matrix[0]) == 1 and gammaincc(dof / 2, dof / 2 * mean / expected[0]) < ALARM:
        reasons.append("the mean of the flux is not zero within its error: a net drift, or another frame is needed")
    excess = float((density[:LOWEST] / expected[1:]).sum())
    if gammaincc(LOWEST * dof, dof * excess) < ALARM:
        reasons.append(
            f"the {LOWEST} lowest ordinates lie above what the others predict: the flux drifts, or something as slow "
            "as the run is going on"
        )
    return reasons
