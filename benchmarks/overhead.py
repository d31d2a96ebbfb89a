"""What the plugin costs: wall time with everything on over wall time of plain LAMMPS, for alpha-AgI of three sizes.

Two LAMMPS instances in one program, one plain, one with ``fix topo`` and its windows filled, take turns; the ratio
is that of their loop times, each pair of turns giving one, so that a noisy machine disturbs both alike.

    python benchmarks/overhead.py            all sizes on 1 and 2 ranks, about half an hour
    python benchmarks/overhead.py --cells 3  only 108 atoms
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POTENTIALS = Path(__file__).resolve().parents[1] / "potentials"

#: cells a side (4 atoms each), steps between samples, steps of a turn, turns
CASES = {3: (4, 10000, 12), 9: (10, 500, 10), 15: (10, 100, 10)}

SYSTEM = """
units metal
atom_style charge
timestep 0.0005
lattice custom 5.0855 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
region cell block 0 {cells} 0 {cells} 0 {cells}
create_box 2 cell
create_atoms 2 region cell basis 1 1 basis 2 1
variable potentials index {potentials}
include {potentials}/agi-vashishta-rahman/agi.table.in
neighbor 1.0 bin
velocity all create 1500.0 1 mom yes dist gaussian
fix nve all nve
thermo 1000
thermo_style custom step cpu
run 200
"""

CONFIG = """
species: {Ag: {type: 1, oxidation: +1}, I: {type: 2, oxidation: -1}}
representations: [oxidation, atomic]
host: I
msd: {frames: [barycentric, host]}
"""


def measure(cells: int) -> None:
    """One size on the ranks of this program; rank 0 prints a line."""
    from lammps import lammps
    from mpi4py import MPI  # must come before lammps

    every, steps, turns = CASES[cells]
    comm = MPI.COMM_WORLD
    folder = comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None)
    config = Path(folder) / "agi.yaml"
    if comm.rank == 0:
        config.write_text(CONFIG)
    comm.Barrier()
    plain, measured = (lammps(cmdargs=["-screen", "none", "-log", "none"]) for _ in range(2))
    for instance in (plain, measured):
        instance.commands_string(SYSTEM.format(cells=cells, potentials=POTENTIALS))
    measured.command(f"fix topo all topo {every} {config} output {folder}/agi.topo.h5 checkpoint 0")
    from lammps_topo.config import Config

    measured.command(f"run {Config().msd.lags * every}")  # windows are full from here on
    times = np.zeros((turns, 2))
    for turn in range(turns):
        order = (plain, measured) if turn % 2 == 0 else (measured, plain)
        for instance in order:
            comm.Barrier()
            instance.command(f"run {steps} post no")
            times[turn, int(instance is measured)] = instance.last_thermo()["CPU"]
    comm.Allreduce(MPI.IN_PLACE, times, op=MPI.MAX)
    from lammps_topo.hosts import native

    (host,) = native._alive.values()
    bytes_held = comm.allreduce(host.measurement.nbytes)
    atoms = measured.get_natoms()
    ratios = times[:, 1] / times[:, 0]
    error = ratios.std(ddof=1) / np.sqrt(turns)
    if comm.rank == 0:
        print(
            f"| {atoms:6.0f} | {every:3d} | {comm.size} | {times[:, 0].mean() / steps * 1e3:8.3f} "
            f"| {np.median(ratios):6.4f} | {error:6.4f} | {bytes_held / atoms / 1024:6.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, choices=sorted(CASES), help="one size only")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.cells)
        return
    print(
        "|  atoms | N   | ranks | ms/step | ratio (median) | ± | KiB/atom |\n|---|---|---|---|---|---|---|", flush=True
    )
    for cells in [arguments.cells] if arguments.cells else sorted(CASES):
        for ranks in arguments.ranks:
            mpirun = str(Path(sys.executable).parent / "mpirun")
            command = [mpirun, "-np", str(ranks), sys.executable, __file__, "--child", "--cells", str(cells)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
