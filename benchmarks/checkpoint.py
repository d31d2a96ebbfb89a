"""What a checkpoint costs: seconds and bytes of the state and of the results file, against atoms and window.

The last column is what a checkpoint every 1000 blocks adds to the time that the plugin itself takes (not to that of the
run, of which this is about a hundredth). One rank, random motion.

    python benchmarks/checkpoint.py                   108, 3000 and 30 000 atoms, two minutes
    python benchmarks/checkpoint.py --atoms 1000000
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from lammps_topo.config import parse_config
from lammps_topo.measurement import Host, Measurement
from lammps_topo.stream.block import SUMS, Packed
from lammps_topo.stream.communicator import Alone

WINDOWS = (256, 1024)


def measure(atoms: int, lags: int, blocks: int) -> str:
    """A line of the table: windows filled as far as ``blocks`` go."""
    types, rng = np.ones(atoms, dtype=np.int64), np.random.default_rng(1)
    settings = {"msd.lags": lags, "correlations.lags": lags, "checkpoint": 0, "output": f"{atoms}-{lags}.topo.h5"}
    measurement = Measurement(
        parse_config("correlations: true", settings),
        Host("lj", 0.005, 2, types, False, True, "checkpoint", has_force=True), Alone(),
    )  # fmt: skip
    tags = np.arange(1, atoms + 1)
    length = measurement.begin(
        tags, types, masses=np.ones(atoms), total_mass=float(atoms), degrees_of_freedom=3.0 * atoms
    )
    rows = rng.normal(size=(length * atoms, 10))
    rows[:, 0] = np.tile(tags, length)
    sums, counts = np.abs(rng.normal(size=(length, len(SUMS)))), np.full(length, atoms)
    spent = []
    for block in range(blocks):
        steps = 2 * (block * length + np.arange(length))
        packed = Packed(steps, counts, rows.copy(), sums, np.ones(length))
        start = time.perf_counter()
        measurement.take(packed)
        spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    measurement.flush()
    results = time.perf_counter() - start
    measurement.checkpoint()
    cost = measurement.keeper.cost
    assert cost is not None
    share = (cost.seconds + results) / (1000 * np.median(spent))
    measurement.close()
    return (
        f"| {atoms} | {lags} | {blocks * length} | {cost.seconds:.2f} | {cost.size / 1e6:.0f} "
        f"| {results:.2f} | {measurement.path.stat().st_size / 1e6:.0f} | {100 * share:.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[108, 3000, 30_000])
    arguments = parser.parse_args()
    print("| atoms | lags | samples | state, s | MB | results, s | MB | every 1000 blocks |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for atoms in arguments.atoms:
            for lags in WINDOWS:
                print(measure(atoms, lags, 80), flush=True)
        os.chdir(Path.home())


if __name__ == "__main__":
    main()
