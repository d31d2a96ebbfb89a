"""Spectral densities: the cross-periodogram matrix of several fluxes and what is made of it before any fit.

Convention (physics.md section 3): with N samples an interval eps apart and f_k = k/(N eps),

    S_ab(f_k) = eps/N <conj(J~_a(k)) J~_b(k)>,    J~_a(k) = sum_t J_a(t) exp(-2 pi i k t/N)

averaged over Cartesian components and segments. S_aa(0) is the two-sided zero-frequency spectral density,
int <J_a(t) J_a(0)> dt over all times of one component: twice the Green-Kubo integral.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EstimateError

__all__ = [
    "Spectrum",
    "block_average",
    "combine",
    "cross_periodogram",
    "schur_dof",
    "schur_spectrum",
    "truncate",
]

DEPENDENT = 1e-10
"""A flux whose variance left unexplained by the others is below this fraction counts as dependent on them."""


@dataclass(frozen=True)
class Spectrum:
    """Cross-periodogram matrix of M fluxes at K frequencies; it knows how much statistics is in it."""

    frequency: NDArray[np.float64]
    """Frequencies k/(segment interval), k = 0 … K-1, [K], 1/time."""
    matrix: NDArray[np.complex128]
    """Hermitian matrices S_ab(f_k), [K, M, M], flux² time."""
    dof: float
    """Complex degrees of freedom nu of an ordinate (components × segments); half of it where ``halved``."""
    interval: float
    """Time between samples."""
    segment: int
    """Samples in a segment (even)."""

    @property
    def halved(self) -> NDArray[np.bool_]:
        """Ordinates with half the degrees of freedom, their Fourier sums being real (0 and Nyquist), [K]."""
        index = np.rint(self.frequency * self.segment * self.interval).astype(np.int64)
        return np.asarray((index == 0) | (2 * index == self.segment), dtype=np.bool_)

    @property
    def nyquist(self) -> float:
        """Nyquist frequency of the sampling, 1/time; the spectrum may have been truncated below it."""
        return 0.5 / self.interval


def cross_periodogram(flux: ArrayLike, interval: float, *, segment: int | None = None) -> Spectrum:
    """Cross-periodogram matrix of ``flux`` [T, M, C]: samples, fluxes, equivalent (Cartesian) components.

    ``segment`` is the even number of samples of one segment; without it the whole series (its even part) is
    one segment. Samples after the last whole segment are not used, the mean is not removed. Equation:
    physics.md section 3, [PGB] appendix B. Raises EstimateError for a series that is too short, an odd
    segment, or a value that is not finite.
    """
    series = np.asarray(flux, dtype=np.float64)
    if series.ndim != 3 or 0 in series.shape:
        raise EstimateError(f"a flux must have the shape [samples, fluxes, components], not {series.shape}")
    if not interval > 0 or not np.isfinite(interval):
        raise EstimateError(f"the time between samples must be positive, not {interval}")
    samples, fluxes, components = series.shape
    length = samples - samples % 2 if segment is None else segment
    if length < 2 or length % 2:
        raise EstimateError(f"a segment must hold an even number of samples, at least 2, not {length}")
    if length > samples:
        raise EstimateError(f"a segment of {length} samples is longer than the series of {samples}")
    segments = samples // length
    if not np.isfinite(series[: segments * length]).all():
        raise EstimateError("the flux series holds a value that is not finite")
    total = np.zeros((length // 2 + 1, fluxes, fluxes), dtype=np.complex128)
    for part in series[: segments * length].reshape(segments, length, fluxes, components):
        transform = np.fft.rfft(part, axis=0)
        for a in range(fluxes):
            for b in range(a, fluxes):
                total[:, a, b] += np.einsum("kc,kc->k", transform[:, a].conj(), transform[:, b])
    dof = segments * components
    total *= interval / (length * dof)
    for a in range(fluxes):
        for b in range(a):
            total[:, a, b] = total[:, b, a].conj()
    frequency = np.arange(length // 2 + 1) / (length * interval)
    return Spectrum(frequency=frequency, matrix=total, dof=float(dof), interval=float(interval), segment=length)


def combine(spectrum: Spectrum, weights: ArrayLike) -> Spectrum:
    """Spectrum of the R new fluxes J'_r = sum_a weights[r, a] J_a; ``weights`` is real, [R, M].

    S'_rs = sum_ab weights[r, a] weights[s, b] S_ab. Raises EstimateError if the shapes do not fit.
    """
    matrix = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    fluxes = spectrum.matrix.shape[1]
    if matrix.ndim != 2 or matrix.shape[1] != fluxes or not np.isfinite(matrix).all():
        raise EstimateError(f"weights must be finite, one row of {fluxes} for each new flux, not {matrix.shape}")
    return replace(spectrum, matrix=matrix @ spectrum.matrix @ matrix.T)


def truncate(spectrum: Spectrum, cutoff: float) -> Spectrum:
    """The ordinates with f_k <= ``cutoff`` (1/time): a low-frequency cut without any aliasing.

    Raises EstimateError if nothing beyond f = 0 is left.
    """
    kept = int(np.count_nonzero(spectrum.frequency <= cutoff * (1 + 1e-12)))
    if kept < 2:
        raise EstimateError(
            f"a cut-off frequency of {cutoff:g} leaves no ordinate above zero; the frequencies are "
            f"{spectrum.frequency[1]:g} apart"
        )
    return replace(spectrum, frequency=spectrum.frequency[:kept], matrix=spectrum.matrix[:kept])


def schur_dof(spectrum: Spectrum) -> float:
    """Complex degrees of freedom nu - M + 1 of ``schur_spectrum``: each eliminated flux costs one."""
    return float(spectrum.dof - spectrum.matrix.shape[1] + 1)


def schur_spectrum(spectrum: Spectrum) -> NDArray[np.float64]:
    """Spectral density 1/(S^-1)_00 of flux 0 with all others eliminated, [K], flux² time; S_00 for one flux.

    It is distributed as its limit times Gamma(nu - M + 1)/nu ([PGB] appendix B): ``schur_dof`` is the shape,
    and the mean is low by the factor (nu - M + 1)/nu. Raises EstimateError if there are more fluxes than
    degrees of freedom, if an eliminated flux is a combination of others, or if nothing positive is left.
    """
    fluxes = spectrum.matrix.shape[1]
    if schur_dof(spectrum) < 1:
        raise EstimateError(
            f"{fluxes - 1} fluxes cannot be eliminated with {spectrum.dof:g} degrees of freedom an ordinate: "
            "average over more segments"
        )
    power = np.einsum("kaa->ka", spectrum.matrix).real
    if not (power > 0).all():
        index, flux = np.argwhere(~(power > 0))[0]
        raise EstimateError(
            f"the spectral density of flux {flux} is {power[index, flux]:g} at frequency "
            f"{spectrum.frequency[index]:g}; it must be positive (a constant flux, or its mean removed?)"
        )
    scale = 1 / np.sqrt(power)
    rest = spectrum.matrix * scale[:, :, None] * scale[:, None, :]
    for flux in range(fluxes - 1, 0, -1):
        pivot = rest[:, flux, flux].real
        if not (pivot > DEPENDENT).all():
            raise EstimateError(f"flux {flux} is a linear combination of fluxes that are eliminated with it")
        row = rest[:, flux, :flux]
        rest = rest[:, :flux, :flux] - row.conj()[:, :, None] * row[:, None, :] / pivot[:, None, None]
    left = rest[:, 0, 0].real
    if not (left > DEPENDENT).all():
        raise EstimateError("flux 0 is a linear combination of the fluxes that are to be eliminated from it")
    return np.asarray(left * power[:, 0], dtype=np.float64)


def block_average(flux: ArrayLike, width: int) -> NDArray[np.float64]:
    """Low-pass by means over ``width`` consecutive samples, one value kept from each; [T, …] -> [T', …].

    This is the resampling of SporTran (a moving average, then every ``width``-th sample; T' is made even). It
    folds what lies above the new Nyquist frequency back into the band; ``truncate`` does not. Raises
    EstimateError if fewer than two blocks fit.
    """
    series = np.asarray(flux, dtype=np.float64)
    if width < 1 or series.ndim < 1 or series.shape[0] < 2 * width:
        raise EstimateError(f"blocks of {width} samples do not fit twice into a series of {series.shape[:1]}")
    blocks = series.shape[0] // width
    blocks -= blocks % 2
    folded = series[: blocks * width].reshape(blocks, width, *series.shape[1:])
    return np.asarray(folded.mean(axis=1), dtype=np.float64)
