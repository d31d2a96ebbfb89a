"""Mean square displacements as matrix products of stored origins and frames.

With O origins stored every K samples, all products of origins and the frames of a block, summed over the atoms of a
group, are one GEMM (O × n)·(n × B) a Cartesian component: linear lags 0 … O·K − 1 at BLAS speed, without a history of
frames. |a − b|² = |a|² + |b|² − 2 a·b is taken in double precision about a base that follows the atoms. Coarser levels
do the same with every 16th, 256th … sample.

Sums are kept apart by time batch (by the sample of the later frame), from which estimators get error bars.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..stream.block import Array, Integers
from ..stream.snapshot import Snapshot, put_back
from .origins import MAXIMUM_BATCHES, OriginRing, TimeBatches, pieces


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
        self.stride = stride
        self._batches = TimeBatches(stride ** (levels - 1))
        self._levels: list[_Level] = [
            _Level(groups, population, lags=lags, every=every, corrections=corrections) for _ in range(levels)
        ]

    @property
    def batch(self) -> int:
        """Samples in a batch."""
        return self._batches.length

    @property
    def sums(self) -> list[Array]:
        return [level.sums[: self._batches.used] for level in self._levels]

    @property
    def counts(self) -> list[Array]:
        return [level.counts[: self._batches.used] for level in self._levels]

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self._levels)

    def state(self) -> Snapshot:
        """What it remembers."""
        used = self._batches.used
        levels = {f"level{power}": level.state(used) for power, level in enumerate(self._levels)}
        return Snapshot().joined(batches=self._batches.state(), **levels)

    def restore(self, state: Snapshot) -> None:
        self._batches.restore(state.part("batches"))
        for power, level in enumerate(self._levels):
            level.restore(state.part(f"level{power}"))

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
        index = first + np.arange(number)
        batches = self._batches.assign(
            number, *(store for level in self._levels for store in (level.sums, level.counts))
        )
        for power, level in enumerate(self._levels):
            step = self.stride**power
            chosen = np.flatnonzero(index % step == 0)
            if not len(chosen):
                break
            pick = slice(None) if step == 1 else chosen
            moved = frames[:, pick].copy() if shift is None else frames[:, pick] - shift[pick].T[:, :, None]
            extra = [(host[pick], mean[pick]) for host, mean in corrections]
            level.observe(moved, index[pick] // step, batches[pick], extra)


class _Level:
    """One level: stored origins, and the sums they give."""

    def __init__(
        self, groups: Sequence[slice], population: Integers, *, lags: int, every: int, corrections: int
    ) -> None:
        self._groups = tuple(groups)
        self._population = np.maximum(population, 1).astype(np.float64)
        self._lags = lags
        self._ring = OriginRing(lags, every)
        atoms, slots = max((group.stop for group in groups), default=0), self._ring.slots
        self.sums: Array = np.zeros((MAXIMUM_BATCHES, 1 + corrections, len(groups), 3, lags))
        self.counts: Array = np.zeros((MAXIMUM_BATCHES, lags))
        # pages of zeros take no memory until they are written
        self._origins: Array = np.zeros((3, slots, atoms))
        self._norms: Array = np.zeros((3, slots, len(groups)))
        self._hosts: Array = np.zeros((slots, corrections, 3))
        self._means: Array = np.zeros((slots, corrections, len(groups), 3))
        self._base: Array = np.zeros((3, atoms))
        self._rebased = -1  # sample at which the base was taken; −1: not yet

    @property
    def nbytes(self) -> int:
        arrays = (self.sums, self.counts, self._base, self._norms)
        used = self._ring.filled / self._ring.slots
        return sum(int(array.nbytes) for array in arrays) + int(used * self._origins.nbytes)

    def state(self, used: int) -> Snapshot:
        """With the first ``used`` batches, and the slots that hold origins."""
        filled = self._ring.filled
        own = Snapshot(
            {"counts": self.counts[:used], "rebased": self._rebased},
            {
                "sums": self.sums[:used],
                "norms": self._norms[:, :filled],
                "hosts": self._hosts[:filled],  # zeros but on the rank that is given the corrections
                "means": self._means[:filled],
            },
            {"origins": self._origins[:, :filled], "base": self._base},
        )
        return own.joined(ring=self._ring.state())

    def restore(self, state: Snapshot) -> None:
        self._ring.restore(state.part("ring"))
        self._rebased = state.number("rebased")
        for store, name, axis in [
            (self.counts, "counts", 0), (self.sums, "sums", 0), (self._norms, "norms", 1), (self._hosts, "hosts", 0),
            (self._means, "means", 0), (self._origins, "origins", 1), (self._base, "base", 0),
        ]:  # fmt: skip
            put_back(store, state[name], axis)

    def forget(self) -> None:
        self._ring.forget()
        self._rebased = -1

    def observe(
        self, frames: Array, index: Integers, batches: Integers, corrections: Sequence[tuple[Array, Array]]
    ) -> None:
        """Add frames (3, B, n) with consecutive ``index`` (B,), each belonging to a time batch (B,).

        ``frames`` is overwritten: for large systems fresh memory takes longer than the arithmetic.
        """
        for piece in pieces(batches):
            parts = [(host[piece], mean[piece]) for host, mean in corrections]
            self._observe(frames[:, piece], index[piece], int(batches[piece.start]), parts)

    def _observe(self, frames: Array, index: Integers, batch: int, corrections: Sequence[tuple[Array, Array]]) -> None:
        begin, number = int(index[0]), len(index)
        if self._rebased < 0 or begin - self._rebased >= self._lags:
            self._rebase(frames[:, 0], begin)
        frames -= self._base[:, None, :]
        norms = self._squares(frames)
        self._store_origins(frames, norms, index, corrections)
        filled = self._ring.filled
        squares = np.empty((self.sums.shape[1], len(self._groups), 3, filled, number))
        for g, group in enumerate(self._groups):
            share = 1.0 / self._population[g]
            stored = self._origins[:, :filled, group]
            np.matmul(stored, frames[:, :, group].transpose(0, 2, 1), out=squares[0, g])
            squares[0, g] *= -2.0 * share
            squares[0, g] += share * self._norms[:, :filled, g, None]
            squares[0, g] += share * norms[:, None, :, g]
        squares[1:] = squares[0]  # a rank that is not given the corrections has no share of them
        for c, (host, mean) in enumerate(corrections):
            away = (host - self._hosts[:filled, c, None]).transpose(2, 0, 1)  # (3, slots, frames)
            along = (mean - self._means[:filled, c, None]).transpose(2, 3, 0, 1)  # (groups, 3, slots, frames)
            along *= -2.0
            along += away
            along *= away
            squares[1 + c] += along
        self._ring.add_by_lag(squares, begin, self.sums[batch], self.counts[batch])

    def _squares(self, frames: Array) -> Array:
        """Σ over each group of squares: (3, frames, groups)."""
        return np.stack(
            [np.einsum("cbn,cbn->cb", frames[:, :, group], frames[:, :, group]) for group in self._groups], axis=2
        )

    def _store_origins(
        self, frames: Array, norms: Array, index: Integers, corrections: Sequence[tuple[Array, Array]]
    ) -> None:
        new, slots = self._ring.claim(index)
        self._origins[:, slots] = frames[:, new]
        self._norms[:, slots] = norms[:, new]
        for c, (host, mean) in enumerate(corrections):
            self._hosts[slots, c] = host[new]
            self._means[slots, c] = mean[new]

    def _rebase(self, base: Array, index: int) -> None:
        """Move the base to where the atoms are now, so that diffusion costs no digits."""
        filled = self._ring.filled
        if filled:
            self._origins[:, :filled] -= (base - self._base)[:, None, :]
            self._norms[:, :filled] = self._squares(self._origins[:, :filled])
        self._base, self._rebased = base.copy(), index
