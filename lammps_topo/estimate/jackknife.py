"""Errors of averages over a run, and of what is computed from them: delete-a-group jackknife.

Sums are kept by time batch; groups of batches that are long compared with the lags in use are left out in
turn (groups of unequal size: Busing, Meijer, van der Leeden, Stat. Comput. 9, 3 (1999)). Cartesian components
repeat the noise independently, but not the mean: each keeps its own. That holds where the noise of two
components is uncorrelated: liquids and cubic crystals along their axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from ..errors import EstimateError

__all__ = [
    "LeaveOneOut",
    "Replicas",
    "error_band",
    "group_width",
    "leave_one_out",
    "one_sigma",
    "ratio",
    "replicas",
    "running_trapezoid",
]

GROUP = 2.0
"""A group of batches lasts at least this many times the longest lag in use."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LeaveOneOut:
    """Averages over all groups of batches, and with each group left out."""

    curve: Array
    """Average over all groups, [L, C]; NaN where nothing was sampled."""
    left: Array
    """Averages without group g, [G, L, C]."""
    share: Array
    """Share of each group in all pairs, [G], sum 1."""

    def error(self, whole: Array, left: Array) -> Array:
        """Standard error of the mean over components of a statistic ``whole`` [..., C], […].

        ``left`` [G, ..., C] is the statistic with each group left out. Inflated by Student's t for
        C (G - 1) degrees of freedom, so that one error holds 68 %.
        """
        groups, components = left.shape[0], left.shape[-1]
        share = self.share.reshape(-1, *([1] * whole.ndim))
        centre = groups * whole - ((1 - share) * left).sum(axis=0)
        pseudo = whole / share - (1 / share - 1) * left
        variance = ((pseudo - centre) ** 2 / (1 / share - 1)).mean(axis=0).sum(axis=-1) / components**2
        inflation = one_sigma(components * (groups - 1))
        return np.asarray(np.sqrt(variance) * inflation, dtype=np.float64)


def one_sigma(freedom: float) -> float:
    """Quantile of Student's t for ``freedom`` degrees of freedom that holds what one sigma of a normal variate does."""
    return float(stdtrit(freedom, ndtr(1.0)))


def group_width(longest: float, batch_duration: float) -> int:
    """Batches in a group of the jackknife when ``longest`` is the longest lag in use."""
    return max(1, math.ceil(GROUP * longest / batch_duration * (1 - 1e-9)))


def leave_one_out(sums: Array, counts: Array, *, width: int) -> LeaveOneOut:
    """Averages sums/counts with groups of ``width`` consecutive batches left out in turn.

    ``sums`` [NB, L, C], ``counts`` [NB, L]. What is left over at the end joins the last group; groups without
    any pair are dropped. Raises EstimateError if fewer than two groups are left.
    """
    starts = np.arange(max(sums.shape[0] // width, 1)) * width
    grouped, pairs = np.add.reduceat(sums, starts, axis=0), np.add.reduceat(counts, starts, axis=0)
    weight = pairs.sum(axis=1)
    grouped, pairs, weight = grouped[weight > 0], pairs[weight > 0], weight[weight > 0]
    if weight.size < 2:
        raise EstimateError(
            f"an error needs two stretches of {width} time batches or more; there are {sums.shape[0]} batches"
        )
    total, number = grouped.sum(axis=0), pairs.sum(axis=0)
    return LeaveOneOut(
        curve=ratio(total, number), left=ratio(total - grouped, number - pairs), share=weight / weight.sum()
    )


def ratio(sums: Array, counts: Array) -> Array:
    """sums/counts, NaN where the count is zero."""
    divisor = np.where(counts > 0.5, counts, np.nan)[..., None]
    return np.asarray(sums / divisor, dtype=np.float64)


def error_band(lag: Array, sums: Array, counts: Array, *, batch_duration: float, integrate: bool = False) -> Array:
    """Standard error [L] of the mean over batches and components, or of its integral from the first lag on.

    At each lag the groups are ``GROUP`` times as long as it; NaN where fewer than three fit into the run.
    """
    widths = np.array([group_width(time, batch_duration) for time in lag])
    band = np.full(lag.size, np.nan)
    for width in np.unique(widths[sums.shape[0] // widths >= 3]):
        reach = int(np.flatnonzero(widths == width)[-1]) + 1
        parts = leave_one_out(sums[:, :reach], counts[:, :reach], width=int(width))
        whole, left = parts.curve, parts.left
        if integrate:
            whole, left = running_trapezoid(lag[:reach], whole), running_trapezoid(lag[:reach], left)
        here = widths[:reach] == width
        band[:reach][here] = parts.error(whole[here], left[:, here])
    return band


def running_trapezoid(lag: Array, values: Array) -> Array:
    """Integral from the first lag to each lag, along the axis before the last, same shape as ``values``."""
    steps = np.diff(lag)[:, None] * 0.5 * (values[..., 1:, :] + values[..., :-1, :])
    return np.concatenate((np.zeros_like(values[..., :1, :]), np.cumsum(steps, axis=-2)), axis=-2)


@dataclass(frozen=True)
class Replicas:
    """Averages of several correlation functions over a whole run, and without each group of time batches."""

    curves: Array
    """[1 + G, S, L]: of the whole run first; G is 0 where the run gives no error."""
    parts: LeaveOneOut | None
    """The groups, or None."""
    group_duration: float
    """How long a group lasts, time; NaN without groups."""

    @property
    def groups(self) -> int:
        """Groups that errors are taken from."""
        return len(self.curves) - 1

    def error(self, values: Array) -> Array:
        """Standard error [...] of a statistic, ``values`` [1 + G, ...]; NaN without groups."""
        if self.parts is None:
            return np.full(values.shape[1:], np.nan)
        return self.parts.error(values[0][..., None], values[1:][..., None])


def replicas(
    series: Array, counts: Array | None, *, window: float, batch_duration: float, longest: float = 3.0, fewest: int = 4
) -> Replicas:
    """Averages series/counts, and the same without each group, for lags up to ``window``.

    ``series`` [NB, S, L], ``counts`` [NB, L]; all of ``series`` share the groups, so that they may be combined
    in one statistic. Groups last ``longest`` windows; a run too short for ``fewest`` of them gets shorter
    ones, down to one window; one too short for two of those, or in which a lag was sampled in one group only,
    gives no error. Without ``counts`` the series is an average already, [1, S, L].
    """
    batches, number, lags = series.shape
    if counts is None:
        return Replicas(curves=series[:1], parts=None, group_duration=math.nan)
    total = np.asarray(series.sum(axis=0) / counts.sum(axis=0), dtype=np.float64)[None]
    single = max(1, math.ceil(window / batch_duration * (1 - 1e-9)))
    width = max(1, math.ceil(longest * window / batch_duration * (1 - 1e-9)))
    if batches // width < fewest:
        width = max(single, batches // fewest)
    if batches // width < 2:
        return Replicas(curves=total, parts=None, group_duration=math.nan)
    flat = series.reshape(batches, number * lags, 1)
    parts = leave_one_out(flat, np.tile(counts, (1, number)), width=width)
    if not np.isfinite(parts.left).all():
        return Replicas(curves=total, parts=None, group_duration=math.nan)
    left = parts.left[..., 0].reshape(-1, number, lags)
    return Replicas(np.concatenate((total, left)), parts, width * batch_duration)
