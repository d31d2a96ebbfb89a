"""Features of correlation functions: exact curves, brute-force sums, identities, and coverage on synthetic runs."""

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from lammps_topo.errors import EstimateError
from lammps_topo.estimate.tagged import (
    correlation_shape,
    diffusion_from_velocity,
    first_zero,
    minimum,
    power_spectrum,
    zero_integral_ratio,
)
from lammps_topo.synthetic import embedding

RINGING = embedding(oscillations=[(40.0, 3.0, 2.0, 5.0)], variance=1.5)


WINDOW = 120


def damped(time):
    return np.exp(-0.3 * time) * np.cos(time)


@pytest.mark.parametrize("interval", [0.05, 0.2])
def test_zero_and_minimum_of_a_damped_cosine(interval):
    values = 3.0 * damped(np.arange(200) * interval)
    assert first_zero(values, interval) == pytest.approx(math.pi / 2, abs=1e-3 * interval)
    found, exact = minimum(values, interval), math.pi - math.atan(0.3)
    assert found.time == pytest.approx(exact, abs=5e-4)
    assert found.value == pytest.approx(damped(exact), abs=2e-5)


def test_curve_without_zero_or_minimum_says_so():
    falling = np.exp(-np.arange(30) * 0.1)
    assert math.isnan(first_zero(falling, 0.1))
    assert minimum(falling, 0.1).time == pytest.approx(2.9)
    shape = correlation_shape(0.1, falling)
    assert math.isnan(shape.first_zero)
    assert math.isnan(shape.minimum_error)
    assert shape.variance == pytest.approx(1 / 3)


def test_force_on_a_free_particle_integrates_to_zero():
    force = RINGING.force_correlation(0.01, 2000)
    assert abs(zero_integral_ratio(force)) < 1e-5
    assert zero_integral_ratio(np.stack([force, np.abs(force)]))[1] == pytest.approx(1.0, abs=1e-3)
    velocity = RINGING.correlation(0.01, 2000)
    assert zero_integral_ratio(velocity) == pytest.approx(trapezoid(velocity) / trapezoid(np.abs(velocity)), rel=1e-5)


def test_spectrum_is_the_naive_cosine_sum():
    lag = np.arange(25) * 0.3
    values = np.random.default_rng(0).standard_normal((2, 25))
    frequency, density = power_spectrum(lag, values)
    taper = 0.5 * (1 + np.cos(np.pi * lag / lag[-1]))
    for f, both in zip(frequency, density.T, strict=True):
        naive = 2 * trapezoid(values * taper * np.cos(2 * np.pi * f * lag), lag, axis=1)
        np.testing.assert_allclose(both, naive, atol=1e-12)


def test_spectrum_integrates_to_half_the_variance():
    lag = np.arange(300) * 0.05
    values = 1.7 * damped(lag)
    frequency, density = power_spectrum(lag, values)
    assert trapezoid(density, frequency) == pytest.approx(values[0] / 2)


def test_spectrum_of_an_exponential_is_a_lorentzian():
    lag = np.arange(20001) * 0.005
    frequency, density = power_spectrum(lag, np.exp(-lag))
    np.testing.assert_allclose(density, 2 / (1 + (2 * np.pi * frequency) ** 2), atol=2e-3)


def velocity_sums(velocities, lags, batches):
    """Naive sums [NB, L] over origins and components, mean over particles, and counts."""
    samples, particles = velocities.shape[:2]
    edges = np.linspace(0, samples, batches + 1).astype(int)
    sums, counts = np.empty((batches, lags)), np.empty((batches, lags))
    for lag in range(lags):
        products = np.einsum("tnc,tnc->t", velocities[: samples - lag], velocities[lag:]) / particles
        kept = np.minimum(edges, samples - lag)
        sums[:, lag] = np.diff(np.concatenate(((0.0,), np.cumsum(products)))[kept])
        counts[:, lag] = np.diff(kept)
    return sums, counts


@pytest.fixture(scope="module")
def runs():
    rng, found = np.random.default_rng(8), []
    for _ in range(60):
        run = RINGING.sample(4800, 6, interval=0.05, rng=rng)
        sums, counts = velocity_sums(run.velocities, WINDOW, 40)
        forces, _ = velocity_sums(run.accelerations, WINDOW, 40)
        found.append(
            (
                correlation_shape(0.05, sums, counts, batch_duration=6.0),
                diffusion_from_velocity(0.05, sums, counts, batch_duration=6.0),
                correlation_shape(0.05, forces, counts, batch_duration=6.0),
            )
        )
    return found


def within(values, errors, truth):
    return [np.mean(np.abs(np.asarray(values) - truth) <= times * np.asarray(errors)) for times in (1, 2)]


@pytest.mark.parametrize("name", ["first_zero", "minimum_time", "minimum", "variance"])
def test_features_lie_within_their_errors_as_often_as_they_should(runs, name):
    exact = correlation_shape(0.001, 3 * RINGING.variance * RINGING.correlation(0.001, (WINDOW - 1) * 50 + 1))
    one, two = within([getattr(s, name) for s, _, _ in runs], [getattr(s, f"{name}_error") for s, _, _ in runs],
                      getattr(exact, name))  # fmt: skip
    assert 0.5 <= one <= 0.86  # .68 and three binomial errors
    assert two >= 0.87


def test_correlation_lies_within_its_band(runs):
    exact = RINGING.correlation(0.05, WINDOW)
    shares = np.mean([within(s.correlation[1:], s.correlation_error[1:], exact[1:]) for s, _, _ in runs], axis=0)
    assert 0.6 <= shares[0] <= 0.8
    assert 0.88 <= shares[1] <= 0.99


def test_force_integrates_to_zero_within_its_error(runs):
    one, two = within([f.zero_ratio for _, _, f in runs], [f.zero_ratio_error for _, _, f in runs], 0.0)
    assert 0.5 <= one <= 0.86
    assert two >= 0.87


def test_diffusion_from_velocities(runs):
    assert runs[0][0].groups == runs[0][1].groups >= 10
    one, two = within([d.value for _, d, _ in runs], [d.error for _, d, _ in runs], RINGING.variance / RINGING.plateau)
    assert 0.5 <= one <= 0.86
    assert two >= 0.87
    assert np.mean([abs(d.late) < 2 * d.late_error for _, d, _ in runs]) > 0.85
    # a window that ends too early is seen
    early = diffusion_from_velocity(0.05, 3 * RINGING.variance * RINGING.correlation(0.05, 12))
    assert abs(early.late) > 0.1 * early.value


def test_what_does_not_fit_is_refused():
    for correlation, counts in ((np.ones(4), None), (np.ones((3, 20)), np.zeros((3, 20)))):
        with pytest.raises(EstimateError):
            correlation_shape(0.1, correlation, counts, batch_duration=1.0)
    with pytest.raises(EstimateError):
        correlation_shape(0.1, np.ones((3, 20)), np.ones((3, 20)))
    with pytest.raises(EstimateError):
        power_spectrum(np.arange(5), np.ones(6))
