"""The atoms of the group when a measurement begins: where they are among the ranks, and then as ranks own them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import ConfigError
from .plan import Plan
from .stream.block import Array, Integers
from .stream.communicator import Communicator, agree
from .stream.ownership import Ownership


@dataclass(frozen=True)
class GroupAtoms:
    """Atoms of the group that are on this rank now.

    Attributes
    ----------
    tags, types, masses : (n,)
    positions : (n, 3) unwrapped
    charges, molecules : (n,) where the plan needs them
    """

    tags: Integers
    types: Integers
    masses: Array
    positions: Array
    charges: Array | None = None
    molecules: Integers | None = None

    def species(self, plan: Plan, comm: Communicator) -> Integers:
        """(n,) indices of their species. Collective; ConfigError where one belongs to none."""
        kinds, which = np.unique(self.types, return_inverse=True)
        species = np.array([plan.species_of_type.get(int(kind), -1) for kind in kinds], dtype=np.int64)[which]
        foreign = [
            f"atoms of type {kind} are in the group, but belong to no species" for kind in self.types[species < 0][:1]
        ]
        if problem := agree(comm, foreign[0] if foreign else None):
            raise ConfigError(f"key 'species': {problem} (there are: {', '.join(plan.species)})")
        return species

    def owned(self, plan: Plan, ownership: Ownership) -> OwnedAtoms:
        """Every atom on the rank that owns it. Collective."""
        columns = [self.tags, self.masses, self.positions, self.types]
        if plan.needs_molecules:
            nothing = np.zeros(len(self.tags))
            columns += [nothing if one is None else one for one in (self.molecules, self.charges)]
        own, _ = ownership.redistribute(np.column_stack(columns), np.array([len(self.tags)]))
        rows = own[:, 0]
        return OwnedAtoms(
            tags=ownership.tags,
            species=np.repeat(np.arange(len(ownership.species)), [s.stop - s.start for s in ownership.species]),
            masses=rows[0],
            positions=rows[1:4],
            types=rows[4].astype(np.int64),
            molecules=rows[5].astype(np.int64) if plan.needs_molecules else None,
            charges=rows[6] if plan.needs_molecules else None,
        )


@dataclass(frozen=True)
class OwnedAtoms:
    """Atoms that this rank owns until the end, species by species: (n,), but positions (3, n)."""

    tags: Integers
    species: Integers
    masses: Array
    positions: Array
    types: Integers
    molecules: Integers | None
    charges: Array | None
