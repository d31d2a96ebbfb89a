"""Periodic images: shortest vectors between positions, in orthogonal and triclinic cells."""

from __future__ import annotations

from itertools import product

import numpy as np

from .path import Array


def fractional(vectors: Array, cell: Array) -> Array:
    """Components (…, 3) in units of the lattice vectors (rows of ``cell``)."""
    components: Array = vectors @ np.linalg.inv(cell)
    return components


def minimum_image(vectors: Array, cell: Array, periodic: tuple[bool, bool, bool]) -> Array:
    """The shortest of the periodic images of each vector (…, 3).

    The nearest image in fractional coordinates is compared with its 26 neighbours: enough for cells whose tilt is at
    most about half a lattice vector, as LAMMPS wants them.
    """
    loose = ~np.array(periodic)
    components = fractional(vectors, cell)
    shift = np.rint(components)
    shift[..., loose] = 0.0
    best: Array = vectors - shift @ cell
    if np.count_nonzero(cell - np.diag(np.diagonal(cell))) == 0:
        return best
    shortest = (best**2).sum(axis=-1)
    start = best.copy()
    for turn in product(*((-1, 0, 1) if along else (0,) for along in periodic)):
        other = start + np.array(turn, dtype=np.float64) @ cell
        length = (other**2).sum(axis=-1)
        nearer = length < shortest * (1 - 1e-12)
        best[nearer], shortest[nearer] = other[nearer], length[nearer]
    return best
