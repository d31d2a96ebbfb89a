"""Molecules that move as a whole: each atom has the share of the molecule's charge that it has of its mass.

With w_i = Q m_i/M, Σ w_i v_i over a molecule is its charge times the velocity of its centre of mass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .block import Array, Block, Integers
from .communicator import Communicator

#: Of the sum of |q| in a molecule: a net charge below that is rounding.
_NEUTRAL = 1e-9
#: A charge of a molecule that changes by more than this, relative to the sum of |q|, is not constant.
_CHANGED = 1e-6


class Molecules:
    """The molecules of the own atoms; atoms with the id 0 are on their own. Collective.

    Parameters
    ----------
    tags, ids : (n,) of the own atoms
    """

    def __init__(self, comm: Communicator, tags: Integers, ids: Integers) -> None:
        self._comm = comm
        own = np.where(ids > 0, ids, -tags)
        names = np.unique(np.concatenate(comm.collect(np.unique(own))))
        self._names: Integers = names
        self._place = np.searchsorted(names, own)

    def cut_by_group(self, others: Integers) -> int | None:
        """The first molecule that some of ``others``, the molecules of atoms outside the group, are; None if none is.

        Collective.
        """
        found = np.unique(np.concatenate(self._comm.collect(np.unique(others[others > 0]))))
        shared = np.intersect1d(found, self._names, assume_unique=True)
        return int(shared[0]) if len(shared) else None

    def weights(self, charges: Array, masses: Array) -> Array:
        """(n,) Q m/M from the ``charges`` (n,) and ``masses`` (n,) of the own atoms: exactly 0 in neutral molecules."""
        charge, size, mass = self._sums(charges, np.abs(charges), masses)
        charge[np.abs(charge) <= _NEUTRAL * size] = 0.0
        ratio = np.divide(charge, mass, out=np.zeros_like(charge), where=mass > 0)
        weights: Array = ratio[self._place] * masses
        return weights

    def changed(self, charges: Array, weights: Array) -> tuple[int, float, float] | None:
        """The first molecule whose ``charges`` are no longer those of its ``weights``: its name, then, now. Collective.

        An atom on its own is named by its tag, negative.
        """
        now, then, size = self._sums(charges, weights, np.abs(charges))
        far = np.flatnonzero(np.abs(now - then) > _CHANGED * np.maximum(size, np.abs(then)))
        return (int(self._names[far[0]]), float(then[far[0]]), float(now[far[0]])) if len(far) else None

    def _sums(self, *values: Array) -> Array:
        """(V, molecules) over all ranks."""
        number = len(self._names)
        return self._comm.sum(np.stack([np.bincount(self._place, one, minlength=number) for one in values]))


class ChargeExchange:
    """Notices when atoms exchange charge between molecules that move as a whole.

    What is measured is still what it says, the charges of the beginning with the centres of mass, and all other
    representations are right: no reason to end the run.

    Parameters
    ----------
    place : of the weights to compare with, among those that blocks are assembled with

    Attributes
    ----------
    note : what results say; empty as long as no charge has moved
    """

    def __init__(self, comm: Communicator, molecules: Molecules, place: int) -> None:
        self._comm, self._molecules, self._place = comm, molecules, place
        self._seen: Array | None = None  # charges that have been compared
        self.note = ""

    def observe(self, block: Block, weights: Sequence[Array]) -> str | None:
        """A line for the log, once, when charge has moved. Collective.

        ``weights`` (n,) are those of the assignments that stay.
        """
        if block.charge is None or self.note:
            return None
        charge = block.charge[-1]
        same = self._seen is not None and np.array_equal(charge, self._seen)
        if all(self._comm.collect(same)):
            return None
        self._seen = charge.copy()
        found = self._molecules.changed(charge, weights[self._place])
        if found is None:
            return None
        molecule, then, now = found
        what = f"molecule {molecule}" if molecule > 0 else f"atom {-molecule}"
        self.note = (
            "charge moves between molecules: representations whose molecules move as a whole keep the charges that "
            "these had when the measurement began"
        )
        return f"WARNING: {self.note} (that of {what} was {then:.6g}, and is {now:.6g} at step {block.steps[-1]})"
