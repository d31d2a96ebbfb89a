"""Whether a path is closed, and how often each particle has gone around the cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .images import fractional, minimum_image
from .matching import match
from .motion import Motion
from .path import Array, Integers, Path

#: How far the ends of a closed path may be apart, in cube roots of the volume.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Closure:
    """How a path closes.

    Attributes
    ----------
    windings : (n, 3) winding numbers n_iα of the atoms, in lattice vectors; zero for centres, which may change places
    centres : by species, the winding number (3,) of all its centres together
    gap : the largest distance between the last position of a particle and an image of the first
    """

    windings: Integers
    centres: dict[str, Integers]
    gap: float


def close(path: Path, motion: Motion, tolerance: float = TOLERANCE) -> Closure:
    """Windings of a closed path: its last point is the first one up to lattice vectors and the names of centres.

    Raises
    ------
    EstimateError
        The path is open: how far the ends are apart.
    """
    first, last = path.positions[0], path.positions[-1]
    gaps = np.zeros(len(first))
    atoms = path.is_atom
    apart = minimum_image(last - first, path.cell, path.periodic)
    gaps[atoms] = np.linalg.norm(apart[atoms], axis=1)
    centres = {}
    for name in path.centres:
        own = path.of(name)
        _, moves = match(last[own], first[own], path.cell, path.periodic)
        gaps[own] = np.linalg.norm(moves, axis=1)
        whole = fractional(motion.total[own].sum(axis=0) + moves.sum(axis=0), path.cell)
        centres[name] = np.rint(whole).astype(np.int64)
    allowed = tolerance * abs(np.linalg.det(path.cell)) ** (1 / 3)
    worst = int(gaps.argmax())
    if gaps[worst] > allowed:
        raise EstimateError(_open(path, gaps, worst, allowed))
    windings = np.rint(fractional(motion.total, path.cell)).astype(np.int64)
    windings[~atoms] = 0
    return Closure(windings, centres, float(gaps[worst]))


def _open(path: Path, gaps: Array, worst: int, allowed: float) -> str:
    text = (
        f"the path is open: {path.particle(worst)} ends {gaps[worst]:.4g} away from where it began, or from an image "
        f"of that (at most {allowed:.2g} is allowed)"
    )
    swapped = all(_permuted(path, name, allowed) for name in path.kinds)
    return f"{text}; identical atoms have changed places: go on until each is back" if swapped else text


def _permuted(path: Path, name: str, allowed: float) -> bool:
    own = path.of(name)
    _, moves = match(path.positions[-1, own], path.positions[0, own], path.cell, path.periodic)
    return bool(np.linalg.norm(moves, axis=1).max() <= allowed)
