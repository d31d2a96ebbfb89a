"""What forces add to a memory kernel: the share of a part of the force, and the spectrum that the kernel implies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from .kernel_tail import fit_tail, tail_weights
from .tagged import COMPONENTS, power_spectrum, sampled, window_replicas
from .volterra import force_from_kernel, integrated_kernel, kernel_from_integral

__all__ = ["ForceSpectrum", "KernelPart", "force_spectrum_from_kernel", "kernel_part"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class KernelPart:
    """What one part of the force contributes to an integrated memory kernel."""

    half_time: Array
    """interval/2, 3 interval/2, …, [L-1], time."""
    integral: Array
    """G_p, [L-1], 1/time; the parts of a force add up to G."""
    integral_error: Array
    """Its standard error, [L-1]."""
    plateau: float
    """Its limit, with the tail of the whole kernel, 1/time; the plateaus add up too."""
    plateau_error: float
    """Its standard error."""


def kernel_part(
    interval: float,
    sums: ArrayLike,
    counts: ArrayLike | None,
    part_sums: ArrayLike,
    *,
    batch_duration: float | None = None,
) -> KernelPart:
    """Share of a part of the force in the memory kernel: 1 - C is replaced by -int_0^t <v(0) a_p> dt'/<v²>.

    ``part_sums`` [NB, L]: sums of v(t) a_p(t + lag), a_p = F_p/m the part's acceleration; the rest as in
    ``memory_kernel``.
    """
    series, pairs = sampled(sums, counts, part_sums)
    data = window_replicas(interval, series, pairs, batch_duration)
    half = (np.arange(series.shape[2] - 1) + 0.5) * float(interval)
    whole = integrated_kernel(data.curves[:, 0], interval)
    tail = fit_tail(half, whole[0], (lambda w: float(data.error(whole @ w))) if data.groups else None)
    steps = np.arange(series.shape[2])
    push = CubicSpline(steps, data.curves[:, 1], axis=-1).antiderivative()(steps) * interval
    integral = integrated_kernel(data.curves[:, 0], interval, -push / data.curves[:, 0, :1])
    # as in memory_kernel: the whole by the weights of the tail alone, replicas to first order about it
    level = tail_weights(half, tail.begin, tail.time, order=0 if math.isnan(tail.time) else 1)[0]
    plateau = level @ integral[0] + (integral - integral[0]) @ tail.weights
    return KernelPart(half, integral[0], data.error(integral), float(plateau[0]), float(data.error(plateau)))


@dataclass(frozen=True)
class ForceSpectrum:
    """Power spectrum of the acceleration, measured and as the memory kernel implies it, transformed alike."""

    frequency: Array
    """[L], 1/time (cycles)."""
    predicted: Array
    """2 int phi cos(2 pi f t) w dt with phi from the kernel, times <v²>, [L], length²/time³; times m² for forces."""
    predicted_error: Array
    """Its standard error, [L]."""
    measured: Array
    """The same of the measured <a(t) a(0)>, [L]."""
    measured_error: Array
    """Its standard error, [L]."""
    agreement: float
    """sum predicted measured / sum measured² over frequencies: 1 for perfect agreement."""
    agreement_error: float
    """Its standard error."""
    mismatch: float
    """Root mean square difference of the two, over the root mean square of the measured one."""


def force_spectrum_from_kernel(
    interval: float,
    sums: ArrayLike,
    counts: ArrayLike | None,
    acceleration_sums: ArrayLike,
    *,
    batch_duration: float | None = None,
) -> ForceSpectrum:
    """[P eq. 20] as a check: the spectrum of the force from K, which is known from velocities alone.

    Arguments as in ``memory_kernel``. The kernel's phi(t) is found in time, so that both correlations end at
    the same lag and get the taper of ``tagged.power_spectrum``.
    """
    series, pairs = sampled(sums, counts, acceleration_sums)
    data = window_replicas(interval, series, pairs, batch_duration)
    variance = data.curves[:, 0, :1] / COMPONENTS
    integral = integrated_kernel(data.curves[:, 0], interval)
    implied = force_from_kernel(kernel_from_integral(integral, interval), integral, interval) * variance
    lag = np.arange(implied.shape[1]) * float(interval)
    frequency, predicted = power_spectrum(lag, implied)
    measured = power_spectrum(lag, data.curves[:, 1, :-1] / COMPONENTS)[1]
    agreement = (predicted * measured).sum(axis=1) / (measured**2).sum(axis=1)
    return ForceSpectrum(
        frequency=frequency,
        predicted=predicted[0],
        predicted_error=data.error(predicted),
        measured=measured[0],
        measured_error=data.error(measured),
        agreement=float(agreement[0]),
        agreement_error=float(data.error(agreement)),
        mismatch=float(np.sqrt(((predicted[0] - measured[0]) ** 2).sum() / (measured[0] ** 2).sum())),
    )
