"""Who carries how much charge: the representations of a plan as charges of the atoms that this rank owns."""

from __future__ import annotations

import numpy as np

from .errors import ConfigError
from .group_atoms import OwnedAtoms
from .plan import Plan
from .stream.block import Array, Integers
from .stream.charges import Assignment
from .stream.communicator import Communicator
from .stream.molecules import ChargeExchange, Molecules


def assign_charges(
    plan: Plan, comm: Communicator, atoms: OwnedAtoms, other_molecules: Integers | None
) -> tuple[list[Assignment], ChargeExchange | None]:
    """Charges by representation, but for LAMMPS's ``q`` and what is constant by species. Collective.

    With them comes what watches the molecules whose charges are sums of ``q``, if there are any. ``other_molecules``
    are those of atoms outside the group that are on this rank.

    Raises
    ------
    ConfigError
        A molecule is not in the group as a whole.
    """
    found: list[Assignment] = []
    molecules: Molecules | None = None
    exchange: ChargeExchange | None = None
    for one in plan.charges:
        weights: Array | None = None
        if one.molecular:
            if molecules is None:
                molecules = _whole_molecules(one.name, comm, atoms, other_molecules)
            if one.molecular == "atomic":
                exchange = ChargeExchange(comm, molecules, sum(other.weights is not None for other in found))
            weights = molecules.weights(_charges(plan, atoms, one.molecular), atoms.masses)
        elif one.weights is not None:
            known = one.weights
            weights = np.array([known[kind] for kind in atoms.types.tolist()], dtype=np.float64)
        if weights is not None or one.source:
            found.append(Assignment(one.columns, weights))
    return found, exchange


def _whole_molecules(name: str, comm: Communicator, atoms: OwnedAtoms, others: Integers | None) -> Molecules:
    """The molecules of the group, for the representation ``name``."""
    assert atoms.molecules is not None
    molecules = Molecules(comm, atoms.tags, atoms.molecules)
    cut = molecules.cut_by_group(np.zeros(0, dtype=np.int64) if others is None else others)
    if cut is not None:
        raise ConfigError(
            f"key 'representations': '{name}' needs whole molecules, but atoms of molecule {cut} are outside the group"
        )
    return molecules


def _charges(plan: Plan, atoms: OwnedAtoms, kind: str) -> Array:
    """(n,) that molecules are the sum of."""
    if kind == "atomic":
        assert atoms.charges is not None
        return atoms.charges
    charges: Array = np.array([plan.oxidation[name] for name in plan.species])[atoms.species]
    return charges
