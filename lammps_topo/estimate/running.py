"""The few numbers that thermo output shows while the run goes on: cheap, from constant-size sums, in SI units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import unit_style
from .cepstral import cepstral
from .current_spectrum import representation_spectrum
from .state import state_of

_ENOUGH_SEGMENTS = 4


def running_names(representations: Sequence[str], species: Sequence[str]) -> tuple[list[str], list[str]]:
    """All names that the key ``thermo`` may hold, and those of the default, in order of the fix's global vector."""
    usual = [f"{kind}:{name}" for name in representations for kind in ("conductivity", "conductivity_error")]
    usual += [f"diffusion:{name}" for name in species]
    return [*usual, *(f"msd:{name}" for name in species), "temperature", "samples"], usual


def running_values(record: Record, config: Config, names: Sequence[str]) -> list[float]:
    """Values of ``names`` (S/m, m²/s, Å², K; ``lj``: reduced); NaN while they are not known yet.

    The conductivity is the cepstral estimate, averaged over orders, from the longest segments of which there are at
    least four (the spectral one takes too long for every line of thermo output); the diffusion coefficient the slope of
    the MSD over the upper half of the longest complete lags.
    """
    values = {"temperature": record.temperature, "samples": float(record.samples)}
    for name in record.representations:
        conductivity, error = _conductivity(record, config, name)
        values[f"conductivity:{name}"], values[f"conductivity_error:{name}"] = conductivity, error
    for s, name in enumerate(record.species):
        values[f"diffusion:{name}"], values[f"msd:{name}"] = _diffusion(record, s)
    return [values[name] for name in names]


def _conductivity(record: Record, config: Config, representation: str) -> tuple[float, float]:
    usable = [part for part in record.periodograms if part.segments >= _ENOUGH_SEGMENTS] or record.periodograms[:1]
    if not usable:
        return math.nan, math.nan
    scale = state_of(record, config).conductivity_scale
    try:
        spectrum = representation_spectrum(record, representation, usable[-1])
        found = cepstral(spectrum, cutoff=config.cepstral.cutoff, order=config.cepstral.order, average=True)
    except EstimateError:
        return math.nan, math.nan
    return 0.5 * scale * found.zero_frequency, 0.5 * scale * found.error


def _diffusion(record: Record, species: int) -> tuple[float, float]:
    """Slope/6 over the upper half of the longest lags with data (m²/s), and the MSD at the last of them (Å²)."""
    units = unit_style(record.units)
    for level in reversed(range(len(record.msd.counts))):
        counts = record.msd.counts[level].sum(axis=0)
        last = int(np.flatnonzero(counts)[-1]) if counts.any() else 0
        if last >= 8:
            curve = record.msd.sums[level][:, 0, species].sum(axis=(0, 1))
            half = last // 2
            ends = curve[[half, last]] / counts[[half, last]]
            time = (last - half) * record.interval * record.msd.stride**level
            return float((ends[1] - ends[0]) / (6 * time)) * units.diffusion, float(ends[1]) * units.angstrom**2
    return math.nan, math.nan
