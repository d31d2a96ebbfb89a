"""What a checkpoint costs: seconds and bytes of the state and of the results file, against atoms and window.

Beside each, what one every 1000 blocks adds to the time that the plugin itself takes (not to that of the run, of which
this is about a hundredth): a state alone is what ``checkpoint_steps`` and LAMMPS restart files ask for, a results file
with all estimates comes with the clock, and never takes more than a hundredth of the run. Seconds are of the processor,
the least of three. One rank, random motion.

    python benchmarks/checkpoint.py                   108, 3000 and 13 500 atoms, two minutes
    python benchmarks/checkpoint.py --atoms 100000
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
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
    spent: list[float] = []

    def take() -> None:
        steps = 2 * (len(spent) * length + np.arange(length))
        packed = Packed(steps, counts, rows.copy(), sums, np.ones(length))
        spent.append(seconds(lambda: measurement.take(packed)))

    written: dict[Callable[[], object], list[float]] = {measurement.checkpoint: [], measurement.flush: []}
    for _ in range(blocks):
        take()
    for write in 3 * list(written):
        take()  # there must be something new to write
        written[write].append(seconds(write))
    state, results = (min(times) for times in written.values())
    block = float(np.median(spent))
    size = measurement.keeper.cost.size if measurement.keeper.cost is not None else 0
    measurement.close()
    return (
        f"| {atoms} | {lags} | {len(spent) * length} | {state:.2f} | {size / 1e6:.0f} | {0.1 * state / block:.1f} % "
        f"| {results:.2f} | {measurement.path.stat().st_size / 1e6:.0f} | {0.1 * results / block:.1f} % |"
    )


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[108, 3000, 13_500])
    arguments = parser.parse_args()
    print("| atoms | lags | samples | state, s | MB | added | results, s | MB | added |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for atoms in arguments.atoms:
            for lags in WINDOWS:
                print(measure(atoms, lags, 40), flush=True)
        os.chdir(Path.home())


if __name__ == "__main__":
    main()
