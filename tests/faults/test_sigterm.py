"""SIGTERM, as queues send it: what was measured is written, the run ends, and the commands behind it are executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from conftest import PROGRAM, environment
from lmp_kills import CREATE, _family, _name, _wait_for_none
from replay_kills import write_dump

from lammps_topo.generations import generations
from lammps_topo.interrupt import Sigterm
from lammps_topo.state_file import verify_state
from lammps_topo.store import read_results

FORCES = "pair_style lj/cut 6.0\npair_coeff * * 0.01 3.4\nfix nve all nve\n"
ENDLESS = 100_000_000


def start(folder: Path, script: str, *, ranks: int = 2) -> subprocess.Popen[str]:
    """A run that has begun to measure."""
    (folder / "in.test").write_text(CREATE + FORCES + script)
    launcher = ["mpirun", "-np", str(ranks)] if ranks > 1 else []
    with (folder / "screen").open("w") as screen:
        program = subprocess.Popen(
            [*launcher, *PROGRAM, "-in", "in.test", "-log", "log.test"],
            cwd=folder, env=environment(), stdout=screen, stderr=subprocess.STDOUT, start_new_session=True, text=True,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while "   Step " not in (folder / "screen").read_text() and time.monotonic() < deadline:
        assert program.poll() is None, (folder / "screen").read_text()
        time.sleep(0.02)
    time.sleep(0.3)
    return program


def ranks_of(folder: Path) -> list[int]:
    """The programs, not the scripts that start them."""
    return sorted(
        pid for pid in _family(folder)
        if _name(pid).startswith(("lmp", "python")) and f"{os.sep}lmp" not in _script(pid)
    )  # fmt: skip


def _script(pid: int) -> str:
    """What a Python runs."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return words[1] if "python" in words[0] and len(words) > 1 else ""


def end(program: subprocess.Popen[str], folder: Path, within: float = 20.0) -> str:
    try:
        program.wait(timeout=within)
    except subprocess.TimeoutExpired:
        for pid in _family(folder):
            os.kill(pid, signal.SIGKILL)
        raise AssertionError((folder / "screen").read_text()[-3000:]) from None
    _wait_for_none(folder)
    return (folder / "screen").read_text()


@pytest.mark.parametrize("who", ["launcher", "one rank", "everybody"])
def test_the_run_ends_in_good_order(who, lmp, tmp_path):
    script = f"fix topo all topo 4\nrun {ENDLESS}\nrun 100\nwrite_restart a.restart\nprint 'all is done'\n"
    program = start(tmp_path, script)
    chosen = {"launcher": [program.pid], "one rank": ranks_of(tmp_path)[-1:], "everybody": _family(tmp_path)}[who]
    for pid in chosen:
        os.kill(pid, signal.SIGTERM)
    screen = end(program, tmp_path)
    assert program.returncode == 0, screen
    assert "SIGTERM: what was measured is in topo.topo.h5" in screen
    assert "SIGTERM: the run ends at step" in screen
    assert screen.count("\nall is done") == 1
    results = read_results(tmp_path / "topo.topo.h5").record
    header = verify_state(generations(tmp_path / "topo.topo.h5")[0])
    assert header["step"] == results.last_step > 0
    continued = f"read_restart a.restart\n{FORCES}fix topo all topo 4\nrun 40\n"
    assert "the measurement continues" in lmp(continued, tmp_path).stdout
    again = read_results(tmp_path / "topo.topo.h5").record
    assert again.samples == results.samples + 10
    assert len(again.series.stretches) == 1


@pytest.mark.parametrize("before", ["run 40", ""])
def test_a_minimisation_ends_too(before, lmp, tmp_path):
    """Of any length, whether anything has been measured before or not."""
    endless = f"min_style fire\nminimize 0 0 {ENDLESS} {ENDLESS}\n"
    script = (
        f"thermo 100\nfix topo all topo 4\n{before}\n{endless}run 100\nwrite_restart a.restart\nprint 'all is done'\n"
    )
    program = start(tmp_path, script)
    deadline = time.monotonic() + 30
    while "Setting up fire style" not in (tmp_path / "screen").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(ranks_of(tmp_path)[-1], signal.SIGTERM)
    screen = end(program, tmp_path)
    assert program.returncode == 0, screen
    assert "SIGTERM: the run ends at step" in screen
    assert "walltime limit reached" in screen  # why LAMMPS says that the minimisation stopped
    assert screen.count("\nall is done") == 1
    continued = lmp(f"read_restart a.restart\n{FORCES}fix topo all topo 4\nrun 40\n", tmp_path).stdout
    record = read_results(tmp_path / "topo.topo.h5").record
    assert ("the measurement continues: 11 samples" in continued) == bool(before)
    # what was minimised is another stretch; it ended at any step, and samples are at multiples of 4
    assert record.samples - (11 if before else 0) in (10, 11)
    assert len(record.series.stretches) == (2 if before else 1)


