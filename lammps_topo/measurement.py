"""A measurement: takes packed samples from any host, feeds the accumulators, and writes the results file.

The only object that hosts talk to. Every method is collective; an error is raised on all ranks with the same words.
"""

from __future__ import annotations

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
from .accumulate.path import PathPoints
from .accumulators import Accumulators
from .charge_assignments import assign_charges
from .checkpoint import OWNED, Part
from .config import Config
from .continuation import header_of_state, parts_of_state, present_run
from .errors import FileError, StreamError, TopoError
from .estimate.running import running_values
from .estimate.wanted import Known, wanted_estimate
from .followed_atoms import FollowedAtoms
from .generations import CLOCK
from .group_atoms import GroupAtoms
from .host import Host
from .keeper import Keeper
from .plan import make_plan
from .record import Record
from .recording import measured_record
from .restart import Found, Header, Start
from .results_file import ResultsFile
from .stopping import FEWEST, Stopping
from .stream.assembly import Assembly
from .stream.block import Array, Integers, Packed
from .stream.communicator import Communicator, agree, on_root
from .stream.ownership import Ownership

_BLOCK_BYTES = 8 << 20
_BLOCK_RANGE = (16, 256)

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
    plan : what is measured, and so what hosts have to deliver
    notices : lines for the log, which hosts print and clear
    keeper : of its states
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
        self.notices: list[str] = []
        self.plan = plan = make_plan(config, host, comm, self.notices)
        self._stopping: Stopping | None = None
        if config.stop is not None:
            self._stopping = Stopping(config.stop, plan.wanted, first=FEWEST * plan.interval)
        self.ends_run = False
        self.path = Path(config.output or f"{host.name}.topo.h5")
        self._results = ResultsFile(self.path, config, comm, self.notices)
        # ranks times threads must not exceed the cores: one BLAS thread a rank unless told otherwise
        self._blas = ThreadpoolController()
        self._trouble: str | None = None  # of this rank, told to the others at the next block
        self._failed = False
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
            if the plan needs molecules

        Raises
        ------
        ConfigError
            An atom belongs to no species; what may not change has changed since the state was written.
        """
        config, comm, plan = self.config, self.comm, self.plan
        positions = start.positions if start is not None else np.zeros((len(tags), 3))
        here = GroupAtoms(tags, types, np.asarray(masses, dtype=np.float64), positions, charges, molecules)
        species = here.species(plan, comm)
        ownership = Ownership(comm, tags, species, len(plan.species))
        mass = float(comm.sum(np.array([total_mass]))[0])
        self._atoms = here.owned(plan, ownership)
        assignments, self._exchange = assign_charges(plan, comm, self._atoms, other_molecules)
        found = self._find_state(start, mass, ownership.population)
        self._assembly = Assembly(
            comm,
            ownership,
            has_velocity=self.host.has_velocity,
            has_charge=self.host.has_charge,
            has_force=plan.force is not None,
            mass=mass,
            every=self.host.every,
            interval=plan.interval,
            numbers=plan.numbers,
            assignments=assignments,
        )
        self._path: PathPoints | None = None
        if (section := config.path) is not None:
            self._path = PathPoints(comm, tags, types, species, plan.charge_columns)
            self._path_closed = partial(self._path.closed, section.tolerance, plan.path_centres(section.centres))
        followed: FollowedAtoms | None = None
        if config.correlations is not None and plan.pairs:
            numbers = None if found is None else found.header.followed
            followed = FollowedAtoms(plan, config.correlations, comm, ownership, species, here.masses, mass, numbers)
        self._gathered = Accumulators(
            plan, comm, ownership, followed, config.trajectory.degrees_of_freedom or degrees_of_freedom
        )
        self._tags = {OWNED: ownership.tags, **({} if followed is None else followed.tags)}
        if found is not None:
            self._restore(found)
        if kept := on_root(comm, self.keeper.keep_existing):
            self.notices.append(f"an earlier {self.path} is kept as {kept}")
        self._block = self._samples_in_a_block(max(comm.collect(len(tags))))
        return self._block

    def _samples_in_a_block(self, atoms: int) -> int:
        """Where a rank has at most so many ``atoms`` of the group."""
        if self.config.block:
            return self.config.block
        if self.continued is not None and self.continued.ranks == self.comm.size:
            return self.continued.block  # for the same sums to the last bit
        fitting = _BLOCK_BYTES // (8 * self.plan.width * max(atoms, 1))
        return int(np.clip(fitting, *_BLOCK_RANGE))

    # ---- samples ----------------------------------------------------------------------------------------------------

    def take(self, packed: Packed, *, new_stretch: bool = False) -> None:
        """Add consecutive samples; with ``new_stretch`` they do not continue the last ones, whatever their steps."""
        self._add(packed, new_stretch)
        self._check_stop()
        every = self.config.checkpoint_steps
        if every is not None and self._gathered.tally.last_step % every == 0:
            self.save("steps")
        if self.config.checkpoint and self.comm.share(time.monotonic() >= self._checkpoint_due):
            started = time.monotonic()
            if problem := self._write(CLOCK):
                self.notices.append(f"WARNING: no checkpoint at step {self._gathered.tally.last_step}: {problem}")
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
        closed = self._path is not None and self._path_closed()  # then the results are there at once
        due = now or self._results.due(urgent=closed)
        if due and (problem := self._write("run" if state else None)):
            if self.config.on_error == "stop":
                raise FileError(problem)
            self.notices.append(f"WARNING: {problem}")

    def close(self, packed: Packed | None = None) -> None:
        """End of the measurement: write what is not written yet, and give the name of the file free."""
        try:
            pending = packed is not None and len(packed) > 0
            if self._assembly is not None and not self._failed and (pending or self._results.outdated):
                self.finish(packed, now=True)
        finally:
            self._results.release()

    def flush(self) -> None:
        """Write the results file if it lacks samples. Collective."""
        if self._results.outdated:
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
            self._gathered.observe(block)
        except Exception:  # told to all ranks with the next block: none may leave a collective call alone
            self._trouble = f"the analysis failed on rank {self.comm.rank}: {traceback.format_exc(limit=-2)}"
        self._gathered.tally.count(block)
        if self._exchange is not None and (line := self._exchange.observe(block, self._assembly.weights)):
            self.notices.append(line)
        self._results.outdated = True

    def _guard(self, action: Callable[[], None]) -> None:
        """Run what may raise StreamError; then write what was measured before, and say so."""
        try:
            action()
        except StreamError as error:
            self._failed = True
            if not self._gathered.tally.samples:
                raise
            problem = self._write()
            saved = f"what was measured until step {self._gathered.tally.last_step} is in {self.path}"
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
        if not self.config.state or self._assembly is None or self._failed or not self._gathered.tally.samples:
            return ""
        if self._path is not None:  # measured in one go
            return ""
        if agree(self.comm, self._trouble):
            return ""
        says = header_of_state(self.plan, self._assembly, self._gathered, self._block)
        return self.keeper.save(kind, says, self._parts(), self._tags)

    def _parts(self) -> dict[str, Part]:
        """All that has a memory, by name."""
        assert self._assembly is not None
        return parts_of_state(self._atoms, self._assembly, self._gathered)

    def _find_state(self, start: Start | None, mass: float, population: Integers) -> Found | None:
        if start is None:
            return None
        if self.config.path is not None:
            if start.named is not None:
                self.notices.append("the run is a restart, but a path is measured in one go: a new measurement begins")
            return None
        return self.keeper.find(start, present_run(self.plan, self._atoms, population, mass))

    def _restore(self, found: Found) -> None:
        """Continue the measurement of a state."""
        assert self._assembly is not None
        self.keeper.restore(found, self._parts(), self._tags)
        self._gathered.degrees_of_freedom = found.header.degrees_of_freedom
        self._results.outdated = True  # the results may be older than the state
        if found.new_stretch:
            self._assembly.restart_stretch()

    # ---- results ----------------------------------------------------------------------------------------------------

    def _check_stop(self) -> None:
        """See whether what is wanted is known, if it is time to look. Collective."""
        stopping = self._stopping
        if stopping is None or not stopping.due(self._gathered.tally.elapsed):
            return
        record = self._record(correlations=False)

        def look() -> dict[str, Known]:
            run = _present(record)
            return {name: wanted_estimate(run, self.config, name, how) for name, how in stopping.wanted.items()}

        with self._one_thread():
            try:
                known = on_root(self.comm, look)
            except TopoError as error:  # the run itself is none the worse for it
                known = dict.fromkeys(stopping.wanted, Known(reason=str(error)))
        stopping.check(self._gathered.tally.elapsed, known)
        self.notices.append(stopping.progress(self.plan.units, self._gathered.tally.last_step, self.host.timestep))
        self.ends_run = stopping.reached is not None

    def vector(self) -> Array:
        """The quantities of the key ``thermo`` as of the last complete block."""
        # with the squared displacements of the whole run in one batch: little to reduce
        record = self._record(correlations=False, series=False, in_one=True)
        known = {} if self._stopping is None else self._stopping.values(self.plan.units)
        names = [name for name in self.plan.thermo if name not in known]
        values = on_root(self.comm, lambda: running_values(_present(record), self.config, names))
        known |= dict(zip(names, values, strict=True))
        return np.array([known[name] for name in self.plan.thermo], dtype=np.float64)

    @property
    def nbytes(self) -> float:
        """Memory that the accumulators hold on this rank."""
        if self._assembly is None:
            return 0.0
        return self._gathered.nbytes + self._assembly.nbytes

    def _write(self, kind: str | None = None) -> str | None:
        """Write a state of this ``kind``, if any, and the results; returns the problem, the same on all ranks."""
        started = time.monotonic()
        if kind is not None:
            self.save(kind)
        return self._results.write(self.record(), self._provenance(), started)

    def record(self) -> Record | None:
        """All that is measured, on rank 0; None on the others."""
        return self._record()

    def _record(self, **parts: bool) -> Record | None:
        """With or without some ``parts``: see :func:`~lammps_topo.recording.measured_record`."""
        assert self._assembly is not None
        stop = None if self._stopping is None else self._stopping.note(self.plan.units)
        molecules = None if self._exchange is None else self._exchange.note
        return measured_record(
            self.plan,
            self._gathered,
            self.comm,
            volume=self._assembly.volume,
            notes=[note for note in (stop, molecules) if note],
            path=self._path,
            **parts,
        )

    def _provenance(self) -> dict[str, Any]:
        written = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return {
            "lammps_topo": __version__,
            "ranks": self.comm.size,
            "samples_in_a_block": self._block,
            "written": written,
            **({} if self._stopping is None else {"stop": self._stopping.note(self.plan.units)}),
            **self.keeper.provenance(),
            **self.host.provenance,
        }


def _present(record: Record | None) -> Record:
    """Rank 0 has it."""
    assert record is not None
    return record
