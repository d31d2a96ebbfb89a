"""Do two charge currents conduct alike? The low frequencies of currents whose difference may not diffuse at all.

Two currents that differ by the time derivative of a bounded vector P have one conductivity (physics.md §2, [B]). The
spectral density of the difference d = dP/dt is then (2 pi f)² S_P(f): it vanishes at f = 0, so that its logarithm has
no limit there, and a periodogram of a finite run does not even show it, for d leaks: the ends of the run add
|P(T) - P(0)|²/T to every ordinate. Sines do neither. Of a displacement Delta over a time T,

    y_k = sqrt(2/T) int_0^T sin(pi k t/T) dDelta(t),    k = 1, 2, …,    f_k = k/(2 T)

are independent, and of variance S(f_k); for d = dP/dt they are exactly -2 pi f_k times the cosine amplitudes of P. They
need displacements only, which are sums without any aliasing. In the lowest of them one looks for a part that does not
vanish,

    S_d(f) = e + A f² [(1 - c)/(1 + (f/f_w)²)^q + c]

with the profile likelihood of e over the scale A and over shapes of a relaxation (q = 1 for a single one) with faster
motion beside it, which has the share c (f_w above ``SLOWEST`` ordinates: what takes more than a sixteenth of the run
cannot be told from what diffuses). The same model weighs the ordinates of a regression of d on other currents; its
slope at f = 0 has an error that falls like 1/T where d is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dst
from scipy.special import chdtrc, chdtri, ndtri

from ..errors import EstimateError

__all__ = ["Comparison", "Limit", "Sines", "Verdict", "compare", "limit", "regress", "sine_amplitudes", "sine_spectrum"]

Array = NDArray[np.float64]
Verdict = Literal["equivalent", "different", "cannot tell yet"]

ORDINATES = 48
"""Of the sines, in use."""
FEWEST = 16
BLOCKS = 4096
"""Of a displacement, at most: the sines are long against them."""
SHOWN = 1 << 16
"""Ordinates in a figure, before they are averaged."""
SLOWEST = 5.0
"""The lowest f_w, in ordinates: a relaxation time of T/16."""
POWERS = (0.5, 1.0)
FASTER = (0.0, 0.3, 0.6)
"""Shares c of motion faster than that of f_w; without them, mixtures of both are called different too often."""
SHARES = np.concatenate(([0.0], np.geomspace(1e-7, 1.0, 141)))
"""Of e in the mean of S_d over the ordinates."""
LARGER = np.exp(np.concatenate(([0.0], np.geomspace(1e-3, 2.0, 80))))
"""Factors by which S as a whole may be larger than is most likely."""
ALIKE = 0.02
"""Logarithm of frequencies of different stretches that count as one; those of one stretch are further apart."""
ROUNDING = 1e-12
"""Share of a variance that is none."""


@dataclass(frozen=True)
class Sines:
    """Amplitudes of the lowest sines of R displacements."""

    frequency: Array
    """[Q], 1/time."""
    amplitude: Array
    """[Q, R, C], C Cartesian components; the square is a spectral density, flux² time."""
    spacing: float
    """Of the frequencies: 1/(2 T) of the longest stretch."""


@dataclass(frozen=True)
class Limit:
    """The spectral density at f = 0 of a flux that may have none."""

    value: float
    """Most likely S(0), flux² time, 0 or above."""
    chance: float
    """Chance of data that speak as much for S(0) > 0 when it is 0."""
    smooth: Array
    """Mean of S over all models, with the weight of their likelihood, at the ordinates, [Q]."""
    bounded: Array
    """The most likely shape of what vanishes at f = 0, at most 1, [Q]."""
    profile: tuple[Array, Array]
    """Values of S(0), and twice how much less likely they are than the most likely one, in logarithms."""

    def upper(self, level: float) -> float:
        """Upper end of a one-sided interval that holds S(0) with the probability ``level`` > ½."""
        values, less = self.profile
        return float(values[less <= chdtri(1, 2 * (1 - level))].max())


@dataclass(frozen=True)
class Comparison:
    """What two currents a and b have in common at zero frequency; spectral densities in flux² time."""

    verdict: Verdict
    level: float
    """Of the verdict: 1 - the chance of calling currents different that are equivalent."""
    difference: float
    """S_a(0) - S_b(0)."""
    error: float
    """Its standard error: that of what two equivalent currents give."""
    part: Limit
    """S(0) of the current a - b."""
    upper: float
    """Upper end of the interval of that, at the level."""
    coherence: float
    """|S_ab|²/(S_aa S_bb) of currents that do not differ but by this part."""
    coherence_error: float
    """Its standard error, as long as the interval of this part is upwards."""


def sine_amplitudes(displacements: Sequence[Array], interval: float) -> Sines:
    """Of displacements (n_i, R, C) in stretches of the run; those shorter than half of the longest do not count.

    By parts, from means over blocks: y_k = -int (d/dt sin) Delta dt. Raises EstimateError if the longest has fewer than
    4 * ``FEWEST`` samples.
    """
    longest = max(map(len, displacements), default=0)
    if longest < 4 * FEWEST:
        raise EstimateError(f"the run has {longest} samples without a gap; {4 * FEWEST} are needed")
    frequencies, amplitudes = [], []
    for part in displacements:
        if 2 * len(part) < longest:
            continue
        edges, means = _block_means(part, BLOCKS)
        orders = np.arange(1, min(ORDINATES, len(means) // 4) + 1)
        waves = np.sin(math.pi * np.outer(orders, edges / len(part)))
        duration = len(part) * interval
        amplitudes.append(-math.sqrt(2 / duration) * np.tensordot(np.diff(waves, axis=1), means, axes=1))
        frequencies.append(orders / (2 * duration))
    return Sines(np.concatenate(frequencies), np.concatenate(amplitudes), 1 / (2 * longest * interval))


def _block_means(part: Array, most: int) -> tuple[NDArray[np.int64], Array]:
    """Edges [B + 1] of blocks of equally many samples, and means over them, [B, R, C]."""
    edges = np.rint(np.linspace(0, len(part), min(len(part), most) + 1)).astype(np.int64)
    return edges, np.add.reduceat(part, edges[:-1], axis=0) / np.diff(edges)[:, None, None]


def limit(sines: Sines, row: int | Array) -> Limit:
    """S(0) of one of the currents, or of amplitudes [Q, C] made of them."""
    amplitude = sines.amplitude[:, row] if isinstance(row, int) else row
    power = (amplitude**2).mean(axis=1)
    if not power.max() > 0:
        zero = np.zeros(1)
        return Limit(0.0, 1.0, np.zeros(len(power)), np.zeros(len(power)), (zero, zero))
    half = 0.5 * amplitude.size
    # ordinates of many stretches, or replicas, at one frequency are as good as one
    _, place, number = np.unique(
        np.rint(np.log(sines.frequency / sines.spacing) / ALIKE), return_inverse=True, return_counts=True
    )
    share = number / len(power)
    frequency = np.bincount(place, sines.frequency) / number
    bounded, shape, inverse, logarithm = _shapes(frequency.tobytes(), share.tobytes(), sines.spacing)
    size = inverse @ (np.bincount(place, power) / len(power))  # [S, U]
    likelihood = -half * (logarithm + np.log(size))
    best = likelihood.max(axis=0)
    chosen = likelihood.argmax(axis=0)
    values = SHARES * size[chosen, np.arange(len(SHARES))]
    top = int(best.argmax())
    weight = np.exp(likelihood - best.max())
    weight *= size / weight.sum()
    return Limit(
        value=float(values[top]),
        chance=0.5 * float(chdtrc(1, max(2 * (best[top] - best[0]), 0.0))) if top else 1.0,
        smooth=np.tensordot(weight, shape, axes=2)[place],
        bounded=(bounded[chosen[0]] / bounded[chosen[0]].max())[place],
        profile=(
            np.outer(LARGER, values).ravel(),
            (2 * (best[top] - best) + 2 * half * (np.log(LARGER) + 1 / LARGER - 1)[:, None]).ravel(),
        ),
    )


@lru_cache(maxsize=4)
def _shapes(frequencies: bytes, shares: bytes, spacing: float) -> tuple[Array, Array, Array, Array]:
    """What is bounded, for all f_w, q and c, each with a mean of 1, [S, Q]; with a constant of all ``SHARES`` [S, U,
    Q], the inverse of that, and the mean of its logarithm [S, U]; ``shares`` of the ordinates are the weights."""
    frequency, share = np.frombuffer(frequencies), np.frombuffer(shares)
    highest, lowest = float(frequency.max()), SLOWEST * spacing
    knees = lowest * 2.0 ** np.arange(0.0, max(math.log2(4 * highest / lowest), 0.0) + 0.25, 0.5)
    ratio = frequency**2 / (1 + (frequency / knees[:, None]) ** 2) ** np.array(POWERS)[:, None, None]
    slow, fast = ratio.reshape(-1, len(frequency)), frequency**2
    slow, fast = slow / (slow @ share)[:, None], fast / (fast @ share)
    bounded = np.concatenate((*((1 - part) * slow + part * fast for part in FASTER), fast[None]))
    shape = SHARES[:, None] + (1 - SHARES[:, None]) * bounded[:, None]
    return bounded, shape, 1 / shape, np.log(shape) @ share


def regress(sines: Sines, target: Array, others: Array) -> tuple[Array, Array, Array]:
    """Regression at f = 0 of amplitudes ``target`` [Q, C] on ``others`` [Q, R, C].

    Coefficients [R], their covariance [R, R], and what is left of the target [Q, C]. They vary like f², and the
    ordinates weigh as what is left does, which is found together with them. Raises EstimateError for too few ordinates.
    """
    number = others.shape[1]
    if target.size < 4 * (3 * number):
        raise EstimateError(f"{target.size} amplitudes are too few for a regression on {number} currents")
    warped = limit(sines, target).bounded[:, None, None]
    design = np.concatenate((others, others * warped, others * warped**2), axis=1)  # [Q, 3 R, C]
    spread = np.sqrt((design**2).mean(axis=(0, 2)))
    design = design / spread[:, None]
    weight = np.ones(len(target))
    for _ in range(4):
        curvature = np.einsum("qrc,q,qsc->rs", design, weight, design)
        inverse = np.linalg.inv(curvature)
        slope = inverse @ np.einsum("qrc,q,qc->r", design, weight, target)
        rest = target - np.einsum("r,qrc->qc", slope, design)
        if not (rest**2).sum() > ROUNDING * (target**2).sum():
            return slope[:number] / spread[:number], np.zeros((number, number)), np.zeros_like(target)
        weight = 1 / limit(sines, rest).smooth
    freedom = rest.size / (rest.size - 3 * number)  # what the regression took from the rest
    covariance = freedom * inverse / np.outer(spread, spread)
    return slope[:number] / spread[:number], covariance[:number, :number], rest


def compare(sines: Sines, *, size: float, level: float, tolerance: float) -> Comparison:
    """Currents a (row 0) and b (row 1), neither of which is zero, and which are not the same.

    ``size`` is the larger of S_a(0) and S_b(0). They are ``different`` if a - b diffuses, at the ``level``: for
    currents that are not, the chance to say so is 1 - level. They are ``equivalent`` if not, and if with this
    confidence the difference of S_a(0) and S_b(0), and S(0) of a - b, are below ``tolerance`` of ``size``.
    """
    one, other = sines.amplitude[:, 0], sines.amplitude[:, 1]
    part = limit(sines, one - other)
    total = float(((one + other) ** 2).mean())
    difference = error = 0.0
    if total > ROUNDING * float((one**2).mean()):  # else they are opposite
        slope, covariance, _ = regress(sines, one - other, (one + other)[:, None])
        difference = float(slope[0]) * total
        error = math.hypot(float(covariance[0, 0]) ** 0.5 * total, difference * math.sqrt(2 / one.size))
    upper, whole = part.upper(level), max(total + part.value, ROUNDING * size)
    verdict: Verdict = "cannot tell yet"
    if part.chance < 1 - level:
        verdict = "different"
    elif abs(difference) + float(ndtri(level)) * error < tolerance * size and upper < tolerance * size:
        verdict = "equivalent"
    return Comparison(
        verdict, level, difference, error, part, upper,
        coherence=((total - part.value) / whole) ** 2,
        coherence_error=4 * (upper - part.value) / float(ndtri(level)) / whole,
    )  # fmt: skip


def sine_spectrum(displacements: Sequence[Array], turn: Array, interval: float) -> tuple[Array, Array, Array]:
    """Spectral densities for a figure, of ``turn`` [N, R] times the displacements (n_i, R, C), of the longest stretch.

    Frequencies [B] about a tenth of a decade apart, densities [N, B] and their standard errors [N, B]; beyond
    ``SHOWN`` ordinates what is faster is averaged over.
    """
    part = max(displacements, key=len)
    _, means = _block_means(part, SHOWN)
    moved = np.einsum("nr,trc->tnc", turn, np.diff(means, axis=0))
    # sines of type 1 over the edges between blocks; twice the sum
    amplitude = dst(moved, type=1, axis=0) * math.sqrt(0.5 / (len(part) * interval))
    if len(means) < len(part):
        amplitude = amplitude[: len(means) // 4]  # what is faster than blocks is averaged away
    power = (amplitude**2).mean(axis=2).T
    index = np.arange(1, power.shape[1] + 1)
    starts = np.unique(np.rint(10 ** np.arange(0.0, math.log10(len(index)) + 0.1, 0.1)).astype(np.int64)) - 1
    starts = starts[starts < len(index)]
    number = np.diff(np.append(starts, len(index)))
    density = np.add.reduceat(power, starts, axis=1) / number
    frequency = np.add.reduceat(index, starts) / number / (2 * len(part) * interval)
    return frequency, density, density * np.sqrt(2 / (number * part.shape[2]))
