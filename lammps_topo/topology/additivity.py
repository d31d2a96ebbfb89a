"""Whether several loops of one system can have the charges of additive, constant oxidation states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .loop import Loop, TopologicalCharge
from .path import Array


@dataclass(frozen=True)
class Additivity:
    """What several loops say together.

    Attributes
    ----------
    representation : of charge
    additive : whether there are charges q_i of the atoms with Q_α = Σ_i q_i n_iα for all loops and directions
    charges : by atom (``H 1``), those q_i that the loops determine, where they are additive
    reason : in a sentence
    """

    representation: str
    additive: bool
    charges: dict[str, float]
    reason: str


def compare_loops(loops: Sequence[Loop], names: Sequence[str]) -> list[Additivity]:
    """Solve Q = Σ q n for the charges of atoms, with all loops and directions together, for each representation.

    Raises
    ------
    EstimateError
        The loops are of different atoms.
    """
    first = loops[0].path
    for loop, name in zip(loops, names, strict=True):
        same = loop.path.species == first.species and (loop.path.tags == first.tags).all()
        if not same:
            raise EstimateError(f"'{name}' has other atoms than '{names[0]}': loops of one system can be compared")
    found = []
    for place, one in enumerate(loops[0].charges):
        charges = [loop.charges[place] for loop in loops]
        found.append(_additivity(one.representation, loops, charges, names))
    return found


def _additivity(
    representation: str, loops: Sequence[Loop], charges: Sequence[TopologicalCharge], names: Sequence[str]
) -> Additivity:
    for charge, name in zip(charges, names, strict=True):
        if charge.verdict == "not an integer":
            return Additivity(representation, False, {}, f"'{name}' has no whole charge: nothing can be said")
    windings = np.concatenate([loop.closure.windings.T for loop in loops]).astype(np.float64)
    values = np.concatenate([np.rint(charge.charge) for charge in charges])
    moving = np.flatnonzero(windings.any(axis=0))
    solution = np.linalg.lstsq(windings[:, moving], values, rcond=None)[0] if len(moving) else np.zeros(0)
    left: Array = values - windings[:, moving] @ solution
    if np.abs(left).max(initial=0.0) > 1e-6:
        return Additivity(
            representation, False, {},
            "no charges of the atoms account for all of these loops: strong adiabaticity is broken",
        )  # fmt: skip
    path = loops[0].path
    known = _determined(windings[:, moving])
    found = {
        f"{path.species[atom]} {path.tags[atom]}": float(value)
        for atom, value, one in zip(moving, solution, known, strict=True)
        if one
    }
    return Additivity(
        representation, True, found, "one charge for each atom accounts for all of these loops: they are additive"
    )


def _determined(windings: Array) -> list[bool]:
    """Which unknowns the equations fix: those without a part in the null space."""
    if not windings.size:
        return []
    _, sizes, rows = np.linalg.svd(windings)
    null = rows[np.count_nonzero(sizes > 1e-9 * sizes.max()) :]
    return (
        [bool(np.abs(column).max(initial=0.0) < 1e-9) for column in null.T] if len(null) else [True] * windings.shape[1]
    )
