"""Green-Kubo integrals: the correlation against its definition, AR(1) in closed form, and coverage."""

import math

import numpy as np
import pytest

from lammps_topo import synthetic
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.green_kubo import running_integral

INTERVAL = 0.01


def naive_correlation(series, max_lag):
    """<J(t) J(t+k)> over all pairs, averaged over components."""
    samples = series.shape[0]
    return np.array([(series[: samples - k] * series[k:]).mean() for k in range(max_lag + 1)])


@pytest.mark.parametrize("batches", [6, 13, 48])
def test_correlation_is_the_mean_over_all_pairs_whatever_the_batches(batches):
    series = np.random.default_rng(1).standard_normal((505, 3)) + 0.3
    found = running_integral(series, INTERVAL, max_lag=60, batches=batches)
    np.testing.assert_allclose(found.correlation, naive_correlation(series, 60), atol=1e-13)
    np.testing.assert_allclose(found.lag, np.arange(61) * INTERVAL)
    assert found.batches == batches


def test_batches_shorter_than_the_longest_lag_still_give_every_pair():
    series = np.random.default_rng(2).standard_normal((300, 2))
    found = running_integral(series, INTERVAL, max_lag=290, batches=20)
    np.testing.assert_allclose(found.correlation, naive_correlation(series, 290), atol=1e-12)
    assert np.isfinite(found.correlation_error[:30]).all()
    assert np.isnan(found.correlation_error[-1])  # longer than any stretch the error could come from


def test_stretches_are_not_correlated_with_each_other():
    rng = np.random.default_rng(6)
    stretches = [rng.standard_normal((length, 3)) + 0.2 for length in (300, 40, 800)]
    found = running_integral(stretches, INTERVAL, max_lag=60)
    products, pairs = np.zeros(61), np.zeros(61)
    for part in stretches:
        for k in range(min(61, len(part))):
            products[k] += (part[: len(part) - k] * part[k:]).mean(axis=1).sum()
            pairs[k] += len(part) - k
    np.testing.assert_allclose(found.correlation, products / pairs, atol=1e-13)
    assert np.isfinite(found.error)


def test_integral_is_the_trapezoidal_sum_of_the_correlation():
    series = np.random.default_rng(3).standard_normal((2000, 3))
    found = running_integral(series, INTERVAL, max_lag=50)
    c = found.correlation
    expected = [(c[: k + 1].sum() - 0.5 * (c[0] + c[k])) * INTERVAL for k in range(51)]
    np.testing.assert_allclose(found.integral, expected, atol=1e-14)
    assert found.integral[0] == 0.0


def exponential_integral(lags, pole, variance):
    """Trapezoidal integral of variance pole**k, in closed form."""
    return INTERVAL * variance * ((1 - pole ** (lags + 1)) / (1 - pole) - 0.5 * (1 + pole**lags))


def test_running_integral_of_an_exponential_correlation():
    # 200 realisations of AR(1), 0.1 ps: at every fifth lag the mean integral lies within four standard
    # errors of the closed form, and the quoted error is the scatter: the ratio of the two is known to
    # 1/sqrt(400) = 5 %, four of it. At the closed form's end the integral is S(0)/2.
    rng, pole = np.random.default_rng(4), math.exp(-0.1)
    process = synthetic.autoregressive(0.1, interval=INTERVAL, variance=1.7)
    rows = [running_integral(process.sample(4000, components=3, rng=rng), INTERVAL, max_lag=100) for _ in range(200)]
    lags = np.arange(5, 101, 5)
    exact = exponential_integral(lags, pole, 1.7)
    integrals = np.array([row.integral for row in rows])[:, lags]
    scatter = integrals.std(axis=0, ddof=1)
    assert np.abs((integrals.mean(axis=0) - exact) / scatter * math.sqrt(200)).max() < 4
    quoted = np.sqrt(np.mean([row.integral_error[lags] ** 2 for row in rows], axis=0))
    np.testing.assert_allclose(quoted / scatter, 1.0, atol=0.2)
    assert exponential_integral(10**4, pole, 1.7) == pytest.approx(process.zero_frequency / 2)


