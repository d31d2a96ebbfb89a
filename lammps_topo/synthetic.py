"""Random processes whose every answer is known exactly, to test estimators and to try them out.

Times are in any unit, consistently. Each process is stationary from its first sample on; every random number
comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm
from scipy.signal import lfilter

from .errors import EstimateError

__all__ = [
    "GeneralisedLangevin",
    "LinearProcess",
    "MarkovianEmbedding",
    "Particles",
    "autoregressive",
    "dip",
    "embedding",
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


@dataclass(frozen=True)
class GeneralisedLangevin:
    """Trajectories of a generalised Langevin equation."""

    velocities: Array
    """[samples, particles, components]."""
    accelerations: Array
    """dv/dt at the same times, same shape."""
    parts: Array
    """What each term of the kernel contributes to them, [terms, samples, particles, components]."""


@dataclass(frozen=True)
class MarkovianEmbedding:
    """A free particle with memory, dv/dt = -int K(t') v(t-t') dt' + noise, as d(v, s) = -A (v, s) dt + B dW.

    <(v, s)(v, s)^T> = variance 1 and B B^T = variance (A + A^T), A + A^T positive semidefinite; no noise acts
    on v itself, so that the force exists. K(t) = -a e^{-S t} b with A = [[0, a], [b, S]]. One Cartesian
    component; Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010).
    """

    drift: Array
    """A, [1 + n, 1 + n], velocity first, 1/time."""
    blocks: tuple[int, ...]
    """Auxiliary variables of each term of the kernel, sum n."""
    variance: float = 1.0
    """<v²> of one component, length²/time²."""

    def kernel(self, time: ArrayLike) -> Array:
        """Exact K(t) at ``time`` [...], 1/time²."""
        return self._memory(time, lambda rate, t: np.exp(-rate * t))

    def integral(self, time: ArrayLike) -> Array:
        """Exact int_0^t K at ``time`` [...], 1/time."""
        return self._memory(time, lambda rate, t: -np.expm1(-rate * t) / rate)

    @property
    def plateau(self) -> float:
        """int_0^inf K, 1/time: friction over mass; <v²> over it is the diffusion coefficient."""
        return float(-self.drift[0, 1:] @ np.linalg.solve(self.drift[1:, 1:], self.drift[1:, 0]))

    @property
    def memory_time(self) -> float:
        """int_0^inf K / K(0), time."""
        return self.plateau / float(self.kernel(0.0))

    def correlation(self, interval: float, lags: int) -> Array:
        """Exact <v(t) v(0)>/<v²> at lags 0, interval, …, [lags]."""
        return self._states(interval, lags)[:, 0]

    def force_correlation(self, interval: float, lags: int) -> Array:
        """Exact <a(t) a(0)>/<v²> = -C'' of the acceleration, at lags 0, interval, …, [lags], 1/time²."""
        # a = -A_0 (v, s), and A commutes with e^{-A t}
        return np.asarray(self._states(interval, lags) @ (self.drift @ self.drift[0]), dtype=np.float64)

    def sample(
        self, samples: int, particles: int, *, interval: float, rng: np.random.Generator, components: int = 3
    ) -> GeneralisedLangevin:
        """Stationary independent particles, propagated exactly over each interval."""
        size = self.drift.shape[0]
        step = expm(-self.drift * interval)
        squares, axes = np.linalg.eigh(np.eye(size) - step @ step.T)
        kick = axes * np.sqrt(np.clip(squares, 0, None) * self.variance)
        states = np.empty((samples, size, particles * components))
        states[0] = rng.standard_normal(states.shape[1:]) * self.variance**0.5
        for k in range(1, samples):
            states[k] = step @ states[k - 1] + kick @ rng.standard_normal(states.shape[1:])
        ends = np.cumsum((1, *self.blocks))
        parts = np.stack(
            [
                np.einsum("j,kjn->kn", -self.drift[0, first:last], states[:, first:last])
                for first, last in pairwise(ends.tolist())
            ]
        )
        split = (samples, particles, components)
        return GeneralisedLangevin(
            velocities=states[:, 0].reshape(split),
            accelerations=parts.sum(axis=0).reshape(split),
            parts=parts.reshape(-1, *split),
        )

    def _states(self, interval: float, lags: int) -> Array:
        """First row of e^{-A t} at lags 0, interval, …, [lags, 1 + n]."""
        step = expm(-self.drift * interval)
        rows = np.empty((lags, self.drift.shape[0]))
        rows[0] = np.eye(self.drift.shape[0])[0]
        for k in range(1, lags):
            rows[k] = rows[k - 1] @ step
        return rows

    def _memory(self, time: ArrayLike, decay: Callable[[NDArray[Any], Array], NDArray[Any]]) -> Array:
        """Sum over the eigenvalues of S of their share in K times ``decay(eigenvalue, t)``."""
        times = np.asarray(time, dtype=np.float64)
        rates, vectors = np.linalg.eig(self.drift[1:, 1:])
        weight = (-self.drift[0, 1:] @ vectors) * np.linalg.solve(vectors, self.drift[1:, 0].astype(complex))
        return np.asarray((decay(rates, times[..., None]) @ weight).real, dtype=np.float64)


def embedding(
    *,
    exponentials: Sequence[tuple[float, float]] = (),
    oscillations: Sequence[tuple[float, float, float, float]] = (),
    variance: float = 1.0,
) -> MarkovianEmbedding:
    """The process with K(t) = sum c exp(-t/tau) + sum exp(-g t) [a cos(w t) + b sin(w t)].

    ``exponentials`` (c, tau), ``oscillations`` (a, b, g, w) with |b| w <= a g: otherwise no noise fits the
    kernel. Raises EstimateError for terms that cannot be realised.
    """
    size = 1 + len(exponentials) + 2 * len(oscillations)
    drift, row = np.zeros((size, size)), 1
    for amplitude, time in exponentials:
        if not amplitude > 0 or not time > 0:
            raise EstimateError("an exponential needs a positive amplitude and time")
        drift[row, row] = 1 / time
        drift[0, row], drift[row, 0] = amplitude**0.5, -(amplitude**0.5)
        row += 1
    for a, b, g, w in oscillations:
        if not a > 0 or not g > 0 or abs(b) * w > a * g:
            raise EstimateError("an oscillation needs a, g > 0 and |b| w <= a g")
        lean, turn = b * w / a, w * (1 + (b / a) ** 2) ** 0.5
        drift[row : row + 2, row : row + 2] = [[g - lean, turn], [-turn, g + lean]]
        drift[0, row], drift[row, 0] = a**0.5, -(a**0.5)
        row += 2
    return MarkovianEmbedding(drift, (1,) * len(exponentials) + (2,) * len(oscillations), variance)
