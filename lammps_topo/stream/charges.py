"""Charges of atoms, and the fluxes that they make: one assignment for each representation that needs its own sums.

Charges are Z (C, B, n) for C columns, B samples and n atoms: C = 1 for a number, 9 for a tensor, row by row, whose row
is the direction of the current (physics.md §2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .block import Array


@dataclass(frozen=True)
class Assignment:
    """Charges of all atoms: ``weights`` (n,) that stay, of the own atoms, or ``columns`` that come with each sample."""

    columns: int = 1
    weights: Array | None = None


class Charges:
    """The assignments of a measurement on this rank, and the charges at the last sample.

    Parameters
    ----------
    assignments : A of them
    species : slices of the n own atoms
    """

    def __init__(self, assignments: Sequence[Assignment], species: tuple[slice, ...]) -> None:
        self._assignments = tuple(assignments)
        self._species = species
        own = species[-1].stop if species else 0
        self._before = [
            np.zeros((one.columns, own)) if one.weights is None else one.weights[None].copy() for one in assignments
        ]

    def __len__(self) -> int:
        return len(self._assignments)

    @property
    def columns(self) -> list[int]:
        """How many columns each assignment takes from the samples."""
        return [0 if one.weights is not None else one.columns for one in self._assignments]

    def of_samples(self, fields: Array) -> list[Array]:
        """(C, B, n) by assignment from the packed columns, (:attr:`columns`, B, n) one behind the other."""
        found, place = [], 0
        for one, before, columns in zip(self._assignments, self._before, self.columns, strict=True):
            found.append(
                fields[place : place + columns]
                if one.weights is None
                else np.broadcast_to(before[:, None], (1, *fields.shape[1:]))
            )
            place += columns
        return found

    def begin(self, charges: Sequence[Array]) -> None:
        """A stretch begins with the first sample of ``charges``."""
        self._before = [one[:, 0].copy() for one in charges]

    def remember(self, charges: Sequence[Array]) -> None:
        """The last sample of ``charges`` is the one before the next block."""
        self._before = [one[:, -1].copy() for one in charges]

    def sums(self, charges: Sequence[Array], moved: Array, velocity: Array | None) -> list[Array]:
        """What this rank adds to the totals: arrays (B, …) to be given to :meth:`totals` after summing over ranks.

        ``moved`` (3, 1 + B, n) are displacements, from the sample before on.
        """
        parts = []
        for one, before in zip(charges, self._before, strict=True):
            parts.append(_by_species(one, self._species))
            parts.append(self._dipole_step(one, before, moved))
            if velocity is not None:
                parts.append(currents(one, velocity, self._species))
        return parts

    def totals(self, parts: Sequence[Array], samples: int, has_velocity: bool) -> tuple[Array, Array, Array | None]:
        """Of all ranks: charges (B, A, S, 3, 3), steps of the dipole (B, A, S, 3), currents (B, A, S, 3) or None."""
        species, kinds = len(self._species), 2 + has_velocity
        charge = np.zeros((samples, len(self), species, 3, 3))
        step, current = np.zeros((2, samples, len(self), species, 3))
        for place, one in enumerate(self._assignments):
            total, moved, *flow = parts[kinds * place : kinds * (place + 1)]
            charge[:, place] = as_tensors(total.reshape(samples, species, one.columns))
            step[:, place] = moved.reshape(samples, species, 3)
            if has_velocity:
                current[:, place] = flow[0].reshape(samples, species, 3)
        return charge, step, current if has_velocity else None

    def _dipole_step(self, charge: Array, before: Array, moved: Array) -> Array:
        """Σ ½(Z_k-1 + Z_k)·(r_k − r_k-1) by species, (B, 3 S): physics.md §2, second order in the interval."""
        if (charge == before[:, None]).all():  # constant charges: the sum telescopes, without rounding
            held = np.broadcast_to(before[:, None], (len(before), *moved.shape[1:]))
            return np.diff(currents(held, moved, self._species), axis=0)
        charges = np.concatenate((before[:, None], charge), axis=1)
        return currents(0.5 * (charges[:, 1:] + charges[:, :-1]), np.diff(moved, axis=1), self._species)

    @property
    def weights(self) -> list[Array]:
        """(n,) of the assignments that stay."""
        pairs = zip(self._assignments, self._before, strict=True)
        return [before[0] for one, before in pairs if one.weights is not None]

    @property
    def before(self) -> Array:
        """(columns, n): all charges at the last sample, those that stay included."""
        own = self._species[-1].stop if self._species else 0
        return np.concatenate(self._before) if self._before else np.zeros((0, own))

    def restore(self, before: Array) -> None:
        """Take the charges of the state, weights included: they are those that the measurement began with."""
        self._before = list(np.split(before, np.cumsum([len(one) for one in self._before])[:-1]))

    @property
    def nbytes(self) -> int:
        return int(sum(one.nbytes for one in self._before))


def currents(charge: Array, vectors: Array, species: tuple[slice, ...]) -> Array:
    """Σ Z·``vectors`` (3, B, n) over the atoms of each species, Z being (1, B, n) or (9, B, n): (B, 3 S)."""
    if len(charge) == 1:
        sums = [np.einsum("cbn,bn->cb", vectors[:, :, atoms], charge[0][:, atoms]) for atoms in species]
    else:
        tensor = charge.reshape(3, 3, *charge.shape[1:])
        sums = [
            sum((np.einsum("xbn,bn->xb", tensor[:, y, :, atoms], vectors[y][:, atoms]) for y in range(3)), start=0.0)
            for atoms in species
        ]
    return np.concatenate(sums, axis=0).T


def as_tensors(charge: Array) -> Array:
    """(…, C) with C = 1 or 9 columns as (…, 3, 3)."""
    return charge[..., None] * np.eye(3) if charge.shape[-1] == 1 else charge.reshape(*charge.shape[:-1], 3, 3)


def _by_species(charge: Array, species: tuple[slice, ...]) -> Array:
    """Sums (B, S C) over the atoms of each species."""
    return np.concatenate([charge[:, :, atoms].sum(axis=2) for atoms in species], axis=0).T
