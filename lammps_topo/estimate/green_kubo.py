"""Green-Kubo: the time correlation function of a flux and its running integral, with errors.

The errors come from contiguous batches of the series by the jackknife of ``estimate.jackknife``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from ..errors import EstimateError
from .einstein import FEWEST_GROUPS, NO_PLATEAU, OCTAVE, ROUNDING, first_plateau, octave_begins
from .jackknife import LeaveOneOut, error_band, group_width, leave_one_out, running_trapezoid

__all__ = ["RunningIntegral", "running_integral"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RunningIntegral:
    """Correlation function of a flux and its integral, one Cartesian component, averaged over components."""

    lag: Array
    """Lags 0 … max_lag, [L], time."""
    correlation: Array
    """<J(t) J(0)>, [L], flux²."""
    correlation_error: Array
    """Its standard error, [L]; NaN where the run is too short for one."""
    integral: Array
    """int_0^t <J J> dt' by the trapezoidal rule, [L], flux² time; 1/(V kB T) of it is a conductivity."""
    integral_error: Array
    """Its standard error, [L]; NaN where the run is too short for one."""
    cut: float
    """Time from which the integral is read: its mean over the octave from here to twice this time."""
    value: float
    """That mean, flux² time: half the zero-frequency spectral density."""
    error: float
    """Standard error of ``value``."""
    rule: str
    """``"plateau"``; ``"longest"``: there was none within ``max_lag`` and 1/12 of the run, the last octave
    was taken and its difference from the one before added to the error."""
    batches: int
    """Contiguous batches of the series that were used."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not to trust it: sentences."""
        return (NO_PLATEAU,) if self.rule == "longest" else ()


def running_integral(
    flux: ArrayLike | list[Array], interval: float, *, max_lag: int, batches: int = 48
) -> RunningIntegral:
    """Running Green-Kubo integral of ``flux`` [T, C], samples ``interval`` apart, to ``max_lag`` samples.

    Also of a list of them: stretches of a run with gaps, or replicas.

    The correlation is the mean over all T - k pairs at lag k (unbiased; the mean of the flux is not
    removed), by FFT of each batch of origins. The value is the mean of the integral over an octave: octaves
    [t, 2t], half an octave apart, are tried from the shortest on until the mean over one agrees with that
    over the next, [2t, 4t], within one standard error of the difference; the value is the latter (the rule
    of ``einstein.fit_slope``; a mean, as the integral at one time rings with the flux). Equation: physics.md
    section 3. Raises EstimateError for bad shapes or a series that is too short.
    """
    stretches = [np.asarray(part, dtype=np.float64) for part in (flux if isinstance(flux, list) else [flux])]
    for part in stretches:
        if part.ndim != 2 or 0 in part.shape:
            raise EstimateError(f"a flux must have the shape [samples, components], not {part.shape}")
        if not np.isfinite(part).all():
            raise EstimateError("the flux series holds a value that is not finite")
    if not interval > 0 or not np.isfinite(interval):
        raise EstimateError(f"the time between samples must be positive, not {interval}")
    samples, longest = sum(map(len, stretches)), max(map(len, stretches), default=0)
    if not 1 <= max_lag < longest:
        raise EstimateError(f"max_lag must lie between 1 and {longest - 1} samples, not {max_lag}")
    if not FEWEST_GROUPS <= batches <= samples:
        raise EstimateError(f"batches must lie between {FEWEST_GROUPS} and the {samples} samples, not {batches}")
    shares = [max(1, round(batches * len(part) / samples)) for part in stretches]
    parts = [_correlation_sums(part, max_lag, share) for part, share in zip(stretches, shares, strict=True)]
    sums, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    batches = len(sums)
    lag = np.arange(max_lag + 1, dtype=np.float64) * float(interval)
    duration = samples // batches * float(interval)
    cut, value, error, rule = _plateau(lag, sums, counts, duration)
    correlation = sums.sum(axis=0) / counts.sum(axis=0)[:, None]
    return RunningIntegral(
        lag=lag,
        correlation=correlation.mean(axis=1),
        correlation_error=error_band(lag, sums, counts, batch_duration=duration),
        integral=running_trapezoid(lag, correlation).mean(axis=1),
        integral_error=error_band(lag, sums, counts, batch_duration=duration, integrate=True),
        cut=cut,
        value=value,
        error=error,
        rule=rule,
        batches=batches,
    )


def _correlation_sums(series: Array, max_lag: int, batches: int) -> tuple[Array, Array]:
    """Sums of J(t) J(t+k) over the origins t of each batch, [NB, L, C], and their number, [NB, L]."""
    samples = series.shape[0]
    edges = np.linspace(0, samples, batches + 1).astype(np.int64)
    lags = np.arange(max_lag + 1)
    sums = np.empty((batches, max_lag + 1, series.shape[1]))
    counts = np.empty((batches, max_lag + 1))
    for batch, (first, last) in enumerate(pairwise(edges.tolist())):
        length = scipy.fft.next_fast_len(last - first + max_lag, real=True)
        origins = scipy.fft.rfft(series[first:last], length, axis=0)
        frames = scipy.fft.rfft(series[first : last + max_lag], length, axis=0)
        sums[batch] = scipy.fft.irfft(origins.conj() * frames, length, axis=0)[: max_lag + 1]
        counts[batch] = np.clip(samples - first - lags, 0, last - first)
    return sums, counts


def _plateau(lag: Array, sums: Array, counts: Array, duration: float) -> tuple[float, float, float, str]:
    """Begin of the octave that is read, mean of the integral there, its error, and the rule."""

    def octaves(begin: float) -> tuple[Array, Array, Array, Array, LeaveOneOut]:
        """Mean integral in the octave from ``begin`` and in the next, [C] and [G, C] each."""
        reach = int(np.count_nonzero(lag <= begin * OCTAVE**2 * (1 + ROUNDING)))
        width = group_width(lag[reach - 1], duration)
        parts = leave_one_out(sums[:, :reach], counts[:, :reach], width=width)
        whole, left = (running_trapezoid(lag[:reach], curve) for curve in (parts.curve, parts.left))
        first, second = (
            (lag[:reach] >= start * (1 - ROUNDING)) & (lag[:reach] <= start * OCTAVE * (1 + ROUNDING))
            for start in (begin, begin * OCTAVE)
        )
        early, late = whole[first].mean(axis=0), whole[second].mean(axis=0)
        return early, late, left[:, first].mean(axis=1), left[:, second].mean(axis=1), parts

    def change(begin: float) -> tuple[float, float]:
        early, late, early_left, late_left, parts = octaves(begin)
        return float((late - early).mean()), float(parts.error(late - early, late_left - early_left))

    begins = octave_begins(lag[1:], sums.shape[0], duration, fewest=2)
    cut, rule = first_plateau(begins, change)
    early, late, _, late_left, parts = octaves(cut / OCTAVE)
    error = float(parts.error(late, late_left))
    if rule == "longest":
        error = math.hypot(error, float((late - early).mean()))
    return cut, float(late.mean()), error, rule
