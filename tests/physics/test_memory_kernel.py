"""Memory kernels: exact processes, order of convergence, naive sums, and coverage on synthetic runs."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
from scipy.interpolate import CubicSpline

from lammps_topo.errors import EstimateError
from lammps_topo.estimate.force_part import force_spectrum_from_kernel, kernel_part
from lammps_topo.estimate.kernel_tail import fit_tail
from lammps_topo.estimate.memory_kernel import memory_kernel
from lammps_topo.estimate.volterra import force_from_kernel, integrated_kernel, kernel_from_integral
from lammps_topo.synthetic import embedding

ONE = embedding(exponentials=[(4.0, 0.5)], variance=2.0)
RINGING = embedding(oscillations=[(4.0, 1.0, 1.0, 4.0)])
TWO = embedding(exponentials=[(20.0, 0.1), (2.0, 1.0)], variance=0.5)
SHARP = embedding(exponentials=[(400.0, 0.01)])
LIQUID = embedding(exponentials=[(106.0, 0.5)], oscillations=[(1660.0, 460.0, 16.7, 30.0)])


def sums_by_batch(earlier, later, lags, batches):
    """Sums [NB, L] over origins and components of earlier(t) later(t + lag), mean over particles; counts [NB, L]."""
    samples, particles = earlier.shape[:2]
    one, two = earlier.reshape(samples, -1), later.reshape(samples, -1)
    edges = np.linspace(0, samples, batches + 1).astype(int)
    sums, counts = np.empty((batches, lags)), np.empty((batches, lags))
    for b, (first, last) in enumerate(pairwise(edges)):
        length = scipy.fft.next_fast_len(last - first + lags, real=True)
        origins = scipy.fft.rfft(one[first:last], length, axis=0).conj()
        frames = scipy.fft.rfft(two[first : last + lags - 1], length, axis=0)
        sums[b] = scipy.fft.irfft((origins * frames).sum(axis=1), length)[:lags] / particles
        counts[b] = np.clip(samples - first - np.arange(lags), 0, last - first)
    return sums, counts


def exact(process, interval, lags):
    return memory_kernel(interval, 3 * process.variance * process.correlation(interval, lags))


def test_sums_by_batch_are_the_naive_ones():
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((2, 30, 2, 3))
    sums, counts = sums_by_batch(one, two, 5, 3)
    naive = np.zeros((3, 5))
    for origin in range(30):
        for lag in range(min(5, 30 - origin)):
            naive[origin // 10, lag] += (one[origin] * two[origin + lag]).sum() / 2
    np.testing.assert_allclose(sums, naive, atol=1e-12)
    np.testing.assert_array_equal(counts[2], [10, 9, 8, 7, 6])


@pytest.mark.parametrize(
    ("process", "interval", "lags", "time"),
    [
        (ONE, 0.01, 800, 1e-3),
        (RINGING, 0.01, 2000, 1e-3),
        (TWO, 0.004, 2500, 1e-3),
        (LIQUID, 0.002, 2000, 1e-3),
        (SHARP, 0.002, 1500, 5e-3),  # a decay time of five intervals
    ],
    ids=["one", "ringing", "two", "liquid", "sharp"],
)
def test_exact_correlations_give_friction_and_memory_time(process, interval, lags, time):
    found = exact(process, interval, lags)
    assert found.plateau == pytest.approx(process.plateau, rel=1e-3)
    assert found.memory_time == pytest.approx(process.memory_time, rel=time)
    assert found.velocity_variance == pytest.approx(process.variance)
    assert found.diffusion == pytest.approx(process.variance / process.plateau, rel=1e-3)
    scale = float(process.kernel(0.0))
    np.testing.assert_allclose(found.kernel, process.kernel(found.kernel_lag), atol=time * scale)
    np.testing.assert_allclose(found.integral, process.integral(found.half_time), atol=time * process.plateau)
    assert found.decayed
    assert abs(found.tail.missing) < 0.01
    assert math.isnan(found.plateau_error)
    assert math.isnan(found.kernel_error[3])
    assert found.groups == 0
    assert not found.coarse


@pytest.mark.parametrize("process", [ONE, TWO, LIQUID, RINGING], ids=["one", "two", "liquid", "ringing"])
def test_error_of_the_integral_falls_with_the_fourth_power_of_the_interval(process):
    fine = 0.2 * float(process.kernel(0.0)) ** -0.5
    errors = []
    for interval in (fine, fine / 2):
        half = (np.arange(round(40 * fine / interval)) + 0.5) * interval
        integral = integrated_kernel(process.correlation(interval, half.size + 1), interval)
        errors.append(np.abs(integral - process.integral(half))[:-2].max())
    assert errors[0] < 4e-4 * process.plateau
    assert errors[0] / errors[1] > 2**3.5


@pytest.mark.parametrize("process", [ONE, LIQUID, RINGING], ids=["one", "liquid", "ringing"])
def test_error_of_the_kernel_falls_with_the_third_power_at_lag_0_too(process):
    errors = []
    for interval in np.array((0.1, 0.05)) * float(process.kernel(0.0)) ** -0.5:
        lag = np.arange(round(8 / interval)) * interval
        kernel = kernel_from_integral(
            integrated_kernel(process.correlation(interval, lag.size + 1), interval), interval
        )
        wrong = np.abs(kernel - process.kernel(lag))[:-1] / process.kernel(0.0)
        errors.append((wrong[0], wrong[1:].max()))
    assert errors[0][0] < 2e-3
    assert errors[0][1] < 1e-3
    assert errors[0][0] / errors[1][0] > 2**2.5
    assert errors[0][1] / errors[1][1] > 2**2.4


def test_power_series_solve_is_the_naive_forward_substitution():
    rng = np.random.default_rng(1)
    correlation = np.stack([ONE.correlation(0.1, 40), TWO.correlation(0.1, 40)]) + 0.01 * rng.standard_normal((2, 40))
    correlation[:, 0] = 1.0
    found = integrated_kernel(correlation, 0.1)
    for one, whole in zip(correlation, found, strict=True):
        np.testing.assert_allclose(integrated_kernel(one, 0.1), whole, rtol=1e-10)
        halves = integrated_halves(one)
        found = forward(halves, 1 - one[1:], 0.1)
        for anchored in (False, True):
            kernel = polynomial_slopes(found, 0.1, anchored=anchored)
            left = np.append(kernel[1:], 2 * kernel[-1] - kernel[-2]) - kernel[0] * one[1:]
            found = forward(halves, 1 - one[1:] - 0.01 / 24 * left, 0.1)
        np.testing.assert_allclose(whole, found, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            kernel_from_integral(whole, 0.1), polynomial_slopes(whole, 0.1, anchored=True), rtol=1e-9
        )


def polynomial_slopes(values, interval, *, anchored):
    """Slopes at lags 0, 1, … of cubics through four values (and of a quartic through 0 and the first four)."""
    where, slopes = np.arange(values.size) + 0.5, np.empty(values.size)
    for n in range(values.size):
        first = min(max(n - 2, 0), values.size - 4)
        x, y = where[first : first + 4], values[first : first + 4]
        if anchored and n < 2:
            x, y = np.append(0.0, x), np.append(0.0, y)
        slopes[n] = np.polyval(np.polyder(np.polyfit(x - n, y, x.size - 1)), 0.0)
    slopes[-1] = values[-1] - values[-2]
    return slopes / interval


def integrated_halves(correlation):
    steps = np.arange(correlation.size)
    return CubicSpline(steps, correlation, bc_type=((1, 0.0), "not-a-knot"))(steps[:-1] + 0.5)


def forward(halves, left, interval):
    """G of interval sum_j G_j c_(n-j) = left_n, one by one."""
    found = np.zeros(left.size)
    for n in range(left.size):
        found[n] = (left[n] / interval - sum(found[j] * halves[n - j] for j in range(n))) / halves[0]
    return found


def test_every_second_lag_bounds_what_the_interval_costs():
    for process, interval, lags in ((ONE, 0.1, 160), (TWO, 0.03, 400), (LIQUID, 0.015, 250), (RINGING, 0.1, 200)):
        found = exact(process, interval, lags)
        assert abs(found.plateau - process.plateau) <= found.plateau_discretisation + 5e-4 * process.plateau
        scale = float(process.kernel(0.0))
        assert abs(found.extrapolated - scale) <= found.initial_discretisation + 2e-3 * scale
        assert found.initial_discretisation > 0
    # from accelerations K(0) does not depend on the interval
    found = memory_kernel(0.1, ONE.correlation(0.1, 160), acceleration_sums=ONE.force_correlation(0.1, 160))
    assert found.initial == pytest.approx(4.0)
    assert found.initial_discretisation == 0
    assert found.extrapolated != found.initial


def test_tail_beyond_the_window_is_continued():
    time = (np.arange(100) + 0.5) * 0.1
    fit = fit_tail(time, 3.0 - 2.0 * np.exp(-time / 4.0))
    assert fit.plateau == pytest.approx(3.0, rel=1e-6)
    assert fit.time == pytest.approx(4.0, rel=1e-3)
    assert fit.missing == pytest.approx(2 / 3 * math.exp(-time[-1] / 4.0), rel=1e-3)
    assert fit.weights.sum() == pytest.approx(1.0)
    flat = fit_tail(time, np.full(100, 2.0), lambda weights: 0.1)
    assert flat.plateau == pytest.approx(2.0)
    assert math.isnan(flat.time)
    assert flat.missing == 0


def test_window_that_ends_before_the_kernel_is_called_so():
    found = exact(TWO, 0.01, 301)
    assert not found.decayed
    assert found.tail.missing == pytest.approx(2 * math.exp(-3) / 4, rel=0.02)
    assert found.plateau == pytest.approx(TWO.plateau, rel=1e-3)


@pytest.mark.parametrize("process", [TWO, LIQUID], ids=["two", "liquid"])
def test_force_follows_from_the_kernel(process):
    interval = 0.1 * float(process.kernel(0.0)) ** -0.5
    time = np.arange(800) * interval
    halves = process.integral((np.arange(800) + 0.5) * interval)
    found = force_from_kernel(process.kernel(time), halves, interval)
    np.testing.assert_allclose(found, process.force_correlation(interval, 800), atol=2e-5 * found[0])


WINDOW = 100
RUNS, PARTICLES = 70, 12


@pytest.fixture(scope="module")
def runs():
    """Kernels of independent synthetic runs of 40 windows."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(RUNS):
        run = TWO.sample(40 * WINDOW, PARTICLES, interval=0.04, rng=rng)
        sums, counts = sums_by_batch(run.velocities, run.velocities, WINDOW, 48)
        forces, _ = sums_by_batch(run.accelerations, run.accelerations, WINDOW, 48)
        found.append(
            memory_kernel(0.04, sums, counts, batch_duration=40 * WINDOW * 0.04 / 48, acceleration_sums=forces)
        )
    return found


