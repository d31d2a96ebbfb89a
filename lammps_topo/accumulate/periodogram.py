"""Segment-averaged cross-periodograms at several segment lengths: a spectrum in constant memory.

For each length N the matrices Σ J̃_a(k)* J̃_b(k) of complete segments are added up (physics.md §3); a segment that a gap
in the run interrupts is dropped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..stream.block import Array
from ..stream.snapshot import Snapshot, put_back


class SegmentPeriodograms:
    """Sums of cross-periodogram matrices of segments of N, 2 N, 4 N … samples.

    Parameters
    ----------
    columns : number F of fluxes
    shortest, number : segment lengths shortest · 2**i, i < number

    Attributes
    ----------
    lengths : the segment lengths in samples
    sums : per length (N/2 + 1, F, F) complex: sum over segments and Cartesian components, without prefactor
    segments : per length the number of complete segments
    """

    def __init__(self, columns: int, *, shortest: int, number: int) -> None:
        self.lengths = [shortest * 2**power for power in range(number)]
        self.sums: list[NDArray[np.complex128]] = [
            np.zeros((length // 2 + 1, columns, columns), dtype=np.complex128) for length in self.lengths
        ]
        self.segments = [0] * number
        self._buffer: Array = np.zeros((self.lengths[-1], columns, 3))
        self._filled = 0

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes + sum(matrix.nbytes for matrix in self.sums)

    def observe(self, flux: Array, first: int) -> None:
        """Add samples (B, F, 3); ``first`` = 0 begins a new stretch and drops incomplete segments."""
        if first == 0:
            self._filled = 0
        longest, shortest = self.lengths[-1], self.lengths[0]
        done = 0
        while done < len(flux):
            # up to the next multiple of the shortest length: no segment can be completed in between
            take = min(len(flux) - done, shortest - self._filled % shortest)
            self._buffer[self._filled : self._filled + take] = flux[done : done + take]
            self._filled += take
            done += take
            if self._filled % shortest == 0:
                for which, length in enumerate(self.lengths):
                    if self._filled % length == 0:
                        self._add(which, self._buffer[self._filled - length : self._filled])
                if self._filled == longest:
                    self._filled = 0

    def state(self) -> Snapshot:
        """What it remembers."""
        sums = {f"sums{which}": matrix for which, matrix in enumerate(self.sums)}
        return Snapshot({"segments": np.array(self.segments), "buffer": self._buffer[: self._filled], **sums})

    def restore(self, state: Snapshot) -> None:
        self.segments = state["segments"].tolist()
        self._filled = len(state["buffer"])
        put_back(self._buffer, state["buffer"])
        for which, matrix in enumerate(self.sums):
            put_back(matrix, state[f"sums{which}"])

    def _add(self, which: int, segment: Array) -> None:
        transform = np.fft.rfft(segment, axis=0)  # (K, F, 3)
        self.sums[which] += np.matmul(transform.conj(), transform.transpose(0, 2, 1))
        self.segments[which] += 1
