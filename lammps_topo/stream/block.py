"""What flows: packed samples from a host, blocks of owned atoms to the accumulators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Columns of :attr:`Packed.sums`: what a rank adds up over *all* its atoms at a sample, whatever the fix's group.
SUMS = ("kinetic", "momentum_x", "momentum_y", "momentum_z", "moment_x", "moment_y", "moment_z")


@dataclass(frozen=True)
class Packed:
    """Samples as a host packs them: this rank's atoms of the group, in any order, sample after sample.

    Attributes
    ----------
    steps : (B,) timesteps, ``every`` apart
    counts : (B,) rows of each sample
    rows : (sum(counts), 1 + width) tag, unwrapped x y z, then the requested of vx vy vz, q, fx fy fz, and of other
        charges, in this order
    sums : (B, 7) see :data:`SUMS`; kinetic is Σ m v², not halved
    volumes : (B,)
    numbers : (B, G) global numbers of LAMMPS that fluxes are made of, or None; those of rank 0 count
    cell : (3, 3) lattice vectors as rows at the last sample, where the host says them
    """

    steps: Integers
    counts: Integers
    rows: Array
    sums: Array
    volumes: Array
    numbers: Array | None = None
    cell: Array | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def head(self, number: int) -> Packed:
        """The first ``number`` samples."""
        rows = int(self.counts[:number].sum())
        return Packed(
            self.steps[:number],
            self.counts[:number],
            self.rows[:rows],
            self.sums[:number],
            self.volumes[:number],
            None if self.numbers is None else self.numbers[:number],
            cell=self.cell,
        )


@dataclass(frozen=True)
class Totals:
    """Sums over the atoms of all ranks, the same on every rank. S species, B samples; laboratory frame.

    There are A assignments of charges Z (see :mod:`~lammps_topo.stream.charges`), the first one LAMMPS's ``q`` if there
    is any.

    Attributes
    ----------
    displacement : (B, S, 3) Σ of the displacements since the stretch began
    velocity : (B, S, 3) or None
    current : (B, A, S, 3) Σ Z·v, or None without velocities
    dipole_step : (B, A, S, 3) Σ ½(Z_k-1 + Z_k)·(r_k − r_k-1); 0 at the first sample of a stretch
    charge : (B, A, S, 3, 3) Σ Z
    centre : (B, 3) displacement of the centre of mass of the whole system
    centre_velocity : (B, 3) its velocity, or None
    kinetic : (B,) Σ m v² of the whole system
    force : (B, S, 3) Σ F, or None without forces
    numbers : (B, G) global numbers of LAMMPS, or None without any
    volume : (B,)
    """

    displacement: Array
    velocity: Array | None
    current: Array | None
    dipole_step: Array
    charge: Array
    centre: Array
    centre_velocity: Array | None
    kinetic: Array
    force: Array | None = None
    numbers: Array | None = None
    volume: Array | None = None


@dataclass(frozen=True)
class Block:
    """B consecutive samples of the n atoms that this rank owns, sorted by species, then by tag.

    Attributes
    ----------
    steps : (B,) timesteps
    first : index of the first sample within its stretch; 0 means that a new stretch begins with this block
    displacement : (3, B, n) since the stretch began, laboratory frame
    velocity : (3, B, n) or None
    charge : (B, n) LAMMPS's ``q``, or None
    species : slice of the atoms of each species
    totals : sums over all ranks
    force : (3, B, n) or None; the whole force on an atom, or the part of it that the measurement asked for
    """

    steps: Integers
    first: int
    displacement: Array
    velocity: Array | None
    charge: Array | None
    species: tuple[slice, ...]
    totals: Totals
    force: Array | None = None

    def __len__(self) -> int:
        return len(self.steps)
