"""What is looked at before a series is believed: its clock, its mean, its drift, its power."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

Array = NDArray[np.float64]

FEWEST_SAMPLES = 16
"""Samples below which there is no spectrum."""
_OFF = 0.3
"""Intervals that a sample may lie beside its place: rounding of printed times, but no missing sample."""
_BLOCKS = 32
_FEWEST_BLOCKED = 32 * _BLOCKS
_ALARM = 5.0
"""Standard errors (31 blocks' worth: 2e-5 by chance) that a mean or a slope must be from zero."""
_PARTS = 4
_CHANCE = 1e-4
"""Of a false alarm about the power of a flux."""


def equidistant(clock: Array) -> float | int:
    """Spacing of the times ``clock`` (T,); where they are not equidistant, the index before the first odd one."""
    spacing = (clock[-1] - clock[0]) / (len(clock) - 1)
    if spacing > 0 and np.abs(clock - (clock[0] + spacing * np.arange(len(clock)))).max() < _OFF * spacing:
        return float(spacing)
    steps = np.diff(clock)
    usual = np.median(steps)
    odd = np.abs(steps - usual) > _OFF * abs(usual) if usual else steps <= 0
    return int(np.argmax(odd))


def doubts_of_stretches(stretches: Sequence[Array], names: Sequence[str]) -> list[str]:
    """What to say of fluxes whose mean is not zero, or whose mean or power changes along the run.

    ``stretches`` are (T, M, C). Each component is averaged over 32 blocks of a stretch; mean and slope of the block
    means are compared with their own scatter, which is right for blocks longer than a correlation time. Power is that
    of the quarters of a stretch, see :func:`_change_of_power`. A sentence for each flux and kind at most; a flux at
    equilibrium has no mean, but for chance.
    """
    notes = []
    known = [stretch for stretch in stretches if len(stretch) >= _FEWEST_BLOCKED]
    blocks = [_blocks(stretch) for stretch in known]
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
        chance, ratio = min((_change_of_power(stretch[:, index]) for stretch in known), default=(1.0, 1.0))
        if chance < _CHANCE:
            notes.append(
                f"the mean square of '{name}' changes along the run, by a factor of {ratio:.3g} between quarters: not "
                "stationary?"
            )
    return notes


def _change_of_power(stretch: Array) -> tuple[float, float]:
    """Chance that the mean squares of four quarters of ``stretch`` (T, C) differ so, and largest over smallest.

    The scatter that a stationary flux allows them is that within the quarters, of their eighths: a ratio of variances,
    as in an analysis of variance. Where the eighths are as short as a few relaxation times, the quarters scatter more
    than these let expect: as much as its spectral density allows a Gaussian flux is always allowed,

        var[mean of J² over a time T] = (2/T) int S(f)² df,  f of both signs.
    """
    whole, components = len(stretch) // _BLOCKS, stretch.shape[1]
    means = _blocks(stretch)
    mean = means.mean(axis=0)
    rows = np.ascontiguousarray(stretch[: whole * _BLOCKS]).reshape(_BLOCKS, -1)
    squares = np.einsum("bi,bi->b", rows, rows) / (whole * components)
    power = (squares - (means * (2 * mean) - mean**2).mean(axis=1)).reshape(_PARTS, -1)  # about the mean
    level = float(power.mean())
    if not level > 0:
        return 1.0, 1.0
    quarters = power.mean(axis=1)
    between = float(quarters.var(ddof=1))
    allowed = float(power.var(axis=1, ddof=1).mean()) / power.shape[1]

    def chance() -> float:  # of an F distribution
        return float(fdtrc(_PARTS - 1, _BLOCKS - _PARTS, between / allowed))

    if chance() < _CHANCE:  # a transform takes longer than all the rest
        density = (np.abs(np.fft.rfft(stretch - mean, axis=0)[1:]) ** 2).mean(axis=1)
        # an ordinate of C components has the mean square S² (1 + 1/C), and the mean of C components 1/C of the variance
        share = float(density @ density / density.sum() ** 2) / (components + 1)
        allowed = max(allowed, share * _PARTS * level**2)
    return chance(), float(quarters.max() / quarters.min())


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
