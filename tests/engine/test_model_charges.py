"""Charges and Born tensors of a model in Python, as a property of LAMMPS's atoms, in runs on one and two ranks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lj_salt import SALT

from lammps_topo.centres.dipole_model import load_dipole_model
from lammps_topo.store import read_results

POTENTIALS = Path(__file__).resolve().parents[2] / "potentials"
MODEL = POTENTIALS / "agi-mliap" / "agi-dipoles.yaml"

AGI = f"""
units metal
atom_style charge
timestep 0.001
variable potentials index {POTENTIALS}
lattice custom 5.0855 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
region cell block 0 2 0 2 0 2
create_box 2 cell
create_atoms 2 region cell basis 1 1 basis 2 1
include ${{potentials}}/agi-vashishta-rahman/agi.table.in
velocity all create 1500.0 4711 mom yes dist gaussian
fix nve all nve
"""

HEAD = f"""
from mpi4py import MPI
import numpy as np
from lammps import lammps
import lammps_topo
from lammps_topo.centres.dipole_model import load_dipole_model
from lammps_topo.hosts import model_charges

lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
model = load_dipole_model("{MODEL}")

class Wavy:
    "Charges that depend on where an atom is."
    def predict(self, positions, types, cell):
        return np.where(types == 1, 0.5, -0.5) * (1 + 0.2 * np.sin(positions @ np.linalg.inv(cell) * 2 * np.pi)[:, 0])

def same_on_ghosts(name, columns):
    "How many ghosts of this rank have another value than all atoms of their ID."
    here, ghosts = lmp.extract_setting("nlocal"), lmp.extract_setting("nghost")
    tags = lmp.numpy.extract_atom("id", nelem=here + ghosts)
    values = np.reshape(lmp.numpy.extract_atom(name, nelem=here + ghosts, dim=columns), (here + ghosts, -1))
    owned = MPI.COMM_WORLD.allgather((tags[:here].copy(), values[:here].copy()))
    known = {{tag: row for ids, rows in owned for tag, row in zip(ids, rows)}}
    return sum(not np.array_equal(known[tag], row) for tag, row in zip(tags[here:], values[here:])), ghosts
"""


def drive(script: str, folder: Path, *, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    (folder / "drive.py").write_text(HEAD + script)
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, sys.executable, "drive.py"], cwd=folder, timeout=180, capture_output=True, text=True, check=False
    )


def frames(path: Path) -> list[np.ndarray]:
    """Rows of every frame of a dump, sorted by ID."""
    found = []
    for part in path.read_text().split("ITEM: ATOMS")[1:]:
        lines = part.split("ITEM:")[0].splitlines()[1:]
        rows = np.array([line.split() for line in lines], dtype=float)
        found.append(rows[np.argsort(rows[:, 0])])
    return found


CELL = 10.171 * np.eye(3)


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory) -> tuple[np.ndarray, ...]:
    """Positions, velocities, and what the model says of them (K, n, 3, 3), of 64 steps of which every 2nd is kept."""
    folder = tmp_path_factory.mktemp("trajectory")
    finished = drive(
        f"""
lmp.commands_string('''{AGI}''')
lmp.command("dump d all custom 2 run.lammpstrj id type xu yu zu vx vy vz")
lmp.command("dump_modify d format float %.15g")
lmp.command("run 64")
""",
        folder,
    )
    assert finished.returncode == 0, finished.stderr
    rows = np.stack(frames(folder / "run.lammpstrj"))
    model = load_dipole_model(MODEL)
    tensors = [model.predict(one[:, 2:5], one[:, 1].astype(int), CELL) for one in rows]
    return rows[0, :, 1].astype(int), rows[:, :, 2:5], rows[:, :, 5:8], np.reshape(tensors, (*rows.shape[:2], 3, 3))


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_have_the_tensors_of_the_model(ranks, trajectory, tmp_path):
    finished = drive(
        f"""
