"""One trajectory through all doors gives the same numbers, on any number of ranks."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from alike import assert_alike

from lammps_topo.record import Record
from lammps_topo.store import read_results


def assert_same(record: Record, other: Record) -> None:
    assert record.samples == other.samples
    assert np.array_equal(record.population, other.population)
    assert other.temperature == pytest.approx(record.temperature, rel=1e-5)  # constants of other LAMMPS versions
    assert other.volume == pytest.approx(record.volume, rel=1e-12)
    assert np.allclose(other.mean_charge, record.mean_charge, rtol=1e-12)
    assert_alike(
        [
            (record.series.flux, other.series.flux),
            (record.series.moment, other.series.moment),
            *zip(record.msd.sums, other.msd.sums, strict=True),
            *zip(record.dipole.sums, other.dipole.sums, strict=True),
            *((a.sums, b.sums) for a, b in zip(record.periodograms, other.periodograms, strict=True)),
        ]
    )
    for ours, theirs in zip(record.msd.counts, other.msd.counts, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.fixture(scope="module")
def native(lmp, agi, tmp_path_factory) -> Record:
    """The reference: door 1 on one rank."""
    folder = tmp_path_factory.mktemp("native")
    (folder / "agi.yaml").write_text(agi.config)
    lmp(agi.replay("fix topo all topo 4 agi.yaml"), folder)
    return read_results(folder / "agi.topo.h5").record


def test_native_door_measures_every_frame(native, agi):
    assert native.samples == agi.frames
    assert (native.first_step, native.last_step) == (0, 4 * (agi.frames - 1))
    assert native.population.tolist() == [52, 54]  # two Ag were deleted: tags have gaps


@pytest.mark.parametrize("ranks", [2, 3])
def test_native_door_on_ranks(ranks, lmp, agi, native, config, tmp_path):
    lmp(agi.replay("fix topo all topo 4 agi.yaml"), tmp_path, ranks=ranks)
    assert_same(native, read_results(tmp_path / "agi.topo.h5").record)


def test_block_length_does_not_matter(lmp, agi, native, config, tmp_path):
    lmp(agi.replay("fix topo all topo 4 agi.yaml block 7"), tmp_path, ranks=2)
    assert_same(native, read_results(tmp_path / "agi.topo.h5").record)


def test_analyze_door(topo_command, agi, native, config, tmp_path):
    with open(agi.folder / "agi.lammpstrj", "rb") as plain, gzip.open(tmp_path / "agi.lammpstrj.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    settings = ["--set", "trajectory.units", "metal", "--set", "trajectory.timestep", "0.001"]
    topo_command("analyze", "agi.lammpstrj.gz", "--config", "agi.yaml", *settings, folder=tmp_path)
    assert_same(native, read_results(tmp_path / "agi.topo.h5").record)


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_invoke_door(ranks, debian_lmp, agi, native, config, tmp_path):
    fix = (
        'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke("agi.yaml", every=4)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo"
    )
    debian_lmp(agi.replay(fix), tmp_path, ranks=ranks)
    assert_same(native, read_results(tmp_path / "agi.topo.h5").record)


_ATTACH = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{before}''')
session = lammps_topo.attach(lmp, "agi.yaml", every=4)
assert session.method == "plugin"
lmp.command("rerun {dump} dump x y z ix iy iz vx vy vz q")
print(session.results().record.samples)
session.detach()
lmp.close()
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_attach_door(ranks, agi, native, config, tmp_path):
    before = agi.replay("").rsplit("rerun", 1)[0]
    (tmp_path / "drive.py").write_text(_ATTACH.format(before=before, dump=agi.folder / "agi.lammpstrj"))
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    subprocess.run([*launcher, sys.executable, "drive.py"], cwd=tmp_path, check=True, timeout=120)
    assert_same(native, read_results(tmp_path / "agi.topo.h5").record)


def test_stepwise_attach_equals_the_plugin(agi, config, tmp_path):
    """Without the shim the run is cut into pieces: same trajectory, same samples."""
    program = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo, numpy as np
records = []
for method in ("plugin", "stepwise"):
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
    lmp.commands_string('''{system}
read_data {folder}/agi.data
pair_style lj/cut 6.0
pair_coeff * * 0.01 2.5
fix nve all nve
''')
    session = lammps_topo.attach(lmp, "agi.yaml", every=4, method=method, output=method + ".topo.h5")
    session.run(60)
    session.run(41)
    records.append(session.results().record)
    session.detach()
    lmp.close()
one, two = records
assert one.samples == two.samples == 26, (one.samples, two.samples)
assert np.allclose(one.series.flux, two.series.flux, rtol=1e-9, atol=1e-9 * np.abs(one.series.flux).max())
assert abs(one.degrees_of_freedom - two.degrees_of_freedom) < 1e-3
"""
    (tmp_path / "drive.py").write_text(program.format(system=agi.system, folder=agi.folder))
    subprocess.run([sys.executable, "drive.py"], cwd=tmp_path, check=True, timeout=120)