def covered(values, errors, truth, times=1.0):
    return np.mean(np.abs(np.asarray(values) - truth) <= times * np.asarray(errors))


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("plateau", TWO.plateau),
        ("initial", float(TWO.kernel(0.0))),
        ("extrapolated", float(TWO.kernel(0.0))),
        ("memory_time", TWO.memory_time),
        ("diffusion", TWO.variance / TWO.plateau),
        ("velocity_variance", TWO.variance),
    ],
)
def test_numbers_lie_within_their_errors_as_often_as_they_should(runs, name, truth):
    values = [getattr(one, name) for one in runs]
    errors = [getattr(one, f"{name}_error") for one in runs]
    most = 1.0 if name == "extrapolated" else 0.84  # its error is on the safe side, as its docstring says
    assert 0.54 <= covered(values, errors, truth) <= most  # .68 and 2.5 binomial errors
    assert covered(values, errors, truth, 2.0) >= 0.87
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / len(runs) ** 0.5 + 5e-3 * truth)


def test_kernel_and_its_integral_lie_within_their_bands(runs):
    lag, half = runs[0].kernel_lag, runs[0].half_time
    kernel = [np.mean([covered(r.kernel, r.kernel_error, TWO.kernel(lag), s) for r in runs]) for s in (1.0, 2.0)]
    integral = [
        np.mean([covered(r.integral, r.integral_error, TWO.integral(half), s) for r in runs]) for s in (1.0, 2.0)
    ]
    for one, two in (kernel, integral):
        assert 0.6 <= one <= 0.82
        assert 0.88 <= two <= 0.99


