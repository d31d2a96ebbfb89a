"""Records of independent replicas as one: ``lammps-topo merge a.topo.h5 b.topo.h5 … -o all.topo.h5``.

Sums and counts are added; those by time batch, and the flux series, are put one replica after the other, so that error
bars come from the scatter between replicas as well as within them. A merged record knows its replicas and keeps them in
an order of their own: however they are merged, in whatever order, the same record comes out (to rounding).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from .config import Config, parse_config
from .errors import FileError
from .estimate.summary import estimate
from .record import (
    Array,
    CorrelationRecord,
    DisplacementRecord,
    PeriodogramRecord,
    Record,
    ReplicaRecord,
    SeriesRecord,
)
from .representation import has_own_fluxes
from .store import Results, keep_existing, read_results, write_results

#: Time batches beyond which neighbours are added, as long as a replica keeps one.
MOST_BATCHES = 128
#: Relative difference of numbers that count as equal.
_EQUAL = 1e-9
#: Samples by which a run is recognised in another one.
_PROBE = 8
#: Errors that temperatures may be apart before a note says so.
_APART = 5.0
_TEMPERATURES = "temperatures of the replicas"

#: What has to agree, each with its name in messages.
_RECORD_KEYS = (
    "units", "interval", "every", "timestep", "species", "population", "oxidation", "representations", "frame", "host",
    "flux_names", "degrees_of_freedom", "volume",
)  # fmt: skip
_CORRELATION_KEYS = ("groups", "pairs", "every", "mass", "mass_spread", "frame", "force")


# ---- files ----------------------------------------------------------------------------------------------------------


def merge_files(
    files: Sequence[Path], output: Path, *, overrides: Mapping[str, Any] | None = None, agreeing: Sequence[str] = ()
) -> Path | None:
    """Merge results files into ``output``; returns where an earlier file of that name went.

    The configuration is that of the first file, with ``overrides`` (dotted key → value). The keys ``agreeing``, and
    those below them, must have one value in all files unless they are overridden.

    Raises
    ------
    FileError
        A file cannot be read or written, or they do not belong together; ``output`` is untouched then.
    """
    for file in files:
        if output.exists() and file.exists() and output.samefile(file):
            raise FileError(f"'{output}' is one of the files to be merged; give the result a name of its own")
    found = [read_results(file) for file in files]
    record = merge_records([results.record for results in found], [str(file) for file in files])
    for other in found[1:]:
        _check_charges(found[0], other)
    config = _one_config(found, {"output": str(output), **(overrides or {})}, agreeing)
    provenance = {
        "lammps_topo": __version__,
        "door": "merge",
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "sources": [source for results in found for source in _sources(results)],
    }
    outcome = estimate(record, config)
    kept = keep_existing(output)
    write_results(output, record, outcome, config, provenance)
    return kept


def _sources(results: Results) -> list[dict[str, Any]]:
    """What the file was, or what it was itself merged from."""
    record, provenance = results.record, results.provenance
    if record.replicas and isinstance(provenance.get("sources"), list):
        return list(provenance["sources"])
    steps = f"{record.first_step} to {record.last_step}"
    source = {"file": str(results.path), "sha256": results.sha256, "steps": steps, "samples": record.samples}
    return [{**source, **{key: provenance[key] for key in ("door", "lammps", "written") if key in provenance}}]


def _one_config(found: Sequence[Results], overrides: Mapping[str, Any], agreeing: Sequence[str]) -> Config:
    first = found[0]
    for other in found[1:]:
        ours, theirs = (_flat(results.config.model_dump(mode="json")) for results in (first, other))
        for key in sorted({*ours, *theirs}):
            chosen = any(key == name or key.startswith(f"{name}.") for name in agreeing)
            if chosen and key not in overrides and ours.get(key) != theirs.get(key):
                raise FileError(
                    f"{_differs(str(first.path), str(other.path), key, ours.get(key), theirs.get(key))}: "
                    f"give the one to use, --set {key} VALUE"
                )
    return parse_config(json.dumps(first.given), overrides, source=f"the configuration in {first.path}")


def _check_charges(first: Results, other: Results) -> None:
    """Constant charges that have fluxes of their own, tensors or those of types, do not show in the record."""
    for name in first.record.representations:
        definitions = [(results.config.representations or {}).get(name) for results in (first, other)]
        ours, theirs = ({} if one is None else one.model_dump(exclude_none=True) for one in definitions)
        for kind in ("born", "carriers", "molecular"):
            one, two = ours.get(kind), theirs.get(kind)
            if one != two and not (isinstance(one, str) and isinstance(two, str) and kind == "born"):
                raise FileError(_differs(str(first.path), str(other.path), f"representations.{name}.{kind}", one, two))


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


# ---- records --------------------------------------------------------------------------------------------------------


def merge_records(records: Sequence[Record], names: Sequence[str] | None = None) -> Record:
    """One record of all replicas in ``records``, which may be merged ones; ``names`` is what errors call them.

    Displacements and correlations are added by time batch after batches are brought to one length, a common base times
    powers of two; periodograms are added by segment length; the series of a replica begins a new stretch. Means are
    weighted with samples. A series or correlations that not all records have are left out, and a note says so.

    Raises
    ------
    FileError
        Something that must agree differs, or a run occurs twice.
    """
    names = names or [f"record {number}" for number in range(1, len(records) + 1)]
    if len(records) < 2:
        raise FileError(f"merging needs two runs or more; there is {len(records)}")
    for name, record in zip(names, records, strict=True):
        if record.path is not None:
            raise FileError(f"'{name}' holds a path, which is not merged; 'lammps-topo loop' compares several")
    for name, record in zip(names[1:], records[1:], strict=True):
        _check_alike(names[0], records[0], name, record)
    owners = [name for name, record in zip(names, records, strict=True) for _ in _replicas(record)]
    replicas = [replica for record in records for replica in _replicas(record)]
    _check_once(owners, replicas)
    order = sorted(range(len(replicas)), key=lambda n: (replicas[n].first_step, replicas[n].identity))
    notes = {note for record in records for note in record.notes if not note.startswith(_TEMPERATURES)}
    parts: dict[str, Any] = {"msd": None, "dipole": None, "correlations": None, "series": None}
    shares: dict[str, list[int]] = {}
    for what, (count, merge) in _PARTS.items():
        found = [getattr(record, what) for record in records]
        if all(part is not None for part in found):
            owned = [[getattr(replica, count) for replica in _replicas(record)] for record in records]
            parts[what], shares[count] = merge(found, owned, order)
        else:
            shares[count] = [0] * len(replicas)
            if any(part is not None for part in found):
                notes.add(f"the merged runs have no {what}: it is not in all of them")
    if parts["series"] is not None:
        _check_distinct(parts["series"], shares["series_samples"], [owners[n] for n in order])
    now: list[dict[str, Any]] = [
        {count: share[place] for count, share in shares.items()} for place in range(len(order))
    ]
    replicas = [dataclasses.replace(replicas[n], **changed) for n, changed in zip(order, now, strict=True)]
    samples = np.array([replica.samples for replica in replicas], dtype=np.float64)
    weights = samples / samples.sum()
    temperature = np.array([replica.temperature for replica in replicas])
    error = np.array([replica.temperature_error for replica in replicas])
    notes |= _temperature_notes(temperature, error)
    return dataclasses.replace(
        records[0],
        mean_charge=weights @ np.array([replica.mean_charge for replica in replicas]),
        charges=_mean_charges(replicas, weights),
        samples=sum(replica.samples for replica in replicas),
        duration=math.fsum(replica.duration for replica in replicas),
        first_step=min(replica.first_step for replica in replicas),
        last_step=max(replica.last_step for replica in replicas),
        temperature=float(weights @ temperature),
        temperature_error=float(np.sqrt(np.sum((weights * error) ** 2))),
        periodograms=_merge_periodograms([record.periodograms for record in records]),
        notes=tuple(sorted(notes)),
        replicas=tuple(replicas),
        **parts,
    )


def _replicas(record: Record) -> tuple[ReplicaRecord, ...]:
    """Those of a merged record; of another one, itself."""
    return record.replicas or (
        ReplicaRecord(
            identity=_identity(record),
            samples=record.samples,
            duration=record.duration,
            first_step=record.first_step,
            last_step=record.last_step,
            temperature=record.temperature,
            temperature_error=record.temperature_error,
            mean_charge=record.mean_charge,
            charges=record.charges,
            msd_batches=len(record.msd.counts[0]),
            dipole_batches=0 if record.dipole is None else len(record.dipole.counts[0]),
            correlation_batches=0 if record.correlations is None else len(record.correlations.counts),
            series_samples=0 if record.series is None else len(record.series.steps),
        ),
    )


def _mean_charges(replicas: Sequence[ReplicaRecord], weights: Array) -> Array | None:
    """(R, S) of all replicas; None where those of one are not known."""
    known = [replica.charges for replica in replicas if replica.charges is not None]
    if len(known) < len(replicas):
        return None
    return np.asarray(np.tensordot(weights, np.array(known), axes=1))


def _identity(record: Record) -> str:
    """SHA-256 over all arrays."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, tuple):
            for part in value:
                add(part)
        elif dataclasses.is_dataclass(value):
            for item in dataclasses.fields(value):
                add(getattr(value, item.name))

    add(record)
    return digest.hexdigest()