def test_triclinic_box_equals_analysis_of_unwrapped_positions(lmp, topo_command, tilted_agi, config, tmp_path):
    """Native unwrapping (image flags) against LAMMPS's own xu yu zu, through the other door."""
    unwrap = tilted_agi.replay(
        "dump u all custom 4 unwrapped.lammpstrj id type mass q xu yu zu vx vy vz\ndump_modify u format float %.17g\n"
        "fix topo all topo 4 agi.yaml"
    )
    lmp(unwrap, tmp_path, ranks=2)
    native = read_results(tmp_path / "agi.topo.h5").record
    settings = ["--set", "trajectory.units", "metal", "--set", "trajectory.timestep", "0.001", "-o", "other.topo.h5"]
    topo_command("analyze", "unwrapped.lammpstrj", "--config", "agi.yaml", *settings, folder=tmp_path)
    assert_same(native, read_results(tmp_path / "other.topo.h5").record)


def test_no_configuration_is_needed(lmp, agi, topo_command, tmp_path):
    """Types are species, q are charges, every default is in the results file."""
    lmp(agi.replay("fix topo all topo 4"), tmp_path)
    results = read_results(tmp_path / "topo.topo.h5")
    assert results.record.species == ("1", "2")
    assert results.record.representations == ("atomic",)
    assert results.config.msd.lags == 256
    shown = json.loads(topo_command("show", "topo.topo.h5", "--json", folder=tmp_path).stdout)
    assert any(entry["quantity"] == "conductivity" and entry["unit"] == "S/m" for entry in shown)


def test_thermo_output_and_variables(lmp, agi, config, tmp_path):
    """f_ID[i] and names chosen in the configuration."""
    script = agi.replay(
        "fix topo all topo 4 agi.yaml block 16 thermo [samples,temperature,'conductivity:atomic','msd:Ag']\n"
        "variable s equal f_topo[1]\nthermo_style custom step v_s f_topo[2] f_topo[3] f_topo[4]\n"
        "thermo_modify format float %.10g"
    )
    finished = lmp(script, tmp_path)
    rows = finished.stdout.split("Loop time")[0].strip().splitlines()
    last = [row for row in rows if not row.startswith("fix topo topo:")][-1].split()
    record = read_results(tmp_path / "agi.topo.h5").record
    assert int(last[0]) == record.last_step
    assert float(last[1]) == 96  # complete blocks
    assert float(last[2]) == pytest.approx(record.temperature, rel=0.05)


def test_memory_and_citation_are_reported(lmp, agi, config, tmp_path):
    finished = lmp(agi.replay("fix topo all topo 4 agi.yaml"), tmp_path)
    assert "fix topo command (lammps_topo)" in finished.stdout


def test_group_of_some_atoms(lmp, agi, tmp_path):
    """Only the group is measured; the frame is still the centre of mass of the whole system."""
    lmp(agi.replay("group silver type 1\nfix topo silver topo 4"), tmp_path, ranks=2)
    record = read_results(tmp_path / "topo.topo.h5").record
    assert record.species == ("1",)
    lmp(agi.replay("fix whole all topo 4"), tmp_path)
    whole = read_results(tmp_path / "whole.topo.h5").record
    assert np.allclose(record.series.flux[:, 0], whole.series.flux[:, 0], rtol=1e-10, atol=1e-9)
    assert record.temperature == pytest.approx(whole.temperature, rel=1e-12)
