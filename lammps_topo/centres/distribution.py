"""Means and distributions over snapshots, with errors from how snapshots differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import EstimateError
from .snapshot import Array


@dataclass(frozen=True)
class Distribution:
    """Of a number that every ion has.

    Attributes
    ----------
    mean, mean_error : NaN error of a single snapshot
    width, width_error : standard deviation over the ions of all snapshots
    edges : (B+1,) of the bins; density : (B,) normalised to 1; error : (B,)
    ions, snapshots : how many there are
    """

    mean: float
    mean_error: float
    width: float
    width_error: float
    edges: Array
    density: Array
    error: Array
    ions: int
    snapshots: int


def distribution(values: Sequence[Array], edges: Array) -> Distribution:
    """Distribution of the values of each snapshot, every snapshot with the same weight.

    Snapshots are taken to be independent of one another; ions of one snapshot are not.

    Raises
    ------
    EstimateError
        There is no value.
    """
    rows = [row for row in values if len(row)]
    if not rows:
        raise EstimateError("no snapshot has such an ion")
    means = np.array([row.mean() for row in rows])
    mean = float(means.mean())
    variances = np.array([((row - mean) ** 2).mean() for row in rows])
    width = math.sqrt(float(variances.mean()))
    densities = np.stack([np.histogram(row, edges)[0] / len(row) for row in rows]) / np.diff(edges)
    return Distribution(
        mean=mean,
        mean_error=float(standard_error(means)),
        width=width,
        width_error=float(standard_error(variances)) / (2.0 * width) if width > 0 else math.nan,
        edges=edges,
        density=densities.mean(axis=0),
        error=standard_error(densities),
        ions=sum(map(len, rows)),
        snapshots=len(rows),
    )


def standard_error(rows: Array) -> Array:
    """Standard error of the mean of rows; NaN of a single one."""
    if len(rows) < 2:
        return np.full(rows.shape[1:], math.nan)
    error: Array = rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
    return error
