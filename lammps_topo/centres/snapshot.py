"""A snapshot of ions and electronic centres, and what follows from it: ion dipoles, charges, polarisation.

A centre carries ``weight`` electron charges (−2 for a doubly occupied Wannier function, −1 with spin), an ion its
``valence``, the charge of its core with all valence electrons removed (physics.md §2, *carriers*).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

DEBYE = 4.803204712570263
"""1 e Å in Debye (CODATA 2018; 1 D = 1e-18 statC cm)."""


@dataclass(frozen=True)
class CentreSnapshot:
    """Ions and the centres that belong to them.

    Attributes
    ----------
    cell : (3, 3) lattice vectors as rows, Å
    species : (n,) names of the ions
    positions : (n, 3) of the ions, Å
    centres : (m, 3) of the centres, each the image beside its ion, Å
    ion : (m,) row of the ion of each centre
    info : what the file says of the snapshot, such as its index and kind
    """

    cell: Array
    species: tuple[str, ...]
    positions: Array
    centres: Array
    ion: Integers
    info: Mapping[str, object] = field(default_factory=dict)

    @property
    def held(self) -> Integers:
        """(n,) how many centres each ion holds."""
        return np.bincount(self.ion, minlength=len(self.species)).astype(np.int64)

    def rows(self, name: str) -> Integers:
        """Rows of the ions of a species."""
        return np.flatnonzero(np.array(self.species) == name)

    def bonds(self) -> Array:
        """(m, 3) from each ion to its centres, Å."""
        bonds: Array = self.centres - self.positions[self.ion]
        return bonds


def ion_dipoles(snapshot: CentreSnapshot, weight: float = -2.0) -> Array:
    """(n, 3) dipole of each ion with its centres, about the ion, e Å (times :data:`DEBYE` for Debye)."""
    dipoles = np.zeros_like(snapshot.positions)
    np.add.at(dipoles, snapshot.ion, weight * snapshot.bonds())
    return dipoles


def nominal_charges(snapshot: CentreSnapshot, valence: Mapping[str, float], weight: float = -2.0) -> Array:
    """(n,) charge of each ion with the centres it holds, e: +1 and −1 in AgI. Raises ConfigError."""
    missing = sorted(set(snapshot.species) - set(valence))
    if missing:
        raise ConfigError(f"the valence of {', '.join(missing)} is not given (as in {missing[0]}=7)")
    charges: Array = np.array([valence[name] for name in snapshot.species]) + weight * snapshot.held
    return charges


def polarisation(
    snapshot: CentreSnapshot, valence: Mapping[str, float], weight: float = -2.0
) -> tuple[Array, Array, Array]:
    """Dipole of the cell, e Å, modulo lattice vectors times e: of ions, of electrons, and their sum; (3,) each.

    The total is that of the carriers, Σ valence r + weight Σ c. It is split into nominal charges at the ions, and
    the dipoles of the ions, which are bounded.
    """
    ionic = nominal_charges(snapshot, valence, weight) @ snapshot.positions
    electronic = ion_dipoles(snapshot, weight).sum(axis=0)
    return ionic, electronic, ionic + electronic


def nearest_image(vectors: Array, cell: Array) -> Array:
    """The shortest image of each vector (…, 3); exact for those shorter than half the least height of the cell."""
    shift: Array = np.round(vectors @ np.linalg.inv(cell)) @ cell
    return vectors - shift


def cell_heights(cell: Array) -> Array:
    """(3,) distances between opposite faces of a cell, Å."""
    heights: Array = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    return heights


def assign(positions: Array, centres: Array, cell: Array) -> tuple[Array, Integers]:
    """Each centre moved beside the nearest ion, and that ion's row."""
    apart = nearest_image(centres[:, None] - positions[None], cell)
    nearest = np.einsum("mnc,mnc->mn", apart, apart).argmin(axis=1)
    return positions[nearest] + apart[np.arange(len(centres)), nearest], nearest
