"""The matrix of zero-frequency spectral densities of several fluxes: errors, covariances, Schur complements.

Each flux is written as its regression on the fluxes before it and a rest (modified Cholesky decomposition),

    J_j(f) = sum_{k<j} beta_jk(f) J_k(f) + e_j(f),    S(0) = A D A^T,  A = (1 - beta)^-1,  D = diag S_e(0)

so that S(0) is positive semidefinite whatever beta and D are. For complex Wishart matrices of nu degrees of freedom
the periodogram of e_j is a Gamma variate of shape nu - j, independent of those of the fluxes before (Bartlett): its
limit is estimated by ``zero_frequency``. Given the fluxes before, J_j is Gaussian about sum beta_jk J_k, with variance
S_e(f): Re beta, even in f, and Im beta, odd, follow from linear least squares with known weights. They are expanded
like the logarithm of a spectral density in ``warped_cepstrum``, in cosines of ln(1 + (f/f_w)²)/2, as Gaussian
processes, and averaged over f_w, length and amplitude with the weight of their evidence, here exact, and over upper
frequencies; the variance between models is in the errors. A feature of beta at f = 0 that is a few ordinates wide hides
from them, as it does in a spectral density: best put the fluxes that are to be eliminated first. What is after flux
j - 1 in this order is free of the fluxes before: a Schur complement costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import EstimateError
from .spectrum import DEPENDENT, Spectrum
from .warped_cepstrum import MARGIN, NARROWEST, bin_ordinates
from .zero_frequency import ZeroFrequency, zero_frequency

__all__ = ["Onsager", "dependence", "onsager"]

Array = NDArray[np.float64]

COSINES = 20
LENGTHS = (0.5, 1.0)
AMPLITUDES = (0.02, 0.1, 0.5, 2.5)
"""Of what varies in beta_jk; unit: root mean square of what no constant beta explains of J_j, over that of J_k."""
FREE = 1e3
"""Prior standard deviation of the constant in beta, in the same unit."""
ROUNDING = 1e-18
PARTS = (1 / 16, 1 / 4, 1)
"""Of the highest frequency in use for D_j: the upper frequencies that beta is averaged over."""
FEWEST = 24
"""Ordinates in use for beta at least, where the spectrum has them."""


@dataclass(frozen=True)
class Onsager:
    """S(0) of M fluxes, m of them independent, and the parameters that it is made of.

    Conductivity-like coefficients are S(0)/(2 V kB T), as for one flux.
    """

    expression: Array
    """Fluxes as combinations of the independent ones, [M, m]; exact for those that depend on others."""
    pivots: tuple[ZeroFrequency, ...]
    """D_j: each independent flux with those before it eliminated."""
    regression: Array
    """beta_jk(0), [m, m], zero but for k < j."""
    regression_covariance: tuple[Array, ...]
    """Of the rows of beta: [j, j] of row j."""

    @property
    def resolved(self) -> bool:
        """Whether the plateaus at zero frequency of all pivots are."""
        return all(pivot.resolved for pivot in self.pivots)

    @property
    def matrix(self) -> Array:
        """S(0), [M, M], positive semidefinite."""
        root = self._unit() * np.sqrt([pivot.value for pivot in self.pivots])
        root = self.expression @ root
        return np.asarray(root @ root.T)

    def combination(self, forms: ArrayLike) -> tuple[Array, Array]:
        """Values [Q] and covariance [Q, Q] of sum_ab forms[q, a, b] S_ab(0), ``forms`` being [Q, M, M].

        By the delta method, from the independent errors of ln D_j and of the rows of beta.
        """
        forms = np.asarray(forms, dtype=np.float64)
        inner = np.einsum("ai,qab,bj->qij", self.expression, 0.5 * (forms + forms.swapaxes(1, 2)), self.expression)
        unit = self._unit()
        values = np.array([pivot.value for pivot in self.pivots])
        matrix = (unit * values) @ unit.T
        covariance = np.zeros((len(forms), len(forms)))
        turned = unit.T @ inner  # [Q, m, m]
        for j, pivot in enumerate(self.pivots):
            along = (turned[:, j] @ unit[:, j]) * pivot.value * pivot.log_error
            covariance += along[:, None] * along
            slope = 2 * turned[:, j] @ matrix[:, :j]  # of beta_jk: d S = A d beta S + transpose
            covariance += slope @ self.regression_covariance[j] @ slope.T
        return np.einsum("qij,ij->q", inner, matrix), covariance

    def error(self) -> Array:
        """Standard errors of the elements of ``matrix``, [M, M]."""
        number = len(self.expression)
        forms = np.eye(number * number).reshape(-1, number, number)
        return np.asarray(np.sqrt(np.diag(self.combination(forms)[1])).reshape(number, number))

    def without(self, first: int) -> Onsager:
        """Of the fluxes behind the ``first`` ones, with those eliminated: a Schur complement."""
        independent = int((np.abs(self.expression[:first]).max(axis=0, initial=0.0) > 0).sum())
        return Onsager(
            expression=self.expression[first:, independent:],
            pivots=self.pivots[independent:],
            regression=self.regression[independent:, independent:],
            regression_covariance=tuple(
                row[independent:, independent:] for row in self.regression_covariance[independent:]
            ),
        )

    def _unit(self) -> Array:
        return np.asarray(np.linalg.inv(np.eye(len(self.regression)) - self.regression))


def onsager(spectrum: Spectrum) -> Onsager:
    """S(0) of all fluxes of ``spectrum``, each regressed on those before it: the order decides which S(0) are direct.

    Fluxes that are exact combinations of those before them, and fluxes that are zero, take no part. Raises
    EstimateError for more independent fluxes than degrees of freedom, for none, and as ``zero_frequency`` does.
    """
    expression, kept = dependence(spectrum.matrix[1:].real.sum(axis=0))
    if not kept:
        raise EstimateError("all fluxes are zero")
    pivots, rows, covariances = [], np.zeros((len(kept), len(kept))), []
    for j, flux in enumerate(kept):
        order = [flux, *kept[:j]]
        part = replace(spectrum, matrix=spectrum.matrix[:, order][:, :, order])
        pivots.append(zero_frequency(part))
        rows[j, :j], covariance = _regression(part, pivots[-1])
        covariances.append(covariance)
    return Onsager(expression, tuple(pivots), rows, tuple(covariances))


def dependence(covariance: Array, *, alike: bool = False) -> tuple[Array, list[int]]:
    """Fluxes that are not combinations of those before them, and all as combinations of these: [M, m].

    From the ``covariance`` at equal times [M, M], in any unit: a flux of which less than 1e-10 of the variance is left
    counts as a combination. Of fluxes that are ``alike``, in the same unit, those whose variance is 1e-18 of the
    largest are rounding, and zero.
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    if alike:
        deviation[deviation**2 <= ROUNDING * deviation.max(initial=0.0) ** 2] = 0.0
    kept: list[int] = []
    rows: list[dict[int, float]] = []
    for flux, size in enumerate(deviation):
        weights = np.zeros(0)
        left = size**2
        if size > 0 and kept:
            scale = deviation[kept]
            inner = covariance[np.ix_(kept, kept)] / np.outer(scale, scale)
            cross = covariance[kept, flux] / scale
            weights = np.linalg.solve(inner, cross) / scale
            left -= float(weights @ covariance[kept, flux])
        if left > DEPENDENT * size**2:
            kept.append(flux)
            rows.append({flux: 1.0})
        else:
            rows.append(dict(zip(kept, weights.tolist(), strict=False)))
    return np.array([[row.get(flux, 0.0) for flux in kept] for row in rows]), kept


