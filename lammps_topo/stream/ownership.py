"""Atoms move between ranks; here every rank owns a fixed set of them, a range of tags, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import StreamError
from .block import Array, Integers
from .communicator import Communicator

_BINS_PER_RANK = 256
#: A table is kept where the range of tags is at most so many times their number.
_DENSE = 8


@dataclass(frozen=True)
class Misfit:
    """Atoms that are not those owned: what is wrong, and at which sample of the block first."""

    text: str
    sample: int


class Ownership:
    """Which rank owns which tags, and in which slot of its arrays each of them lives.

    Ranks own contiguous ranges of tags with about equal numbers of atoms; tags may have gaps, and a rank may own none.
    Within a rank atoms are sorted by species, then by tag.

    Attributes
    ----------
    tags : (n,) own tags, slot by slot
    species : slice of the slots of each species
    population : (S,) atoms of each species on all ranks
    """

    def __init__(self, comm: Communicator, tags: Integers, species: Integers, number: int) -> None:
        """Collective. ``tags`` and ``species`` (an index below ``number``) are those of the rank's local atoms."""
        self._comm = comm
        self._bounds = _balanced_bounds(comm, tags)
        rows = np.column_stack((tags, species)).astype(np.float64)
        received, _ = self._send(rows, np.array([len(rows)]))
        order = np.lexsort((received[:, 0], received[:, 1]))
        self.tags: Integers = received[order, 0].astype(np.int64)
        own = received[order, 1].astype(np.int64)
        edges = np.searchsorted(own, np.arange(number + 1))
        self.species = tuple(slice(int(a), int(b)) for a, b in pairwise(edges))
        self.population: Integers = np.rint(comm.sum(np.diff(edges).astype(np.float64))).astype(np.int64)
        self._find = _SlotTable(self.tags)

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def nbytes(self) -> int:
        return int(self.tags.nbytes) + self._find.nbytes

    def redistribute(self, rows: Array, counts: Integers) -> tuple[Array, Misfit | None]:
        """Bring packed ``rows`` (first column: tag) of ``counts`` (B,) rows a sample to their owners.

        Collective. Returns the other columns as (columns, B, n), and a misfit if atoms of this rank are missing,
        doubled or foreign; then the array's contents are undefined.
        """
        received, samples = self._send(rows, counts)
        columns, number, own = rows.shape[1] - 1, len(counts), len(self)
        tags = received[:, 0].astype(np.int64)
        slots = self._find(tags)
        cells = samples * own + slots
        problem = self._check(tags, samples, slots, cells, number)
        result = np.empty((columns, number * own))
        if problem is None:
            order = np.empty_like(cells)
            order[cells] = np.arange(len(cells))
            for column in range(columns):
                # all are in range; only the mode 'raise' would make a copy first
                np.take(received[:, 1 + column], order, out=result[column], mode="clip")
        return result.reshape(columns, number, own), problem

    def _send(self, rows: Array, counts: Integers) -> tuple[Array, Integers]:
        """Rows to their owners; returns them and the sample that each belongs to."""
        number = len(counts)
        samples = np.repeat(np.arange(number), counts)
        if self._comm.size == 1:
            return rows, samples
        owner = np.searchsorted(self._bounds, rows[:, 0].astype(np.int64), side="right") - 1
        np.clip(owner, 0, self._comm.size - 1, out=owner)
        sent = np.bincount(owner * number + samples, minlength=self._comm.size * number)
        sent = sent.reshape(self._comm.size, number)
        came = self._comm.swap_counts(sent)
        order = np.argsort(owner, kind="stable")
        received = self._comm.swap_rows(rows[order], sent.sum(axis=1), came.sum(axis=1))
        return received, np.repeat(np.tile(np.arange(number), self._comm.size), came.ravel())

    def _check(self, tags: Integers, samples: Integers, slots: Integers, cells: Integers, number: int) -> Misfit | None:
        foreign = slots < 0
        if foreign.any():
            return _foreign(tags[foreign][0], samples[foreign].min())
        seen = np.bincount(cells, minlength=number * len(self))
        wrong = np.flatnonzero(seen != 1)
        if not len(wrong):
            return None
        sample, slot = divmod(int(wrong[0]), len(self))
        what = "is lost" if seen[wrong[0]] == 0 else "appears twice"
        return Misfit(f"atom {self.tags[slot]} of the group {what}", sample)


class _SlotTable:
    """Slots of tags, −1 for foreign ones: a table over their range, or a search where tags are sparse."""

    def __init__(self, tags: Integers) -> None:
        order = np.argsort(tags)
        self._sorted, self._order = tags[order], order
        self._lowest = int(self._sorted[0]) if len(tags) else 0
        span = int(self._sorted[-1]) - self._lowest + 1 if len(tags) else 0
        self._table: Integers | None = None
        if span <= _DENSE * len(tags):
            self._table = np.full(span, -1, dtype=np.int64)
            self._table[tags - self._lowest] = np.arange(len(tags))

    @property
    def nbytes(self) -> int:
        arrays = (self._sorted, self._order, self._table)
        return sum(int(array.nbytes) for array in arrays if array is not None)

    def __call__(self, tags: Integers) -> Integers:
        if not len(self._sorted):
            return np.full(len(tags), -1, dtype=np.int64)
        if self._table is not None:
            offsets = tags - self._lowest
            inside = (offsets >= 0) & (offsets < len(self._table))
            if inside.all():
                return self._table[offsets]
            return np.where(inside, self._table[np.where(inside, offsets, 0)], -1)
        place = np.minimum(np.searchsorted(self._sorted, tags), len(self._sorted) - 1)
        return np.where(self._sorted[place] == tags, self._order[place], -1)


def _foreign(tag: int, sample: int) -> Misfit:
    return Misfit(f"atom {tag} was not in the group when the measurement began", int(sample))


def _balanced_bounds(comm: Communicator, tags: Integers) -> Integers:
    """First tag of each rank's range, (size,): ranges hold about equal numbers of atoms."""
    lowest = min(comm.collect(int(tags.min()) if len(tags) else np.iinfo(np.int64).max))
    highest = max(comm.collect(int(tags.max()) if len(tags) else -1))
    if highest < 0:
        raise StreamError("the group has no atoms")
    if lowest <= 0:
        raise StreamError("atoms need positive tags (atom_modify id yes)")
    bins = min(_BINS_PER_RANK * comm.size, highest - lowest + 1)
    width = -(-(highest - lowest + 1) // bins)
    histogram = comm.sum(np.bincount((tags - lowest) // width, minlength=bins).astype(np.float64))
    filled = np.concatenate(([0.0], np.cumsum(histogram)))
    wanted = filled[-1] * np.arange(comm.size) / comm.size
    edge: NDArray[np.intp] = np.searchsorted(filled, wanted, side="left")
    bounds: Integers = (lowest + edge * width).astype(np.int64)
    return bounds