lmp.commands_string('''{AGI}''')
exposed = model_charges.expose(lmp, model, every=4)
lmp.command("dump d all custom 4 run.lammpstrj id d2_zstar[*]")
lmp.command("dump_modify d format float %.15g")
lmp.command("run 64")
assert exposed.calls == 1 + 17, exposed.calls
wrong, ghosts = same_on_ghosts("d2_zstar", 9)
assert ghosts > 100 and not wrong, (wrong, ghosts)
""",
        tmp_path,
        ranks=ranks,
    )
    assert finished.returncode == 0, finished.stderr
    found = np.stack(frames(tmp_path / "run.lammpstrj"))[:, :, 1:]
    expected = trajectory[3][::2].reshape(*found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-7)  # two runs of one trajectory, to rounding


CONFIG = """
species:
  Ag: {type: 1, oxidation: +1}
  I: {type: 2, oxidation: -1}
representations:
  oxidation:
  born: {born: d2_zstar}
segments: {shortest: 16, number: 1}
msd: {lags: 16, every: 4, levels: 1}
"""


@pytest.mark.parametrize(("method", "ranks"), [("plugin", 1), ("plugin", 2), ("stepwise", 2)])
def test_measurement_streams_the_tensors(method, ranks, trajectory, tmp_path):
    """Current and displaced dipole are those of the model, sample by sample, from step 0 on.

    From that of integers the dipole differs by the change of Σμ alone, to second order in the interval.
    """
    (tmp_path / "agi.yaml").write_text(CONFIG)
    finished = drive(
        f"""
lmp.commands_string('''{AGI}''')
exposed = model_charges.expose(lmp, model, every=2)
session = lammps_topo.attach(lmp, "agi.yaml", every=2, method="{method}")
session.run(64)
""",
        tmp_path,
        ranks=ranks,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    record = read_results(tmp_path / "agi.topo.h5").record
    born = [record.flux_names.index(f"born/{name}") for name in record.species]
    kinds, positions, velocities, tensors = trajectory
    current = np.einsum("knab,knb->ka", tensors, velocities)
    np.testing.assert_allclose(record.series.flux[:, born].sum(axis=1), current, atol=1e-6 * np.abs(current).max())
    moved = np.einsum("knab,knb->ka", 0.5 * (tensors[1:] + tensors[:-1]), np.diff(positions, axis=0))
    moment = record.series.moment[:, born].sum(axis=1)
    np.testing.assert_allclose(np.diff(moment, axis=0), moved, atol=1e-6 * np.abs(moved).max())

    model, charges = load_dipole_model(MODEL), np.where(kinds == 1, 1.0, -1.0)
    first, last = (model.dipoles(positions[k], kinds, CELL).sum(axis=0) for k in (0, -1))
    whole = charges @ (positions[-1] - positions[0]) + last - first
    np.testing.assert_allclose(moment[-1] - moment[0], whole, atol=1e-3 * np.abs(whole).max())


def test_charges_of_a_model_are_those_of_the_pair_style(tmp_path):
    """Written to ``q`` of atoms and ghosts, on two ranks, in a tilted box, before the run and in it."""
    finished = drive(
        f"""
lmp.commands_string('''{SALT}
change_box all triclinic xy final 3.0 remap units box
velocity all create 600.0 123 mom yes dist gaussian
fix nve all nve
''')
exposed = model_charges.expose(lmp, Wavy(), property="q", every=2)
lmp.command("dump d all custom 2 run.lammpstrj id type x y z q")
lmp.command("dump_modify d format float %.15g")
lmp.command("run 20")
wrong, ghosts = same_on_ghosts("q", 1)
assert ghosts and not wrong, (wrong, ghosts)
""",
        tmp_path,
        ranks=2,
    )
    assert finished.returncode == 0, finished.stderr
    for rows in frames(tmp_path / "run.lammpstrj"):
        along = (rows[:, 2] - 3.0 / 15.9 * rows[:, 3]) / 15.9
        expected = np.where(rows[:, 1] == 1, 0.5, -0.5) * (1 + 0.2 * np.sin(2 * np.pi * along))
        np.testing.assert_allclose(rows[:, 5], expected, atol=1e-12)


def test_a_model_that_fails_ends_the_run_on_all_ranks(tmp_path):
    finished = drive(
        f"""
