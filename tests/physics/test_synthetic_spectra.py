"""The catalogue of exactly known fluxes: series and drawn periodograms have the spectral matrices that it states."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lammps_topo import synthetic
from lammps_topo.errors import EstimateError
from lammps_topo.estimate.spectrum import schur_spectrum
from lammps_topo.synthetic_spectra import INTERVAL, Fluxes, catalogue, debye

RARE = 1e-4
"""Each test below may fail with this probability where all is right; its seed is fixed."""
BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage"


def expected_periodogram(process, samples):
    """E[P_ab(f_k)], k = 0 … samples/2, of a stationary series: the correlation, times its triangle, transformed."""
    length = 2**18  # the correlations have decayed to exp(-131) there
    half = process.matrix(np.arange(length // 2 + 1) / (length * INTERVAL))
    density = np.concatenate((half, half[-2:0:-1].conj()))
    lag = np.fft.fftfreq(length, 1 / length)
    weighted = np.fft.ifft(density, axis=0) * np.clip(1 - np.abs(lag) / samples, 0, None)[:, None, None]
    folded = weighted.reshape(-1, samples, *weighted.shape[1:]).sum(axis=0)
    return np.fft.fft(folded, axis=0)[: samples // 2 + 1]


@pytest.mark.parametrize("name", catalogue())
def test_series_have_the_spectral_matrix_of_their_process(name):
    # 96 independent components: the mean over a bin of (P - E)/scale is a t variate of 95 degrees of freedom, whose
    # error knows how leakage correlates the ordinates. No bin may be off (Bonferroni); and where leakage is small, so
    # that bins are independent, the sum of squares of the equivalent normal deviates is chi-square.
    process, samples, components = catalogue()[name], 8192, 96
    series = process.sample(samples, components=components, rng=np.random.default_rng(5))
    assert series.shape == (samples, process.count, components)
    transform = np.fft.rfft(series, axis=0)
    found = INTERVAL / samples * transform.conj()[:, :, None] * transform[:, None]
    expected, exact = (
        expected_periodogram(process, samples),
        process.matrix(np.arange(samples // 2 + 1) / samples * 1e3),
    )
    power = np.einsum("kaa->ka", expected).real
    edges = np.unique(np.rint(np.geomspace(1, samples // 2, 16)).astype(int))
    clean = np.abs(np.einsum("kaa->ka", exact).real / power - 1).max(axis=1) < 0.05
    chi_square, bins, worst = 0.0, 0, 1.0
    for a in range(process.count):
        for b in range(a, process.count):
            off = (found[:, a, b] - expected[:, a, b, None]) / np.sqrt(power[:, a] * power[:, b])[:, None]
            for part in (off.real, off.imag) if a < b else (off.real,):
                for first, last in pairwise(edges):
                    chance = stats.ttest_1samp(part[first:last].mean(axis=0), 0).pvalue
                    worst = min(worst, chance)
                    if clean[first:last].all() and a == b == 0:
                        chi_square += stats.norm.isf(chance / 2) ** 2
                        bins += 1
    assert worst > RARE / (process.count**2 * (len(edges) - 1))
    assert bins >= 3
    assert chi_square < stats.chi2.isf(RARE, bins)


@pytest.mark.parametrize("name", catalogue())
def test_series_are_stationary_from_the_first_sample_on(name):
    # 150 independent first samples: the ratio to the exact variance is chi-square/150
    process = catalogue()[name]
    first = process.sample(1, components=150, rng=np.random.default_rng(6))[0]
    length = 2**18
    half = np.einsum("kaa->ka", process.matrix(np.arange(length // 2 + 1) / (length * INTERVAL))).real
    variance = (half[0] + half[-1] + 2 * half[1:-1].sum(axis=0)) / (length * INTERVAL)
    chance = stats.chi2.cdf((first**2).sum(axis=1) / variance, 150)
    assert (np.minimum(chance, 1 - chance) > RARE / 2 / process.count).all()


def test_schur_complements_are_exact():
    frequency = np.array([0.0, 0.05, 0.7, 2.0, 9.0, 60.0, 500.0])
    for process in catalogue().values():
        inverse = np.linalg.inv(process.matrix(frequency))[:, 0, 0]
        np.testing.assert_allclose(process.spectrum(frequency), 1 / inverse.real, rtol=1e-8)
        assert process.zero_frequency == process.spectrum(frequency)[0]
    # what is left of the first flux is its own source, written down beside the others
    for coupled, alone in (("heat", "ar1-50"), ("heat-3", "salt")):
        np.testing.assert_allclose(catalogue()[coupled].spectrum(frequency), catalogue()[alone].spectrum(frequency))
        assert np.abs(catalogue()[coupled].matrix(frequency).imag).max() > 0.01 * catalogue()[alone].zero_frequency
    own, shared = (synthetic.autoregressive(time, interval=INTERVAL).spectrum(frequency) for time in (0.05, 0.3))
    second = 0.04 * own + shared + 50 * INTERVAL
    left = own + 0.49 * shared - (0.2 * own + 0.7 * shared) ** 2 / second
    np.testing.assert_allclose(catalogue()["partly"].spectrum(frequency), left, rtol=1e-12)


@pytest.mark.parametrize(
    "terms", [[(1, 0.02), (0.5, 1.0)], [(1, 0.02), (-0.8, 0.08), (-0.14, 0.05)], [(1, 0.03), (-0.9, 0.3)]]
)
def test_relaxations_add_up(terms):
    process = debye(terms, interval=INTERVAL)
    frequency = np.concatenate(([0], np.geomspace(1e-3, 500, 50)))
    z, lag = np.exp(-2j * np.pi * frequency * INTERVAL), np.arange(200)
    spectrum, correlation = np.zeros(frequency.size), np.zeros(lag.size)
    for weight, time in terms:
        pole = np.exp(-INTERVAL / time)
        spectrum += weight * np.abs((1 - pole) / (1 - pole * z)) ** 2
        correlation += weight / INTERVAL * (1 - pole) / (1 + pole) * pole**lag
    np.testing.assert_allclose(process.spectrum(frequency), spectrum, rtol=1e-8)
    np.testing.assert_allclose(process.correlation(200), correlation, rtol=1e-8, atol=1e-8 * correlation[0])
    assert process.zero_frequency == pytest.approx(sum(weight for weight, _ in terms))


def test_the_dips_are_what_they_are_called():
    frequency = np.linspace(0, 50, 50001)
    dip, salt, narrow = (catalogue()[name].spectrum(frequency) for name in ("dip", "salt", "dipn"))
    for density, peak in ((dip, 12), (salt, 4)):
        assert density[0] / density.max() == pytest.approx(0.1, abs=0.005)
        assert frequency[density.argmax()] == pytest.approx(peak, abs=0.5)
    assert narrow[0] / narrow.max() == pytest.approx(1 / 8, abs=0.01)
    half = frequency[np.argmax(narrow > narrow[0] + 0.5 * (narrow.max() - narrow[0]))]
    assert 0.3 < half < 0.6  # THz


def test_drawn_periodograms_of_one_flux_are_gamma_variates():
    process, rng = catalogue()["dip"], np.random.default_rng(7)
    drawn = process.periodogram(20000, segments=2, rng=rng)
    assert (drawn.dof, drawn.segment, drawn.interval) == (6.0, 20000, INTERVAL)
    ratio = drawn.matrix[:, 0, 0].real / process.spectrum(drawn.frequency)
    assert stats.kstest(6 * ratio[1:-1], stats.gamma(6).cdf).pvalue > RARE
    edges = [process.periodogram(2, segments=2, rng=rng) for _ in range(1000)]
    ratio = np.array([drawn.matrix[:, 0, 0].real / process.spectrum(drawn.frequency) for drawn in edges])
    assert stats.kstest(3 * ratio.ravel(), stats.gamma(3).cdf).pvalue > RARE


def test_drawn_matrices_are_wishart_matrices():
    # Whitened, they have the mean 1 and |w_ab|² of the mean 1/nu off the diagonal; eliminating two fluxes leaves
    # Gamma(nu - 2)/nu, half of either at f = 0 and the Nyquist frequency.
    process, rng, nu = catalogue()["heat-3"], np.random.default_rng(8), 6
    drawn = process.periodogram(20000, segments=2, rng=rng)
    inverse = np.linalg.inv(np.linalg.cholesky(process.matrix(drawn.frequency)))
    white = (inverse @ drawn.matrix @ inverse.conj().swapaxes(1, 2))[1:-1]
    for a in range(3):
        assert stats.kstest(nu * white[:, a, a].real, stats.gamma(nu).cdf).pvalue > RARE
        for b in range(a):
            for part in (white[:, a, b].real, white[:, a, b].imag):
                assert stats.ttest_1samp(part, 0).pvalue > RARE
                assert stats.ttest_1samp(part**2, 1 / (2 * nu)).pvalue > RARE
    ratio = schur_spectrum(drawn) / process.spectrum(drawn.frequency)
    assert stats.kstest(nu * ratio[1:-1], stats.gamma(nu - 2).cdf).pvalue > RARE
    edges = [process.periodogram(2, segments=2, rng=rng) for _ in range(1000)]
    assert max(np.abs(drawn.matrix.imag).max() for drawn in edges) < 1e-10  # e^(i pi 40) is real to rounding
    ratio = np.array([schur_spectrum(drawn) / process.spectrum(drawn.frequency) for drawn in edges])
    assert stats.kstest(nu / 2 * ratio.ravel(), stats.gamma(nu / 2 - 1).cdf).pvalue > RARE


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: debye([], interval=1.0), "positive times"),
        (lambda: debye([(1, 1.0), (2, 1.0)], interval=1.0), "no two alike"),
        (lambda: debye([(1, -1.0)], interval=1.0), "positive times"),
        (lambda: debye([(1, 3.0), (-2, 9.0)], interval=1.0), "positive spectral density"),
        (lambda: debye([(1, 9.0), (-0.9, 3.0)], interval=1.0), "positive spectral density"),
        (lambda: catalogue()["white"].periodogram(7, rng=np.random.default_rng()), "even segment"),
        (lambda: catalogue()["heat-3"].periodogram(8, components=2, rng=np.random.default_rng()), "degrees of freedom"),
    ],
)
def test_what_cannot_be_is_said(call, words):
    with pytest.raises(EstimateError, match=words):
        call()


def test_a_lone_process_is_a_flux():
    source = synthetic.white(interval=INTERVAL, variance=2.0)
    process = Fluxes("white", (source,), 500)
    np.testing.assert_array_equal(
        process.sample(10, components=2, rng=np.random.default_rng(1))[:, 0],
        source.sample(10, components=2, rng=np.random.default_rng(1)),
    )


def test_the_benchmark_runs(tmp_path):
    command = [sys.executable, BENCHMARK, "--data", "ordinates", "--methods", "cepstral-aic,cepstral-aic:20"]
    command += [
        "--processes",
        "white,heat",
        "--lengths",
        "1000,4000",
        "--realisations",
        "6",
        "--output",
        tmp_path / "table",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "table.md").read_text()
    assert len(done.stdout.splitlines()) == 2 + 8
    assert "one_interval" in (tmp_path / "table.yaml").read_text()
