"""Unwrapping by the minimum image from frame to frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.frame import FloatArray

LARGEST_MOVE = 0.4
"""Largest move between two frames, in perpendicular widths of the cell, that is not called ambiguous."""


class Unwrapper:
    """Adds lattice vectors to positions so that every atom moves by its minimum image between frames.

    In fractional coordinates s of the cell of each frame, an atom that moves by Δs is taken to have
    moved by Δs - round(Δs); integer images are summed and ``x + images·cell`` is returned.  Positions
    that are continuous already come back unchanged to the last bit.  The first frame is returned as it
    is.  The cell may change (a barostat), also by the flips of a sheared box (``fix deform``): a
    new cell that spans nearly the old lattice with other vectors carries the images over.

    Raises FileError where an atom moves, along any periodic direction, by more than ``largest`` of the
    perpendicular width of the cell between two frames: its image would be a guess.
    """

    def __init__(self, source: str, hint: str = "", largest: float = LARGEST_MOVE) -> None:
        self._source = source
        self._hint = hint
        self._largest = largest
        self._images: FloatArray | None = None
        self._s = np.empty((0, 3))
        self._cell = np.eye(3)
        self._step = 0

    def __call__(
        self,
        x: FloatArray,
        cell: FloatArray,
        origin: FloatArray,
        periodic: tuple[bool, bool, bool],
        tags: NDArray[np.int64],
        step: int,
    ) -> FloatArray:
        """Unwrapped positions [n, 3] of the frame after the last one; atoms in the same order each time.

        ``x`` [n, 3] as in the file; ``cell`` [3, 3] has full rank, vectors as rows; ``tags`` [n] and
        ``step`` serve the message of the error.
        """
        s = (x - origin) @ np.linalg.inv(cell)
        if self._images is None:
            self._images = np.zeros_like(s)
        elif any(periodic):
            loose = ~np.array(periodic)
            flip = self._flip(cell, loose, step)
            if flip is not None:
                self._s = self._s @ flip
                self._images = np.rint(self._images @ flip)
            move = s - self._s
            shift = np.rint(move)
            shift[:, loose] = 0.0
            move -= shift
            move[:, loose] = 0.0
            self._check(move, tags, step)
            if shift.any():
                self._images = self._images - shift
        self._s, self._cell, self._step = s, cell, step
        return x + self._images @ cell if self._images.any() else x

    def _flip(self, cell: FloatArray, loose: NDArray[np.bool_], step: int) -> FloatArray | None:
        """Matrix [3, 3] that turns fractional coordinates of the last cell into those of this one."""
        change = np.rint(cell @ np.linalg.inv(self._cell))
        change[:, loose] = np.eye(3)[:, loose]
        if np.array_equal(change, np.eye(3)):
            return None
        if abs(abs(np.linalg.det(change)) - 1.0) > 1e-6:
            raise FileError(
                f"{self._source}: the cell changes so much between step {self._step} and step "
                f"{step} that atoms cannot be followed across its boundary{self._hint}."
            )
        inverse: FloatArray = np.rint(np.linalg.inv(change))
        return inverse

    def _check(self, move: FloatArray, tags: NDArray[np.int64], step: int) -> None:
        far = np.abs(move)
        if far.size and far.max() > self._largest:
            atom, axis = divmod(int(far.argmax()), 3)
            raise FileError(
                f"{self._source}: atom {int(tags[atom])} moves by {far[atom, axis]:.2f} of the width of the "
                f"cell along {'abc'[axis]} between step {self._step} and step {step}, so that its periodic "
                f"image cannot be told (at most {self._largest:g} is allowed){self._hint}."
            )
