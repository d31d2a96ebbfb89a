"""Linear least squares of energies, forces and stresses; its errors, and what cross-validation says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from descriptors import Design
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

FOLDS = 5


@dataclass(frozen=True)
class Weights:
    """Of the equations: an energy of 1 eV an atom and a stress of 1 eV/A^3, beside a force of 1 eV/A; and the ridge."""

    energy: float = 5.0
    stress: float = 80.0
    ridge: float = 1e-11
    """Added to the mean square of each column, which is scaled to 1."""


class Equations(NamedTuple):
    """One configuration as equations of the coefficients; left sides (n, P), right sides (n,)."""

    energy: Array
    """(1, P), an atom"""
    forces: Array
    stress: Array
    energy_label: Array
    forces_label: Array
    stress_label: Array
    """Right sides, the baseline subtracted"""
    forces_total: Array
    """(3 N,), with the baseline"""


class Errors(NamedTuple):
    """Root mean square errors, and the size of what they are errors of."""

    energy: float
    """meV an atom"""
    forces: float
    """eV/A"""
    stress: float
    """GPa"""
    forces_size: float
    """rms of the forces, eV/A"""
    number: int
    """of configurations"""

    def text(self) -> str:
        return (
            f"{self.number:4d} {self.energy:9.2f} {self.forces:8.4f} "
            f"{100 * self.forces / self.forces_size:6.1f} % {self.stress:7.3f}"
        )

    @property
    def score(self) -> float:
        """What cross-validation makes small: forces count twice, energies and stresses once."""
        return float((self.forces**2 * self.energy * self.stress) ** 0.25)


def equations(atoms: Atoms, design: Design, zero: float) -> Equations:
    """Equations of one labelled configuration; `zero` (eV an atom) is subtracted from its energy."""
    n = len(atoms)
    return Equations(
        design.energy[None] / n,
        design.forces,
        design.stress,
        np.array([atoms.get_potential_energy() / n - zero - design.baseline_energy / n]),
        atoms.get_forces().ravel() - design.baseline_forces,
        atoms.get_stress() - design.baseline_stress,
        atoms.get_forces().ravel(),
    )


def solve(chosen: Sequence[Equations], weights: Weights) -> Array:
    """Coefficients (P,) by least squares; columns are scaled to a mean square of 1, to which the ridge is added."""
    scales = (weights.energy, 1.0, weights.stress)
    left = np.concatenate([w * side for e in chosen for w, side in zip(scales, e[:3], strict=True)])
    right = np.concatenate([w * side for e in chosen for w, side in zip(scales, e[3:6], strict=True)])
    size = np.sqrt((left**2).mean(axis=0))
    size[size == 0.0] = 1.0
    left /= size
    normal = left.T @ left
    normal[np.diag_indices_from(normal)] += weights.ridge * len(left)
    solution: Array = cho_solve(cho_factor(normal), left.T @ right) / size
    return solution


def errors(held: Sequence[tuple[Equations, Array]]) -> Errors:
    """Errors of coefficients on equations, each with its own coefficients (P,)."""
    energy = np.concatenate([e.energy @ c - e.energy_label for e, c in held])
    forces = np.concatenate([e.forces @ c - e.forces_label for e, c in held])
    stress = np.concatenate([e.stress @ c - e.stress_label for e, c in held]) / units.GPa
    size = np.concatenate([e.forces_total for e, _ in held])
    rms = [float(np.sqrt((x**2).mean())) for x in (energy, forces, stress, size)]
    return Errors(1e3 * rms[0], rms[1], rms[2], rms[3], len(held))


def held_out(all_of: Sequence[Equations], weights: Weights) -> list[tuple[Equations, Array]]:
    """All configurations, in their order, each with the coefficients of a fit to the four fifths without it."""
    fits = [solve([e for k, e in enumerate(all_of) if k % FOLDS != fold], weights) for fold in range(FOLDS)]
    return [(e, fits[k % FOLDS]) for k, e in enumerate(all_of)]


def cross_validate(all_of: Sequence[Equations], weights: Weights) -> Errors:
    """Errors on each fifth of the configurations of a fit to the others."""
    return errors(held_out(all_of, weights))
