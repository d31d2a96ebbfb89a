"""Whatever the size of a state, rank 0 never has more of the other ranks' parts than a piece at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_RANKS = """
import json, sys, tracemalloc
sys.path.insert(0, {here!r})
from mpi4py import MPI
from replayed import *
from lammps_topo import checkpoint, state_file
from lammps_topo.stream.communicator import Ranks

comm = Ranks(MPI.COMM_WORLD)
checkpoint.PIECE_BYTES = state_file.PIECE_BYTES = {piece}
trajectory, path = Trajectory(20, atoms=12000), Path("a.topo.h5")
config = configuration(correlations={{"lags": 64, "every": 1, "memory": 1e3, "work": 1e9}})
found = begin(trajectory, config, path, comm)
found.take(trajectory.packed(0, 20, comm))
peaks = []

def peak(action, *arguments):
    # bytes taken on top of those that were there
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    result = action(*arguments)
    peaks.append(tracemalloc.get_traced_memory()[1] - before)
    return result

tracemalloc.start()
name = peak(found.save, "restart")
assert name
restore = checkpoint.Reader.restore
checkpoint.Reader.restore = lambda *arguments: peak(restore, *arguments)
named = Named(trajectory.step(19), name, found.name)
again = begin(trajectory, config, path, comm, at=19, named=named)
assert different(found, again) == []
if comm.rank == 0:
    parts = [list(part.state(part.item).undivided().shared.values()) for part in found._parts().values()]
    own = max(sum(getattr(array, "nbytes", 8) for array in part) for part in parts)
    print(json.dumps([*peaks, own, Path("a.state.h5").stat().st_size]))
"""
PIECE = 1 << 14


def test_rank_0_holds_its_own_part_and_a_piece(tmp_path):
    """Writing takes a few pieces; reading, the memory of this rank's largest object, before the object has it."""
    pytest.importorskip("mpi4py")
    (tmp_path / "ranks.py").write_text(_RANKS.format(here=str(Path(__file__).parent), piece=PIECE))
    mpirun = str(Path(sys.executable).parent / "mpirun")
    finished = subprocess.run(
        [mpirun, "-np", "3", sys.executable, "ranks.py"], cwd=tmp_path, capture_output=True, text=True, timeout=170,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    writing, reading, own, size = json.loads(finished.stdout.splitlines()[-1])
    assert size > 300 * PIECE
    assert own < 0.25 * size
    # what else is taken: where the own atoms are, lists of names and places
    little = 0.1 * (size - own)
    assert writing < little
    assert reading < own + little
