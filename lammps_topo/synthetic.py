"""Random processes whose every answer is known exactly, to test estimators and to try them out.

Times are in any unit, consistently. Each process is stationary from its first sample on; every random number
comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from .errors import EstimateError

__all__ = [
    "LinearProcess",
    "Particles",
    "autoregressive",
    "dip",
    "ornstein_uhlenbeck",
    "resonance",
    "tethered",
    "two_times",
    "white",
]

FORGOTTEN = 1e-14
"""A filter is run until the memory of its start has decayed to this before the first sample is used."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearProcess:
    """Sum of independent Gaussian series x_t = sum_j b_j w_(t-j) - sum_(i>0) a_i x_(t-i), w unit white noise.

    Its samples are ``interval`` apart; spectral densities are two-sided, as in ``estimate.spectrum``.
    """

    filters: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    """(b, a) of each independent term, a_0 = 1."""
    interval: float
    """Time between samples."""

    def spectrum(self, frequency: ArrayLike) -> Array:
        """Exact spectral density interval |b(z)/a(z)|² at ``frequency`` (1/time), any shape, value² time."""
        z = np.exp(-2j * np.pi * np.asarray(frequency, dtype=np.float64) * self.interval)
        total = np.zeros(z.shape)
        for b, a in self.filters:
            total = total + np.abs(np.polyval(b[::-1], z) / np.polyval(a[::-1], z)) ** 2
        return np.asarray(self.interval * total, dtype=np.float64)

    @property
    def zero_frequency(self) -> float:
        """Exact spectral density at zero frequency, value² time."""
        return float(self.spectrum(0.0))

    def correlation(self, lags: int) -> Array:
        """Exact <x_t x_(t+k)> for k = 0 … lags - 1, [lags], value²; through the impulse response."""
        total = np.zeros(lags)
        for b, a in self.filters:
            impulse = np.zeros(lags + self._memory(a) + len(b))
            impulse[0] = 1.0
            response = lfilter(b, a, impulse)
            for lag in range(lags):
                total[lag] += response[: response.size - lag] @ response[lag:]
        return total

    def sample(self, samples: int, *, components: int, rng: np.random.Generator) -> Array:
        """Independent stationary series, [samples, components]."""
        total = np.zeros((samples, components))
        for b, a in self.filters:
            start = self._memory(a) + len(b)
            noise = rng.standard_normal((start + samples, components))
            total += lfilter(b, a, noise, axis=0)[start:]
        return total

    @staticmethod
    def _memory(a: Sequence[float]) -> int:
        """Samples after which the filter 1/a has forgotten its start."""
        largest = float(np.abs(np.roots(a)).max()) if len(a) > 1 else 0.0
        if largest >= 1:
            raise EstimateError(f"the process is not stationary: a root of its filter has modulus {largest:g}")
        return int(np.ceil(np.log(FORGOTTEN) / np.log(largest))) if largest > 0 else 0


def white(*, interval: float, variance: float = 1.0) -> LinearProcess:
    """White noise of the given variance; S(f) = variance interval."""
    return LinearProcess(filters=(((variance**0.5,), (1.0,)),), interval=interval)


def autoregressive(time: float, *, interval: float, variance: float = 1.0) -> LinearProcess:
    """AR(1) with correlation variance exp(-t/time); S(0) = variance interval coth(interval/(2 time))."""
    return LinearProcess(filters=(_exponential(time, interval=interval, variance=variance),), interval=interval)


def two_times(fast: float, slow: float, *, fraction: float, interval: float, variance: float = 1.0) -> LinearProcess:
    """Sum of two AR(1): ``fraction`` of the variance decays with ``slow``, the rest with ``fast``."""
    quick = _exponential(fast, interval=interval, variance=variance * (1 - fraction))
    lasting = _exponential(slow, interval=interval, variance=variance * fraction)
    return LinearProcess(filters=(quick, lasting), interval=interval)


def resonance(frequency: float, decay: float, *, interval: float) -> LinearProcess:
    """AR(2) that rings at ``frequency`` (1/time) and forgets with exp(-t/decay); unit innovations.

    The poles are exp(-interval/decay ± 2 pi i frequency interval); where frequency decay >> 1, S(0) is far
    below the peak.
    """
    if not frequency >= 0 or not decay > 0 or not interval > 0:
        raise EstimateError("a resonance needs a positive frequency, decay time and interval")
    modulus = np.exp(-interval / decay)
    a = (1.0, float(-2 * modulus * np.cos(2 * np.pi * frequency * interval)), float(modulus**2))
    return LinearProcess(filters=(((1.0,), a),), interval=interval)