class Failing:
    calls = 0
    def predict(self, positions, types, cell):
        self.calls += 1
        return np.zeros(len(positions)) if self.calls < 4 else positions @ np.zeros(7)

lmp.commands_string('''{SALT}
fix nve all nve
''')
exposed = model_charges.expose(lmp, Failing(), property="d_qml", every=2)
lmp.command("run 20")
assert exposed.calls == 3
assert lmp.extract_global("ntimestep") == 4
assert "failed at step 4: ValueError: matmul" in exposed.error, exposed.error
assert np.isnan(lmp.numpy.extract_atom("d_qml", nelem=lmp.extract_setting("nlocal"), dim=1)).all()
""",
        tmp_path,
        ranks=2,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("ERROR: the model of 'd_qml' failed") == 1


def test_what_cannot_be_exposed_is_refused_in_a_sentence(tmp_path):
    finished = drive(
        f"""
from lammps_topo.errors import TopoError
lmp.commands_string('''{SALT}
fix other all property/atom d2_narrow 3
''')
class Nowhere:
    def predict(self, positions, types, cell):
        return np.full(len(positions), np.nan)

for model, name, every, why in (
    (model, "d3_x", 2, "property 'd3_x' is not known"), (model, "d2_narrow", 2, "no property 'd2_narrow'"),
    (model, "d2_zstar", 0, "every is 0"), (model, "d_a", 2, "predicts an array (108, 9), but (108,) is needed"),
    (Nowhere(), "d_b", 2, "failed at step 0: it predicts a number that is not finite"),
):
    try:
        model_charges.expose(lmp, model, property=name, every=every)
    except TopoError as error:
        assert why in str(error), (why, str(error))
    else:
        raise AssertionError(name)
lmp.commands_string("change_box all boundary p p f")
try:
    model_charges.expose(lmp, model, every=2)
except TopoError as error:
    assert "periodic" in str(error)
else:
    raise AssertionError("boundary")
""",
        tmp_path,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_invoke_of_any_lammps(ranks, debian_lmp, tmp_path):
    (tmp_path / "wavy.py").write_text(
        "import numpy as np\n"
        "class Wavy:\n"
        "    def predict(self, positions, types, cell):\n"
        "        return np.where(types == 1, 1.0, -1.0) * (1 + 0.1 * np.sin(positions[:, 0]))\n"
    )
    script = SALT.replace("atom_modify map array\n", "") + (
        "velocity all create 600.0 123 mom yes dist gaussian\nfix nve all nve\n"
        "fix q all property/atom d_qml ghost yes\n"
        'python qml here """\nimport sys\nsys.path.insert(0, ".")\nfrom wavy import Wavy\n'
        'from lammps_topo.hosts import model_charges\nqml = model_charges.invoke(Wavy(), property="d_qml")\n"""\n'
        "fix model all python/invoke 4 post_force qml\n"
        "dump d all custom 4 run.lammpstrj id type x y z d_qml\ndump_modify d first no format float %.15g\nrun 20\n"
    )
    debian_lmp(script, tmp_path, ranks=ranks)
    found = [rows for rows in frames(tmp_path / "run.lammpstrj") if rows[:, 5].any()]
    assert len(found) >= 5
    for rows in found:
        expected = np.where(rows[:, 1] == 1, 1.0, -1.0) * (1 + 0.1 * np.sin(rows[:, 2]))
        np.testing.assert_allclose(rows[:, 5], expected, atol=1e-12)
