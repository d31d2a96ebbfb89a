"""Which of many centres that nobody has labelled is which at the next point: optimal assignment."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from .images import minimum_image
from .path import Array, Integers


def match(before: Array, after: Array, cell: Array, periodic: tuple[bool, bool, bool]) -> tuple[Integers, Array]:
    """The assignment of ``after`` (m, 3) to ``before`` (m, 3) with the least sum of squared distances.

    Returns
    -------
    order : (m,) centre i of ``before`` has become centre order[i] of ``after``
    moves : (m, 3) its motion, by the minimum image
    """
    vectors = minimum_image(after[None, :, :] - before[:, None, :], cell, periodic)
    rows, order = linear_sum_assignment((vectors**2).sum(axis=-1))
    return order.astype(np.int64), vectors[rows, order]
