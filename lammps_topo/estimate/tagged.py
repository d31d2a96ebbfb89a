"""What velocity and force autocorrelation functions of tagged particles say: zeros, minima, integrals, spectra.

physics.md sections 4-5. Correlations are given at equidistant lags from 0 on, of one Cartesian component or
summed over components: only ratios are taken, except where a unit is stated. Errors by ``estimate.jackknife``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid
from scipy.interpolate import CubicSpline

from ..errors import EstimateError
from .jackknife import Replicas, replicas

__all__ = [
    "CorrelationShape",
    "Diffusion",
    "Minimum",
    "correlation_shape",
    "diffusion_from_velocity",
    "first_zero",
    "minimum",
    "power_spectrum",
    "sampled",
    "window_replicas",
    "zero_integral_ratio",
]

COMPONENTS = 3
"""Cartesian components that sums of products run over."""
FEWEST_LAGS = 8
"""Lags of a correlation function that can be analysed."""
SIDES = 3
"""Lags on either side of one through which curves are interpolated."""
BOTTOM = 0.75
"""Share of the depth of a dip below which its bottom lies."""

Array = NDArray[np.float64]


def sampled(sums: ArrayLike, counts: ArrayLike | None, *others: ArrayLike) -> tuple[Array, Array | None]:
    """Series [NB, S, L'] and counts [NB, L'], cut where lags stop being sampled.

    ``sums`` and ``others`` [NB, L] with ``counts`` [NB, L], or averages [L] without counts. Raises
    EstimateError for bad shapes and where fewer than ``FEWEST_LAGS`` lags were sampled.
    """
    given = [np.atleast_2d(np.asarray(one, dtype=np.float64)) for one in (sums, *others)]
    pairs = None if counts is None else np.atleast_2d(np.asarray(counts, dtype=np.float64))
    shapes = {one.shape for one in given} | (set() if pairs is None else {pairs.shape})
    if len(shapes) != 1 or given[0].ndim != 2 or (pairs is None and given[0].shape[0] != 1):
        raise EstimateError("correlations need sums [NB, L] and counts [NB, L] of one shape, or averages [L]")
    series = np.stack(given, axis=1)
    if not np.isfinite(series).all() or (pairs is not None and not (np.isfinite(pairs).all() and (pairs >= 0).all())):
        raise EstimateError("a sum of a correlation or a count is not finite, or a count is negative")
    never = np.flatnonzero(pairs.sum(axis=0) < 0.5) if pairs is not None else np.zeros(0, dtype=int)
    reach = int(never[0]) if never.size else series.shape[2]
    if reach < FEWEST_LAGS:
        raise EstimateError(f"a correlation function needs {FEWEST_LAGS} lags or more; {reach} were sampled")
    if not (series[:, 0, 0].sum() > 0):
        raise EstimateError("the correlation at lag 0 is not positive")
    if pairs is None:
        return series[..., :reach], None
    return _complete(series[..., :reach], pairs[:, :reach])


def _complete(series: Array, counts: Array) -> tuple[Array, Array]:
    """Only batches of origins that have all lags, and as many lags as most origins have.

    Origins near the end of a stretch lack the longer lags. Where the set of origins changes from one lag to the
    next, correlations make a small step, which a memory kernel, their second derivative, shows as a spike. What
    is left out lasts as long as the window; in a run shorter than two windows the lags are cut, too. Where most
    batches have gaps, nothing is left out.
    """
    whole = counts[:, 0]
    full = np.where(
        (counts == whole[:, None]).all(axis=1), counts.shape[1], np.argmax(counts != whole[:, None], axis=1)
    )
    lags = np.unique(full)[::-1]
    enough = [int(lag) for lag in lags if whole[full >= lag].sum() >= 0.5 * whole.sum()]
    reach = enough[0] if enough else 0
    if reach < max(FEWEST_LAGS, counts.shape[1] // 8):
        return series, counts
    kept = (full >= reach) & (whole > 0)
    return series[kept][..., :reach], counts[kept, :reach]


@dataclass(frozen=True)
class Minimum:
    """The lowest point of a correlation function."""

    time: float
    """Where it is, time."""
    value: float
    """C there, over C(0)."""


def first_zero(correlation: ArrayLike, interval: float) -> float:
    """First time at which C [L] changes sign, by a spline through the lags around; NaN where it never does."""
    values = np.asarray(correlation, dtype=np.float64)
    below = np.flatnonzero(values <= 0)
    if below.size == 0 or below[0] == 0:
        return math.nan
    after = int(below[0])
    zeros = _around(values, after).roots(extrapolate=False)
    inside = zeros[(zeros >= after - 1) & (zeros <= after)]
    return float(inside[0] if inside.size else after) * interval


def minimum(correlation: ArrayLike, interval: float) -> Minimum:
    """Lowest point of C [L] over C(0), by a polynomial of fourth order through the bottom of the dip."""
    values = np.asarray(correlation, dtype=np.float64)
    values = values / values[0]
    return _lowest(values, _bottom(values), interval)


def _bottom(values: Array) -> tuple[int, int]:
    """First and last lag of the dip around the lowest lag, below ``BOTTOM`` of its depth, or two either side."""
    lowest = int(np.argmin(values))
    above = np.flatnonzero(values > BOTTOM * min(values[lowest], 0.0))
    before, after = above[above < lowest], above[above > lowest]
    first = min(int(before[-1]) + 1 if before.size else 0, lowest - 2)
    last = max(int(after[0]) - 1 if after.size else values.size - 1, lowest + 2)
    return max(first, 0), min(last, values.size - 1)


def _lowest(values: Array, bottom: tuple[int, int], interval: float) -> Minimum:
    """Minimum of a polynomial through the lags of ``bottom``; their lowest lag where it has none among them."""
    first, last = bottom
    lowest = first + int(np.argmin(values[first : last + 1]))
    if last - first < 4:  # at an end
        return Minimum(lowest * interval, float(values[lowest]))
    middle, reach = 0.5 * (first + last), 0.5 * (last - first)
    curve = np.polynomial.Polynomial.fit((np.arange(first, last + 1) - middle) / reach, values[first : last + 1], 4)
    flat = curve.deriv().roots()
    flat = flat[np.isreal(flat)].real
    flat = flat[(np.abs(flat) <= 1) & (curve.deriv(2)(flat) > 0)]
    if flat.size == 0:
        return Minimum(lowest * interval, float(values[lowest]))
    where = flat[np.argmin(curve(flat))]
    return Minimum(float(middle + reach * where) * interval, float(curve(where)))


def _around(values: Array, lag: int) -> CubicSpline:
    """Spline through the values at the lags around one."""
    first, last = max(lag - SIDES, 0), min(lag + SIDES + 1, values.size)
    return CubicSpline(np.arange(first, last), values[first:last])


def zero_integral_ratio(correlation: ArrayLike) -> Array:
    """int C dt / int |C| dt over the window, [...] from C [..., L]; 0 for the force on a free particle.

    Trapezoidal, the upper integral with the correction for a slope at lag 0. Noise adds to the lower one.
    """
    values = np.asarray(correlation, dtype=np.float64)
    slope = 0.5 * (4 * values[..., 1] - 3 * values[..., 0] - values[..., 2])
    whole = trapezoid(values, axis=-1) + slope / 12
    return np.asarray(whole / trapezoid(np.abs(values), axis=-1), dtype=np.float64)


@dataclass(frozen=True)
class CorrelationShape:
    """A normalised correlation function and its features; errors are NaN where the run is too short for one."""

    lag: Array
    """Lags 0, interval, …, as far as they were sampled, [L], time."""
    correlation: Array
    """C(t)/C(0), [L]."""
    correlation_error: Array
    """Its standard error, [L]."""
    variance: float
    """C(0) of one Cartesian component, value²."""
    variance_error: float
    """Its standard error."""
    first_zero: float
    """First change of sign, time; NaN where there is none."""
    first_zero_error: float
    """Its standard error; NaN also where C has no zero without some group of batches."""
    minimum_time: float
    """Time of the lowest point."""
    minimum_time_error: float
    """Its standard error."""
    minimum: float
    """C/C(0) at the lowest point."""
    minimum_error: float
    """Its standard error."""
    zero_ratio: float
    """int C dt / int |C| dt over the window: 0 for the force on an unrestrained particle."""
    zero_ratio_error: float
    """Its standard error."""
    groups: int
    """Groups of time batches that errors are taken from; 0 without errors."""


def correlation_shape(
    interval: float, sums: ArrayLike, counts: ArrayLike | None = None, *, batch_duration: float | None = None
) -> CorrelationShape:
    """Features of a correlation function at lags 0, interval, … with errors.

    ``sums`` [NB, L] over three Cartesian components, ``counts`` [NB, L]; or an average [L] without counts.
    In the replicas the minimum is taken in the dip where it is in the whole run (it would jump between dips of
    equal depth).
    """
    data = window_replicas(interval, *sampled(sums, counts), batch_duration)
    curves = data.curves[:, 0] / data.curves[:, 0, :1]
    bottom = _bottom(curves[0])
    zeros = np.array([first_zero(one, interval) for one in curves])
    minima = [_lowest(one, bottom, interval) for one in curves]
    times, values = np.array([m.time for m in minima]), np.array([m.value for m in minima])
    variance, ratios = data.curves[:, 0, 0] / COMPONENTS, zero_integral_ratio(curves)
    return CorrelationShape(
        lag=np.arange(curves.shape[1], dtype=np.float64) * float(interval),
        correlation=curves[0],
        correlation_error=data.error(curves),
        variance=float(variance[0]),
        variance_error=float(data.error(variance)),
        first_zero=float(zeros[0]),
        first_zero_error=float(data.error(zeros)),
        minimum_time=float(times[0]),
        minimum_time_error=float(data.error(times)),
        minimum=float(values[0]),
        minimum_error=float(data.error(values)),
        zero_ratio=float(ratios[0]),
        zero_ratio_error=float(data.error(ratios)),
        groups=data.groups,
    )


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient from velocities."""

    value: float
    """D = int_0^T <v v> dt of one component, length²/time."""
    error: float
    """Its standard error; NaN where the run is too short for one."""
    late: float
    """Value minus the integral to T/2: what the second half of the window still changed."""
    late_error: float
    """Its standard error."""
    groups: int
    """Groups of time batches that errors are taken from."""


