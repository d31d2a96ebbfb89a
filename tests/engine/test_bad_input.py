"""Each mistake ends in one sentence, once, on all ranks, with a non-zero status where the run cannot go on."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lammps_topo.store import read_results

RUN = "\npair_style zero 6.0\npair_coeff * *\nfix nve all nve\n"


def sentence(finished) -> str:
    """The one ERROR line of a run that ended in good order."""
    assert finished.returncode not in (0, -11, -6), finished.stdout[-2000:]
    lines = [line for line in (finished.stdout + finished.stderr).splitlines() if line.startswith("ERROR")]
    assert len(set(lines)) == 1, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert "Traceback" not in finished.stdout + finished.stderr
    return lines[0]


@pytest.fixture
def start(agi) -> str:
    return f"{agi.system}read_data {agi.folder}/agi.data{RUN}"


AT_THE_FIX_LINE = {
    "no N": ("fix topo all topo", "expected|Illegal"),
    "N not a number": ("fix topo all topo x", "integer"),
    "N zero": ("fix topo all topo 0", "N is 0, but must be a positive number"),
    "N negative": ("fix topo all topo -4", "N is -4, but must be a positive number"),
    "no such group": ("fix topo nobody topo 4", "group"),
    "dynamic group": ("group moving dynamic all every 1\nfix topo moving topo 4", "group moving is dynamic"),
    "empty group": ("group none empty\nfix topo none topo 4", "group none has no atoms"),
    "no such file": ("fix topo all topo 4 nowhere.yaml", "'nowhere.yaml' cannot be read: No such file"),
    "keyword without value": ("fix topo all topo 4 msd.lags", "keyword 'msd.lags' has no value"),
    "unknown key": ("fix topo all topo 4 outptu a.h5", "unknown key 'outptu'; did you mean 'output'"),
    "unknown inner key": ("fix topo all topo 4 msd.lag 3", "unknown key 'msd.lag'"),
    "value of wrong type": ("fix topo all topo 4 msd.lags many", "key 'msd.lags' has the value 'many'"),
    "unknown species of the host": ("fix topo all topo 4 host Xe", "'Xe' is not a species"),
    "type of no species": (
        "fix topo all topo 4 one.yaml",
        "atoms of type 2 are in the group, but belong to no species",
    ),
    "species without atoms": ("fix topo all topo 4 three.yaml", "no atom of the group has the type 3"),
    "charge missing": ("fix topo all topo 4 charge.yaml", "'oxidation' needs a charge .* species 'I' has none"),
    "unknown thermo quantity": ("fix topo all topo 4 thermo sigma", "key 'thermo': 'sigma' is not known"),
    "folder that does not exist": ("fix topo all topo 4 output no/where.topo.h5", "cannot be written: No such file"),
    "output is a folder": ("fix topo all topo 4 output folder.topo.h5", "cannot be written: it is a folder"),
    "broken YAML": ("fix topo all topo 4 broken.yaml", "not valid YAML at line 3"),
}


ON_TWO_RANKS = ("no such file", "charge missing", "empty group", "output is a folder")


@pytest.mark.parametrize(
    ("mistake", "ranks"), [*((name, 1) for name in AT_THE_FIX_LINE), *((name, 2) for name in ON_TWO_RANKS)]
)
def test_mistake_at_the_fix_line(mistake, ranks, lmp, start, tmp_path):
    (tmp_path / "one.yaml").write_text("species: {Ag: {type: 1}}")
    (tmp_path / "three.yaml").write_text("species: {Ag: {type: 1}, I: {type: 2}, Xe: {type: 3}}")
    (tmp_path / "charge.yaml").write_text(
        "species: {Ag: {type: 1, oxidation: 1}, I: {type: 2}}\nrepresentations: oxidation"
    )
    (tmp_path / "broken.yaml").write_text("species:\n  Ag: [1\nmsd: 3")
    (tmp_path / "folder.topo.h5").mkdir()
    line, expected = AT_THE_FIX_LINE[mistake]
    finished = lmp(f"{start}{line}\nrun 100\n", tmp_path, ranks=ranks, check=False)
    assert re.search(expected, sentence(finished)), sentence(finished)
    assert [path.name for path in tmp_path.glob("*.topo.h5")] == ["folder.topo.h5"]


def test_fix_before_the_box(lmp, tmp_path):
    finished = lmp("units metal\nfix topo all topo 4\n", tmp_path, check=False)
    assert "before simulation box" in sentence(finished)


def test_atomic_charges_without_charges(lmp, tmp_path):
    script = """units lj
lattice fcc 0.8
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 1.0
fix topo all topo 4 representations atomic
"""
    assert "'atomic' needs an atom style with charges" in sentence(lmp(script, tmp_path, check=False))


def test_without_charges_diffusion_is_measured(lmp, tmp_path):
    script = """units lj
