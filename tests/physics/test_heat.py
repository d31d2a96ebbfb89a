"""Heat, viscosity and parts of the conductivity of records whose fluxes are exactly known processes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lammps_topo.config import Config, Precision
from lammps_topo.estimate.collective_results import collective_results
from lammps_topo.estimate.result import Outcome, Result
from lammps_topo.estimate.spectral_results import spectral_results
from lammps_topo.estimate.spectrum import cross_periodogram
from lammps_topo.estimate.state import state_of
from lammps_topo.estimate.transport_quantity import QUANTITIES
from lammps_topo.estimate.wanted import wanted_estimate, wanted_names
from lammps_topo.record import DisplacementRecord, PeriodogramRecord, Record, SeriesRecord
from lammps_topo.synthetic import autoregressive
from lammps_topo.synthetic_spectra import INTERVAL, Fluxes, catalogue
from lammps_topo.units import unit_style

Array = np.ndarray
TEMPERATURE, VOLUME = 1400.0, 8000.0
ERRORS = 3.3
"""Standard errors that a number may be off; seeds are fixed."""


def record_of(fluxes: dict[str, Array], *, units: str = "metal", temperature: float = TEMPERATURE) -> Record:
    """Of series (T, 3) by name of the basis flux; species are those of the number fluxes, a hundred atoms each."""
    species = tuple(name.partition("/")[2] for name in fluxes if name.startswith("number/"))
    flux = np.stack(list(fluxes.values()), axis=1)
    samples, particles = len(flux), sum(name.startswith(("number/", "atomic/")) for name in fluxes)
    charges = particles > len(species)
    nothing = DisplacementRecord(
        groups=species, frames=("barycentric",), sums=(np.zeros((1, 1, len(species), 3, 4)),),
        counts=(np.zeros((1, 4)),), stride=4, batch=64,
    )  # fmt: skip
    segment = 4096
    parts = np.fft.rfft(flux[: samples // segment * segment].reshape(-1, segment, flux.shape[1], 3), axis=1)
    moment = np.cumsum(flux[:, :particles], axis=0) * INTERVAL
    return Record(
        units=units, interval=INTERVAL, every=1, timestep=INTERVAL, species=species,
        population=np.full(len(species), 100), mean_charge=np.array([1.0, -1.0])[: len(species)],
        oxidation={name: (-1.0) ** place for place, name in enumerate(species)} if charges else {},
        representations=("oxidation", "atomic") if charges else (), frame="barycentric", host=(),
        flux_names=tuple(fluxes), samples=samples, duration=samples * INTERVAL, first_step=0, last_step=samples - 1,
        temperature=temperature, temperature_error=1.0, degrees_of_freedom=297.0, volume=VOLUME, msd=nothing,
        dipole=None,
        periodograms=(
            PeriodogramRecord(segment, len(parts), np.einsum("skac,skbc->kab", parts.conj(), parts, optimize=True)),
        ),
        series=SeriesRecord(np.arange(samples), flux, moment, np.full(samples, temperature), np.array([0])),
    )  # fmt: skip


def outcome_of(record: Record, known: list[Result] | None = None) -> Outcome:
    config = Config()
    return collective_results(record, state_of(record, config), unit_style(record.units), known or [])


def find(outcome: Outcome, quantity: str, of: str, method: str | None = None) -> Result:
    (result,) = (
        one for one in outcome.results if (one.quantity, one.of) == (quantity, of) and method in (None, one.method)
    )
    return result


def salt(samples: int = 40_000, seed: int = 1, **more: float) -> dict[str, Array]:
    """A binary salt in the barycentric frame (masses 1 and 2) and energy fluxes of which its motion explains a part."""
    energy, sodium = catalogue()["heat"].sample(samples, rng=np.random.default_rng(seed)).transpose(1, 0, 2)
    fluxes = {"number/Na": sodium, "number/Cl": -sodium / 2, "atomic/Na": sodium, "atomic/Cl": sodium / 2}
    return {**fluxes, "energy/a": energy, **{f"energy/{name}": energy + zero * sodium for name, zero in more.items()}}


HEAT = QUANTITIES["heat"].prefactor(unit_style("metal"), VOLUME, TEMPERATURE)
EXACT = catalogue()["heat"].matrix([0.0])[0].real


# ---- heat -----------------------------------------------------------------------------------------------------------


def test_thermal_conductivity_of_a_salt():
    found = outcome_of(record_of(salt()))
    kappa, alone = (find(found, "thermal_conductivity", "a", method) for method in ("spectral", "spectral-alone"))
    assert kappa.details["eliminated"] == "Na"
    assert kappa.unit == "W/m/K"
    assert abs(kappa.value - HEAT * catalogue()["heat"].zero_frequency) < ERRORS * kappa.error
    assert abs(alone.value - HEAT * EXACT[0, 0]) < ERRORS * alone.error
    assert kappa.value < alone.value
    (smooth,) = (curve for curve in found.curves if curve.name == "heat/a/spectral")
    assert smooth.y[0] == pytest.approx(kappa.value, rel=1e-9)


def test_another_zero_of_energy_changes_nothing():
    found = outcome_of(record_of(salt(b=3.0)))
    one, other = (find(found, "thermal_conductivity", name, "spectral") for name in "ab")
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert other.error == pytest.approx(one.error, rel=1e-6)
    alone = [find(found, "thermal_conductivity", name, "spectral-alone").value for name in "ab"]
    assert alone[1] > 3 * alone[0]
    difference = find(found, "thermal_conductivity_difference", "b − a")
    assert (difference.value, difference.error) == (0.0, 0.0)
    # but the Seebeck coefficient, by (3 energies an Na)/(3/2 charges an Na)/T
    seebeck = [find(found, "seebeck_coefficient", f"oxidation, {name}").value for name in "ab"]
    assert seebeck[1] - seebeck[0] == pytest.approx(3.0 / 1.5 / TEMPERATURE, rel=1e-6)


def test_energies_shared_otherwise_among_atoms():
    # b - a is the time derivative of something bounded: S_bb(0) = S_aa(0), and the difference knows its error
    fluxes = salt()
    bounded = np.random.default_rng(2).standard_normal((40_001, 3)) * 10
    fluxes["energy/b"] = fluxes["energy/a"] + np.diff(bounded, axis=0)
    found = outcome_of(record_of(fluxes))
    difference = find(found, "thermal_conductivity_difference", "b − a")
    one = find(found, "thermal_conductivity", "a", "spectral")
    assert 0 < difference.error < one.error
    assert abs(difference.value) < ERRORS * difference.error


def test_seebeck_coefficient():
    found = find(outcome_of(record_of(salt())), "seebeck_coefficient", "oxidation, a")
    # J = 3/2 of the flux of Na
    expected = EXACT[0, 1] / (1.5 * EXACT[1, 1]) / TEMPERATURE
    assert found.unit == "V/K"
    assert abs(found.value - expected) < ERRORS * found.error
    assert found.error < 0.3 * abs(found.value)


def test_one_species_needs_no_elimination():
    fluxes = {"number/Ar": np.zeros((40_000, 3)), "energy/energy": salt()["energy/a"]}
    found = outcome_of(record_of(fluxes, units="lj", temperature=0.7))
    (kappa,) = found.results
    assert (kappa.of, kappa.unit, "eliminated" in kappa.details) == ("energy", "reduced", False)
    assert abs(kappa.value - EXACT[0, 0] / (2 * VOLUME * 0.7**2)) < ERRORS * kappa.error


def test_segments_agree_with_the_series():
    record = record_of(salt(100_000))
    whole, parts = (
        find(outcome_of(one), "thermal_conductivity", "a", "spectral") for one in (record, replace(record, series=None))
    )
    assert parts.details["segment"] == 4096
    # they share most of their noise
    assert abs(whole.value - parts.value) < 1.5 * math.hypot(whole.error, parts.error)


# ---- parts of the conductivity --------------------------------------------------------------------------------------


def test_parts_add_up():
    found = outcome_of(record_of(salt()))
    value = {one.of.removeprefix("oxidation, "): one.value for one in found.results if one.method == "onsager"}
    total = value["Na, all"] + value["Cl, all"]
    assert total == pytest.approx(value["Na-Na"] + 2 * value["Na-Cl"] + value["Cl-Cl"], rel=1e-12)
    factor = QUANTITIES["conductivity"].prefactor(unit_style("metal"), VOLUME, TEMPERATURE)
    assert value["Na-Na"] == pytest.approx(total / 1.5**2, rel=1e-6)
    error = find(found, "partial_conductivity", "oxidation, Na-Na").error
    assert abs(value["Na-Na"] - factor * EXACT[1, 1]) < ERRORS * error
    # masses alone decide on the shares of a binary salt
    sodium = find(found, "transference_number", "oxidation, Na")
    assert (sodium.value, sodium.error) == (pytest.approx(2 / 3, rel=1e-6), 0.0)
    assert not [one for one in found.results if one.of.startswith("atomic")]  # the same current


def test_transference_number_of_three_independent_fluxes():
    # uncorrelated fluxes of S(0) as 1 : 4 : 16
    rng = np.random.default_rng(3)
    relaxation = autoregressive(0.05, interval=INTERVAL)
    series = [scale * relaxation.sample(60_000, components=3, rng=rng) for scale in (1.0, 2.0, 4.0)]
    names = "ABC"
    fluxes = {f"number/{name}": one for name, one in zip(names, series, strict=True)}
    fluxes |= {f"atomic/{name}": one for name, one in zip(names, series, strict=True)}
    record = replace(record_of(fluxes), oxidation={}, representations=("atomic",), mean_charge=np.ones(3))
    found = outcome_of(record)
    shares = [find(found, "transference_number", f"atomic, {name}") for name in names]
    assert sum(one.value for one in shares) == pytest.approx(1.0, rel=1e-12)
    for one, expected in zip(shares, (1 / 21, 4 / 21, 16 / 21), strict=True):
        assert 0 < one.error < 0.1
        assert abs(one.value - expected) < ERRORS * one.error


def test_tensor_and_its_verdict():
    found = outcome_of(record_of(salt(100_000)))
    assert find(found, "isotropy", "oxidation").details["verdict"] == "isotropic within the errors"
    fluxes = {name: flux * np.array([1.0, 1.0, 0.4]) for name, flux in salt(100_000).items()}
    found = outcome_of(record_of(fluxes))
    x, z, xz = (find(found, "conductivity_tensor", f"oxidation, {pair}") for pair in ("xx", "zz", "xz"))
    assert abs(z.value / x.value - 0.16) < ERRORS * 0.16 * math.hypot(x.error / x.value, z.error / z.value)
    assert abs(xz.value) < ERRORS * xz.error
    assert find(found, "isotropy", "oxidation").details["verdict"] == "anisotropic"
    assert (
        "the conductivity of 'oxidation' is anisotropic: its mean over x, y and z does not describe it" in found.notes
    )


def test_tensor_is_resolved_where_the_conductivity_is():
    # an element has a third of the data: errors larger by sqrt(3) belong to the same plateau
    sodium = catalogue()["ar1-50"].sample(150_000, rng=np.random.default_rng(3))[:, 0]
    record = record_of(
        {"number/Na": sodium, "number/Cl": -sodium / 2, "atomic/Na": sodium, "atomic/Cl": sodium / 2},
    )
    config = Config()
    whole = spectral_results("oxidation", record, config, state_of(record, config), unit_style("metal"))
    conductivity = find(whole, "conductivity", "oxidation", "spectral")
    element = find(outcome_of(record), "conductivity_tensor", "oxidation, xx")
    assert conductivity.details["resolved"]
    assert element.details["resolved"]
    assert element.error / element.value == pytest.approx(3**0.5 * conductivity.error / conductivity.value, rel=0.5)
    assert not find(outcome_of(record_of(salt())), "conductivity_tensor", "oxidation, xx").details["resolved"]


def test_conductivity_against_frequency():
    record = record_of(salt(100_000))
    config = Config()
    found = spectral_results("oxidation", record, config, state_of(record, config), unit_style("metal"))
    (curve,) = (one for one in found.curves if one.figure == "frequency")
    factor = QUANTITIES["conductivity"].prefactor(unit_style("metal"), VOLUME, TEMPERATURE)
    expected = factor * 2.25 * catalogue()["heat"].matrix(curve.x)[:, 1, 1].real
    off = np.abs(curve.y - expected) / curve.error
    assert curve.x[-1] > 400
    assert np.mean(off < 2) > 0.85  # neighbours are correlated at low frequencies


def test_dielectric_constant():
    # dM white, of variance 4 e² Å² a component: 1 + 4/(eps0 V kB T); and not where a current flows
    rng = np.random.default_rng(4)
    dipole = 2 * rng.standard_normal((40_001, 3))
    current = np.diff(dipole, axis=0) / INTERVAL
    fluxes = {"number/Na": current, "number/Cl": -current / 2, "atomic/Na": current, "atomic/Cl": 0 * current}
    record = replace(record_of(fluxes), oxidation={}, representations=("atomic",))
    found = find(outcome_of(record), "dielectric_constant", "atomic")
    coulomb = 14.399645  # e²/(4 pi eps0), eV Å
    expected = 1 + 4 * 4 * math.pi * coulomb / (VOLUME * 8.617333e-5 * TEMPERATURE)
    assert abs(found.value - expected) < ERRORS * found.error
    assert found.error < 0.05 * found.value
    conducting = outcome_of(record_of(salt()))
    assert not [one for one in conducting.results if one.quantity == "dielectric_constant"]


# ---- viscosity ------------------------------------------------------------------------------------------------------


def liquid(samples: int = 40_000) -> tuple[dict[str, Array], float]:
    """Stress of an isotropic liquid from five independent processes, and the S(0) of each."""
    process = Fluxes("", (autoregressive(0.05, interval=INTERVAL),), 10)
    parts = process.sample(samples, components=5, rng=np.random.default_rng(5))[:, 0]
    # three numbers that add up to zero, of variance 2/3 each: an orthonormal basis of that plane
    plane = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]) / np.sqrt([[2.0], [6.0]])
    fluxes = {"number/Ar": np.zeros((samples, 3)), "stress/shear": parts[:, :3], "stress/normal": parts[:, 3:] @ plane}
    return fluxes, process.zero_frequency


def salt_with_stress() -> dict[str, Array]:
    """Energy fluxes and stress at once."""
    return salt() | {name: flux for name, flux in liquid()[0].items() if name.startswith("stress/")}


def test_viscosity_of_five_components():
    fluxes, zero = liquid()
    found = find(outcome_of(record_of(fluxes)), "viscosity", "system")
    scale = 1.602176634e-19 * 1e-12 / 1e-30  # eV ps/Å^3
    expected = scale * zero / (2 * VOLUME * 8.617333262e-5 * TEMPERATURE)
    assert found.details["degrees_of_freedom"] == 5
    assert found.unit == "Pa s"
    assert abs(found.value - expected) < ERRORS * found.error
    # all five count: the periodogram at each frequency is their mean
    record = record_of(fluxes)
    (curve,) = (one for one in outcome_of(record).curves if one.name == "viscosity/system/periodogram")
    three = cross_periodogram(fluxes["stress/shear"][:, None, :], INTERVAL).matrix[:, 0, 0].real
    two = cross_periodogram(fluxes["stress/normal"][:, None, :], INTERVAL).matrix[:, 0, 0].real
    factor = scale / (2 * VOLUME * 8.617333262e-5 * TEMPERATURE)
    assert curve.y[1] == pytest.approx(factor * 0.6 * (three + two)[1], rel=1e-6)


def test_a_given_highest_frequency_is_that_of_heat_and_viscosity_too():
    record, config = record_of(salt_with_stress()), Config.model_validate({"spectral": {"cutoff": 5.0}})
    found = collective_results(record, state_of(record, config), unit_style("metal"), [], cutoff=5.0)
    for quantity, of in (("thermal_conductivity", "a"), ("viscosity", "system")):
        result = find(found, quantity, of, "spectral")
        assert result.details["highest_origin"] == "given"
        assert result.details["highest"] == pytest.approx(5.0, rel=0.1)
        known = wanted_estimate(record, config, quantity if of == "system" else f"{quantity}:{of}", Precision(error=1))
        assert known.value == pytest.approx(result.value)


def test_correction_for_the_size_of_the_box():
    fluxes, _ = liquid()
    known = Result("diffusion", "Ar", "msd", 1e-8, 2e-10, "m^2/s", {"frame": "barycentric"})
    found = outcome_of(record_of(fluxes), [known])
    eta = find(found, "viscosity", "system")
    corrected = find(found, "diffusion", "Ar", "msd, Yeh-Hummer")
    shift = 2.837297 * 1.380649e-23 * TEMPERATURE / (6 * math.pi * eta.value * VOLUME ** (1 / 3) * 1e-10)
    assert corrected.value == pytest.approx(1e-8 + shift, rel=1e-9)
    assert corrected.error == pytest.approx(math.hypot(2e-10, shift * eta.error / eta.value), rel=1e-9)
    still = replace(known, value=1e-11, error=1e-11)
    notes = outcome_of(record_of(fluxes), [still]).notes
    assert "diffusion corrected for the size of the box: Ar does not diffuse: it is for liquids only" in notes


# ---- what cannot be done --------------------------------------------------------------------------------------------


def test_without_a_temperature():
    found = outcome_of(record_of(salt(2000), temperature=math.nan))
    assert found.results == ()
    assert found.notes == (
        "parts of the conductivity, thermal conductivity and viscosity: the temperature is not known: give the key "
        "'temperature'",
    )


def test_too_little_data():
    record = record_of(salt(6))
    found = outcome_of(replace(record, periodograms=()))
    assert found.results == ()
    assert any(note.startswith("thermal conductivity of 'a': the spectrum has") for note in found.notes)
    found = outcome_of(replace(record, periodograms=(), series=None))
    assert found.notes == (
        "parts of the conductivity, thermal conductivity and viscosity: the run is shorter than the shortest segment, "
        "and its flux series is not kept",
    )


def test_a_constant_energy_flux():
    fluxes = salt(2000)
    fluxes["energy/a"] = np.zeros((2000, 3))
    notes = outcome_of(record_of(fluxes)).notes
    assert any(note.startswith("thermal conductivity of 'a': ") for note in notes)


# ---- what a run may wait for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["thermal_conductivity:a", "viscosity"])
def test_what_a_run_waits_for_is_what_the_results_hold(name):
    record = record_of(salt_with_stress())
    quantity, _, of = name.partition(":")
    result = find(outcome_of(record), quantity, of or "system", "spectral")
    known = wanted_estimate(record, Config(), name, Precision(relative_error=0.06))
    assert (known.value, known.error) == pytest.approx((result.value, result.error))
    assert known.limit == 0.06
    assert 0.5 < known.expected / known.relative_error < 2


def test_names_of_what_a_run_can_wait_for():
    names = wanted_names(["oxidation"], ["Na", "Cl"], ["a", "b"], stress=True)
    assert names["thermal_conductivity"] == names["thermal_conductivity:a"] == "thermal_conductivity:a"
    assert list(names) == [
        "conductivity", "thermal_conductivity", "conductivity:oxidation", "diffusion:Na", "diffusion:Cl",
        "thermal_conductivity:a", "thermal_conductivity:b", "viscosity",
    ]  # fmt: skip


def test_power_that_changes_is_noticed():
    fluxes, _ = liquid()
    fluxes["stress/shear"] = fluxes["stress/shear"] * np.linspace(0.7, 1.3, len(fluxes["stress/shear"]))[:, None]
    assert any(
        "the mean square of 'stress/shear' changes along the run" in note
        for note in outcome_of(record_of(fluxes)).notes
    )
    assert not any("mean square" in note for note in outcome_of(record_of(liquid()[0])).notes)