def _temperature_notes(temperature: Array, error: Array) -> set[str]:
    low, high = int(np.argmin(temperature)), int(np.argmax(temperature))
    if not temperature[high] - temperature[low] > _APART * math.hypot(error[low], error[high]):
        return set()
    ends = f"{temperature[low]:.5g} ± {error[low]:.2g} to {temperature[high]:.5g} ± {error[high]:.2g}"
    return {f"{_TEMPERATURES}: from {ends}, further apart than chance allows: they sample different states"}


# ---- parts of a record, replica by replica --------------------------------------------------------------------------

Owned = Sequence[Sequence[int]]
"""How many batches or samples of a part belong to each replica, record by record."""


def _merge_displacements(
    parts: Sequence[DisplacementRecord], owned: Owned, order: Sequence[int]
) -> tuple[DisplacementRecord, list[int]]:
    stores = [[*part.sums, *part.counts] for part in parts]
    merged, batch, shares = _merge_batches(stores, [part.batch for part in parts], owned, order)
    levels = len(parts[0].sums)
    sums, counts = tuple(merged[:levels]), tuple(merged[levels:])
    return dataclasses.replace(parts[0], sums=sums, counts=counts, batch=batch), shares


def _merge_correlations(
    parts: Sequence[CorrelationRecord], owned: Owned, order: Sequence[int]
) -> tuple[CorrelationRecord, list[int]]:
    """Sums are means over the atoms followed: where that is not the same number, the smallest is told."""
    stores = [[part.sums, part.counts] for part in parts]
    (sums, counts), batch, shares = _merge_batches(stores, [part.batch for part in parts], owned, order)
    followed = np.min([part.followed for part in parts], axis=0)
    return dataclasses.replace(parts[0], sums=sums, counts=counts, batch=batch, followed=followed), shares


