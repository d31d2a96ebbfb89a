"""The section ``stop``: a run ends when its quantities are known, and the rest of the input is executed.

The system is an ideal one: ions without forces in a Langevin bath have σ = N q² τ/(m V), and relax in τ = 50 fs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lammps_topo.store import read_results

ENDLESS = 400_000
SYSTEM = """
units metal
atom_style charge
timestep 0.004
lattice fcc 5.6
region box block 0 2 0 2 0 2
create_box 2 box
create_atoms 2 box basis 1 1 basis 2 1 basis 3 2 basis 4 2
mass * 30
set type 1 charge 0.5
set type 2 charge -0.5
pair_style zero 4.5
pair_coeff * *
velocity all create 300 4711
fix nve all nve
fix bath all langevin 300 300 0.05 123
thermo 10000
"""
WANTED = "stop.conductivity.relative_error 0.06 stop.diffusion:2.relative_error 0.05"
QUICK = "stop.diffusion:2.relative_error 0.05"
DIFFUSION = 300 * 8.617333e-5 * 0.05 / (30 * 1.03642697e-4) * 1e-8  # m²/s
EXACT = 32 * 0.25 * 0.05 / (30 * 1.03642697e-4 * (2 * 5.6) ** 3) * 1602.176634  # S/m


def check(path: Path, *, quick: bool = True) -> None:
    """The results of a run that ended in time; ``quick``: that of a diffusion coefficient only."""
    results = read_results(path)
    assert 1024 < results.record.samples < ENDLESS / 10
    note = [note for note in results.outcome.notes if note.startswith("stop: ")]
    assert len(note) == 1
    wanted = "" if quick else "conductivity:atomic to 6 %, "
    assert f"stop: {wanted}diffusion:2 to 5 % was reached after " in note[0]
    assert results.provenance["stop"] == note[0]
    found = {(r.quantity, r.of, r.method): r for r in results.outcome.results}
    diffusion = found["diffusion", "2", "msd"]
    assert diffusion.value == pytest.approx(DIFFUSION, abs=4 * diffusion.error + 0.05 * DIFFUSION)  # 32 atoms
    if not quick:
        conductivity = found["conductivity", "atomic", "spectral"]
        assert conductivity.error < 1.25 * 0.06 * conductivity.value
        assert conductivity.value == pytest.approx(EXACT, abs=4 * conductivity.error)


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_run_ends_and_the_rest_is_executed(ranks, lmp, tmp_path):
    thermo = "thermo_style custom step f_topo[1] f_topo[2] f_topo[3] f_topo[4]"
    keys = "thermo [stop_time,stop_reached,relative_error:conductivity:atomic,relative_error:diffusion:2]"
    screen = lmp(
        f"{SYSTEM}fix topo all topo 10 {WANTED} {keys}\n{thermo}\nrun {ENDLESS}\n"
        "variable reached equal f_topo[2]\nprint 'reached ${reached}'\n"
        "run 200\nwrite_restart a.restart\nprint 'all is done'\n",
        tmp_path, ranks=ranks,
    ).stdout  # fmt: skip
    assert screen.count("this is what was wanted") == 1
    assert screen.count("fix topo topo: stop: the run ends at step") == 1
    assert "reached 1\n" in screen
    assert screen.count("\nall is done") == 1
    ended = int(screen.split("the run ends at step ")[1].split(";")[0])
    results = read_results(tmp_path / "topo.topo.h5")
    assert results.record.last_step == ended + 200  # the next run is one of full length
    check(tmp_path / "topo.topo.h5", quick=False)
    progress = [line for line in screen.splitlines() if "stop: after" in line]
    assert 2 <= len(progress) <= 12


def test_viscosity_and_thermal_conductivity_end_a_run(lmp, tmp_path):
    """Products of velocities relax twice and three times as fast; centre of mass at rest (``zero yes``)."""
    lines = SYSTEM.replace("0.05 123", "0.05 123 zero yes") + (
        "compute ke all ke/atom\ncompute pe all pe/atom\ncompute st all stress/atom NULL virial\n"
        "compute flux all heat/flux ke pe st\n"
    )
    wanted = "stop.viscosity.relative_error 0.06 stop.thermal_conductivity.relative_error 0.06"
    screen = lmp(
        f"{lines}fix topo all topo 2 heat c_flux stress c_thermo_press {wanted}\nrun {ENDLESS}\nprint 'all is done'\n",
        tmp_path,
    ).stdout
    assert screen.count("\nall is done") == 1
    assert "Pa s +- " in screen
    assert "W/m/K +- " in screen
    results = read_results(tmp_path / "topo.topo.h5")
    note = next(note for note in results.outcome.notes if note.startswith("stop: "))
    assert "viscosity to 6 %, thermal_conductivity:energy to 6 % was reached after " in note
    found = {(r.quantity, r.method): r for r in results.outcome.results}
    thermal, volume, mass = 300 * 1.380649e-23, (2 * 5.6e-10) ** 3, 30 * 1.66053907e-27
    viscosity = 32 * thermal * 0.05e-12 / 2 / volume
    conductivity = 2.5 * 32 * thermal * 1.380649e-23 * 0.05e-12 / 3 / mass / volume
    for quantity, exact in (("viscosity", viscosity), ("thermal_conductivity", conductivity)):
        result = found[quantity, "spectral"]
        assert result.error < 1.25 * 0.06 * result.value
        assert result.value == pytest.approx(exact, abs=4 * result.error + 0.05 * exact)  # 32 atoms, 8 fs


def test_pieces_that_are_left_are_passed_over(lmp, tmp_path):
    screen = lmp(
        f"{SYSTEM}fix topo all topo 10 {QUICK}\nrun {ENDLESS} every 5000 'print piece'\nrun 200\nprint 'all is done'\n",
        tmp_path,
    ).stdout
    assert "its other pieces and further runs are passed over, other commands not" in screen
    assert screen.count("\nall is done") == 1
    ended = int(screen.split("the run ends at step ")[1].split(";")[0])
    assert read_results(tmp_path / "topo.topo.h5").record.last_step == ended
    check(tmp_path / "topo.topo.h5")


def test_restart_files_more_often_than_blocks_do_not_hinder_it(lmp, tmp_path):
    script = f"{SYSTEM}restart 500 a.restart b.restart\nfix topo all topo 10 {QUICK} block 200\nrun {ENDLESS}\n"
    assert "stop: the run ends at step" in lmp(script, tmp_path).stdout
    check(tmp_path / "topo.topo.h5")


def test_a_continued_run_goes_on_to_a_better_precision(lmp, tmp_path):
    lmp(f"{SYSTEM}fix topo all topo 10 {QUICK}\nrun {ENDLESS}\nwrite_restart a.restart\n", tmp_path)
    before = read_results(tmp_path / "topo.topo.h5").record.samples
    rest = SYSTEM[SYSTEM.index("pair_style") :].replace("velocity all create 300 4711\n", "")
    screen = lmp(
        f"read_restart a.restart\n{rest}fix topo all topo 10 stop.diffusion:2.relative_error 0.015\nrun {ENDLESS}\n",
        tmp_path,
    ).stdout
    assert "the measurement continues" in screen
    assert "stop: the run ends at step" in screen
    assert read_results(tmp_path / "topo.topo.h5").record.samples > before


def test_fix_halt_can_do_it_too(lmp, tmp_path):
    """The way to write it that the README gives."""
    screen = lmp(
        f"{SYSTEM}fix topo all topo 10\nvariable enough equal 'f_topo[2] < 0.1*f_topo[1] && step > 20000'\n"
        f"fix enough all halt 1000 v_enough > 0 error continue\nrun {ENDLESS}\n"
        "unfix enough\nrun 200\nprint 'all is done'\n",
        tmp_path,
    ).stdout
    assert screen.count("\nall is done") == 1
    assert 20000 < read_results(tmp_path / "topo.topo.h5").record.last_step < ENDLESS


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_invoke_door(ranks, debian_lmp, tmp_path):
    words = "{'diffusion:2': {'relative_error': 0.05}}"
    fix = (
        f'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke(every=10, stop={words})\n"""\n'
        "fix topo all python/invoke 10 end_of_step topo\n"
    )
    screen = debian_lmp(
        f"{SYSTEM}{fix}run {ENDLESS}\nrun 200\nprint 'all is done'\ntimer timeout off\nrun 300\n", tmp_path, ranks=ranks
    ).stdout
    assert "stop: the run ends at step" in screen
    assert screen.count("\nall is done") == 1
    ended = int(screen.split("the run ends at step ")[1].split(";")[0])
    assert read_results(tmp_path / "topo.topo.h5").record.last_step == ended + 300
    check(tmp_path / "topo.topo.h5")


