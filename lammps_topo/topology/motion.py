"""The motion of every particle from point to point of a path, across periodic boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .images import fractional, minimum_image
from .matching import match
from .path import Array, Integers, Path

#: Largest step between two points, in perpendicular widths of the cell, that is not called ambiguous.
LARGEST_STEP = 0.4


@dataclass(frozen=True)
class Motion:
    """Steps between consecutive points of a path.

    Attributes
    ----------
    steps : (K − 1, n, 3) of the particles of the first point
    places : (K, n) which particle of the file each of them is at every point: other than 0 … n − 1 for centres only
    """

    steps: Array
    places: Integers

    @property
    def total(self) -> Array:
        """(n, 3) from the first point to the last."""
        whole: Array = self.steps.sum(axis=0)
        return whole


def follow(path: Path) -> Motion:
    """Follow every particle along a path.

    Atoms move by their minimum image, or as their positions say where these are continuous. Centres are matched from
    point to point by the least sum of squared distances.

    Raises
    ------
    EstimateError
        An atom moves between two points by more than :data:`LARGEST_STEP` of the width of the cell, so that its image
        would be a guess.
    """
    number, particles = path.positions.shape[:2]
    steps = np.diff(path.positions, axis=0)
    places = np.tile(np.arange(particles), (number, 1))
    atoms = path.is_atom
    if path.continuous:
        return Motion(steps, places)
    steps[:, atoms] = minimum_image(steps[:, atoms], path.cell, path.periodic)
    _check(path, steps, atoms.nonzero()[0])
    for name in path.centres:
        own = path.of(name)
        for k in range(number - 1):
            before, after = path.positions[k, places[k, own]], path.positions[k + 1, own]
            order, moves = match(before, after, path.cell, path.periodic)
            places[k + 1, own], steps[k, own] = own[order], moves
    return Motion(steps, places)


def _check(path: Path, steps: Array, atoms: Integers) -> None:
    far = np.abs(fractional(steps[:, atoms], path.cell)) * np.array(path.periodic)
    if not far.size or far.max() <= LARGEST_STEP:
        return
    k, atom, axis = np.unravel_index(int(far.argmax()), far.shape)
    raise EstimateError(
        f"{path.particle(int(atoms[atom]))} moves by {far[k, atom, axis]:.2f} of the width of the cell along "
        f"{'abc'[axis]} between {path.names[k]} and {path.names[k + 1]}, so that its periodic image cannot be told "
        f"(at most {LARGEST_STEP:g}): put more points on the path"
    )