def _merge_batches(
    stores: Sequence[Sequence[Array]], batches: Sequence[int], owned: Owned, order: Sequence[int]
) -> tuple[list[Array], int, list[int]]:
    """Arrays (batches, …) of the replicas one after the other, in one batch length; how many each has.

    A length depends on all replicas together, and grows with their number: merging step by step gives the same.
    """
    batch = max(batches)
    pieces: list[list[Array]] = []  # by replica, by array
    for arrays, length, numbers in zip(stores, batches, owned, strict=True):
        cuts = np.cumsum(numbers)[:-1]
        split = [np.split(array, cuts) for array in arrays]
        pieces.extend([_added(piece, batch // length) for piece in replica] for replica in zip(*split, strict=True))
    while sum(len(piece[0]) for piece in pieces) > MOST_BATCHES and max(len(piece[0]) for piece in pieces) > 1:
        pieces = [[_added(array, 2) for array in piece] for piece in pieces]
        batch *= 2
    ordered = [pieces[n] for n in order]
    return (
        [np.concatenate(column) for column in zip(*ordered, strict=True)],
        batch,
        [len(piece[0]) for piece in ordered],
    )


def _added(array: Array, number: int) -> Array:
    """Sums over ``number`` neighbours along the first axis; the last one over what is left."""
    if number == 1 or not len(array):
        return array
    added: Array = np.add.reduceat(array, np.arange(0, len(array), number), axis=0)
    return added


def _merge_series(parts: Sequence[SeriesRecord], owned: Owned, order: Sequence[int]) -> tuple[SeriesRecord, list[int]]:
    pieces: list[SeriesRecord] = []
    for part, numbers in zip(parts, owned, strict=True):
        ends = np.cumsum(numbers)
        for begin, end in zip((ends - numbers).tolist(), ends.tolist(), strict=True):
            inside = (part.stretches >= begin) & (part.stretches < end)
            pieces.append(
                SeriesRecord(
                    steps=part.steps[begin:end],
                    flux=part.flux[begin:end],
                    moment=part.moment[begin:end],
                    temperature=part.temperature[begin:end],
                    stretches=part.stretches[inside] - begin,
                )
            )
    pieces = [pieces[n] for n in order]
    lengths = [len(piece.steps) for piece in pieces]
    begins = np.cumsum([0, *lengths])[:-1]
    return SeriesRecord(
        steps=np.concatenate([piece.steps for piece in pieces]),
        flux=np.concatenate([piece.flux for piece in pieces]),
        moment=np.concatenate([piece.moment for piece in pieces]),
        temperature=np.concatenate([piece.temperature for piece in pieces]),
        stretches=np.concatenate([piece.stretches + begin for piece, begin in zip(pieces, begins, strict=True)]),
    ), lengths


_PARTS: dict[str, tuple[str, Callable[..., tuple[Any, list[int]]]]] = {
    "msd": ("msd_batches", _merge_displacements),
    "dipole": ("dipole_batches", _merge_displacements),
    "correlations": ("correlation_batches", _merge_correlations),
    "series": ("series_samples", _merge_series),
}


def _merge_periodograms(found: Sequence[Sequence[PeriodogramRecord]]) -> tuple[PeriodogramRecord, ...]:
    """By segment length; a run that is too short for a length has no segments of it."""
    merged: dict[int, PeriodogramRecord] = {}
    for part in (part for parts in found for part in parts):
        if (so_far := merged.get(part.length)) is not None:
            part = PeriodogramRecord(part.length, so_far.segments + part.segments, so_far.sums + part.sums)
        merged[part.length] = part
    return tuple(merged[length] for length in sorted(merged))


# ---- what belongs together ------------------------------------------------------------------------------------------


def _check_alike(name: str, first: Record, other_name: str, other: Record) -> None:
    for key, ours, theirs in _compared(first, other):
        if not _equal(ours, theirs):
            raise FileError(_differs(name, other_name, key, ours, theirs))


def _compared(first: Record, other: Record) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of all that has to agree."""
    for key in _RECORD_KEYS:
        yield key, getattr(first, key), getattr(other, key)
    yield "velocities", *_has_velocities(first, other)
    for name in first.representations:
        if not has_own_fluxes(name, first.species, first.flux_names):
            yield f"charges of '{name}'", first.charges_of(name), other.charges_of(name)
    for what in ("msd", "dipole"):
        ours, theirs = getattr(first, what), getattr(other, what)
        if ours is not None and theirs is not None:
            yield f"{what}.groups", ours.groups, theirs.groups
            yield f"{what}.frames", ours.frames, theirs.frames
            yield f"{what}.levels", len(ours.counts), len(theirs.counts)
            yield f"{what}.lags", ours.counts[0].shape[1], theirs.counts[0].shape[1]
            yield f"{what}.stride", ours.stride, theirs.stride
            yield f"{what} batch", *_bases(ours.batch, theirs.batch)
    if first.correlations is not None and other.correlations is not None:
        one, two = first.correlations, other.correlations
        for key in _CORRELATION_KEYS:
            yield f"correlations.{key}", getattr(one, key), getattr(two, key)
        yield "correlations.lags", one.counts.shape[1], two.counts.shape[1]
        yield "correlations batch", *_bases(one.batch, two.batch)


def _has_velocities(first: Record, other: Record) -> tuple[str, str]:
    return "no" if math.isnan(first.temperature) else "yes", "no" if math.isnan(other.temperature) else "yes"


def _bases(one: int, two: int) -> tuple[int, int]:
    """Both without what powers of two they differ by."""
    low, high = min(one, two), max(one, two)
    ratio = high // low
    fits = high == low * ratio and ratio & (ratio - 1) == 0
    return (low, low) if fits else (one, two)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, (float, np.ndarray)):
        ours, theirs = np.asarray(one), np.asarray(two)
        return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=_EQUAL, atol=0.0, equal_nan=True)
    return bool(one == two)


def _differs(name: str, other_name: str, key: str, ours: Any, theirs: Any) -> str:
    return f"'{other_name}' does not belong to '{name}': '{key}' is {_shown(theirs)}, not {_shown(ours)}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        value = [f"{key} {_shown(inner)}" for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(part) for part in value) or "none"
    return "none" if value is None else str(value)


def _check_once(owners: Sequence[str], replicas: Sequence[ReplicaRecord]) -> None:
    seen: dict[str, str] = {}
    for owner, replica in zip(owners, replicas, strict=True):
        if replica.identity in seen:
            raise FileError(f"'{owner}' holds the same run as '{seen[replica.identity]}': it would count twice")
        seen[replica.identity] = owner


def _check_distinct(series: SeriesRecord, lengths: Sequence[int], owners: Sequence[str]) -> None:
    """Refuse a run that begins within another one: a later checkpoint of it, or the same seed."""
    runs = np.split(series.flux, np.cumsum(lengths)[:-1])
    for one, two in permutations(range(len(runs)), 2):
        # the first sample is left out: without velocities it repeats the second
        probe = runs[two][1 : 1 + _PROBE]
        if len(probe) < _PROBE or not probe.any():
            continue
        column = np.unravel_index(int(np.argmax(np.abs(probe[0]))), probe[0].shape)
        for place in np.flatnonzero(runs[one][:, column[0], column[1]] == probe[(0, *column)]):
            if np.array_equal(runs[one][place : place + _PROBE], probe):
                raise FileError(
                    f"'{owners[two]}' repeats samples of '{owners[one]}', from step "
                    f"{series.steps[sum(lengths[:two])]} on: they are not independent runs"
                )