def test_a_checkpoint_only(tmp_path):
    program = start(tmp_path, f"fix topo all topo 4 on_sigterm checkpoint\nrun {ENDLESS}\n")
    pid = ranks_of(tmp_path)[0]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while not generations(tmp_path / "topo.topo.h5") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2.2)
    assert read_results(tmp_path / "topo.topo.h5").record.samples
    assert program.poll() is None
    os.kill(pid, signal.SIGTERM)  # the second one kills
    screen = end(program, tmp_path)
    assert program.returncode != 0
    assert "the run ends at step" not in screen


def test_ignored_means_that_it_kills(tmp_path):
    program = start(tmp_path, f"fix topo all topo 4 on_sigterm ignore\nrun {ENDLESS}\n", ranks=1)
    os.kill(ranks_of(tmp_path)[0], signal.SIGTERM)
    end(program, tmp_path)
    assert program.returncode != 0
    assert not generations(tmp_path / "topo.topo.h5")


def test_when_the_last_fix_has_gone_it_kills(tmp_path):
    program = start(tmp_path, f"fix a all topo 4\nfix b all topo 5\nrun 40\nunfix a\nunfix b\nrun {ENDLESS}\n", ranks=1)
    os.kill(ranks_of(tmp_path)[0], signal.SIGTERM)
    end(program, tmp_path)
    assert program.returncode != 0
    assert read_results(tmp_path / "a.topo.h5").record.samples == 11


def test_python_that_drives_in_pieces(tmp_path):
    body = f"""
import os, signal, threading
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{CREATE}{FORCES}''')
session = lammps_topo.attach(lmp, every=4, method="stepwise")
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
session.run({ENDLESS})
session.run({ENDLESS})
print("all is done", session.results().record.samples > 0)
"""
    (tmp_path / "drive.py").write_text(body)
    finished = subprocess.run(
        [sys.executable, "drive.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "all is done True" in finished.stdout, finished.stderr
    assert "SIGTERM: the run ends at step" in finished.stdout
    assert generations(tmp_path / "topo.topo.h5")


def test_an_analysis_continues_with_the_same_command(tmp_path, topo_command):
    write_dump(tmp_path / "a.lammpstrj", 1)
    words = ["analyze", "a.lammpstrj", "--set", "trajectory.units", "metal", "--set", "trajectory.timestep", "0.001",
             "--set", "block", "4"]  # fmt: skip
    script = (
        "import sys, os, signal\nimport lammps_topo.hosts.replay as r\nfrom lammps_topo.cli import main\n"
        "pack, calls = r._pack, []\n"
        "def slow(*a):\n    calls.append(1)\n    if len(calls) == 9: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return pack(*a)\nr._pack = slow\nmain()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert killed.returncode == 1
    assert "SIGTERM: the analysis ends after 36 frames; the same command again continues there" in killed.stderr
    assert read_results(tmp_path / "a.topo.h5").record.samples == 36
    assert "the measurement continues: 36 samples" in topo_command(*words, folder=tmp_path).stderr
    assert read_results(tmp_path / "a.topo.h5").record.samples == 200
    assert not (tmp_path / "a.1.topo.h5").exists()


def test_a_handler_of_the_program_stays(monkeypatch):
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert not Sigterm.watch().watching
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_second_kills_unless_it_comes_at_once():
    script = (
        "import os, signal, time\nfrom lammps_topo.interrupt import Sigterm\n"
        "one, two = Sigterm.watch(), Sigterm.watch()\nassert one is two\n"
        "for _ in range(3): os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert one.came\none.leave()\nprint('alive', flush=True)\n"
        "time.sleep(1.2)\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)\nprint('never')\n"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert finished.stdout == "alive\n"
    assert finished.returncode == -signal.SIGTERM