def test_runs_are_long_enough_for_groups_of_three_windows(runs):
    assert runs[0].groups in (11, 15)  # 12 and 16 but for the last window, whose origins lack lags
    assert runs[0].group_windows >= 3
    assert np.mean([one.decayed for one in runs]) > 0.7
    assert runs[0].plateau_discretisation < 0.5 * runs[0].plateau_error


def test_parts_of_the_force_have_kernels_that_add_up():
    run = TWO.sample(6000, 30, interval=0.03, rng=np.random.default_rng(3))
    sums, counts = sums_by_batch(run.velocities, run.velocities, 150, 40)
    whole = memory_kernel(0.03, sums, counts, batch_duration=4.5)
    parts = [
        kernel_part(0.03, sums, counts, sums_by_batch(run.velocities, one, 150, 40)[0], batch_duration=4.5)
        for one in run.parts
    ]
    np.testing.assert_allclose(sum(part.integral for part in parts), whole.integral, atol=2e-3 * whole.plateau)
    assert sum(part.plateau for part in parts) == pytest.approx(whole.plateau, rel=1e-3)
    fast, slow = parts
    assert fast.plateau == pytest.approx(2.0, abs=4 * fast.plateau_error)
    assert slow.plateau == pytest.approx(2.0, abs=4 * slow.plateau_error)
    early = fast.half_time < 1.0
    truth = 2.0 * -np.expm1(-fast.half_time / 0.1)
    assert np.abs((fast.integral - truth)[early] / fast.integral_error[early]).max() < 5


