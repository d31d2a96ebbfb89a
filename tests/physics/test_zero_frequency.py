"""The calibrated estimate of S(0): against exact integrals, exact spectra, and what hides from it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, norm

from lammps_topo.errors import EstimateError
from lammps_topo.estimate import warped_cepstrum
from lammps_topo.estimate import zero_frequency as module
from lammps_topo.estimate.spectrum import combine, cross_periodogram
from lammps_topo.estimate.warped_cepstrum import bin_ordinates
from lammps_topo.estimate.zero_frequency import zero_frequency
from lammps_topo.synthetic_spectra import INTERVAL, catalogue


def estimates(name: str, samples: int, number: int, *, segments: int = 1, seed: int = 1):
    """Estimates of ``number`` realisations, and ln S(0) less the exact one over its error."""
    process, rng = catalogue()[name], np.random.default_rng(seed)
    found = [zero_frequency(process.periodogram(samples, segments=segments, rng=rng)) for _ in range(number)]
    away = np.array([math.log(one.value / process.zero_frequency) for one in found])
    return found, away, away / np.array([one.log_error for one in found])


# ---- one model, against integrals ------------------------------------------------------------------------------------


def test_evidence_and_mean_of_a_model_are_those_of_the_integrals():
    # One coefficient, a constant: posterior and evidence by quadrature. Laplace's approximation is good to about one
    # over the sum of shapes, here 1/600.
    rng = np.random.default_rng(1)
    shape = rng.uniform(20.0, 80.0, 12)
    power = 2.5 * rng.gamma(shape) / shape
    level = math.log(2.0)
    noise = warped_cepstrum._Noise(np.ones((1, 12, 1)), np.full((1, 1, 1), 1 / 0.3**2), np.ones((1, 1)), shape)
    evidence, mode = noise.mode(power, np.log(power), level)

    def joint(x: float) -> float:
        scale = math.exp(level + x) / shape
        # densities of the powers, but for the factor 1/power that no model changes
        return float(np.exp(gamma.logpdf(power, shape, scale=scale).sum()) * norm.pdf(x, scale=0.3))

    whole, first, second = (quad(lambda x, k=k: x**k * joint(x), -1.0, 1.5, epsabs=0)[0] for k in range(3))
    assert mode[0, 0, 0] == pytest.approx(first / whole, abs=2e-3)
    assert noise.variance[0, 0] == pytest.approx(second / whole - (first / whole) ** 2, rel=1e-2)
    # the prior's normalisation 1/sqrt(2 pi) and that of Laplace's integral cancel
    assert evidence[0, 0] == pytest.approx(math.log(whole), abs=5e-3)


def test_bins_hold_every_ordinate_once():
    rng = np.random.default_rng(2)
    power, shape = rng.gamma(3.0, size=5000), np.full(5000, 3.0)
    mean, weight, centre, edges = bin_ordinates(power, shape, 1)
    assert weight.sum() == pytest.approx(shape.sum())
    assert mean @ weight == pytest.approx(power @ shape)
    assert (edges[0], edges[-1]) == (1, 5001)
    assert np.all(np.diff(centre) > 0)
    assert np.all((edges[:-1] <= centre) & (centre < edges[1:]))
    assert mean[:10] == pytest.approx(power[:10])


# ---- calibration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "scatter"), [("ar1-50", 0.060), ("ar2", 0.060), ("dip", 0.075), ("heat", 0.075)])
def test_intervals_hold_what_they_say(name, scatter):
    # 100 realisations of 100 ps: standard errors of a coverage of .70 .046, of .955 .021, of the scatter 7 %. Bounds
    # of the coverage: .65-.80 and .93-.99, three standard errors on. benchmarks/coverage has the table of 300.
    _, away, reduced = estimates(name, 100_000, 100)
    assert 0.65 - 0.14 < np.mean(np.abs(reduced) < 1) < 0.80 + 0.12
    assert np.mean(np.abs(reduced) < 2) > 0.93 - 0.07
    assert away.std() < scatter * (1 + 3 / math.sqrt(200))


@pytest.mark.parametrize(("samples", "segments"), [(10_000, 10), (20_000, 5), (1_000_000, 1)])
def test_intervals_hold_for_other_lengths_and_segments(samples, segments):
    # 40 realisations: standard errors .072 and .033
    _, _, reduced = estimates("ar1-50", samples, 40, segments=segments, seed=3)
    assert np.mean(np.abs(reduced) < 1) > 0.65 - 0.22
    assert np.mean(np.abs(reduced) < 2) > 0.93 - 0.10


def test_two_parts_of_a_run_agree_within_their_errors():
    # Halves of 60 runs: the difference over its error has a mean square near one; that of 60 normal numbers has a
    # standard error of .18.
    process, rng = catalogue()["ar1-50"], np.random.default_rng(4)
    reduced = []
    for _ in range(60):
        first, second = (zero_frequency(process.periodogram(50_000, rng=rng)) for _ in range(2))
        error = math.hypot(first.log_error, second.log_error)
        reduced.append(math.log(first.value / second.value) / error)
    assert 1 - 3 * 0.18 < np.mean(np.square(reduced)) < 1 + 3 * 0.18


def test_two_segmentations_of_a_run_agree():
    # The same series as one segment and as ten: they share most of their noise, and must agree better than two runs.
    process, rng = catalogue()["ar1-50"], np.random.default_rng(5)
    for _ in range(10):
        series = process.sample(100_000, rng=rng)
        whole, parts = (zero_frequency(cross_periodogram(series, INTERVAL, segment=n)) for n in (100_000, 10_000))
        assert abs(math.log(whole.value / parts.value)) < 2.5 * math.hypot(whole.log_error, parts.log_error)


def test_scales_as_a_square_and_knows_no_units():
    spectrum = catalogue()["ar2"].periodogram(20_000, rng=np.random.default_rng(6))
    plain, large = zero_frequency(spectrum), zero_frequency(combine(spectrum, [[1e5]]))
    assert large.value == pytest.approx(1e10 * plain.value, rel=1e-6)
    assert large.log_error == pytest.approx(plain.log_error, rel=1e-6)
    slower = replace(spectrum, frequency=spectrum.frequency / 1e3, interval=spectrum.interval * 1e3)
    again = zero_frequency(slower)
    assert (again.value, again.log_error) == pytest.approx((plain.value, plain.log_error), rel=1e-9)
    assert again.knee == pytest.approx(plain.knee / 1e3)


def test_a_mean_that_was_removed_does_not_matter():
    series = catalogue()["ar1-50"].sample(20_000, rng=np.random.default_rng(7))
    raw, centred = (
        zero_frequency(cross_periodogram(one, INTERVAL)) for one in (series, series - series.mean(axis=0) + 1e-12)
    )
    assert centred.value == pytest.approx(raw.value, rel=1e-6)


def test_curve_and_band_hold_the_spectrum():
    process = catalogue()["ar2"]
    found = zero_frequency(process.periodogram(100_000, rng=np.random.default_rng(8)))
    deviation = np.log(found.smooth / process.spectrum(found.frequencies)) / np.log(found.upper / found.smooth)
    assert found.frequencies[0] == 0
    assert found.smooth[0] == pytest.approx(found.value)
    assert np.mean(np.abs(deviation) < 2) > 0.8
    assert found.lower[0] == pytest.approx(found.value * math.exp(-found.log_error))


# ---- the verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two", "dipn", "ar1-500"])
def test_what_hides_at_zero_is_not_called_resolved(name):
    found, _, _ = estimates(name, 100_000, 25, seed=9)
    assert np.mean([one.resolved for one in found]) < 0.1
    assert all("longer run" in one.reasons[0] for one in found if not one.resolved)


@pytest.mark.parametrize(("name", "samples"), [("white", 10_000), ("ar1-50", 1_000_000), ("ar2", 500_000)])
def test_no_false_alarm_where_the_plateau_is_plain(name, samples):
    found, _, _ = estimates(name, samples, 25, seed=10)
    assert sum(not one.resolved for one in found) <= 1


def test_a_mean_and_a_drift_are_noticed():
    series = catalogue()["ar1-50"].sample(50_000, rng=np.random.default_rng(11))
    plain = zero_frequency(cross_periodogram(series, INTERVAL))
    assert not [reason for reason in plain.reasons if "mean" in reason or "drift" in reason]
    moved = zero_frequency(cross_periodogram(series + 0.5 * series.std(), INTERVAL))
    assert any("mean of the flux" in reason for reason in moved.reasons)
    slope = np.linspace(-1.0, 1.0, len(series))[:, None, None] * series.std()
    assert not zero_frequency(cross_periodogram(series + slope, INTERVAL)).resolved


def test_segments_that_are_too_short_are_noticed():
    process = catalogue()["ar1-50"]
    series = process.sample(400_000, rng=np.random.default_rng(12))
    short, long = (zero_frequency(cross_periodogram(series, INTERVAL, segment=n)) for n in (400, 40_000))
    assert any("segments are too short" in reason for reason in short.reasons)
    assert long.resolved
    assert abs(math.log(long.value / process.zero_frequency)) < 3 * long.log_error


def test_lowest_ordinates_that_do_not_fit_are_noticed():
    # a peak of two ordinates, too narrow for the estimate to follow it
    spectrum = catalogue()["white"].periodogram(1000, rng=np.random.default_rng(20))
    assert zero_frequency(spectrum).resolved
    higher = spectrum.matrix.copy()
    higher[1:3] = 4 * np.median(higher.real)
    (reason,) = zero_frequency(replace(spectrum, matrix=higher)).reasons
    assert reason.startswith("the lowest ordinates do not fit a plateau")


@pytest.mark.parametrize("name", ["dip", "squared", "ar1-50"])
def test_what_a_segment_of_finite_length_changes_is_taken_away(name):
    """The expected periodogram of segments of 5 ps, from the autocovariance: no noise, S(0) off by up to 4.6 %."""
    process, samples, fine = catalogue()[name], 5000, 2**18
    covariance = np.fft.irfft(process.spectrum(np.arange(fine // 2 + 1) / (fine * INTERVAL)))[:samples] / INTERVAL
    covariance *= 1 - np.arange(samples) / samples
    expected = INTERVAL * (2 * np.fft.rfft(covariance).real - covariance[0])
    spectrum = process.periodogram(samples, segments=400, rng=np.random.default_rng(21))
    found = zero_frequency(replace(spectrum, matrix=expected[:, None, None].astype(complex)))
    off = math.log(expected[0] / process.zero_frequency)
    assert 0.009 < abs(off) < 0.05
    assert abs(math.log(found.value / process.zero_frequency)) < 0.3 * abs(off) + 0.2 * found.log_error


def test_an_error_that_is_small_by_chance_is_not_believed(monkeypatch):
    """Where a peak hides in noise, S(0) and its own error come out low together: what is usual there is asked for."""
    process, rng = catalogue()["two"], np.random.default_rng(22)
    spectra = [process.periodogram(1_000_000, rng=rng) for _ in range(24)]
    usual = []
    monkeypatch.setattr(module, "typical", lambda *args: usual.append(warped_cepstrum.typical(*args)) or usual[-1])
    found = [zero_frequency(spectrum) for spectrum in spectra]
    monkeypatch.setattr(module, "typical", lambda *_: warped_cepstrum.Typical(math.nan, 0.0))
    alone = [zero_frequency(spectrum) for spectrum in spectra]
    own, expected = np.log([one.log_error for one in alone]), np.log([one.error for one in usual])
    assert [math.log(one.log_error) for one in found] == pytest.approx(np.maximum(own, expected).tolist())
    assert expected.std() < 0.6 * own.std()


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_given_cutoff_is_used():
    spectrum = catalogue()["ar1-50"].periodogram(20_000, rng=np.random.default_rng(13))
    found = zero_frequency(spectrum, cutoff=5.0)
    assert found.cutoff_origin == "given"
    assert found.cutoffs == (5.0,)
    assert len(zero_frequency(spectrum).cutoffs) == 2


@pytest.mark.parametrize(
    ("keywords", "words"), [({"cutoff": 0.0}, "must be positive"), ({"cutoff": 0.3}, "only 6 ordinates")]
)
def test_bad_requests_are_refused(keywords, words):
    spectrum = catalogue()["ar1-50"].periodogram(20_000, rng=np.random.default_rng(14))
    with pytest.raises(EstimateError, match=words):
        zero_frequency(spectrum, **keywords)


def test_too_little_data_and_dependent_fluxes_are_refused():
    with pytest.raises(EstimateError, match="8 are needed"):
        zero_frequency(catalogue()["ar1-50"].periodogram(12, rng=np.random.default_rng(15)))
    both = combine(catalogue()["ar1-50"].periodogram(2000, rng=np.random.default_rng(16)), [[1.0], [2.0]])
    with pytest.raises(EstimateError, match="linear combination"):
        zero_frequency(both)
