"""The limit of an integrated memory kernel, beyond the window in which it is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

__all__ = ["TailFit", "fit_tail", "tail_weights"]

TAIL_BEGIN = 0.25
"""Share of the window after which G is fitted."""
TAIL_STANDS_OUT = 2.0
"""Standard errors of its amplitude above which a tail is believed."""
TAIL_TRIES = 24
"""Decay times that are tried before the best is refined."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TailFit:
    """G(t) = plateau - A exp(-t/time) at late times."""

    plateau: float
    """Its limit, 1/time."""
    missing: float
    """Share of the plateau that lies beyond the window, (plateau - G(T))/plateau."""
    time: float
    """Decay time of the tail; NaN where no tail stands out of the noise, and the plateau is a mean."""
    begin: float
    """Time from which G is fitted."""
    weights: Array
    """The plateau as weights of G, to first order in the decay time, [N]."""


def fit_tail(half_time: ArrayLike, integral: ArrayLike, spread: Callable[[Array], float] | None = None) -> TailFit:
    """Limit of an integrated kernel G [N] at ``half_time`` [N], by an exponential through its last three quarters.

    Least squares with weights 1/t: the noise of G is an integral of noise, and its variance grows with time.
    The decay time is searched between three intervals and half the window. ``spread`` gives the standard error
    of a sum with given weights of G; the exponential is left out, and the plateau a weighted mean, where its
    amplitude is within two standard errors of zero.
    """
    times, values = np.asarray(half_time, dtype=np.float64), np.asarray(integral, dtype=np.float64)
    late = times >= TAIL_BEGIN * times[-1]
    begin, shortest = float(times[late][0]), 3 * float(times[1] - times[0])

    def misfit(logarithm: float) -> float:
        weights = tail_weights(times, begin, math.exp(logarithm), order=1)
        model = weights[0] @ values + (weights[1] @ values) * np.exp((begin - times[late]) / math.exp(logarithm))
        return float(((values[late] - model) ** 2 / times[late]).sum())

    grid = np.linspace(math.log(shortest), math.log(max(times[-1] / 2, 2 * shortest)), TAIL_TRIES)
    best = int(np.argmin([misfit(one) for one in grid]))
    around = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)]))
    time = math.exp(minimize_scalar(misfit, bounds=around, method="bounded", options={"xatol": 1e-4}).x)
    weights = tail_weights(times, begin, time, order=1)
    amplitude, error = float(weights[1] @ values), spread(weights[1]) if spread else math.nan
    if abs(amplitude) <= TAIL_STANDS_OUT * error:
        mean = tail_weights(times, begin, math.nan, order=0)[0]
        plateau = float(mean @ values)
        return TailFit(plateau=plateau, missing=0.0, time=math.nan, begin=begin, weights=mean)
    plateau = float(weights[0] @ values)
    beyond = -amplitude * math.exp((begin - times[-1]) / time)
    linear = tail_weights(times, begin, time, order=2)[0]
    return TailFit(
        plateau=plateau, missing=beyond / plateau if plateau else math.nan, time=time, begin=begin, weights=linear
    )


def tail_weights(times: Array, begin: float, time: float, *, order: int) -> Array:
    """Weights [1 + order, N] of G that give the coefficients of 1, e, t e, with e = exp(-(t-begin)/time)."""
    late = times >= begin * (1 - 1e-9)
    since = times[late] - begin
    basis = np.ones((1, since.size))
    if order:
        decay = np.exp(-since / time)
        basis = np.stack((np.ones_like(since), decay, since / time * decay)[: order + 1])
    scale = times[late] ** -0.5
    weights = np.zeros((basis.shape[0], times.size))
    weights[:, late] = np.linalg.pinv((basis * scale).T) * scale
    return weights
