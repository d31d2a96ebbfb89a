"""Memory kernels of the generalised Langevin equation, from velocity autocorrelation functions.

The inversion is that of ``estimate.volterra``. Errors are those of ``estimate.jackknife``: all of it is
repeated with each group of time batches left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EstimateError
from .kernel_tail import TailFit, fit_tail, tail_weights
from .tagged import COMPONENTS, FEWEST_LAGS, sampled, window_replicas
from .volterra import integrated_kernel, kernel_from_integral

__all__ = ["MemoryKernel", "memory_kernel"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MemoryKernel:
    """A memory kernel over mass, one Cartesian component. Errors are NaN where the run is too short for one."""

    lag: Array
    """Lags 0, interval, … of the correlation, as far as they were sampled, [L], time."""
    correlation: Array
    """C(t) = <v(t) v(0)>/<v²>, [L]."""
    correlation_error: Array
    """Its standard error, [L]."""
    velocity_variance: float
    """<v²> of one component, length²/time²: kB T over an effective mass."""
    velocity_variance_error: float
    """Its standard error."""
    kernel_lag: Array
    """Lags 0, interval, … of the kernel, [L-1], time."""
    kernel: Array
    """K = Gamma/m, [L-1], 1/time²."""
    kernel_error: Array
    """Its standard error, [L-1]."""
    half_time: Array
    """interval/2, 3 interval/2, …, [L-1], time."""
    integral: Array
    """G = int_0^t K there, [L-1], 1/time."""
    integral_error: Array
    """Its standard error, [L-1]."""
    plateau: float
    """int_0^inf K, friction over mass, 1/time: ``tail.plateau``."""
    plateau_error: float
    """Its standard error."""
    diffusion: float
    """<v²>/plateau, length²/time."""
    diffusion_error: float
    """Its standard error."""
    tail: TailFit
    """The late part of G: decay time, and the share of the plateau that lies beyond the window."""
    missing_error: float
    """Standard error of ``tail.missing``; that of 1 - G(T)/plateau where there is no tail."""
    initial: float
    """K(0), 1/time²: <a²>/<v²> where accelerations are given, else ``extrapolated``."""
    initial_error: float
    """Its standard error."""
    extrapolated: float
    """K(0) from G near lag 0."""
    extrapolated_error: float
    """Its standard error, on the safe side: what the edges of groups add (of order 1/interval²) cancels in the
    whole run."""
    stiffness: float
    """initial/<v²>, 1/length²: Gamma(0) over kB T."""
    stiffness_error: float
    """Its standard error, with that of <v²>, which is not independent of it."""
    extrapolated_stiffness: float
    """The same of ``extrapolated``."""
    extrapolated_stiffness_error: float
    """Its standard error."""
    memory_time: float
    """plateau/initial, time."""
    memory_time_error: float
    """Its standard error."""
    plateau_change: float
    """Plateau from every second lag minus ``plateau``; NaN with fewer than 16 lags."""
    extrapolated_change: float
    """The same of ``extrapolated``."""
    end_correlation: float
    """Mean of C over the last eighth of the window."""
    end_correlation_error: float
    """Its standard error."""
    end_kernel: float
    """Mean of K over the last eighth of the window times the window, over the plateau."""
    end_kernel_error: float
    """Its standard error."""
    sampled: int
    """Lags that were sampled; fewer than asked for where the run is shorter than the window."""
    groups: int
    """Groups of time batches that errors are taken from; 0 without errors."""
    group_windows: float
    """Windows that a group lasts: 3, or less in a short run, where errors are less certain; NaN without errors."""

    @property
    def plateau_discretisation(self) -> float:
        """Estimate of the plateau's error by the interval: a third of ``plateau_change`` (second order)."""
        return abs(self.plateau_change) / 3

    @property
    def initial_discretisation(self) -> float:
        """The same of ``initial``; 0 where it is taken from accelerations."""
        return abs(self.extrapolated_change) / 3 if self.initial == self.extrapolated else 0.0

    @property
    def coarse(self) -> bool:
        """Whether the interval moves the plateau or K(0) by more than a standard error; False without errors."""
        return bool(
            self.plateau_discretisation > self.plateau_error or self.initial_discretisation > self.initial_error
        )

    @property
    def decayed(self) -> bool:
        """Whether C, K and the tail are next to nothing at the end of the window, or within two errors of it."""
        ends = (
            (self.end_correlation, self.end_correlation_error, 0.01),
            (self.end_kernel, self.end_kernel_error, 0.1),  # times the window: of a tail that has decayed much less
            (self.tail.missing, self.missing_error, 0.02),
        )
        return all(abs(value) <= max(little, 2 * error if error == error else 0.0) for value, error, little in ends)