def _regression(spectrum: Spectrum, rest: ZeroFrequency) -> tuple[Array, Array]:
    """beta(0) of flux 0 on the others, [j], and its covariance, [j, j]; ``rest`` is flux 0 with them eliminated."""
    others = spectrum.matrix.shape[1] - 1
    if others == 0:
        return np.zeros(0), np.zeros((0, 0))
    spacing = float(spectrum.frequency[1])
    first = 0 if np.isfinite(rest.binned[0]) else 1  # whether the ordinate at f = 0 is in use
    index = np.arange(first, round(max(rest.cutoffs) / spacing) + 1)
    matrix = spectrum.matrix[index]
    total = matrix.real.sum(axis=0)
    offset = np.linalg.solve(total[1:, 1:], total[1:, 0])  # subtracted first: another zero of J_0 changes nothing
    turn = np.eye(others + 1)
    turn[0, 1:] = -offset
    matrix = turn @ matrix @ turn.T
    power = np.einsum("kaa->a", matrix).real ** 0.5
    scale = power[0] / power[1:]  # unit of beta
    known = np.log(np.maximum(rest.frequencies, 0.5 * spacing))
    smooth = np.exp(np.interp(np.log(np.maximum(index, 0.5) * spacing), known, np.log(rest.smooth)))
    weight = np.where(spectrum.halved[index], 1, 2) * spectrum.dof / smooth
    _, _, centre, edges = bin_ordinates(np.ones(len(index)), np.ones(len(index)), first)
    starts = edges[:-1] - first
    square = np.add.reduceat(matrix[:, 1:, 1:] * weight[:, None, None], starts) * scale[:, None] * scale
    product = np.add.reduceat(matrix[:, 1:, 0] * weight[:, None], starts) * scale
    tops = [max(max(rest.cutoffs) / spacing * part, FEWEST) for part in PARTS]
    prefixes = sorted({max(int(np.searchsorted(edges, top + 1, side="right")) - 1, 2) for top in tops})
    found = [_one_band(centre[:bins], square[:bins], product[:bins]) for bins in prefixes]
    mean = np.asarray(np.mean([one for one, _ in found], axis=0))
    covariance = np.mean([part + np.outer(one - mean, one - mean) for one, part in found], axis=0)
    return offset + mean * scale, covariance * np.outer(scale, scale)


