"""The same physics in every unit style gives the same SI numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import constants as si

from lammps_topo.config import parse_config
from lammps_topo.errors import ConfigError
from lammps_topo.measurement import Host, Measurement
from lammps_topo.store import read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone
from lammps_topo.units import STYLES, unit_style

SAMPLES, ATOMS = 4000, 8
AMU = si.physical_constants["atomic mass constant"][0]


def trajectory():
    """Positions (Å), velocities (Å/ps) of independent ions; interval 0.01 ps."""
    rng = np.random.default_rng(3)
    velocity = np.empty((SAMPLES, ATOMS, 3))
    decay = np.exp(-0.01 / 0.1)
    velocity[0] = rng.normal(size=(ATOMS, 3))
    for k in range(1, SAMPLES):
        velocity[k] = decay * velocity[k - 1] + np.sqrt(1 - decay**2) * rng.normal(size=(ATOMS, 3))
    return np.cumsum(velocity, axis=0) * 0.01, velocity


def measure(style: str, folder):
    units = unit_style(style)
    # from metal to the style; lj takes ε = 1 eV, σ = 1 Å, m = 1 g/mol, q* = e/sqrt(4πε0 ε σ) aside: charges of 1
    length, time, energy, mass, charge = 1e-10, 1e-12, si.e, AMU, si.e
    if units.reduced:
        time = np.sqrt(AMU * length**2 / energy)
        length = energy = mass = charge = None
    to = {
        "length": 1.0 if length is None else length / units.length,
        "time": 1e-12 / time if units.reduced else time / units.time,
        "mass": 1.0 if mass is None else mass / units.mass,
        "charge": 1.0 if charge is None else charge / units.charge,
    }
    x, v = trajectory()
    x, v = x * to["length"], v * to["length"] / to["time"]
    q = np.tile([1.0, -1.0], ATOMS // 2) * to["charge"]
    masses = np.full(ATOMS, 20.0) * to["mass"]
    types = np.tile([1, 2], ATOMS // 2)
    f = np.gradient(v, 0.01 * to["time"], axis=0) * masses[:, None] * units.kinetic
    config = parse_config(
        "msd: {lags: 64, frames: laboratory}\n"
        "correlations: {lags: 100, frame: laboratory, prony: 1, precision: double}",
        {"output": str(folder / f"{style}.topo.h5")},
    )
    host = Host(style, 0.005 * to["time"], 2, types, True, True, style, has_force=True)
    measurement = Measurement(config, host, Alone())
    measurement.begin(
        np.arange(1, ATOMS + 1), types, masses=masses, total_mass=masses.sum(), degrees_of_freedom=3.0 * ATOMS
    )
    rows = np.concatenate([np.column_stack((np.arange(1, ATOMS + 1), x[k], v[k], q, f[k])) for k in range(SAMPLES)])
    sums = np.column_stack((
        np.einsum("i,tij,tij->t", masses, v, v), np.einsum("i,tij->tj", masses, v), np.einsum("i,tij->tj", masses, x)
    ))  # fmt: skip
    volumes = np.full(SAMPLES, 1000.0 * to["length"] ** 3)
    measurement.finish(Packed(2 * np.arange(SAMPLES), np.full(SAMPLES, ATOMS), rows, sums, volumes))
    results = read_results(measurement.path).outcome.results
    return {(entry.quantity, entry.of, entry.method): entry for entry in results}


@pytest.fixture(scope="module")
def metal(tmp_path_factory):
    return measure("metal", tmp_path_factory.mktemp("metal"))


@pytest.mark.parametrize("style", [name for name in STYLES if name not in ("lj", "metal")])
def test_every_style_gives_the_same_si_numbers(style, metal, tmp_path):
    other = measure(style, tmp_path)
    assert set(other) == set(metal)
    assert {"friction", "initial_kernel", "memory_time"} <= {quantity for quantity, _, _ in metal}
    for key, entry in metal.items():
        assert other[key].unit == entry.unit
        if key[0] == "gle_deviation":  # of a fit, which ends a little elsewhere
            assert other[key].value == pytest.approx(entry.value, rel=0.1)
            continue
        assert other[key].value == pytest.approx(entry.value, rel=1e-8), key
        if np.isfinite(entry.error):
            assert other[key].error == pytest.approx(entry.error, rel=1e-6), key


def test_reduced_numbers(metal, tmp_path):
    """lj with ε = 1 eV, σ = 1 Å, m = 1 g/mol: T in eV/kB, D in Å² over the reduced time unit."""
    reduced = measure("lj", tmp_path)
    time = np.sqrt(AMU * 1e-20 / si.e)
    for key, factor in [
        (("temperature", "system", "measured"), si.e / si.k),
        (("diffusion", "1", "msd"), 1e-20 / time),
        (("conductivity", "atomic", "cepstral"), si.e**2 / (1e-10 * time * si.e)),
        (("haven_ratio", "atomic", "nernst-einstein/spectral"), 1.0),
        (("friction", "1", "kernel"), si.e * time / 1e-20),
        (("initial_kernel", "1", "force"), si.e / 1e-20),
        (("memory_time", "1", "kernel"), time * 1e12),
    ]:
        assert reduced[key].value * factor == pytest.approx(metal[key].value, rel=1e-8), key
        assert reduced[key].unit in ("reduced", "1")


def test_diffusion_is_that_of_the_process(metal):
    """Independent ions with velocities of time 0.1 ps and variance 1: D = 0.1 Å²/ps."""
    for species in "12":
        found = metal["diffusion", species, "msd"]
        assert found.value == pytest.approx(0.1e-8, abs=3 * found.error)
        assert found.error < 0.02e-8


def test_prefactors_of_the_literature():
    """physics.md §1."""
    metal = unit_style("metal")
    assert metal.conductivity == pytest.approx(1602.176634, rel=1e-12)
    assert metal.diffusion == pytest.approx(1e-8, rel=1e-12)
    assert unit_style("real").kinetic == pytest.approx(48.88821291**2, rel=1e-8)  # LAMMPS mvv2e
    with pytest.raises(ConfigError, match="units 'meatl' is not a LAMMPS unit style"):
        unit_style("meatl")
