"""Bias, scatter and coverage of slopes of displacements: generalised least squares, the plateau rule, the spectrum.

    python benchmarks/helfand.py                                     four processes, 1e4 samples: a minute
    python benchmarks/helfand.py --processes ar1-50,ar1-500,ar2,two,dip,free,hydro --lengths 10000,100000,1000000 \\
        --realisations 100

Series of the catalogue (three components, a sample every fs) are summed up to the displacement of one collective
particle. ``free`` are 64 independent particles with a velocity that forgets in 50 fs, ``hydro`` 64 that share half of
it (in variance); both have the slope of ``ar1-50``. The displacements go through the accumulator that a run uses, at
its defaults. ``spectral`` is S(0) of the same series (not of particles). Columns: bias and scatter of value/truth, root
mean square of the error, coverage of 1 and 2 errors with its 1 sigma, over all estimates and over those called
resolved; milliseconds an estimate.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import defaultdict
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lammps_topo.accumulate.displacement import Displacements
from lammps_topo.config import Displacements as Settings
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.einstein import fit_slope
from lammps_topo.estimate.spectrum import cross_periodogram
from lammps_topo.estimate.zero_frequency import zero_frequency
from lammps_topo.synthetic_spectra import INTERVAL, catalogue

Array = NDArray[np.float64]
PARTICLES = {"free": 0.0, "hydro": 0.5}
"""Shared part of the velocity's variance."""
NUMBER = 64
Method = Literal["plateau", "gls", "spectral"]
METHODS: tuple[Method, ...] = ("plateau", "gls", "spectral")


class Sums(NamedTuple):
    """Of squared displacements: lags [L], sums [NB, L, 3], counts [NB, L], duration of a batch."""

    lag: Array
    sums: Array
    counts: Array
    batch_duration: float


def velocities(name: str, samples: int, rng: np.random.Generator) -> Array:
    """[samples, particles, 3]."""
    process = catalogue()["ar1-50" if name in PARTICLES else name].sources[0]
    if name not in PARTICLES:
        return process.sample(samples, components=3, rng=rng)[:, None]
    shared, share = process.sample(samples, components=3, rng=rng)[:, None], PARTICLES[name]
    own = process.sample(samples, components=3 * NUMBER, rng=rng).reshape(samples, NUMBER, 3)
    return np.asarray(share**0.5 * shared + (1 - share) ** 0.5 * own)


def displacements(positions: Array) -> Sums:
    """What ``fit_slope`` needs of ``positions`` [samples, particles, 3], through the accumulator."""
    number, settings = positions.shape[1], Settings()
    lags, stride = settings.lags, settings.stride
    moved = Displacements(
        [slice(0, number)], np.array([number]), lags=lags, every=settings.every, levels=settings.levels, stride=stride
    )
    for first in range(0, len(positions), 4096):
        moved.observe(np.ascontiguousarray(positions[first : first + 4096].transpose(2, 0, 1)), first)
    begins = [1 if level == 0 else lags // stride for level in range(settings.levels)]
    return Sums(
        INTERVAL * np.concatenate([np.arange(b, lags) * stride**level for level, b in enumerate(begins)]),
        np.concatenate(
            [part[:, 0, 0, :, b:].transpose(0, 2, 1) for part, b in zip(moved.sums, begins, strict=True)], 1
        ),
        np.concatenate([part[:, b:] for part, b in zip(moved.counts, begins, strict=True)], axis=1),
        INTERVAL * moved.batch,
    )


def estimate(method: Method, series: Array, data: Sums) -> tuple[float, float, bool]:
    """Value, error, and whether it is called resolved."""
    if method == "spectral":
        result = zero_frequency(cross_periodogram(series, INTERVAL))
        return result.value, result.error, result.resolved
    fit = fit_slope(data.lag, data.sums, data.counts, batch_duration=data.batch_duration, method=method)
    return fit.slope, fit.error, fit.resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="ar1-50,ar2,dip,free")
    parser.add_argument("--lengths", default="10000")
    parser.add_argument("--realisations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print("| process | samples | method | bias | scatter | error | 1σ, 2σ | resolved | 1σ, 2σ of these | ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in chosen.processes.split(","):
        truth = catalogue()["ar1-50" if name in PARTICLES else name].zero_frequency
        for samples in map(int, chosen.lengths.split(",")):
            found = defaultdict(list)
            for realisation in range(chosen.realisations):
                rng = np.random.default_rng((chosen.seed, zlib.crc32(name.encode()), samples, realisation))
                series = velocities(name, samples, rng)
                data = displacements(INTERVAL * series.cumsum(axis=0))
                for method in METHODS:
                    if method == "spectral" and name in PARTICLES:
                        continue
                    start = time.perf_counter()
                    try:
                        value, error, resolved = estimate(method, series, data)
                    except EstimateError:
                        continue
                    found[method].append((value / truth, error / truth, resolved, time.perf_counter() - start))
            for method, rows in found.items():
                print(row(name, samples, method, np.array(rows)), flush=True)


def row(name: str, samples: int, method: str, rows: Array) -> str:
    """A line of the table."""
    value, error, resolved, seconds = rows.T
    known = resolved > 0
    return (
        f"| {name} | {samples} | {method} | {value.mean() - 1:+.3f} | {value.std():.3f} "
        f"| {np.sqrt(np.mean(error**2)):.3f} | {coverage(value, error)} | {known.mean():.2f} "
        f"| {coverage(value[known], error[known])} | {1e3 * np.median(seconds):.0f} |"
    )


def coverage(value: Array, error: Array) -> str:
    """Fractions within one and two errors, and the standard error of the first."""
    if not len(value):
        return "—"
    off = np.abs(value - 1) / error
    one, two = np.mean(off < 1), np.mean(off < 2)
    return f"{one:.2f}({np.sqrt(0.21 / len(value)):.2f}), {two:.2f}"


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
