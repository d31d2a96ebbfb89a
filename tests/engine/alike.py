"""Records of one trajectory through different doors: the same but for rounding."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RELATIVE = 1e-10
"""Of the largest number of an array: numbers pass through sums over some hundred atoms in different orders; this is
what users are promised."""


def assert_alike(pairs: Iterable[tuple[np.ndarray, np.ndarray]], relative: float = RELATIVE) -> None:
    """Every array, none of which is zero, is the same as the other."""
    for ours, theirs in pairs:
        scale = np.abs(ours).max()
        assert scale > 0
        assert np.abs(ours - theirs).max() <= relative * scale
