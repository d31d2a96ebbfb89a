"""Charges of every kind through every door, against sums over the atoms of a dump with every digit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from alike import assert_alike

from lammps_topo.estimate.current_spectrum import current_weights
from lammps_topo.hosts.trajectory import open_trajectory
from lammps_topo.record import Record
from lammps_topo.store import read_results

EVERY, STEPS = 4, 120

# 64 atoms of three types in molecules of three atoms; charges by type and by atom, tensors set by a variable
SYSTEM = """
units metal
atom_style charge
atom_modify map array
timestep 0.002
lattice fcc 5.3
region box block 0 {size} 0 2 0 2
create_box 3 box
create_atoms 1 box basis 1 1 basis 2 2 basis 3 3
mass 1 40.0
mass 2 20.0
mass 3 25.0
set type 1 charge 0.5
set type 2 charge -0.4
set type 3 charge -0.6
pair_style lj/cut 5.0
pair_coeff * * 0.02 3.4
fix p all property/atom mol d_model d2_born 9 ghost no
variable molecule atom floor((id-1)/{atoms})+1
set group all mol v_molecule
variable model atom q*(1+0.1*sin(id))
set group all d_model v_model
variable one atom cos(id)
variable two atom 0.3*sin(2*id)
set group all d2_born[1] v_one
set group all d2_born[2] v_two
set group all d2_born[5] v_model
set group all d2_born[7] v_two
set group all d2_born[9] v_one
velocity all create 900 4711
fix nve all nve
compute pe all pe/atom
compute v all property/atom vx vy vz q x
compute nine all property/atom vx vy vz fx fy fz q q q
variable shifted atom q*(1+0.1*sin(x))
fix kept all ave/atom 4 1 4 v_shifted
"""
CONFIG = """
species:
  A: {type: 1, oxidation: 1}
  B: {type: [2, 3], oxidation: -0.5}
representations:
  oxidation:
  atomic:
  nominal: {oxidation: {A: 0.5, B: -0.5}}
  model: {charge: d_model}
  column: {charge: "c_v[5]"}
  kept: {charge: f_kept}
  born: {born: d2_born}
  computed: {born: c_nine}
"""
MORE = """
species:
  A: {type: 1}
  B: {type: [2, 3]}
representations:
  potential: {charge: c_pe}
  fixed: {born: {A: [[1, 0.1, 0], [0, 2, 0], [0, 0.2, 1]], B: -0.5}}
  centres: {carriers: {1: 1.0, 2: -2.0, 3: 0.5}}
  whole: {molecular: atomic}
"""
SMALL = "segments: {shortest: 16, number: 1}\nmsd: {lags: 8, every: 4, levels: 1}\nrestart: never\n"
DUMP = f"""
dump d all custom {EVERY} all.lammpstrj id type mass mol q xu yu zu vx vy vz d_model d2_born[*] c_v[5] c_nine[*] &
     f_kept c_pe
dump_modify d format float %.17g
"""


def system(atoms: int = 3, size: int = 2) -> str:
    """With molecules of ``atoms`` atoms."""
    return SYSTEM.format(atoms=atoms, size=size)


def settings(text: str) -> str:
    return text.rstrip() + "\n" + SMALL


def assert_same(record: Record, other: Record) -> None:
    assert record.samples == other.samples
    assert record.flux_names == other.flux_names
    assert np.allclose(other.charges, record.charges, rtol=1e-10)
    assert_alike(
        [
            (record.series.flux, other.series.flux),
            (record.series.moment, other.series.moment),
            *zip(record.dipole.sums, other.dipole.sums, strict=True),
        ]
    )


@pytest.fixture(scope="module")
def measured(lmp, tmp_path_factory) -> Path:
    """Door 1 on one rank, and a dump of the run."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "one.yaml").write_text(settings(CONFIG))
    (folder / "two.yaml").write_text(settings(MORE))
    fixes = f"fix topo all topo {EVERY} one.yaml\nfix more all topo {EVERY} two.yaml\n"
    lmp(f"{system()}{DUMP}{fixes}run {STEPS}\n", folder)
    return folder


@pytest.fixture(scope="module")
def records(measured) -> dict[str, Record]:
    return {name: read_results(measured / f"{name}.topo.h5").record for name in ("one", "two")}


def frames(measured: Path) -> list:
    values = {"d_model": 1, "c_v[5]": 1, "f_kept": 1, "c_pe": 1, "d2_born": 9, "c_nine": 9}
    return list(open_trajectory(measured / "all.lammpstrj", values=values))


