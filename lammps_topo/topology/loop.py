"""Topological charges of a closed path, and whether oxidation states account for them.

Q_α[C] = (1/eL) ∮ dμ_α is an integer (Thouless). Where strong adiabaticity holds it depends on the winding numbers
alone, Q_α = Σ_i q_S(i) n_iα; what is beyond that is a pump (Pegolo, Grasselli, Baroni, Phys. Rev. X 10, 041031).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import EstimateError
from .closure import TOLERANCE, Closure, close
from .dipole import check_branch, discretisation_error, displaced_dipole
from .images import fractional
from .motion import follow
from .path import Array, Path

#: A charge that is farther than this from a whole number is not called one.
NEARLY_WHOLE = 0.05

Verdict = Literal[
    "pump", "not additive", "additive", "by construction", "charge of one atom", "unknown", "not an integer"
]


@dataclass(frozen=True)
class TopologicalCharge:
    """What a path displaces, in one representation of charge.

    Attributes
    ----------
    representation : its name
    dipole : (K, 3) Δμ from the first point to each, in charge × cell vectors
    error : (3,) of the last of these by the finite number of points; 0 for charges that do not change
    prediction : (3,) Σ q_S n_iα, None where an oxidation state that matters is not known
    verdict : in a word; reason : in a sentence
    """

    representation: str
    dipole: Array
    error: Array
    prediction: Array | None
    verdict: Verdict
    reason: str

    @property
    def charge(self) -> Array:
        """(3,) Q along each cell vector."""
        last: Array = self.dipole[-1]
        return last

    @property
    def distance(self) -> Array:
        """(3,) from the nearest whole number."""
        away: Array = np.abs(self.charge - np.rint(self.charge))
        return away

    @property
    def excess(self) -> Array | None:
        """(3,) what the prediction does not account for, a whole number: the charge that is pumped."""
        return None if self.prediction is None else np.rint(self.charge) - self.prediction


@dataclass(frozen=True)
class Loop:
    """A closed path and its topological charges, one for each representation."""

    path: Path
    closure: Closure
    charges: tuple[TopologicalCharge, ...]


def analyse_loop(
    path: Path, charges: Mapping[str, Array], oxidation: Mapping[str, float], *, tolerance: float = TOLERANCE
) -> Loop:
    """Windings and topological charges of a closed path.

    Parameters
    ----------
    path : its points
    charges : by representation, of all particles at all points: (K, n), or (K, n, 3, 3) tensors Z*_αβ
    oxidation : oxidation states of atoms by species, as far as they are given
    tolerance : how far the ends of the path may be apart, in cube roots of the volume

    Raises
    ------
    EstimateError
        The path is open or too coarse, or centres of one species have different charges. One sentence each.
    """
    motion = follow(path)
    closure = close(path, motion, tolerance)
    found = []
    for name, values in charges.items():
        dipole = displaced_dipole(motion.steps, values)
        check_branch(path, dipole, _quanta(path, name, values))
        error = discretisation_error(motion.steps, values, path.cell)
        found.append(_judged(path, closure, name, values, fractional(dipole, path.cell), error, oxidation))
    return Loop(path, closure, tuple(found))


def _quanta(path: Path, name: str, charges: Array) -> dict[str, float]:
    """The charge of a centre, by species."""
    found = {}
    for species in path.centres:
        own = charges[:, path.of(species)]
        if own.ndim > 2 or (own != own[0, 0]).any():
            raise EstimateError(
                f"the centres {species} do not all have one and the same charge in '{name}', but cannot be told apart"
            )
        found[species] = float(own[0, 0])
    return found


def _judged(
    path: Path, closure: Closure, name: str, charges: Array, dipole: Array, error: Array, oxidation: Mapping[str, float]
) -> TopologicalCharge:
    charge = dipole[-1]
    winding = np.flatnonzero(closure.windings.any(axis=1))
    known = all(path.species[i] in oxidation for i in winding)
    states = np.array([oxidation.get(path.species[i], 0.0) for i in winding])
    turns = closure.windings[winding].astype(np.float64)
    prediction: Array | None = states @ turns if known else None

    def said(verdict: Verdict, reason: str) -> TopologicalCharge:
        return TopologicalCharge(name, dipole, error, prediction, verdict, reason)

    away = np.abs(charge - np.rint(charge))
    if away.max() > NEARLY_WHOLE:
        along = int(away.argmax())
        why = "put more points on the path" if error[along] > 0.3 * away[along] else (
            "charges that do not follow from the electrons need not add up to one"
        )  # fmt: skip
        return said("not an integer", f"Q along {'abc'[along]} is {charge[along]:.3f}, not a whole number: {why}")
    whole = np.rint(charge)
    text = direction_text(whole)
    if not len(winding):
        if whole.any():
            return said("pump", f"a charge of {text} is pumped although every atom returns to where it began: strong "
                                "adiabaticity is broken, and no oxidation states describe this system")  # fmt: skip
        return said("additive", "nothing is displaced, as strong adiabaticity wants of a loop without windings")
    if prediction is None:
        if len(winding) == 1:
            return said(
                "charge of one atom",
                f"{path.particle(int(winding[0]))} alone winds: {_single(closure, winding[0], whole)}",
            )
        missing = next(path.species[i] for i in winding if path.species[i] not in oxidation)
        return said(
            "unknown", f"the oxidation state of {missing} is not given: there is nothing to compare {text} with"
        )
    if (whole != np.rint(prediction)).any():
        expected = direction_text(prediction)
        return said("not additive", f"{text} is displaced where oxidation states predict {expected}: either they are "
                                    "others, or strong adiabaticity is broken")  # fmt: skip
    if not path.centres and _are(path, charges, oxidation):
        return said("by construction", "these charges are the oxidation states: nothing is tested")
    return said("additive", "the charge is that of the oxidation states: this loop agrees with strong adiabaticity")


def _are(path: Path, charges: Array, oxidation: Mapping[str, float]) -> bool:
    """Whether the charges are the oxidation states."""
    if charges.ndim > 2 or not set(path.species) <= set(oxidation):
        return False
    return bool((charges == np.array([oxidation[name] for name in path.species])).all())


def _single(closure: Closure, atom: int, charge: Array) -> str:
    """The topological charge of the only atom that winds."""
    turns = closure.windings[atom]
    axis = int(np.abs(turns).argmax())
    value = charge[axis] / turns[axis]
    if not np.allclose(charge, value * turns):
        return f"{direction_text(charge)} is displaced, not in proportion to its windings"
    return f"its topological charge on this loop is {value:+g}".replace("-", "−")


def direction_text(charge: Array) -> str:
    """``−2 along a, +1 along c``; ``nothing`` for zero."""
    parts = [f"{value:+g} along {axis}" for value, axis in zip(charge, "abc", strict=True) if value]
    return (", ".join(parts) or "nothing").replace("-", "−")