def memory_kernel(
    interval: float,
    sums: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    batch_duration: float | None = None,
    acceleration_sums: ArrayLike | None = None,
) -> MemoryKernel:
    """Memory kernel from sums of v(t) v(t + lag), physics.md section 5.

    ``sums`` [NB, L] at lags 0, interval, …: products summed over three Cartesian components and the time
    origins of each batch, mean over atoms; ``counts`` [NB, L]: those origins; batches last ``batch_duration``.
    ``acceleration_sums`` [NB, L]: the same of F/m, length²/time⁴; only lag 0 is used. Without ``counts``,
    averages [L], and no errors. The window is L lags, less those that were never sampled. Raises EstimateError
    for bad shapes or fewer than 8 lags.
    """
    forces = () if acceleration_sums is None else (acceleration_sums,)
    series, pairs = sampled(sums, counts, *forces)
    data = window_replicas(interval, series, pairs, batch_duration)
    correlation = data.curves[:, 0] / data.curves[:, 0, :1]
    lag = np.arange(correlation.shape[1], dtype=np.float64) * float(interval)
    half = 0.5 * (lag[1:] + lag[:-1])
    integral = integrated_kernel(correlation, interval)
    if not (np.isfinite(integral).all() and integral.any() and np.abs(correlation[0]).max() < 1.5):
        raise EstimateError("no memory kernel gives this correlation: it does not decay, or is all noise")
    kernel = kernel_from_integral(integral, interval)
    tail = fit_tail(half, integral[0], (lambda w: float(data.error(integral @ w))) if data.groups else None)
    plateau = tail.plateau + (integral - integral[0]) @ tail.weights  # replicas to first order about the fit
    extrapolated = kernel[:, 0]
    initial = data.curves[:, 1, 0] / data.curves[:, 0, 0] if forces else extrapolated
    variance = data.curves[:, 0, 0] / COMPONENTS
    last = max(2, half.size // 8)
    end_correlation = correlation[:, -last:].mean(axis=1)
    end_kernel = (integral[:, -1] - integral[:, -last]) / ((last - 1) * interval) * lag[-1] / tail.plateau
    values = {
        "velocity_variance": variance,
        "plateau": plateau,
        "diffusion": variance / plateau,
        "initial": initial,
        "extrapolated": extrapolated,
        "stiffness": initial / variance,
        "extrapolated_stiffness": extrapolated / variance,
        "memory_time": plateau / initial,
        "end_correlation": end_correlation,
        "end_kernel": end_kernel,
    }
    coarse = _coarse(interval, correlation[0], tail)
    return MemoryKernel(
        lag=lag,
        correlation=correlation[0],
        correlation_error=data.error(correlation),
        kernel_lag=lag[:-1],
        kernel=kernel[0],
        kernel_error=data.error(kernel),
        half_time=half,
        integral=integral[0],
        integral_error=data.error(integral),
        tail=tail,
        missing_error=float(data.error(1 - integral[:, -1] / plateau)),
        plateau_change=coarse[0] - tail.plateau,
        extrapolated_change=coarse[1] - float(extrapolated[0]),
        sampled=lag.size,
        groups=data.groups,
        group_windows=data.group_duration / float(lag[-1]),
        **{name: float(one[0]) for name, one in values.items()},
        **{f"{name}_error": float(data.error(one)) for name, one in values.items()},
    )


def _coarse(interval: float, correlation: Array, tail: TailFit) -> tuple[float, float]:
    """Plateau and K(0) from every second lag, with the same tail; NaN where too few are left."""
    second = correlation[::2]
    if second.size < FEWEST_LAGS:
        return math.nan, math.nan
    integral = integrated_kernel(second, 2 * interval)
    half = (np.arange(integral.size, dtype=np.float64) + 0.5) * 2 * float(interval)
    weights = tail_weights(half, tail.begin, tail.time, order=0 if math.isnan(tail.time) else 1)
    return float(weights[0] @ integral), float(kernel_from_integral(integral, 2 * interval)[0])
