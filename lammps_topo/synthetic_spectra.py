"""A catalogue of fluxes whose spectral densities are known exactly, to test estimators of S(0).

Samples are 1 fs apart; times in ps, frequencies in THz. There are simple ones, narrow features at zero frequency, and
features elsewhere that must not disturb. The flux of interest comes first; where there are others, the answer is its
spectral density with them eliminated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from .errors import EstimateError
from .estimate.spectrum import Spectrum
from .synthetic import LinearProcess, autoregressive, dip, resonance, two_times, white

__all__ = ["INTERVAL", "Fluxes", "catalogue", "debye"]

INTERVAL = 1e-3
"""Time between samples of the catalogue, ps."""

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Fluxes:
    """Fluxes J_a(t) = sum_is m_ai(s) x_i(t-s): independent processes x_i through short filters m_ai."""

    description: str
    """In one line."""
    sources: tuple[LinearProcess, ...]
    """The independent processes x_i."""
    cutoff: float
    """f* that one takes by eye from a smoothed periodogram: what shapes S near f = 0 lies below, 1/time."""
    mixing: tuple[tuple[tuple[float, ...], ...], ...] = (((1.0,),),)
    """m_ai(s), s = 0, 1, …: [fluxes][sources][any length]."""

    @property
    def interval(self) -> float:
        """Time between samples."""
        return self.sources[0].interval

    @property
    def count(self) -> int:
        """Number of fluxes M."""
        return len(self.mixing)

    def matrix(self, frequency: ArrayLike) -> Complex:
        """Exact spectral matrix S_ab = sum_i conj(m_ai) m_bi S_i at ``frequency`` [K], [K, M, M], flux² time."""
        frequency = np.asarray(frequency, dtype=np.float64)
        z = np.exp(-2j * np.pi * frequency * self.interval)
        response = np.array([[np.polyval(taps[::-1], z) for taps in row] for row in self.mixing])
        density = np.array([source.spectrum(frequency) for source in self.sources])
        return np.asarray(np.einsum("aik,bik,ik->kab", response.conj(), response, density), dtype=np.complex128)

    def spectrum(self, frequency: ArrayLike) -> Array:
        """Exact spectral density 1/(S^-1)_00 of flux 0, the others eliminated, at ``frequency`` [K], flux² time."""
        matrix = self.matrix(frequency)
        if self.count == 1:
            return np.asarray(matrix[:, 0, 0].real)
        others = np.linalg.solve(matrix[:, 1:, 1:], matrix[:, 1:, :1])
        return np.asarray((matrix[:, 0, 0] - (matrix[:, :1, 1:] @ others)[:, 0, 0]).real)

    @property
    def zero_frequency(self) -> float:
        """Exact S(0) of flux 0, the others eliminated, flux² time."""
        return float(self.spectrum([0.0])[0])

    def sample(self, samples: int, *, components: int = 3, rng: np.random.Generator) -> Array:
        """Stationary series with independent components, [samples, M, components]."""
        before = max(len(taps) for row in self.mixing for taps in row) - 1
        series = [source.sample(samples + before, components=components, rng=rng) for source in self.sources]
        fluxes = [
            sum(lfilter(taps, (1.0,), source, axis=0)[before:] for taps, source in zip(row, series, strict=True))
            for row in self.mixing
        ]
        return np.stack(np.broadcast_arrays(*fluxes), axis=1)

    def periodogram(
        self, segment: int, *, segments: int = 1, components: int = 3, rng: np.random.Generator
    ) -> Spectrum:
        """Periodogram matrices of segments of ``segment`` samples as long series have them, without the series.

        Independent complex Wishart matrices (for one flux: Gamma variates) of segments × components degrees of
        freedom around the exact matrix, real ones at f = 0 and the Nyquist frequency; made from their Bartlett
        decomposition. What a short segment adds, leakage and correlated neighbours, is not in it. Raises EstimateError
        for an odd ``segment`` or fewer degrees of freedom than fluxes.
        """
        dof = segments * components
        if segment < 2 or segment % 2 or dof < self.count:
            raise EstimateError(
                f"a periodogram of {self.count} fluxes needs an even segment and as many degrees of freedom, not "
                f"{segment} samples and {dof}"
            )
        frequency = np.arange(segment // 2 + 1) / (segment * self.interval)
        real = np.zeros(frequency.size, dtype=bool)
        real[[0, -1]] = True
        root = np.zeros((frequency.size, self.count, self.count), dtype=np.complex128)
        for a in range(self.count):
            shape = np.where(real, (dof - a) / 2, dof - a)
            root[:, a, a] = np.sqrt(rng.gamma(shape) * np.where(real, 2, 1))
            for b in range(a):
                parts = rng.standard_normal((2, frequency.size))
                root[:, a, b] = np.where(real, parts[0], (parts[0] + 1j * parts[1]) / 2**0.5)
        root = np.linalg.cholesky(self.matrix(frequency)) @ root
        return Spectrum(
            frequency=frequency,
            matrix=root @ root.conj().swapaxes(1, 2) / dof,
            dof=float(dof),
            interval=self.interval,
            segment=segment,
        )


def debye(terms: Sequence[tuple[float, float]], *, interval: float) -> LinearProcess:
    """The process with S(f) = sum_j w_j |(1 - p_j)/(1 - p_j z)|², p_j = exp(-interval/time_j), of (w_j, time_j).

    Relaxations that contribute w_j each to S(0). Some w_j may be negative, as long as S stays positive: then one filter
    is made by spectral factorisation. With x = |1 - z|² each term is w/(1 + g x), g = p/(1 - p)², so the numerator is a
    polynomial in x, and each of its roots x_k belongs to a zero of the filter within the unit circle. Raises
    EstimateError for equal or non-positive times, or an S that is somewhere negative.
    """
    times = [time for _, time in terms]
    if not terms or len(set(times)) < len(times) or min(times) <= 0 or not interval > 0:
        raise EstimateError("relaxations need positive times, no two alike, and a positive interval")
    poles = np.exp(-interval / np.array(times))
    weights = np.array([weight for weight, _ in terms])
    if (weights >= 0).all():
        gains = np.sqrt(weights / interval) * (1 - poles)
        filters = [((float(gain),), (1.0, -float(pole))) for gain, pole in zip(gains, poles, strict=True)]
        return LinearProcess(filters=tuple(filters), interval=interval)
    bend = (1 - poles) ** 2 / poles  # the x at which a term has fallen to half
    numerator = np.zeros(len(terms))
    for j, weight in enumerate(weights):
        numerator = np.polyadd(numerator, weight * np.poly(-np.delete(bend, j)) / np.delete(bend, j).prod())
    zeros = []
    for root in np.roots(numerator):
        if abs(root.imag) < 1e-12 * abs(root) and 0 <= root.real <= 4:
            raise EstimateError("these relaxations do not add up to a positive spectral density")
        half = 1 - complex(root) / 2
        pair = half + np.array([1, -1]) * np.sqrt(half**2 - 1)
        zeros.append(pair[np.abs(pair).argmin()])
    if not weights.sum() > 0:
        raise EstimateError("these relaxations do not add up to a positive spectral density")
    b, a = np.real(np.poly(zeros)), np.poly(poles)
    b *= (weights.sum() / interval) ** 0.5 * np.polyval(a, 1.0) / np.polyval(b, 1.0)
    return LinearProcess(filters=((tuple(b.tolist()), tuple(a.tolist())),), interval=interval)


def _add(*processes: tuple[float, LinearProcess]) -> LinearProcess:
    """Sum of independent processes, each scaled so that the maximum of its spectral density is as given."""
    filters = []
    for peak, process in processes:
        scan = np.linspace(0, 50.0, 50001)  # THz; nothing here peaks higher up, or more sharply
        gain = (peak / process.spectrum(scan).max()) ** 0.5
        filters += [(tuple((gain * np.array(b)).tolist()), a) for b, a in process.filters]
    return LinearProcess(filters=tuple(filters), interval=processes[0][1].interval)


def _notch(frequency: float, decay: float, *times: float) -> LinearProcess:
    """Poles of ``times``, and a pair of zeros near the unit circle at ``frequency``; S(0) is the interval."""
    a = np.poly(np.exp(-INTERVAL / np.array(times)))
    b = np.array(resonance(frequency, decay, interval=INTERVAL).filters[0][1])
    b *= a.sum() / b.sum()
    return LinearProcess(filters=((tuple(b.tolist()), tuple(a.tolist())),), interval=INTERVAL)


def _stretched(time: float, exponent: float) -> LinearProcess:
    """Relaxations two to an octave, time/256 … 8 time, contributing s^exponent e^-s to S(0), s = time_j/time."""
    ratio = 2.0 ** np.arange(-8, 3.5, 0.5)
    weights = ratio**exponent * np.exp(-ratio)
    terms = zip((weights / weights.sum()).tolist(), (time * ratio).tolist(), strict=True)
    return debye(list(terms), interval=INTERVAL)


@cache
def catalogue() -> dict[str, Fluxes]:
    """All of them by name."""
    relaxation = autoregressive(0.05, interval=INTERVAL)
    double = np.poly([np.exp(-INTERVAL / 0.06)] * 2)
    squared = LinearProcess(filters=(((float(double.sum()),), tuple(double.tolist())),), interval=INTERVAL)
    salt = debye([(1, 0.02), (-0.8, 0.08), (-0.14, 0.05)], interval=INTERVAL)
    superionic = _add(
        (1.0, resonance(3.0, 0.15, interval=INTERVAL)),
        (1.5, autoregressive(0.2, interval=INTERVAL)),
        (0.1, autoregressive(0.02, interval=INTERVAL)),
    )
    late = (0.0,) * 40 + (0.8,)
    return {
        "ar1-50": Fluxes("one relaxation, 50 fs", (relaxation,), 10),
        "ar1-500": Fluxes("one relaxation, 500 fs", (autoregressive(0.5, interval=INTERVAL),), 2),
        "ar2": Fluxes("a damped resonance at 3 THz", (resonance(3.0, 0.07, interval=INTERVAL),), 10),
        "two": Fluxes(
            "90 % of the variance relaxes in 30 fs, 10 % in 1 ps: a narrow peak at zero",
            (two_times(0.03, 1.0, fraction=0.1, interval=INTERVAL),),
            10,
        ),
        "dip": Fluxes("S(0) a tenth of the maximum, at 12 THz", (dip(0.013, ratio=0.1, interval=INTERVAL),), 20),
        "salt": Fluxes("S(0) a tenth of the maximum, at 4 THz", (salt,), 20),
        "dipn": Fluxes(
            "S(0) an eighth of the maximum, the dip only 0.5 THz wide",
            (debye([(1, 0.03), (-0.9, 0.32)], interval=INTERVAL),),
            10,
        ),
        "white": Fluxes("white noise", (white(interval=INTERVAL),), 500),
        "vib": Fluxes(
            "one relaxation, 50 fs, and a sharp line at 10 THz",
            (_add((1.0, relaxation), (5.0, resonance(10.0, 1.0, interval=INTERVAL))),),
            8,
        ),
        "squared": Fluxes("the square of a Lorentzian, 60 fs", (squared,), 10),
        "stretched": Fluxes(
            "relaxations of all times up to 1 ps, as of a stretched exponential", (_stretched(0.2, 0.5),), 10
        ),
        "liquid": Fluxes(
            "a caged atom's velocity: dip of 100 fs and a tail of 600 fs",
            (debye([(1, 0.03), (-0.8, 0.1), (0.25, 0.6)], interval=INTERVAL),),
            10,
        ),
        "superionic": Fluxes("a resonance at 3 THz beside a peak at zero of 200 fs", (superionic,), 10),
        "notch": Fluxes("almost nothing at 2 THz, a maximum at zero", (_notch(2.0, 1.0, 0.05, 0.05, 0.02, 0.02),), 10),
        "shelf": Fluxes(
            "one relaxation, 100 fs, on white noise",
            (_add((1.0, autoregressive(0.1, interval=INTERVAL)), (0.2, white(interval=INTERVAL))),),
            10,
        ),
        # The flux of interest: what no other flux shares (source 0), and parts of the others, one of them late,
        # which makes the cross spectra complex. Frequency by frequency the others span their sources: S = S_0.
        "heat": Fluxes(
            "energy flux with a mass flux to be eliminated: what is left relaxes in 50 fs",
            (relaxation, _add((0.3, autoregressive(0.2, interval=INTERVAL)))),
            10,
            (((1.0,), late), ((0.0,), (1.0,))),
        ),
        "heat-3": Fluxes(
            "energy flux with two correlated fluxes to be eliminated: what is left is that of the salt",
            (
                salt,
                _add((2.0, autoregressive(0.1, interval=INTERVAL))),
                _add((1.0, resonance(2.0, 0.2, interval=INTERVAL))),
            ),
            20,
            (((1.0,), (0.5,), late), ((0.0,), (1.0,), (0.3,)), ((0.0,), (-0.6,), (1.0,))),
        ),
        # Noise of its own in the second flux: eliminating it leaves S_00 - |S_01|²/S_11, with a shape of its own.
        "partly": Fluxes(
            "energy flux of which a noisy second flux explains a part",
            (relaxation, autoregressive(0.3, interval=INTERVAL), white(interval=INTERVAL, variance=50.0)),
            10,
            (((1.0,), (0.7,), (0.0,)), ((0.2,), (1.0,), (1.0,))),
        ),
    }
