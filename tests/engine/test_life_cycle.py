"""Several runs, edits between them, several fixes, and every way in which a program may end."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lammps_topo.store import read_results

RUN = "\npair_style lj/cut 6.0\npair_coeff * * 0.01 2.5\nfix nve all nve\n"


@pytest.fixture
def start(agi) -> str:
    return f"{agi.system}read_data {agi.folder}/agi.data{RUN}"


def record_of(folder, name="topo"):
    return read_results(folder / f"{name}.topo.h5").record


def drive(folder, start, body, *, ranks=1, check=True):
    """A Python script that drives LAMMPS."""
    (folder / "drive.py").write_text(
        "from mpi4py import MPI\nfrom lammps import lammps\nimport lammps_topo\n"
        f"lmp = lammps(cmdargs=['-screen', 'none', '-log', 'none'])\nlmp.commands_string('''{start}''')\n{body}"
    )
    launcher = [str(sys.executable).removesuffix("python3").removesuffix("python") + "mpirun", "-np", str(ranks)]
    return subprocess.run(
        [*(launcher if ranks > 1 else []), sys.executable, "drive.py"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=check,
    )  # fmt: skip


def test_contiguous_runs_are_one_stretch(lmp, start, tmp_path):
    lmp(f"{start}fix topo all topo 4\nrun 40\nrun 10\nrun 30 pre no\nrun 0\n", tmp_path, ranks=2)
    record = record_of(tmp_path)
    assert record.samples == 21
    assert record.series.stretches.tolist() == [0]
    assert record.duration == pytest.approx(0.08)


@pytest.mark.parametrize(
    "edit",
    [
        "minimize 0 0 7 100",
        "displace_atoms all random 0.1 0.1 0.1 7 units box",
        "velocity all scale 500",
        "velocity all set 1.0 1.0 1.0",
        "group one id 1\ngroup two id 2\ndisplace_atoms one move 0.3 0 0\ndisplace_atoms two move -0.3 0 0",
    ],
)
def test_an_edit_between_runs_begins_a_new_stretch(edit, lmp, start, tmp_path):
    """Also a minimisation that is shorter than the sampling interval, and an edit that leaves the centre of mass."""
    lmp(f"{start}fix topo all topo 50\nrun 100\n{edit}\nrun 100\n", tmp_path, ranks=2)
    record = record_of(tmp_path)
    assert len(record.series.stretches) == 2
    assert np.abs(record.series.moment[record.series.stretches]).max() == 0


def test_many_short_runs_share_results_files_and_none_is_lost(lmp, start, tmp_path):
    lmp(f"{start}fix topo all topo 4\nlabel loop\nvariable i loop 100\nrun 4\nnext i\njump SELF loop\n", tmp_path)
    assert record_of(tmp_path).samples == 101


def test_unfix_writes_and_a_new_fix_keeps_the_file(lmp, start, tmp_path):
    lmp(f"{start}fix topo all topo 4\nrun 40\nunfix topo\nfix topo all topo 4\nrun 20\n", tmp_path)
    assert record_of(tmp_path, "topo.1").samples == 11
    assert record_of(tmp_path).samples == 6


def test_clear_and_another_system(lmp, start, tmp_path):
    lmp(f"{start}fix topo all topo 4\nrun 40\nclear\n{start}fix other all topo 5\nrun 20\n", tmp_path, ranks=2)
    assert record_of(tmp_path).samples == 11
    assert record_of(tmp_path, "other").samples == 5


def test_two_fixes_need_two_files(lmp, start, tmp_path):
    finished = lmp(
        f"{start}fix a all topo 4 output x.topo.h5\nfix b all topo 4 output x.topo.h5\n", tmp_path, check=False
    )
    assert "another fix writes to 'x.topo.h5'; give each fix an output of its own" in finished.stdout
    lmp(f"{start}fix a all topo 4\nfix b all topo 5\nrun 20\n", tmp_path)
    assert (record_of(tmp_path, "a").samples, record_of(tmp_path, "b").samples) == (6, 5)


def test_partitions_have_a_file_each(start, tmp_path, repository):
    (tmp_path / "in.test").write_text(f"{start}fix topo all topo 4\nrun 40\n")
    programs = str(sys.executable).rsplit("/", 1)[0]
    subprocess.run(
        [f"{programs}/mpirun", "-np", "2", f"{programs}/lmp", "-p", "2x1", "-in", "in.test"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert record_of(tmp_path, "topo.0").samples == record_of(tmp_path, "topo.1").samples == 11


def test_error_of_lammps_leaves_what_was_measured(lmp, start, tmp_path):
    script = f"{start}fix topo all topo 4\nvariable s equal step\nfix stop all halt 50 v_s >= 100 error hard\nrun 400\n"
    lmp(script, tmp_path, ranks=2, check=False)
    assert record_of(tmp_path).last_step in (96, 100)


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_that_ends_without_closing_counts_nothing_twice(ranks, start, tmp_path):
    drive(tmp_path, start, "session = lammps_topo.attach(lmp, every=4)\nsession.run(40)\n", ranks=ranks)
    assert record_of(tmp_path).samples == 11


def test_python_that_fails_in_between_leaves_what_was_measured(start, tmp_path):
    body = (
        "lammps_topo.attach(lmp, every=4)\nlmp.command('variable s equal step')\n"
        "lmp.command('fix stop all halt 50 v_s >= 100 error hard')\nlmp.command('run 400')\n"
    )
    assert drive(tmp_path, start, body, check=False).returncode != 0
    assert record_of(tmp_path).last_step in (96, 100)


def test_stepwise_measures_the_group_and_sees_edits(start, tmp_path):
    body = """
