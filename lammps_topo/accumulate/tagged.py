"""Which atoms are followed one by one, and their velocities and forces relative to a frame of reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..stream.block import Array, Block, Integers
from ..stream.communicator import Communicator
from ..stream.ownership import Ownership
from .flux import FluxFrame
from .origins import OriginRing

#: Atoms of a species that are followed whatever the work: with fewer, the error bars would pay for it.
FEWEST_ATOMS = 256


class TaggedMotion:
    """The followed atoms of this rank, and how they move. Collective.

    Parameters
    ----------
    followed : (S,) atoms of each species to follow on all ranks: all of them, or so many at random
    frame : of reference
    mass : (S,) of an atom of each species
    whole : whether the measured atoms are the whole system

    Attributes
    ----------
    groups : slices of the atoms of each species among the followed ones of this rank
    tags : their tags, species by species
    """

    def __init__(
        self,
        comm: Communicator,
        ownership: Ownership,
        followed: Integers,
        frame: FluxFrame,
        mass: Array,
        *,
        whole: bool,
    ) -> None:
        self._frame, self._mass, self._whole = frame, mass, whole
        self._slots: Integers | None = None  # all of them
        self.groups = ownership.species
        if (followed < ownership.population).any():
            chosen = _draw(comm, ownership, followed)
            edges = np.concatenate(([0], np.cumsum([len(slots) for slots in chosen])))
            self._slots = np.concatenate(chosen)
            self.groups = tuple(slice(int(a), int(b)) for a, b in pairwise(edges))
        tags = ownership.tags if self._slots is None else ownership.tags[self._slots]
        self.tags = [tags[group] for group in self.groups]

    def observe(self, block: Block) -> dict[str, Array]:
        """``v`` and, where forces are streamed, ``f`` of the followed atoms: (3, B, n) each.

        The force is that which moves the atom relative to the frame, F − m a with the frame's acceleration a.
        """
        assert block.velocity is not None
        totals = block.totals
        # in place: for large systems fresh memory takes longer than the arithmetic
        velocity = self._taken(block.velocity)
        velocity -= self._frame.drift(totals).T[:, :, None]
        found = {"v": velocity}
        if block.force is not None:
            found["f"] = force = self._taken(block.force)
            pull = self._frame.acceleration(totals, self._mass, whole=self._whole)
            for group, mass in zip(self.groups, self._mass, strict=True):
                force[:, :, group] -= mass * pull.T[:, :, None]
        return found

    def _taken(self, vectors: Array) -> Array:
        """A copy of those (3, B, N) of the followed atoms."""
        return vectors.copy() if self._slots is None else np.take(vectors, self._slots, axis=2)


def _draw(comm: Communicator, ownership: Ownership, followed: Integers) -> list[Integers]:
    """Slots, by species, of the atoms with the lowest numbers in a random order of all ranks' atoms."""
    order, slots = random_order(ownership.tags), []
    for atoms, number in zip(ownership.species, followed.tolist(), strict=True):
        own = order[atoms]
        lowest = np.sort(np.concatenate(comm.collect(np.sort(own)[:number])))
        last = lowest[number - 1] if number else -1
        slots.append(atoms.start + np.flatnonzero(own <= last))
    return slots


def affordable(
    population: Integers, wanted: Integers, *, pairs: int, letters: int, lags: int, every: int,
    memory: float, work: float, precision: str = "single",
) -> Integers:  # fmt: skip
    """Atoms of each group to follow, (G,), at most ``wanted`` each, so that a budget holds.

    Parameters
    ----------
    population : atoms of each group; wanted : as many of each as the user wants at most
    pairs, letters, lags, every : what is correlated
    memory : bytes that all origins together may take
    work : floating-point operations a sample for all of them; :data:`FEWEST_ATOMS` are followed whatever that costs
    """
    slots = OriginRing(lags, every).slots
    most = np.minimum(population, wanted)
    by_memory = _shared(most, memory / (letters * slots * 3 * (4 if precision == "single" else 8)))
    by_work = max(_shared(most, work / (pairs * slots * 6)), FEWEST_ATOMS)
    chosen: Integers = np.minimum(most, max(1, min(by_memory, by_work)))
    return chosen


def _shared(most: Integers, total: float) -> int:
    """The largest number a group, none with more than ``most`` (G,), of which there are ``total`` in all groups."""
    low, high = 0, int(most.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(most, middle).sum() <= total else (low, middle - 1)
    return low


def random_order(tags: Integers) -> Integers:
    """A number for each tag, random but the same in every run and on every rank: the lowest are followed."""
    # splitmix64
    mixed = tags.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    order: Integers = (mixed >> np.uint64(1)).astype(np.int64)
    return order
