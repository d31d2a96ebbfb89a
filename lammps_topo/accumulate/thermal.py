"""Mean temperature with an error bar from block averages, in constant memory."""

from __future__ import annotations

import numpy as np

from ..stream.block import Array

_MAXIMUM_BLOCKS = 32


class ThermalAverage:
    """Running mean of a correlated series; its standard error from at most 32 block averages."""

    def __init__(self) -> None:
        self._length = 1  # samples in a block
        self._blocks: Array = np.zeros(0)  # sums of complete blocks
        self._rest: Array = np.zeros(0)  # samples of the incomplete one
        self._count = 0
        self._sum = 0.0

    def observe(self, values: Array) -> None:
        """Add values (B,)."""
        self._count += len(values)
        self._sum += float(values.sum())
        values = np.concatenate((self._rest, values))
        full = len(values) // self._length
        self._blocks = np.concatenate((self._blocks, values[: full * self._length].reshape(full, -1).sum(axis=1)))
        self._rest = values[full * self._length :]
        while len(self._blocks) > _MAXIMUM_BLOCKS:
            if len(self._blocks) % 2:  # an odd last block goes back to the incomplete ones as equal shares
                self._rest = np.concatenate((np.full(self._length, self._blocks[-1] / self._length), self._rest))
                self._blocks = self._blocks[:-1]
            self._blocks = self._blocks[0::2] + self._blocks[1::2]
            self._length *= 2

    @property
    def mean(self) -> float:
        return self._sum / self._count if self._count else float("nan")

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN with fewer than 8 blocks."""
        number = len(self._blocks)
        if number < 8:
            return float("nan")
        return float(np.std(self._blocks / self._length, ddof=1) / np.sqrt(number))
