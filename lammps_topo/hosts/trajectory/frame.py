"""One sample of a trajectory, in the units of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrajectoryFrame:
    """All atoms of one sample, in ascending order of tag, the same atoms in every frame of a file.

    Lengths, times, … are in the units of the file: the LAMMPS unit style it was written with, or
    ``metal`` (Å, ps, eV, e, g/mol) for what ASE reads.  Arrays may be shared between frames; do not
    write into them.
    """

    step: int
    """LAMMPS timestep; for ASE, the number of the frame from 0."""
    cell: FloatArray
    """[3, 3] lattice vectors as rows; a zero row where an ASE file has no such vector."""
    origin: FloatArray
    """[3] corner of the cell from which the lattice vectors start."""
    tags: NDArray[np.int64]
    """[n] atom IDs; for ASE 1 … n in the order of the file."""
    types: NDArray[np.int32]
    """[n] LAMMPS types; where the file has only element symbols, 1, 2, … for the symbols of the first
    frame in alphabetical order (a symbol that first appears later takes the next number)."""
    x: FloatArray
    """[n, 3] unwrapped positions: they move continuously from frame to frame."""
    v: FloatArray | None = None
    """[n, 3] velocities (None unless the file has all three components; so for ``f``)."""
    f: FloatArray | None = None
    """[n, 3] forces."""
    q: FloatArray | None = None
    """[n] charges."""
    mass: FloatArray | None = None
    """[n] masses."""
    element: NDArray[np.str_] | None = None
    """[n] text of the element column, or ASE's chemical symbols."""
    mol: NDArray[np.int64] | None = None
    """[n] molecule IDs."""
    periodic: tuple[bool, bool, bool] = (True, True, True)
    """Which lattice vectors are periodic."""
    time: float | None = None
    """Simulated time, where the file tells (``ITEM: TIME``)."""
    units: str | None = None
    """LAMMPS unit style, where the file tells (``ITEM: UNITS``); ``metal`` for ASE."""
    values: Mapping[str, FloatArray] = field(default_factory=dict)
    """By source, [n, columns] other numbers of the atoms that were asked for, where the file has them."""


class Numbering:
    """Numeric types for element symbols, the same in every frame of a file."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._last: tuple[NDArray[Any], NDArray[np.int32]] | None = None

    def __call__(self, symbols: NDArray[Any]) -> NDArray[np.int32]:
        """Types [n] of ``symbols`` [n]: alphabetical in the first call, then first come, next number."""
        if self._last is not None and np.array_equal(symbols, self._last[0]):
            return self._last[1]
        names, index = np.unique(symbols, return_inverse=True)
        numbers = [self._number.setdefault(str(name), len(self._number) + 1) for name in names]
        types = np.array(numbers, dtype=np.int32)[index]
        self._last = symbols, types
        return types


def same_atoms(where: str, tags: NDArray[np.int64], first: NDArray[np.int64]) -> None:
    """Raise FileError unless a frame has the atoms of the first one (both [n], ascending tags)."""
    if tags.size != first.size:
        raise FileError(
            f"{where} has {tags.size} atoms where the first frame has {first.size}: "
            "every frame must hold the same atoms."
        )
    if not np.array_equal(tags, first):
        stranger = int(tags[np.argmax(tags != first)])
        raise FileError(
            f"{where} does not hold the same atoms as the first frame (the two differ at "
            f"atom ID {stranger}): every frame must hold the same atoms."
        )


def finite(where: str, **arrays: FloatArray | None) -> None:
    """Raise FileError naming the first of ``arrays`` that holds a NaN or an infinity."""
    for name, array in arrays.items():
        if array is not None and not np.isfinite(array).all():
            raise FileError(f"{where} holds a value of {name} that is not a finite number.")
