"""Velocity and force correlations of tagged particles as matrix products of stored origins and frames.

As in :mod:`~lammps_topo.accumulate.displacement`: all products of origins and frames of a block, summed over the
atoms of a group and three components, are one GEMM (O × 3n)·(3n × B) for each pair of quantities. Here single
precision does: a product of velocities loses no leading digits, and rounding stays 10⁻⁸ of the variance.

A product belongs to the time batch of its origin, so that every batch holds all lags of the same origins: memory
kernels are second derivatives of what these sums give, and would show each lag at which the origins change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..stream.block import Array, Integers
from .origins import MAXIMUM_BATCHES, PIECE, OriginRing, TimeBatches

_FIRST_BATCH = 64


class Correlations:
    """Sums of a(t)·b(t + lag) over origins t, by time batch, pair of quantities, group and lag.

    Parameters
    ----------
    groups : slices of the followed atoms (of this rank) that are averaged together
    population : followed atoms of each group on all ranks
    pairs : such as ``vf``, the quantity at the earlier time first
    lags, every : lags 0 … lags − 1, an origin every ``every`` samples
    precision : ``single`` or ``double``, of the products; sums are double

    Attributes
    ----------
    sums : (batches, pairs, groups, lags), this rank's share, divided by ``population``
    counts : (batches, lags), the same on every rank
    """

    def __init__(
        self,
        groups: Sequence[slice],
        population: Integers,
        *,
        pairs: Sequence[str],
        lags: int,
        every: int,
        precision: str = "single",
    ) -> None:
        self._groups = tuple(groups)
        self._share = 1.0 / np.maximum(population, 1)
        self._letters = "".join(sorted(set("".join(pairs))))
        self._places = [(self._letters.index(pair[0]), self._letters.index(pair[1])) for pair in pairs]
        self._type = np.float32 if precision == "single" else np.float64
        self._ring = OriginRing(lags, every)
        self._batches = TimeBatches(_FIRST_BATCH)
        self._sums: Array = np.zeros((MAXIMUM_BATCHES, len(pairs), len(groups), lags))
        self._counts: Array = np.zeros((MAXIMUM_BATCHES, lags))
        # pages of zeros take no memory until they are written
        self._origins = [
            np.zeros((len(self._letters), self._ring.slots, 3 * (group.stop - group.start)), dtype=self._type)
            for group in groups
        ]

    @property
    def batch(self) -> int:
        """Samples in a batch."""
        return self._batches.length

    @property
    def sums(self) -> Array:
        return self._sums[: self._batches.used]

    @property
    def counts(self) -> Array:
        return self._counts[: self._batches.used]

    @property
    def nbytes(self) -> int:
        return sum(int(array.nbytes) for array in (self._sums, self._counts, *self._origins))

    def observe(self, first: int, **quantities: Array) -> None:
        """Add B frames that follow the last ones.

        Parameters
        ----------
        first : index of the first frame in its stretch; 0 begins a new one, and forgets all origins
        quantities : ``v`` and ``f`` as far as pairs need them, (3, B, n)
        """
        frames = [quantities[letter] for letter in self._letters]
        number = frames[0].shape[1]
        if first == 0:
            self._ring.forget()
        index = first + np.arange(number)
        start = self._batches.clock - first
        self._batches.assign(number, self._sums, self._counts)
        for begin in range(0, number, PIECE):
            piece = slice(begin, begin + PIECE)
            self._observe([frame[:, piece] for frame in frames], index[piece], start)

    def _observe(self, frames: Sequence[Array], index: Integers, start: int) -> None:
        new, slots = self._ring.claim(index)
        filled, number = self._ring.filled, len(index)
        products = np.empty((len(self._places), len(self._groups), filled, number), dtype=self._type)
        for g, (group, origins) in enumerate(zip(self._groups, self._origins, strict=True)):
            rows = [self._rows(frame[:, :, group]) for frame in frames]
            for letter, row in enumerate(rows):
                origins[letter, slots] = row[new]
            for p, (earlier, later) in enumerate(self._places):
                np.matmul(origins[earlier, :filled], rows[later].T, out=products[p, g])
            products[:, g] *= self._share[g]
        for batch, ages in self._ring.ages_by_batch(start, self._batches.length):
            self._ring.add_by_lag(products, int(index[0]), self._sums[batch], self._counts[batch], ages)

    def _rows(self, frames: Array) -> Any:
        """(3, B, n) as rows of 3 n numbers."""
        return np.ascontiguousarray(frames.transpose(1, 0, 2), dtype=self._type).reshape(frames.shape[1], -1)
