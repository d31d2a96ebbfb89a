"""Mean of a correlated series, such as the temperature, with an error bar from block averages in constant memory."""

from __future__ import annotations

import numpy as np

from ..stream.block import Array
from ..stream.snapshot import Snapshot, put_back

_MAXIMUM_BLOCKS = 32


class BlockAverage:
    """Running mean; its standard error from 16 to 32 block averages, which double their length when full."""

    def __init__(self) -> None:
        self._length = 1  # samples in a block
        self._sums: Array = np.zeros(_MAXIMUM_BLOCKS)
        self._count = 0

    def observe(self, values: Array) -> None:
        """Add values (B,)."""
        end = self._count + len(values)
        while -(-end // self._length) > _MAXIMUM_BLOCKS:
            self._sums[: _MAXIMUM_BLOCKS // 2] = self._sums[0::2] + self._sums[1::2]
            self._sums[_MAXIMUM_BLOCKS // 2 :] = 0.0
            self._length *= 2
        block = np.arange(self._count, end) // self._length
        self._sums += np.bincount(block, values, minlength=_MAXIMUM_BLOCKS)
        self._count = end

    def state(self) -> Snapshot:
        """What it remembers."""
        return Snapshot({"length": self._length, "sums": self._sums, "count": self._count})

    def restore(self, state: Snapshot) -> None:
        self._length, self._count = state.number("length"), state.number("count")
        put_back(self._sums, state["sums"])

    @property
    def mean(self) -> float:
        return float(self._sums.sum() / self._count) if self._count else float("nan")

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN with fewer than 8 complete blocks."""
        complete = self._count // self._length
        if complete < 8:
            return float("nan")
        return float(np.std(self._sums[:complete] / self._length, ddof=1) / np.sqrt(complete))
