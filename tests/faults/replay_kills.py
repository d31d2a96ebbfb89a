"""Processes that measure a known trajectory, killed at random; what they leave is checked and continued.

A process is killed at an instant drawn from the clock, or within one of its own writes, renames and removals, drawn
from all that an undisturbed process does: half a write is on the disk then, or one of two renames.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parent))

from check_left import check_left
from replayed import CONFIG, EVERY, Trajectory, begin, bits, configuration

from lammps_topo import keeper as module
from lammps_topo import state_file
from lammps_topo.generations import generations
from lammps_topo.hosts.replay import analyze
from lammps_topo.restart import Named
from lammps_topo.store import read_results

FAULTS = Path(__file__).resolve().parent
SAMPLES, BLOCK, RUN = 200, 8, 40
_MOST_ATTEMPTS = 30


# ---- in the process that is killed ----------------------------------------------------------------------------------


class Fuse:
    """Counts what the process does to files, and kills it in the middle of number ``last``, if that is given."""

    def __init__(self, last: int | None) -> None:
        self.count, self.last = 0, last

    def burn(self) -> bool:
        self.count += 1
        return self.count == self.last

    def install(self) -> None:
        """Around os.replace, os.unlink, os.fsync and every write to a state or results file."""
        for name in ("replace", "unlink", "fsync"):
            setattr(os, name, self._around(getattr(os, name)))
        fuse, disk = self, state_file._Disk.write

        def write(self: Any, data: Any) -> int:
            if fuse.burn():
                disk(self, memoryview(data).cast("B")[: len(data) // 2])
                die()
            return disk(self, data)

        state_file._Disk.write = write  # type: ignore[method-assign]

    def _around(self, function: Any) -> Any:
        def wrapped(*args: Any, **keywords: Any) -> Any:
            if self.burn():
                die()
            return function(*args, **keywords)

        return wrapped


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


#: A series of one term: fitting more would take most of the time.
_CHANGES = {"correlations": {**CONFIG["correlations"], "prony": 1}}


def trajectory_of(seed: int) -> Trajectory:
    return Trajectory(SAMPLES, atoms=10, seed=seed, gap=90)


def measure(folder: Path, seed: int) -> None:
    """As LAMMPS does: blocks, a state at some steps, runs that end with a state and the results; from what is there."""
    trajectory, path = trajectory_of(seed), folder / "a.topo.h5"
    config = configuration(generations=1 + seed % 3, **_CHANGES)
    first, named = _newest(path)
    found = begin(trajectory, config, path, at=max(first - 1, 0), named=named)
    if (found.continued is None) != (named is None):
        raise RuntimeError(f"not continued: {found.notices}")
    while first < SAMPLES:
        last = min(first + BLOCK, SAMPLES)
        if first < 90 < last:
            last = 90
        packed, first = trajectory.packed(first, last), last
        if last % RUN == 0 or last == SAMPLES:
            found.finish(packed, now=True)
        else:
            found.take(packed)
            if last % (3 * BLOCK) == 0:
                found.save("restart")
    found.finish(now=True)  # as a run of no steps does
    found.close()


def _newest(path: Path) -> tuple[int, Named | None]:
    """Samples of the newest state, as a LAMMPS restart file would name it."""
    for state in generations(path):
        with state_file.StateFile(state) as file:
            header = file.header
        return header["samples"], Named(header["step"], header["id"], header["measurement"])
    return 0, None


def write_dump(path: Path, seed: int) -> None:
    """The trajectory as a LAMMPS dump with every digit."""
    trajectory = trajectory_of(seed)
    with path.open("w") as file:
        for k in range(SAMPLES):
            file.write(f"ITEM: TIMESTEP\n{EVERY * k}\nITEM: NUMBER OF ATOMS\n{len(trajectory.tags)}\n")
            file.write("ITEM: BOX BOUNDS pp pp pp\n" + "0 40\n" * 3)
            file.write("ITEM: ATOMS id type mass q xu yu zu vx vy vz fx fy fz\n")
            for i, tag in enumerate(trajectory.tags):
                numbers = [trajectory.mass[i], trajectory.q[k, i], *trajectory.x[k, i], *trajectory.v[k, i],
                           *trajectory.f[k, i]]  # fmt: skip
                file.write(f"{tag} {trajectory.types[i]} " + " ".join(f"{value:.17g}" for value in numbers) + "\n")


def analyse(folder: Path, seed: int) -> None:
    """``lammps-topo analyze``: from the beginning, or from the state of one that was interrupted."""
    dump = folder / "a.lammpstrj"
    if not dump.exists():
        write_dump(folder / "new", seed)
        os.rename(folder / "new", dump)
    known = {"units": "metal", "timestep": 0.001}
    config = configuration(
        output=str(folder / "a.topo.h5"), trajectory=known, block=BLOCK, checkpoint_steps=EVERY * 12,
        generations=1 + seed % 3, **_CHANGES,
    )  # fmt: skip
    analyze(dump, config)


KINDS = {"measurement": measure, "analyze": analyse}


def victim(kind: str, folder: Path, seed: int, fuse: int | None, count: Any) -> None:
    """The process."""
    module.PROCESS = uuid.uuid4().hex  # it is a program of its own, although it was forked
    burning = Fuse(fuse)
    burning.install()
    KINDS[kind](folder, seed)
    count.value = burning.count


# ---- outside --------------------------------------------------------------------------------------------------------


class Killer:
    """Kills, continues, and compares; :attr:`figures` counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.figures: Counter[str] = Counter()
        self._context = multiprocessing.get_context("forkserver")
        # all is imported once, by a server that forks; it finds this module by the environment only
        os.environ["PYTHONPATH"] = os.pathsep.join([str(FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._context.set_forkserver_preload(["replay_kills"])
        self._references: dict[tuple[str, int], tuple[Any, float, int]] = {}

    def trial(self, kind: str, number: int) -> int:
        """One measurement, interrupted until it is complete; how many times it was killed."""
        seed = self.random.randrange(3)
        reference, duration, events = self._reference(kind, seed)
        folder = self.folder / f"{kind}-{number}"
        folder.mkdir()
        kills = 0
        for _ in range(_MOST_ATTEMPTS):
            by_clock = self.random.random() < 0.4
            delay = self.random.uniform(0.0, duration) if by_clock else None
            fuse = None if by_clock else self.random.randrange(1, events + 1)
            before = (folder / "a.topo.h5").exists()
            if self._run(kind, folder, seed, delay, fuse)[0]:
                break
            kills += 1
            self.figures[f"{kind}, {'at any instant' if by_clock else 'while files change'}"] += 1
            states = check_left(folder / "a.topo.h5", results=before)
            self.figures[f"{kind}, with a state to continue from"] += states > 0
        else:
            self._run(kind, folder, seed, None, None)
        assert bits(read_results(folder / "a.topo.h5").record) == reference, f"{folder} differs"
        self.figures[f"{kind}, recovered"] += kills
        return kills

    def _reference(self, kind: str, seed: int) -> tuple[Any, float, int]:
        """Of a measurement that nobody disturbs: the record, its seconds, what it does to files."""
        if (kind, seed) not in self._references:
            folder = self.folder / f"{kind}-whole-{seed}"
            folder.mkdir()
            if not self._references:
                write_dump(folder / "a.lammpstrj", seed)
                self._run("analyze", folder, seed, None, None)  # starts the server
                (folder / "a.topo.h5").unlink()
            started = time.monotonic()
            done, events = self._run(kind, folder, seed, None, None)
            assert done
            record = Exactly(bits(read_results(folder / "a.topo.h5").record))
            self._references[kind, seed] = record, time.monotonic() - started, events
        return self._references[kind, seed]

    def _run(self, kind: str, folder: Path, seed: int, delay: float | None, fuse: int | None) -> tuple[bool, int]:
        """Whether a process came to its end, and how often it touched files."""
        count = self._context.Value("q", 0)
        process = self._context.Process(target=victim, args=(kind, folder, seed, fuse, count))
        process.start()
        process.join(delay if delay is not None else 60)
        if process.is_alive():
            process.kill()
        process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise AssertionError(f"{kind} in {folder} ended with status {process.exitcode}")
        return process.exitcode == 0, count.value


class Exactly(dict[str, Any]):
    """Arrays that are equal when all their bits are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.keys() == other.keys() and all(
            self[name].tobytes() == other[name].tobytes() for name in self
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]


def campaign(folder: Path, seed: int, kills: int) -> Counter[str]:
    """At least so many kills; its figures."""
    killer = Killer(folder, seed)
    done = number = 0
    while done < kills:
        done += killer.trial(tuple(KINDS)[number % 2], number)
        number += 1
    killer.figures["measurements, identical to the last bit"] = number
    return killer.figures
