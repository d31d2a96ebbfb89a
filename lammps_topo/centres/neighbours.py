"""Pairs of atoms within a cutoff under periodic boundary conditions, in cells of any size and shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..errors import ConfigError
from .snapshot import Array, Integers, cell_heights

_MOST_IMAGES = 50_000_000


@dataclass(frozen=True)
class Pairs:
    """Every pair twice, once from each atom.

    Attributes
    ----------
    i, j : (P,) rows of the atoms
    distance : (P,); direction : (P, 3) unit vector from i to j
    atoms : how many there are
    """

    i: Integers
    j: Integers
    distance: Array
    direction: Array
    atoms: int


def find_pairs(positions: Array, cell: Array, cutoff: float) -> Pairs:
    """Neighbours of (n, 3) ``positions`` in a fully periodic ``cell`` (rows), each of its images a pair of its own.

    Raises
    ------
    ConfigError
        The cell is so thin against the cutoff that its images are too many.
    """
    inverse = np.linalg.inv(cell)
    heights = cell_heights(cell)
    fractions = positions @ inverse
    fractions -= np.floor(fractions)
    reach = cutoff / heights
    shells = np.ceil(reach).astype(np.int64)
    if len(positions) * float(np.prod(2.0 * shells + 1.0)) > _MOST_IMAGES:
        raise ConfigError(f"a cutoff of {cutoff:g} Å is too long for a cell of heights {heights.round(3).tolist()}")
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in shells), indexing="ij"), axis=-1).reshape(-1, 3)
    images = (fractions[None] + shifts[:, None]).reshape(-1, 3)
    near = np.flatnonzero(((images >= -reach) & (images <= 1.0 + reach)).all(axis=1))
    home, around = fractions @ cell, images[near] @ cell
    found = cKDTree(home).sparse_distance_matrix(cKDTree(around), cutoff, output_type="ndarray")
    i, place = found["i"].astype(np.int64), found["j"].astype(np.int64)
    itself = near[place] == len(shifts) // 2 * len(positions) + i
    i, place = i[~itself], place[~itself]
    vectors = around[place] - home[i]
    distance = np.sqrt(np.einsum("pc,pc->p", vectors, vectors))
    direction = vectors / distance[:, None]
    return Pairs(i, near[place] % len(positions), distance, direction, len(positions))


def add_up(rows: Integers, values: Array, number: int) -> Array:
    """(number, …) sums of the ``values`` (P, …) that belong to each row."""
    flat = values.reshape(len(values), -1)
    sums = np.stack([np.bincount(rows, flat[:, k], number).astype(np.float64) for k in range(flat.shape[1])], axis=1)
    return sums.reshape(number, *values.shape[1:])