lattice fcc 0.8
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 1.0
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0
velocity all create 2.0 1234
fix nve all nve
fix topo all topo 2
run 3000
"""
    finished = lmp(script, tmp_path)
    assert "no charges" in finished.stdout
    results = read_results(tmp_path / "topo.topo.h5").outcome.results
    assert {result.quantity for result in results} >= {"diffusion", "temperature"}
    assert all(result.unit in ("reduced", "1") for result in results)


def test_npt_is_refused(lmp, agi, start, tmp_path):
    script = f"{start}unfix nve\nfix npt all npt temp 700 700 0.1 iso 0 0 1\nfix topo all topo 4\nrun 100\n"
    assert "another fix changes the volume of the box; equilibrate first" in sentence(
        lmp(script, tmp_path, check=False)
    )


def test_volume_changed_between_runs(lmp, start, tmp_path):
    """What was measured before is kept."""
    script = f"{start}fix topo all topo 4\nrun 40\nchange_box all x scale 1.01 remap\nrun 40\n"
    message = sentence(lmp(script, tmp_path, check=False, ranks=2))
    assert "the box changed its volume" in message
    assert "what was measured until step 40 is in topo.topo.h5" in message
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 11


def test_changed_timestep(lmp, start, tmp_path):
    finished = lmp(f"{start}fix topo all topo 4\nrun 40\ntimestep 0.002\nrun 40\n", tmp_path, check=False)
    assert re.search("timestep changed from 0.001 to 0.002", sentence(finished))


@pytest.mark.parametrize("ranks", [1, 2])
def test_lost_atom(ranks, lmp, start, tmp_path):
    """LAMMPS goes on with 'thermo_modify lost ignore'; the measurement says which atom, and keeps what it has."""
    script = (
        f"{start}change_box all boundary p p f\nfix topo all topo 4\nthermo_modify lost ignore\nrun 40\n"
        "set atom 3 vz 4000.0\nrun 400\n"
    )
    message = sentence(lmp(script, tmp_path, check=False, ranks=ranks))
    assert re.search(r"atom \d+ of the group is lost at step \d+; the group must keep its atoms", message)
    record = read_results(tmp_path / "topo.topo.h5").record
    lost = int(re.search(r"at step (\d+)", message).group(1))
    assert record.last_step in (lost - 4, lost)  # the edit at 40 begins a stretch, lost or not


def test_lost_atoms_that_end_lammps(lmp, start, tmp_path):
    """LAMMPS's own error ends the run without post_run: the samples so far are in the file all the same."""
    script = f"{start}change_box all boundary p p f\nfix topo all topo 4\nthermo 100\nset atom 3 vz 4000.0\nrun 400\n"
    finished = lmp(script, tmp_path, check=False, ranks=2)
    assert "Lost atoms" in finished.stdout
    assert read_results(tmp_path / "topo.topo.h5").record.samples >= 1


def test_not_a_number(lmp, start, tmp_path):
    script = (
        f"{start}fix topo all topo 4\nrun 40\nvariable bad atom sqrt(-1.0*(id==7))/(id==7)\n"
        "variable nan atom (id==7)*exp(1000.0)*0.0\nset atom 7 charge v_nan\nrun 40\n"
    )
    finished = lmp(script, tmp_path, check=False, ranks=2)
    message = sentence(finished)
    assert "atom 7 has a position, velocity or charge that is not a finite number at step 4" in message
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 11


def test_group_that_changes(lmp, start, tmp_path):
    script = f"{start}group part id 1:30\nfix topo part topo 4\nrun 40\ngroup part id 31:40\nrun 40\n"
    message = sentence(lmp(script, tmp_path, check=False, ranks=2))
    assert "was not in the group when the measurement began" in message
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 11


def test_net_charge_is_noted(lmp, start, tmp_path):
    (tmp_path / "odd.yaml").write_text("species: {Ag: {type: 1, oxidation: 2}, I: {type: 2, oxidation: -1}}")
    lmp(f"{start}fix topo all topo 4 odd.yaml\nrun 400\n", tmp_path)
    notes = read_results(tmp_path / "odd.topo.h5").outcome.notes
    assert any("'oxidation' carries a net charge of 50" in note for note in notes)


_FULL_DISK = """
import resource, signal
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{start}''')
session = lammps_topo.attach(lmp, every=4)
session.run(40)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    session.run(40000)
    session.results()  # the run may have been too short for a file of its own
except Exception as error:
    print(error)
print(lammps_topo.read_results("topo.topo.h5").record.samples)
"""


def test_full_disk_keeps_the_old_file(start, tmp_path):
    """A file size limit stands for the disk: the run ends with a sentence, the earlier generation stays."""
    (tmp_path / "drive.py").write_text(_FULL_DISK.format(start=start))
    finished = subprocess.run(
        [sys.executable, "drive.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert "the results file 'topo.topo.h5' cannot be written" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "11"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".topo")]
