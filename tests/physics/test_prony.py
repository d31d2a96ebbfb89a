"""Prony series of memory kernels: exact terms, what they imply, and that every fit can be realised."""

import math

import numpy as np
import pytest

from lammps_topo.errors import EstimateError
from lammps_topo.estimate.memory_kernel import memory_kernel
from lammps_topo.estimate.prony import (
    PronySeries,
    fit_prony,
    gld_command,
    gle_matrix,
    positive_exponentials,
)
from lammps_topo.synthetic import embedding

SERIES = PronySeries(exponentials=((2.0, 1.0), (20.0, 0.1)), oscillations=((30.0, -4.0, 3.0, 8.0),))
LAG = np.arange(1500) * 0.004
HALF = LAG + 0.002


def of(series):
    return LAG, series.kernel(LAG), HALF, series.integral(HALF)


def test_series_integral_and_plateau_are_those_of_its_kernel():
    fine = np.linspace(0, 3, 30001)
    steps = np.concatenate(((0.0,), np.cumsum((SERIES.kernel(fine[1:]) + SERIES.kernel(fine[:-1])) / 2 * 1e-4)))
    np.testing.assert_allclose(SERIES.integral(fine), steps, atol=1e-5)
    assert SERIES.plateau == pytest.approx(float(SERIES.integral(60.0)))
    assert SERIES.terms == 3


def test_drift_matrix_is_that_of_a_process_with_this_kernel():
    drift = SERIES.drift_matrix()
    assert np.linalg.eigvalsh(drift + drift.T).min() > -1e-12
    values, vectors = np.linalg.eig(drift[1:, 1:])
    powers = (vectors * np.exp(-values * LAG[:, None, None])) @ np.linalg.inv(vectors)
    np.testing.assert_allclose((drift[0, 1:] @ powers @ -drift[1:, 0]).real, SERIES.kernel(LAG), atol=1e-9)
    process = embedding(exponentials=SERIES.exponentials, oscillations=SERIES.oscillations)
    np.testing.assert_allclose(drift, process.drift)
    np.testing.assert_allclose(process.kernel(LAG), SERIES.kernel(LAG), atol=1e-9)
    np.testing.assert_allclose(SERIES.velocity_correlation(LAG), process.correlation(0.004, LAG.size), atol=1e-9)


def test_velocity_correlation_obeys_the_memory_equation():
    time = np.arange(2001) * 0.001
    values = SERIES.velocity_correlation(time)
    slope = (values[2:] - values[:-2]) / 0.002
    for n in (200, 900, 1900):
        product = SERIES.kernel(time[n] - time[: n + 1]) * values[: n + 1]
        memory = 0.001 * (product.sum() - 0.5 * (product[0] + product[-1]))
        assert slope[n - 1] == pytest.approx(-memory, abs=2e-3)


@pytest.mark.parametrize(
    "series",
    [
        PronySeries(((4.0, 0.5),)),
        PronySeries(((2.0, 1.0), (20.0, 0.1))),
        PronySeries((), ((30.0, 4.0, 3.0, 8.0),)),
        PronySeries(((2.0, 1.0),), ((30.0, -4.0, 3.0, 8.0),)),
    ],
    ids=["one", "two", "ringing", "both"],
)
def test_terms_are_found_again(series):
    fit = fit_prony(*of(series))
    assert fit.residual < 1e-4
    assert (len(fit.exponentials), len(fit.oscillations)) == (len(series.exponentials), len(series.oscillations))
    for found, truth in zip(fit.exponentials, series.exponentials, strict=True):
        assert found == pytest.approx(truth, rel=5e-3)
    for found, truth in zip(fit.oscillations, series.oscillations, strict=True):
        assert found == pytest.approx(truth, rel=5e-3)
    assert fit.plateau == pytest.approx(series.plateau, rel=1e-3)


def test_number_of_terms_can_be_given():
    few, many = fit_prony(*of(SERIES), terms=1), fit_prony(*of(SERIES), terms=3)
    assert few.terms == 1
    assert many.residual < 1e-3 < few.residual


def gaussian_kernel():
    """A kernel that no finite sum equals: Gaussian, with a slow negative dip."""
    kernel = 10 * np.exp(-((LAG / 0.3) ** 2)) - 1.2 * np.exp(-(((LAG - 0.8) / 0.3) ** 2))
    steps = np.concatenate(((0.0,), np.cumsum(kernel)))[:-1] * 0.004
    return LAG, kernel, HALF, steps + kernel * 0.002