_ATTACH = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{system}''')
wanted = {{"diffusion:2": {{"relative_error": 0.05}}}}
session = lammps_topo.attach(lmp, every=10, method="{method}", stop=wanted)
session.run({endless})
ended = session.results().record.last_step
session.run(200)
assert session.results().record.last_step == ended + 200, (ended, session.results().record.last_step)
session.detach()
lmp.close()
"""


@pytest.mark.parametrize(("method", "ranks"), [("plugin", 1), ("plugin", 2), ("stepwise", 1)])
def test_attach_door(method, ranks, tmp_path):
    (tmp_path / "drive.py").write_text(_ATTACH.format(system=SYSTEM, method=method, endless=ENDLESS))
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    subprocess.run([*launcher, sys.executable, "drive.py"], cwd=tmp_path, check=True, timeout=120)
    check(tmp_path / "topo.topo.h5")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("stop.conductivty.relative_error 0.05",
         "key 'stop': the quantity 'conductivty' is not known (allowed: conductivity, conductivity:atomic, "
         "diffusion:1, diffusion:2)"),
        ("stop.diffusion.relative_error 0.05", "key 'stop': the quantity 'diffusion' is not known"),
        ("stop.conductivity.relative_error -1",
         "key 'stop.conductivity.relative_error' has the value -1, but input should be greater than 0"),
        ("stop.conductivity.relativ_error 0.05",
         "unknown key 'stop.conductivity.relativ_error'; did you mean 'relative_error'?"),
        ("stop.conductivity 0.05",
         "key 'stop.conductivity' has the value 0.05, but {relative_error: x} or {error: x} is needed"),
        ("stop.min_time 5", "key 'stop': a quantity is needed, as in {conductivity: {relative_error: 0.05}}"),
        ("stop.conductivity.error 1 stop.check 1", "key 'stop.check' has the value 1, but"),
        ("thermo stop_time", "key 'thermo': 'stop_time' is not known (allowed: "),
    ],
)  # fmt: skip
def test_what_cannot_be_waited_for_is_refused(words, sentence, lmp, tmp_path):
    finished = lmp(f"{SYSTEM}fix topo all topo 10 {words}\nrun 100\n", tmp_path, check=False)
    assert finished.returncode != 0
    assert sentence in " ".join(finished.stdout.split())


def test_no_charges_no_conductivity(lmp, tmp_path):
    system = SYSTEM.replace("atom_style charge", "atom_style atomic").replace("set type", "#")
    finished = lmp(f"{system}fix topo all topo 10 {WANTED}\nrun 100\n", tmp_path, check=False)
    assert "the quantity 'conductivity' is not known, and without charges there is no conductivity (allowed: "\
        "diffusion:1, diffusion:2)" in " ".join(finished.stdout.split())  # fmt: skip
