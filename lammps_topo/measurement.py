"""A measurement: takes packed samples from any host, feeds the accumulators, and writes the results file.

The only object that hosts talk to. Every method is collective; an error is raised on all ranks with the same words.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from . import __version__
from .accumulate.correlation import Correlations
from .accumulate.displacement import Displacements
from .accumulate.flux import FluxFrame, Series, global_fluxes
from .accumulate.path import PathPoints
from .accumulate.periodogram import SegmentPeriodograms
from .accumulate.tagged import TaggedMotion, affordable
from .accumulate.tally import Tally
from .checkpoint import OWNED, Part
from .config import MOST_LAGS, Config
from .errors import ConfigError, FileError, StreamError, TopoError
from .estimate.charge_outcome import verdict_lines
from .estimate.loop_results import loop_lines
from .estimate.running import running_values
from .estimate.summary import estimate
from .estimate.wanted import Known, wanted_estimate
from .generations import CLOCK
from .host import Host
from .keeper import Keeper
from .lock import Lock, claim
from .meaning import (
    checked_host,
    find_atom_sources,
    find_global_fluxes,
    find_oxidation,
    find_pairs,
    find_representations,
    find_species,
    find_thermo,
    find_wanted,
    present_types,
)
from .record import CorrelationRecord, DisplacementRecord, PathRecord, PeriodogramRecord, Record, SeriesRecord
from .representation import (
    Representation,
    basis_names,
    dipole_groups,
    particle_fluxes,
    species_weights,
    with_differences,
)
from .restart import Found, Header, Present, Start
from .stopping import FEWEST, Stopping
from .store import write_results
from .stream.assembly import Assembly
from .stream.block import Array, Block, Integers, Packed
from .stream.charges import Assignment
from .stream.communicator import Communicator, agree
from .stream.molecules import Molecules
from .stream.ownership import Ownership
from .stream.snapshot import Snapshot
from .units import unit_style

_BLOCK_BYTES = 8 << 20
_BLOCK_RANGE = (16, 256)
#: Runs that together last less than this many times the writing of a results file share one.
_PATIENCE = 20.0
#: Results files of the measurements of this process.
_open_files: dict[Path, Lock | None] = {}

__all__ = ["Host", "Measurement", "Start"]


class Measurement:
    """Everything between the samples of a run and its results file.

    Parameters
    ----------
    config : validated configuration
    host : what is known of the run
    comm : the ranks

    Attributes
    ----------
    notices : lines for the log, which hosts print and clear
    keeper : of its states
    global_fluxes : those whose numbers hosts take from LAMMPS with each sample, in this order
    atom_sources : per-atom numbers that hosts pack with each sample behind everything else, in this order
    needs_molecules : hosts give molecules and charges at :meth:`begin`
    ends_run : what the section ``stop`` wants is known; the host that ends the run for it takes this back

    Raises
    ------
    ConfigError
        A species or charge that the run does not have; a results file that cannot be written.
    """

    def __init__(self, config: Config, host: Host, comm: Communicator) -> None:
        self.config = config
        self.host = host
        self.comm = comm
        self.units = unit_style(host.units)
        self.notices: list[str] = []
        self._species, self._species_of_type = find_species(config, host, comm)
        self._oxidation = find_oxidation(config)
        self._charges = find_representations(
            config, host, self._species, self._species_of_type, present_types(host, comm), self.notices
        )
        self.representations = tuple(one.name for one in self._charges)
        self.atom_sources = find_atom_sources(self._charges)
        self.needs_molecules = any(one.molecular for one in self._charges)
        self._molecules: Molecules | None = None
        self._molecule_note = ""
        self._seen_charge: Array | None = None
        self._said: frozenset[str] = frozenset()  # verdicts that are in the log
        self._host_species = checked_host(config, self._species)
        self.has_charge = host.has_charge
        self.has_velocity = host.has_velocity
        self._pairs = find_pairs(config, host, self._species)
        self.global_fluxes = find_global_fluxes(config)
        wanted = find_wanted(config, self.representations, self._species)
        self.thermo = find_thermo(config, self.representations, self._species, wanted)
        first = FEWEST * host.timestep * host.every
        self._stopping = None if config.stop is None else Stopping(config.stop, wanted, first=first)
        self.ends_run = False
        self.path = Path(config.output or f"{host.name}.topo.h5")
        _open_files[self.path.absolute()] = claim(comm, self.path, self.notices)
        # ranks times threads must not exceed the cores: one BLAS thread a rank unless told otherwise
        self._blas = ThreadpoolController()
        self._trouble: str | None = None  # of this rank, told to the others at the next block
        self._dirty = self._failed = False
        self._written, self._write_time = -math.inf, 0.0
        self._checkpoint_due = time.monotonic() + 60 * config.checkpoint
        self._assembly: Assembly | None = None
        self.keeper = Keeper(config, self.path, comm, self.notices)

    # ---- before the first sample ------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Of the measurement: the same in all that continues it."""
        return self.keeper.name

    @property
    def continued(self) -> Header | None:
        """What :meth:`begin` continues; None for a new measurement."""
        return self.keeper.continued

    @property
    def new_stretch(self) -> bool:
        """Whether the first sample to come does not follow the last one of what is continued."""
        return self.keeper.new_stretch

    @property
    def force(self) -> str | None:
        """The per-atom force that hosts have to pack: ``total``, a part of it by its LAMMPS name, or None."""
        wanted = any("f" in pair for pair in self._pairs)
        return self.config.correlations.force if wanted and self.config.correlations is not None else None

    def begin(
        self,
        tags: Integers,
        types: Integers,
        *,
        masses: Array,
        total_mass: float,
        degrees_of_freedom: float,
        start: Start | None = None,
        charges: Array | None = None,
        molecules: Integers | None = None,
        other_molecules: Integers | None = None,
    ) -> int:
        """Take ownership of the group's atoms; returns the number of samples that make a block.

        The measurement continues that of a state, if there is one that fits: see :mod:`lammps_topo.restart`.

        Parameters
        ----------
        tags, types, masses : of this rank's atoms of the group
        total_mass : of all atoms of the system on this rank
        degrees_of_freedom : of the system, as LAMMPS counts them for its temperature
        start : where the run begins; without it, a new measurement does
        charges, molecules : of this rank's atoms of the group, and ``other_molecules`` those of the atoms outside it,
            if :attr:`needs_molecules`

        Raises
        ------
        ConfigError
            An atom belongs to no species; what may not change has changed since the state was written.
        """
        config, comm = self.config, self.comm
        species = np.array([self._species_of_type.get(int(kind), -1) for kind in types], dtype=np.int64)
        foreign = [
            f"atoms of type {kind} are in the group, but belong to no species" for kind in types[species < 0][:1]
        ]
        if problem := agree(comm, foreign[0] if foreign else None):
            raise ConfigError(f"key 'species': {problem} (there are: {', '.join(self._species)})")
        ownership = Ownership(comm, tags, species, len(self._species))
        self._population = ownership.population
        self._degrees_of_freedom = config.trajectory.degrees_of_freedom or degrees_of_freedom
        self._interval = self.host.timestep * self.host.every
        mass = float(comm.sum(np.array([total_mass]))[0])
        self._tags = {OWNED: ownership.tags}
        self._own_species = np.repeat(np.arange(len(ownership.species)), [s.stop - s.start for s in ownership.species])
        positions = start.positions if start is not None else np.zeros((len(tags), 3))
        columns = [tags, masses, positions, types]
        if self.needs_molecules:
            nothing = np.zeros(len(tags))
            columns += [nothing if molecules is None else molecules, nothing if charges is None else charges]
        own, _ = ownership.redistribute(np.column_stack(columns), np.array([len(tags)]))
        self._masses = own[0, 0]
        assignments = self._assignments(own[4, 0].astype(np.int64), own[5:, 0], other_molecules)
        found = self._find_state(start, mass, own[1:4, 0])
        followed = None if found is None else found.header.followed
        self._assembly = Assembly(
            comm,
            ownership,
            has_velocity=self.has_velocity,
            has_charge=self.has_charge,
            has_force=self.force is not None,
            mass=mass,
            every=self.host.every,
            interval=self._interval,
            numbers=[name for flux in self.global_fluxes for name in flux.sources],
            assignments=assignments,
        )
        self._accumulators(ownership)
        self._path: PathPoints | None = None
        if (section := config.path) is not None:
            self._path = PathPoints(comm, tags, types, species, self._charge_columns())
            for name in section.centres:
                if name not in self._species:
                    allowed = ", ".join(self._species)
                    raise ConfigError(f"key 'path.centres': '{name}' is not a species (there are: {allowed})")
            centres = [self._species.index(name) for name in section.centres]
            self._closes = partial(self._path.closed, section.tolerance, centres)
        self._correlators(ownership, species, np.asarray(masses, dtype=np.float64), mass, followed)
        if found is not None:
            self._restore(found)
        if kept := self._on_root(self.keeper.keep_existing):
            self.notices.append(f"an earlier {self.path} is kept as {kept}")
        width = 4 + 3 * self.has_velocity + self.has_charge + 3 * (self.force is not None)
        width += sum(one.columns for one in self.atom_sources)
        local = max(comm.collect(len(tags)))
        fitting = _BLOCK_BYTES // (8 * width * max(local, 1))
        self._block = config.block or int(np.clip(fitting, *_BLOCK_RANGE))
        if self.continued is not None and self.continued.ranks == comm.size and not config.block:
            self._block = self.continued.block  # for the same sums to the last bit
        return self._block

    def _assignments(self, types: Integers, rows: Array, others: Integers | None) -> list[Assignment]:
        """Charges of the own atoms by representation, but for LAMMPS's ``q``.

        ``types`` (n,) are theirs, ``rows`` their molecules and charges, if these are needed, ``others`` the molecules
        of atoms outside the group. Collective.
        """
        found: list[Assignment] = []
        self._atomic_molecules: int | None = None  # which weights are those of molecules and LAMMPS's q
        for one in self._charges:
            weights: Array | None = None
            if one.molecular == "atomic":
                self._atomic_molecules = sum(other.weights is not None for other in found)
            if one.molecular:
                weights = self._molecular_weights(one, rows, others)
            elif one.weights is not None:
                known = one.weights
                weights = np.array([known[kind] for kind in types.tolist()], dtype=np.float64)
            if weights is not None or one.source:
                found.append(Assignment(one.columns, weights))
        return found

    def _molecular_weights(self, one: Representation, rows: Array, others: Integers | None) -> Array:
        if self._molecules is None:
            self._molecules = Molecules(self.comm, self._tags[OWNED], rows[0].astype(np.int64))
            cut = self._molecules.cut_by_group(np.zeros(0, dtype=np.int64) if others is None else others)
            if cut is not None:
                raise ConfigError(
                    f"key 'representations': '{one.name}' needs whole molecules, but atoms of molecule {cut} are "
                    "outside the group"
                )
        if one.molecular == "atomic":
            return self._molecules.weights(rows[1], self._masses)
        charges = np.array([self._oxidation[name] for name in self._species])
        return self._molecules.weights(charges[self._own_species], self._masses)

    def _accumulators(self, ownership: Ownership) -> None:
        config, population = self.config, ownership.population
        self._hosts: dict[str, list[int] | None] = {
            "barycentric": [], "host": self._host_species, "laboratory": None,
        }  # fmt: skip
        tensors = [one.tensors for one in self._charges if one.tensors is not None]
        self._flux_frame = FluxFrame(population, self._hosts[config.frame], self._interval, np.array(tensors))
        self._msd_frames = {
            name: FluxFrame(population, self._hosts[name], self._interval) for name in config.msd.frames
        }
        msd = config.msd
        shape = {"lags": msd.lags, "every": msd.every, "levels": msd.levels, "stride": msd.stride}
        self._msd = Displacements(ownership.species, population, corrections=len(msd.frames) - 1, **shape)
        summed = [one.name for one in self._charges if one.kind == "weight" or one.source]
        self._assigned = ["atomic"] * self.has_charge + summed
        own = self._assigned + [one.name for one in self._charges if one.kind == "tensor"]
        names = basis_names(self._species, own, self.global_fluxes)
        particles = particle_fluxes(names)
        self._flux_names = names
        nothing = np.zeros(len(self._species))
        rows = [
            species_weights(
                one.name, self._species, nothing if one.constants is None else one.constants, names[:particles]
            ).sum(axis=0)
            for one in self._charges
        ]
        self._dipole_weights = with_differences(np.array(rows))
        self._tally = Tally(len(self._species), self._interval, len(self._assigned))
        on_root = self.comm.rank == 0
        self._periodograms: SegmentPeriodograms | None = None

        def allocate() -> None:
            segments = config.segments
            self._periodograms = SegmentPeriodograms(len(names), shortest=segments.shortest, number=segments.number)

        self._on_root(allocate)
        self._series = Series(len(names), particles) if on_root and config.series else None
        number = len(self._dipole_weights)
        self._dipole = (
            Displacements([slice(i, i + 1) for i in range(number)], np.ones(number, dtype=np.int64), **shape)
            if on_root and number
            else None
        )

    def _correlators(
        self, ownership: Ownership, species: Integers, masses: Array, system_mass: float, followed: list[int] | None
    ) -> None:
        """Velocity and force correlations, of ``followed`` or of as many atoms as the budget allows. Collective."""
        self._correlations: Correlations | None = None
        chosen = self.config.correlations
        if chosen is None or not self._pairs:
            return
        number = len(self._species)
        sums = [np.bincount(species, weights, minlength=number).astype(np.float64) for weights in (masses, masses**2)]
        mean, square = self.comm.sum(np.stack(sums)) / np.maximum(self._population, 1)
        self._mass = mean
        self._mass_spread = np.sqrt(np.maximum(square - mean**2, 0.0)) / np.where(mean > 0, mean, 1.0)
        frame = FluxFrame(self._population, self._hosts[chosen.frame or self.config.frame], self._interval)
        lags = chosen.lags if chosen.window is None else max(16, round(chosen.window / self._interval) + 1)
        if lags > MOST_LAGS:
            raise ConfigError(
                f"key 'correlations.window' is {chosen.window:g}, {lags} samples, but at most {MOST_LAGS} are kept: "
                "take samples less often"
            )
        shape: dict[str, Any] = {"lags": lags, "every": chosen.every, "precision": chosen.precision}
        names = chosen.species or self._species
        self._followed = np.array(followed) if followed is not None else affordable(
            self._population,
            np.array([(chosen.atoms or 1 << 62) if name in names else 0 for name in self._species]),
            pairs=len(self._pairs),
            letters=len(set("".join(self._pairs))),
            memory=chosen.memory * 2**20 * self.comm.size,
            work=chosen.work * int(self._population.sum()) * self.host.every,
            **shape,
        )  # fmt: skip
        whole = abs(float(mean @ self._population) - system_mass) <= 1e-9 * system_mass
        self._tagged = TaggedMotion(self.comm, ownership, self._followed, frame, mean, whole=whole)
        self._tags.update({f"followed{g}": tags for g, tags in enumerate(self._tagged.tags)})
        self._correlations = Correlations(self._tagged.groups, self._followed, pairs=self._pairs, **shape)

    # ---- samples ----------------------------------------------------------------------------------------------------

    def take(self, packed: Packed, *, new_stretch: bool = False) -> None:
        """Add consecutive samples; with ``new_stretch`` they do not continue the last ones, whatever their steps."""
        if new_stretch and self._assembly is not None:
            self._assembly.restart_stretch()
        with self._one_thread():
            self._guard(lambda: self._take(packed))
        self._check_stop()
        every = self.config.checkpoint_steps
        if every is not None and self._tally.last_step % every == 0:
            self.save("steps")
        if self.config.checkpoint and self.comm.share(time.monotonic() >= self._checkpoint_due):
            started = time.monotonic()
            if problem := self._write(CLOCK):
                self.notices.append(f"WARNING: no checkpoint at step {self._tally.last_step}: {problem}")
            # never more than a hundredth of the time, however large the state
            pause = max(60 * self.config.checkpoint, 100 * (time.monotonic() - started))
            self._checkpoint_due = time.monotonic() + pause

    def finish(
        self, packed: Packed | None = None, *, new_stretch: bool = False, now: bool = False, state: bool = True
    ) -> None:
        """End of a run: add the samples of the incomplete block, and write the state and the results file.

        After a short run the files wait for the next one, so that many short runs do not spend their time on them;
        :meth:`close` and ``now`` do not wait. Without ``state`` only the results are written.
        """
        self._add(packed, new_stretch)
        if trouble := agree(self.comm, self._trouble):
            problem = self._write()
            raise StreamError(f"{trouble}; {problem or f'what was measured before is in {self.path}'}")
        waited = time.monotonic() - self._written
        closed = self._path is not None and self._closes()  # then the results are there at once
        due = now or self.comm.share(closed or waited >= _PATIENCE * self._write_time)
        if due and (problem := self._write("run" if state else None)):
            if self.config.on_error == "stop":
                raise FileError(problem)
            self.notices.append(f"WARNING: {problem}")

    def close(self, packed: Packed | None = None) -> None:
        """End of the measurement: write what is not written yet, and give the name of the file free."""
        try:
            pending = packed is not None and len(packed) > 0
            if self._assembly is not None and not self._failed and (pending or self._dirty):
                self.finish(packed, now=True)
        finally:
            if (lock := _open_files.pop(self.path.absolute(), None)) is not None:
                lock.release()

    def flush(self) -> None:
        """Write the results file if it lacks samples. Collective."""
        if self._dirty:
            self.finish(now=True, state=False)

    def _add(self, packed: Packed | None, new_stretch: bool) -> None:
        """Add the samples of an incomplete block."""
        if packed is None or not len(packed):
            return
        if new_stretch and self._assembly is not None:
            self._assembly.restart_stretch()
        with self._one_thread():
            self._guard(lambda: self._take(packed))

    def _one_thread(self) -> AbstractContextManager[object]:
        limiter: AbstractContextManager[object] = self._blas.limit(limits=self.config.threads, user_api="blas")
        return limiter

    def _take(self, packed: Packed) -> None:
        assert self._assembly is not None
        try:
            block = self._assembly.assemble(packed, self._trouble)
        except StreamError as error:
            if error.good:
                self._take(packed.head(error.good))
            raise
        if self._path is not None:
            self._path.observe(packed)
        try:
            self._accumulate(block)
        except Exception:  # told to all ranks with the next block: none may leave a collective call alone
            self._trouble = f"the analysis failed on rank {self.comm.rank}: {traceback.format_exc(limit=-2)}"
        self._tally.count(block)
        self._check_molecules(block)
        self._dirty = True

    def _check_molecules(self, block: Block) -> None:
        """Say so, once, when atoms exchange charge between molecules. Collective.

        What is measured is still what it says, the charges of the beginning with the centres of mass, and all other
        representations are right: no reason to end the run.
        """
        assert self._assembly is not None
        weights = self._assembly.weights[self._atomic_molecules] if self._atomic_molecules is not None else None
        if self._molecules is None or weights is None or block.charge is None or self._molecule_note:
            return
        charge = block.charge[-1]
        same = self._seen_charge is not None and np.array_equal(charge, self._seen_charge)
        if all(self.comm.collect(same)):
            return
        self._seen_charge = charge.copy()
        if (found := self._molecules.changed(charge, weights)) is not None:
            molecule, then, now = found
            what = f"molecule {molecule}" if molecule > 0 else f"atom {-molecule}"
            self._molecule_note = (
                "charge moves between molecules: representations whose molecules move as a whole keep the charges that "
                "these had when the measurement began"
            )
            self.notices.append(
                f"WARNING: {self._molecule_note} (that of {what} was {then:.6g}, and is {now:.6g} at step "
                f"{self._tally.last_step})"
            )

    def _accumulate(self, block: Block) -> None:
        totals, first = block.totals, block.first
        fluxes = self._flux_frame.observe(block)
        if self.global_fluxes:
            widths = [len(flux.sources) for flux in self.global_fluxes]
            fluxes = fluxes.joined(global_fluxes(totals, widths, self.host.pressure_volume))
        motions = [frame.motion(block) for frame in self._msd_frames.values()]
        corrections = []
        if self.comm.rank == 0:
            mean = totals.displacement / self._population[None, :, None] - motions[0][:, None, :]
            corrections = [(motion - motions[0], mean) for motion in motions[1:]]
        self._msd.observe(block.displacement, first, motions[0], corrections)
        temperature = self._temperature(totals.kinetic)
        self._tally.observe(block, temperature)
        if self._periodograms is not None:
            self._periodograms.observe(fluxes.flux, first)
        if self._series is not None:
            self._series.observe(block, fluxes, temperature)
        if self._correlations is not None:
            self._correlations.observe(first, **self._tagged.observe(block))
        if self._dipole is not None:
            dipoles = np.einsum("gf,bfc->cbg", self._dipole_weights, fluxes.moment)
            self._dipole.observe(np.ascontiguousarray(dipoles), first)

    def _temperature(self, kinetic: Array) -> Array:
        if not self.has_velocity or self._degrees_of_freedom <= 0:
            return np.full(len(kinetic), np.nan)
        return kinetic * (self.units.kinetic / (self._degrees_of_freedom * self.units.boltzmann))

    def _guard(self, action: Callable[[], None]) -> None:
        """Run what may raise StreamError; then write what was measured before, and say so."""
        try:
            action()
        except StreamError as error:
            self._failed = True
            if not self._tally.samples:
                raise
            problem = self._write()
            saved = f"what was measured until step {self._tally.last_step} is in {self.path}"
            raise StreamError(f"{error}; {problem or saved}") from None

    # ---- state ------------------------------------------------------------------------------------------------------

    def checkpoint(self, packed: Packed | None = None, *, new_stretch: bool = False) -> str:
        """Add the samples of the incomplete block, and write the state; its name, empty if none is written."""
        self._add(packed, new_stretch)
        if packed is not None and len(packed):
            self._check_stop()
        return self.save("restart")

    def is_at(self, tags: Integers, positions: Array) -> bool:
        """Whether atoms of these tags (n,) are at the positions (n, 3) of the last sample. Collective."""
        assert self._assembly is not None
        return self._assembly.is_at(tags, positions)

    def save(self, kind: str) -> str:
        """Write a generation of the state; its name, empty if none is written (``notices`` says why). Collective.

        A state that cannot be written does not end the run.
        """
        if not self.config.state or self._assembly is None or self._failed or not self._tally.samples:
            return ""
        if self._path is not None:  # measured in one go
            return ""
        if agree(self.comm, self._trouble):
            return ""
        assert self._assembly is not None
        says = {
            "step": self._tally.last_step,
            "samples": self._tally.samples,
            "block": self._block,
            "facts": self._facts(),
            "motion": tuple(self._tally.motion.tolist()),
            "degrees_of_freedom": self._degrees_of_freedom,
            "volume": self._assembly.volume,
            "followed": None if self._correlations is None else self._followed.tolist(),
        }
        return self.keeper.save(kind, says, self._parts(), self._tags)

    def _facts(self) -> dict[str, Any]:
        """What the run must still be when it continues."""
        # their order counts, too
        names = [name for flux in self.global_fluxes for name in flux.names]
        return {
            "units": self.host.units,
            "timestep": self.host.timestep,
            "N (steps between samples)": self.host.every,
            "species": list(self._species),
            "atoms": self._population.tolist(),
            "velocity": self.has_velocity,
            "charge": self.has_charge,
            "pairs of correlations": list(self._pairs),
            "representations": list(self.representations),
            **({"global fluxes": names} if names else {}),
        }

    def _parts(self) -> dict[str, Part]:
        """All that has a memory, by name."""
        assert self._assembly is not None
        layouts = {f"origins{g}": f"followed{g}" for g in range(len(self._species))}
        parts = {
            "system": Part(_System(self._own_species, self._masses, self._assembly)),
            "assembly": Part(self._assembly),
            "tally": Part(self._tally),
            "flux": Part(self._flux_frame),
            "msd": Part(self._msd),
            "periodograms": Part(self._periodograms, on_root=True),
            "dipole": Part(self._dipole, on_root=True),
            "series": Part(self._series, on_root=True),
        }
        if self._correlations is not None:
            parts["correlations"] = Part(self._correlations, layouts=layouts)
        return parts

    def _find_state(self, start: Start | None, mass: float, positions: Array) -> Found | None:
        if start is None:
            return None
        if self.config.path is not None:
            if start.named is not None:
                self.notices.append("the run is a restart, but a path is measured in one go: a new measurement begins")
            return None
        present = Present(
            config=self.config,
            facts=self._facts(),
            every=self.host.every,
            timestep=self.host.timestep,
            mass=mass,
            tags=self._tags[OWNED],
            species=self._own_species,
            masses=self._masses,
            positions=positions,
        )
        return self.keeper.find(start, present)

    def _restore(self, found: Found) -> None:
        """Continue the measurement of a state."""
        assert self._assembly is not None
        self.keeper.restore(found, self._parts(), self._tags)
        self._degrees_of_freedom = found.header.degrees_of_freedom
        self._dirty = True  # the results may be older than the state
        if found.new_stretch:
            self._assembly.restart_stretch()

    # ---- results ----------------------------------------------------------------------------------------------------

    def _check_stop(self) -> None:
        """See whether what is wanted is known, if it is time to look. Collective."""
        stopping = self._stopping
        if stopping is None or not stopping.due(self._tally.elapsed):
            return
        msd = self._reduced(self._msd)
        record = self._record(msd) if self.comm.rank == 0 else None

        def look() -> dict[str, Known]:
            run = _present(record)
            return {name: wanted_estimate(run, self.config, name, how) for name, how in stopping.wanted.items()}

        with self._one_thread():
            try:
                known = self._on_root(look)
            except TopoError as error:  # the run itself is none the worse for it
                known = dict.fromkeys(stopping.wanted, Known(reason=str(error)))
        stopping.check(self._tally.elapsed, known)
        self.notices.append(stopping.progress(self.units, self._tally.last_step, self.host.timestep))
        self.ends_run = stopping.reached is not None

    def vector(self) -> Array:
        """The quantities of the key ``thermo`` as of the last complete block."""
        record = self._running_record()
        known = {} if self._stopping is None else self._stopping.values(self.units)
        names = [name for name in self.thermo if name not in known]
        values = self._on_root(lambda: running_values(_present(record), self.config, names))
        known |= dict(zip(names, values, strict=True))
        return np.array([known[name] for name in self.thermo], dtype=np.float64)

    @property
    def nbytes(self) -> float:
        """Memory that the accumulators hold on this rank."""
        if self._assembly is None:
            return 0.0
        parts = (self._msd, self._correlations, self._dipole, self._periodograms, self._series, self._assembly)
        return float(sum(part.nbytes for part in parts if part is not None))

    def _write(self, kind: str | None = None) -> str | None:
        """Write a state of this ``kind``, if any, and the results; returns the problem, the same on all ranks."""
        started = time.monotonic()
        if kind is not None:
            self.save(kind)
        record = self.record()
        problem = None
        if record is not None:
            try:
                outcome = estimate(record, self.config)
                write_results(self.path, record, outcome, self.config, self._provenance())
                # said once, as long as they stay: the numbers that follow the last comma may change
                verdicts = {line.rpartition(",")[0]: line for line in verdict_lines(outcome)}
                verdicts |= {line: line for line in loop_lines(outcome)}
                self.notices.extend(line for verdict, line in verdicts.items() if verdict not in self._said)
                self._said = frozenset(verdicts)
            except (TopoError, OSError) as error:
                problem = f"the results file '{self.path}' cannot be written: {error}"
            except Exception:  # whatever it is, the other ranks must not wait for ever
                problem = f"the results file '{self.path}' cannot be written: {traceback.format_exc(limit=-2)}"
        self._written = time.monotonic()
        self._write_time = self._written - started
        shared: str | None = self.comm.share(problem)
        self._dirty = shared is not None
        return shared

    def _on_root(self, action: Callable[[], Any]) -> Any:
        """What ``action`` returns on rank 0, on every rank; its exception, too. Collective."""
        result, problem = None, None
        if self.comm.rank == 0:
            try:
                result = action()
            except TopoError as error:
                problem = str(error)
            except Exception:  # the other ranks must not wait for ever
                problem = traceback.format_exc(limit=-2)
        result, problem = self.comm.share((result, problem))
        if problem is not None:
            raise TopoError(problem)
        return result

    def record(self) -> Record | None:
        """All that is measured, on rank 0; None on the others."""
        msd = self._reduced(self._msd)
        correlations = self._reduced_correlations()
        return self._record(msd, correlations) if self.comm.rank == 0 else None

    def _reduced_correlations(self) -> CorrelationRecord | None:
        found, chosen = self._correlations, self.config.correlations
        if found is None or chosen is None:
            return None
        return CorrelationRecord(
            groups=tuple(self._species),
            pairs=found.pairs,
            sums=self.comm.sum_to_root(found.sums),
            counts=found.counts,
            batch=found.batch,
            every=chosen.every,
            followed=self._followed,
            mass=self._mass,
            mass_spread=self._mass_spread,
            frame=chosen.frame or self.config.frame,
            force=self.force or "none",
        )

    def _running_record(self) -> Record | None:
        """As :meth:`record`, but with the MSD of the whole run in one batch: little to reduce."""
        msd = self._reduced(self._msd, in_one=True)
        return self._record(msd, with_series=False) if self.comm.rank == 0 else None

    def _reduced(self, displacements: Displacements, in_one: bool = False) -> tuple[list[Array], list[Array]]:
        sums, counts = displacements.sums, displacements.counts
        if in_one:
            sums = [part.sum(axis=0, keepdims=True) for part in sums]
            counts = [part.sum(axis=0, keepdims=True) for part in counts]
        return [self.comm.sum_to_root(part) for part in sums], counts

    def _record(
        self,
        msd: tuple[list[Array], list[Array]],
        correlations: CorrelationRecord | None = None,
        *,
        with_series: bool = True,
    ) -> Record:
        assert self._periodograms is not None
        stride, batch = self.config.msd.stride, self._msd.batch
        dipole, series = None, None
        if self._dipole is not None:
            dipole = DisplacementRecord(
                groups=dipole_groups(self.representations),
                frames=(self.config.frame,),
                sums=tuple(self._dipole.sums),
                counts=tuple(self._dipole.counts),
                stride=stride,
                batch=self._dipole.batch,
            )
        if self._series is not None and with_series:
            series = SeriesRecord(*self._series.arrays())
        atoms = np.maximum(self._population, 1)
        means = dict(zip(self._assigned, self._tally.charge / (max(self._tally.samples, 1) * atoms), strict=True)) | {
            one.name: one.constants for one in self._charges if one.constants is not None
        }
        return Record(
            units=self.host.units,
            interval=self._interval,
            every=self.host.every,
            timestep=self.host.timestep,
            species=tuple(self._species),
            population=self._population,
            mean_charge=means["atomic"] if self.has_charge else atoms * np.nan,
            charges=np.array([means[name] for name in self.representations]) if self.representations else None,
            oxidation=self._oxidation,
            representations=self.representations,
            frame=self.config.frame,
            host=tuple(self.config.host or ()),
            flux_names=tuple(self._flux_names),
            samples=self._tally.samples,
            duration=self._tally.elapsed,
            first_step=self._tally.first_step,
            last_step=self._tally.last_step,
            temperature=self._tally.temperature.mean,
            temperature_error=self._tally.temperature.error,
            degrees_of_freedom=self._degrees_of_freedom,
            volume=self._assembly.volume if self._assembly else float("nan"),
            msd=DisplacementRecord(
                groups=tuple(self._species),
                frames=tuple(self.config.msd.frames),
                sums=tuple(msd[0]),
                counts=tuple(msd[1]),
                stride=stride,
                batch=batch,
            ),
            dipole=dipole,
            periodograms=tuple(
                PeriodogramRecord(length, segments, sums)
                for length, segments, sums in zip(
                    self._periodograms.lengths, self._periodograms.segments, self._periodograms.sums, strict=True
                )
                if segments
            ),
            series=series,
            correlations=correlations,
            path=self._path_record(),
            notes=(
                *(() if self._stopping is None else (self._stopping.note(self.units),)),
                *((self._molecule_note,) if self._molecule_note else ()),
            ),
        )

    def _charge_columns(self) -> dict[str, slice]:
        """Where packed rows have the charges that come with the samples, by representation."""
        place = 4 + 3 * self.has_velocity
        found = {"atomic": slice(place, place + 1)} if self.has_charge else {}
        place += self.has_charge + 3 * (self.force is not None)
        for one in self._charges:
            if one.source:
                found[one.name] = slice(place, place + one.columns)
                place += one.columns
        return found

    def _path_record(self) -> PathRecord | None:
        """On rank 0."""
        if self._path is None or not self._tally.samples:
            return None
        found = self._path
        steps, positions, charges = found.arrays()
        return PathRecord(
            steps=steps,
            tags=found.tags,
            types=found.types,
            species=found.species,
            cell=found.cell,
            positions=positions,
            charge_names=tuple(charges),
            charges=tuple(charges.values()),
        )

    def _provenance(self) -> dict[str, Any]:
        written = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return {
            "lammps_topo": __version__,
            "ranks": self.comm.size,
            "samples_in_a_block": self._block,
            "written": written,
            **({} if self._stopping is None else {"stop": self._stopping.note(self.units)}),
            **self.keeper.provenance(),
            **self.host.provenance,
        }

    def species_of(self, kind: int) -> str:
        """Name of the species that LAMMPS type ``kind`` belongs to."""
        return self._species[self._species_of_type[kind]]


def _present(record: Record | None) -> Record:
    """Rank 0 has it."""
    assert record is not None
    return record


class _System:
    """The atoms as the state knows them, by which a run that continues is recognised."""

    def __init__(self, species: Integers, masses: Array, assembly: Assembly) -> None:
        self._species, self._masses, self._assembly = species, masses, assembly

    def state(self) -> Snapshot:
        return Snapshot(atoms={"species": self._species, "mass": self._masses, "position": self._assembly.positions})

    def restore(self, state: Snapshot) -> None:
        """Nothing: it has been compared already."""
