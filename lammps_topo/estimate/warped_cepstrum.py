"""Warped cepstrum: ln S(f) as a smooth function of a warped frequency, averaged over all the scales it may have.

A cepstral analysis expands ln S in cosines of f up to a frequency f* and leaves out those beyond an order P*; its error
does not know that f* and P* were chosen from the same data. Here the axis is

    u(f) = ln(1 + (f/f_w)^(2p))/(2p)

For p = 1 it is proportional to f² below the knee f_w and logarithmic above: flat towards zero, as a spectral density
is below its slowest relaxation, and equally smooth in every octave beyond. (A small weight is on p = ½, for those that
have no slowest one and approach S(0) with a cusp.) On it

    ln S = c_0 + s u + sum_j c_j cos(j pi (u + 1)/L),    c_j ~ N(0, A² sqrt(2 pi) l exp(-(j pi l/L)²/2) 2/L)

the cosine expansion of a Gaussian process of amplitude A and correlation length l in u. Averaged ordinates are Gamma
variates about S (Whittle's likelihood), whose Fisher information on ln S does not depend on S: the mode of the
coefficients takes a few linear solves with one matrix. All combinations of f_w (by octaves), A, l, of two noise models
and of several upper frequencies are solved together and averaged: within an upper frequency with the weight of their
evidence (Laplace), over upper frequencies equally. The variance of the average holds what the models disagree about.

How large an error is usual for such a spectrum, ``typical`` asks its parts.

The second noise model adds variance towards the upper frequency, for bands that end in something sharp which is of no
concern at f = 0, such as a vibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

__all__ = ["Average", "Typical", "bin_ordinates", "typical", "warped_cepstrum"]

Array = NDArray[np.float64]

SINGLE = 12
"""Ordinates that are bins of their own; further up a bin is ``WIDTH`` of its frequency wide."""
WIDTH = 0.1
WARPS = ((1.0, 1.0), (0.5, 0.02))
"""Exponents p of the approach to zero frequency, and their prior weights."""
LENGTHS = (0.35, 0.7, 1.4)
AMPLITUDES = (0.25, 0.7, 2.0)
SLOPE, OFFSET = 3.0, 5.0
"""Prior standard deviations of s and, about the mean of the logarithms, of c_0."""
COSINES = 28
MARGIN = 1.0
"""Of the cosines beyond both ends of u: they are level at the ends of their range, which S need not be."""
NARROWEST = 3
"""The smallest knee, in ordinates."""
LEANING = 1.0
"""Prior weight of a knee, as its power: a preference for the smoother of two models that explain the data as well."""
SOFT = 0.4
"""Of the upper frequency: where the second noise model's added variance of ln S becomes 1."""
ROUNDS, CONVERGED = 12, 1e-4
PARTS, FEWEST = 4, 100
"""Parts of the ordinates whose errors are averaged, at most; ordinates of a part, at least."""
POWER = 0.475
"""An error falls with this power of the number of ordinates, not with ½: what is smooth is found by and by."""


@dataclass(frozen=True)
class Average:
    """What the data say of ln S, averaged over models; all in natural logarithms."""

    mean: float
    """Of ln S(0)."""
    variance: float
    """Of ln S(0), within and between models."""
    curve: Array
    """Mean of ln S at the bins, [B]."""
    band: Array
    """Its standard deviation, [B]."""
    knee: float
    """Geometric mean of the knee f_w, 1/time."""
    cusp: float
    """Weight of the models without a slowest time, p = ½."""


