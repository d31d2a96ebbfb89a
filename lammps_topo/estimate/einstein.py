"""Slopes of mean square displacements: diffusion coefficients and Einstein-Helfand conductivities.

MSD(t) is averaged over time origins, so that its values at different lags are strongly correlated, and their
scatter about a straight line says nothing about the error of its slope. Two methods know better:

* ``gls``: generalised least squares with the covariance of the displacements, averaged over the starts that the linear
  part may have (``estimate.helfand``). The error holds the choice of the start.
* ``plateau``: a straight line in a window found by comparing neighbouring octaves of lag, or in a given one. The error
  comes from the run itself, by the jackknife of ``estimate.jackknife``, and does not hold the choice of the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EstimateError
from .helfand import limiting_slope
from .jackknife import GROUP, LeaveOneOut, error_band, group_width, leave_one_out, ratio

__all__ = ["SlopeFit", "fit_slope"]

FEWEST_GROUPS = 6
"""Groups that the automatic window leaves room for; with ``GROUP`` it ends before 1/12 of the run."""
OCTAVE = 2.0
"""Last over first lag of the windows that are tried."""
ROUNDING = 1e-9
"""Relative slack when lags are compared."""
CONFIRM = 2.5
"""Errors by which the octave after the chosen one may differ from it."""
FEWEST_LAGS = 4
"""Lags in a window."""
NO_PLATEAU = "no plateau found: no two neighbouring octaves of lag agree; a longer run is needed"
"""What is said where the rule ``first_plateau`` ends with the longest."""

Array = NDArray[np.float64]


def octave_begins(lag: Array, batches: int, duration: float, *, fewest: int) -> dict[int, float]:
    """Octaves of lag that can be tried: the begin of number k is sqrt(2)**k times the first lag, by number.

    Each holds at least ``fewest`` lags and leaves room for ``FEWEST_GROUPS`` groups. Raises EstimateError if
    there is none.
    """
    begins = {}
    first, last = (float(lag[0]), float(lag[-1])) if lag.size else (math.inf, 0.0)
    for number in count():
        begin = first * OCTAVE ** (number / 2)
        end = begin * OCTAVE
        if begin > last or batches // group_width(end, duration) < FEWEST_GROUPS:
            break
        if np.count_nonzero((lag >= begin * (1 - ROUNDING)) & (lag <= end * (1 + ROUNDING))) >= fewest:
            begins[number] = begin
    if not begins:
        raise EstimateError(
            f"the run is too short, or its lags too few: an octave of {fewest} lags must fit "
            f"{GROUP * FEWEST_GROUPS:g} times into its {batches} time batches of {duration:g}"
        )
    return begins


def first_plateau(begins: dict[int, float], change: Callable[[float], tuple[float, float]]) -> tuple[float, str]:
    """Begin of the octave to read, and ``"plateau"`` or ``"longest"``.

    ``change(begin)`` is the difference of a statistic between the octave from ``begin`` and the next one,
    and its standard error. The first octave that agrees within one error makes the next one the choice,
    unless that one differs from the one after it by more than ``CONFIRM`` errors (an oscillation that was
    crossed).
    """
    for number, begin in begins.items():
        if number + 2 in begins:
            difference, error = change(begin)
            if abs(difference) <= error:
                later = begins[number + 2]
                difference, error = change(later) if number + 4 in begins else (0.0, 0.0)
                if abs(difference) <= CONFIRM * error:
                    return later, "plateau"
    return begins[max(begins)], "longest"


@dataclass(frozen=True)
class SlopeFit:
    """Slope of a mean square displacement, with what it was read from."""

    slope: float
    """Mean over components of d<dx²>/dt in the window, length²/time: twice a diffusion coefficient."""
    error: float
    """Its standard error."""
    components: Array
    """Slope of each Cartesian component, [C]."""
    begin: float
    """First lag of the fit; for ``"gls"``, which uses all, the lag from which on its curve is a straight line."""
    end: float
    """Last lag of the fit."""
    rule: str
    """``"given"``; ``"gls"``; ``"plateau"``: found by the automatic rule; ``"longest"``: it found none, the last octave
    that leaves room for an error was taken, and its difference from the one before added to the error."""
    check: float
    """Squared difference of the slopes in both halves of the window, over its variance: above 4, no line. For
    ``"gls"``: squared deviations from its model, in units of their variance, a lag."""
    batches: int
    """Time batches that were averaged over."""
    groups: int
    """Groups of batches that the error was taken from."""
    intercept: float
    """Where the fitted line meets lag 0, mean over components, length²."""
    lag: Array
    """Lags, increasing, [L], time."""
    curve: Array
    """MSD of one component, averaged over components, [L], length²; NaN where nothing was sampled."""
    curve_error: Array
    """Its standard error, [L]; NaN where the run is too short for one."""
    resolved: bool = True
    """Whether it is the slope of a linear part, and known well enough to tell."""
    reasons: tuple[str, ...] = ()
    """Why not: sentences."""


def fit_slope(
    lag: ArrayLike,
    sums: ArrayLike,
    counts: ArrayLike,
    *,
    batch_duration: float,
    window: tuple[float, float] | None = None,
    method: Literal["gls", "plateau"] = "gls",
) -> SlopeFit:
    """Slope of the mean square displacement sums/counts at large lag.

    ``lag`` [L] (time, any spacing, any order), ``sums`` [NB, L, C]: squared displacements of each component
    over pairs of an origin and a frame, the later of which is in time batch b; ``counts`` [NB, L]: those
    pairs. Batches last ``batch_duration`` each, the last one may be incomplete. The fit is a straight line
    with intercept through all lags of the window, each weighing as the stretch of lag it stands for.

    Without ``window`` the method ``gls`` is that of ``helfand.limiting_slope``. That of ``plateau`` finds an octave:
    octaves [b, 2b], half an octave apart, are tried from the shortest lag on until the slope of one agrees with that of
    the octave after it, [2b, 4b], within one standard error of the difference, and that one with [4b, 8b] within 2.5;
    the fit is made in [2b, 4b].
    What the first octave could hide within its error has decayed in the second. Windows end before 1/12 of
    the run. Source: physics.md sections 3-4, [PGB] eq. 3. Raises EstimateError for bad shapes, for a window
    without lags, and for a run too short to give an error.
    """
    data = _checked(lag, sums, counts, batch_duration)
    if window is None and method == "gls" and data.sums.any():  # where nothing moves there is nothing to weigh
        return _generalised(data)
    begin, end, rule = (*window, "given") if window is not None else _settle(data)
    cut = data.between(begin, end)
    if not 0 <= begin < end or cut.lag.size < FEWEST_LAGS:
        raise EstimateError(f"a fit window needs at least {FEWEST_LAGS} lags; {begin:g} … {end:g} holds {cut.lag.size}")
    slope, left, parts = cut.slope(begin, end)
    error = float(parts.error(slope, left))
    middle = float(cut.lag[np.clip(np.searchsorted(cut.lag, math.sqrt(begin * end)), 1, cut.lag.size - 2)])
    early, early_left, _ = cut.slope(begin, middle)
    late, late_left, _ = cut.slope(middle, end)
    spread = float(parts.error(late - early, late_left - early_left))
    if rule == "longest":
        before = data.between(begin / OCTAVE, begin)
        earlier = before.slope(0.0, begin)[0] if before.lag.size > 1 else early
        error = math.hypot(error, float((slope - earlier).mean()))
    if not math.isfinite(error):
        raise EstimateError(f"lags from {begin:g} to {end:g} were sampled in one stretch of the run only")
    centre = _line_weights(cut.lag)[1]
    longest = rule == "longest"
    return SlopeFit(
        slope=float(slope.mean()),
        error=error,
        components=slope,
        begin=float(cut.lag[0]),
        end=float(cut.lag[-1]),
        rule=rule,
        check=float((late - early).mean() / spread) ** 2 if spread > 0 else math.nan,
        batches=data.sums.shape[0],
        groups=parts.share.size,
        intercept=float((centre @ (parts.curve - cut.lag[:, None] * slope)).mean()),
        lag=data.lag,
        curve=data.curve,
        curve_error=data.curve_error,
        resolved=not longest,
        reasons=(NO_PLATEAU,) if longest else (),
    )


def _generalised(data: _Batches) -> SlopeFit:
    """The fit by the method ``gls``."""
    found = limiting_slope(data.lag, data.sums, data.counts, batch_duration=data.duration)
    return SlopeFit(
        slope=found.slope,
        error=found.error,
        components=found.components,
        begin=found.begin,
        end=found.end,
        rule="gls",
        check=found.misfit,
        batches=data.sums.shape[0],
        groups=found.groups,
        intercept=found.intercept,
        lag=data.lag,
        curve=data.curve,
        curve_error=data.curve_error,
        resolved=found.resolved,
        reasons=found.reasons,
    )


@dataclass(frozen=True)
class _Batches:
    """Sums by batch at increasing lags."""

    lag: Array
    sums: Array
    counts: Array
    duration: float

    @property
    def curve(self) -> Array:
        """Mean over batches and components, [L]; NaN where nothing was sampled."""
        return np.asarray(ratio(self.sums.sum(axis=0), self.counts.sum(axis=0)).mean(axis=1), dtype=np.float64)

    @property
    def curve_error(self) -> Array:
        """Its standard error, [L]."""
        return error_band(self.lag, self.sums, self.counts, batch_duration=self.duration)

    def between(self, begin: float, end: float) -> _Batches:
        """The lags from ``begin`` to ``end`` that were sampled in more than half of the batches."""
        kept = (self.lag >= begin * (1 - ROUNDING)) & (self.lag <= end * (1 + ROUNDING))
        kept &= (self.counts > 0).mean(axis=0) > 0.5
        return _Batches(self.lag[kept], self.sums[:, kept], self.counts[:, kept], self.duration)

    def slope(self, begin: float, end: float) -> tuple[Array, Array, LeaveOneOut]:
        """Slope between two lags [C], the same with each group left out [G, C], and the groups.

        The groups are those for the longest lag there is here, not for ``end``: slopes can be compared.
        """
        parts = leave_one_out(self.sums, self.counts, width=group_width(self.lag[-1], self.duration))
        inside = (self.lag >= begin * (1 - ROUNDING)) & (self.lag <= end * (1 + ROUNDING))
        weights = _line_weights(self.lag[inside])[0]
        return weights @ parts.curve[inside], weights @ parts.left[:, inside], parts


def _line_weights(times: Array) -> tuple[Array, Array]:
    """Weights [L] that give slope and mean of a curve; each lag weighs as the stretch it stands for."""
    stretch = np.convolve(np.diff(times), (0.5, 0.5))
    mean = stretch / stretch.sum()
    away = times - mean @ times
    return mean * away / (mean @ away**2), mean


def _settle(data: _Batches) -> tuple[float, float, str]:
    """Begin and end of the window by the rule of ``fit_slope``, and how it was found."""

    def change(begin: float) -> tuple[float, float]:
        both = data.between(begin, begin * OCTAVE**2)
        first, first_left, parts = both.slope(begin, begin * OCTAVE)
        second, second_left, _ = both.slope(begin * OCTAVE, begin * OCTAVE**2)
        return float((second - first).mean()), float(parts.error(second - first, second_left - first_left))

    begins = octave_begins(data.between(0.0, math.inf).lag, data.sums.shape[0], data.duration, fewest=FEWEST_LAGS)
    begin, rule = first_plateau(begins, change)
    return begin, begin * OCTAVE, rule


def _checked(lag: ArrayLike, sums: ArrayLike, counts: ArrayLike, batch_duration: float) -> _Batches:
    """The input as arrays, lags increasing; refuses what does not fit together."""
    times = np.asarray(lag, dtype=np.float64)
    squares = np.asarray(sums, dtype=np.float64)
    pairs = np.asarray(counts, dtype=np.float64)
    if times.ndim != 1 or squares.ndim != 3 or pairs.shape != squares.shape[:2] or times.shape != pairs.shape[1:]:
        raise EstimateError(
            "displacements need lags [L], sums [NB, L, C] and counts [NB, L]; "
            f"the shapes are {times.shape}, {squares.shape} and {pairs.shape}"
        )
    if not batch_duration > 0:
        raise EstimateError(f"the duration of a time batch must be positive, not {batch_duration}")
    if times.size == 0 or not (times > 0).all() or np.unique(times).size != times.size:
        raise EstimateError("lags must be positive and each occur once")
    if not (np.isfinite(squares).all() and np.isfinite(pairs).all() and (pairs >= 0).all()):
        raise EstimateError("a sum of squared displacements or a count is not finite, or a count is negative")
    order = np.argsort(times)
    return _Batches(times[order], squares[:, order], pairs[:, order], float(batch_duration))
