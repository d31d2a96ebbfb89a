"""Memory kernels as sums of damped terms that a Markovian process can realise, and LAMMPS thermostats from them.

    K(t) = sum_k c_k exp(-t/tau_k) + sum_j exp(-g_j t) [a_j cos(w_j t) + b_j sin(w_j t)],
    c_k, a_j > 0,  |b_j| w_j <= a_j g_j

Each term has a spectrum that is nowhere negative, so that noise of that correlation exists. The fit is for use
after ``memory_kernel``, which estimates K and its errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm
from scipy.optimize import least_squares, nnls

from ..errors import EstimateError

__all__ = ["PronySeries", "fit_prony", "gld_command", "gle_matrix", "positive_exponentials"]

MOST_TERMS = 4
"""Terms that are tried when their number is not given."""
WORTH = 0.8
"""Two more parameters (an oscillation has four) are kept where they lower the misfit to this share or below."""
GOOD = 1e-3
"""A misfit that is not worth lowering."""
NOISE = 0.5
"""The same in units of the misfit that the errors of the kernel would give."""
DEFECTIVE = 1e8
"""Condition of the eigenvectors of a drift matrix from which the exponential is taken without them."""
POINTS = 240
"""Lags that are fitted: the first quarter of them one by one, the rest in a geometric series."""
GRID = 40
"""Decay times of the grid that positive exponentials start from."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PronySeries:
    """A memory kernel over mass as a sum of terms, one Cartesian component."""

    exponentials: tuple[tuple[float, float], ...]
    """(c, tau) of c exp(-t/tau): 1/time², time; by decreasing share of the plateau."""
    oscillations: tuple[tuple[float, float, float, float], ...] = ()
    """(a, b, g, w) of exp(-g t) [a cos(w t) + b sin(w t)]: 1/time², 1/time², 1/time, 1/time (angular)."""
    residual: float = 0.0
    """Root mean square misfit of K over K(0) and of G over the plateau, both together."""

    @property
    def terms(self) -> int:
        """Number of terms."""
        return len(self.exponentials) + len(self.oscillations)

    def kernel(self, time: ArrayLike) -> Array:
        """K at ``time`` [...], 1/time²."""
        t = np.asarray(time, dtype=np.float64)
        total = sum((c * np.exp(-t / tau) for c, tau in self.exponentials), np.zeros(t.shape))
        for a, b, g, w in self.oscillations:
            total = total + np.exp(-g * t) * (a * np.cos(w * t) + b * np.sin(w * t))
        return np.asarray(total, dtype=np.float64)

    def integral(self, time: ArrayLike) -> Array:
        """int_0^t K at ``time`` [...], 1/time."""
        t = np.asarray(time, dtype=np.float64)
        total = sum((-c * tau * np.expm1(-t / tau) for c, tau in self.exponentials), np.zeros(t.shape))
        for a, b, g, w in self.oscillations:
            wave = -np.expm1(-(g - 1j * w) * t) / (g - 1j * w)
            total = total + a * wave.real + b * wave.imag
        return np.asarray(total, dtype=np.float64)

    @property
    def plateau(self) -> float:
        """int_0^inf K, friction over mass, 1/time."""
        slow = sum(c * tau for c, tau in self.exponentials)
        return float(slow + sum((a * g + b * w) / (g**2 + w**2) for a, b, g, w in self.oscillations))

    def drift_matrix(self) -> Array:
        """A of d(v, s) = -A (v, s) dt + B dW, [1 + n, 1 + n], velocity first, 1/time.

        With B B^T = <v²> (A + A^T), positive semidefinite, v has this kernel and <(v, s)(v, s)^T> = <v²> 1. An
        oscillation takes two variables, coupled to v by (sqrt(a), 0), with [[g - r, u], [-u, g + r]] among
        them, r = b w/a, u = w sqrt(1 + b²/a²).
        """
        size = 1 + len(self.exponentials) + 2 * len(self.oscillations)
        drift, row = np.zeros((size, size)), 1
        for c, tau in self.exponentials:
            drift[0, row], drift[row, 0], drift[row, row] = math.sqrt(c), -math.sqrt(c), 1 / tau
            row += 1
        for a, b, g, w in self.oscillations:
            lean, turn = b * w / a, w * math.hypot(1, b / a)
            drift[0, row], drift[row, 0] = math.sqrt(a), -math.sqrt(a)
            drift[row : row + 2, row : row + 2] = [[g - lean, turn], [-turn, g + lean]]
            row += 2
        return drift

    def velocity_correlation(self, time: ArrayLike) -> Array:
        """<v(t) v(0)>/<v²> of a free particle with this kernel at ``time`` [...]: first entry of exp(-A t)."""
        times, drift = np.asarray(time, dtype=np.float64), self.drift_matrix()
        rates, vectors = np.linalg.eig(drift)
        if np.linalg.cond(vectors) < DEFECTIVE:
            weights = vectors[0] * np.linalg.inv(vectors)[:, 0]
            return np.asarray((np.exp(-np.multiply.outer(times, rates)) @ weights).real, dtype=np.float64)
        powers = expm(-drift * times.reshape(-1, 1, 1))
        return np.asarray(powers[:, 0, 0].reshape(times.shape), dtype=np.float64)