def bin_ordinates(power: Array, shape: Array, index: int) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Averages of neighbouring ordinates: power [B], Gamma shape [B], index of the centre [B], and the edges [B + 1].

    ``power`` [..., K] and ``shape`` [K] are those of the ordinates ``index`` … ``index`` + K - 1.
    """
    last = index + len(shape)
    edges = list(range(index, min(index + SINGLE, last)))
    while edges[-1] < last:
        edges.append(min(last, max(edges[-1] + 1, round(edges[-1] * (1 + WIDTH)))))
    starts = np.array(edges[:-1]) - index
    weight = np.add.reduceat(shape, starts)
    mean = np.add.reduceat(power * shape, starts, axis=-1) / weight
    centre = np.add.reduceat(shape * np.arange(index, last), starts) / weight
    return mean, weight, centre, np.array(edges)


def warped_cepstrum(frequency: Array, power: Array, shape: Array, prefixes: list[int], spacing: float) -> Average:
    """Average over models of ln S.

    Parameters
    ----------
    frequency, power, shape : [B] of bins, increasing: centre, averaged ordinates, shape of their Gamma distribution
    prefixes : numbers of bins, each an upper frequency; all must be at least 2, the largest B or less
    spacing : of the ordinates
    """
    curves, spreads = np.full((2, len(prefixes), max(prefixes)), np.nan)
    fits = []
    for i, bins in enumerate(prefixes):
        part = slice(0, bins)
        fits.append(_Models(frequency[part], shape[part], spacing).fit(power[part]))
        curves[i, part], spreads[i, part] = fits[i].at_bins()
    means, variances = zip(*(fit.at_zero() for fit in fits), strict=True)
    curve = np.nanmean(curves, axis=0)
    band = np.sqrt(np.nanmean(spreads**2 + (curves - curve) ** 2, axis=0))
    return Average(
        mean=float(np.mean(means)),
        variance=float(np.mean(variances) + np.var(means)),
        curve=curve,
        band=band,
        knee=float(np.exp(np.mean([fit.knee for fit in fits]))),
        cusp=float(np.mean([fit.cusp for fit in fits])),
    )


@dataclass(frozen=True)
class Typical:
    """What spectra like this one give on average, freed of most of the chance in this one."""

    error: float
    """Standard error of ln S(0), without what upper frequencies disagree about; NaN for too few ordinates."""
    cusp: float
    """Weight of the models without a slowest time."""


def typical(power: Array, shape: Array, kept: list[int], spacing: float) -> Typical:
    """Averages over parts of the spectrum.

    The error of ``warped_cepstrum`` scatters by a fifth, and is small where S(0) comes out low by chance, below a peak
    that the noise hides. Here every n-th ordinate makes an estimate of its own, as of a run n times shorter: n of them,
    none sharing an ordinate with another. Their mean square error, scaled to the whole, scatters by half as much.

    Parameters
    ----------
    power, shape : [K] of the ordinates 1 … K
    kept : numbers of ordinates, each an upper frequency
    spacing : of the ordinates
    """
    parts = min(PARTS, max(kept) // FEWEST)
    if parts < 2:
        return Typical(math.nan, 0.0)
    number = max(kept) // parts
    mean, weight, centre, edges = bin_ordinates(power[: parts * number].reshape(number, parts).T, shape[:number], 1)
    variances, cusps = [], []
    for most in sorted({max(int(np.searchsorted(edges, one / parts + 1, side="right")) - 1, 2) for one in kept}):
        bins = slice(0, most)
        models = _Models(parts * spacing * centre[bins], weight[bins], parts * spacing)
        fits = [models.fit(part[bins]) for part in mean]
        variances += [fit.at_zero()[1] for fit in fits]
        cusps += [fit.cusp for fit in fits]
    return Typical(float(np.sqrt(np.mean(variances)) * parts**-POWER), float(np.mean(cusps)))


class _Models:
    """All models of one band: what does not depend on the powers.

    frequency, shape : [B] of bins
    spacing : of the ordinates
    """

    def __init__(self, frequency: Array, shape: Array, spacing: float) -> None:
        octaves = max(2, int(np.ceil(np.log2(2 * frequency[-1] / (NARROWEST * spacing)))))
        knees = 2 * frequency[-1] * 2.0 ** -np.arange(octaves + 1)
        self.exponent, share = (np.repeat(part, len(knees)) for part in np.array(WARPS).T)
        self.knees = np.tile(knees, len(WARPS))  # [W]
        self.prior = share * self.knees**LEANING
        twice = 2 * self.exponent[:, None]
        axis = np.log1p((frequency / self.knees[:, None]) ** twice) / twice  # [W, B]
        extent = axis[:, -1] + 2 * MARGIN
        waves = np.arange(1, COSINES + 1) * np.pi / extent[:, None]  # [W, J]
        cosines = np.cos((axis[..., None] + MARGIN) * waves[:, None, :])
        self.basis = np.concatenate((np.ones_like(axis)[..., None], axis[..., None], cosines), axis=2)  # [W, B, J + 2]
        self.at_zero = np.concatenate(
            (np.broadcast_to([1.0, 0.0], (len(self.knees), 2)), np.cos(MARGIN * waves)), axis=1
        )  # [W, J + 2]
        length, amplitude = (grid.ravel() for grid in np.meshgrid(LENGTHS, AMPLITUDES, indexing="ij"))
        variance = np.empty((len(self.knees), len(length), self.basis.shape[2]))  # [W, P, J + 2]
        variance[..., 0], variance[..., 1] = OFFSET**2, SLOPE**2
        variance[..., 2:] = (amplitude**2 * (2 * np.pi) ** 0.5 * length)[:, None] * (
            np.exp(-0.5 * (waves[:, None, :] * length[:, None]) ** 2) * (2 / extent)[:, None, None]
        )
        self.precision = 1 / np.maximum(variance, 1e-12)
        harder = 1 / (1 / shape + (frequency / (SOFT * frequency[-1])) ** 4)
        self.noises = [_Noise(self.basis, self.precision, self.at_zero, noise) for noise in (shape, harder)]

    def fit(self, power: Array) -> _Fit:
        """Of the averaged ordinates ``power`` [B]."""
        logarithm = np.log(power)
        shape = self.noises[0].shape
        level = float(shape @ logarithm / shape.sum())
        modes = [noise.mode(power, logarithm, level) for noise in self.noises]
        evidence = np.stack([of for of, _ in modes])
        weight = np.exp(evidence - evidence.max()) * self.prior[:, None]
        return _Fit(self, weight / weight.sum(), np.stack([of for _, of in modes]), level)


class _Noise:
    """One noise model: the Gamma distribution of the ordinates has ``shape`` [B]; the rest is that of ``_Models``."""

    def __init__(self, basis: Array, precision: Array, at_zero: Array, shape: Array) -> None:
        self.shape, self.precision = shape, precision
        self.transposed = basis.transpose(0, 2, 1)
        self.weighted = basis * shape[:, None]
        curvature = (self.weighted.transpose(0, 2, 1) @ basis)[:, None] + precision[..., None] * np.eye(basis.shape[2])
        self.covariance = np.linalg.inv(curvature)  # of the coefficients, [W, P, J + 2, J + 2]
        _, self.volume = np.linalg.slogdet(curvature)
        self.variance = np.einsum("wi,wpij,wj->wp", at_zero, self.covariance, at_zero)

    def mode(self, power: Array, logarithm: Array, level: float) -> tuple[Array, Array]:
        """Evidence [W, P] and mode of the coefficients [W, P, J + 2], of ln S less ``level``."""
        shape, precision = self.shape, self.precision
        # working response of Fisher scoring; it starts from the logarithms, whose bias is known
        start = logarithm - level - (digamma(shape) - np.log(shape))
        response = smooth = np.broadcast_to(start, (*self.volume.shape, len(power)))
        for _ in range(ROUNDS):
            coefficients = ((response @ self.weighted)[..., None, :] @ self.covariance)[..., 0, :]
            smooth = coefficients @ self.transposed
            # a step is bounded: far below the data the response of exp would throw it far above
            better = smooth + np.minimum(power * np.exp(-(smooth + level)), 20.0) - 1
            change = float(np.abs(better - response).max())
            response = better
            if change < CONVERGED:
                break
        likelihood = (
            shape * (np.log(shape) - smooth - level) - shape * power * np.exp(-(smooth + level)) - gammaln(shape)
        )
        evidence = (
            (likelihood + (shape - 1) * logarithm).sum(axis=-1)
            + 0.5 * (np.log(precision) - coefficients**2 * precision).sum(axis=-1)
            - 0.5 * self.volume
        )
        return evidence, coefficients


@dataclass(frozen=True)
class _Fit:
    """Models with the weights that some powers give them."""

    models: _Models
    weight: Array
    """[N, W, P]: noise models, knees, priors; they add up to one."""
    coefficients: Array
    """Modes, [N, W, P, J + 2]."""
    level: float
    """To be added to ln S."""

    def at_zero(self) -> tuple[float, float]:
        """Mean and variance of ln S(0)."""
        mean = (self.coefficients * self.models.at_zero[:, None]).sum(axis=-1)
        average = float((self.weight * mean).sum())
        within = np.stack([noise.variance for noise in self.models.noises])
        return average + self.level, float((self.weight * (within + (mean - average) ** 2)).sum())

    def at_bins(self) -> tuple[Array, Array]:
        """Mean and standard deviation of ln S, [B]."""
        basis = self.models.basis
        curve = self.coefficients @ basis.transpose(0, 2, 1)
        smooth = np.einsum("nwp,nwpb->b", self.weight, curve)
        within = np.stack(
            [((basis[:, None] @ noise.covariance) * basis[:, None]).sum(axis=-1) for noise in self.models.noises]
        )
        return smooth + self.level, np.sqrt(np.einsum("nwp,nwpb->b", self.weight, (curve - smooth) ** 2 + within))

    @property
    def knee(self) -> float:
        """Mean of ln f_w."""
        return float((self.weight.sum(axis=(0, 2)) * np.log(self.models.knees)).sum())

    @property
    def cusp(self) -> float:
        """Weight of p < 1."""
        return float(self.weight[:, self.models.exponent < 1].sum())
