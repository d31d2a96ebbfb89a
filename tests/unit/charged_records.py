"""Records of charged species made of displacements that are exactly known processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from lammps_topo import synthetic_displacements as processes
from lammps_topo.estimate.current_spectrum import current_weights
from lammps_topo.record import DisplacementRecord, Record, SeriesRecord
from lammps_topo.representation import dipole_groups, with_differences

Array = np.ndarray
INTERVAL = 0.01
"""ps"""
VOLUME, TEMPERATURE = 8000.0, 1400.0
BATCHES = 48
CURRENT = 0.1
"""Relaxation time of the currents in most tests, ps."""


relaxation, oscillation, walk = (
    partial(one, interval=INTERVAL) for one in (processes.relaxation, processes.oscillation, processes.walk)
)


def record_of(
    moments: Mapping[str, Array], *, charges: Mapping[str, Sequence[float]], population: Sequence[int],
    oxidation: Mapping[str, float] | None = None, series: bool = True,
) -> Record:  # fmt: skip
    """Of displacements (T, 3) by name of the basis flux, ``number/S`` first; ``charges`` by representation."""
    species = tuple(name.partition("/")[2] for name in moments if name.startswith("number/"))
    moment = np.stack(list(moments.values()), axis=1)
    samples = len(moment)
    flux = np.diff(moment, axis=0, prepend=moment[:1]) / INTERVAL
    nothing = DisplacementRecord(
        groups=species, frames=("barycentric",), sums=(np.zeros((1, 1, len(species), 3, 4)),),
        counts=(np.zeros((1, 4)),), stride=4, batch=64,
    )  # fmt: skip
    record = Record(
        units="metal", interval=INTERVAL, every=1, timestep=INTERVAL, species=species,
        population=np.array(population), mean_charge=np.full(len(species), np.nan), oxidation=dict(oxidation or {}),
        representations=tuple(charges), frame="barycentric", host=(), flux_names=tuple(moments), samples=samples,
        duration=samples * INTERVAL, first_step=0, last_step=samples - 1, temperature=TEMPERATURE,
        temperature_error=1.0, degrees_of_freedom=297.0, volume=VOLUME, msd=nothing, dipole=None, periodograms=(),
        series=SeriesRecord(np.arange(samples), flux, moment, np.full(samples, TEMPERATURE), np.array([0]))
        if series else None,
        charges=np.array(list(charges.values())),
    )  # fmt: skip
    return record


def dipole_record(record: Record, *, lags: int = 32, stride: int = 8, levels: int = 3) -> DisplacementRecord:
    """Squared displacements of all representations and of their differences, from the series."""
    assert record.series is not None
    moment = record.series.moment
    rows = np.stack([current_weights(record, name) for name in record.representations])
    dipole = np.einsum("gp,tpc->tgc", with_differences(rows)[:, : moment.shape[1]], moment)
    sums, counts = squared_displacements(dipole, lags=lags, stride=stride, levels=levels)
    groups = dipole_groups(record.representations)
    return DisplacementRecord(groups, ("barycentric",), tuple(sums), tuple(counts), stride, len(dipole) // BATCHES)


def displacement_record(
    diffusion: Mapping[str, float], population: Sequence[int], rng: np.random.Generator, *, samples: int = 40_000
) -> DisplacementRecord:
    """Mean square displacements of independent atoms, ``diffusion`` in Å²/ps, each species of at most four of them."""
    parts = []
    for (_, coefficient), number in zip(diffusion.items(), population, strict=True):
        moved = walk(samples, CURRENT, rng=rng, columns=min(number, 4)) * np.sqrt(2 * coefficient)
        parts.append(squared_displacements(moved, lags=32, stride=8, levels=3))
    sums = [np.stack([part[0][level].mean(axis=2) for part in parts], axis=2) for level in range(3)]
    return DisplacementRecord(
        tuple(diffusion), ("barycentric",), tuple(sums), tuple(parts[0][1]), 8, samples // BATCHES
    )


def squared_displacements(moved: Array, *, lags: int, stride: int, levels: int) -> tuple[list[Array], list[Array]]:
    """Sums (batches, 1, G, 3, lags) by level of the squares of (T, G, 3) over lags, and counts (batches, lags)."""
    batch = len(moved) // BATCHES
    batches = -(-len(moved) // batch)
    sums = [np.zeros((batches, 1, moved.shape[1], 3, lags)) for _ in range(levels)]
    counts = [np.zeros((batches, lags)) for _ in range(levels)]
    for level in range(levels):
        for lag in range(1, lags):
            step = lag * stride**level
            later = np.arange(step, len(moved), max(step // 4, 1))
            np.add.at(sums[level][:, 0, :, :, lag], later // batch, (moved[later] - moved[later - step]) ** 2)
            np.add.at(counts[level][:, lag], later // batch, 1)
    return sums, counts
