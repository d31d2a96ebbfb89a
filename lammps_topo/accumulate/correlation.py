"""Velocity and force correlations of tagged particles as matrix products of stored origins and frames.

As in :mod:`~lammps_topo.accumulate.displacement`: all products of origins and frames of a block, summed over the
atoms of a group and three components, are one GEMM (O × 3n)·(3n × B) for each pair of quantities. Here single
precision does: a product of velocities loses no leading digits, and rounding stays 10⁻⁸ of the variance.

With velocities there is one more sum, ``norm``: ½(|v(t)|² + |v(t + lag)|²) of the very same pairs. What v(t)·v(t + lag)
falls short of it, ½|v(t + lag) − v(t)|², vanishes at short lags together with its noise.

A product belongs to the time batch of its origin, so that every batch holds all lags of the same origins: memory
kernels are second derivatives of what these sums give, and would show each lag at which the origins change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..stream.block import Array, Integers
from ..stream.snapshot import Snapshot, put_back
from .origins import MAXIMUM_BATCHES, PIECE, OriginRing, TimeBatches

_FIRST_BATCH = 64
#: Name, among the pairs, of the sum that velocity correlations are measured against.
NORM = "norm"


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
    pairs : those, and ``norm`` behind them
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
        self.pairs = (*pairs, NORM) if "v" in self._letters else tuple(pairs)
        self._places = [(self._letters.index(pair[0]), self._letters.index(pair[1])) for pair in pairs]
        self._type = np.float32 if precision == "single" else np.float64
        self._ring = OriginRing(lags, every)
        self._batches = TimeBatches(_FIRST_BATCH)
        self._sums: Array = np.zeros((MAXIMUM_BATCHES, len(self.pairs), len(groups), lags))
        self._counts: Array = np.zeros((MAXIMUM_BATCHES, lags))
        # pages of zeros take no memory until they are written
        self._origins = [
            np.zeros((len(self._letters), self._ring.slots, 3 * (group.stop - group.start)), dtype=self._type)
            for group in groups
        ]
        self._norms: Array = np.zeros((len(groups), self._ring.slots))

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
        return sum(int(array.nbytes) for array in (self._sums, self._counts, self._norms, *self._origins))

    def state(self) -> Snapshot:
        """What it remembers; ``origins0`` … (letters, slots, 3, n) are of the followed atoms of a group each."""
        used, filled = self._batches.used, self._ring.filled
        sums = {"sums": self._sums[:used], "norms": self._norms[:, :filled]}
        origins = {f"origins{g}": self._by_atom(store)[:, :filled] for g, store in enumerate(self._origins)}
        own = Snapshot({"counts": self._counts[:used]}, sums, origins)
        return own.joined(ring=self._ring.state(), batches=self._batches.state())

    def restore(self, state: Snapshot) -> None:
        self._ring.restore(state.part("ring"))
        self._batches.restore(state.part("batches"))
        put_back(self._counts, state["counts"])
        put_back(self._sums, state["sums"])
        put_back(self._norms, state["norms"], axis=1)
        for g, store in enumerate(self._origins):
            put_back(self._by_atom(store), state[f"origins{g}"], axis=1)

    def _by_atom(self, store: Any) -> Any:
        """A view of (letters, slots, 3 n) as (letters, slots, 3, n)."""
        letters, slots, columns = store.shape
        return store.reshape(letters, slots, 3, columns // 3)

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
        products = np.empty((len(self.pairs), len(self._groups), filled, number), dtype=self._type)
        for g, (group, origins) in enumerate(zip(self._groups, self._origins, strict=True)):
            rows = [self._rows(frame[:, :, group]) for frame in frames]
            for letter, row in enumerate(rows):
                origins[letter, slots] = row[new]
            for p, (earlier, later) in enumerate(self._places):
                np.matmul(origins[earlier, :filled], rows[later].T, out=products[p, g])
            if self.pairs[-1] == NORM:
                velocities = frames[self._letters.index("v")][:, :, group]
                norms = np.einsum("cbn,cbn->b", velocities, velocities)
                self._norms[g, slots] = norms[new]
                np.add(0.5 * self._norms[g, :filled, None], 0.5 * norms, out=products[-1, g], casting="same_kind")
            products[:, g] *= self._share[g]
        for batch, ages in self._ring.ages_by_batch(start, self._batches.length):
            self._ring.add_by_lag(products, int(index[0]), self._sums[batch], self._counts[batch], ages)

    def _rows(self, frames: Array) -> Any:
        """(3, B, n) as rows of 3 n numbers."""
        return np.ascontiguousarray(frames.transpose(1, 0, 2), dtype=self._type).reshape(frames.shape[1], -1)
