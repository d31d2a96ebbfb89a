"""Door 4: ``lammps-topo analyze TRAJECTORY``, a measurement of frames that exist already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ..config import Config
from ..errors import ConfigError, FileError, TopoError
from ..generations import remove_states
from ..interrupt import Sigterm, interrupted
from ..meaning import find_global_fluxes, wanted_atom_values
from ..measurement import Host, Measurement, Start
from ..representation import AtomSource
from ..stream.block import SUMS, Array, Packed
from ..stream.communicator import Alone
from .trajectory import TrajectoryFrame, open_trajectory
from .trajectory.columns import value_columns


def analyze(
    path: str | Path, config: Config, *, name: str | None = None, progress: Callable[[int], None] | None = None
) -> Measurement:
    """Measure a trajectory and write its results file.

    An analysis that was killed continues from its last state; one that is complete leaves none.

    Parameters
    ----------
    path : a LAMMPS text dump (gz too) or anything that ASE reads
    config : the section ``trajectory`` says what the file does not: units, timestep, masses
    name : of the results file, NAME.topo.h5, where the configuration gives none; the trajectory's by default
    progress : called with the number of frames read so far

    Raises
    ------
    FileError, ConfigError, StreamError
        The file is not readable, something about it is not known, or its frames do not belong together.
    """
    if fluxes := find_global_fluxes(config):
        raise ConfigError(
            f"key '{fluxes[0].key}' needs LAMMPS, which computes '{fluxes[0].sources[0]}', but a trajectory has atoms "
            "only; 'rerun' with fix topo computes it along one"
        )
    frames = open_trajectory(path, values=wanted_atom_values(config))
    first = next(frames, None)
    second = next(frames, None)
    if first is None or second is None:
        raise FileError(f"'{path}' has {0 if first is None else 1} frames; two are the least that can be analysed")
    measurement, masses = _measurement(path, config, first, second, name)
    has_velocity, has_charge, force = measurement.host.has_velocity, measurement.host.has_charge, measurement.plan.force
    if force not in (None, "total"):
        raise ConfigError(
            f"key 'correlations.force' is '{force}', but a trajectory has total forces only (fx fy fz); a part of them "
            "can be measured while LAMMPS runs"
        )
    freedom = config.trajectory.degrees_of_freedom or 3.0 * len(first.tags) - 3.0
    block = measurement.begin(
        first.tags,
        first.types.astype(np.int64),
        masses=masses,
        total_mass=float(masses.sum()),
        degrees_of_freedom=freedom,
        charges=first.q,
        molecules=first.mol,
        start=Start(
            now=first.step, first=first.step, positions=np.asarray(first.x), sums=np.zeros(len(SUMS)), replay=True
        ),
    )
    rest = chain((first, second), frames)
    read = _pass_over(path, rest, measurement) if measurement.continued is not None else 0
    sigterm, written = Sigterm.watch(), False
    try:
        for chunk in _chunks(rest, block, second.step - first.step, config.checkpoint_steps):
            measurement.take(
                _pack(chunk, masses, has_velocity, has_charge, force is not None, measurement.plan.atom_sources)
            )
            read += len(chunk)
            if progress is not None:
                progress(read)
            if sigterm.came and config.on_sigterm == "stop":
                saved = "; the same command again continues there" if measurement.save("run") else ""
                raise TopoError(f"SIGTERM: the analysis ends after {read} frames{saved}")
            if sigterm.came and config.on_sigterm == "checkpoint" and not written:
                written = True
                interrupted(measurement)
        measurement.finish(state=False)
        remove_states(measurement.path, measurement.name)
        measurement.close()
    except TopoError:
        measurement.close()
        raise
    finally:
        sigterm.leave()
    return measurement


def _pass_over(path: str | Path, frames: Iterator[TrajectoryFrame], measurement: Measurement) -> int:
    """Frames up to the last one that the state knows; their number."""
    assert measurement.continued is not None
    last = measurement.continued.step
    for number, frame in enumerate(frames, start=1):
        if frame.step == last and measurement.is_at(frame.tags, np.asarray(frame.x)):
            return number
        if frame.step >= last:
            break
    raise FileError(
        f"'{path}' is not the trajectory whose analysis was interrupted at step {last} (the state beside "
        f"'{measurement.path}' has other positions there); begin anew with '--set restart never'"
    )


def _measurement(
    path: str | Path, config: Config, first: TrajectoryFrame, second: TrajectoryFrame, name: str | None
) -> tuple[Measurement, Array]:
    known = config.trajectory
    units = known.units or first.units
    if units is None:
        raise ConfigError(f"key 'trajectory.units' is needed: '{path}' does not say its LAMMPS unit style")
    every = second.step - first.step
    if every <= 0:
        raise FileError(f"'{path}' has step {second.step} after step {first.step}; steps must grow")
    timestep = known.timestep
    if timestep is None and first.time is not None and second.time is not None:
        timestep = (second.time - first.time) / every
    if timestep is None:
        raise ConfigError(
            f"key 'trajectory.timestep' is needed: '{path}' does not say the time of a step "
            "(of a frame, for files that ASE reads)"
        )
    labels: dict[int, str] = {}
    if first.element is not None:
        labels = {int(kind): str(symbol) for kind, symbol in zip(first.types, first.element, strict=True)}
    host = Host(
        units=units,
        timestep=timestep,
        every=every,
        types=first.types.astype(np.int64),
        has_charge=first.q is not None,
        has_velocity=first.v is not None,
        has_force=first.f is not None,
        has_molecules=first.mol is not None,
        name=name or Path(path).name.split(".")[0],
        provenance={"door": "analyze", "trajectory": str(path)},
        labels=labels,
    )
    measurement = Measurement(config, host, Alone())
    for source in measurement.plan.atom_sources:
        if source.source not in first.values:
            names = value_columns(source.source, source.columns)
            columns = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            measurement.close()
            raise ConfigError(
                f"key '{source.key}' is '{source.source}', but '{path}' has no column {columns} (of a file that ASE "
                f"reads: no such array of {source.columns} column{'s' * (source.columns > 1)})"
            )
    return measurement, _masses(path, config, measurement, first)


def _masses(path: str | Path, config: Config, measurement: Measurement, frame: TrajectoryFrame) -> Array:
    """(n,) from the file, else from the configuration, else those of the elements that species are named after."""
    if frame.mass is not None:
        return np.asarray(frame.mass, dtype=np.float64)
    masses = np.full(len(frame.tags), np.nan)
    for kind in np.unique(frame.types):
        name = measurement.plan.species_of(int(kind))
        mass = config.trajectory.masses.get(name)
        masses[frame.types == kind] = mass if mass is not None else _element_mass(name, measurement)
    if np.isnan(masses).any():
        missing = measurement.plan.species_of(int(frame.types[np.isnan(masses)][0]))
        raise ConfigError(f"key 'trajectory.masses.{missing}' is needed: '{path}' has no masses")
    return masses


def _element_mass(name: str, measurement: Measurement) -> float:
    try:
        from ase.data import atomic_masses, atomic_numbers
    except ImportError:
        return float("nan")
    if name not in atomic_numbers or measurement.plan.units.reduced:
        return float("nan")
    mass = float(atomic_masses[atomic_numbers[name]]) / measurement.plan.units.gram_per_mole
    measurement.notices.append(f"the mass of {name} is taken to be that of the element, {mass:g}")
    return mass


def _chunks(
    frames: Iterable[TrajectoryFrame], size: int, spacing: int, checkpoint: int | None
) -> Iterator[list[TrajectoryFrame]]:
    """Lists of at most ``size`` frames; what is not ``spacing`` steps later, or a step of a checkpoint, ends a list."""
    chunk: list[TrajectoryFrame] = []
    for frame in frames:
        if chunk:
            due = checkpoint is not None and chunk[-1].step % checkpoint == 0
            if len(chunk) == size or due or frame.step != chunk[-1].step + spacing:
                yield chunk
                chunk = []
        chunk.append(frame)
    if chunk:
        yield chunk


def _pack(
    frames: list[TrajectoryFrame],
    masses: Array,
    has_velocity: bool,
    has_charge: bool,
    has_force: bool,
    sources: Sequence[AtomSource] = (),
) -> Packed:
    rows, sums = [], []
    for frame in frames:
        columns = [frame.tags[:, None].astype(np.float64), frame.x]
        velocity = frame.v if has_velocity else None
        if has_velocity:
            if velocity is None:
                raise FileError(f"step {frame.step} has no velocities, which earlier frames have")
            columns.append(velocity)
        if has_charge:
            if frame.q is None:
                raise FileError(f"step {frame.step} has no charges, which earlier frames have")
            columns.append(frame.q[:, None])
        if has_force:
            if frame.f is None:
                raise FileError(f"step {frame.step} has no forces, which earlier frames have")
            columns.append(frame.f)
        for source in sources:
            if source.source not in frame.values:
                raise FileError(f"step {frame.step} has no '{source.source}', which earlier frames have")
            columns.append(frame.values[source.source])
        rows.append(np.concatenate(columns, axis=1))
        motion = np.zeros(4) if velocity is None else np.concatenate(
            ([np.einsum("i,ij,ij->", masses, velocity, velocity)], masses @ velocity)
        )  # fmt: skip
        sums.append(np.concatenate((motion, masses @ frame.x)))
    return Packed(
        steps=np.array([frame.step for frame in frames], dtype=np.int64),
        counts=np.array([len(frame.tags) for frame in frames], dtype=np.int64),
        rows=np.concatenate(rows),
        sums=np.array(sums).reshape(len(frames), len(SUMS)),
        volumes=np.array([abs(np.linalg.det(frame.cell)) for frame in frames]),
        cell=frames[-1].cell,
    )
