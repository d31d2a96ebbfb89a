"""The record of a measurement, made of what its accumulators hold on all ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .accumulate.displacement import Displacements
from .accumulate.path import PathPoints
from .accumulators import Accumulators
from .plan import Plan
from .record import CorrelationRecord, DisplacementRecord, PathRecord, PeriodogramRecord, Record, SeriesRecord
from .representation import dipole_groups
from .stream.block import Array
from .stream.communicator import Communicator


def measured_record(
    plan: Plan,
    gathered: Accumulators,
    comm: Communicator,
    *,
    volume: float,
    notes: Sequence[str] = (),
    path: PathPoints | None = None,
    correlations: bool = True,
    series: bool = True,
    in_one: bool = False,
) -> Record | None:
    """All that is measured, on rank 0; None on the others. Collective.

    ``volume`` is that of the box, ``notes`` are what results say of the run, ``path`` has the points of a path, if any.
    Without ``correlations``, ``series``, or the time batches of squared displacements (``in_one``) there is less to sum
    up over the ranks.
    """
    sums, counts = _reduced(gathered.msd, comm, in_one)
    found = _correlations(plan, gathered, comm) if correlations else None
    if comm.rank:
        return None
    config, tally = plan.config, gathered.tally
    charges = _mean_charges(plan, gathered)
    return Record(
        units=plan.host.units,
        interval=plan.interval,
        every=plan.host.every,
        timestep=plan.host.timestep,
        species=plan.species,
        population=gathered.population,
        mean_charge=charges["atomic"] if plan.host.has_charge else np.full(len(plan.species), np.nan),
        charges=np.array([charges[name] for name in plan.representations]) if plan.representations else None,
        oxidation=plan.oxidation,
        representations=plan.representations,
        frame=config.frame,
        host=tuple(config.host or ()),
        flux_names=tuple(plan.flux_names),
        samples=tally.samples,
        duration=tally.elapsed,
        first_step=tally.first_step,
        last_step=tally.last_step,
        temperature=tally.temperature.mean,
        temperature_error=tally.temperature.error,
        degrees_of_freedom=gathered.degrees_of_freedom,
        volume=volume,
        msd=DisplacementRecord(
            groups=plan.species,
            frames=tuple(config.msd.frames),
            sums=tuple(sums),
            counts=tuple(counts),
            stride=config.msd.stride,
            batch=gathered.msd.batch,
        ),
        dipole=_dipole(plan, gathered),
        periodograms=_periodograms(gathered),
        series=SeriesRecord(*gathered.series.arrays()) if series and gathered.series is not None else None,
        correlations=found,
        path=_path(path) if path is not None and tally.samples else None,
        notes=tuple(notes),
    )


def _reduced(displacements: Displacements, comm: Communicator, in_one: bool) -> tuple[list[Array], list[Array]]:
    """Sums over ranks, on rank 0, and counts."""
    sums, counts = displacements.sums, displacements.counts
    if in_one:
        sums = [part.sum(axis=0, keepdims=True) for part in sums]
        counts = [part.sum(axis=0, keepdims=True) for part in counts]
    return [comm.sum_to_root(part) for part in sums], counts


def _correlations(plan: Plan, gathered: Accumulators, comm: Communicator) -> CorrelationRecord | None:
    followed, section = gathered.followed, plan.config.correlations
    if followed is None or section is None:
        return None
    return CorrelationRecord(
        groups=plan.species,
        pairs=followed.sums.pairs,
        sums=comm.sum_to_root(followed.sums.sums),
        counts=followed.sums.counts,
        batch=followed.sums.batch,
        every=section.every,
        followed=followed.numbers,
        mass=followed.mass,
        mass_spread=followed.mass_spread,
        frame=section.frame or plan.config.frame,
        force=plan.force or "none",
    )


def _mean_charges(plan: Plan, gathered: Accumulators) -> dict[str, Array]:
    """(S,) of an atom of each species, by representation."""
    atoms = np.maximum(gathered.population, 1)
    means = gathered.tally.charge / (max(gathered.tally.samples, 1) * atoms)
    return dict(zip(plan.assigned, means, strict=True)) | {
        one.name: one.constants for one in plan.charges if one.constants is not None
    }


def _dipole(plan: Plan, gathered: Accumulators) -> DisplacementRecord | None:
    if gathered.dipole is None:
        return None
    return DisplacementRecord(
        groups=dipole_groups(plan.representations),
        frames=(plan.config.frame,),
        sums=tuple(gathered.dipole.sums),
        counts=tuple(gathered.dipole.counts),
        stride=plan.config.msd.stride,
        batch=gathered.dipole.batch,
    )


def _periodograms(gathered: Accumulators) -> tuple[PeriodogramRecord, ...]:
    """Those of lengths with a complete segment."""
    found = gathered.periodograms
    assert found is not None
    return tuple(
        PeriodogramRecord(length, segments, sums)
        for length, segments, sums in zip(found.lengths, found.segments, found.sums, strict=True)
        if segments
    )


def _path(points: PathPoints) -> PathRecord:
    steps, positions, charges = points.arrays()
    return PathRecord(
        steps=steps,
        tags=points.tags,
        types=points.types,
        species=points.species,
        cell=points.cell,
        positions=positions,
        charge_names=tuple(charges),
        charges=tuple(charges.values()),
    )
