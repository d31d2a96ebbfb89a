"""Mean square displacements as matrix products of stored origins and frames.

With O origins stored every K samples, all products of origins and the frames of a block, summed over the atoms of a
group, are one GEMM (O × n)·(n × B) a Cartesian component: linear lags 0 … O·K − 1 at BLAS speed, without a history of
frames. |a − b|² = |a|² + |b|² − 2 a·b is taken in double precision about a base that follows the atoms. Coarser levels
do the same with every 16th, 256th … sample.

Sums are kept apart by time batch (by the sample of the later frame), from which estimators get error bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..stream.block import Array, Integers

#: The most time batches that are kept; beyond it neighbours are added and batches last twice as long.
MAXIMUM_BATCHES = 64
#: The most frames that one set of matrix products takes.
_PIECE = 64


class Displacements:
    """Sums of squared displacements of groups of atoms, by lag, time batch, frame, group and Cartesian component.

    Parameters
    ----------
    groups : slices of the atoms (of this rank) that are averaged together
    population : atoms of each group on all ranks
    lags, every : lags 0 … lags − 1 a level, an origin every ``every`` samples; lags is a multiple of every
    levels, stride : level l takes every stride**l-th sample
    corrections : number of further frames (see :meth:`observe`)

    Attributes
    ----------
    sums : per level (batches, 1 + corrections, groups, 3, lags); this rank's share, divided by ``population``
    counts : per level (batches, lags): pairs of origin and frame; the same on every rank
    batch : samples in a batch
    """

    def __init__(
        self,
        groups: Sequence[slice],
        population: Integers,
        *,
        lags: int,
        every: int,
        levels: int,
        stride: int,
        corrections: int = 0,
    ) -> None:
        self.batch: int = stride ** (levels - 1)
        self.stride = stride
        self._levels: list[_Level] = [
            _Level(groups, population, lags=lags, every=every, corrections=corrections) for _ in range(levels)
        ]
        self._clock = 0  # samples seen, over all stretches: what batches are counted by

    @property
    def sums(self) -> list[Array]:
        used = self._used_batches
        return [level.sums[:used] for level in self._levels]

    @property
    def counts(self) -> list[Array]:
        used = self._used_batches
        return [level.counts[:used] for level in self._levels]

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self._levels)

    @property
    def _used_batches(self) -> int:
        return -(-self._clock // self.batch)

    def observe(
        self, frames: Array, first: int, shift: Array | None = None, corrections: Sequence[tuple[Array, Array]] = ()
    ) -> None:
        """Add B frames that follow the last ones.

        Parameters
        ----------
        frames : (3, B, n) displacements since the stretch began
        first : index of the first frame in its stretch; 0 begins a new one, and forgets all origins
        shift : (B, 3) subtracted from every atom: the frame of reference that everything is measured in
        corrections : for each further frame of reference its motion (B, 3) relative to ``shift``, and the mean
            displacement (B, groups, 3) of the groups relative to ``shift``. Its sums follow from
            Σ|Δr − Δh|² = Σ|Δr|² − 2 Δh·ΣΔr + n|Δh|², at no cost per atom. Pass them on one rank only.
        """
        number = frames.shape[1]
        if first == 0:
            for level in self._levels:
                level.forget()
        while -(-(self._clock + number) // self.batch) > MAXIMUM_BATCHES:
            self._merge_batches()
        index = first + np.arange(number)
        batches = (self._clock + np.arange(number)) // self.batch
        for power, level in enumerate(self._levels):
            step = self.stride**power
            chosen = np.flatnonzero(index % step == 0)
            if not len(chosen):
                break
            pick = slice(None) if step == 1 else chosen
            moved = frames[:, pick] if shift is None else frames[:, pick] - shift[pick].T[:, :, None]
            extra = [(host[pick], mean[pick]) for host, mean in corrections]
            level.observe(moved, index[pick] // step, batches[pick], extra)
        self._clock += number

    def _merge_batches(self) -> None:
        self.batch *= 2
        for level in self._levels:
            level.merge_batches()


class _Level:
    """One level: origins in a ring of slots, and the sums they give."""

    def __init__(
        self, groups: Sequence[slice], population: Integers, *, lags: int, every: int, corrections: int
    ) -> None:
        self._groups = tuple(groups)
        self._population = np.maximum(population, 1).astype(np.float64)
        self._lags = lags
        self._every = every
        self._atoms = max((group.stop for group in groups), default=0)
        self.sums: Array = np.zeros((MAXIMUM_BATCHES, 1 + corrections, len(groups), 3, lags))
        self.counts: Array = np.zeros((MAXIMUM_BATCHES, lags))
        self.forget()

    @property
    def nbytes(self) -> int:
        arrays = (self.sums, self.counts, self._origins, self._base, self._norms)
        return sum(int(array.nbytes) for array in arrays)

    def forget(self) -> None:
        self._origins: Array = np.zeros((3, 0, self._atoms))
        self._index: Integers = np.zeros(0, dtype=np.int64)  # sample of the origin in each slot; −1: empty
        self._norms: Array = np.zeros((3, 0, len(self._groups)))
        self._hosts: Array = np.zeros((0, self.sums.shape[1] - 1, 3))
        self._means: Array = np.zeros((0, self.sums.shape[1] - 1, len(self._groups), 3))
        self._base: Array = np.zeros((3, self._atoms))
        self._rebased = -1  # sample at which the base was taken; −1: not yet

    def merge_batches(self) -> None:
        half = MAXIMUM_BATCHES // 2
        for array in (self.sums, self.counts):
            array[:half] = array[0::2] + array[1::2]
            array[half:] = 0.0

    def observe(
        self, frames: Array, index: Integers, batches: Integers, corrections: Sequence[tuple[Array, Array]]
    ) -> None:
        """Add frames (3, B, n) with consecutive ``index`` (B,), each belonging to a time batch (B,)."""
        edges = np.flatnonzero(np.diff(batches)) + 1
        for first, last in pairwise((0, *edges.tolist(), len(index))):
            # many frames at once would need many more slots than there are live origins
            for start in range(first, last, _PIECE):
                piece = slice(start, min(start + _PIECE, last))
                parts = [(host[piece], mean[piece]) for host, mean in corrections]
                self._observe(frames[:, piece], index[piece], int(batches[start]), parts)

    def _observe(self, frames: Array, index: Integers, batch: int, corrections: Sequence[tuple[Array, Array]]) -> None:
        begin, number = int(index[0]), len(index)
        if self._rebased < 0 or begin - self._rebased >= self._lags:
            self._rebase(frames[:, 0], begin)
        frames = frames - self._base[:, None, :]
        norms = self._squares(frames)
        self._store_origins(frames, norms, index, corrections)
        squares = np.empty((self.sums.shape[1], len(self._groups), 3, len(self._index), number))
        for g, group in enumerate(self._groups):
            share = 1.0 / self._population[g]
            np.matmul(self._origins[:, :, group], frames[:, :, group].transpose(0, 2, 1), out=squares[0, g])
            squares[0, g] *= -2.0 * share
            squares[0, g] += share * self._norms[:, :, g, None]
            squares[0, g] += share * norms[:, None, :, g]
        squares[1:] = squares[0]  # a rank that is not given the corrections has no share of them
        for c, (host, mean) in enumerate(corrections):
            away = (host - self._hosts[:, c, None]).transpose(2, 0, 1)  # (3, slots, frames)
            along = (mean - self._means[:, c, None]).transpose(2, 3, 0, 1)  # (groups, 3, slots, frames)
            along *= -2.0
            along += away
            along *= away
            squares[1 + c] += along
        self._add_by_lag(squares, begin, number, batch)

    def _add_by_lag(self, squares: Array, begin: int, number: int, batch: int) -> None:
        """Add ``squares`` (…, slots, B) to the sums by lag.

        Live origins are ``every`` samples apart, so that the row of the j-th youngest belongs to lags from
        first + j·every on. If B is a multiple m of that, the rows j, j + m, j + 2 m, … continue each other: m long
        rows are added, where a loop over slots would add many short ones.
        """
        live = np.flatnonzero(self._index >= 0)
        if not len(live):
            return
        order = live[np.argsort(-self._index[live])]
        first = begin - int(self._index[order[0]])
        turns = max(1, number // self._every) if number % self._every == 0 else len(order)
        length = -(-len(order) // turns)
        padded = np.concatenate((order, np.full(turns * length - len(order), order[0])))
        rows = squares[..., padded.reshape(length, turns).T, :]  # (…, turns, length, B)
        extent = (turns - 1) * self._every + length * number
        total, pairs = np.zeros((*rows.shape[:-3], extent)), np.zeros(extent + 1)
        for turn in range(turns):
            used = -(-(len(order) - turn) // turns) * number  # without the padding
            start = turn * self._every
            total[..., start : start + used] += rows[..., turn, :, :].reshape(*rows.shape[:-3], -1)[..., :used]
            pairs[start] += 1.0
            pairs[start + used] -= 1.0
        low, high = max(0, first), min(self._lags, first + extent)
        if low < high:
            self.sums[batch][..., low:high] += total[..., low - first : high - first]
            self.counts[batch][low:high] += np.cumsum(pairs)[low - first : high - first]

    def _squares(self, frames: Array) -> Array:
        """Σ over each group of squares: (3, frames, groups)."""
        return np.stack(
            [np.einsum("cbn,cbn->cb", frames[:, :, group], frames[:, :, group]) for group in self._groups], axis=2
        )

    def _store_origins(
        self, frames: Array, norms: Array, index: Integers, corrections: Sequence[tuple[Array, Array]]
    ) -> None:
        """Put the frames that become origins into slots whose origins no frame of this block can reach."""
        new = np.flatnonzero(index % self._every == 0)
        if not len(new):
            return
        free = np.flatnonzero((self._index < 0) | (index[0] - self._index >= self._lags))
        if len(free) < len(new):
            free = np.concatenate((free, self._grow(len(new) - len(free))))
        slots = free[: len(new)]
        self._origins[:, slots] = frames[:, new]
        self._norms[:, slots] = norms[:, new]
        self._index[free] = -1
        self._index[slots] = index[new]
        for c, (host, mean) in enumerate(corrections):
            self._hosts[slots, c] = host[new]
            self._means[slots, c] = mean[new]

    def _grow(self, more: int) -> Integers:
        """Add slots, up to the lags/every + block/every that are ever needed; returns their numbers."""
        old = len(self._index)
        room = max(more, min(old, self._lags // self._every - old))
        self._origins = np.concatenate((self._origins, np.zeros((3, room, self._atoms))), axis=1)
        self._norms = np.concatenate((self._norms, np.zeros((3, room, len(self._groups)))), axis=1)
        self._index = np.concatenate((self._index, np.full(room, -1)))
        self._hosts = np.concatenate((self._hosts, np.zeros((room, *self._hosts.shape[1:]))))
        self._means = np.concatenate((self._means, np.zeros((room, *self._means.shape[1:]))))
        return np.arange(old, old + room)

    def _rebase(self, base: Array, index: int) -> None:
        """Move the base to where the atoms are now, so that diffusion costs no digits."""
        if not len(self._index):
            self._base, self._rebased = base.copy(), index
            return
        shift = base - self._base
        self._origins -= shift[:, None, :]
        self._norms = self._squares(self._origins)
        self._base = base.copy()
        self._rebased = index
