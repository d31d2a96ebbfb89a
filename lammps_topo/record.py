"""What a measurement has gathered: plain arrays, between accumulators and estimators and in the results file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DisplacementRecord:
    """Squared displacements summed by :class:`lammps_topo.accumulate.displacement.Displacements`, over all ranks.

    Attributes
    ----------
    groups : names of the groups
    frames : names of the frames of reference
    sums : per level (batches, frames, groups, 3, lags), squared lengths (times squared charges for dipoles)
    counts : per level (batches, lags)
    stride : level l has lags of stride**l samples
    batch : samples a batch
    """

    groups: tuple[str, ...]
    frames: tuple[str, ...]
    sums: tuple[Array, ...]
    counts: tuple[Array, ...]
    stride: int
    batch: int


@dataclass(frozen=True)
class SeriesRecord:
    """The flux series: steps (T,), flux and moment (T, F, 3), temperature (T,), first samples of stretches."""

    steps: Integers
    flux: Array
    moment: Array
    temperature: Array
    stretches: Integers


@dataclass(frozen=True)
class PeriodogramRecord:
    """Σ J̃_a* J̃_b over segments of ``length`` samples and three components: (K, F, F), without prefactor."""

    length: int
    segments: int
    sums: NDArray[np.complex128]


@dataclass(frozen=True)
class Record:
    """Everything measured, in the unit style of the run.

    Attributes
    ----------
    units : LAMMPS unit style
    interval : time between samples
    every, timestep : of the fix and of the run
    species, population : names and numbers of atoms
    mean_charge : (S,) mean charge of an atom of the species in the run, NaN without charges
    oxidation : integer charge by species, where given
    representations : names of the charge representations
    frame : frame of reference of the fluxes; host : species of the host lattice
    flux_names : the F basis fluxes
    samples, duration : how many, and the time that they span, gaps left out
    first_step, last_step : from when to when
    temperature, temperature_error : measured mean (NaN without velocities) and its standard error
    degrees_of_freedom, volume : of the system
    """

    units: str
    interval: float
    every: int
    timestep: float
    species: tuple[str, ...]
    population: Integers
    mean_charge: Array
    oxidation: dict[str, float]
    representations: tuple[str, ...]
    frame: str
    host: tuple[str, ...]
    flux_names: tuple[str, ...]
    samples: int
    duration: float
    first_step: int
    last_step: int
    temperature: float
    temperature_error: float
    degrees_of_freedom: float
    volume: float
    msd: DisplacementRecord
    dipole: DisplacementRecord | None
    periodograms: tuple[PeriodogramRecord, ...]
    series: SeriesRecord | None
    notes: tuple[str, ...] = ()