def _one_band(index: Array, square: NDArray[np.complex128], product: NDArray[np.complex128]) -> tuple[Array, Array]:
    """Mean [j] and covariance [j, j] of beta(0): the data are ``square`` beta = ``product`` ± sqrt(``square``).

    ``index`` [B] of the bins, ``square`` [B, j, j], ``product`` [B, j].
    """
    others = product.shape[1]
    octaves = max(2, math.ceil(math.log2(2 * index[-1] / NARROWEST)))
    knees = 2 * index[-1] * 2.0 ** -np.arange(octaves + 1)
    ratio = index / knees[:, None]
    axis = np.log1p(ratio**2) / 2  # [W, B]
    extent = axis[:, -1] + 2 * MARGIN
    waves = np.arange(COSINES + 1) * np.pi / extent[:, None]  # [W, C], the constant first
    even = np.cos((axis[..., None] + MARGIN) * waves[:, None, :])  # [W, B, C]
    # Re beta in cosines, Im beta in cosines times an odd function of f: [W, B, 2 C]
    basis = np.concatenate((even.astype(np.complex128), 1j * (ratio / np.sqrt(1 + ratio**2))[..., None] * even), axis=2)
    at_zero = np.concatenate((np.cos(MARGIN * waves), np.zeros_like(waves)), axis=1)  # [W, 2 C]
    size = others * basis.shape[2]
    curvature = np.einsum("wbm,bkl,wbn->wkmln", basis.conj(), square, basis, optimize=True).real
    curvature = curvature.reshape(len(knees), size, size)
    response = np.einsum("wbm,bk->wkm", basis.conj(), product, optimize=True).real.reshape(len(knees), size)
    length, amplitude = (grid.ravel() for grid in np.meshgrid(LENGTHS, AMPLITUDES, indexing="ij"))
    prior = (amplitude**2 * (2 * np.pi) ** 0.5 * length)[:, None] * (
        np.exp(-0.5 * (waves[:, None, :] * length[:, None]) ** 2) * (2 / extent)[:, None, None]
    )  # variances, [W, P, C]
    real, imaginary = prior.copy(), prior
    real[..., 0] = FREE**2
    imaginary[..., 0] *= 0.5
    precision = np.tile(1 / np.maximum(np.concatenate((real, imaginary), axis=2), 1e-12), others)  # [W, P, size]
    posterior = curvature[:, None] + precision[..., None] * np.eye(size)
    # the vectors that take coefficients to beta_k(0): [W, size, j]
    at_zero = np.einsum("kl,wm->wkml", np.eye(others), at_zero).reshape(len(knees), size, others)
    known = np.concatenate((response[..., None], at_zero), axis=2)[:, None]
    solved = np.linalg.solve(posterior, np.broadcast_to(known, (*precision.shape, others + 1)))
    coefficients, solved = solved[..., 0], solved[..., 1:]
    explained = np.einsum("wpi,wi->wp", coefficients, response)
    evidence = 0.5 * (np.log(precision).sum(axis=-1) - np.linalg.slogdet(posterior)[1] + explained)
    weight = np.exp(evidence - evidence.max()) / knees[:, None]  # leaning to the cautious
    weight /= weight.sum()
    value = np.einsum("wpi,wik->wpk", coefficients, at_zero)
    within = np.einsum("wik,wpil->wpkl", at_zero, solved)
    mean = np.einsum("wp,wpk->k", weight, value)
    away = value - mean
    between = within + away[..., :, None] * away[..., None, :]
    return mean, np.einsum("wp,wpkl->kl", weight, between)