def dip(time: float, *, ratio: float, interval: float, variance: float = 1.0) -> LinearProcess:
    """A spectrum with a dip at zero frequency: the backflow of molten salts.

    White noise through the filter b/a with b(z) = 1 - c z, a(z) = (1 - p z)², p = exp(-interval/time); c is
    placed so that S(0) is ``ratio`` times the maximum, which lies near f = 1/(2 pi time).
    """
    if not time > 0 or not interval > 0 or not 0 < ratio < 1:
        raise EstimateError(f"a dip needs positive times and a ratio between 0 and 1, not {ratio:g}")
    pole = float(np.exp(-interval / time))
    a = (1.0, -2 * pole, pole**2)
    low, high = 0.0, 1.0
    scan = np.concatenate(([0.0], np.geomspace(1e-3 / time, 0.5 / interval, 2000)))
    for _ in range(60):
        zero = 0.5 * (low + high)
        spectrum = LinearProcess(filters=(((1.0, -zero), a),), interval=interval).spectrum(scan)
        low, high = (zero, high) if spectrum[0] > ratio * spectrum.max() else (low, zero)
    unscaled = LinearProcess(filters=(((1.0, -low), a),), interval=interval)
    scale = float((variance / unscaled.correlation(1)[0]) ** 0.5)
    return LinearProcess(filters=(((scale, -scale * low), a),), interval=interval)


def _exponential(time: float, *, interval: float, variance: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Filter (b, a) of an AR(1) with correlation variance exp(-t/time)."""
    if not time > 0 or not interval > 0 or not variance >= 0:
        raise EstimateError("a correlation time, an interval and a variance must be positive")
    pole = float(np.exp(-interval / time))
    return (float((variance * (1 - pole**2)) ** 0.5),), (1.0, -pole)


@dataclass(frozen=True)
class Particles:
    """Trajectories of independent particles, with the mean square displacement they have exactly."""

    positions: Array
    """[samples, particles, components], unwrapped."""
    velocities: Array
    """[samples, particles, components]."""
    diffusion: float
    """Exact diffusion coefficient, length²/time; 0 if the particles are bound."""
    relaxation: float
    """Relaxation time of the velocity (free particles) or of the position (bound ones)."""
    amplitude: float
    """Variance of the position of one component (bound particles), length²; NaN for free ones."""
    interval: float
    """Time between samples."""

    def displacement(self, time: ArrayLike) -> Array:
        """Exact mean square displacement of one Cartesian component at ``time``, any shape, length²."""
        reduced = np.asarray(time, dtype=np.float64) / self.relaxation
        if self.diffusion > 0:
            return np.asarray(2 * self.diffusion * self.relaxation * (reduced + np.expm1(-reduced)))
        return np.asarray(-2 * self.amplitude * np.expm1(-reduced))


def ornstein_uhlenbeck(
    samples: int,
    particles: int,
    *,
    diffusion: float,
    relaxation: float,
    interval: float,
    rng: np.random.Generator,
    components: int = 3,
) -> Particles:
    """Free particles with Ornstein-Uhlenbeck velocities: dv = -v dt/relaxation + noise, dx = v dt.

    Velocities and positions are drawn from their exact joint distribution, for any interval:
    <v²> = diffusion/relaxation, <[x(t)-x(0)]²> = 2 diffusion (t - relaxation (1 - exp(-t/relaxation))).
    """
    if not diffusion > 0 or not relaxation > 0 or not interval > 0:
        raise EstimateError("a diffusion coefficient, a relaxation time and an interval must be positive")
    shape = (samples, particles * components)
    step = interval / relaxation
    pole = np.exp(-step)
    # variances of the two random increments over one interval, and their covariance (exact integrals)
    of_velocity = diffusion / relaxation * -np.expm1(-2 * step)
    of_position = diffusion * relaxation * (2 * step - 3 + 4 * pole - pole**2)
    mixed = diffusion * np.expm1(-step) ** 2
    kick = rng.standard_normal(shape) * of_velocity**0.5
    start = rng.standard_normal(shape[1]) * (diffusion / relaxation) ** 0.5
    kick[0] = start
    velocity = lfilter((1.0,), (1.0, -pole), kick, axis=0)
    slip = mixed / of_velocity * kick + rng.standard_normal(shape) * max(of_position - mixed**2 / of_velocity, 0) ** 0.5
    step_length = relaxation * (1 - pole) * velocity[:-1] + slip[1:]
    position = np.concatenate((np.zeros((1, shape[1])), np.cumsum(step_length, axis=0)))
    split = (samples, particles, components)
    return Particles(
        positions=position.reshape(split),
        velocities=velocity.reshape(split),
        diffusion=diffusion,
        relaxation=relaxation,
        amplitude=float("nan"),
        interval=interval,
    )


def tethered(
    samples: int,
    particles: int,
    *,
    amplitude: float,
    relaxation: float,
    interval: float,
    rng: np.random.Generator,
    components: int = 3,
) -> Particles:
    """Bound particles: positions are Ornstein-Uhlenbeck processes of variance ``amplitude``; no diffusion.

    <[x(t)-x(0)]²> = 2 amplitude (1 - exp(-t/relaxation)). Velocities are the differences of positions (not a
    physical velocity: an overdamped particle has none).
    """
    process = autoregressive(relaxation, interval=interval, variance=amplitude)
    position = process.sample(samples + 1, components=particles * components, rng=rng)
    split = (samples, particles, components)
    return Particles(
        positions=position[1:].reshape(split),
        velocities=(np.diff(position, axis=0) / interval).reshape(split),
        diffusion=0.0,
        relaxation=relaxation,
        amplitude=amplitude,
        interval=interval,
    )
