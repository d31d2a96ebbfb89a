"""The slope of a squared displacement of a record, all its levels together."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..record import DisplacementRecord, Record
from .einstein import SlopeFit, fit_slope


def displacement_slope(
    record: DisplacementRecord, run: Record, frame: int, group: int, window: tuple[float, float] | None,
    method: Literal["gls", "plateau"] = "gls",
) -> SlopeFit:  # fmt: skip
    """Slope of the mean of the three components of ``group`` in ``frame``; as ``einstein.fit_slope``."""
    numbers, sums, counts = [], [], []
    lags = record.counts[0].shape[1]
    for level in range(len(record.counts)):
        first = 1 if level == 0 else -(-lags // record.stride)
        numbers.append(np.arange(first, lags) * record.stride**level)
        sums.append(record.sums[level][:, frame, group, :, first:].transpose(0, 2, 1))
        counts.append(record.counts[level][:, first:])
    return fit_slope(
        np.concatenate(numbers) * run.interval,
        np.concatenate(sums, axis=1),
        np.concatenate(counts, axis=1),
        batch_duration=record.batch * run.interval,
        window=window,
        method=method,
    )