def fit_prony(
    kernel_lags: ArrayLike,
    kernel: ArrayLike,
    half_times: ArrayLike,
    integral: ArrayLike,
    *,
    terms: int | None = None,
    plateau: float | None = None,
    errors: tuple[ArrayLike, ArrayLike] | None = None,
) -> PronySeries:
    """Sum of damped terms closest to a kernel K at ``kernel_lags`` and its integral G at ``half_times``, [N] each.

    Misfits of K over K(0) and of G over the plateau weigh alike, and as much as that of ``plateau`` where it is
    given. ``terms`` of either kind; without it, the number (up to four) and kinds for which ln(misfit) + 0.11
    parameters is least, where misfits below 0.001, or half of what ``errors`` of K and G at all their lags
    would give, count as equal. Amplitudes are found by non-negative least squares: those of an oscillation
    from exp(-g t) [cos(w t) ± g/w sin(w t)], between which lies all that can be realised. Times and
    frequencies by least squares from several starts, the same ones each time. Raises EstimateError for bad
    shapes.
    """
    data = _Data.checked(kernel_lags, kernel, half_times, integral, plateau)
    floor = max(GOOD, NOISE * data.misfit(errors)) if errors is not None else GOOD
    best, lowest = PronySeries((), residual=math.inf), math.inf
    for number in range(1, MOST_TERMS + 1) if terms is None else (terms,):
        before = lowest
        for oscillating in range(min(number, 2) + 1):
            tries = [data.refine(start, oscillating) for start in data.starts(number - oscillating, oscillating)]
            found = min(tries, key=lambda one: one.residual)
            score = math.log(max(found.residual, floor)) - math.log(WORTH) * (number + oscillating)
            if score < lowest:
                best, lowest = found, score
        if lowest == before:
            break
    return best


def positive_exponentials(
    kernel_lags: ArrayLike,
    kernel: ArrayLike,
    half_times: ArrayLike,
    integral: ArrayLike,
    *,
    terms: int = 6,
    plateau: float | None = None,
) -> PronySeries:
    """Closest sum of at most ``terms`` exponentials of positive amplitude, as ``fix gld`` of LAMMPS takes them.

    Arguments as in ``fit_prony``. Non-negative least squares on a grid of decay times; neighbours are merged
    and the times then refined.
    """
    data = _Data.checked(kernel_lags, kernel, half_times, integral, plateau)
    times = np.geomspace(0.5 * data.interval, 2 * data.window, GRID)
    amplitudes = data.amplitudes(np.log(times), 0)[0]
    pieces = [(float(c), float(tau)) for c, tau in zip(amplitudes, times, strict=True) if c > 0]
    while len(pieces) > 1 and (len(pieces) > terms or _closest(pieces)[0] < 1.5):
        at = _closest(pieces)[1]
        (c, tau), (d, other) = pieces[at : at + 2]
        pieces[at : at + 2] = [(c + d, (c * tau + d * other) / (c + d))]
    if not pieces:
        raise EstimateError("no sum of positive exponentials resembles this kernel")
    return data.refine(np.log([tau for _, tau in pieces]), 0)