def of_frames(found: list, name: str) -> np.ndarray:
    """Charges (samples, atoms, 3, 3) of a representation, from the dump."""
    first, ones = found[0], np.eye(3)
    sources = {"model": "d_model", "column": "c_v[5]", "kept": "f_kept", "potential": "c_pe"}
    tensors = {"born": "d2_born", "computed": "c_nine"}
    if name in tensors:
        return np.array([frame.values[tensors[name]].reshape(-1, 3, 3) for frame in found])
    if name == "fixed":
        both = np.array([[[1, 0.1, 0], [0, 2, 0], [0, 0.2, 1]], -0.5 * ones])
        return np.broadcast_to(both[(first.types > 1).astype(int)], (len(found), len(first.types), 3, 3))
    if name == "whole":
        inside = first.mol[:, None] == first.mol[None]
        scalar = np.broadcast_to(inside @ first.q / (inside @ first.mass) * first.mass, (len(found), len(first.q)))
    elif name in sources:
        scalar = np.array([frame.values[sources[name]][:, 0] for frame in found])
    else:
        types = {"oxidation": [1, -0.5, -0.5], "atomic": [0.5, -0.4, -0.6], "nominal": [0.5, -0.5, -0.5],
                 "centres": [1, -2, 0.5]}  # fmt: skip
        scalar = np.broadcast_to(np.array(types[name])[first.types - 1], (len(found), len(first.types)))
    return scalar[..., None, None] * ones


@pytest.mark.parametrize(
    "name",
    ["oxidation", "atomic", "nominal", "model", "column", "kept", "born", "computed", "potential", "fixed", "centres",
     "whole"],
)  # fmt: skip
def test_currents_are_the_sums_over_the_atoms_of_a_dump(name, measured, records):
    found = frames(measured)
    record = next(one for one in records.values() if name in one.representations)
    z, mass = of_frames(found, name), found[0].mass / found[0].mass.sum()
    v, x = (np.array([getattr(frame, letter) for frame in found]) for letter in "vx")
    v, x = (one - np.einsum("i,tic->tc", mass, one)[:, None] for one in (v, x))
    current = np.einsum("tixy,tiy->tx", z, v)
    step = np.einsum("tixy,tiy->tx", 0.5 * (z[1:] + z[:-1]), np.diff(x, axis=0))
    dipole = np.concatenate((np.zeros((1, 3)), np.cumsum(step, axis=0)))
    row = current_weights(record, name)
    assert record.samples == len(found) == STEPS // EVERY + 1
    for mine, series in ((current, record.series.flux), (dipole, record.series.moment)):
        theirs = np.tensordot(series, row, axes=(1, 0))
        assert np.abs(mine - theirs).max() < 1e-9 * np.abs(mine).max()
    mean = np.trace(z, axis1=2, axis2=3).mean(axis=0) / 3
    kinds = [mean[found[0].types == 1].mean(), mean[found[0].types > 1].mean()]
    assert np.allclose(record.charges_of(name), kinds, rtol=1e-9)


