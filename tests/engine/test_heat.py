"""Thermal conductivity, viscosity and Seebeck coefficient of LAMMPS runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SYSTEM = """
units metal
atom_style charge
timestep 0.004
lattice fcc 5.6
region box block 0 3 0 3 0 3
create_box 2 box
create_atoms 1 box basis 1 1 basis 2 2 basis 3 2
mass 1 40.0
mass 2 20.0
set type 1 charge 0.5
set type 2 charge -0.5
pair_style lj/cut 7.0
pair_coeff * * 0.012 3.4
pair_coeff 1 1 0.02 3.6
velocity all create 500.0 123 mom yes dist gaussian loop geom
compute ke all ke/atom
compute pe all pe/atom
compute stress all stress/atom NULL virial
compute flux all heat/flux ke pe stress
fix nve all nve
run 1000
reset_timestep 0
"""

# 1.5 eV more for each atom of type 1
SHIFTED = """
group a type 1
variable sx equal c_flux[1]+1.5*count(a)*vcm(a,x)
variable sy equal c_flux[2]+1.5*count(a)*vcm(a,y)
variable sz equal c_flux[3]+1.5*count(a)*vcm(a,z)
"""

CONFIG = """
species:
  A: {type: 1, oxidation: +1}
  B: {type: 2, oxidation: -1}
segments: {shortest: 256, number: 2}
msd: {lags: 64, levels: 2, stride: 8}
heat: {plain: c_flux, shifted: v_sx v_sy v_sz}
stress: c_thermo_press
"""


@pytest.fixture(scope="module")
def folder(lmp, topo_command, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("heat")
    (folder / "mix.yaml").write_text(CONFIG)
    lmp(f"{SYSTEM}{SHIFTED}fix topo all topo 5 mix.yaml\nrun 6000\n", folder, ranks=2)
    return folder


@pytest.fixture(scope="module")
def numbers(folder, topo_command) -> dict[tuple[str, str, str], dict]:
    found = json.loads(topo_command("show", "mix.topo.h5", "--json", folder=folder).stdout)
    results = found["results"] if isinstance(found, dict) else found
    return {(one["quantity"], one["of"], one["method"]): one for one in results}


def test_thermal_conductivity_knows_no_zero_of_energy(numbers):
    """LAMMPS has computed both energy fluxes; what differs is how far they diffuse."""
    plain, shifted = (numbers["thermal_conductivity", name, "spectral"] for name in ("plain", "shifted"))
    assert plain["eliminated"] == "A"  # that of B follows from it
    assert 0 < plain["error"] < 0.3 * plain["value"]
    assert shifted["value"] == pytest.approx(plain["value"], rel=1e-6)
    assert shifted["error"] == pytest.approx(plain["error"], rel=1e-6)
    difference = numbers["thermal_conductivity_difference", "shifted − plain", "onsager"]
    assert (difference["value"], difference["error"]) == (0.0, 0.0)
    # not so if particle fluxes are not eliminated
    alone = [numbers["thermal_conductivity", name, "spectral-alone"]["value"] for name in ("plain", "shifted")]
    assert abs(alone[1] - alone[0]) > 3 * plain["error"]


def test_seebeck_coefficient_knows_it(numbers):
    """By the shift of the energy, 1.5 eV times the flux of A, over the charge current in this frame."""
    plain, shifted = (
        numbers["seebeck_coefficient", f"oxidation, {name}", "onsager"]["value"] for name in ("plain", "shifted")
    )
    # total momentum 40 J_A + 20 J_B = 0, J = J_A - J_B = 3 J_A
    temperature = numbers["temperature", "system", "measured"]["value"]
    assert shifted - plain == pytest.approx(1.5 / 3 / temperature, rel=1e-6)


def test_species_and_viscosity(numbers):
    whole = numbers["conductivity", "oxidation", "spectral"]
    parts = [numbers["partial_conductivity", f"oxidation, {name}, all", "onsager"]["value"] for name in "AB"]
    assert sum(parts) == pytest.approx(whole["value"], rel=1e-6)
    assert parts[0] == pytest.approx(whole["value"] / 3, rel=1e-6)
    viscosity = numbers["viscosity", "system", "spectral"]
    assert viscosity["degrees_of_freedom"] == 5
    assert 1e-5 < viscosity["value"] < 1e-2


def test_report(folder, topo_command):
    topo_command("report", "mix.topo.h5", folder=folder)
    page = (folder / "mix.report.html").read_text()
    for title in ("thermal conductivity", "viscosity", "Conductivity against frequency", "Seebeck coefficient"):
        assert title in page
