"""Runs that end when they know enough are as good as runs whose length was fixed before.

``python tests/physics/test_stopping.py 60`` makes larger figures. Mean of ln S(0), in standard errors, minus that of
runs of a fixed length, of the same 60 realisations; 1σ/2σ coverage; scatter of the length. Then what the first should
be by Wald's identity, from the covariance of ln S(0) and of what decides in 150 runs of a fixed length (``… covariance
150``), and what it would be if the error bar of the run itself decided:

    one relaxation, 5 % wanted                      -0.09(6)     .63/.95    23 %    -0.11(3)   -0.19(6)
    the same, but the error that belongs to 5 %     -0.20(7)     .60/.98    35 %    -0.20(3)   -0.28(6)
    a resonance and a peak at zero, 5 % wanted      -0.18(7)     .68/.97    36 %    -0.09(3)   -0.12(6)

The estimates of runs of fixed length are themselves -0.3 off in these realisations (standard error 0.13).
"""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from lammps_topo.config import Precision, Stop
from lammps_topo.estimate.spectrum import cross_periodogram
from lammps_topo.estimate.wanted import CLOSE, LARGEST, Known, expected_error, part_number
from lammps_topo.estimate.zero_frequency import zero_frequency
from lammps_topo.stopping import Stopping
from lammps_topo.synthetic_spectra import catalogue

EVERY = 10  # of the samples of the catalogue, which are 1 fs apart


def estimate_of(series, interval):
    return zero_frequency(cross_periodogram(series, interval, segment=len(series) // 2 * 2))


def expected_of(series, interval, found):
    return expected_error(
        found, [estimate_of(part, interval) for part in np.array_split(series, part_number(len(series)))]
    )


def stopped_runs(name, precision, *, usual, runs, seed):
    """ln S(0) - truth and its error where the rule ends each run, the same at a fixed length, and the lengths."""
    process = catalogue()[name]
    interval = process.interval * EVERY
    truth = process.spectrum(np.arange(EVERY) / interval).sum()  # what samples so far apart have at zero

    def know(series):
        found = estimate_of(series, interval)
        limit = min(precision.relative(found.value / truth), LARGEST)
        expected = found.log_error
        if expected <= CLOSE * limit:
            expected = expected_of(series, interval, found)
        return Known(found.value, found.error, expected, limit, found.resolved)

    found = []
    for run in range(runs):
        series = process.sample(5 * usual * EVERY, rng=np.random.default_rng([seed, run]))[::EVERY]
        rule = Stopping(Stop(sigma=precision.model_dump()), {"sigma": precision}, first=usual * interval / 4)
        length = usual // 4
        while rule.reached is None and length < len(series):
            length = math.ceil(length * 1.02)  # a block
            if rule.due(length * interval):
                rule.check(length * interval, {"sigma": know(series[:length])})
        known, fixed = rule.known["sigma"], estimate_of(series[:usual], interval)
        found.append((math.log(known.value / truth), known.error / known.value, math.log(fixed.value / truth), length))
    return np.array(found).T


def test_chance_does_not_end_runs():
    away, error, fixed, length = stopped_runs("ar1-50", Precision(relative_error=0.06), usual=12000, runs=16, seed=3)
    assert error.mean() == pytest.approx(0.06, rel=0.2)
    assert length.std() < 0.35 * length.mean()
    scatter = (away - fixed).std() / len(away) ** 0.5
    assert abs((away - fixed).mean()) < 0.25 * error.mean() + 2 * scatter
    assert (abs(away) < 2 * error).mean() > 0.8


def _figures(runs):
    for name, precision, usual in (
        ("ar1-50", Precision(relative_error=0.05), 17000),
        ("ar1-50", Precision(error=0.05), 17000),
        ("superionic", Precision(relative_error=0.05), 50000),
    ):
        away, error, fixed, length = stopped_runs(name, precision, usual=usual, runs=runs, seed=5)
        extra = away - fixed
        print(
            f"{name:11s} {precision}: bias {away.mean() / error.mean():+.2f}, of fixed length "
            f"{fixed.mean() / error.mean():+.2f}, difference {extra.mean() / error.mean():+.2f}"
            f"({extra.std() / runs**0.5 / error.mean():.2f}) of the error {error.mean():.3f}; coverage "
            f"{(abs(away) < error).mean():.2f} {(abs(away) < 2 * error).mean():.2f}; "
            f"{length.mean():.0f} ± {length.std():.0f} samples",
            flush=True,
        )


def _covariances(runs):
    for name, usual in (("ar1-50", 17000), ("superionic", 50000)):
        process = catalogue()[name]
        interval, found = process.interval * EVERY, []
        for run in range(runs):
            series = process.sample(usual * EVERY, rng=np.random.default_rng([77, run]))[::EVERY]
            whole = estimate_of(series, interval)
            decides = expected_of(series, interval, whole)
            found.append((math.log(whole.value), math.log(whole.log_error), math.log(decides)))
        value, own, decides = np.array(found).T
        for what, criterion in (("error bar", own), ("expected", decides)):
            bias = [-2 * np.cov(value, criterion + extra)[0, 1] / np.exp(own.mean()) for extra in (0, value)]
            print(f"{name:11s} {what}: {bias[0]:+.2f}, with an absolute error {bias[1]:+.2f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "covariance":
        _covariances(int(sys.argv[2]))
    else:
        _figures(int(sys.argv[1]))