def test_ranks_give_the_same(lmp, measured, records, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text((measured / f"{name}.yaml").read_text())
    fixes = f"fix topo all topo {EVERY} one.yaml\nfix more all topo {EVERY} two.yaml block 7\n"
    lmp(f"{system()}{fixes}run 40\n", tmp_path, ranks=2)
    for name, record in records.items():
        other = read_results(tmp_path / f"{name}.topo.h5").record
        assert other.samples == 11
        for series in ("flux", "moment"):  # a trajectory on other ranks differs by rounding that grows
            ours, theirs = getattr(record.series, series)[:11], getattr(other.series, series)
            assert np.abs(ours - theirs).max() <= 1e-8 * np.abs(ours).max()


@pytest.mark.parametrize("name", ["one", "two"])
def test_analysis_of_a_dump_gives_the_same(name, topo_command, measured, records):
    given = ["--set", "trajectory.units", "metal", "--set", "trajectory.timestep", "0.002"]
    output = ["--set", "output", f"{name}.again.topo.h5"]
    topo_command("analyze", "all.lammpstrj", "--config", f"{name}.yaml", *given, *output, folder=measured)
    assert_same(records[name], read_results(measured / f"{name}.again.topo.h5").record)


def test_what_ase_reads_gives_the_same(topo_command, measured, records, tmp_path):
    """Arrays without LAMMPS's prefixes, with the eight decimals of an extended XYZ file."""
    ase, ase_io = pytest.importorskip("ase"), pytest.importorskip("ase.io")
    from ase.units import fs

    images = []
    for frame in frames(measured):
        atoms = ase.Atoms(np.array(["X", "Ca", "Ne", "Mn"])[frame.types], positions=frame.x, cell=frame.cell, pbc=True)
        atoms.set_masses(frame.mass)
        atoms.set_velocities(frame.v / (1000 * fs))
        atoms.set_initial_charges(frame.q)
        atoms.arrays["mol"] = frame.mol
        atoms.arrays["model"] = frame.values["d_model"][:, 0]
        atoms.arrays["born"] = frame.values["d2_born"]
        atoms.arrays["nine"] = frame.values["c_nine"]
        images.append(atoms)
    ase_io.write(tmp_path / "a.xyz", images, format="extxyz")
    (tmp_path / "a.yaml").write_text(
        settings(
            "species: {A: {type: Ca, oxidation: 1}, B: {type: [Ne, Mn], oxidation: -0.5}}\n"
            "representations: {model: {charge: d_model}, born: {born: d2_born}, computed: {born: c_nine},\n"
            "  whole: {molecular: atomic}, centres: {carriers: {Ca: 1.0, Ne: -2.0, Mn: 0.5}}}"
        )
    )
    topo_command("analyze", "a.xyz", "--config", "a.yaml", "--set", "trajectory.timestep", "0.008", folder=tmp_path)
    other = read_results(tmp_path / "a.topo.h5").record
    for place, name in enumerate(other.flux_names):
        record = next(one for one in records.values() if name in one.flux_names)
        ours, theirs = record.series.flux[:, record.flux_names.index(name)], other.series.flux[:, place]
        assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(ours).max(), name


_ATTACH = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo, numpy as np
for name in ("one", "three"):
    records = []
    for method in ("plugin", "stepwise"):
        lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
        lmp.commands_string(open("system.in").read())
        session = lammps_topo.attach(lmp, name + ".yaml", every=4, method=method, output=method + ".topo.h5")
        session.run(50)
        session.run(30)
        records.append(session.results().record)
        session.detach()
        lmp.close()
    one, two = records
    assert one.samples == two.samples == 21, (one.samples, two.samples)
    assert one.flux_names == two.flux_names
    for ours, theirs in ((one.series.flux, two.series.flux), (one.series.moment, two.series.moment)):
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(ours).max())
    assert np.allclose(one.charges, two.charges)
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_stepwise_attach_equals_the_plugin(ranks, measured, tmp_path):
    (tmp_path / "system.in").write_text(system())
    (tmp_path / "one.yaml").write_text(settings(CONFIG))
    (tmp_path / "three.yaml").write_text(settings(MORE.replace("  potential: {charge: c_pe}\n", "")))
    (tmp_path / "drive.py").write_text(_ATTACH)
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    subprocess.run([*launcher, sys.executable, "drive.py"], cwd=tmp_path, check=True, timeout=120)


