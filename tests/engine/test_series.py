"""What LAMMPS itself writes, fix ave/time and its log, is read as it is, and both say the same."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

SYSTEM = """
units real
atom_style charge
lattice fcc 5.7
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 39.948
set group all charge 0.0
set atom 1*54 charge 1.0
pair_style lj/cut 8.5
pair_coeff 1 1 0.2381 3.405
velocity all create 200.0 4711 mom yes
timestep 4.0
fix nve all nve
compute ke all ke/atom
compute pe all pe/atom
compute stress all stress/atom NULL virial
compute flux all heat/flux ke pe stress
thermo_modify line one
{style}
thermo 50
run 203
thermo 4
fix series all ave/time 4 1 4 c_flux[1] c_flux[2] c_flux[3] c_thermo_temp file flux.txt mode scalar format " %.8g"
run 2000
run 1000
"""
CUSTOM = "thermo_style custom step temp vol c_flux[1] c_flux[2] c_flux[3] pxx pyy pzz pxy pxz pyz"


@pytest.fixture(scope="module")
def folder(lmp, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    lmp(SYSTEM.format(style=f"{CUSTOM}\nthermo_modify format float %.8g"), folder)
    return folder


def spectrum(topo_command, folder, *arguments: str) -> dict:
    finished = topo_command("spectrum", *arguments, "--method", "cepstral-aic", "--json", folder=folder)
    return {result["quantity"]: result for result in json.loads(finished.stdout)} | {"notes": finished.stderr}


def test_log_and_ave_time_say_the_same(topo_command, folder):
    log = spectrum(topo_command, folder, "log.test", "-q", "heat", "-k", "flux", "--runs", "2-3")
    volume = log["volume"]["value"]
    assert volume == pytest.approx((3 * 5.7) ** 3, rel=1e-6)
    assert log["duration"]["samples"] == 750  # steps 204, 208, … 3200; without 203, 2203 and 3203, off the grid
    assert log["duration"]["interval"] == pytest.approx(0.016)  # 4 steps of 4 fs, in ps
    table = spectrum(
        topo_command, folder, "flux.txt", "-q", "heat", "-k", "c_flux", "--units", "real", "--timestep", "4",
        "-V", repr(volume), "-T", repr(log["temperature"]["value"]),
    )  # fmt: skip
    assert table["thermal_conductivity"]["value"] == pytest.approx(log["thermal_conductivity"]["value"], rel=1e-6)
    assert log["thermal_conductivity"]["value"] > 0


def test_the_longest_run_of_a_packed_log_and_its_viscosity(topo_command, folder):
    (folder / "log.gz").write_bytes(gzip.compress((folder / "log.test").read_bytes()))
    found = spectrum(topo_command, folder, "log.gz", "-q", "viscosity")
    assert "holds 3 runs: run 2 is taken, the longest" in found["notes"]
    assert found["viscosity"]["degrees_of_freedom"] == 3
    six = spectrum(topo_command, folder, "log.gz", "-q", "viscosity", "-k", "p")["viscosity"]
    assert six["degrees_of_freedom"] == 5
    assert six["value"] == pytest.approx(found["viscosity"]["value"], abs=3 * found["viscosity"]["error"])


def test_yaml_output(lmp, topo_command, folder, tmp_path):
    lmp(SYSTEM.format(style="thermo_style yaml\nthermo_modify format float %.8g"), tmp_path)
    custom = spectrum(topo_command, folder, "log.test", "-q", "diffusion", "-k", "Pxx,Pyy,Pzz", "--remove-mean")
    yaml = spectrum(topo_command, tmp_path, "log.test", "-q", "diffusion", "-k", "Press", "--remove-mean")
    assert yaml["duration"]["samples"] == custom["duration"]["samples"]
    text = (tmp_path / "log.test").read_text()
    assert "keywords: ['Step'" in text
    assert np.isfinite(yaml["diffusion"]["value"])