def _closest(pieces: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """Smallest ratio of neighbouring decay times, and where it is."""
    ratios = [after[1] / before[1] for before, after in pairwise(pieces)]
    return min(ratios), int(np.argmin(ratios))


@dataclass(frozen=True)
class _Data:
    """A kernel to be fitted: lags, scaled weights."""

    kept: NDArray[np.int64]
    """Indices of the lags in use."""
    lag: Array
    half: Array
    target: Array
    """K/K(0), G/plateau and 1, each weighing alike."""
    scale: tuple[float, float]
    """What K and G are divided by, with their weights."""
    ends: bool
    """Whether the plateau is fitted too."""
    interval: float
    window: float
    height: float
    """K(0)."""

    @classmethod
    def checked(
        cls, lag: ArrayLike, kernel: ArrayLike, half: ArrayLike, integral: ArrayLike, plateau: float | None
    ) -> _Data:
        """The data thinned out; refuses what does not fit together."""
        given = [np.asarray(one, dtype=np.float64) for one in (lag, kernel, half, integral)]
        if {one.shape for one in given} != {(given[0].size,)} or given[0].size < 8:
            raise EstimateError("a Prony series is fitted to a kernel and its integral, each at 8 lags or more")
        if not all(np.isfinite(one).all() for one in given) or not given[1][0] > 0:
            raise EstimateError("a Prony series needs a finite kernel that is positive at lag 0")
        size = given[0].size
        later = np.geomspace(POINTS // 4, size - 1, POINTS - POINTS // 4) if size > POINTS else np.arange(size)
        kept = np.unique(np.concatenate((np.arange(min(POINTS // 4, size)), np.rint(later)))).astype(np.int64)
        times, values, halves, sums = (one[kept] for one in given)
        level = float(plateau) if plateau is not None and plateau > 0 else float(np.abs(sums).max())
        weight = math.sqrt(kept.size)
        scale = (1 / (float(values[0]) * weight), 1 / (level * weight))
        target = np.concatenate((values * scale[0], sums * scale[1], [1.0] if plateau is not None else []))
        interval = float(given[0][1] - given[0][0])
        return cls(
            kept, times, halves, target, scale, plateau is not None, interval, float(given[0][-1]), float(values[0])
        )

    def misfit(self, errors: tuple[ArrayLike, ArrayLike]) -> float:
        """Misfit that K and G with these errors [N] would have, were they independent."""
        spread = (np.asarray(one, dtype=np.float64)[self.kept] for one in errors)
        squares = (float(((one * scale) ** 2).sum()) for one, scale in zip(spread, self.scale, strict=True))
        return math.sqrt(sum(squares) / (2 + self.ends))

    def basis(self, logarithms: Array, oscillating: int) -> Array:
        """Columns of unit amplitude: exponentials first, then two for each oscillation."""
        split = logarithms.size - 2 * oscillating
        columns = [PronySeries(((1.0, float(tau)),)) for tau in np.exp(logarithms[:split])]
        for g, w in np.exp(logarithms[split:]).reshape(-1, 2):
            columns += [PronySeries((), ((1.0, sign * float(g / w), float(g), float(w)),)) for sign in (1, -1)]
        return np.stack(
            [
                np.concatenate(
                    (
                        one.kernel(self.lag) * self.scale[0],
                        one.integral(self.half) * self.scale[1],
                        [one.plateau * self.scale[1] * math.sqrt(self.lag.size)] if self.ends else [],
                    )
                )
                for one in columns
            ],
            axis=1,
        )

    def amplitudes(self, logarithms: Array, oscillating: int) -> tuple[Array, Array]:
        """Non-negative amplitudes of the columns, and what is left of the target."""
        columns = self.basis(logarithms, oscillating)
        norm = np.linalg.norm(columns, axis=0)
        weights = nnls(columns / norm, self.target)[0] / norm
        return weights, np.asarray(columns @ weights - self.target)

    def starts(self, decaying: int, oscillating: int) -> list[Array]:
        """Logarithms of times, and of rates and frequencies, to begin from."""
        fast = 1 / math.sqrt(self.height)
        spans = ((fast, self.window / 4), (max(fast / 4, self.interval), self.window / 16))
        found = []
        for first, last in spans:
            times = np.geomspace(first, max(last, 2 * first), decaying)
            for frequency in (0.5, 1.0) if oscillating else (1.0,):
                rings = [(0.5 / fast / 2**j, frequency / fast * 2**j) for j in range(oscillating)]
                found.append(np.log(np.concatenate((times, np.array(rings).ravel()))))
        return found

    def refine(self, start: Array, oscillating: int) -> PronySeries:
        """Best times and frequencies near a start."""
        split = start.size - 2 * oscillating
        times = (math.log(self.interval / 4), math.log(8 * self.window))
        rings = ((-times[1], -times[0]), (math.log(0.5 / self.window), math.log(math.pi / self.interval)))
        bounds = np.array([times] * split + list(rings) * oscillating).T
        inside = np.clip(start, bounds[0] + 1e-6, bounds[1] - 1e-6)
        fit = least_squares(
            lambda logs: self.amplitudes(logs, oscillating)[1], inside, bounds=bounds, x_scale=0.3, max_nfev=60
        )
        weights, rest = self.amplitudes(fit.x, oscillating)
        pairs = list(zip(weights[:split].tolist(), np.exp(fit.x[:split]).tolist(), strict=True))
        waves = []
        for up, down, g, w in np.column_stack((weights[split:].reshape(-1, 2), np.exp(fit.x[split:]).reshape(-1, 2))):
            if up + down > 0:
                waves.append((float(up + down), float((up - down) * g / w), float(g), float(w)))
        pairs = sorted(((c, tau) for c, tau in pairs if c > 0), key=lambda one: -one[0] * one[1])
        return PronySeries(tuple(pairs), tuple(waves), residual=float(np.sqrt((rest**2).sum() / (2 + self.ends))))


def gle_matrix(series: PronySeries, *, units: str | None = None) -> str:
    """Text of the drift matrix file of ``fix ID group gle Ns …``, Ns = len(series.drift_matrix()) - 1.

    In 1/time of the kernel's unit of time, which must be that of the run; LAMMPS scales by mass itself. With
    ``units`` (a LAMMPS unit style) LAMMPS refuses the file in a run of another style.
    """
    drift = series.drift_matrix()
    tag = f" UNITS: {units}" if units else ""
    head = (
        f"# memory kernel of lammps_topo, drift matrix of fix gle, 1/time{tag}\n"
        f"# use as: fix ID group gle {drift.shape[0] - 1} T T seed FILE (integrates too: no fix nve)\n"
    )
    return head + "".join(" ".join(f"{value:.15g}" for value in row) + "\n" for row in drift)


def gld_command(
    series: PronySeries, *, mass: float, temperature: float, seed: int, group: str = "all", name: str = "memory"
) -> str:
    """The ``fix gld`` line of LAMMPS (Prony series of positive exponentials) for atoms of ``mass``.

    LAMMPS' kernel is sum c_k/tau_k exp(-t/tau_k) with c_k in mass/time: c_k = mass c tau of a term here. The
    fix integrates too: no fix nve. Raises EstimateError for a series with oscillations.
    """
    if series.oscillations or not series.exponentials:
        raise EstimateError("fix gld takes exponentials only: fit them with positive_exponentials, or use fix gle")
    pairs = " ".join(f"{mass * c * tau:.10g} {tau:.10g}" for c, tau in series.exponentials)
    return f"fix {name} {group} gld {temperature:g} {temperature:g} {len(series.exponentials)} {seed} pprony {pairs}"