def test_the_whole_force_as_a_part_has_the_whole_friction():
    """Also where the window ends long before the tail does, so that its time is at the end of what is searched."""
    run = TWO.sample(6000, 30, interval=0.03, rng=np.random.default_rng(3))
    for lags in (24, 60, 150):
        sums, counts = sums_by_batch(run.velocities, run.velocities, lags, 40)
        whole = memory_kernel(0.03, sums, counts, batch_duration=4.5)
        forces, _ = sums_by_batch(run.velocities, run.accelerations, lags, 40)
        part = kernel_part(0.03, sums, counts, forces, batch_duration=4.5)
        assert part.plateau == pytest.approx(whole.plateau, rel=5e-3), lags
        assert part.plateau_error == pytest.approx(whole.plateau_error, rel=0.1), lags


def test_force_spectrum_agrees_with_the_kernel():
    run = LIQUID.sample(8000, 20, interval=0.006, rng=np.random.default_rng(5))
    sums, counts = sums_by_batch(run.velocities, run.velocities, 200, 40)
    forces, _ = sums_by_batch(run.accelerations, run.accelerations, 200, 40)
    spectrum = force_spectrum_from_kernel(0.006, sums, counts, forces, batch_duration=1.2)
    assert spectrum.agreement == pytest.approx(1.0, abs=max(4 * spectrum.agreement_error, 2e-3))
    assert spectrum.agreement_error < 0.01
    assert spectrum.mismatch < 0.01
    # a tenth of the force missing is seen
    wrong = force_spectrum_from_kernel(0.006, sums, counts, 0.81 * forces, batch_duration=1.2)
    assert abs(wrong.agreement - 1) > 10 * wrong.agreement_error
    far = spectrum.frequency > 1.0
    assert spectrum.predicted.shape == spectrum.measured_error.shape == spectrum.frequency.shape
    np.testing.assert_allclose(spectrum.predicted[far], spectrum.measured[far], atol=0.02 * spectrum.measured.max())


def test_short_run_gives_fewer_groups_or_none_and_says_so():
    run = ONE.sample(400, 20, interval=0.1, rng=np.random.default_rng(6))
    sums, counts = sums_by_batch(run.velocities, run.velocities, 80, 40)
    few = memory_kernel(0.1, sums, counts, batch_duration=1.0)
    assert few.groups == 4
    assert 1 <= few.group_windows < 3
    assert few.plateau_error > 0
    none = memory_kernel(0.1, sums[:12], counts[:12], batch_duration=1.0)
    assert none.groups == 0
    assert math.isnan(none.plateau_error)
    assert math.isfinite(none.plateau)
    counts[:, 50:] = sums[:, 50:] = 0.0
    cut = memory_kernel(0.1, sums, counts, batch_duration=1.0)
    assert cut.sampled == cut.lag.size == 50
    assert cut.kernel.size == cut.integral.size == 49


def test_what_does_not_fit_is_refused():
    good = np.ones((4, 20))
    for sums, counts in ((good, good[:, :10]), (np.ones((2, 2, 9)), None), (good, None), (np.ones(5), None)):
        with pytest.raises(EstimateError):
            memory_kernel(0.1, sums, counts, batch_duration=1.0)
    with pytest.raises(EstimateError):
        memory_kernel(0.1, good, good, batch_duration=0.0)
    with pytest.raises(EstimateError):
        memory_kernel(0.1, np.full((4, 20), np.nan), good, batch_duration=1.0)
    with pytest.raises(EstimateError):
        memory_kernel(0.1, -good, good, batch_duration=1.0)
    with pytest.raises(EstimateError):
        integrated_kernel(np.ones(20), 0.0)
