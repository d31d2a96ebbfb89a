"""Slope of a mean square displacement by generalised least squares, the start of its linear part averaged over.

The quantity that is fitted is the local slope D(t) of MSD(t) between lags a fraction of an octave apart; the answer is
its limit at large t. Three things are known of it:

* The covariance of its noise. For a Gaussian process of stationary increments, observed for the time T, the time
  averages of two lags have

      cov[MSD(t), MSD(t')] = (2/T) int <Δx_t(0) Δx_t'(s)>² ds = (2/pi T) int S(w)² h_t(w) h_t'(w) dw,  w > 0,

  with h_t = (2 sin(wt/2)/w)² and MSD(t) = (1/pi) int S h_t dw. (For independent increments that is the covariance of
  Bullerjahn, von Bülow, Hummer, J. Chem. Phys. 153, 024116 (2020).) The non-negative S that gives the measured MSD is
  found by least squares; the covariance made of it is positive definite, however noisy the data are.
* Its scale, from the time batches: many particles have less noise than one, by a factor that depends on how they move
  together. The batches are too few for the covariance itself, but not for this factor, nor to tell where the noise is
  larger than it should be (far-apart origins, motion that is not Gaussian).
* That it ends in a plateau. On the axis u = -ln(1 - exp(-(t/s)^p))/p, which is logarithmic below the start s of the
  linear part and vanishes beyond, D is a constant, a term exp(-p u) (for p = 1 the relaxation 1 - exp(-t/s)), and a
  Gaussian process of length l and amplitude A. The answer is D at u = 0.

All combinations of s (two an octave), p, l, A are solved, and averaged with the weight of their evidence: that s was
chosen from the data is in the error. As a small noise makes its own model (a low value has a low covariance), the
covariance is made anew from the fitted curve, and the fit repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ..errors import EstimateError
from .jackknife import group_width, one_sigma

__all__ = ["LimitingSlope", "limiting_slope"]

Array = NDArray[np.float64]

PER_OCTAVE = 3
"""Lags in an octave that are used."""
REACH = 0.1
"""Of the run: the longest lag."""
FEWEST_LAGS, FEWEST_GROUPS = 8, 4
MOST_GROUPS = 32
POWERS = (1.0, 4.0)
"""How fast D comes to its plateau beyond the start: as relaxations do, or at once, what rings before it left out."""
LENGTHS = (0.35, 0.7, 1.4)
AMPLITUDES = (0.4, 1.2)
RISE = 3.0
"""Prior amplitude of the term exp(-p u); like ``AMPLITUDES`` in units of the root mean square of D."""
LEANING = 0.5
"""Prior weight of a start, as its inverse power: the simpler of two models that explain the data as well."""
LONGEST_START = 4.0
"""The last lag is this many times the latest start that is tried."""
COARSE = 0.02
"""Relative error of D as a function on lags so far apart; and of its root mean square, ``FLOOR``."""
FLOOR = 2e-3
NUGGET = 1e-4
TILT = 0.03
"""Prior standard deviation of the power of t with which the scale of the noise may change."""
TOO_MUCH = 0.35
"""Logarithm of the variance above its median from which on a lag does not count for the scale of the others."""
SMOOTH = 0.1
"""Weight of the smoothness of S against the data."""
KNOTS, FINE = 4, 16
"""Of S: knots in an octave, and frequencies between two of them."""
RESOLVED = 0.1
"""Relative error up to which a slope can be called resolved."""
NO_MOTION = 0.02
"""Error, relative to the root mean square of D, of a slope that is zero within three errors: it is resolved too."""
LATE = 0.05
"""Weight of the latest starts above which the linear part may not have been reached."""
MISFIT = 2.5
"""Squared deviations in units of their variance, a lag, above which noise and model do not belong together."""


@dataclass(frozen=True)
class LimitingSlope:
    """d MSD/dt at large t, averaged over models."""

    slope: float
    """Mean over components, length²/time."""
    error: float
    """Standard error: noise, and what the models disagree about; where no linear part was reached, also how much D
    changes over the last octave."""
    components: Array
    """Slope of each component, [C]."""
    start: float
    """Geometric mean of the time s at which the slope is reached."""
    begin: float
    """Lag from which on the fitted curve is a straight line."""
    end: float
    """Last lag in use."""
    intercept: float
    """Where that line meets lag 0, length²."""
    misfit: float
    """Squared deviations from the model in units of their variance, a lag."""
    groups: int
    """Groups of time batches that the scale of the noise comes from, at short lags."""
    resolved: bool
    """Whether the slope is that of a linear part, and known well enough to tell."""
    reasons: tuple[str, ...]
    """Why not: sentences."""


def limiting_slope(lag: Array, sums: Array, counts: Array, *, batch_duration: float) -> LimitingSlope:
    """Slope of sums/counts at large lag.

    ``lag`` [L], increasing; ``sums`` [NB, L, C]; ``counts`` [NB, L], as in ``einstein.fit_slope``. Raises EstimateError
    for a run too short, or too few lags.
    """
    duration = batch_duration * _full_batches(counts)
    usable = ((counts > 0).mean(axis=0) > 0.5) & (lag <= REACH * duration)
    chosen = np.flatnonzero(usable)[_thinned(lag[usable])]
    lag, sums, counts = lag[chosen], sums[:, chosen], counts[:, chosen]
    if lag.size < FEWEST_LAGS or len(counts) < FEWEST_GROUPS:
        raise EstimateError(
            f"the run is too short, or its lags too few: {FEWEST_LAGS} lags, {PER_OCTAVE} an octave, must lie below "
            f"{REACH:g} of it, and it must have {FEWEST_GROUPS} time batches"
        )
    steps = np.diff(lag, prepend=0.0)
    middle = lag - 0.5 * steps
    measured = sums.sum(axis=0) / counts.sum(axis=0)[:, None]
    local = np.diff(measured, axis=0, prepend=0.0) / steps[:, None]  # [L, C]
    mean = local.mean(axis=1)
    size = math.sqrt(float(np.mean(mean**2)))
    if not size > 0:
        raise EstimateError("nothing moves: its displacements are zero throughout")
    observed, freedom = _batch_variance(lag, sums, counts, batch_duration)
    curve = mean
    for refined in (False, True):
        displacement = np.cumsum(np.maximum(curve, 1e-3 * curve.max()) * steps)
        one = _one_particle(lag, displacement, duration) / local.shape[1]
        noise = _scaled(lag, _differences(one, steps), observed, freedom)
        noise += np.diag((COARSE * mean) ** 2 + (FLOOR * size) ** 2 + NUGGET * np.diag(noise))
        fit = _average(lag, middle, local, noise, size, refined=refined)
        curve = fit.curve
    error = math.sqrt(fit.variance) * one_sigma(float(freedom.max()))
    if fit.late > LATE:  # what lies beyond the last lag is a guess: the last octave tells how far it may be off
        error = math.hypot(error, float(curve[-1] - np.interp(lag[-1] / 2, lag, curve)))
    slope = float(fit.components.mean())
    begin = min(3 * fit.start, lag[-1] / 2)
    late = float(np.interp(0.5 * (begin + lag[-1]), lag, np.cumsum(curve * steps)))
    reasons = _doubts(slope, error, size, fit)
    return LimitingSlope(
        slope=slope,
        error=error,
        components=fit.components,
        start=fit.start,
        begin=float(begin),
        end=float(lag[-1]),
        intercept=late - 0.5 * (begin + float(lag[-1])) * slope,
        misfit=fit.misfit,
        groups=round(float(freedom.max()) / local.shape[1]) + 1,
        resolved=not reasons,
        reasons=reasons,
    )


def _full_batches(counts: Array) -> float:
    """Batches that the run lasts: the last one may be incomplete."""
    pairs = counts[:, 0]
    return float(pairs.sum() / max(np.median(pairs), 1.0))


def _thinned(lag: Array) -> NDArray[np.int64]:
    """Which lags to use: each at least 2^(1/PER_OCTAVE) times the one before."""
    kept: list[int] = []
    for i, time in enumerate(lag):
        if not kept or time >= lag[kept[-1]] * 2 ** (1 / PER_OCTAVE) * (1 - 1e-9):
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def _batch_variance(lag: Array, sums: Array, counts: Array, duration: float) -> tuple[Array, Array]:
    """Variance of the local slopes (mean over components) by the scatter of groups of batches, and its degrees of
    freedom, [L]; NaN and 0 where fewer than ``FEWEST_GROUPS`` fit into the run. Raises EstimateError if none do."""
    variance, freedom = np.full(lag.size, np.nan), np.zeros(lag.size)
    components = sums.shape[2]
    for i, time in enumerate(lag):
        width = max(group_width(time, duration), len(counts) // MOST_GROUPS)
        if len(counts) // width < FEWEST_GROUPS:
            continue
        both = slice(max(i - 1, 0), i + 1)
        starts = np.arange(len(counts) // width) * width
        grouped = np.add.reduceat(sums[:, both], starts, axis=0)
        pairs = np.add.reduceat(counts[:, both], starts, axis=0)
        sampled = (pairs > 0).all(axis=1)
        number = int(sampled.sum())
        if number < FEWEST_GROUPS:
            continue
        grouped, pairs = grouped[sampled], pairs[sampled]
        away = grouped - pairs[..., None] * (grouped.sum(axis=0) / pairs.sum(axis=0)[:, None])
        away /= pairs.mean(axis=0)[:, None]
        change = away[:, -1] - (away[:, 0] if i else 0.0)
        step = time - (lag[i - 1] if i else 0.0)
        variance[i] = float((change**2).sum()) / (number * (number - 1) * (components * step) ** 2)
        freedom[i] = components * (number - 1)
    if not freedom.any():
        raise EstimateError(f"the run is too short: an error needs {FEWEST_GROUPS} groups of time batches")
    return variance, freedom


def _one_particle(lag: Array, displacement: Array, duration: float) -> Array:
    """Covariance of MSD(t) of one particle and one component from its expected value, [L, L]."""
    lowest, highest = 0.5 / lag[-1], 4 * math.pi / lag[0]
    knots = int(math.log2(highest / lowest) * KNOTS) + 2
    edges = np.exp(np.linspace(math.log(lowest), math.log(highest), (knots - 1) * FINE + 1))
    frequency, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    kernel = (2 * np.sin(0.5 * np.outer(lag, frequency)) / frequency) ** 2
    place = (np.arange(frequency.size) + 0.5) / FINE
    hats = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(knots)))
    response = (kernel * width / math.pi) @ hats
    response[:, 0] += lag**2 * lowest / math.pi  # S is level below the lowest frequency
    typical = np.interp(1 / edges[::FINE], lag, displacement / lag)
    error = displacement * (np.sqrt(2 * lag / duration) + 1e-3)
    bend = SMOOTH * np.diff(np.eye(knots), n=2, axis=0)
    design = np.vstack((response * typical / error[:, None], bend))
    found, _ = nnls(design, np.append(displacement / error, np.zeros(knots - 2)), maxiter=100 * knots)
    density = found * typical
    square = (kernel * ((hats @ density) ** 2 * width)) @ kernel.T + np.outer(lag**2, lag**2) * density[0] ** 2 * lowest
    left = duration - lag
    return np.asarray(2 / math.pi * square / np.sqrt(np.outer(left, left)), dtype=np.float64)


def _differences(covariance: Array, steps: Array) -> Array:
    """Covariance of the local slopes."""
    rows = np.diff(covariance, axis=0, prepend=0.0) / steps[:, None]
    return np.asarray(np.diff(rows, axis=1, prepend=0.0) / steps, dtype=np.float64)


def _scaled(lag: Array, covariance: Array, observed: Array, freedom: Array) -> Array:
    """The covariance in the scale of the batches: a power of t, and the excess of lags where it is significant."""
    known = freedom > 0
    logarithm = np.zeros(lag.size)
    logarithm[known] = np.log(np.maximum(observed[known], 1e-200) / np.diag(covariance)[known]) + 1 / freedom[known]
    order = np.argsort(logarithm[known])
    share = np.cumsum(freedom[known][order])
    median = logarithm[known][order][np.searchsorted(share, share[-1] / 2)]
    weight = np.where(logarithm - median < TOO_MUCH, freedom / 2, 0.0)
    place = np.log(lag)
    terms = np.stack((np.ones(lag.size), place - weight @ place / weight.sum()))
    power = np.linalg.solve((terms * weight) @ terms.T + np.diag([0.0, TILT**-2]), (terms * weight) @ logarithm)
    scale = np.exp(power @ terms)
    spread = np.sqrt(2 / np.maximum(freedom, 1.0))
    excess = np.where(known, np.exp(np.clip(logarithm - power @ terms - spread, 0.0, 20.0)) - 1, 0.0)
    scaled = covariance * np.sqrt(np.outer(scale, scale))
    return np.asarray(scaled + np.diag(excess * np.diag(scaled)), dtype=np.float64)


@dataclass(frozen=True)
class _Average:
    components: Array
    variance: float
    curve: Array
    start: float
    late: float
    misfit: float


def _average(lag: Array, middle: Array, local: Array, noise: Array, size: float, *, refined: bool) -> _Average:
    """All models solved and averaged; only some of them where ``refined`` is False.

    D = c + g, c with a flat prior, g with the covariance ``prior`` [M, L, L], with its value at u = 0 ``limit`` [M, L].
    """
    mean = local.mean(axis=1)
    starts = lag[0] * 2.0 ** (0.5 * np.arange(max(2, 2 * math.log2(lag[-1] / (LONGEST_START * lag[0])) + 1)))
    powers, lengths, amplitudes = (POWERS, LENGTHS, AMPLITUDES) if refined else (POWERS[-1:], LENGTHS[1:2], (1.0,))
    start, power, length, amplitude = np.array(list(product(starts, powers, lengths, amplitudes))).T[:, :, None]
    axis = -np.log(-np.expm1(-((middle / start) ** power))) / power
    rise = np.exp(-power * axis) * (RISE * size)
    amplitude = amplitude * size
    prior = (amplitude**2)[..., None] * np.exp(-0.5 * ((axis[:, :, None] - axis[:, None]) / length[..., None]) ** 2)
    prior += rise[:, :, None] * rise[:, None]
    limit = amplitude**2 * np.exp(-0.5 * (axis / length) ** 2) + rise * (RISE * size)
    total = prior + noise
    ones = np.ones((*limit.shape, 1))
    right = np.concatenate((ones, limit[..., None], np.broadcast_to(local, (*limit.shape, local.shape[1]))), axis=2)
    solved = np.linalg.solve(total, right)
    flat, reach, data = solved[..., 0], solved[..., 1], solved[..., 2:]
    information = flat.sum(axis=1)
    constant = data.sum(axis=1) / information[:, None]  # [M, C]
    rest = data - flat[..., None] * constant[:, None]  # K^-1 (D - c)
    answer = constant + np.einsum("ml,mlc->mc", limit, rest)
    variance = (amplitude[:, 0] ** 2 + (RISE * size) ** 2) - (limit * reach).sum(axis=1)
    variance += (1 - reach.sum(axis=1)) ** 2 / information
    remainder = rest.mean(axis=2)
    squares = ((mean - constant.mean(axis=1)[:, None]) * remainder).sum(axis=1)
    roots = np.diagonal(np.linalg.cholesky(total), axis1=1, axis2=2)
    evidence = -0.5 * (squares + np.log(information)) - np.log(roots).sum(axis=1) - LEANING * np.log(start[:, 0])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    fitted = constant.mean(axis=1)[:, None] + (prior @ remainder[..., None])[..., 0]
    components = weight @ answer
    means = answer.mean(axis=1)
    return _Average(
        components=components,
        variance=float(weight @ (variance + (means - components.mean()) ** 2)),
        curve=weight @ fitted,
        start=float(np.exp(weight @ np.log(start[:, 0]))),
        late=float(weight[start[:, 0] >= starts[-2]].sum()),
        misfit=float(weight @ squares) / lag.size,
    )


def _doubts(slope: float, error: float, size: float, fit: _Average) -> tuple[str, ...]:
    """Reasons not to trust a slope."""
    reasons = []
    if error > RESOLVED * abs(slope) and not (abs(slope) < 3 * error < 3 * NO_MOTION * size):
        known = f"{100 * error / abs(slope):.0f} %" if abs(slope) > error else "less than its error"
        reasons.append(f"the slope is known to {known} only: something slower could hide; a longer run is needed")
    if fit.late > LATE:
        reasons.append("no linear part of the displacements was found up to a tenth of the run")
    if fit.misfit > MISFIT:
        reasons.append("the displacements scatter more than their noise should: the run may not be stationary")
    return tuple(reasons)