lmp.command("group few id 1:20")
for method in ("plugin", "stepwise"):
    session = lammps_topo.attach(lmp, every=4, group="few", fix=method, method=method, output=method + ".topo.h5")
    session.run(40)
    lmp.command("velocity all scale 700")
    session.run(40)
    session.detach()
"""
    drive(tmp_path, start, body)
    plugin, stepwise = record_of(tmp_path, "plugin"), record_of(tmp_path, "stepwise")
    assert stepwise.population.tolist() == plugin.population.tolist()
    assert stepwise.population.sum() == 18  # two of the twenty were deleted
    assert len(stepwise.series.stretches) == len(plugin.series.stretches) == 2
    assert stepwise.degrees_of_freedom == plugin.degrees_of_freedom


@pytest.mark.parametrize("ranks", [1, 2])
def test_stepwise_sees_edits_that_leave_the_centre_of_mass_and_those_between_samples(ranks, start, tmp_path):
    body = """
lmp.command("group one id 1")
lmp.command("group two id 2")
session = lammps_topo.attach(lmp, every=10, method="stepwise")
session.run(40)
session.run(5)
session.run(5)
lmp.command("displace_atoms one move 0.3 0 0")
lmp.command("displace_atoms two move -0.3 0 0")
session.run(25)
lmp.command("velocity all scale 700")
session.run(15)
session.detach()
"""
    drive(tmp_path, start, body, ranks=ranks)
    assert record_of(tmp_path).series.stretches.tolist() == [0, 6, 9]
    assert record_of(tmp_path).series.steps.tolist() == [0, 10, 20, 30, 40, 50, 50, 60, 70, 80, 90]


def test_names_with_spaces_and_words_that_yaml_knows(start, tmp_path):
    (tmp_path / "my config.yaml").write_text("msd: {lags: 32}")
    body = """
session = lammps_topo.attach(lmp, "my config.yaml", every=4, output="on it's.topo.h5", **{"msd.every": 8})
session.run(40)
print(session.results().config.msd.lags, session.results().config.msd.every)
"""
    assert drive(tmp_path, start, body).stdout.split()[-2:] == ["32", "8"]
    assert record_of(tmp_path, "on it's").samples == 11


def test_rerun_without_velocities_is_refused(lmp, agi, tmp_path):
    script = agi.replay("velocity all set 1.0 2.0 3.0\nfix topo all topo 4 block 8", columns="x y z ix iy iz")
    finished = lmp(script, tmp_path, check=False)
    assert "velocities do not change between steps 0 and 28, while atoms move; a rerun needs" in finished.stdout


def test_rerun_with_another_spacing_is_noted(lmp, agi, tmp_path):
    lmp(agi.replay("fix topo all topo 1"), tmp_path)
    notes = read_results(tmp_path / "topo.topo.h5").outcome.notes
    assert any("samples came 4 steps apart where every 1 steps were asked for" in note for note in notes)


def test_two_dimensions_and_shear_are_refused(lmp, start, tmp_path):
    flat = """units lj
dimension 2
atom_style charge
lattice sq 0.8
region box block 0 4 0 4 -0.5 0.5
create_box 1 box
create_atoms 1 box
mass 1 1.0
fix topo all topo 4
"""
    assert "the system has 2 dimensions" in lmp(flat, tmp_path, check=False).stdout
    shear = f"{start}change_box all triclinic\nfix shear all deform 1 xy erate 0.1\nfix topo all topo 4\nrun 10\n"
    assert "another fix changes the shape of the box" in lmp(shear, tmp_path, check=False).stdout


def test_failure_on_one_rank_ends_all(start, tmp_path):
    """An estimator that fails on rank 0 only (a bug, too little memory): no hang, and the other ranks say why."""
    body = """
from lammps_topo import results_file
def bug(*_):
    raise ZeroDivisionError("a bug")
results_file.estimate = bug
session = lammps_topo.attach(lmp, every=4)
try:
    session.run(40)
except Exception as error:
    assert "a bug" in str(error)
    print("seen")
"""
    assert drive(tmp_path, start, body, ranks=2).stdout.count("seen") == 2
