"""What a measurement has gathered: plain arrays, between accumulators and estimators and in the results file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .representation import dipole_groups, has_own_fluxes, particle_fluxes

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

FRAMES = ("barycentric", "host", "laboratory")
PAIRS = ("vv", "ff", "vf", "fv", "norm")
#: Samples beyond which a lag cannot be counted.
_MOST = 1 << 62


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
class CorrelationRecord:
    """Tagged-particle correlations summed by :class:`lammps_topo.accumulate.correlation.Correlations`, over all ranks.

    Attributes
    ----------
    groups : names of the species
    pairs : ``vv``, ``ff``, ``vf``, ``fv``, the factor at the earlier time first; ``norm``: ½(|v(t)|² + |v(t + lag)|²)
    sums : (batches, pairs, groups, lags), mean over the atoms followed of a(t)·b(t + lag), summed over origins t
        that lie in the batch
    counts : (batches, lags): origins
    batch : samples a batch; every : samples between origins
    followed : (groups,) atoms followed, at random where that is not all of them
    mass : (groups,) mean mass of an atom; mass_spread : (groups,) relative spread of the masses
    frame : frame of reference; force : ``total``, ``none`` or the per-atom vector
    """

    groups: tuple[str, ...]
    pairs: tuple[str, ...]
    sums: Array
    counts: Array
    batch: int
    every: int
    followed: Integers
    mass: Array
    mass_spread: Array
    frame: str
    force: str


@dataclass(frozen=True)
class SeriesRecord:
    """The flux series: steps (T,), flux (T, F, 3), temperature (T,), first samples of stretches.

    ``moment`` (T, P, 3) belongs to the first P fluxes, those of particles.
    """

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
class PathRecord:
    """Samples as points of a path: K points of all n atoms, in ascending order of tags, however they came about.

    Attributes
    ----------
    steps : (K,) timesteps, which may repeat
    tags, types, species : (n,) species are indices of ``Record.species``
    cell : (3, 3) lattice vectors as rows
    positions : (K, n, 3) unwrapped
    charge_names : representations whose charges come with the samples: ``atomic``, and those of per-atom values
    charges : of each of them, (K, n) numbers or (K, n, 9) tensors, row by row
    """

    steps: Integers
    tags: Integers
    types: Integers
    species: Integers
    cell: Array
    positions: Array
    charge_names: tuple[str, ...] = ()
    charges: tuple[Array, ...] = ()


@dataclass(frozen=True)
class ReplicaRecord:
    """One of the runs in a merged record, so that it can be told apart and merged again.

    Attributes
    ----------
    identity : digest over what the run has measured
    samples, duration, first_step, last_step, temperature, temperature_error, mean_charge, charges : as in
        :class:`Record`
    msd_batches, dipole_batches, correlation_batches, series_samples : how many of those are its own, one run's
        after the other's in the order of ``Record.replicas``
    """

    identity: str
    samples: int
    duration: float
    first_step: int
    last_step: int
    temperature: float
    temperature_error: float
    mean_charge: Array
    msd_batches: int
    dipole_batches: int
    correlation_batches: int
    series_samples: int
    charges: Array | None = None


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
    representations : names of the R charge representations
    charges : (R, S) mean charge of an atom of the species in each of them, a third of the trace of a tensor; what is
        constant by species has no fluxes of its own, and these are its charges. None in files of format 1: see
        :meth:`charges_of`
    frame : frame of reference of the fluxes; host : species of the host lattice
    flux_names : the F basis fluxes: ``number/S``, ``atomic/S`` and ``NAME/S`` of other representations, of particles,
        which come first, in ``frame``; behind them the global ones as LAMMPS computes them, extensive: ``energy/NAME``
        (energy times velocity), ``stress/shear`` and ``stress/normal`` (energy), ``flux/NAME``
    samples, duration : how many, and the time that they span, gaps left out
    first_step, last_step : from when to when
    temperature, temperature_error : measured mean (NaN without velocities) and its standard error
    degrees_of_freedom, volume : of the system
    replicas : the runs that were merged, none for one run alone
    path : the samples themselves, where they are points of a path
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
    correlations: CorrelationRecord | None = None
    notes: tuple[str, ...] = ()
    replicas: tuple[ReplicaRecord, ...] = ()
    charges: Array | None = None
    path: PathRecord | None = None

    def charges_of(self, representation: str) -> Array:
        """(S,) mean charge of an atom of each species in a representation."""
        if self.charges is not None:
            return np.asarray(self.charges[self.representations.index(representation)])
        if representation == "oxidation":
            return np.array([self.oxidation[name] for name in self.species])
        return self.mean_charge


def inconsistency(record: Record) -> str | None:
    """What in a record contradicts itself, or cannot have been measured; None if nothing does."""
    return next(_contradictions(record), None)


def _contradictions(record: Record) -> Iterator[str]:
    """In order: what comes later relies on what came before."""
    species, fluxes = len(record.species), len(record.flux_names)
    for name in ("species", "flux_names", "representations"):
        if len(set(getattr(record, name))) < len(getattr(record, name)):
            yield f"{name} has a name twice"
    particles = particle_fluxes(record.flux_names)
    own = [
        name for name in ("atomic", *record.representations) if has_own_fluxes(name, record.species, record.flux_names)
    ]
    expected = {f"{kind}/{name}" for kind in ("number", *own) for name in record.species}
    if not species or particles != len(expected) or set(record.flux_names[:particles]) != expected:
        yield f"there are {species} species and {particles} fluxes of particles"
    if any(particle_fluxes([name]) for name in record.flux_names[particles:]):
        yield f"the fluxes {', '.join(record.flux_names)} are in another order"
    for name in ("population", "mean_charge"):
        if getattr(record, name).shape != (species,):
            yield f"{name} has the shape {getattr(record, name).shape}, but there are {species} species"
    if (record.population < 0).any() or np.isinf(record.mean_charge).any():
        yield "a number of atoms is negative, or a mean charge infinite"
    if record.frame not in FRAMES or not set(record.host) <= set(record.species):
        yield f"the frame '{record.frame}' or the host {', '.join(record.host) or 'none'} is not known"
    if record.charges is not None and record.charges.shape != (len(record.representations), species):
        yield f"the charges of the representations have the shape {record.charges.shape}"
    for name in record.representations:
        known = record.charges is not None or (name == "oxidation" and set(record.species) <= set(record.oxidation))
        if not known and name not in own:
            yield f"the charges of the representation '{name}' are not known"
    if record.charges is not None and not np.isfinite(record.charges).all():
        yield "a charge of a representation is not finite"
    if not np.isfinite(list(record.oxidation.values())).all():
        yield "a charge is not finite"
    for name in ("interval", "timestep", "every", "samples"):
        if not 0 < getattr(record, name) < math.inf:
            yield f"{name} is {getattr(record, name)}"
    for name in ("duration", "degrees_of_freedom", "volume", "temperature", "temperature_error"):
        value = getattr(record, name)
        if not (0 <= value < math.inf or math.isnan(value)):
            yield f"{name} is {value}"
    if record.msd.groups != record.species:
        yield f"msd.groups are {', '.join(record.msd.groups)}"
    yield from _in_displacements("msd", record.msd)
    if record.dipole is not None:
        # files of format 1 have no differences
        if record.dipole.groups not in (dipole_groups(record.representations), record.representations):
            yield f"dipole.groups are {', '.join(record.dipole.groups)}"
        yield from _in_displacements("dipole", record.dipole)
    if record.correlations is not None:
        yield from _in_correlations(record.correlations, record.species)
    for part in record.periodograms:
        if part.length < 2 or part.length % 2 or part.segments < 1 or part.length * part.segments > record.samples:
            yield f"periodograms have {part.segments} segments of {part.length} samples"
        if part.sums.shape != (part.length // 2 + 1, fluxes, fluxes) or not np.isfinite(part.sums).all():
            yield f"the periodogram of {part.length} samples has the shape {part.sums.shape}, or is not finite"
    if record.series is not None:
        yield from _in_series(record.series, fluxes, particles, record.samples)
    if record.replicas:
        yield from _in_replicas(record)
    if record.path is not None:
        yield from _in_path(record.path, species)


def _in_displacements(name: str, part: DisplacementRecord) -> Iterator[str]:
    levels = len(part.counts)
    if not levels or len(part.sums) != levels or not part.frames or not set(part.frames) <= set(FRAMES):
        yield f"{name} has {len(part.sums)} levels of sums and {levels} of counts, in the frames {part.frames}"
    if part.stride < 2 or part.batch < 1 or part.counts[0].ndim != 2:
        yield f"{name} has the stride {part.stride}, the batch {part.batch} and counts {part.counts[0].shape}"
    batches, lags = part.counts[0].shape
    if lags < 2 or lags * part.stride**levels >= _MOST:
        yield f"{name} has {lags} lags of stride {part.stride} at {levels} levels"
    shape = (batches, len(part.frames), len(part.groups), 3, lags)
    for sums, counts in zip(part.sums, part.counts, strict=True):
        if sums.shape != shape or counts.shape != (batches, lags):
            yield f"{name} has sums {sums.shape} and counts {counts.shape}, not {shape}"
        if not np.isfinite(sums).all() or not _countable(counts):
            yield f"{name} has a sum that is not finite, or a count that is none"


def _in_correlations(part: CorrelationRecord, species: tuple[str, ...]) -> Iterator[str]:
    groups = len(part.groups)
    if not set(part.groups) <= set(species) or len(set(part.groups)) < groups:
        yield f"correlations.groups are {', '.join(part.groups)}"
    if not part.pairs or not set(part.pairs) <= set(PAIRS) or len(set(part.pairs)) < len(part.pairs):
        yield f"correlations.pairs are {', '.join(part.pairs)}"
    if part.counts.ndim != 2 or part.sums.shape != (len(part.counts), len(part.pairs), groups, *part.counts.shape[1:]):
        yield f"correlations have sums {part.sums.shape} and counts {part.counts.shape}"
    if part.batch < 1 or part.every < 1 or part.counts.shape[1] < 2 or part.frame not in FRAMES:
        yield f"correlations have the batch {part.batch}, every {part.every} and the frame '{part.frame}'"
    if not np.isfinite(part.sums).all() or not _countable(part.counts):
        yield "correlations have a sum that is not finite, or a count that is none"
    for name in ("followed", "mass", "mass_spread"):
        values = getattr(part, name)
        if values.shape != (groups,) or not _countable(values):
            yield f"correlations.{name} is {values}"


def _in_series(series: SeriesRecord, fluxes: int, particles: int, samples: int) -> Iterator[str]:
    number = len(series.steps) if series.steps.ndim == 1 else -1
    shapes = [series.flux.shape, series.moment.shape, series.temperature.shape]
    if shapes != [(number, fluxes, 3), (number, particles, 3), (number,)] or not 0 <= number <= samples:
        yield f"the series has the shapes {', '.join(map(str, shapes))} for {samples} samples and {fluxes} fluxes"
    begins = series.stretches
    if begins.ndim != 1 or (len(begins) == 0) != (number == 0):
        yield f"the series has {begins.size} stretches"
    if number and (begins[0] != 0 or begins[-1] >= number or not (np.diff(begins) > 0).all()):
        yield "the stretches of the series do not follow one another"
    if not (np.isfinite(series.flux).all() and np.isfinite(series.moment).all()):
        yield "the series has a number that is not finite"


def _in_path(path: PathRecord, species: int) -> Iterator[str]:
    points, atoms = len(path.steps), len(path.tags)
    shapes = [path.tags.shape, path.types.shape, path.species.shape, path.cell.shape, path.positions.shape]
    if shapes != [(atoms,)] * 3 + [(3, 3), (points, atoms, 3)]:
        yield f"the path has the shapes {', '.join(map(str, shapes))}"
    known = [charge.shape in ((points, atoms), (points, atoms, 9)) for charge in path.charges]
    if not all(known) or len(known) != len(path.charge_names):
        yield f"the path has charges of {', '.join(path.charge_names)} that do not fit"
    if ((path.species < 0) | (path.species >= species)).any():
        yield "an atom of the path belongs to no species"
    numbers = [path.cell, path.positions, *path.charges]
    if not all(np.isfinite(array).all() for array in numbers) or (points and not abs(np.linalg.det(path.cell)) > 0):
        yield "the path has a number that is not finite, or no cell"


def _in_replicas(record: Record) -> Iterator[str]:
    parts, lengths = record.replicas, {"msd_batches": len(record.msd.counts[0]), "samples": record.samples}
    lengths["dipole_batches"] = 0 if record.dipole is None else len(record.dipole.counts[0])
    lengths["correlation_batches"] = 0 if record.correlations is None else len(record.correlations.counts)
    lengths["series_samples"] = 0 if record.series is None else len(record.series.steps)
    for name, total in lengths.items():
        values = [int(getattr(part, name)) for part in parts]
        if min(values) < 0 or sum(values) != total:
            yield f"the replicas have {sum(values)} {name.replace('_', ' ')}, but there are {total}"
    if any(part.mean_charge.shape != record.mean_charge.shape for part in parts):
        yield "the replicas have mean charges of other species"
    shapes = {None if charges is None else charges.shape for charges in (record.charges, *(p.charges for p in parts))}
    if len(shapes) > 1:
        yield "the replicas have charges of other representations"


def _countable(values: Array | Integers) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all())
