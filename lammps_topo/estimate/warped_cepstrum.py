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

The second noise model adds variance towards the upper frequency, for bands that end in something sharp which is of no
concern at f = 0, such as a vibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

__all__ = ["Average", "bin_ordinates", "warped_cepstrum"]

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

    ``power`` and ``shape`` [K] are those of the ordinates ``index`` … ``index`` + K - 1.
    """
    last = index + len(power)
    edges = list(range(index, min(index + SINGLE, last)))
    while edges[-1] < last:
        edges.append(min(last, max(edges[-1] + 1, round(edges[-1] * (1 + WIDTH)))))
    starts = np.array(edges[:-1]) - index
    weight = np.add.reduceat(shape, starts)
    mean = np.add.reduceat(power * shape, starts) / weight
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
    most = max(prefixes)
    curves, spreads = np.full((2, len(prefixes), most), np.nan)
    means, variances, knees, cusps = [], [], [], []
    for i, bins in enumerate(prefixes):
        part = slice(0, bins)
        mean, variance, knee, cusp, curves[i, part], spreads[i, part] = _one_band(
            frequency[part], power[part], shape[part], spacing
        )
        means.append(mean)
        variances.append(variance)
        knees.append(knee)
        cusps.append(cusp)
    curve = np.nanmean(curves, axis=0)
    band = np.sqrt(np.nanmean(spreads**2 + (curves - curve) ** 2, axis=0))
    return Average(
        mean=float(np.mean(means)),
        variance=float(np.mean(variances) + np.var(means)),
        curve=curve,
        band=band,
        knee=float(np.exp(np.mean(knees))),
        cusp=float(np.mean(cusps)),
    )


def _one_band(
    frequency: Array, power: Array, shape: Array, spacing: float
) -> tuple[float, float, float, float, Array, Array]:
    """Mean and variance of ln S(0), mean of ln f_w, weight of p < 1; mean and error of ln S at the bins."""
    logarithm = np.log(power)
    level = float(shape @ logarithm / shape.sum())
    octaves = max(2, int(np.ceil(np.log2(2 * frequency[-1] / (NARROWEST * spacing)))))
    knees = 2 * frequency[-1] * 2.0 ** -np.arange(octaves + 1)
    exponent, share = (np.repeat(part, len(knees)) for part in np.array(WARPS).T)
    knees = np.tile(knees, len(WARPS))
    twice = 2 * exponent[:, None]
    axis = np.log1p((frequency / knees[:, None]) ** twice) / twice  # [W, B]
    extent = axis[:, -1] + 2 * MARGIN
    waves = np.arange(1, COSINES + 1) * np.pi / extent[:, None]  # [W, J]
    basis = np.concatenate(
        (np.ones_like(axis)[..., None], axis[..., None], np.cos((axis[..., None] + MARGIN) * waves[:, None, :])), axis=2
    )
    length, amplitude = (grid.ravel() for grid in np.meshgrid(LENGTHS, AMPLITUDES, indexing="ij"))
    prior = np.empty((len(knees), len(length), basis.shape[2]))  # variances, [W, P, J + 2]
    prior[..., 0], prior[..., 1] = OFFSET**2, SLOPE**2
    prior[..., 2:] = (amplitude**2 * (2 * np.pi) ** 0.5 * length)[:, None] * (
        np.exp(-0.5 * (waves[:, None, :] * length[:, None]) ** 2) * (2 / extent)[:, None, None]
    )
    precision = 1 / np.maximum(prior, 1e-12)
    at_zero = np.concatenate(
        (np.broadcast_to([1.0, 0.0], (len(knees), 2)), np.cos(MARGIN * waves)), axis=1
    )  # [W, J + 2]
    harder = 1 / (1 / shape + (frequency / (SOFT * frequency[-1])) ** 4)
    solved = [_solve(basis, precision, power, shape_, logarithm, level, at_zero) for shape_ in (shape, harder)]
    evidence, mean, variance, curve, spread = (np.stack(parts) for parts in zip(*solved, strict=True))
    weight = np.exp(evidence - evidence.max()) * (share * knees**LEANING)[:, None]
    weight /= weight.sum()
    average = float((weight * mean).sum())
    smooth = np.einsum("nwp,nwpb->b", weight, curve)
    between = np.einsum("nwp,nwpb->b", weight, (curve - smooth) ** 2 + spread)
    return (
        average,
        float((weight * (variance + (mean - average) ** 2)).sum()),
        float((weight.sum(axis=(0, 2)) * np.log(knees)).sum()),
        float(weight[:, exponent < 1].sum()),
        smooth,
        np.sqrt(between),
    )


def _solve(
    basis: Array, precision: Array, power: Array, shape: Array, logarithm: Array, level: float, at_zero: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Evidence, mean and variance of ln S(0), [W, P], and mean and variance of ln S at the bins, [W, P, B]."""
    weighted = basis * shape[:, None]
    curvature = (weighted.transpose(0, 2, 1) @ basis)[:, None] + precision[..., None] * np.eye(basis.shape[2])
    covariance = np.linalg.inv(curvature)
    _, volume = np.linalg.slogdet(curvature)
    # working response of Fisher scoring; it starts from the logarithms, whose bias is known
    response = np.broadcast_to(logarithm - level - (digamma(shape) - np.log(shape)), (*volume.shape, len(power)))
    smooth = response
    for _ in range(ROUNDS):
        coefficients = ((response @ weighted)[..., None, :] @ covariance)[..., 0, :]
        smooth = coefficients @ basis.transpose(0, 2, 1)
        # a step is bounded: far below the data the response of exp would throw it far above
        better = smooth + np.minimum(power * np.exp(-(smooth + level)), 20.0) - 1
        change = float(np.abs(better - response).max())
        response = better
        if change < CONVERGED:
            break
    likelihood = shape * (np.log(shape) - smooth - level) - shape * power * np.exp(-(smooth + level)) - gammaln(shape)
    evidence = (
        (likelihood + (shape - 1) * logarithm).sum(axis=-1)
        + 0.5 * (np.log(precision) - coefficients**2 * precision).sum(axis=-1)
        - 0.5 * volume
    )
    spread = ((basis[:, None] @ covariance) * basis[:, None]).sum(axis=-1)
    return (
        evidence,
        (coefficients * at_zero[:, None]).sum(axis=-1) + level,
        np.einsum("wi,wpij,wj->wp", at_zero, covariance, at_zero),
        smooth + level,
        spread,
    )
