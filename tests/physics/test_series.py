"""From series of exactly known processes to transport coefficients: prefactors, units, elimination, doubts."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import lfilter

from lammps_topo import spectrum_of_files
from lammps_topo.estimate import series_spectrum
from lammps_topo.estimate.series_check import doubts_of_stretches
from lammps_topo.units import STYLES

BOLTZMANN, CHARGE, ANGSTROM = 1.380649e-23, 1.602176634e-19, 1e-10
INTERVAL, TAU = 0.005, 0.05  # ps
TEMPERATURE, VOLUME = 1100.0, 5.0e4  # K, Å^3
SAMPLES = 20000


def markov(rng: np.random.Generator, samples: int, width: int) -> tuple[np.ndarray, float]:
    """AR(1) series of unit variance (samples, width), and their S(0) = ε (1 + φ)/(1 - φ)."""
    phi = math.exp(-INTERVAL / TAU)
    noise = rng.normal(size=(samples + 400, width))
    series = lfilter([math.sqrt(1 - phi**2)], [1, -phi], noise, axis=0)[400:]
    return series, INTERVAL * (1 + phi) / (1 - phi)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """npy of three fluxes, and the S(0) of each, in ps."""
    values, exact = markov(np.random.default_rng(1), SAMPLES, 9)
    path = tmp_path_factory.mktemp("series") / "a.npy"
    np.save(path, values)
    return path, exact


def coefficient(files, **options):
    """At a given, sufficient order, where the quoted error is the true one (``estimate/cepstral.py``)."""
    return spectrum_of_files(files, **{"columns": "1-3", "interval": INTERVAL, "order": 12, **options})


# in SI, for a flux of variance one in metal units
SCALES = {
    "conductivity": (CHARGE * ANGSTROM / 1e-12) ** 2 / (2 * VOLUME * ANGSTROM**3 * BOLTZMANN * TEMPERATURE),
    "heat": (CHARGE * ANGSTROM / 1e-12) ** 2 / (2 * VOLUME * ANGSTROM**3 * BOLTZMANN * TEMPERATURE**2),
    "viscosity": 1e5**2 * VOLUME * ANGSTROM**3 / (2 * BOLTZMANN * TEMPERATURE),
    "diffusion": (ANGSTROM / 1e-12) ** 2 / 2,
}


@pytest.mark.parametrize("quantity", SCALES)
def test_coefficients_are_those_of_the_process(series, quantity):
    path, exact = series
    outcome = coefficient([path], quantity=quantity, units="metal", temperature=TEMPERATURE, volume=VOLUME)
    result = outcome.results[-1]
    truth = SCALES[quantity] * exact * 1e-12
    assert result.error < 0.15 * truth
    assert abs(result.value - truth) < 3 * result.error
    assert outcome.notes == ()


def test_raw_is_the_spectral_density_itself(series):
    path, exact = series
    result = coefficient([path], quantity="raw").results[-1]
    assert abs(result.value - exact) < 3 * result.error
    assert result.unit == "flux² time"


#: Of each style: length, time, energy, charge, pressure in SI (LAMMPS manual, units).
STYLE = {
    "real": (1e-10, 1e-15, 4184 / 6.02214076e23, CHARGE, 101325.0),
    "metal": (1e-10, 1e-12, CHARGE, CHARGE, 1e5),
    "si": (1.0, 1.0, 1.0, 1.0, 1.0),
    "cgs": (1e-2, 1.0, 1e-7, 0.1 / 299792458, 0.1),
    "electron": (5.29177210903e-11, 1e-15, 4.3597447222071e-18, CHARGE, 1.0),
    "micro": (1e-6, 1e-6, 1e-15, 1e-12, 1e-15 / (1e-6 * 1e-12)),
    "nano": (1e-9, 1e-9, 1e-21, CHARGE, 1e-21 / (1e-9 * 1e-18)),
}


@pytest.mark.parametrize("style", STYLE)
@pytest.mark.parametrize("quantity", ["conductivity", "heat", "viscosity", "diffusion"])
def test_one_system_has_the_same_coefficients_in_all_units(series, tmp_path, quantity, style):
    path, _ = series

    def flux(name):
        length, time, energy, charge, pressure = STYLE[name]
        velocity = length / time
        return {"conductivity": charge * velocity, "heat": energy * velocity, "viscosity": pressure,
                "diffusion": velocity}[quantity]  # fmt: skip

    length, time = STYLE[style][:2]
    np.save(tmp_path / "b.npy", np.load(path) * (flux("metal") / flux(style)))
    metal = coefficient([path], quantity=quantity, units="metal", temperature=TEMPERATURE, volume=VOLUME)
    other = coefficient(
        [tmp_path / "b.npy"], quantity=quantity, units=style, temperature=TEMPERATURE,
        interval=INTERVAL * 1e-12 / time, volume=VOLUME * (ANGSTROM / length) ** 3,
    )  # fmt: skip
    for one, two in zip(metal.results, other.results, strict=True):
        assert two.value == pytest.approx(one.value, rel=2e-8)
        assert two.unit == one.unit
    assert set(STYLE) == set(STYLES) - {"lj"}


def test_lj_stays_reduced(series):
    path, exact = series
    result = coefficient([path], quantity="heat", units="lj", temperature=0.7, volume=100.0).results[-1]
    assert result.unit == "reduced"
    assert abs(result.value - exact / (2 * 100 * 0.49)) < 3 * result.error


def test_intensive_fluxes_are_those_divided_by_the_volume(series, tmp_path):
    path, _ = series
    np.save(tmp_path / "b.npy", np.load(path) / VOLUME)
    known = {"quantity": "heat", "units": "metal", "temperature": TEMPERATURE, "volume": VOLUME}
    whole, density = coefficient([path], **known), coefficient([tmp_path / "b.npy"], intensive=True, **known)
    assert density.results[-1].value == pytest.approx(whole.results[-1].value, rel=1e-9)


def test_elimination_of_correlated_fluxes(tmp_path):
    """J = A + 2 B + 3 C with B and C eliminated is A."""
    values, exact = markov(np.random.default_rng(7), SAMPLES, 9)
    one, two, three = np.split(values, 3, axis=1)
    np.save(tmp_path / "a.npy", np.hstack((one + 2 * two + 3 * three, two, three)))
    whole = coefficient([tmp_path / "a.npy"], quantity="raw").results[-1]
    rest = coefficient([tmp_path / "a.npy"], quantity="raw", columns="1-3,4-6", eliminate=["7-9"]).results[-1]
    assert abs(whole.value - 14 * exact) < 3 * whole.error
    assert abs(rest.value - exact) < 3 * rest.error
    assert rest.details["eliminated"] == ["columns 4, 5, 6", "columns 7, 8, 9"]


def test_viscosity_of_six_components_is_that_of_the_five_independent_ones(tmp_path):
    """An isotropic fluctuating stress: symmetric tensors, all with equal weights, and a pressure that is ignored."""
    rng = np.random.default_rng(2)
    values, exact = markov(rng, SAMPLES, 5)
    a, b = values[:, 3], values[:, 4]
    pressure = 100 + 10 * rng.normal(size=SAMPLES)
    diagonal = np.stack((a - b / math.sqrt(3), -a - b / math.sqrt(3), 2 * b / math.sqrt(3)), axis=1)
    columns = np.column_stack((diagonal + pressure[:, None], values[:, :3]))
    head = "Step Pxx Pyy Pzz Pxy Pxz Pyz"
    np.savetxt(tmp_path / "p.txt", np.column_stack((np.arange(SAMPLES), columns)), header=head, fmt="%.9g")
    np.save(tmp_path / "five.npy", values)
    known = {"quantity": "viscosity", "units": "metal", "temperature": TEMPERATURE, "volume": VOLUME}
    six = coefficient([tmp_path / "p.txt"], columns="p", **known).results[-1]
    five = coefficient([tmp_path / "five.npy"], columns="1-5", **known).results[-1]
    assert six.value == pytest.approx(five.value, rel=1e-6)
    assert six.details["degrees_of_freedom"] == 5
    assert abs(six.value - SCALES["viscosity"] * exact * 1e-12) < 3 * six.error
    usual = coefficient([tmp_path / "p.txt"], columns=None, **known).results[-1]
    assert usual.details["degrees_of_freedom"] == 3


def test_replicas_and_segments_count(series, tmp_path):
    path, exact = series
    values = np.load(path)
    np.save(tmp_path / "first.npy", values[: SAMPLES // 2])
    np.save(tmp_path / "second.npy", values[SAMPLES // 2 :])
    files = [tmp_path / "first.npy", tmp_path / "second.npy"]
    replicas = coefficient(files, quantity="raw").results[-1]
    parts = coefficient([path], quantity="raw", segments=2).results[-1]
    assert replicas.value == pytest.approx(parts.value, rel=1e-12)
    assert replicas.details["degrees_of_freedom"] == parts.details["degrees_of_freedom"] == 6
    assert abs(parts.value - exact) < 3 * parts.error


# ---- means and drifts -----------------------------------------------------------------------------------------------


def test_stationary_series_raise_no_doubts():
    """Three components, 200 runs of 200 correlation times: 2e-5 a component and test by chance."""
    rng = np.random.default_rng(5)
    alarms = sum(bool(doubts_of_stretches([markov(rng, 4000, 3)[0][:, None]], ["J"])) for _ in range(200))
    assert alarms <= 1


def test_a_mean_and_a_drift_are_seen(series, tmp_path):
    path, exact = series
    values = np.load(path)[:, :3]
    second, third = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    error = math.sqrt(exact / (SAMPLES * INTERVAL))  # of the mean
    np.save(tmp_path / "mean.npy", values + 10 * error * second)
    np.save(tmp_path / "drift.npy", values + 20 * error * np.linspace(-1, 1, SAMPLES)[:, None] * third)
    (note,) = coefficient([tmp_path / "mean.npy"], quantity="raw").notes
    assert "standard errors from zero" in note
    (note,) = coefficient([tmp_path / "drift.npy"], quantity="raw").notes
    assert "drifts along the run" in note


@pytest.mark.parametrize("transform", [lambda x: x, np.sinh], ids=["Gaussian", "heavy tails"])
def test_power_that_changes_is_seen_and_other_is_not(transform):
    """A temperature that rises by a third; and no alarm in 100 stationary runs, where a hundredth is expected."""
    rng = np.random.default_rng(6)
    ramp = np.sqrt(np.linspace(0.85, 1.15, 100000))[:, None, None]
    for _ in range(5):
        (note,) = doubts_of_stretches([ramp * markov(rng, 100000, 3)[0][:, None]], ["J"])
        assert note.startswith("the mean square of 'J' changes along the run, by a factor of 1.")
    assert not any(doubts_of_stretches([transform(markov(rng, 4000, 3)[0])[:, None]], ["J"]) for _ in range(100))


def test_the_mean_can_be_removed(series, tmp_path):
    """The ordinate at f = 0 is that beside it then; it is one of N/2 + 1, with 2 P - 1 coefficients in ln S(0)."""
    path, _ = series
    np.save(tmp_path / "mean.npy", np.load(path) + 1e3)
    plain = coefficient([path], quantity="raw", cutoff=5.0)
    outcome = coefficient([tmp_path / "mean.npy"], quantity="raw", cutoff=5.0, remove_mean=True)
    assert outcome.notes == ()
    first = [found.curves[0].y[:2] for found in (plain, outcome)]
    assert first[1] == pytest.approx([first[0][1]] * 2, rel=1e-6)
    details = plain.results[-1].details
    shift = (2 * details["order"] - 1) / (2 * (details["ordinates"] - 1)) * math.log(first[0][1] / first[0][0])
    assert math.log(outcome.results[-1].value / plain.results[-1].value) == pytest.approx(shift, abs=1e-6)


def test_what_the_estimator_doubts_is_said(series, monkeypatch):
    path, _ = series
    said = SimpleNamespace(
        value=2.0, error=0.5, log_error=0.25, resolved=False, reasons=("a dip is too narrow",),
        frequencies=np.linspace(0, 1, 9), smooth=np.ones(9), lower=np.full(9, 0.5), upper=np.full(9, 1.5),
        knee=1.0, cutoffs=(2.0, 3.0), cutoff_origin="automatic",
    )  # fmt: skip
    monkeypatch.setattr(series_spectrum, "zero_frequency", lambda spectrum, cutoff: said)
    outcome = spectrum_of_files([path], columns="1-3", interval=INTERVAL, quantity="raw", scale=2)
    result = outcome.results[-1]
    assert (result.value, result.error, result.method) == (8.0, 2.0, "spectral")
    assert (result.details["resolved"], result.details["reasons"]) == (False, ["a dip is too narrow"])
    assert outcome.notes == ("the zero-frequency value is not resolved: a dip is too narrow",)
    assert [curve.y[0] for curve in outcome.curves[1:]] == [4.0, 2.0, 6.0]
