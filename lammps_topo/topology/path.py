"""A path in the space of configurations: the same particles at one point after the other, in one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

#: Relative difference of cells that are one and the same, written with six digits.
_SAME_CELL = 1e-5


@dataclass(frozen=True)
class Path:
    """K points of n particles.

    Attributes
    ----------
    species : (n,) name of the species of each particle
    tags : (n,) by which particles are named
    cell : (3, 3) lattice vectors as rows; periodic : which of them
    positions : (K, n, 3)
    names : (K,) of the points, as errors say them
    centres : species whose particles are not told apart: electronic (Wannier) centres, matched from point to point
    continuous : positions are unwrapped: what lies between two points is known, however far it is
    """

    species: tuple[str, ...]
    tags: Integers
    cell: Array
    positions: Array
    names: tuple[str, ...]
    centres: tuple[str, ...] = ()
    periodic: tuple[bool, bool, bool] = (True, True, True)
    continuous: bool = False

    def __post_init__(self) -> None:
        if len(self.positions) < 3:
            number = "1 point" if len(self.positions) == 1 else f"{len(self.positions)} points"
            raise EstimateError(f"the path has {number}; three are the least that can make a loop")
        for name in self.centres:
            if name not in self.species:
                present = ", ".join(dict.fromkeys(self.species))
                raise EstimateError(f"centres are of the species '{name}', which the path does not have ({present})")

    def of(self, species: str) -> Integers:
        """Which particles are of a species."""
        return np.flatnonzero(np.array(self.species) == species)

    @property
    def is_atom(self) -> Booleans:
        """(n,) True for atoms, False for centres."""
        return ~np.isin(np.array(self.species), list(self.centres))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The species, each once."""
        return tuple(dict.fromkeys(self.species))

    def particle(self, index: int) -> str:
        """``atom 7 (K)``"""
        kind = "atom" if self.is_atom[index] else "centre"
        return f"{kind} {self.tags[index]} ({self.species[index]})"


def one_cell(cells: Sequence[Array], names: Sequence[str]) -> Array:
    """The cell (3, 3) of all points. Raises EstimateError naming the first point that has another one."""
    first = cells[0]
    for cell, name in zip(cells, names, strict=True):
        if np.abs(cell - first).max() > _SAME_CELL * np.abs(first).max():
            raise EstimateError(f"{name} has another cell than {names[0]}; a loop is in one cell that stays as it is")
    return first