def diffusion_from_velocity(
    interval: float, sums: ArrayLike, counts: ArrayLike | None = None, *, batch_duration: float | None = None
) -> Diffusion:
    """D of one Cartesian component: the integral of <v(t) v(0)> over the window, physics.md section 4.

    ``sums`` and ``counts`` as in ``correlation_shape``. The integral (trapezoidal) is averaged over the second
    half of the window; where the kernel has a tail, <v²> over the plateau of ``memory_kernel`` is the better
    estimate.
    """
    data = window_replicas(interval, *sampled(sums, counts), batch_duration)
    curves = data.curves[:, 0] / COMPONENTS
    running = np.concatenate(
        (np.zeros((curves.shape[0], 1)), np.cumsum(0.5 * interval * (curves[:, 1:] + curves[:, :-1]), axis=1)), axis=1
    )
    half = running.shape[1] // 2
    value, late = running[:, half:].mean(axis=1), running[:, -1] - running[:, half]
    return Diffusion(
        float(value[0]), float(data.error(value)), float(late[0]), float(data.error(late)), groups=data.groups
    )


def power_spectrum(lag: ArrayLike, correlation: ArrayLike) -> tuple[Array, Array]:
    """Frequencies [L] (1/time, cycles) and spectral density [..., L] (value² time) of C at lags 0, dt, …, [..., L].

    S(f) = 2 int_0^T C(t) cos(2 pi f t) w(t) dt, two-sided convention: int S df over f > 0 is C(0)/2. The taper
    is Hann's on the window, w = cos²(pi t/2T), so that features are widened by about 1/T (half width). The
    trapezoidal sum is a cosine transform, at frequencies k/(2T), k = 0 … L-1.
    """
    times, values = np.asarray(lag, dtype=np.float64), np.asarray(correlation, dtype=np.float64)
    if times.ndim != 1 or times.size < 2 or values.shape[-1] != times.size:
        raise EstimateError("a spectrum needs a correlation [..., L] at lags [L]")
    interval = float(times[1] - times[0])
    steps = np.arange(times.size)
    taper = np.cos(0.5 * np.pi * steps / (times.size - 1)) ** 2
    density = scipy.fft.dct(values * taper, type=1, axis=-1) * interval
    return steps / (2 * interval * (times.size - 1)), np.asarray(density, dtype=np.float64)


def window_replicas(interval: float, series: Array, counts: Array | None, batch_duration: float | None) -> Replicas:
    """Averages of what ``sampled`` returns, and the same without each group of batches, for the whole window."""
    if not interval > 0 or (counts is not None and not (batch_duration is not None and batch_duration > 0)):
        raise EstimateError("the time between samples and the duration of a time batch must be positive")
    window = (series.shape[2] - 1) * interval
    return replicas(series, counts, window=window, batch_duration=batch_duration or math.nan)
