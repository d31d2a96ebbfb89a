"""The ``ITEM: BOX BOUNDS`` section of a LAMMPS dump, in all its forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lammps_topo.hosts.trajectory.frame import FloatArray


@dataclass(frozen=True, eq=False)
class Box:
    """The cell of one frame."""

    cell: FloatArray
    """[3, 3] lattice vectors as rows."""
    origin: FloatArray
    """[3] lower corner."""
    periodic: tuple[bool, bool, bool]


def parse_box(words: list[str], lines: list[bytes]) -> Box:
    """The box from the words after ``ITEM: BOX BOUNDS`` and the three lines that follow.

    Orthogonal (``pp pp pp``), restricted triclinic (``xy xz yz pp pp pp``, whose bounds enclose the tilted
    box) and general triclinic (``abc origin pp pp pp``); without boundary words, as old dumps have it, all
    three directions are periodic.  Raises ValueError, with what is wrong, for anything else.
    """
    form, flags = words, []
    if words and all(len(word) == 2 and set(word) <= set("pfsm") for word in words[-3:]):
        form, flags = words[:-3], words[-3:]
    if form not in ([], ["xy", "xz", "yz"], ["abc", "origin"]):
        raise ValueError(f"unknown form of box '{' '.join(words)}'")
    width = {0: 2, 3: 3, 2: 4}[len(form)]
    rows = [[float(word) for word in line.split()] for line in lines]
    if any(len(row) != width for row in rows):
        raise ValueError(f"{width} numbers a line expected")
    cell, origin = _general(np.array(rows)) if width == 4 else _restricted(np.array(rows))
    if not (np.isfinite(cell).all() and np.isfinite(origin).all()):
        raise ValueError("finite numbers expected")
    if np.linalg.det(cell) <= 0.0 or (width < 4 and np.diagonal(cell).min() <= 0.0):
        raise ValueError("the box has no volume")
    a, b, c = (flag[0] == "p" for flag in flags) if flags else (True, True, True)
    return Box(cell, origin, (a, b, c))


def _general(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    return rows[:, :3].copy(), rows[:, 3].copy()


def _restricted(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    xy, xz, yz = rows[:, 2] if rows.shape[1] == 3 else np.zeros(3)
    low[0] -= min(0.0, xy, xz, xy + xz)
    high[0] -= max(0.0, xy, xz, xy + xz)
    low[1] -= min(0.0, yz)
    high[1] -= max(0.0, yz)
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    return cell, low
