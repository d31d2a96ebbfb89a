"""The matrix S(0) of several fluxes: against exact matrices, identities, and what it must say of dependent fluxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lammps_topo.errors import EstimateError
from lammps_topo.estimate.conductivity_parts import isotropy
from lammps_topo.estimate.flux_matrix import independent
from lammps_topo.estimate.onsager import Onsager, dependence, onsager
from lammps_topo.estimate.spectrum import Spectrum, combine
from lammps_topo.estimate.zero_frequency import zero_frequency
from lammps_topo.synthetic import autoregressive
from lammps_topo.synthetic_spectra import INTERVAL, Fluxes, catalogue

RARE = 1e-3
"""Each statistical test below may fail with about this probability where all is right; its seed is fixed."""
#: The fluxes to be eliminated first, as the package puts them.
ORDERS = {"heat": [1, 0], "partly": [1, 0], "heat-3": [1, 2, 0]}


def draw(name: str, rng: np.random.Generator, *, samples: int = 100_000, segments: int = 6) -> Spectrum:
    order = ORDERS[name]
    spectrum = catalogue()[name].periodogram(samples // segments, segments=segments, rng=rng)
    return replace(spectrum, matrix=spectrum.matrix[:, order][:, :, order])


def covariance(spectrum: Spectrum) -> np.ndarray:
    return spectrum.matrix[1:].real.sum(axis=0)


def exact(name: str) -> np.ndarray:
    order = ORDERS[name]
    return catalogue()[name].matrix([0.0])[0].real[np.ix_(order, order)]


def least(probability: float, number: int) -> float:
    """A fraction of so many trials that is undercut with the probability RARE."""
    return float(stats.binom.ppf(RARE, number, probability)) / number


# ---- calibration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ORDERS)
def test_intervals_hold_what_they_say(name):
    # 1σ/2σ coverage of every element: not below .65/.93, binomial tolerance for 30 realisations of 100 ps
    number, rng, wanted = 30, np.random.default_rng(1), exact(name)
    found = [onsager(draw(name, rng)) for _ in range(number)]
    reduced = np.array([(one.matrix - wanted) / one.error() for one in found])
    assert (np.mean(np.abs(reduced) < 1, axis=0) >= least(0.65, number)).all()
    assert (np.mean(np.abs(reduced) < 2, axis=0) >= least(0.93, number)).all()
    # nor are errors far too large
    assert (np.mean(np.abs(reduced) < 1, axis=0) < 1).all()


def test_regression_is_as_good_as_it_can_be():
    # J_1 = 0.7 J_0 + rest with equal spectra: the Cramér-Rao bound of a constant beta is (2 nu K)^-1/2, K ordinates in
    # use. Beta may vary here, which costs a factor of a few; and its error must be right.
    relaxation = autoregressive(0.05, interval=INTERVAL)
    process = Fluxes("", (relaxation, relaxation), 10, (((1.0,), (0.0,)), ((0.7,), (1.0,))))
    rng, number = np.random.default_rng(2), 30
    found = [onsager(process.periodogram(20_000, segments=5, rng=rng)) for _ in range(number)]
    away = np.array([one.regression[1, 0] - 0.7 for one in found])
    error = np.array([one.regression_covariance[1][0, 0] ** 0.5 for one in found])
    bound = (2 * 15 * 20.0 * max(found[0].pivots[1].cutoffs)) ** -0.5
    assert bound < away.std() < 4 * bound
    assert np.mean(np.abs(away) < error) >= least(0.65, number)
    assert abs(away.mean()) < 3.3 * away.std() / number**0.5


# ---- identities -----------------------------------------------------------------------------------------------------


def test_positive_semidefinite():
    rng = np.random.default_rng(3)
    # short series, and fluxes that are almost the same
    close = np.array([[1.0, 0.0, 0.0], [1.0, 1e-2, 0.0], [0.2, 0.0, 1.0]])
    for weights in (np.eye(3), close):
        for _ in range(3):
            found = onsager(combine(draw("heat-3", rng, samples=10_000, segments=2), weights)).matrix
            scale = np.sqrt(np.diag(found))
            assert np.linalg.eigvalsh(found / np.outer(scale, scale)).min() > -1e-12


def test_a_schur_complement_is_that_of_the_spectrum():
    spectrum = draw("heat-3", np.random.default_rng(4))
    joint = onsager(spectrum)
    turned = replace(spectrum, matrix=spectrum.matrix[:, [2, 0, 1]][:, :, [2, 0, 1]])
    kappa = zero_frequency(turned)
    rest = joint.without(2)
    assert rest.matrix[0, 0] == pytest.approx(kappa.value, rel=1e-9)
    assert rest.error()[0, 0] == pytest.approx(kappa.error, rel=1e-9)
    assert 1 / np.linalg.inv(joint.matrix)[2, 2] == pytest.approx(kappa.value, rel=1e-9)
    two = joint.without(1).matrix
    matrix = joint.matrix
    assert two == pytest.approx(matrix[1:, 1:] - np.outer(matrix[1:, 0], matrix[0, 1:]) / matrix[0, 0], rel=1e-9)


def test_errors_are_those_of_the_parameters():
    joint = onsager(draw("heat-3", np.random.default_rng(5)))
    forms = np.random.default_rng(6).standard_normal((4, 3, 3))

    def values(changed: Onsager) -> np.ndarray:
        return np.einsum("qab,ab->q", forms, changed.matrix)

    found, covariance = joint.combination(forms)
    assert found == pytest.approx(values(joint), rel=1e-12)
    expected = np.zeros((4, 4))
    for j, pivot in enumerate(joint.pivots):
        step = 1e-6
        pivots = [replace(one, value=one.value * (1 + step * (i == j))) for i, one in enumerate(joint.pivots)]
        slope = (values(replace(joint, pivots=tuple(pivots))) - found) / step
        expected += np.outer(slope, slope) * pivot.log_error**2
        slopes = []
        for k in range(j):
            regression = joint.regression.copy()
            regression[j, k] += step
            slopes.append((values(replace(joint, regression=regression)) - found) / step)
        if slopes:
            expected += np.transpose(slopes) @ joint.regression_covariance[j] @ np.array(slopes)
    assert covariance == pytest.approx(expected, rel=1e-4)


def test_units_do_not_matter():
    spectrum = draw("heat-3", np.random.default_rng(7))
    plain, scaled = onsager(spectrum), onsager(combine(spectrum, np.diag([1e6, 1e-5, 3.0])))
    factor = np.outer([1e6, 1e-5, 3.0], [1e6, 1e-5, 3.0])
    assert scaled.matrix == pytest.approx(plain.matrix * factor, rel=1e-6)
    assert scaled.error() == pytest.approx(plain.error() * factor, rel=1e-6)


# ---- fluxes that depend on each other --------------------------------------------------------------------------------


def test_dependent_fluxes_are_expressed_by_the_others():
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-2.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    spectrum = draw("heat-3", np.random.default_rng(8))
    expression, kept = dependence(covariance(combine(spectrum, weights)))
    assert kept == [0, 1, 4]
    assert expression == pytest.approx(weights, abs=1e-9)
    joint = onsager(combine(spectrum, weights))
    plain = onsager(spectrum)
    assert joint.matrix == pytest.approx(weights @ plain.matrix @ weights.T, rel=1e-9, abs=1e-12)
    # what follows from eliminated fluxes is nothing; and what does not is what it was
    rest = joint.without(2)
    assert rest.matrix[0] == pytest.approx(0.0, abs=1e-12)
    assert rest.matrix[2, 2] == pytest.approx(plain.without(2).matrix[0, 0], rel=1e-9)


def test_rounding_is_no_flux():
    spectrum = combine(draw("heat-3", np.random.default_rng(9)), np.diag([1.0, 1e-12, 1.0]))
    assert dependence(covariance(spectrum))[1] == [0, 1, 2]
    assert dependence(covariance(spectrum), alike=True)[1] == [0, 2]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize(("mass", "size"), [(1.0, 1.0), (0.01, 10.0), (0.001, 10.0), (0.001, 1000.0), (0.0, 1.0)])
def test_in_the_barycentric_frame_a_light_species_counts_and_one_heavy_one_does_not(mass, size, order):
    """The light one follows from both heavy ones, but with factors so large that rounding hides it: two are free."""
    rng, masses, numbers = np.random.default_rng(12), np.array([39.0, 35.0, mass]), np.array([64.0, 62.0, 1.0])
    heavy, light = rng.standard_normal((2, 20_000, 3))
    moved = np.stack((heavy, -(39.0 * 64.0 * heavy + mass * size * light) / (35.0 * 62.0), size * light), axis=1)
    drift = rng.standard_normal((20_000, 1, 3))
    moved += drift - np.einsum("s,tsc->tc", masses * numbers / (masses @ numbers), moved + drift)[:, None]
    moved = moved[:, order]
    expression, kept = independent(np.einsum("tac,tbc->ab", moved, moved))
    assert len(kept) == 2
    assert order.index(2) in kept
    rest = moved - np.einsum("am,tmc->tac", expression, moved[:, kept])
    assert (rest**2).mean() < 1e-10 * (moved**2).mean()


def test_what_cannot_be_done_is_said():
    spectrum = catalogue()["heat-3"].periodogram(1000, segments=1, rng=np.random.default_rng(10))
    with pytest.raises(EstimateError, match="fluxes cannot be eliminated with 2 degrees of freedom an ordinate"):
        onsager(replace(spectrum, dof=2.0))
    with pytest.raises(EstimateError, match="all fluxes are zero"):
        onsager(combine(spectrum, [[0.0, 0.0, 0.0]]))


# ---- equivalent components ------------------------------------------------------------------------------------------


def test_isotropy():
    relaxation = autoregressive(0.05, interval=INTERVAL)
    mixing = np.eye(3)
    rng, chances = np.random.default_rng(11), []
    for _ in range(30):
        process = Fluxes("", (relaxation,) * 3, 10, tuple(tuple((float(x),) for x in row) for row in mixing))
        chances.append(isotropy(onsager(process.periodogram(10_000, segments=10, components=1, rng=rng))))
    assert stats.binom.sf(sum(chance < 0.05 for chance in chances) - 1, 30, 0.05) > RARE
    mixing[2, 2], mixing[1, 0] = 0.6, 0.5
    process = Fluxes("", (relaxation,) * 3, 10, tuple(tuple((float(x),) for x in row) for row in mixing))
    assert isotropy(onsager(process.periodogram(10_000, segments=10, components=1, rng=rng))) < RARE
