"""Real ``mpirun -np 2 lmp`` with LAMMPS's own restart files, killed at random; continued from what is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from check_left import check_left
from conftest import PROGRAM, environment
from replayed import bits

from lammps_topo.store import read_results

STEPS, RESTART = 3000, 150
_MOST_ATTEMPTS, _TIMEOUT = 20, 60
CONFIG = """
species: {A: {type: 1, oxidation: 1}, B: {type: 2, oxidation: -1}}
representations: [oxidation, atomic]
msd: {lags: 16, every: 4, levels: 2, stride: 4}
segments: {shortest: 16, number: 2}
correlations: {lags: 32, every: 4, prony: 1, precision: double}
"""
CREATE = """
units metal
atom_style charge
timestep 0.001
lattice sc 4.0
region box block 0 4 0 4 0 4
create_box 2 box
create_atoms 1 box
set group all type/ratio 2 0.5 4711
set type 1 charge 0.9
set type 2 charge -0.9
mass 1 20.0
mass 2 35.0
velocity all create 400.0 4711 mom yes dist gaussian
"""
RUN = f"""
pair_style lj/cut 6.0
pair_coeff * * 0.01 3.4
fix nve all nve
fix topo all topo 4 a.yaml
restart {RESTART} r.1 r.2
run {STEPS} upto every 500 NULL
"""


class Killer:
    """Kills, continues, and compares; :attr:`figures` counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.figures: Counter[str] = Counter()
        whole = self._prepare("whole")
        started = time.monotonic()
        begun = self._run(whole, CREATE, None)[1]
        self.duration = time.monotonic() - started - begun
        self.begun = begun
        self.reference = bits(read_results(whole / "a.topo.h5").record)

    def trial(self, number: int) -> int:
        """One run, interrupted until it is complete; how many times it was killed."""
        folder = self._prepare(f"lmp-{number}")
        kills, start = 0, CREATE
        for _ in range(_MOST_ATTEMPTS):
            early = self.random.random() < 0.15
            delay = self.random.uniform(0.0, self.begun) if early else self.begun + self.random.uniform(
                0.0, 0.8 * self.duration
            )  # fmt: skip
            one = self.random.random() < 0.5
            before = (folder / "a.topo.h5").exists()
            status, _, output = self._run(folder, start, (delay, one))
            if status == 0:
                break
            if status is not None:  # not killed: it could not read the restart file that was being written
                assert start != CREATE, output[-3000:]
                assert "fix topo" not in output.split("ERROR")[1], output[-3000:]
                self._older(folder).unlink(missing_ok=True)
                self.figures["lmp, a LAMMPS restart file was incomplete: the one before it was taken"] += 1
            else:
                kills += 1
                self.figures["lmp, one rank of two" if one else "lmp, all ranks"] += 1
                states = check_left(folder / "a.topo.h5", results=before)
                self.figures["lmp, with a state to continue from"] += states > 0
            newest = self._newest(folder)
            start = CREATE if newest is None else f"read_restart {newest.name}"
        else:
            assert self._run(folder, start, None)[0] == 0
        self._compare(folder)
        self.figures["lmp, recovered"] += kills
        return kills

    def _compare(self, folder: Path) -> None:
        """Every number is that of the undisturbed run: the trajectory is the same to rounding."""
        found = bits(read_results(folder / "a.topo.h5").record)
        assert found.keys() == self.reference.keys()
        for name, ours in found.items():
            theirs = self.reference[name]
            if theirs.dtype.kind not in "fc":
                assert np.array_equal(ours, theirs), f"{folder}: {name} is {ours}, not {theirs}"
                continue
            scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1e-300)
            assert ours.shape == theirs.shape, f"{folder}: {name} is {ours.shape}, not {theirs.shape}"
            off = np.abs(ours - theirs)[np.isfinite(theirs)].max(initial=0.0) / scale
            assert off < 1e-9, f"{folder}: {name} is off by {off:.1e}"
            self.figures["lmp, largest relative difference × 10¹⁵"] = max(
                self.figures["lmp, largest relative difference × 10¹⁵"], int(off * 1e15)
            )

    def _prepare(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        (folder / "a.yaml").write_text(CONFIG)
        return folder

    @staticmethod
    def _newest(folder: Path) -> Path | None:
        return max(folder.glob("r.?"), key=lambda path: path.stat().st_mtime_ns, default=None)

    def _older(self, folder: Path) -> Path:
        """The restart file that could not be read."""
        newest = self._newest(folder)
        assert newest is not None
        return newest

    def _run(self, folder: Path, start: str, kill: tuple[float, bool] | None) -> tuple[int | None, float, str]:
        """Exit status, None if it was killed; seconds until the first sample; what it printed."""
        (folder / "in.test").write_text(start + RUN)
        log = folder / "screen"
        started, begun = time.monotonic(), 0.0
        with log.open("w") as screen:
            program = subprocess.Popen(
                ["mpirun", "-np", "2", *PROGRAM, "-in", "in.test", "-log", "none"],
                cwd=folder, env=environment(), stdout=screen, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        killed = False
        while program.poll() is None:
            now = time.monotonic() - started
            if not begun and "Step" in log.read_text(errors="replace"):
                begun = now
            if kill is not None and not killed and now > kill[0]:
                killed = self._kill(folder, kill[1])
            if now > _TIMEOUT:
                self._kill(folder, False)
                raise AssertionError(f"{folder}: no end after {_TIMEOUT} s\n{log.read_text()[-3000:]}")
            time.sleep(0.01)
        output = log.read_text(errors="replace")
        if killed and program.returncode != 0:
            _wait_for_none(folder)
            return None, begun, output
        if program.returncode and kill is None:
            raise AssertionError(output[-3000:])
        return program.returncode, begun, output

    def _kill(self, folder: Path, one: bool) -> bool:
        """kill -9 of one rank, or of all and what launched them; False if there is no rank yet, or any more."""
        family = _family(folder)
        parents = _processes()
        launching = {parents.get(pid) for pid in family}  # the wheel's lmp is a script that starts the program
        ranks = [pid for pid in family if pid not in launching and _name(pid).startswith(("lmp", "python"))]
        if not ranks:
            return False
        for pid in [self.random.choice(sorted(ranks))] if one else family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return True


def _processes() -> dict[int, int]:
    """Parent of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    return found


def _family(folder: Path) -> list[int]:
    """Launcher and ranks: all that work in the folder."""
    return [pid for pid in _processes() if _works_in(pid, folder)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _wait_for_none(folder: Path) -> None:
    """No rank may outlive the others."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not _family(folder):
            return
        time.sleep(0.02)
    raise AssertionError(f"{folder}: processes survive")


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) == folder and _name(pid) != ""
    except OSError:
        return False


def campaign(folder: Path, seed: int, kills: int) -> Counter[str]:
    """At least so many kills; its figures."""
    killer = Killer(folder.resolve(), seed)
    done = number = 0
    while done < kills:
        done += killer.trial(number)
        number += 1
    killer.figures["lmp, runs with the numbers of the undisturbed one"] = number
    return killer.figures
