"""Stored origins, and how products of origins and frames become sums by lag.

Every ``every``-th sample of a stretch becomes an origin and stays as long as a frame within ``lags`` samples can
follow. Whatever is stored of it (positions, velocities, …) lies in the row of its slot; the products of all rows with
the frames of a block are one matrix product, whose diagonals belong to lags.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..stream.block import Array, Integers
from ..stream.snapshot import Snapshot

#: The most time batches that are kept; beyond it neighbours are added and batches last twice as long.
MAXIMUM_BATCHES = 64
#: The most frames that one set of matrix products takes: with more, more slots than live origins would be needed.
PIECE = 64


class OriginRing:
    """Numbers origins and gives them slots: origin n, the sample n·every of its stretch, has slot n modulo ``slots``.

    Attributes
    ----------
    slots : rows that a store of origins needs
    """

    def __init__(self, lags: int, every: int) -> None:
        self._lags, self._every = lags, every
        self.slots = -(-(lags + PIECE) // every) + 1
        self._newest = -1  # number of the youngest origin of this stretch

    def forget(self) -> None:
        """A new stretch begins."""
        self._newest = -1

    def state(self) -> Snapshot:
        """What it remembers."""
        return Snapshot({"newest": self._newest})

    def restore(self, state: Snapshot) -> None:
        self._newest = state.number("newest")

    @property
    def filled(self) -> int:
        """Slots 0 … filled − 1 hold origins of this stretch, the others nothing."""
        return min(self.slots, self._newest + 1)

    def claim(self, index: Integers) -> tuple[Integers, Integers]:
        """Which of the samples ``index`` (consecutive, at most :data:`PIECE`) become origins, and their slots."""
        new = np.flatnonzero(index % self._every == 0)
        numbers = index[new] // self._every
        if len(new):
            self._newest = int(numbers[-1])
        return new, numbers % self.slots

    def add_by_lag(
        self, products: Any, begin: int, sums: Array, counts: Array, ages: tuple[int, int] | None = None
    ) -> None:
        """Add ``products`` (…, filled, B) of the filled slots with frames begin … begin + B − 1 to sums (…, lags).

        ``ages`` (from, to) takes only these origins, counted from the youngest. The product of the j-th youngest and
        frame b belongs to the lag first + j·every + b. If B is a multiple m of ``every``, the rows j, j + m, j + 2 m, …
        continue each other, so that few long rows are added; else rows are added one by one. ``counts`` (lags,) gets
        the number of products.
        """
        young, old = ages if ages is not None else (0, self.filled)
        origins, number, every = old - young, products.shape[-1], self._every
        if origins <= 0:
            return
        turns = number // every if number % every == 0 else origins
        total = np.zeros((*products.shape[:-2], origins * every + number), dtype=products.dtype)
        youngest, done = self._newest % self.slots, 0
        # from the youngest slot down to the first, then from the last one down to the oldest
        for rows in (products[..., : youngest + 1, :], products[..., youngest + 1 :, :]):
            rows = rows[..., ::-1, :][..., max(young - done, 0) : max(old - done, 0), :]
            age = max(done - young, 0)
            for turn in range(min(turns, rows.shape[-2])):
                part = rows[..., turn::turns, :]
                begins = (age + turn) * every
                ends = begins + part.shape[-2] * number
                along = total[..., begins:ends].reshape(part.shape)  # a view
                along += part
            done += youngest + 1
        pairs = np.zeros(total.shape[-1] + 1)
        pairs[: origins * every : every] += 1.0
        pairs[number : number + origins * every : every] -= 1.0
        first = begin - (self._newest - young) * every
        low, high = max(0, first), min(self._lags, first + total.shape[-1])
        if low < high:
            sums[..., low:high] += total[..., low - first : high - first]
            counts[low:high] += np.cumsum(pairs)[low - first : high - first]

    def ages_by_batch(self, start: int, length: int) -> list[tuple[int, tuple[int, int]]]:
        """Time batches of ``length`` samples, and the ages of origins in each; ``start`` is the clock at sample 0."""
        samples = (self._newest - np.arange(self.filled)) * self._every
        batches = (start + samples) // length
        edges = np.flatnonzero(np.diff(batches)) + 1
        return [(int(batches[a]), (a, b)) for a, b in pairwise((0, *edges.tolist(), len(batches))) if b > a]


class TimeBatches:
    """Sums kept apart by time batch: estimators get error bars from their scatter.

    Batches are counted over all stretches.

    Attributes
    ----------
    length : samples in a batch
    clock : samples seen
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.clock = 0

    @property
    def used(self) -> int:
        return -(-self.clock // self.length)

    def state(self) -> Snapshot:
        """What it remembers."""
        return Snapshot({"length": self.length, "clock": self.clock})

    def restore(self, state: Snapshot) -> None:
        self.length, self.clock = state.number("length"), state.number("clock")

    def assign(self, number: int, *stores: Array) -> Integers:
        """Batches of the next ``number`` samples; where there would be too many, ``stores`` (batches, …) are halved."""
        while -(-(self.clock + number) // self.length) > MAXIMUM_BATCHES:
            self.length *= 2
            half = MAXIMUM_BATCHES // 2
            for store in stores:
                store[:half] = store[0::2] + store[1::2]
                store[half:] = 0.0
        batches: Integers = (self.clock + np.arange(number)) // self.length
        self.clock += number
        return batches


def pieces(batches: Integers) -> list[slice]:
    """Frames that go together: of one batch, and not too many."""
    edges = np.flatnonzero(np.diff(batches)) + 1
    return [
        slice(start, min(start + PIECE, last))
        for first, last in pairwise((0, *edges.tolist(), len(batches)))
        for start in range(first, last, PIECE)
    ]
