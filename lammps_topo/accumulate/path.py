"""Positions and charges of all measured atoms at every sample: the points of a path, whatever lies between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import StreamError
from ..stream.block import Array, Integers, Packed
from ..stream.communicator import Communicator

#: Numbers that may be kept: 64 MiB.
MOST_NUMBERS = 1 << 23
#: Relative change of a lattice vector that is a changed cell, not rounding.
_SAME_CELL = 1e-9


class PathPoints:
    """Gathers the points on rank 0. Collective.

    Unlike other accumulators it takes packed samples, needs no order of ranks, and has no state: a path is measured in
    one go.

    Attributes
    ----------
    tags, types, species : (n,) of all atoms, in ascending order of tags; species are indices
    cell : (3, 3) lattice vectors as rows, NaN before the first sample
    """

    def __init__(
        self, comm: Communicator, tags: Integers, types: Integers, species: Integers, charges: Mapping[str, slice]
    ) -> None:
        """``tags``, ``types``, ``species`` (n,) are those of this rank's atoms now; ``charges`` the columns of packed
        rows that hold charges, by representation: 1 or 9 each."""
        self._comm = comm
        everything = np.concatenate(comm.collect(np.column_stack((tags, types, species)).astype(np.int64)))
        self.tags, self.types, self.species = everything[np.argsort(everything[:, 0])].T.copy()
        self.cell: Array = np.full((3, 3), np.nan)
        self._charges = dict(charges)
        own = [np.arange(part.start, part.stop) for part in charges.values()]
        self._columns = np.concatenate(([0, 1, 2, 3], *own)).astype(np.int64)
        self._steps: list[Integers] = []
        self._rows: list[Array] = []
        self._points = 0

    def observe(self, packed: Packed) -> None:
        """Add samples, whose atoms are known to be there.

        Raises
        ------
        StreamError
            There are more numbers than are kept, the cell has changed, or the host does not say it.
        """
        if packed.cell is None:
            raise StreamError("key 'path' needs the cell, which this door does not say (fix topo and attach do)")
        if not self._points:
            self.cell = np.array(packed.cell, dtype=np.float64)
        if np.abs(packed.cell - self.cell).max() > _SAME_CELL * np.abs(self.cell).max():
            raise StreamError("the cell changed along the path; a loop is in one cell that stays as it is")
        atoms, points = len(self.tags), len(packed)
        self._points += points
        if self._points * atoms * (len(self._columns) - 1) > MOST_NUMBERS:
            raise StreamError(
                f"the path has {self._points} points of {atoms} atoms, more than fit into the "
                f"{8 * MOST_NUMBERS >> 20} MiB that are kept: take fewer points, or a group of fewer atoms"
            )
        samples = np.repeat(np.arange(points), packed.counts)
        parts = self._comm.collect((samples, packed.rows[:, self._columns]))
        if self._comm.rank:
            return
        rows = np.concatenate([part[1] for part in parts])
        order = np.lexsort((rows[:, 0], np.concatenate([part[0] for part in parts])))
        self._steps.append(packed.steps.copy())
        self._rows.append(rows[order, 1:].reshape(points, atoms, -1))

    def arrays(self) -> tuple[Integers, Array, dict[str, Array]]:
        """Steps (K,), unwrapped positions (K, n, 3), and charges (K, n) or (K, n, 9) by representation, on rank 0."""
        rows = np.concatenate(self._rows)
        found, place = {}, 3
        for name, columns in self._charges.items():
            width = columns.stop - columns.start
            part = rows[:, :, place : place + width]
            found[name] = part[:, :, 0].copy() if width == 1 else part.copy()
            place += width
        return np.concatenate(self._steps), rows[:, :, :3].copy(), found

    def closed(self, tolerance: float, centres: Sequence[int]) -> bool:
        """Whether all atoms but ``centres`` (species) are where they began, up to ``tolerance`` of a lattice vector.

        False on ranks other than 0.
        """
        if not self._rows or self._points < 3:
            return False
        moved = (self._rows[-1][-1] - self._rows[0][0])[~np.isin(self.species, centres), :3] @ np.linalg.inv(self.cell)
        return bool(np.abs(moved - np.rint(moved)).max(initial=0.0) <= tolerance)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (*self._steps, *self._rows))
