"""Displacements whose every property at zero frequency is known: some diffuse, some are bounded.

For tests of the comparison of currents (``estimate.gauge``), and its rates (``benchmarks/gauge.py``). Times in any
unit, consistently; every array is (samples, …, 3), and every random number comes from the generator that is passed in.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

__all__ = ["BOUNDED", "bounded", "oscillation", "relaxation", "walk"]

Array = NDArray[np.float64]

BOUNDED = ("relaxation", "vibration", "correlated", "mixture", "jumps", "spread")
"""Kinds of :func:`bounded`."""
_FORGOTTEN = 30
"""Relaxation times until the memory of the start is gone."""


def relaxation(samples: int, time: float, *, interval: float, rng: np.random.Generator, columns: int = 1) -> Array:
    """Ornstein-Uhlenbeck processes of unit variance, (samples, columns, 3)."""
    pole = math.exp(-interval / time)
    before = int(_FORGOTTEN * time / interval)
    noise = rng.standard_normal((samples + before, columns, 3)) * math.sqrt(1 - pole**2)
    return np.asarray(lfilter([1.0], [1.0, -pole], noise, axis=0)[before:])


def oscillation(samples: int, frequency: float, time: float, *, interval: float, rng: np.random.Generator) -> Array:
    """An oscillator that rings and forgets, of unit variance, (samples, 1, 3)."""
    modulus, before = math.exp(-interval / time), int(_FORGOTTEN * time / interval)
    poles = [1.0, -2 * modulus * math.cos(2 * math.pi * frequency * interval), modulus**2]
    series = lfilter([1.0], poles, rng.standard_normal((samples + before, 1, 3)), axis=0)[before:]
    return np.asarray(series / series.std())


def walk(samples: int, time: float, *, interval: float, rng: np.random.Generator, columns: int = 1) -> Array:
    """Displacements (samples, columns, 3) whose velocity is an Ornstein-Uhlenbeck process with S(0) = 1."""
    pole = math.exp(-interval / time)
    size = math.sqrt((1 - pole) / (1 + pole) / interval)  # S(0) = interval (1 + pole)/(1 - pole) of unit variance
    series = relaxation(samples, time, interval=interval, rng=rng, columns=columns)
    return np.asarray(np.cumsum(series * size, axis=0) * interval)


def bounded(
    kind: str, samples: int, one: Array, *, time: float, interval: float, rng: np.random.Generator, size: float = 0.3
) -> Array:
    """A bounded displacement (samples, 3) that forgets in ``time``; its width is ``size``.

    ``relaxation``; ``vibration`` (frequency 1/(2 ``time``)); ``correlated``, which follows the displacement ``one``;
    ``mixture``, of relaxations and a vibration, each so wide; ``jumps`` between two values, as of a site or an
    orientation, which are not Gaussian; ``spread``, relaxations over a decade and a half of times up to ``time``.
    """
    if kind == "vibration":
        return size * oscillation(samples, 0.5 / time, time, interval=interval, rng=rng)[:, 0]
    if kind == "correlated":
        pole = math.exp(-interval / time)
        follows = lfilter([1.0], [1.0, -pole], np.diff(one, axis=0, prepend=one[:1]), axis=0)
        return np.asarray(follows * size / follows.std())
    if kind == "jumps":  # correlation exp(-t/time)
        turns = rng.random((samples, 3)) < 0.5 * (1 - math.exp(-interval / time))
        return size * np.where((turns.cumsum(axis=0) + rng.integers(2, size=3)) % 2, 1.0, -1.0)
    if kind == "spread":
        parts = [
            relaxation(samples, time * 10**power, interval=interval, rng=rng)[:, 0]
            for power in np.linspace(-1.5, 0.0, 7)
        ]
        return np.asarray(size * np.mean(parts, axis=0) * math.sqrt(len(parts)))
    moved = size * relaxation(samples, time, interval=interval, rng=rng)[:, 0]
    if kind == "mixture":
        moved = moved + size * relaxation(samples, time / 6, interval=interval, rng=rng)[:, 0]
        moved = moved + size * oscillation(samples, 1.5 / time, time / 5, interval=interval, rng=rng)[:, 0]
    return moved
