"""Cross-periodograms: the definition written out, identities, and what is made of the matrix."""

import math

import numpy as np
import pytest

from lammps_topo import synthetic
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.spectrum import (
    Spectrum,
    block_average,
    combine,
    cross_periodogram,
    schur_dof,
    schur_spectrum,
    truncate,
)


def fluxes(samples=60, count=3, components=2, seed=1):
    """Correlated noise, [samples, count, components]."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(count) + 0.4 * rng.standard_normal((count, count))
    return np.einsum("ab,tbc->tac", mixing, rng.standard_normal((samples, count, components)))


def naive(flux, interval):
    """S_ab(k) = eps/N <conj(J_a) J_b> by explicit Fourier sums."""
    samples, count, _ = flux.shape
    time = np.arange(samples)
    matrix = np.zeros((samples // 2 + 1, count, count), dtype=complex)
    for k in range(samples // 2 + 1):
        transform = np.einsum("t,tac->ac", np.exp(-2j * np.pi * k * time / samples), flux)
        for a in range(count):
            for b in range(count):
                matrix[k, a, b] = interval / samples * np.mean(transform[a].conj() * transform[b])
    return matrix


def test_periodogram_is_its_definition():
    flux = fluxes()
    spectrum = cross_periodogram(flux, 0.25)
    np.testing.assert_allclose(spectrum.matrix, naive(flux, 0.25), atol=1e-12)
    np.testing.assert_allclose(spectrum.frequency, np.arange(31) / (60 * 0.25), rtol=1e-14)
    assert (spectrum.dof, spectrum.segment, spectrum.interval) == (2.0, 60, 0.25)
    assert spectrum.nyquist == spectrum.frequency[-1] == 2.0


def test_segments_are_averaged_and_the_rest_is_left_out():
    flux = fluxes(samples=71)
    spectrum = cross_periodogram(flux, 0.5, segment=20)
    parts = [naive(flux[start : start + 20], 0.5) for start in (0, 20, 40)]
    np.testing.assert_allclose(spectrum.matrix, np.mean(parts, axis=0), atol=1e-12)
    assert spectrum.dof == 6.0
    assert cross_periodogram(flux, 0.5).segment == 70


def test_parseval():
    flux = fluxes(samples=64)
    spectrum = cross_periodogram(flux, 0.1)
    weight = np.where(spectrum.halved, 1.0, 2.0)[:, None, None]  # both signs of the frequency
    power = (weight * spectrum.matrix.real).sum(axis=0) / (64 * 0.1)
    np.testing.assert_allclose(power, np.einsum("tac,tbc->ab", flux, flux) / (64 * 2), rtol=1e-12)


def test_matrices_are_hermitian_and_real_where_halved():
    spectrum = cross_periodogram(fluxes(), 1.0)
    np.testing.assert_allclose(spectrum.matrix, spectrum.matrix.conj().transpose(0, 2, 1), atol=0)
    assert np.flatnonzero(spectrum.halved).tolist() == [0, 30]
    np.testing.assert_allclose(spectrum.matrix[[0, 30]].imag, 0.0, atol=1e-12)


def test_truncation_keeps_low_frequencies_and_forgets_nyquist():
    spectrum = cross_periodogram(fluxes(), 1.0)
    cut = truncate(spectrum, spectrum.frequency[7])
    assert cut.frequency.size == 8
    assert np.flatnonzero(cut.halved).tolist() == [0]
    np.testing.assert_array_equal(cut.matrix, spectrum.matrix[:8])
    assert truncate(spectrum, math.inf).frequency.size == spectrum.frequency.size


def test_combination_of_spectra_is_the_spectrum_of_the_combination():
    flux = fluxes()
    weights = np.array([[1.0, -1.0, 0.0], [0.5, 2.0, -3.0]])
    expected = cross_periodogram(np.einsum("rm,tmc->trc", weights, flux), 0.3)
    found = combine(cross_periodogram(flux, 0.3), weights)
    np.testing.assert_allclose(found.matrix, expected.matrix, atol=1e-12)
    assert found.dof == expected.dof


def test_schur_spectrum_is_one_over_the_element_of_the_inverse():
    spectrum = cross_periodogram(fluxes(samples=400), 1.0, segment=40)
    expected = 1 / np.linalg.inv(spectrum.matrix)[:, 0, 0].real
    np.testing.assert_allclose(schur_spectrum(spectrum), expected, rtol=1e-10)
    assert schur_dof(spectrum) == 2 * 10 - 3 + 1


def test_schur_spectrum_of_one_flux_is_its_density():
    spectrum = cross_periodogram(fluxes(count=1), 1.0)
    np.testing.assert_allclose(schur_spectrum(spectrum), spectrum.matrix[:, 0, 0].real, rtol=1e-14)


def test_schur_spectrum_does_not_see_what_the_other_fluxes_carry():
    flux = fluxes(samples=400)
    loaded = flux.copy()
    loaded[:, 0] += 1e3 * flux[:, 1] - 20.0 * flux[:, 2]
    one, other = (schur_spectrum(cross_periodogram(x, 1.0, segment=40)) for x in (flux, loaded))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_schur_spectrum_has_the_gamma_distribution_of_a_wishart_matrix():
    # White fluxes, nu = 4, M = 3: Gamma(2)/4 of the conditional variance (here 1). 4999 independent
    # ordinates: mean 1/2 with standard error sqrt(2)/4/sqrt(4999) = 0.005; variance 2/16, its relative
    # standard error sqrt(kurtosis/n) = sqrt((2 + 6/2)/4999) = 0.032. Both within four standard errors.
    rng = np.random.default_rng(7)
    flux = rng.standard_normal((10000, 3, 4))
    flux[:, 0] += 2 * flux[:, 1] - flux[:, 2]
    found = schur_spectrum(cross_periodogram(flux, 1.0))[1:-1]
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    assert found.var() == pytest.approx(2 / 16, rel=0.13)


PROCESSES = {
    "white": synthetic.white(interval=0.5, variance=2.0),
    "autoregressive": synthetic.autoregressive(3.0, interval=0.5, variance=1.5),
    "two_times": synthetic.two_times(1.0, 20.0, fraction=0.1, interval=0.5),
    "resonance": synthetic.resonance(0.2, 5.0, interval=0.5),
    "dip": synthetic.dip(4.0, ratio=0.1, interval=0.5),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_sampled_series_have_the_correlation_that_the_process_claims(name):
    # The expectation of a periodogram is the transform of the exact correlation times the triangle 1 -
    # |l|/N. 900 independent periodograms (300 segments, 3 components): relative standard error 1/30 an
    # ordinate, five of them allowed for the largest of 127 ordinates, and four for their mean.
    process = PROCESSES[name]
    series = process.sample(256 * 300, components=3, rng=np.random.default_rng(3))
    spectrum = cross_periodogram(series[:, None, :], 0.5, segment=256)
    weighted = process.correlation(256) * (1 - np.arange(256) / 256)
    expected = 0.5 * (2 * np.fft.rfft(weighted).real - weighted[0])
    ratio = (spectrum.matrix[:, 0, 0].real / expected)[1:-1]
    assert np.abs(ratio - 1).max() < 5 / 30
    assert abs(ratio.mean() - 1) < 4 / 30 / math.sqrt(127)


@pytest.mark.parametrize("name", PROCESSES)
def test_correlation_and_spectrum_of_a_process_are_a_fourier_pair(name):
    process = PROCESSES[name]
    correlation = process.correlation(2000)  # decayed to exp(-50)
    for frequency in (0.0, 0.01, 0.2, 1.0):
        phase = np.cos(2 * np.pi * frequency * 0.5 * np.arange(2000))
        expected = 0.5 * (2 * correlation @ phase - correlation[0])
        assert float(process.spectrum(frequency)) == pytest.approx(expected, rel=1e-9)


def test_exact_zero_frequencies():
    step = 0.5 / 3.0
    exponential = synthetic.autoregressive(3.0, interval=0.5, variance=1.5)
    assert exponential.zero_frequency == pytest.approx(1.5 * 0.5 / math.tanh(step / 2))
    assert synthetic.white(interval=0.5, variance=2.0).zero_frequency == pytest.approx(1.0)
    dip = synthetic.dip(4.0, ratio=0.1, interval=0.5)
    assert dip.zero_frequency / dip.spectrum(np.linspace(0, 1, 20001)).max() == pytest.approx(0.1, rel=1e-3)
    assert dip.correlation(1)[0] == pytest.approx(1.0)


def test_block_average_is_a_moving_average_then_every_nth_sample():
    series = np.random.default_rng(5).standard_normal((109, 2, 3))
    moving = np.array([series[i : i + 7].mean(axis=0) for i in range(109 - 6)])
    np.testing.assert_allclose(block_average(series, 7), moving[::7][:14], atol=1e-14)
    assert block_average(series, 1).shape == (108, 2, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cross_periodogram(np.zeros((8, 2)), 1.0), "shape"),
        (lambda: cross_periodogram(fluxes(), 0.0), "between samples must be positive"),
        (lambda: cross_periodogram(fluxes(), 1.0, segment=7), "even number"),
        (lambda: cross_periodogram(fluxes(), 1.0, segment=62), "longer than the series"),
        (lambda: cross_periodogram(np.full((8, 1, 3), np.nan), 1.0), "not finite"),
        (lambda: combine(cross_periodogram(fluxes(), 1.0), [[1.0, 2.0]]), "one row of 3"),
        (lambda: truncate(cross_periodogram(fluxes(), 1.0), 1e-3), "no ordinate above zero"),
        (lambda: schur_spectrum(cross_periodogram(fluxes(count=3), 1.0)), "degrees of freedom"),
        (lambda: schur_spectrum(cross_periodogram(np.zeros((8, 1, 3)), 1.0)), "must be positive"),
        (lambda: block_average(fluxes(), 31), "do not fit twice"),
        (lambda: synthetic.autoregressive(0.0, interval=1.0), "must be positive"),
        (lambda: synthetic.resonance(1.0, -1.0, interval=1.0), "positive frequency"),
        (lambda: synthetic.dip(1.0, ratio=2.0, interval=0.1), "between 0 and 1"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(call, words):
    with pytest.raises(EstimateError, match=words):
        call()


@pytest.mark.parametrize(("row", "words"), [(0, "flux 0 is a linear"), (1, "flux 1 is a linear")])
def test_dependent_fluxes_are_refused(row, words):
    flux = fluxes(components=6)
    flux[:, row] = 2 * flux[:, 1] - 0.5 * flux[:, 2] if row == 0 else 3 * flux[:, 3 - row]
    with pytest.raises(EstimateError, match=words):
        schur_spectrum(cross_periodogram(flux, 1.0))


def test_spectrum_can_be_made_of_accumulated_sums():
    flux = fluxes(samples=80)
    transform = np.fft.rfft(flux.reshape(4, 20, 3, 2), axis=1)
    sums = np.einsum("skac,skbc->kab", transform.conj(), transform)
    made = Spectrum(frequency=np.arange(11) / 20.0, matrix=sums / (20 * 8), dof=8.0, interval=1.0, segment=20)
    np.testing.assert_allclose(made.matrix, cross_periodogram(flux, 1.0, segment=20).matrix, atol=1e-12)