def test_every_fit_can_be_realised():
    rng = np.random.default_rng(4)
    lag, kernel, half, integral = gaussian_kernel()
    for noise in (0.0, 0.2):
        fit = fit_prony(lag, kernel + noise * rng.standard_normal(kernel.size) * (lag > 0), half, integral)
        assert all(c > 0 and tau > 0 for c, tau in fit.exponentials)
        assert all(a > 0 and g > 0 and abs(b) * w <= a * g * (1 + 1e-9) for a, b, g, w in fit.oscillations)
        drift = fit.drift_matrix()
        assert np.linalg.eigvalsh(drift + drift.T).min() > -1e-9
        frequency = np.geomspace(0.01, 1000, 400)
        spectrum = (
            np.linalg.inv(1j * frequency[:, None, None] * np.eye(len(drift) - 1) + drift[1:, 1:])
            @ -drift[1:, 0]
            @ drift[0, 1:]
        ).real
        assert spectrum.min() > -1e-9
        assert fit.residual < 0.06


def test_noisy_kernel_gives_back_the_correlation_it_came_from():
    process = embedding(exponentials=[(20.0, 0.1), (2.0, 1.0)])
    run = process.sample(6000, 40, interval=0.04, rng=np.random.default_rng(2))
    v = run.velocities.reshape(6000, -1)
    sums, counts = np.empty((30, 100)), np.empty((30, 100))
    for lag in range(100):
        products = np.pad((v[: 6000 - lag] * v[lag:]).sum(axis=1) / 40, (0, lag)).reshape(30, 200)
        sums[:, lag], counts[:, lag] = (
            products.sum(axis=1),
            np.pad(np.ones(6000 - lag), (0, lag)).reshape(30, 200).sum(1),
        )
    kernel = memory_kernel(0.04, sums, counts, batch_duration=8.0)
    fit = fit_prony(
        kernel.kernel_lag, kernel.kernel, kernel.half_time, kernel.integral,
        plateau=kernel.plateau, errors=(kernel.kernel_error, kernel.integral_error),
    )  # fmt: skip
    assert fit.terms == 2
    assert not fit.oscillations
    assert fit.plateau == pytest.approx(kernel.plateau, rel=0.01)
    assert fit.plateau == pytest.approx(process.plateau, abs=3 * kernel.plateau_error)
    np.testing.assert_allclose(fit.velocity_correlation(kernel.lag), process.correlation(0.04, 100), atol=0.02)


def test_positive_exponentials():
    exact = positive_exponentials(*of(PronySeries(((2.0, 1.0), (20.0, 0.1)))))
    assert exact.residual < 1e-3
    assert exact.plateau == pytest.approx(4.0, rel=1e-3)
    rough = positive_exponentials(*of(SERIES), terms=3)
    assert rough.terms <= 3
    assert not rough.oscillations
    assert all(c > 0 for c, _ in rough.exponentials)
    # a power law takes many
    kernel = 10 / (1 + LAG / 0.02) ** 1.5
    integral = 0.4 * (1 - (1 + HALF / 0.02) ** -0.5)
    many = positive_exponentials(LAG, kernel, HALF, integral)
    assert 3 <= many.terms <= 6
    assert many.residual < 2e-3


def test_text_for_lammps(tmp_path):
    (tmp_path / "a.gle").write_text(gle_matrix(SERIES, units="metal"))
    text = (tmp_path / "a.gle").read_text()
    assert text == gle_matrix(SERIES, units="metal")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a.gle"), SERIES.drift_matrix(), rtol=1e-12)
    assert "UNITS: metal" in text.splitlines()[0]
    assert "gle 4 " in text
    line = gld_command(PronySeries(((2.0, 1.0), (20.0, 0.1))), mass=10.0, temperature=300, seed=5, group="li")
    assert line == "fix memory li gld 300 300 2 5 pprony 20 1 20 0.1"
    with pytest.raises(EstimateError):
        gld_command(SERIES, mass=10.0, temperature=300, seed=5)


def test_what_does_not_fit_is_refused():
    lag, kernel, half, integral = of(SERIES)
    with pytest.raises(EstimateError):
        fit_prony(lag[:5], kernel[:5], half[:5], integral[:5])
    with pytest.raises(EstimateError):
        fit_prony(lag, kernel[:-1], half, integral)
    with pytest.raises(EstimateError):
        fit_prony(lag, -kernel, half, integral)
    with pytest.raises(EstimateError):
        positive_exponentials(lag, np.full(lag.size, math.nan), half, integral)