def test_correlation_band_covers_the_exact_correlation():
    # 60 realisations, 3 lags: standard error of .683 over 180 values that are correlated within a
    # realisation, at most sqrt(.683 * .317/60) = .060; three of them.
    rng = np.random.default_rng(5)
    process = synthetic.autoregressive(0.1, interval=INTERVAL)
    exact = process.correlation(61)
    lags = [0, 10, 60]
    reduced = []
    for _ in range(60):
        found = running_integral(process.sample(4000, components=3, rng=rng), INTERVAL, max_lag=60)
        reduced.append((found.correlation - exact)[lags] / found.correlation_error[lags])
    assert np.mean(np.abs(reduced) < 1) == pytest.approx(0.683, abs=0.18)


PROCESSES = {
    # 100 ps of 10 fs; measured over 200 realisations: .73/.94, .70/.96, .67/.94, .80/.98 (the errors of a dip
    # are a little too large)
    "AR(1), 50 fs": synthetic.autoregressive(0.05, interval=INTERVAL),
    "AR(2), 4 THz, damped": synthetic.resonance(4.0, 0.1, interval=INTERVAL),
    "AR(2), 4 THz, ringing": synthetic.resonance(4.0, 0.3, interval=INTERVAL),
    "dip, S(0) a tenth": synthetic.dip(0.05, ratio=0.1, interval=INTERVAL),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_value_covers_half_the_zero_frequency_density(name):
    # The aim is .62-.80 within one error, .92 within two; 80 realisations: two standard errors, .10 and .06,
    # more.
    process, rng = PROCESSES[name], np.random.default_rng(6)
    exact = process.zero_frequency / 2
    rows = [running_integral(process.sample(10000, components=3, rng=rng), INTERVAL, max_lag=800) for _ in range(80)]
    reduced = np.abs([(row.value - exact) / row.error for row in rows])
    assert 0.52 < np.mean(reduced < 1) < 0.90
    assert np.mean(reduced < 2) > 0.86
    assert np.std([row.value for row in rows]) < 0.2 * exact
    assert np.mean([row.rule == "plateau" for row in rows]) > 0.9


def test_value_is_the_mean_integral_over_the_octave_from_the_cut():
    process = synthetic.autoregressive(0.1, interval=INTERVAL)
    found = running_integral(process.sample(8000, components=3, rng=np.random.default_rng(7)), INTERVAL, max_lag=600)
    assert found.rule == "plateau"
    inside = (found.lag >= found.cut * (1 - 1e-9)) & (found.lag <= 2 * found.cut * (1 + 1e-9))
    assert found.value == pytest.approx(found.integral[inside].mean())


def test_no_plateau_within_the_lags_is_said_and_the_error_grows():
    process = synthetic.autoregressive(2.0, interval=INTERVAL)
    series = process.sample(50000, components=3, rng=np.random.default_rng(8))
    found = running_integral(series, INTERVAL, max_lag=100)  # half a correlation time
    assert found.rule == "longest"
    assert found.error > 0.2 * found.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flux": np.zeros(50)}, "shape"),
        ({"interval": -1.0}, "between samples must be positive"),
        ({"flux": np.full((500, 3), np.inf)}, "not finite"),
        ({"max_lag": 500}, "max_lag must lie between 1 and 499"),
        ({"max_lag": 0}, "max_lag must lie between 1 and 499"),
        ({"batches": 3}, "batches must lie between 6 and"),
        ({"flux": np.zeros((20, 3)), "max_lag": 10, "batches": 20}, "too short"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(change, words):
    arguments = {"flux": np.ones((500, 3)), "interval": INTERVAL, "max_lag": 20, **change}
    with pytest.raises(EstimateError, match=words):
        running_integral(arguments.pop("flux"), arguments.pop("interval"), **arguments)
