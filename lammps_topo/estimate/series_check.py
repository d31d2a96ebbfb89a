"""What is looked at before a series is believed: its clock, its mean, its drift."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_SAMPLES = 16
"""Samples below which there is no spectrum."""
_OFF = 0.3
"""Intervals that a sample may lie beside its place: rounding of printed times, but no missing sample."""
_BLOCKS = 32
_FEWEST_BLOCKED = 32 * _BLOCKS
_ALARM = 5.0
"""Standard errors (31 blocks' worth: 2e-5 by chance) that a mean or a slope must be from zero."""


def equidistant(clock: Array) -> float | int:
    """Spacing of the times ``clock`` (T,); where they are not equidistant, the index before the first odd one."""
    spacing = (clock[-1] - clock[0]) / (len(clock) - 1)
    if spacing > 0 and np.abs(clock - (clock[0] + spacing * np.arange(len(clock)))).max() < _OFF * spacing:
        return float(spacing)
    steps = np.diff(clock)
    usual = np.median(steps)
    odd = np.abs(steps - usual) > _OFF * abs(usual) if usual else steps <= 0
    return int(np.argmax(odd))


def doubts_of_means(stretches: Sequence[Array], names: Sequence[str]) -> list[str]:
    """What to say of fluxes whose mean is not zero, or changes along the run.

    ``stretches`` are (T, M, C). Each component is averaged over 32 blocks of a stretch; mean and slope of the block
    means are compared with their own scatter, which is right for blocks longer than a correlation time. A sentence for
    each flux at most; a flux at equilibrium has no mean, but for chance.
    """
    notes = []
    blocks = [_blocks(stretch) for stretch in stretches if len(stretch) >= _FEWEST_BLOCKED]
    for index, name in enumerate(names):
        worst = {"mean": 0.0, "slope": 0.0}
        for means in blocks:
            for key, value in _significance(means[:, index]).items():
                worst[key] = max(worst[key], value)
        if worst["slope"] > _ALARM:
            notes.append(f"'{name}' drifts along the run, by {worst['slope']:.0f} standard errors: not at equilibrium?")
        elif worst["mean"] > _ALARM:
            notes.append(
                f"the mean of '{name}' is {worst['mean']:.0f} standard errors from zero, where a flux at equilibrium "
                "has none: is the centre of mass at rest? It was not subtracted (--remove-mean does)"
            )
    return notes


def _blocks(stretch: Array) -> Array:
    whole = len(stretch) // _BLOCKS
    rows = stretch[: whole * _BLOCKS].reshape(_BLOCKS, whole, -1)
    return np.asarray((np.full(whole, 1 / whole) @ rows).reshape(_BLOCKS, *stretch.shape[1:]))


def _significance(means: Array) -> dict[str, float]:
    """Largest |mean|/error and |slope|/error over the components of block means (B, C)."""
    time = np.arange(len(means)) - (len(means) - 1) / 2
    slope = time @ means / (time @ time)
    mean = means.mean(axis=0)
    rest = means - mean - time[:, None] * slope
    scatter = np.sqrt((rest**2).sum(axis=0) / (len(means) - 2))
    level = means.std(axis=0, ddof=1) / math.sqrt(len(means))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {"mean": np.abs(mean) / level, "slope": np.abs(slope) * math.sqrt(time @ time) / scatter}
    return {key: float(np.nan_to_num(value).max()) for key, value in found.items()}
