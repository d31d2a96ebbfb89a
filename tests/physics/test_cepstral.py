"""Cepstral analysis on spectra known exactly: formulas against their definitions, bias, errors, cut-offs."""

import math

import numpy as np
import pytest
from scipy.special import polygamma

from lammps_topo import synthetic
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.cepstral import automatic_cutoff, cepstral
from lammps_topo.estimate.spectrum import Spectrum, combine, cross_periodogram, truncate


def drawn(process, samples, *, dof, rng, segment=None):
    """A spectrum as long series of ``process`` have it: exact density times independent Gamma(dof)/dof."""
    segment = segment or samples
    frequency = np.arange(segment // 2 + 1) / (segment * process.interval)
    shape = np.full(frequency.size, float(dof))
    shape[[0, -1]] /= 2
    density = process.spectrum(frequency) * rng.gamma(shape, 1 / shape)
    return Spectrum(
        frequency=frequency,
        matrix=density[:, None, None].astype(complex),
        dof=float(dof),
        interval=process.interval,
        segment=segment,
    )


def within(values, expected, errors=4.0):
    """The mean of independent values lies within so many standard errors of what is expected."""
    values = np.asarray(values)
    return abs(values.mean() - expected) < errors * values.std(ddof=1) / math.sqrt(values.size)


EXPONENTIAL = synthetic.autoregressive(0.05, interval=0.005, variance=2.0)


@pytest.mark.parametrize("cutoff", [math.inf, 30.0])
def test_coefficients_and_smooth_spectrum_are_their_cosine_sums(cutoff):
    spectrum = drawn(EXPONENTIAL, 120, dof=3, rng=np.random.default_rng(1))
    found = cepstral(spectrum, cutoff=cutoff, order=4)
    points = found.log_spectrum.size
    steps = 2 * (points - 1)
    weight = np.where((np.arange(points) == 0) | (np.arange(points) == points - 1), 1, 2)
    for n in range(points):
        wave = np.cos(2 * np.pi * n * np.arange(points) / steps)
        expected = (weight * found.log_spectrum) @ wave / steps
        assert found.coefficients[n] == pytest.approx(expected, abs=1e-12)
    for k in (0, 3, points - 1):
        wave = np.cos(2 * np.pi * k * np.arange(1, 4) / steps)
        logarithm = found.coefficients[0] + 2 * found.coefficients[1:4] @ wave
        assert found.smooth[k] == pytest.approx(math.exp(logarithm))
    assert found.zero_frequency == found.smooth[0]
    assert (found.order, found.order_choice) == (4, "given")


def test_akaike_is_its_double_sum_and_chooses_the_minimum():
    found = cepstral(drawn(EXPONENTIAL, 200, dof=3, rng=np.random.default_rng(2)), cutoff=math.inf)
    variance = np.full(101, polygamma(1, 3) / 200)
    variance[[0, -1]] *= 2
    for order in (1, 2, 17, 100, 101):
        expected = (found.coefficients[order:] ** 2 / variance[order:]).sum() + 2 * order
        assert found.aic[order - 1] == pytest.approx(expected)
    assert found.order == int(np.argmin(found.aic)) + 1
    assert found.order_choice == "aic"
    limited = cepstral(drawn(EXPONENTIAL, 200, dof=3, rng=np.random.default_rng(2)), maximum_order=2)
    assert limited.order <= 2
    assert limited.aic.size == 2


def test_error_is_that_of_the_formula_and_the_full_order_leaves_the_first_ordinate():
    spectrum = drawn(EXPONENTIAL, 200, dof=3, rng=np.random.default_rng(3))
    found = cepstral(spectrum, cutoff=math.inf, order=5)
    assert found.log_variance == pytest.approx(polygamma(1, 3) * 18 / 200)
    assert found.error == pytest.approx(found.zero_frequency * math.sqrt(found.log_variance))
    full = cepstral(spectrum, cutoff=math.inf, order=101)
    assert full.zero_frequency == pytest.approx(math.exp(full.log_spectrum[0]))
    assert full.log_variance == pytest.approx(polygamma(1, 1.5))


@pytest.mark.parametrize("cutoff", [math.inf, 20.0])
@pytest.mark.parametrize("dof", [1, 3, 30])
def test_log_spectrum_has_no_bias_at_any_ordinate(cutoff, dof):
    # 2000 realisations; the mean of ln(S^/S) at each of the ordinates is within 4.5 standard errors of zero
    # (one-in-1e5 for a normal variable; 41 ordinates): half the degrees of freedom at 0 and at the true
    # Nyquist frequency, all of them at the last ordinate of a truncated spectrum.
    rng = np.random.default_rng(4)
    rows = [cepstral(drawn(EXPONENTIAL, 80, dof=dof, rng=rng), cutoff=cutoff, order=1) for _ in range(2000)]
    deviation = np.array([row.log_spectrum for row in rows]) - np.log(EXPONENTIAL.spectrum(rows[0].frequencies))
    error = deviation.std(axis=0, ddof=1) / math.sqrt(len(rows))
    assert np.abs(deviation.mean(axis=0) / error).max() < 4.5


@pytest.mark.parametrize("dof", [1, 3, 30])
def test_given_order_covers_the_truth_as_a_normal_error_does(dof):
    # White noise needs one coefficient; three are given. 1000 realisations: the standard error of a coverage
    # of .683 is .015, of .954 it is .007; four of them each. The scatter agrees with the formula within four
    # times its relative standard error 1/sqrt(2000).
    rng = np.random.default_rng(5)
    process = synthetic.white(interval=0.01)
    rows = [cepstral(drawn(process, 400, dof=dof, rng=rng), cutoff=math.inf, order=3) for _ in range(1000)]
    logarithm = np.log([row.zero_frequency / process.zero_frequency for row in rows])
    reduced = np.abs(logarithm) / math.sqrt(rows[0].log_variance)
    assert within(logarithm, 0.0)
    assert logarithm.std() == pytest.approx(math.sqrt(rows[0].log_variance), rel=4 / math.sqrt(2000))
    assert np.mean(reduced < 1) == pytest.approx(0.683, abs=0.060)
    assert np.mean(reduced < 2) == pytest.approx(0.954, abs=0.028)


def test_akaike_order_covers_less_as_the_docstring_says():
    # Exact AR(1), 50 fs, 100 ps of 5 fs, automatic f*: measured over 300 realisations .61/.92. 250 here:
    # standard errors .031 and .017; three of them about the claimed 55-65 % and 90-95 %.
    rng = np.random.default_rng(6)
    rows = [cepstral(drawn(EXPONENTIAL, 20000, dof=3, rng=rng)) for _ in range(250)]
    values = np.array([row.zero_frequency for row in rows]) - EXPONENTIAL.zero_frequency
    reduced = np.abs(values) / np.array([row.error for row in rows])
    assert 0.55 - 0.093 < np.mean(reduced < 1) < 0.65 + 0.093
    assert 0.90 - 0.051 < np.mean(reduced < 2) <= 1.0
    assert np.sqrt(np.mean(values**2)) < 0.1 * EXPONENTIAL.zero_frequency


def test_average_over_orders_covers_more():
    # The same realisations as above, all orders with Akaike's weights: measured over 300 .70/.94 at the scatter of the
    # single order or less. Standard errors of 250 as above; three of them below .65/.92.
    rng = np.random.default_rng(6)
    spectra = [drawn(EXPONENTIAL, 20000, dof=3, rng=rng) for _ in range(250)]
    single, mean = ([cepstral(one, average=average) for one in spectra] for average in (False, True))
    scatter = []
    for rows in (single, mean):
        logarithm = np.log([row.zero_frequency / EXPONENTIAL.zero_frequency for row in rows])
        scatter.append(logarithm.std())
        reduced = np.abs(logarithm) / np.sqrt([row.log_variance for row in rows])
    assert scatter[1] < scatter[0]
    assert np.mean(reduced < 1) > 0.65 - 0.093
    assert np.mean(reduced < 2) > 0.92 - 0.051


def test_average_over_one_order_is_that_order():
    spectrum = drawn(EXPONENTIAL, 2000, dof=3, rng=np.random.default_rng(16))
    given, mean = (cepstral(spectrum, **keys) for keys in ({"order": 1}, {"average": True, "maximum_order": 1}))
    assert (given.zero_frequency, given.log_variance) == (mean.zero_frequency, pytest.approx(mean.log_variance))
    assert mean.order_choice == "average"


def test_series_and_segments_give_the_same_zero_frequency():
    # From time series, through the periodogram: the whole series and 20 segments agree with the truth within
    # four of their own errors, and segments (60 instead of 3 degrees of freedom) have the smaller variance
    # at one order.
    series = EXPONENTIAL.sample(40000, components=3, rng=np.random.default_rng(7))[:, None, :]
    rows = [cepstral(cross_periodogram(series, 0.005, segment=s), cutoff=10.0, order=6) for s in (None, 2000)]
    for row in rows:
        assert abs(row.zero_frequency - EXPONENTIAL.zero_frequency) < 4 * row.error
    assert rows[1].log_variance < rows[0].log_variance * 0.9


def test_eliminated_flux_leaves_the_conditional_spectrum():
    # J_0 = x + 3 y, J_1 = y with independent x, y: what is left of J_0 without J_1 is x. 150 realisations at
    # a sufficient order (the left-out coefficients of this AR(1) sum to .004): the mean of ln S within four
    # standard errors of zero; coverages within four of theirs (.038, .017).
    rng = np.random.default_rng(8)
    process = synthetic.autoregressive(0.05, interval=0.02)
    logarithm, reduced = [], []
    for _ in range(150):
        pair = process.sample(2000, components=6, rng=rng).reshape(2000, 2, 3)
        spectrum = combine(cross_periodogram(pair, 0.02), [[1.0, 3.0], [0.0, 1.0]])
        found = cepstral(spectrum, cutoff=math.inf, order=12)
        logarithm.append(math.log(found.zero_frequency / process.zero_frequency))
        reduced.append(abs(logarithm[-1]) / math.sqrt(found.log_variance))
    assert found.log_variance == pytest.approx(polygamma(1, 2) * 46 / 2000)
    assert within(logarithm, 0.0)
    assert np.mean(np.array(reduced) < 1) == pytest.approx(0.683, abs=0.152)
    assert np.mean(np.array(reduced) < 2) == pytest.approx(0.954, abs=0.068)


def test_automatic_cutoff_follows_the_power():
    # twice the median frequency of the power; tolerance: the median of thousands of ordinates
    rng = np.random.default_rng(9)
    white = drawn(synthetic.white(interval=0.005), 20000, dof=3, rng=rng)
    assert automatic_cutoff(white) == white.nyquist
    assert cepstral(white).cutoff_origin == "nyquist"
    exponential = drawn(EXPONENTIAL, 20000, dof=3, rng=rng)
    assert automatic_cutoff(exponential) == pytest.approx(1 / (math.pi * 0.05), rel=0.1)
    resonance = drawn(synthetic.resonance(4.0, 0.2, interval=0.005), 20000, dof=3, rng=rng)
    assert automatic_cutoff(resonance) == pytest.approx(8.0, rel=0.1)
    slow = drawn(synthetic.autoregressive(20.0, interval=0.005), 20000, dof=3, rng=rng)
    assert automatic_cutoff(slow) == slow.frequency[63]
    short = truncate(slow, slow.frequency[20])
    assert automatic_cutoff(short) == short.frequency[-1]


def test_sharp_vibration_far_above_does_not_spoil_the_estimate():
    # A dip as of a molten salt plus as much power again in a line at 100 THz. f* goes above or below it; what
    # counts is S(0), within 25 % in the mean square over 40 realisations (measured .06 to .15).
    liquid = synthetic.dip(0.05, ratio=0.3, interval=0.001)
    line = synthetic.resonance(100.0, 1.0, interval=0.001)
    (b, a), scale = line.filters[0], math.sqrt(0.5 / line.correlation(1)[0])
    both = synthetic.LinearProcess(filters=(*liquid.filters, ((b[0] * scale,), a)), interval=0.001)
    rng = np.random.default_rng(10)
    rows = [cepstral(drawn(both, 200000, dof=3, rng=rng)) for _ in range(40)]
    ratio = np.array([row.zero_frequency for row in rows]) / both.zero_frequency
    assert math.sqrt(np.mean((ratio - 1) ** 2)) < 0.25


def test_origins_of_the_cutoff():
    spectrum = drawn(EXPONENTIAL, 20000, dof=3, rng=np.random.default_rng(11))
    assert cepstral(spectrum).cutoff_origin == "automatic"
    assert cepstral(spectrum, cutoff=5.0).cutoff_origin == "given"
    assert cepstral(spectrum, cutoff=1e9).cutoff_origin == "nyquist"


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"cutoff": 0.0}, "must be positive"),
        ({"cutoff": 0.11}, "only 3 ordinates"),
        ({"order": 0}, "order must lie between 1 and"),
        ({"order": 10**6}, "order must lie between 1 and"),
        ({"maximum_order": 0}, "maximum_order must be at least 1"),
    ],
)
def test_bad_requests_are_refused(keywords, words):
    spectrum = drawn(EXPONENTIAL, 4000, dof=3, rng=np.random.default_rng(12))
    with pytest.raises(EstimateError, match=words):
        cepstral(spectrum, **keywords)