def test_python_invoke_door(debian_lmp, topo_command, tmp_path):
    """Another LAMMPS, and so another trajectory: against the analysis of its own dump."""
    text = """
species:
  A: {type: 1}
  B: {type: [2, 3]}
representations:
  model: {charge: d_model}
  column: {charge: "c_v[5]"}
  kept: {charge: f_kept}
  computed: {born: c_nine}
  centres: {carriers: {1: 1.0, 2: -2.0, 3: 0.5}}
  whole: {molecular: atomic}
"""
    (tmp_path / "a.yaml").write_text(settings(text))
    lines = [line for line in system().splitlines() if "d2_born" not in line or "property/atom" in line]
    script = "\n".join(lines).replace(" d2_born 9", "").replace("atom_modify map array\n", "")
    fix = (
        'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke("a.yaml", every=4)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    dump = DUMP.replace("d2_born[*] ", "").replace(" c_pe", "")
    debian_lmp(f"{script}\n{fix}run 1\n{dump}run 79\n", tmp_path)
    record = read_results(tmp_path / "a.topo.h5").record
    given = [
        "--set",
        "trajectory.units",
        "metal",
        "--set",
        "trajectory.timestep",
        "0.002",
        "--set",
        "output",
        "b.topo.h5",
    ]
    topo_command("analyze", "all.lammpstrj", "--config", "a.yaml", *given, folder=tmp_path)
    assert_same(record, read_results(tmp_path / "b.topo.h5").record)


def test_constant_charges_of_atoms_are_oxidation_times_a_number(records):
    """q = ½ of A: the basis flux `atomic/A` is half of `number/A`."""
    record = records["one"]
    names = record.flux_names
    number, atomic = (record.series.flux[:, names.index(f"{kind}/A")] for kind in ("number", "atomic"))
    assert np.allclose(atomic, 0.5 * number, rtol=1e-12, atol=1e-12 * np.abs(number).max())


def test_neutral_molecules_conduct_nothing(lmp, tmp_path):
    """Molecules of four atoms, of +0.5, −0.4, −0.6 and +0.5, that are no longer together: Δμ and J are exactly zero."""
    (tmp_path / "a.yaml").write_text(settings("representations: [atomic, molecular]"))
    lmp(f"{system(4)}fix topo all topo 4 a.yaml\nrun 120\n", tmp_path, ranks=2)
    found = read_results(tmp_path / "a.topo.h5")
    place = [i for i, name in enumerate(found.record.flux_names) if name.startswith("molecular/")]
    assert len(place) == 3
    assert not found.record.series.flux[:, place].any()
    assert not found.record.series.moment[:, place].any()
    assert "the current of 'molecular' is zero: it does not conduct" in found.outcome.notes


def test_a_restart_continues_all_kinds(lmp, tmp_path):
    """LAMMPS's own restart file: properties of atoms are in it, and the state has the charges at its last sample."""
    kinds = CONFIG.replace("nominal: {oxidation: {A: 0.5, B: -0.5}}", "whole: {molecular: atomic}")
    (tmp_path / "a.yaml").write_text(settings(kinds).replace("restart: never\n", ""))
    setup = system()
    after = "compute pe" + setup.split("compute pe", 1)[1]
    fix = "fix topo all topo 4 a.yaml\n"
    lmp(f"{setup}{fix}run 60\nwrite_restart a.restart\nrun 60\n", tmp_path)
    whole = read_results(tmp_path / "a.topo.h5").record
    again = (
        "atom_modify map array\nread_restart a.restart\ntimestep 0.002\n"
        "pair_style lj/cut 5.0\npair_coeff * * 0.02 3.4\n"
        f"fix p all property/atom mol d_model d2_born 9 ghost no\nfix nve all nve\n{after}{fix}run 60\n"
    )
    finished = lmp(again, tmp_path)
    assert "the measurement continues: 16 samples until step 60" in finished.stdout
    continued = read_results(tmp_path / "a.topo.h5").record
    assert continued.samples == whole.samples == 31
    for series in ("flux", "moment"):
        ours, theirs = getattr(whole.series, series), getattr(continued.series, series)
        assert np.abs(ours - theirs).max() <= 1e-8 * np.abs(ours).max()


REFUSED = {
    "{m: {charge: d_other}}": r"key 'representations.m.charge' is 'd_other', but atoms have no such property of one",
    "{m: {charge: c_nine}}": r"'c_nine', but compute 'nine' has 9 per-atom columns: one of them must be chosen, \[i\]",
    "{m: {charge: 'c_v[6]'}}": r"is 'c_v\[6\]', but compute 'v' has 5 per-atom columns",
    "{m: {born: c_v}}": r"key 'representations.m.born' is 'c_v', but there is no compute 'v' with 9 per-atom columns",
    "{m: {born: d2_three}}": r"is 'd2_three', but atoms have no such property of 9 numbers \(fix ID all property/atom",
    "{m: {charge: f_nve}}": r"is 'f_nve', but there is no fix 'nve' with per-atom values",
    "{m: {carriers: {4: 1}}}": r"no atom of the group has the type 4",
    "{m: {molecular: oxidation}}": r"needs a charge 'oxidation' for every species; species 'A' has none",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_lammps_does_not_have_is_refused_at_the_fix_line(text, lmp, tmp_path):
    (tmp_path / "a.yaml").write_text(f"species: {{A: {{type: 1}}, B: {{type: [2, 3]}}}}\nrepresentations: {text}\n")
    more = "fix q all property/atom d2_three 3\n"
    finished = lmp(f"{system()}{more}fix topo all topo 4 a.yaml\n", tmp_path, check=False)
    assert finished.returncode
    found = " ".join((finished.stdout + finished.stderr).split())
    assert re.search(REFUSED[text], found), found[-800:]


def test_molecules_need_ids(lmp, tmp_path):
    finished = lmp(
        system().replace("property/atom mol", "property/atom").replace("set group all mol v_molecule\n", "")
        + "fix topo all topo 4 representations molecular\n",
        tmp_path, check=False,
    )  # fmt: skip
    assert "'molecular' needs molecule ids, which the run lacks" in " ".join(finished.stdout.split())
